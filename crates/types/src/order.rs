//! The enums of an order: side, type, time in force, status. `as_str` returns the name in the client API.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the client API.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value with that name on the client API.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Which way an order trades.
    Side {
        /// Gets the base asset, pays the quote asset.
        Buy = "BUY",
        /// Gets the quote asset, pays the base asset.
        Sell = "SELL",
    }
}

impl Side {
    /// The other side.
    #[must_use]
    #[inline]
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

words! {
    /// The kind of an order.
    OrderType {
        /// Trades at its price or better; the rest rests, or ends, by its time in force.
        Limit = "LIMIT",
        /// Trades at whatever price there is; the rest ends.
        Market = "MARKET",
        /// Rests, or is refused if it would trade at once.
        LimitMaker = "LIMIT_MAKER",
        /// Becomes a market order when the price moves against its holder to the stop price.
        StopLoss = "STOP_LOSS",
        /// Becomes a limit order when the price moves against its holder to the stop price.
        StopLossLimit = "STOP_LOSS_LIMIT",
        /// Becomes a market order when the price moves in its holder's favour to the stop price.
        TakeProfit = "TAKE_PROFIT",
        /// Becomes a limit order when the price moves in its holder's favour to the stop price.
        TakeProfitLimit = "TAKE_PROFIT_LIMIT",
    }
}

impl OrderType {
    /// Whether it waits for a stop price before it works.
    #[must_use]
    #[inline]
    pub fn is_conditional(self) -> bool {
        matches!(self, Self::StopLoss | Self::StopLossLimit | Self::TakeProfit | Self::TakeProfitLimit)
    }

    /// Whether it carries a limit price.
    #[must_use]
    #[inline]
    pub fn has_limit_price(self) -> bool {
        matches!(self, Self::Limit | Self::LimitMaker | Self::StopLossLimit | Self::TakeProfitLimit)
    }

    /// For a conditional order, whether it triggers when the last price rises to its stop price (otherwise: falls to
    /// it).
    #[must_use]
    #[inline]
    pub fn triggers_on_rise(self, side: Side) -> bool {
        match self {
            Self::StopLoss | Self::StopLossLimit => side == Side::Buy,
            Self::TakeProfit | Self::TakeProfitLimit => side == Side::Sell,
            Self::Limit | Self::Market | Self::LimitMaker => false,
        }
    }
}

words! {
    /// How long an order works.
    TimeInForce {
        /// Until it is filled or cancelled.
        Gtc = "GTC",
        /// Fills what it can at once; the rest expires.
        Ioc = "IOC",
        /// Fills whole at once, or expires whole.
        Fok = "FOK",
    }
}

words! {
    /// What happens when an order would trade with another of the same account. The taker's choice decides.
    SelfTradePrevention {
        /// The orders trade.
        None = "NONE",
        /// The taker's rest expires.
        ExpireTaker = "EXPIRE_TAKER",
        /// The resting order expires and the taker continues.
        ExpireMaker = "EXPIRE_MAKER",
        /// Both orders expire.
        ExpireBoth = "EXPIRE_BOTH",
        /// Both orders lose what they would have traded; what is left of them continues.
        Decrement = "DECREMENT",
        /// Between orders of two accounts of a trade group, if both have this mode, what they would have traded changes
        /// hands as in a trade, without being one and without fees; both lose it as with [`Self::Decrement`], which is
        /// what applies otherwise.
        Transfer = "TRANSFER",
    }
}

impl SelfTradePrevention {
    /// Whether the taker's rest expires when it meets an order of its own account.
    #[must_use]
    #[inline]
    pub fn expires_taker(self) -> bool {
        matches!(self, Self::ExpireTaker | Self::ExpireBoth)
    }

    /// Whether the resting order expires when it meets an order of its own account.
    #[must_use]
    #[inline]
    pub fn expires_maker(self) -> bool {
        matches!(self, Self::ExpireMaker | Self::ExpireBoth)
    }

    /// Whether both orders lose what they would have traded, and no more.
    #[must_use]
    #[inline]
    pub fn decrements(self) -> bool {
        matches!(self, Self::Decrement | Self::Transfer)
    }

