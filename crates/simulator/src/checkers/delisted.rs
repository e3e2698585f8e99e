//! An independent check of markets that are delisted: nothing begins there, and all that is open ends before the
//! market's partition has nothing more to go on with.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::Partition;
use crossbook_protocol::Event;
use crossbook_protocol::event::CloseReason;
use crossbook_types::{MarketStatus, OrderId, SymbolId, SymbolName};

use crate::coverage::Coverage;
use crate::violation::{Violation, ensure};

/// All markets that were listed, and their open orders.
#[derive(Clone, Debug, Default)]
pub struct Delisted {
    open: BTreeMap<SymbolId, BTreeSet<OrderId>>,
    /// Those that their own partition has delisted.
    gone: BTreeSet<SymbolId>,
    /// The listed ones, as the registry's partition has them.
    listed: BTreeMap<SymbolName, SymbolId>,
}

impl Delisted {
    /// Judges the next command of a partition, which is given as it is afterwards.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn take(&mut self, partition: &Partition, events: &[Event], coverage: &mut Coverage) -> Result<(), Violation> {
        let is_registry = partition.id() == crossbook_protocol::Routing::REGISTRY;
        for event in events {
            match event {
                Event::MarketListed(market) if is_registry => {
                    let before = self.listed.insert(market.symbol, market.id);
                    ensure!(before.is_none(), Market, "market {} is listed beside {before:?}", market.id);
                    if market.id.0 >= crate::workload::MARKETS {
                        coverage.count("market listed again");
                    }
                }
                Event::MarketChanged(market) => {
                    let own = partition.routing().of_symbol(market.id) == partition.id();
                    // It may be delisted again.
                    let stays = market.status == MarketStatus::Delisted || !self.gone.contains(&market.id);
                    ensure!(stays || !own, Market, "market {} changes after it was delisted", market.id);
                    if market.status == MarketStatus::Delisted {
                        if own {
                            self.gone.insert(market.id);
                        }
                        if is_registry && self.listed.get(&market.symbol) == Some(&market.id) {
                            self.listed.remove(&market.symbol);
                        }
                    }
                }
                Event::OrderPlaced(placed) => {
                    let symbol = placed.terms.symbol;
                    ensure!(!self.gone.contains(&symbol), Market, "{placed:?} is placed in a market that is gone");
                    self.open.entry(symbol).or_default().insert(placed.order);
                }
                Event::OrderClosed(closed) => {
                    self.open.entry(closed.symbol).or_default().remove(&closed.order);
                    if self.gone.contains(&closed.symbol) && closed.reason == CloseReason::ByVenue {
                        coverage.count("closed ByVenue in a delisted market");
                    }
                }
                // An auction that was being matched comes to its end, and triggers nothing.
                Event::OrderTriggered { symbol, order, .. } | Event::OrderReleased { symbol, order, .. } => {
                    let gone = self.gone.contains(symbol);
                    ensure!(!gone, Market, "order {order} works in market {symbol}, which is gone");
                }
                _ => {}
            }
        }
        if partition.continuation().is_none() {
            for symbol in self.gone.iter().filter(|&&symbol| partition.routing().of_symbol(symbol) == partition.id()) {
                let left = self.open.get(symbol).filter(|left| !left.is_empty());
                ensure!(left.is_none(), Market, "market {symbol} is delisted, and {left:?} are open");
            }
        }
        Ok(())
    }
}
