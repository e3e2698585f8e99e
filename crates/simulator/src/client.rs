//! A client with one account, or the operator. It stores its answers and checks that later reads agree with them.

use std::collections::VecDeque;

use crossbook_protocol::event::Half;
use crossbook_protocol::order::{AmendOrder, NewOrder, Size, Target};
use crossbook_protocol::{Answer, Body};
use crossbook_types::{AccountId, OrderId, OrderStatus, PartitionId, Sequence, SymbolId};
use crossbook_views::Views;

use crate::dice::Dice;
use crate::violation::{Violation, ensure};
use crate::workload::{Delisting, Own, OwnList, Switches, Workload};

/// Orders and answers that a client remembers.
const REMEMBERED: usize = 24;

/// An answer that a client got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The partition that answered.
    pub partition: PartitionId,
    /// Of which command.
    pub sequence: Sequence,
    /// The order that it concerns, and whether the order has ended by the answer.
    pub order: Option<(Own, bool)>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its account; the operator has none.
    pub account: Option<AccountId>,
    workload: Workload,
    switches: Switches,
    delisting: Delisting,
    orders: VecDeque<Own>,
    lists: VecDeque<OwnList>,
    facts: VecDeque<Fact>,
    /// Orders that it has asked to rename, by number or name. They may have other names than it knows.
    renamed: VecDeque<AmendOrder>,
    /// Transfers of which it does not know what became of them. It asks again, under the same name.
    unknown: Vec<Body>,
}

impl Client {
    /// A client without any answer yet.
    pub fn new(account: Option<AccountId>, dice: &mut Dice) -> Self {
        let workload = Workload::new(dice);
        let (switches, delisting) = (Switches::new(dice), Delisting::new(dice));
        Self {
            account,
            workload,
            switches,
            delisting,
            orders: VecDeque::new(),
            lists: VecDeque::new(),
            facts: VecDeque::new(),
            renamed: VecDeque::new(),
            unknown: Vec::new(),
        }
    }

    /// What it asks next.
    pub fn next(&mut self, dice: &mut Dice) -> Body {
        if let Some(body) = self.unknown.pop() {
            return body;
        }
        if let Some(body) = self.account.and_then(|account| self.switches.next(account, dice)) {
            return body;
        }
        let body = match self.account {
            Some(account) => {
                let (orders, lists) = (self.orders.make_contiguous(), self.lists.make_contiguous());
                self.workload.of_client(account, orders, lists, dice)
            }
            None => self.delisting.next(dice).unwrap_or_else(|| self.workload.of_operator(dice)),
        };
        let body = self.delisting.follow(body, dice);
        if let Body::Amend(request) = &body {
            self.renamed.push_back(*request);
        }
        body
    }

    /// Whether it has asked to rename the order.
    fn has_renamed(&self, own: &Own) -> bool {
        let meant = |request: &AmendOrder| {
            let named = match request.target {
                Target::Order(id) => id == own.order,
                Target::Client(name) => name == own.name,
                Target::Both(id, _) => id == own.order,
            };
            named && request.symbol == own.symbol
        };
        self.renamed.iter().any(meant)
    }

    /// Whether it has to ask something again.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// It was answered that the outcome of a request is unknown.
    pub fn in_doubt(&mut self, body: Body) {
        if matches!(body, Body::Transfer(_)) {
            self.unknown.push(body);
        }
    }

    /// It got an answer.
    pub fn published(&mut self, body: &Body, answer: &Answer, partition: PartitionId, sequence: Sequence) {
        self.switches.published(body, answer);
        self.delisting.published(body, answer);
        let order = match (answer, body) {
            (&Answer::Placed { order, .. }, Body::Place(placed)) => Some((self.placed(placed, order), false)),
            (&Answer::Replaced { symbol, canceled, placed }, Body::Replace(request)) => {
                if let Half::Done(order) = canceled {
                    self.orders.retain(|own| (own.symbol, own.order) != (symbol, order));
                }
                match placed {
                    Half::Done(order) => Some((self.placed(&request.order, order), false)),
                    _ => None,
                }
            }
            (&Answer::ListPlaced { symbol, list }, Body::PlaceList(placed)) => {
                let numbers = (list.first().0..).map(OrderId);
                let placing = numbers.zip(placed.orders.iter().cloned());
                let orders = placing.map(|(order, terms)| (order, NewOrder { account: placed.account, terms }));
                // The last one will do as an example.
                let last = orders.map(|(order, new)| self.placed(&new, order)).last();
                remember(&mut self.lists, OwnList { symbol, list, name: placed.client_order_id });
                last.map(|own| (own, false))
            }
            (&Answer::ListCanceled { symbol, list }, _) => {
                self.lists.retain(|own| (own.symbol, own.list) != (symbol, list));
                None
            }
            (&Answer::Amended { symbol, order }, Body::Amend(request)) => {
                let known = self.orders.iter_mut().find(|own| (own.symbol, own.order) == (symbol, order));
                if let Some(own) = known {
                    own.name = request.client_order_id;
                }
                None
            }
            (&Answer::Canceled { symbol, order }, _) => {
                let known = self.orders.iter().position(|own| (own.symbol, own.order) == (symbol, order));
                known.and_then(|at| self.orders.remove(at)).map(|own| (own, true))
            }
            _ => None,
        };
        remember(&mut self.facts, Fact { partition, sequence, order });
    }

    fn placed(&mut self, placed: &NewOrder, order: OrderId) -> Own {
        let lots = match placed.terms.size {
            Size::Base(quantity) => quantity.0,
            Size::Quote(_) => 0,
        };
        let (symbol, name, side) = (placed.terms.symbol, placed.terms.client_order_id, placed.terms.side);
        let own = Own { symbol, order, name, lots, side };
        remember(&mut self.orders, own);
        own
    }

    /// Its last answer.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter()
    }

    /// It remembers only this.
    pub fn recall(&mut self, facts: &[Fact]) {
        self.facts = facts.iter().copied().collect();
    }

    /// Reads its orders, and compares them with its answers.
    ///
    /// # Errors
    /// When they differ.
    pub fn read<'v>(&self, views_of: impl Fn(SymbolId) -> &'v Views) -> Result<(), Violation> {
        for fact in &self.facts {
            let (Some((own, ended)), Some(account)) = (fact.order, self.account) else { continue };
            let market = views_of(own.symbol).market(own.symbol);
            let forgotten = market.and_then(|market| market.forgotten_orders(account));
            let Some(order) = market.and_then(|market| market.order(own.order)) else {
                let dropped = forgotten.is_some_and(|forgotten| forgotten.id >= own.order);
                ensure!(dropped, Reads, "a client was published of order {} and does not find it", own.order);
                continue;
            };
            ensure!(
                order.account == account && (order.terms.client_order_id == own.name || self.has_renamed(&own)),
                Reads,
                "order {} is {order:?}",
                own.order
            );
            ensure!(
                !ended || order.status == OrderStatus::Canceled,
                Reads,
                "order {} was cancelled and is {order:?}",
                own.order
            );
        }
        Ok(())
    }
}

fn remember<T>(list: &mut VecDeque<T>, what: T) {
    list.push_back(what);
    if list.len() > REMEMBERED {
        list.pop_front();
    }
}
