//! What a venue is, apart from where it runs.

use std::collections::BTreeMap;

use crossbook_ledger::Transfer;
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, FeeCredit, Fees, Market, OrderId, PartitionId, Price, Quantity, SymbolId,
};
use serde::{Deserialize, Serialize};

use crate::event::{LastTrade, MarketMovedIn, OrderMovedIn};
use crate::matching::open::Order;
use crate::matching::{MatcherState, next_trade};
use crate::partition::Partition;
use crate::registry::{Account, ApiKey};

/// Everything that a venue has. Two venues with the same inventory go on the same way, however each is cut into
/// partitions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Assets, by number.
    pub assets: Vec<Asset>,
    /// Markets, by number.
    pub markets: Vec<Market>,
    /// Accounts, by number.
    pub accounts: Vec<Account>,
    /// API keys, by name. Secrets are as encrypted as they were.
    pub api_keys: Vec<ApiKey>,
    /// Deposits and withdrawals, by account and id.
    pub transfers: Vec<Transfer>,
    /// What everybody has, free and held together, by account and asset; what is nothing is left out.
    pub balances: Vec<Owned>,
    /// What the venue took in fees, by asset; what is nothing is left out.
    pub fees: Vec<Owned>,
    /// A book for each market, by number.
    pub books: Vec<Book>,
}

/// What an account has of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owned {
    /// The account that it belongs to.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit.
    pub amount: Amount,
}

/// A market as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Book {
    /// Its counters and its last trade.
    pub market: MarketMovedIn,
    /// Its open orders: bids, asks, those that wait for a rise, those that wait for a fall; each in the order in which
    /// they trade or trigger.
    pub orders: Vec<Standing>,
}

/// An open order, and what is held for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// The order.
    pub order: OrderMovedIn,
    /// How much is held for it, in the asset that it pays.
    pub held: Amount,
    /// The fee rates that it was accepted with.
    pub fees: Fees,
    /// What it was charged beyond its exact fee.
    pub fee_credit: FeeCredit,
}

/// What a partition's state does not say of the past, but whoever follows its events knows.
pub trait Past {
    /// An open order of a market of that partition; `None` if it is not known.
    fn order(&self, symbol: SymbolId, order: OrderId) -> Option<OrderMovedIn>;

    /// What there was in a market of that partition; `None` if it is not known.
    fn market(&self, symbol: SymbolId) -> Option<MarketPast>;
}

/// What there was in a market.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarketPast {
    /// The last trade, if there was one.
    pub last: Option<LastTrade>,
    /// How many aggregate trades there were.
    pub aggregate_trades: u64,
}

/// Why the inventory of a venue cannot be drawn up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// A partition's books do not balance.
    #[error("partition {partition} does not add up: {finding}; audit the venue before it moves")]
    Audit {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What is wrong.
        finding: String,
    },
    /// Money or messages are on their way between partitions.
    #[error("something is on its way between partitions; stop all traffic and try again")]
    InTransit,
    /// A market has not gone on with all that its commands have left.
    #[error(
        "market {0} has yet to go on with what was triggered or is being cancelled there; open the market if it is halted, and let the venue \
         run until it has"
    )]
    Unfinished(SymbolId),
    /// The partitions do not know the same assets, markets and accounts.
    #[error("partition {0} has not yet heard of all assets, markets and accounts")]
    Registry(PartitionId),
    /// What the outside world paid in is not what the transfers say.
    #[error("the transfers of asset {0} do not add up to what came in")]
    Transfers(AssetId),
    /// State and views tell different things of a market.
    #[error("market {0} is told in another way by the events than by the state")]
    Market(SymbolId),
    /// State and views tell different things of an order.
    #[error("order {order} of market {symbol} is told in another way by the events than by the state")]
    Order {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
    },
}

