//! Messages between partitions.
//!
//! An order of an account in partition *a* for a market in partition *b* is sent in both directions: *a* checks the
//! account, holds the funds and sends [`PeerMessage::Admit`]; *b* matches and answers with one [`PeerMessage::Settle`]
//! per side of each trade and one [`PeerMessage::Release`] when an order ends. When both are the same partition nothing
//! is sent: the same code carries out the request of the message at once.
//!
//! Only *a* knows money; only *b* knows the book. What *b* needs of the account is in the message (the budget, the fee
//! rates, the id of the hold), and what *a* needs of a trade is returned as final amounts.

use crossbook_types::{
    AccountId, Amount, AssetId, Fees, HoldId, OrderId, PartitionId, RequestNumber, SourceId, SymbolId, Timestamp,
};

use crate::counted::Counted;
use crate::order::{AmendOrder, CancelAll, CancelOrder, NewOrder, OrderDiscount, ReplaceOrder};
use crate::order_list::{CancelList, NewList};
use crate::registry::Change;
use crate::session::SessionRequest;

/// The client command that a message goes back to, for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Who asked.
    pub source: SourceId,
    /// As which of its commands.
    pub number: RequestNumber,
}

impl Origin {
    /// The origin of work that no client has asked for, such as the cancels of a countdown that has passed. No source
    /// numbers a command 0, so nobody waits for an answer to it.
    pub const NOBODY: Self = Self { source: SourceId::IMPORT_END, number: RequestNumber(0) };
}

/// A message and where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// The partition that owns what the message is about.
    pub to: PartitionId,
    /// The sender's count of its messages to that partition, from 1. The receiver takes them in this order, each once.
    pub number: RequestNumber,
    /// The deadline of the client's request that the message passes on, for the record of the receiver; see
    /// [`Command::deadline`](crate::Command::deadline). Only [`PeerMessage::is_request`] messages have one.
    pub deadline: Option<Timestamp>,
    /// The message.
    pub message: PeerMessage,
}

/// What one partition asks of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerMessage {
    /// The registry changed.
    Registry(Change),
    /// An order whose funds are held: match it.
    Admit(Admitted),
    /// An account wants an order cancelled.
    Cancel {
        /// What it asked.
        request: CancelOrder,
        /// For the answer.
        origin: Origin,
    },
    /// An account wants all its orders in a market cancelled.
    CancelAll {
        /// What it asked.
        request: CancelAll,
        /// For the answer.
        origin: Origin,
    },
    /// One side of a trade: move the money.
    Settle(Settlement),
    /// An order has ended: free what it still holds.
    Release {
        /// The account that it belongs to.
        account: AccountId,
        /// What was held for it.
        hold: HoldId,
    },
    /// A countdown has passed: cancel the open orders of an account.
    CancelOrders {
        /// The account.
        account: AccountId,
        /// Those in this market of the receiver; `None`: those in all of its markets.
        symbol: Option<SymbolId>,
    },
    /// An account was frozen: cancel its open orders in all markets of the receiver.
    CancelFrozen {
        /// The account.
        account: AccountId,
    },
    /// Go on with what earlier commands have left. The one message that a partition sends itself; see
    /// `crossbook_engine::work_budget`.
    Continue,
    /// An account wants the quantity of an order lowered.
    Amend {
        /// What it asked.
        request: AmendOrder,
        /// For the answer.
        origin: Origin,
    },
    /// An order list whose funds are held: match it.
    AdmitList(Box<AdmittedList>),
    /// An account wants an order list cancelled.
    CancelList {
        /// What it asked.
        request: CancelList,
        /// For the answer.
        origin: Origin,
    },
    /// One side of a trade of an order that pays for others: move the money, and hold what is received.
    SettleInto {
        /// What to move.
        settlement: Settlement,
        /// What holds the funds of the others.
        into: HoldId,
    },
    /// An order is for less than before, or costs less: free a part of what is held for it.
    Reduce {
        /// The account that it belongs to.
        account: AccountId,
        /// What was held for it.
        hold: HoldId,
        /// How much of that.
        amount: Amount,
    },
    /// An account wants an order cancelled and another placed.
    Replace(Box<Replacing>),
    /// An order that replaces another takes over a part of its funds.
    Shift {
        /// The account that both belong to.
        account: AccountId,
        /// What was held for the order that is cancelled.
        from: HoldId,
        /// What is held for the new one.
        to: HoldId,
        /// How much of the first becomes part of the second.
        amount: Amount,
    },
    /// A trade's fee is paid in the asset of the discount: the venue gets it out of what is held for the order.
    PayFee {
        /// The account that it belongs to.
        account: AccountId,
        /// What is held for its fees.
        hold: HoldId,
        /// How much of that.
        amount: Amount,
    },
    /// A market's session is to change.
    Session {
        /// What is to change.
        request: SessionRequest,
        /// For the answer.
        origin: Origin,
    },
    /// A limit was switched on while an account had orders open: say what they count for.
    CountOrders {
        /// The account.
        account: AccountId,
        /// What it may come to have of the base asset of a market; `None`: the filters of the venue.
        limit: Option<SymbolId>,
        /// The market and the number of the order from which on to count.
        from: (SymbolId, OrderId),
    },
    /// What an account has open counts for a limit.
    OrdersCounted {
        /// The account.
        account: AccountId,
        /// What it may come to have of the base asset of a market; `None`: the filters of the venue.
        limit: Option<SymbolId>,
        /// What its holds count for.
        holds: Vec<(HoldId, Counted)>,
        /// With which order to go on, if there are more.
        next: Option<(SymbolId, OrderId)>,
    },
}

