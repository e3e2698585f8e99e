//! The work budget of a command, and how the rest of its work continues.
//!
//! A price change may trigger a hundred thousand stop orders, and a cancel of all orders may find a million. Nobody
//! else can trade while a command is applied, so a command does a bounded part of such work ([`WorkBudget`]) and leaves
//! the rest with the market: the range of prices that trades have reached, and the cancels that are not finished. Both
//! are part of the canonical state.
//!
//! While some work is left, the partition has a message for itself
//! ([`Partition::continuation`](crate::Partition::continuation)),
//! [`PeerMessage::Continue`](crossbook_protocol::peer::PeerMessage::Continue). The runtime appends it to the
//! partition's own log, where it does the next part of one market's work; several markets take turns. It is numbered
//! like every message of a partition, so if two workers append it, or one appends it again after a failure, it takes
//! effect once; and a start from a snapshot or from the log alone has the same message to append.
//!
//! Meanwhile:
//!
//! - A pending stop order whose stop price a trade has reached is triggered, wherever the price moves until then. It
//!   enters the book when it is triggered, behind the orders that rest there by then; those nearest to the price come
//!   first, as in one command.
//! - A new stop order whose stop price is in the range that was reached would trigger at once, and is refused for that.
//!   So no order is triggered by an earlier trade.
//! - Orders trigger in an open market only. While a market is halted, the range waits with it.
//! - A cancel of all orders covers the orders that were open when it was accepted. Until they are cancelled they can
//!   still trade, trigger, or be cancelled one by one. The request is answered once, when none of them is left.
//! - Cancels of all orders take turns in a market: one that is not finished after a command's share goes behind the
//!   others.
//!
//! The check of a fill-or-kill order walks price levels, and its own account's orders in this market
//! (`Matcher::can_fill`). That counts: each [`WorkBudget::looks_per_step`] levels or orders are one more step. So
//! triggered orders of that kind with long walks are spread over more commands; the check of one order is not divided.
//!
//! Whether a market order can pay is checked at the first [`WorkBudget::levels_checked`] price levels only. An order
//! that can pay for these is accepted; where its money ends beyond them, the order ends too, and its rest expires. A
//! market order for a quote amount is checked further only up to the smallest order quantity.
//!
//! What is *not* bounded here: one order may trade with any number of resting orders, up to its size, because a part of
//! it cannot be deferred; the market's filters bound the size of an order and the number of orders of an account. That
//! also bounds one fill-or-kill check, and the walk over its own orders of a market order for a quote amount that
//! cancels them.

/// The bounds of what one command does. A step is an order triggered, a trade, an order that self-trade prevention
/// ended, or so many looks of the check of a fill-or-kill order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkBudget {
    /// A client's order triggers no further waiting order once its command has taken so many steps.
    pub triggers: u32,
    /// A cancel of all orders cancels so many by itself.
    pub cancels: u32,
    /// A command that continues deferred work does so many steps of triggers, and cancels so many orders.
    pub continued: u32,
    /// The check whether a market order can pay looks at so many price levels.
    pub levels_checked: u32,
    /// So many price levels or orders that the check of a fill-or-kill order looks at are one step more. At least 1.
    pub looks_per_step: u32,
    /// The ledger stores so many transfers one by one. Under rules before the third it stores all.
    pub transfers: u32,
    /// An order counts so many open orders of its account, where a limit was switched on after they were placed.
    pub counted: u32,
}

/// A transfer evicts at most so many of the oldest from the ledger, if there are more than it stores.
pub(crate) const FORGOTTEN_PER_TRANSFER: usize = 16;

impl WorkBudget {
    /// The bounds of the rules. They decide what a log replays to, so they are the same for the whole life of a venue.
    pub const RULES: Self = Self {
        triggers: 64,
        cancels: 256,
        continued: 256,
        levels_checked: 1_024,
        looks_per_step: 64,
        transfers: 1 << 18,
        counted: 1_024,
    };
}

impl Default for WorkBudget {
    fn default() -> Self {
        Self::RULES
    }
}