impl Inventory {
    /// Draws up what the partitions of a venue have together: all of them, by number, each with whoever followed its
    /// events.
    ///
    /// # Errors
    /// When they do not add up, or something is under way between them.
    ///
    /// # Panics
    /// When there are fewer partitions than their routing says.
    pub fn gather(parts: &[(&Partition, &dyn Past)]) -> Result<Self, Error> {
        let Some(&(first, _)) = parts.first() else { return Ok(Self::default()) };
        let registry = first.registry();
        let mut inventory = Self {
            assets: registry.assets().to_vec(),
            markets: registry.markets().to_vec(),
            accounts: registry.accounts().cloned().collect(),
            api_keys: registry.api_keys().cloned().collect(),
            ..Self::default()
        };
        for &(partition, _) in parts {
            inventory.check(partition, parts)?;
        }
        inventory.count_money(parts)?;
        let mut orders = 0;
        for at in 0..inventory.markets.len() {
            let market = inventory.markets[at];
            let (partition, past) = parts[usize::from(first.routing().of_symbol(market.id).0)];
            let book = book(&market, partition, past, parts)?;
            orders += book.orders.len();
            inventory.books.push(book);
        }
        // An order that is on its way has a hold and stands in no book.
        if orders != parts.iter().map(|(partition, _)| partition.ledger().holds()).sum::<usize>() {
            return Err(Error::InTransit);
        }
        Ok(inventory)
    }

    /// Whether a partition adds up, and knows and has heard all that there is.
    fn check(&self, partition: &Partition, parts: &[(&Partition, &dyn Past)]) -> Result<(), Error> {
        let id = partition.id();
        if let Some(finding) = partition.audit().violations.into_iter().next() {
            return Err(Error::Audit { partition: id, finding });
        }
        if let Some(symbol) = partition.unfinished() {
            return Err(Error::Unfinished(symbol));
        }
        let registry = partition.registry();
        let same = registry.assets() == self.assets
            && registry.markets() == self.markets
            && registry.accounts().eq(self.accounts.iter());
        if !same {
            return Err(Error::Registry(id));
        }
        let heard = |&(other, _): &(&Partition, &dyn Past)| other.heard(id) == partition.sent(other.id());
        if parts.iter().filter(|(other, _)| other.id() != id).all(heard) { Ok(()) } else { Err(Error::InTransit) }
    }

    fn count_money(&mut self, parts: &[(&Partition, &dyn Past)]) -> Result<(), Error> {
        let mut balances = BTreeMap::new();
        for &(partition, _) in parts {
            let ledger = partition.ledger();
            self.transfers.extend(ledger.transfers().cloned());
            for (account, asset, balance) in ledger.balances() {
                balances.insert((account, asset), balance.free.plus(balance.held));
            }
        }
        self.transfers.sort_unstable_by_key(|transfer| (transfer.account, transfer.transfer));
        self.balances =
            balances.into_iter().map(|((account, asset), amount)| Owned { account, asset, amount }).collect();
        let mut came_in = BTreeMap::<AssetId, Amount>::new();
        for transfer in &self.transfers {
            let sum = came_in.entry(transfer.asset).or_default();
            *sum = sum.plus(transfer.amount);
        }
        for asset in self.assets.iter().map(|asset| asset.id) {
            let of = |account| {
                let each = parts.iter().map(|(partition, _)| partition.ledger().venue_balance(account, asset));
                each.fold(Amount::ZERO, Amount::plus)
            };
            if !of(AccountId::CLEARING).is_zero() {
                return Err(Error::InTransit);
            }
            if of(AccountId::EXTERNAL) != came_in.get(&asset).copied().unwrap_or_default().negated() {
                return Err(Error::Transfers(asset));
            }
            let amount = of(AccountId::FEES);
            if !amount.is_zero() {
                self.fees.push(Owned { account: AccountId::FEES, asset, amount });
            }
        }
        Ok(())
    }