impl PeerMessage {
    /// Whether it passes on a client's request, so that the receiver refuses it when the request's deadline has passed.
    /// Everything else is a consequence of what has happened already and is always applied.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Self::Admit(_)
                | Self::Cancel { .. }
                | Self::CancelAll { .. }
                | Self::Amend { .. }
                | Self::Replace(_)
                | Self::AdmitList(_)
                | Self::CancelList { .. }
                | Self::Session { .. }
        )
    }
}

/// An order that is sent to its market.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// The order.
    pub order: NewOrder,
    /// What holds its funds.
    pub hold: HoldId,
    /// How much it holds, in the asset that the order pays. The order spends no more.
    pub budget: Amount,
    /// The fee rates that hold for this order.
    pub fees: Fees,
    /// For the answer.
    pub origin: Origin,
}

/// An order that replaces another, sent to their market.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacing {
    /// What the account asked.
    pub request: ReplaceOrder,
    /// What holds the free funds that the new order needs.
    pub hold: HoldId,
    /// How much is in it.
    pub budget: Amount,
    /// How much the new order needs. What is missing comes from the order that it replaces.
    pub need: Amount,
    /// Whether the new order is refused if that does not suffice. If not, it trades what it can pay.
    pub whole: bool,
    /// The fee rates that hold for the new order.
    pub fees: Fees,
    /// For the answer.
    pub origin: Origin,
}

/// What the account's partition has settled about an order, for its market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Funding {
    /// What holds its funds.
    pub hold: HoldId,
    /// How much it holds, in the asset that the order pays.
    pub budget: Amount,
    /// The fee rates that hold for this order.
    pub fees: Fees,
}

impl Admitted {
    /// An order that is sent to its market, with the values that the account's partition has settled for it.
    #[must_use]
    #[inline]
    pub fn new(order: NewOrder, funding: Funding, origin: Origin) -> Self {
        let Funding { hold, budget, fees } = funding;
        Self { order, hold, budget, fees, origin }
    }

    /// What the account's partition has settled about it.
    #[must_use]
    #[inline]
    pub fn funding(&self) -> Funding {
        Funding { hold: self.hold, budget: self.budget, fees: self.fees }
    }
}

/// An order list that is sent to its market.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdmittedList {
    /// The list.
    pub list: NewList,
    /// What the account's partition has settled about it.
    pub funding: ListFunding,
    /// For the answer.
    pub origin: Origin,
}

/// What the account's partition has settled about an order list, for its market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListFunding {
    /// What holds the funds of the working order, if there is one, and how much it holds.
    pub working: Option<(HoldId, Amount)>,
    /// What holds the funds of the other order, or of both orders of the pair: only one of them is ever carried out.
    pub hold: HoldId,
    /// How much that holds: what the more expensive one needs. Nothing yet, if what the working order receives is to
    /// pay for them.
    pub held: Amount,
    /// The fee rates that hold for all orders of the list.
    pub fees: Fees,
    /// What pays the fees of the working order in the asset of the discount, if something is held for them.
    pub working_discount: Option<OrderDiscount>,
    /// The same for the other orders together: the fees of the more expensive one are held.
    pub discount: Option<OrderDiscount>,
}

impl ListFunding {
    /// All that is held for the list.
    pub fn holds(&self) -> impl Iterator<Item = HoldId> {
        let for_fees = [self.working_discount, self.discount].into_iter().flatten().map(|discount| discount.hold);
        self.working.map(|(hold, _)| hold).into_iter().chain([self.hold]).chain(for_fees)
    }
}

/// One side of a trade, in finished amounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// The account that it belongs to.
    pub account: AccountId,
    /// What holds the order's funds.
    pub hold: HoldId,
    /// The market, for what is paid and what is received.
    pub symbol: SymbolId,
    /// What is paid.
    pub pay_asset: AssetId,
    /// How much of it leaves the hold.
    pub pay: Amount,
    /// How much more the hold no longer needs: the trade was better than the limit.
    pub improvement: Amount,
    /// What is received.
    pub receive_asset: AssetId,
    /// How much of it arrives, before the fee.
    pub receive: Amount,
    /// What of that goes to the venue.
    pub fee: Amount,
    /// Whether it is no trade: what changes hands within a trade group, and counts for nobody's volume.
    pub transfer: bool,
}
