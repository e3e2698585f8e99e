//! Events of accounts: each step of their orders, and their balances whenever they change. The publisher collects them
//! while it folds a command ([`AccountEvents`]), only for accounts that somebody has subscribed to. A codec writes them
//! later, on a thread of its own.

use crossbook_protocol::event::{CloseReason, OrderClosed, PreventedMatch, Trade};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, ClientOrderId, OrderId, PartitionId, PreventedMatchId, Price, Quantity,
    RejectReason, Sequence, SymbolId, Timestamp, TradeGroupId, TradeId,
};
use crossbook_views::{Balance, Order, OrderList};

/// Something that happened to an account.
#[derive(Clone, Debug)]
pub enum AccountEvent {
    /// A step in the life of an order.
    Execution(Box<Report>),
    /// These balances changed.
    Position {
        /// The command's time.
        time: Timestamp,
        /// The new balances.
        balances: Vec<Balance>,
    },
    /// An order list was accepted, or has changed.
    List(Box<ListReport>),
    /// A deposit or a withdrawal.
    Transfer {
        /// The command's time.
        time: Timestamp,
        /// The asset.
        asset: Asset,
        /// How much; negative for a withdrawal.
        amount: Amount,
    },
}

/// An order list as it is right after a change.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The list.
    pub list: OrderList,
    /// The market.
    pub symbol: SymbolId,
    /// Whether nothing but the name of one of its orders has changed.
    pub renamed: bool,
    /// Time of the command that caused the event.
    pub time: Timestamp,
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
    /// Its quantity was lowered; before, it had this name.
    Amended(ClientOrderId),
    /// It traded.
    Trade(Fill),
    /// It ended by its owner's will, under this name.
    Canceled(ClientOrderId),
    /// It ended by its own terms.
    Expired,
    /// Self-trade prevention has taken all of it that was left, or a part of it. How is not known of what older
    /// programs published.
    Prevented(Option<Prevention>),
    /// It was refused.
    Refused(RejectReason),
}

/// An order's part in a match that self-trade prevention prevented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prevention {
    /// The match.
    pub id: PreventedMatchId,
    /// How much of the order it has taken.
    pub last: Quantity,
    /// The other order.
    pub counter_order: OrderId,
    /// How much would have traded.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
    /// Price x quantity.
    pub quote: Amount,
    /// The trade group of the incoming order.
    pub group: Option<TradeGroupId>,
}

impl Prevention {
    /// The part of `order` in a match, if it has one.
    pub(crate) fn of(prevented: &PreventedMatch, order: OrderId) -> Option<Self> {
        let &PreventedMatch { id, taker, maker, quantity, price, quote, group, .. } = prevented;
        let (last, counter_order) = match order {
            _ if order == taker => (prevented.taker_prevented, maker),
            _ if order == maker => (prevented.maker_prevented, taker),
            _ => return None,
        };
        Some(Self { id, last, counter_order, quantity, price, quote, group })
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
    /// The asset in which it paid that, if it is not the one received.
    pub fee_asset: Option<Asset>,
    /// Whether the order was the resting one.
    pub maker: bool,
}

impl Fill {
    /// The maker's or the taker's part in `trade`; `asset` knows the assets.
    #[must_use]
    pub fn of(trade: &Trade, maker: bool, asset: impl Fn(AssetId) -> Option<Asset>) -> Self {
        let fee_asset = trade.other_fee_asset(!maker).and_then(asset);
        let party = if maker { &trade.maker } else { &trade.taker };
        let &Trade { trade, price, quantity, quote, .. } = trade;
        Self { trade, price, quantity, quote, fee: party.fee, fee_asset, maker }
    }
}

impl Step {
    /// The step that an order's end is to its owner; `None` if its last trade was published as the end. `prevented` is
    /// the last match of the command that self-trade prevention prevented.
    #[must_use]
    pub fn of_close(closed: &OrderClosed, prevented: Option<&PreventedMatch>) -> Option<Self> {
        match closed.reason {
            CloseReason::Filled => None,
            CloseReason::Canceled { cancel_id } => Some(Self::Canceled(cancel_id)),
            CloseReason::Expired
            | CloseReason::Unaffordable
            | CloseReason::Amended
            | CloseReason::OcoTrigger
            | CloseReason::WorkingEnded
            | CloseReason::Unplaceable
            | CloseReason::ByVenue
            | CloseReason::OutOfRange => Some(Self::Expired),
            CloseReason::SelfTradePrevented => {
                Some(Self::Prevented(prevented.and_then(|prevented| Prevention::of(prevented, closed.order))))
            }
        }
    }
}

/// Collects the events of one command for the accounts that have subscribers, in the order in which they are published:
/// the steps of orders as they happen, then the balances that they changed.
#[derive(Debug, Default)]
pub struct AccountEvents {
    events: Vec<(AccountId, AccountEvent)>,
    positions: Vec<(AccountId, Vec<Balance>)>,
    /// The number before the scaling by partitions that the next report has at least.
    next: u64,
}

/// Numbers of reports that each command has for itself: 2^10. A command with more takes those of the next commands,
/// whose numbers then begin later, so numbers rise and none is used twice. With one partition they stay below 2^53,
/// where clients that read them as floats lose none, for 2^43 commands.
const REPORT_BITS: u32 = 10;

/// The number of the first report of the command at that place of the log of a partition, one of so many. An amendment
/// is known by it.
#[must_use]
pub fn execution_of(sequence: Sequence, partition: PartitionId, partitions: u16) -> u64 {
    scaled(sequence.0.saturating_mul(1 << REPORT_BITS), partition, partitions)
}

/// The first command from which on reports have at least that number; the opposite of [`execution_of`].
#[must_use]
pub fn sequence_of(execution: u64, partition: PartitionId, partitions: u16) -> Sequence {
    let unscaled = execution.saturating_sub(partition.0.into()).div_ceil(partitions.into());
    Sequence(unscaled.div_ceil(1 << REPORT_BITS))
}

fn scaled(number: u64, partition: PartitionId, partitions: u16) -> u64 {
    number.saturating_mul(partitions.into()).saturating_add(partition.0.into())
}

impl AccountEvents {
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
        let execution = scaled(self.next, partition, partitions);
        self.next = self.next.saturating_add(1);
        self.events.push((order.account, AccountEvent::Execution(Box::new(Report { order, step, time, execution }))));
    }

    /// An order list as it is now.
    pub fn list(&mut self, report: ListReport) {
        self.events.push((report.list.account, AccountEvent::List(Box::new(report))));
    }

    /// A transfer.
    pub fn transfer(&mut self, account: AccountId, time: Timestamp, asset: Asset, amount: Amount) {
        self.events.push((account, AccountEvent::Transfer { time, asset, amount }));
    }

    /// A new balance.
    pub fn balance(&mut self, account: AccountId, balance: Balance) {
        match self.positions.iter_mut().find(|(known, _)| *known == account) {
            Some((_, balances)) => balances.push(balance),
            None => self.positions.push((account, vec![balance])),
        }
    }

    /// Moves everything to `out` and is empty again.
    pub fn finish(&mut self, time: Timestamp, out: &mut Vec<(AccountId, AccountEvent)>) {
        out.append(&mut self.events);
        out.extend(
            self.positions.drain(..).map(|(account, balances)| (account, AccountEvent::Position { time, balances })),
        );
    }
}