    /// Whether a prevented match takes something from the taker.
    #[must_use]
    pub fn takes_from_taker(self) -> bool {
        self.expires_taker() || self.decrements()
    }

    /// Whether a prevented match takes something from the resting order.
    #[must_use]
    pub fn takes_from_maker(self) -> bool {
        self.expires_maker() || self.decrements()
    }

    fn bit(self) -> u8 {
        match self {
            Self::None => 1,
            Self::ExpireTaker => 2,
            Self::ExpireMaker => 4,
            Self::ExpireBoth => 8,
            Self::Decrement => 16,
            Self::Transfer => 32,
        }
    }
}

/// Which modes of self-trade prevention a market's orders may have, and which one those have that name none. The
/// default is always one of the allowed ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SelfTradeRules {
    default: SelfTradePrevention,
    /// A bit for each mode.
    allowed: u8,
}

impl SelfTradeRules {
    /// Every mode is allowed, and orders that name none have none.
    pub const ALL: Self = Self { default: SelfTradePrevention::None, allowed: 0b11_1111 };

    /// The same of the modes that there were before [`SelfTradePrevention::Decrement`]: what markets have whose records
    /// name none.
    pub const FIRST: Self = Self { default: SelfTradePrevention::None, allowed: 0b1111 };

    /// These modes, and `default` for orders that name none; `None` if `default` is not among them.
    #[must_use]
    pub fn new_checked(
        default: SelfTradePrevention,
        allowed: impl IntoIterator<Item = SelfTradePrevention>,
    ) -> Option<Self> {
        let allowed = allowed.into_iter().fold(0, |bits, mode| bits | mode.bit());
        let rules = Self { default, allowed };
        rules.allows(default).then_some(rules)
    }

    /// The mode of orders that name none.
    #[must_use]
    pub fn default_mode(self) -> SelfTradePrevention {
        self.default
    }

    /// Whether an order may have that mode.
    #[must_use]
    #[inline]
    pub fn allows(self, mode: SelfTradePrevention) -> bool {
        self.allowed & mode.bit() != 0
    }

    /// The modes that an order may have, in order of declaration.
    pub fn allowed(self) -> impl Iterator<Item = SelfTradePrevention> {
        SelfTradePrevention::ALL.iter().copied().filter(move |&mode| self.allows(mode))
    }
}

impl SelfTradeRules {
    /// The default mode, and a bit for each mode that is allowed, as a record has them.
    #[must_use]
    pub fn to_record(self) -> (SelfTradePrevention, u8) {
        (self.default, self.allowed)
    }

    /// The rules of a record; `None` if their default is not allowed, or a bit is no mode's.
    #[must_use]
    pub fn from_record((default, allowed): (SelfTradePrevention, u8)) -> Option<Self> {
        let rules = Self { default, allowed };
        (rules.allows(default) && allowed & !Self::ALL.allowed == 0).then_some(rules)
    }
}

impl Default for SelfTradeRules {
    fn default() -> Self {
        Self::ALL
    }
}

words! {
    /// What must be true of an order for its cancel to be wanted.
    CancelRestriction {
        /// None of it has traded.
        OnlyNew = "ONLY_NEW",
        /// Some of it has.
        OnlyPartiallyFilled = "ONLY_PARTIALLY_FILLED",
    }
}

impl CancelRestriction {
    /// Whether an open order may be cancelled, by whether any of it has traded.
    #[must_use]
    #[inline]
    pub fn allows(self, traded: bool) -> bool {
        traded == (self == Self::OnlyPartiallyFilled)
    }
}

words! {
    /// What has become of an order.
    OrderStatus {
        /// Accepted, nothing traded yet.
        New = "NEW",
        /// It belongs to an order list and waits for the list's working order to be filled.
        PendingNew = "PENDING_NEW",
        /// Some of it traded, the rest still works.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// All of it traded.
        Filled = "FILLED",
        /// Ended by its owner or the operator.
        Canceled = "CANCELED",
        /// The order was never accepted.
        Rejected = "REJECTED",
        /// Ended by its own terms: time in force, or no liquidity.
        Expired = "EXPIRED",
        /// Ended by self-trade prevention.
        ExpiredInMatch = "EXPIRED_IN_MATCH",
    }
}

