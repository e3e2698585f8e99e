//! What the owner of an account is told about it: each step of its orders, and its balances whenever they change. The
//! publisher takes the facts down as they happen ([`UserEvent`]); the text is written later, on the feed's thread, and
//! only for accounts that somebody listens for.

use crossbook_protocol::event::{CloseReason, OrderClosed, PreventedMatch, Trade};
use crossbook_types::{
    AccountId, Amount, Asset, ClientOrderId, Market, OrderId, PartitionId, PreventedMatchId, Price, Quantity,
    RejectReason, Sequence, Side, Timestamp, TradeId,
};
use crossbook_views::{Balance, Order};

use crate::streams::json::Object;
use crate::time_unit::TimeUnit;

/// Something that happened to an account.
#[derive(Clone, Debug)]
pub enum UserEvent {
    /// A step in the life of an order.
    Execution(Box<Report>),
    /// These balances changed.
    Position {
        /// The command's time.
        time: Timestamp,
        /// The new balances.
        balances: Vec<Balance>,
    },
    /// Money came in or went out.
    Transfer {
        /// The command's time.
        time: Timestamp,
        /// The asset.
        asset: Asset,
        /// How much; negative for a withdrawal.
        amount: Amount,
    },
}

/// A step in the life of an order, with the order as it is right after it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The order.
    pub order: Order,
    /// What happened.
    pub step: Step,
    /// Time of the command that caused the event.
    pub time: Timestamp,
    /// A number for this report that no other has.
    pub execution: u64,
}

/// What happened to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It was accepted, or began to work because its stop price was reached.
    New,
    /// It traded.
    Trade(Fill),
    /// It ended by its owner's will, under this name.
    Canceled(ClientOrderId),
    /// It ended by its own terms.
    Expired,
    /// It ended because it would have traded with another of its owner's. How is not known of what older programs
    /// published.
    Prevented(Option<Prevention>),
    /// It was refused.
    Refused(RejectReason),
}

/// An order's part in a match that self-trade prevention prevented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prevention {
    /// The match.
    pub id: PreventedMatchId,
    /// How much of the order expired because of it.
    pub last: Quantity,
    /// The other order.
    pub counter_order: OrderId,
    /// How much would have traded.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
    /// Price x quantity.
    pub quote: Amount,
}

impl Prevention {
    /// The part of `order` in a match, if it has one.
    fn of(prevented: &PreventedMatch, order: OrderId) -> Option<Self> {
        let &PreventedMatch { id, taker, maker, quantity, price, quote, .. } = prevented;
        let (last, counter_order) = match order {
            _ if order == taker => (prevented.taker_prevented, maker),
            _ if order == maker => (prevented.maker_prevented, taker),
            _ => return None,
        };
        Some(Self { id, last, counter_order, quantity, price, quote })
    }
}

/// An order's part in a trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// The trade.
    pub trade: TradeId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Price x quantity.
    pub quote: Amount,
    /// What the order's owner paid the venue, in the asset received.
    pub fee: Amount,
    /// Whether the order was the resting one.
    pub maker: bool,
}

impl Fill {
    /// The maker's or the taker's part in `trade`.
    #[must_use]
    pub fn of(trade: &Trade, maker: bool) -> Self {
        let party = if maker { &trade.maker } else { &trade.taker };
        let &Trade { trade, price, quantity, quote, .. } = trade;
        Self { trade, price, quantity, quote, fee: party.fee, maker }
    }
}

impl Step {
    /// What an order's end is to its owner; `None` if the last trade has told it already. `prevented` is the last match
    /// of the command that self-trade prevention prevented.
    #[must_use]
    pub fn of_close(closed: &OrderClosed, prevented: Option<&PreventedMatch>) -> Option<Self> {
        match closed.reason {
            CloseReason::Filled => None,
            CloseReason::Canceled { cancel_id } => Some(Self::Canceled(cancel_id)),
            CloseReason::Expired | CloseReason::Unaffordable => Some(Self::Expired),
            CloseReason::SelfTradePrevented => {
                Some(Self::Prevented(prevented.and_then(|prevented| Prevention::of(prevented, closed.order))))
            }
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Trade(_) => "TRADE",
            Self::Canceled(_) => "CANCELED",
            Self::Expired => "EXPIRED",
            Self::Prevented(_) => "TRADE_PREVENTION",
            Self::Refused(_) => "REJECTED",
        }
    }
}

