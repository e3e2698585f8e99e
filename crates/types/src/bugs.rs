//! Planted bugs, to show that the simulator finds them. They exist only in a build with `--cfg crossbook_bugs`, and are
//! inactive there until a thread activates one for itself.

use std::cell::Cell;

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The node publishes the effects of a batch before it is on the disk.
    ToldBeforeSync,
    /// A command that was seen before has its effect again.
    NotDeduplicated,
    /// What is left in a hold is freed twice.
    ReleasedTwice,
    /// A process applies what is not confirmed.
    AppliedBeforeConfirmed,
    /// Conditional orders wait for the other side of their stop price.
    StopOnTheWrongSide,
    /// Fees are rounded down.
    FeeRoundedDown,
    /// A confirmation of what was there before counts for what was just read, too.
    BeforeCountsAsAll,
    /// When a connection breaks, messages between partitions that were on their way are forgotten.
    MailboxForgetsOnDisconnect,
    /// A message counts as received once it is in the receiver's log, though it may be lost again.
    DeliveredIsReceived,
    /// No process delivers the messages of one that has failed.
    NothingIsOverdue,
    /// What was read and not confirmed is kept when the connection breaks, though it may be lost.
    HeldAfterDisconnect,
    /// What an amended order needs no more stays held where its account is in another partition.
    AmendedHoldStays,
    /// An amended order goes to the end of its queue.
    AmendedGoesLast,
    /// An iceberg order shows all that is left of it once its first part has traded.
    RefillShowsAll,
    /// An order that replaces another counts on its funds, and does not get them.
    ReplacedHoldIsNotUsed,
    /// A partition that was refused while it moved is left out of turns for good.
    RefusedStaysAway,
    /// When a partition is refused, because it moves, the messages that wait for it are forgotten.
    RefusedForgetsMessages,
    /// What a resting order loses to self-trade prevention stays held for it.
    PreventedHoldStays,
    /// An average price counts every trade as one lot.
    AverageWithoutWeights,
    /// What a buy order has brought still counts as to come.
    ReceivedStaysIncoming,
    /// An account's tax is not charged.
    TaxIsForgotten,
    /// The present day counts for the tiers of fees, too.
    TodayCountsForTiers,
    /// When one order of a pair begins to run, what only the other one needs stays held.
    PairHoldStays,
    /// Pending orders of a list stay when its working order ends without being filled.
    PendingOutlivesWorking,
    /// A trailing stop does not see prices that are farther than its extreme.
    ExtremeStays,
    /// A pegged order takes the price level behind the one that it asks for.
    PegOneFurther,
    /// A circuit breaker lets the price fall as far as it may.
    BreakerSeesRisesOnly,
    /// An auction takes the lowest bid that trades for its price.
    AuctionAtTheBid,
    /// An order that has waited for its stop price is in no trade group any more.
    TriggeredLeavesGroup,
    /// What changes hands within a trade group is paid, and does not arrive where the accounts are in two partitions.
    TransferLost,
    /// One of a pair that begins to trail the price ends the other.
    BeginningEndsPair,
    /// What a list does not need at the price that the book gives one of its orders stays held.
    PeggedListHoldStays,
    /// A countdown that passed leaves the orders of other partitions open.
    CountdownStaysHome,
    /// What was held for the fees of an order that has ended stays held where the account is in another partition.
    DiscountReserveStays,
    /// A fee in the asset of the discount is rounded up for each trade.
    DiscountRoundedByTrade,
    /// What was held for the fees of the other orders of a list stays held when these end with it.
    ListReserveStays,
    /// The execution rule of a market bounds no order that sells.
    RangeOfBuyersOnly,
    /// The oldest trades of a mean count whole until the last of their bucket has left the window.
    MeanKeepsOldest,
    /// What an operator asked for is not in the operator log if it was refused.
    RefusedIsNotNoted,
    /// What was open when a limit of its account was switched on does not count for it.
    OpenIsNotCounted,
    /// Orders of a delisted market stay that wait or are pending once no other is left.
    DelistedWaitingStay,
    /// The pending orders of a list see all that the market traded at in the command that filled their working order.
    PendingSeesBeforeFill,
    /// Money is paid out of a frozen account.
    FrozenPaysOut,
    /// A frozen account keeps its orders in markets of other partitions.
    FrozenTradesElsewhere,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 44] = [
        Self::ToldBeforeSync,
        Self::NotDeduplicated,
        Self::ReleasedTwice,
        Self::AppliedBeforeConfirmed,
        Self::StopOnTheWrongSide,
        Self::FeeRoundedDown,
        Self::BeforeCountsAsAll,
        Self::MailboxForgetsOnDisconnect,
        Self::DeliveredIsReceived,
        Self::NothingIsOverdue,
        Self::HeldAfterDisconnect,
        Self::AmendedHoldStays,
        Self::AmendedGoesLast,
        Self::RefillShowsAll,
        Self::ReplacedHoldIsNotUsed,
        Self::RefusedStaysAway,
        Self::RefusedForgetsMessages,
        Self::PreventedHoldStays,
        Self::AverageWithoutWeights,
        Self::ReceivedStaysIncoming,
        Self::TaxIsForgotten,
        Self::TodayCountsForTiers,
        Self::PairHoldStays,
        Self::PendingOutlivesWorking,
        Self::ExtremeStays,
        Self::PegOneFurther,
        Self::BreakerSeesRisesOnly,
        Self::AuctionAtTheBid,
        Self::TriggeredLeavesGroup,
        Self::TransferLost,
        Self::BeginningEndsPair,
        Self::PeggedListHoldStays,
        Self::CountdownStaysHome,
        Self::DiscountReserveStays,
        Self::DiscountRoundedByTrade,
        Self::ListReserveStays,
        Self::RangeOfBuyersOnly,
        Self::MeanKeepsOldest,
        Self::RefusedIsNotNoted,
        Self::OpenIsNotCounted,
        Self::DelistedWaitingStay,
        Self::PendingSeesBeforeFill,
        Self::FrozenPaysOut,
        Self::FrozenTradesElsewhere,
    ];
}

thread_local! {
    static AWAKE: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Wakes a bug for this thread, and lets all others sleep.
pub fn plant(bug: Option<Bug>) {
    AWAKE.set(bug);
}

/// Whether this bug is awake in this thread.
#[must_use]
pub fn is_planted(bug: Bug) -> bool {
    AWAKE.get() == Some(bug)
}
