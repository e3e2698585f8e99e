//! An order as its owner sees it, from its acceptance until after its end.

pub use crossbook_protocol::event::Prevention;
use crossbook_protocol::event::{CloseReason, OrderAmended, OrderImported, OrderPlaced, Trade};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    AccountId, Amount, AssetId, ClientOrderId, ExpiryReason, OptionalTimestamp, OrderId, OrderListId, OrderStatus,
    PreventedMatchId, Price, Quantity, Side, SymbolId, TimeInForce, Timestamp, TradeId,
};

/// An order and what has become of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The order id.
    pub order: OrderId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// What it asked for.
    pub terms: OrderTerms,
    /// What has become of it.
    pub status: OrderStatus,
    /// How much has traded.
    pub executed: Quantity,
    /// What that was worth, in the quote asset's smallest unit.
    pub executed_quote: Amount,
    /// When it was accepted.
    pub placed: Timestamp,
    /// When something last happened to it.
    pub updated: Timestamp,
    /// Since when it works; not yet, if it waits for its stop price.
    pub working_since: OptionalTimestamp,
    /// The client's name for the cancel that ended it.
    pub cancel_id: Option<ClientOrderId>,
    /// Why it expired.
    pub expiry: Option<ExpiryReason>,
    /// What self-trade prevention has taken from it. Rare, so it lies elsewhere.
    pub prevention: Option<Box<Prevention>>,
    /// What has become of what few orders ask for. Rare, so it lies elsewhere.
    pub progress: Option<Box<Progress>>,
}

/// What has become of what few orders ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Since when it trails the price.
    pub trailing_since: Option<Timestamp>,
    /// Of a pegged order that works: the price that it got.
    pub pegged_price: Option<Price>,
}

/// With more, an order and what finds it would need a line of memory more.
const _: () = assert!(size_of::<Order>() <= 240);

impl Order {
    pub(crate) fn placed(placed: &OrderPlaced, time: Timestamp) -> Self {
        let &OrderPlaced { order, account, ref terms } = placed;
        let pending = terms.list().is_some_and(|membership| membership.pending);
        let working_since = if terms.waits() || pending { OptionalTimestamp::NONE } else { time.into() };
        let status = if pending { OrderStatus::PendingNew } else { OrderStatus::New };
        Self::new(order, account, terms.clone(), status, working_since, time)
    }

    /// An order that was refused. It has no order id: that is 0, which none has.
    #[must_use]
    pub fn refused(order: &NewOrder, time: Timestamp) -> Self {
        Self::new(OrderId(0), order.account, order.terms.clone(), OrderStatus::Rejected, OptionalTimestamp::NONE, time)
    }

    /// An order of which nothing has traded.
    #[inline]
    fn new(
        order: OrderId,
        account: AccountId,
        terms: OrderTerms,
        status: OrderStatus,
        working_since: OptionalTimestamp,
        time: Timestamp,
    ) -> Self {
        Self {
            order,
            account,
            terms,
            status,
            executed: Quantity::ZERO,
            executed_quote: Amount::ZERO,
            placed: time,
            updated: time,
            working_since,
            cancel_id: None,
            expiry: None,
            prevention: None,
            progress: None,
        }
    }

    /// An open order as it stood where it comes from.
    pub(crate) fn moved_in(moved: &OrderImported) -> Self {
        let &OrderImported {
            ref placed,
            executed,
            executed_quote,
            placed_at,
            updated,
            working_since,
            trailing_since,
            ..
        } = moved;
        let order = Self::placed(placed, placed_at);
        let status = if executed.is_zero() { order.status } else { OrderStatus::PartiallyFilled };
        let progress = Progress { trailing_since, pegged_price: moved.pegged };
        let progress = (progress != Progress::default()).then(|| Box::new(progress));
        let (working_since, prevention) = (working_since.into(), moved.prevention.map(Box::new));
        Self { status, executed, executed_quote, updated, working_since, prevention, progress, ..order }
    }

    /// An open order as it goes elsewhere.
    pub(crate) fn to_move(&self) -> OrderImported {
        OrderImported {
            placed: OrderPlaced { order: self.order, account: self.account, terms: self.terms.clone() },
            executed: self.executed,
            executed_quote: self.executed_quote,
            placed_at: self.placed,
            updated: self.updated,
            working_since: self.working_since.get(),
            // Its market knows.
            amendments: 0,
            shown: None,
            trailing_since: self.trailing_since(),
            extreme: None,
            pegged: self.pegged_price(),
            prevention: self.prevention.as_deref().copied(),
        }
    }