words! {
    /// Why the matching engine refused an order, as far as its owner is sent a report of it.
    RejectReason {
        /// The account has too little of what the order pays.
        InsufficientBalances = "INSUFFICIENT_BALANCES",
        /// The stop price is reached already.
        WouldTrigger = "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
        /// A maker-only order would trade at once.
        WouldMatch = "WOULD_MATCH_IMMEDIATELY",
    }
}

words! {
    /// Why an order expired.
    ExpiryReason {
        /// It was triggered, and could not be carried out: what was held for it did not suffice.
        Rejected = "REJECTED",
        /// The rest of an IOC order.
        UnfilledIoc = "UNFILLED_IOC_QUANTITY_EXPIRED",
        /// A FOK order that could not be filled whole.
        UnfilledFok = "UNFILLED_FOK_ORDER_EXPIRED",
        /// The book had too few orders for a market order.
        InsufficientLiquidity = "INSUFFICIENT_LIQUIDITY",
        /// The other order of its pair traded, was triggered, or ended.
        OcoTrigger = "OCO_TRIGGER",
        /// The working order of its list ended before it was filled.
        WorkingEnded = "OTO_PHASE_ONE_EXPIRED",
        /// The venue ended it, for a reason that is not the order's.
        ExchangeCanceled = "EXCHANGE_CANCELED",
        /// It came to a price at which the market's execution rule lets no order of its side trade.
        PriceRange = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
    }
}

impl ExpiryReason {
    /// Why an order of these terms expires by its own terms.
    #[must_use]
    pub fn of_terms(order_type: OrderType, time_in_force: TimeInForce) -> Self {
        match (order_type, time_in_force) {
            (OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit, _) => Self::InsufficientLiquidity,
            (_, TimeInForce::Ioc) => Self::UnfilledIoc,
            (_, TimeInForce::Fok) => Self::UnfilledFok,
            (_, TimeInForce::Gtc) => Self::Rejected,
        }
    }
}

impl OrderStatus {
    /// Whether the order still works or waits to.
    #[must_use]
    #[inline]
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PendingNew | Self::PartiallyFilled)
    }
}

words! {
    /// The kind of an order list.
    ListKind {
        /// A pair: when one of them runs, the other ends.
        Oco = "OCO",
        /// A working order, and one that is placed when it is filled.
        Oto = "OTO",
        /// A working order, and a pair that is placed when it is filled.
        Otoco = "OTOCO",
        /// A working order that buys, and one that sells what it has bought.
        Opo = "OPO",
        /// A working order that buys, and a pair that sells what it has bought.
        Opoco = "OPOCO",
    }
}

impl ListKind {
    /// Whether it begins with a working order, for which the others wait.
    #[must_use]
    #[inline]
    pub fn has_working_order(self) -> bool {
        self != Self::Oco
    }

    /// Whether it has, or ends with, a pair.
    #[must_use]
    #[inline]
    pub fn has_pair(self) -> bool {
        matches!(self, Self::Oco | Self::Otoco | Self::Opoco)
    }

    /// Whether what the working order receives pays for the others.
    #[must_use]
    #[inline]
    pub fn pays_on(self) -> bool {
        matches!(self, Self::Opo | Self::Opoco)
    }

    /// How many orders it has.
    #[must_use]
    #[inline]
    pub fn orders(self) -> usize {
        usize::from(self.has_working_order()) + if self.has_pair() { 2 } else { 1 }
    }

    /// What clients see as its contingency type.
    #[must_use]
    pub fn contingency(self) -> &'static str {
        if self.has_working_order() { "OTO" } else { "OCO" }
    }
}

words! {
    /// What has become of an order list.
    ListStatus {
        /// Some of its orders are open.
        Executing = "EXECUTING",
        /// None is.
        AllDone = "ALL_DONE",
    }
}