    /// How many orders are open.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.books.iter().map(|book| book.orders.len()).sum()
    }

    /// What clients have of each asset, all together.
    #[must_use]
    pub fn clients(&self) -> BTreeMap<AssetId, Amount> {
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for owned in &self.balances {
            let sum = sums.entry(owned.asset).or_default();
            *sum = sum.plus(owned.amount);
        }
        sums
    }

    /// Everything in which another venue differs from this one, as far as anybody who trades there could tell; empty if
    /// nothing does. Depth is counted on where a venue moves in, so its numbers are not compared.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut differ = |what: String| found.push(what);
        let mut compare = |what: &str, same: bool, here: usize, there: usize| {
            if !same {
                differ(format!("{what} are not the same: {here} here, {there} there"));
            }
        };
        compare("assets", self.assets == other.assets, self.assets.len(), other.assets.len());
        compare("markets", self.markets == other.markets, self.markets.len(), other.markets.len());
        compare("accounts", self.accounts == other.accounts, self.accounts.len(), other.accounts.len());
        compare("API keys", self.api_keys == other.api_keys, self.api_keys.len(), other.api_keys.len());
        compare("transfers", self.transfers == other.transfers, self.transfers.len(), other.transfers.len());
        compare("fees", self.fees == other.fees, self.fees.len(), other.fees.len());
        compare("books", self.books.len() == other.books.len(), self.books.len(), other.books.len());
        for (here, there) in self.books.iter().zip(&other.books) {
            let symbol = here.market.symbol;
            let there_market = MarketMovedIn { depth_update: here.market.depth_update, ..there.market };
            if here.market != there_market {
                differ(format!("market {symbol} stands elsewhere: {:?} here, {:?} there", here.market, there.market));
            }
            if here.orders != there.orders {
                let at = here.orders.iter().zip(&there.orders).position(|(here, there)| here != there);
                let at = at.unwrap_or_else(|| here.orders.len().min(there.orders.len()));
                let id = |orders: &[Standing]| {
                    orders.get(at).map_or_else(|| "none".to_owned(), |standing| standing.order.placed.order.to_string())
                };
                differ(format!(
                    "open orders of market {symbol} differ from place {at} on: order {} here, {} there",
                    id(&here.orders),
                    id(&there.orders)
                ));
            }
        }
        let of = |inventory: &Self| -> BTreeMap<(AccountId, AssetId), Amount> {
            inventory.balances.iter().map(|owned| ((owned.account, owned.asset), owned.amount)).collect()
        };
        let (here, there) = (of(self), of(other));
        for (key, amount) in &here {
            let other = there.get(key).copied().unwrap_or_default();
            if other != *amount {
                found.push(format!("account {} has {} of asset {} here, {} there", key.0, amount.0, key.1, other.0));
            }
        }
        for (key, amount) in there.iter().filter(|(key, _)| !here.contains_key(key)) {
            found.push(format!("account {} has nothing of asset {} here, {} there", key.0, key.1, amount.0));
        }
        found
    }
}

/// A market with its open orders, and what the accounts' partitions hold for them.
fn book(
    market: &Market,
    partition: &Partition,
    past: &dyn Past,
    parts: &[(&Partition, &dyn Past)],
) -> Result<Book, Error> {
    let symbol = market.id;
    let matcher = partition.matchers.get(symbol.0 as usize).and_then(Option::as_ref).ok_or(Error::Market(symbol))?;
    let state = matcher.state();
    let MarketPast { last, aggregate_trades } = past.market(symbol).ok_or(Error::Market(symbol))?;
    let MatcherState { next_order, last_price, depth_update, next_prevented, .. } = state;
    if last.map(|last| last.price) != last_price || next_trade(last.as_ref()) != state.next_trade {
        return Err(Error::Market(symbol));
    }
    let find =
        |order: &Order, price: Price, left: Quantity, waits: bool, limit: Option<Price>, traded: Option<FeeCredit>| {
            let wrong = Error::Order { symbol, order: order.id };
            let told = past.order(symbol, order.id).ok_or_else(|| wrong.clone())?;
            let placed = &told.placed;
            let same = placed.order == order.id
                && placed.account == order.account
                && placed.client_order_id == order.client_order_id
                && placed.side == order.side
                && placed.order_type == order.order_type
                && placed.time_in_force == order.time_in_force
                && placed.self_trade_prevention == order.self_trade_prevention
                && placed.price == limit
                && (if waits { placed.stop_price } else { placed.price }) == Some(price)
                && told.working_since.is_none() == waits
                && told.left() == Some(left)
                && told.executed.is_zero() == traded.is_none();
            if !same {
                return Err(wrong);
            }
            let (owner, _) = parts[usize::from(partition.routing().of_account(order.account).0)];
            let held = owner.ledger().held_under(order.hold).ok_or(Error::InTransit)?;
            Ok(Standing { order: told, held, fees: order.fees, fee_credit: traded.unwrap_or_default() })
        };
    let mut orders = Vec::with_capacity(state.working.len() + state.waiting.len());
    for (price, left, order, traded) in &state.working {
        orders.push(find(order, *price, *left, false, Some(*price), *traded)?);
    }
    for (stop, left, waiting) in &state.waiting {
        let standing = find(&waiting.order, *stop, *left, true, waiting.limit, None)?;
        if standing.held != waiting.budget {
            return Err(Error::Order { symbol, order: waiting.order.id });
        }
        orders.push(standing);
    }
    let market = MarketMovedIn { symbol, next_order, last, aggregate_trades, depth_update, next_prevented };
    Ok(Book { market, orders })
}