/// Where names and decimals of assets and markets are found while events are written.
pub trait Names {
    /// The market of an order.
    fn market_of(&self, order: &Order) -> Option<&Market>;
    /// The asset of a balance.
    fn asset_of(&self, balance: &Balance) -> Option<&Asset>;
}

/// Writes an event, with times in that unit; `None` if it speaks of a market that was never listed, which cannot be.
#[must_use]
pub fn write(event: &UserEvent, unit: TimeUnit, names: &impl Names) -> Option<String> {
    match event {
        UserEvent::Execution(report) => Some(execution(report, unit, names.market_of(&report.order)?)),
        UserEvent::Position { time, balances } => Some(position(*time, unit, balances, names)),
        UserEvent::Transfer { time, asset, amount } => Some(transfer(*time, unit, asset, *amount)),
    }
}

/// Room for an execution report.
const EXECUTION_BYTES: usize = 768;

fn execution(report: &Report, unit: TimeUnit, market: &Market) -> String {
    let Report { order, step, time, execution } = report;
    let mut text = String::with_capacity(EXECUTION_BYTES);
    let mut o = Object::open(&mut text);
    o.name("e", "executionReport").number("E", unit.of(*time)).name("s", market.symbol.as_str());
    // A cancel has a name of its own, which takes the order's place; the order's name moves to the field for originals.
    let (client_order_id, original) = match step {
        Step::Canceled(cancel_id) => (cancel_id.as_str(), order.client_order_id.as_str()),
        _ => (order.client_order_id.as_str(), ""),
    };
    o.name("c", client_order_id).name("S", order.side.as_str()).name("o", order.order_type.as_str());
    o.name("f", order.time_in_force.as_str()).quantity("q", market, order.original_quantity());
    o.price("p", market, order.price.unwrap_or_default()).price("P", market, order.stop_price.unwrap_or_default());
    o.quantity("F", market, Quantity::ZERO).minus_one("g").name("C", original);
    let reason = if let Step::Refused(reason) = step { reason.as_str() } else { "NONE" };
    o.name("x", step.as_str()).name("X", order.status.as_str()).name("r", reason).number("i", order.order.0);
    match step {
        Step::Trade(fill) => {
            o.quantity("l", market, fill.quantity).quantity("z", market, order.executed);
            o.price("L", market, fill.price);
            let received = if order.side == Side::Buy { &market.base } else { &market.quote };
            o.amount("n", received, fill.fee).name("N", received.name.as_str());
            o.number("T", unit.of(*time)).number("t", fill.trade.0);
        }
        _ => {
            o.quantity("l", market, Quantity::ZERO).quantity("z", market, order.executed);
            o.price("L", market, Price(0)).name("n", "0").null("N").number("T", unit.of(*time)).minus_one("t");
        }
    }
    let (maker, last_quote, traded) = match step {
        Step::Trade(fill) => (fill.maker, fill.quote, true),
        _ => (false, Amount::ZERO, false),
    };
    o.number("I", *execution).flag("w", order.is_working() && order.may_rest()).flag("m", maker).flag("M", traded);
    o.number("O", unit.of(order.placed)).amount("Z", &market.quote, order.executed_quote);
    o.amount("Y", &market.quote, last_quote).amount("Q", &market.quote, order.original_quote());
    if let Some(since) = order.working_since {
        o.number("W", unit.of(since));
    }
    o.name("V", order.self_trade_prevention.as_str());
    match step {
        Step::Expired => {
            if let Some(reason) = order.expiry {
                o.name("eR", reason.as_str());
            }
        }
        Step::Prevented(Some(prevention)) => write_prevention(&mut o, market, order, prevention),
        _ => {}
    }
    o.close();
    text
}