    /// How much it was for. Of an order by quote amount: how much it has executed, since it names no quantity.
    #[must_use]
    pub fn original_quantity(&self) -> Quantity {
        match self.terms.size {
            Size::Base(quantity) => quantity,
            Size::Quote(_) => self.executed,
        }
    }

    /// Of an order by quote amount, that amount; otherwise nothing.
    #[must_use]
    pub fn original_quote(&self) -> Amount {
        match self.terms.size {
            Size::Base(_) => Amount::ZERO,
            Size::Quote(amount) => amount,
        }
    }

    /// Whether it may rest in the book, by its terms.
    #[must_use]
    pub fn may_rest(&self) -> bool {
        self.terms.order_type.has_limit_price() && self.terms.time_in_force == TimeInForce::Gtc
    }

    /// How much self-trade prevention has taken from it.
    #[must_use]
    pub fn prevented(&self) -> Quantity {
        self.prevention.as_ref().map_or(Quantity::ZERO, |prevention| prevention.quantity)
    }

    /// How much is left of it: what has neither traded nor been prevented; nothing of an order by quote amount.
    #[must_use]
    pub fn remaining(&self) -> Quantity {
        match self.terms.size {
            Size::Base(quantity) => quantity.minus(self.executed).minus(self.prevented()),
            Size::Quote(_) => Quantity::ZERO,
        }
    }

    /// Whether it can trade now: it is open and does not wait for its stop price.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.status.is_open() && self.working_since.is_some()
    }

    /// The order list that it belongs to.
    #[must_use]
    pub fn list(&self) -> Option<OrderListId> {
        self.terms.list().map(|membership| membership.list)
    }

    /// Folds that a pending order is placed, with that quantity.
    pub(crate) fn release(&mut self, quantity: Quantity, time: Timestamp) {
        assert!(self.status == OrderStatus::PendingNew, "order {} is placed once", self.order);
        self.status = OrderStatus::New;
        self.terms.size = Size::Base(quantity);
        self.pend_no_more();
        self.working_since = (!self.terms.waits()).then_some(time).into();
        self.updated = time;
    }

    /// It was placed, or has ended.
    fn pend_no_more(&mut self) {
        if let Some(membership) = self.terms.instructions.as_mut().and_then(|asked| asked.list.as_mut()) {
            membership.pending = false;
        }
    }

    pub(crate) fn trigger(&mut self, time: Timestamp) {
        assert!(!self.working_since.is_some(), "order {} is triggered once", self.order);
        self.working_since = time.into();
        self.updated = time;
    }

    /// Since when it trails the price.
    #[must_use]
    pub fn trailing_since(&self) -> Option<Timestamp> {
        self.progress.as_ref().and_then(|progress| progress.trailing_since)
    }

    /// Of a pegged order that works, or did: the price that it got.
    #[must_use]
    pub fn pegged_price(&self) -> Option<Price> {
        self.progress.as_ref().and_then(|progress| progress.pegged_price)
    }

    /// The price at which it may rest: the one that it names or, of a pegged order, the one that it got.
    #[must_use]
    pub fn limit(&self) -> Option<Price> {
        self.terms.limit().or(self.pegged_price())
    }

    pub(crate) fn peg(&mut self, price: Price, time: Timestamp) {
        let progress = self.progress.get_or_insert_default();
        assert!(progress.pegged_price.is_none(), "order {} is pegged once", self.order);
        progress.pegged_price = Some(price);
        self.updated = time;
    }

    pub(crate) fn begin_trailing(&mut self, time: Timestamp) {
        let progress = self.progress.get_or_insert_default();
        assert!(progress.trailing_since.is_none(), "order {} begins to trail once", self.order);
        progress.trailing_since = Some(time);
        self.updated = time;
    }

    pub(crate) fn trade(&mut self, trade: &Trade, time: Timestamp) {
        self.executed = self.executed.plus(trade.quantity);
        self.executed_quote = self.executed_quote.plus(trade.quote);
        self.updated = time;
        self.status = OrderStatus::PartiallyFilled;
        match self.terms.size {
            Size::Base(quantity) => {
                let done = self.executed.plus(self.prevented());
                assert!(done <= quantity, "order {} has traded more than it was for", self.order);
                if done == quantity {
                    self.status = OrderStatus::Filled;
                }
            }
            // Only the close decides whether another lot would fit.
            Size::Quote(amount) => {
                assert!(self.executed_quote <= amount, "order {} has traded more than it was for", self.order);
            }
        }
    }

    /// Folds that its quantity was lowered.
    pub(crate) fn amend(&mut self, amended: &OrderAmended, time: Timestamp) {
        // By how much it is lowered is what its market has seen to; the quantities are as the sender gave them.
        let less = amended.quantity_before.minus(amended.quantity);
        let quantity = self.original_quantity().minus(less);
        let done = self.executed.plus(self.prevented());
        assert!(quantity > done, "order {} is amended to no more than has traded", self.order);
        self.terms.size = Size::Base(quantity);
        self.terms.client_order_id = amended.client_order_id;
        self.updated = time;
    }

    /// Folds that self-trade prevention has taken some of it.
    pub(crate) fn prevent(&mut self, id: PreventedMatchId, quantity: Quantity, time: Timestamp) {
        let before = self.prevention.as_ref().map_or(Quantity::ZERO, |before| before.quantity);
        self.prevention = Some(Box::new(Prevention { quantity: before.plus(quantity), id }));
        self.updated = time;
    }

    pub(crate) fn close(&mut self, reason: CloseReason, time: Timestamp) {
        self.pend_no_more();
        self.updated = time;
        self.status = match reason {
            CloseReason::Filled => {
                let complete = self.remaining().is_zero();
                assert!(complete, "order {} closes as filled, but is not", self.order);
                OrderStatus::Filled
            }
            CloseReason::Canceled { cancel_id } => {
                self.cancel_id = Some(cancel_id);
                OrderStatus::Canceled
            }
            CloseReason::Expired => {
                self.expiry = Some(ExpiryReason::of_terms(self.terms.order_type, self.terms.time_in_force));
                OrderStatus::Expired
            }
            CloseReason::OcoTrigger => {
                self.expiry = Some(ExpiryReason::OcoTrigger);
                OrderStatus::Expired
            }
            CloseReason::WorkingEnded => {
                self.expiry = Some(ExpiryReason::WorkingEnded);
                OrderStatus::Expired
            }
            CloseReason::Unaffordable | CloseReason::Unplaceable => {
                self.expiry = Some(ExpiryReason::Rejected);
                OrderStatus::Expired
            }
            CloseReason::ByVenue => {
                self.expiry = Some(ExpiryReason::ExchangeCanceled);
                OrderStatus::Expired
            }
            CloseReason::OutOfRange => {
                self.expiry = Some(ExpiryReason::PriceRange);
                OrderStatus::Expired
            }
            CloseReason::SelfTradePrevented => OrderStatus::ExpiredInMatch,
            CloseReason::Amended => OrderStatus::Expired,
        };
    }
}

