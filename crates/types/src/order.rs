//! The words of an order: which side, which kind, how long, and what has become of it. `as_str` gives the name that the
//! client API uses.

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

    /// For a conditional order, whether it triggers when the last price rises to its stop price (otherwise: falls to it).
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
        /// They trade.
        None = "NONE",
        /// The taker's rest expires.
        ExpireTaker = "EXPIRE_TAKER",
        /// The resting order expires and the taker goes on.
        ExpireMaker = "EXPIRE_MAKER",
        /// Both expire.
        ExpireBoth = "EXPIRE_BOTH",
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
        /// Some of it traded, the rest still works.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// All of it traded.
        Filled = "FILLED",
        /// Ended by its owner or the operator.
        Canceled = "CANCELED",
        /// Never accepted.
        Rejected = "REJECTED",
        /// Ended by its own terms: time in force, or no liquidity.
        Expired = "EXPIRED",
        /// Ended by self-trade prevention.
        ExpiredInMatch = "EXPIRED_IN_MATCH",
    }
}

impl OrderStatus {
    /// Whether the order still works or waits to.
    #[must_use]
    #[inline]
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}
