//! How the shapes of an old version are written down: as types of their own, which stay what they were when today's
//! change, and become today's by [`Upgrade`].
//!
//! What is only ever added to at its end (identifiers, numbers, names, and enums without fields) is shared with today's
//! vocabulary; it is in the list of [`unchanged`] values below.

use crate::{Cause, Refusal};
use crossbook_types::{
    AccountId, Amount, ApiKeyId, AssetId, AssetName, CancelRestriction, ClientOrderId, Decimal, FeeRate, HoldId,
    MarketStatus, OrderId, OrderType, PartitionId, Price, Quantity, RequestNumber, SelfTradePrevention, Sequence, Side,
    SourceId, SymbolId, SymbolName, TimeInForce, Timestamp, TradeId, TransferId,
};

/// A value in the shape that an old version gave it.
pub(crate) trait Upgrade {
    /// Its shape today.
    type Today;

    /// The same in today's shape. What the old version could not say is what the old version did.
    fn upgrade(self) -> Self::Today;
}

macro_rules! unchanged {
    ($($name:ty),+ $(,)?) => { $(
        impl Upgrade for $name {
            type Today = Self;

            fn upgrade(self) -> Self {
                self
            }
        }
    )+ };
}

unchanged!(bool, u8, u32, u64, i128, String, [u8; 32]);
unchanged!(AccountId, AssetId, SymbolId, OrderId, TradeId, HoldId, PartitionId, Sequence, SourceId, RequestNumber);
unchanged!(Timestamp, Price, Quantity, Amount, Decimal, FeeRate);
unchanged!(AssetName, SymbolName, ClientOrderId, TransferId, ApiKeyId);
unchanged!(Side, OrderType, TimeInForce, SelfTradePrevention, CancelRestriction, MarketStatus);
unchanged!(Cause, Refusal);

impl<T: Upgrade> Upgrade for Option<T> {
    type Today = Option<T::Today>;

    fn upgrade(self) -> Self::Today {
        self.map(T::upgrade)
    }
}

impl<T: Upgrade> Upgrade for Box<T> {
    type Today = Box<T::Today>;

    fn upgrade(self) -> Self::Today {
        Box::new((*self).upgrade())
    }
}

impl<T: Upgrade> Upgrade for Vec<T> {
    type Today = Vec<T::Today>;

    fn upgrade(self) -> Self::Today {
        self.into_iter().map(T::upgrade).collect()
    }
}

impl<A: Upgrade, B: Upgrade> Upgrade for (A, B) {
    type Today = (A::Today, B::Today);

    fn upgrade(self) -> Self::Today {
        (self.0.upgrade(), self.1.upgrade())
    }
}

/// `struct Name => path::of::Today { field: Type, ...; new_field = value, ... }`: a frozen struct, and what the fields
/// are today that it had not.
macro_rules! frozen_structs {
    ($($(#[$doc:meta])* struct $name:ident => $($today:ident)::+ {
        $($field:ident: $type:ty),* $(,)? $(; $($new:ident = $value:expr),+ $(,)?)?
    })+) => { $(
        $(#[$doc])*
        #[derive(Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }

        impl Upgrade for $name {
            type Today = $($today)::+;

            fn upgrade(self) -> Self::Today {
                use $($today)::+ as Today;
                Today { $($field: self.$field.upgrade(),)* $($($new: $value,)+)? }
            }
        }
    )+ };
}

/// The same for an enum. A variant is `Unit`, `Tuple(name: Type)`, or `Struct { field: Type, ...; new_field = value,
/// ... }`.
macro_rules! frozen_enums {
    ($($(#[$doc:meta])* enum $name:ident => $($today:ident)::+ {
        $($variant:ident
            $(($inner:ident: $inner_type:ty))?
            $({ $($field:ident: $type:ty),* $(,)? $(; $($new:ident = $value:expr),+ $(,)?)? })?
        ),* $(,)?
    })+) => { $(
        $(#[$doc])*
        #[derive(Deserialize)]
        pub(crate) enum $name { $($variant $(($inner_type))? $({ $($field: $type),* })?),* }

        impl Upgrade for $name {
            type Today = $($today)::+;

            fn upgrade(self) -> Self::Today {
                use $($today)::+ as Today;
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? =>
                        Today::$variant
                            $(($inner.upgrade()))?
                            $({ $($field: $field.upgrade(),)* $($($new: $value,)+)? })?),*
                }
            }
        }
    )+ };
}

pub(crate) use {frozen_enums, frozen_structs};