/// A trade as one of its two sides sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnTrade {
    /// The market.
    pub symbol: SymbolId,
    /// Its number there.
    pub trade: TradeId,
    /// The account's order.
    pub order: OrderId,
    /// The order list that the order belongs to, if it belongs to one.
    pub list: Option<OrderListId>,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Price x quantity in the quote asset's smallest unit.
    pub quote: Amount,
    /// What the account paid the venue.
    pub fee: Amount,
    /// In which asset: the one it received.
    pub fee_asset: AssetId,
    /// Whether the account bought or sold.
    pub side: Side,
    /// Whether its order was the resting one.
    pub maker: bool,
    /// Time of the trade.
    pub time: Timestamp,
}

wire_struct! {
    Order as {
        order,
        account,
        terms: OrderTerms {
            symbol, client_order_id, side, order_type, time_in_force, price, size, stop_price, self_trade_prevention,
            instructions,
        },
        status, executed, executed_quote, placed, updated, working_since, cancel_id, expiry, prevention,
        progress,
    } {
        0: order, 1: symbol, 2: account, 3: client_order_id, 4: side, 5: order_type, 6: time_in_force, 7: price,
        8: size, 9: stop_price, 10: self_trade_prevention, 11: status, 12: executed, 13: executed_quote, 14: placed,
        15: updated, 16: working_since, 17: cancel_id, 18: expiry, 19: prevention;
        optional 20: instructions, 30: progress,
    }
    Progress as { trailing_since, pegged_price } { ; optional 0: trailing_since, 1: pegged_price }
}