fn write_prevention(o: &mut Object<'_>, market: &Market, order: &Order, prevention: &Prevention) {
    o.number("v", prevention.id.number());
    let so_far = order.prevention.as_ref().map_or(Quantity::ZERO, |prevention| prevention.quantity);
    o.quantity("A", market, so_far).quantity("B", market, prevention.last);
    // Accounts here are in no trade groups, and both orders are in one market.
    o.minus_one("u").number("U", prevention.counter_order.0).name("Cs", market.symbol.as_str());
    o.quantity("pl", market, prevention.quantity).price("pL", market, prevention.price);
    o.amount("pY", &market.quote, prevention.quote);
}

fn position(time: Timestamp, unit: TimeUnit, balances: &[Balance], names: &impl Names) -> String {
    let mut text = String::new();
    let mut o = Object::open(&mut text);
    o.name("e", "outboundAccountPosition").number("E", unit.of(time)).number("u", unit.of(time));
    let out = o.key("B");
    out.push('[');
    let known = balances.iter().filter_map(|balance| Some((balance, names.asset_of(balance)?)));
    for (at, (balance, asset)) in known.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let mut b = Object::open(out);
        b.name("a", asset.name.as_str()).amount("f", asset, balance.free).amount("l", asset, balance.held);
        b.close();
    }
    out.push(']');
    o.close();
    text
}

fn transfer(time: Timestamp, unit: TimeUnit, asset: &Asset, amount: Amount) -> String {
    let mut text = String::new();
    let mut o = Object::open(&mut text);
    o.name("e", "balanceUpdate").number("E", unit.of(time)).name("a", asset.name.as_str());
    o.amount("d", asset, amount).number("T", unit.of(time));
    o.close();
    text
}

/// The end of a subscription, as its session is told.
#[must_use]
pub fn terminated(unit: TimeUnit, now: Timestamp) -> String {
    format!("{{\"e\":\"eventStreamTerminated\",\"E\":{}}}", unit.of(now))
}

/// Takes down the events of one command for the accounts that somebody listens for, in the order in which they are
/// sent: the steps of orders as they happen, then what they did to the balances.
#[derive(Debug, Default)]
pub struct Notes {
    events: Vec<(AccountId, UserEvent)>,
    positions: Vec<(AccountId, Vec<Balance>)>,
    /// The number before the scaling by partitions that the next report has at least.
    next: u64,
}

/// Numbers of reports that each command has for itself: 2^10. A command with more takes those of the commands behind
/// it, which then begin later, so numbers rise and none comes twice. With one partition they stay below 2^53, where
/// clients that read them as floats lose none, for 2^43 commands.
const REPORT_BITS: u32 = 10;

impl Notes {
    /// A step of an order, which the command at that place of the log of `partition`, one of `partitions`, brought
    /// about.
    pub fn report(
        &mut self,
        (sequence, partition, partitions): (Sequence, PartitionId, u16),
        time: Timestamp,
        order: Order,
        step: Step,
    ) {
        self.next = self.next.max(sequence.0.saturating_mul(1 << REPORT_BITS));
        let execution = self.next.saturating_mul(partitions.into()).saturating_add(partition.0.into());
        self.next = self.next.saturating_add(1);
        self.events.push((order.account, UserEvent::Execution(Box::new(Report { order, step, time, execution }))));
    }

    /// A transfer.
    pub fn transfer(&mut self, account: AccountId, time: Timestamp, asset: Asset, amount: Amount) {
        self.events.push((account, UserEvent::Transfer { time, asset, amount }));
    }

    /// A new balance.
    pub fn balance(&mut self, account: AccountId, balance: Balance) {
        match self.positions.iter_mut().find(|(known, _)| *known == account) {
            Some((_, balances)) => balances.push(balance),
            None => self.positions.push((account, vec![balance])),
        }
    }

    /// Moves everything to `out` and is empty again.
    pub fn finish(&mut self, time: Timestamp, out: &mut Vec<(AccountId, UserEvent)>) {
        out.append(&mut self.events);
        out.extend(
            self.positions.drain(..).map(|(account, balances)| (account, UserEvent::Position { time, balances })),
        );
    }
}

#[cfg(test)]
mod tests;
