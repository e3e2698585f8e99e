//! Short names that travel in commands and events: fixed capacity, stored inline, checked when made.

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// More characters than the kind of name allows.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A character outside the allowed set.
    #[error("has a character that is not allowed")]
    IllegalCharacter,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $capacity:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
        #[serde(transparent)]
        pub struct $name(ArrayString<$capacity>);

        impl $name {
            /// The most characters it can have.
            pub const CAPACITY: usize = $capacity;

            /// Checks `text` and takes it.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character outside the allowed set.
            pub fn new_checked(text: &str) -> Result<Self, Error> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() {
                    return Err(Error::Empty);
                }
                if text.len() > $capacity {
                    return Err(Error::TooLong($capacity));
                }
                if !text.bytes().all(allowed) {
                    return Err(Error::IllegalCharacter);
                }
                ArrayString::from(text).map(Self).map_err(|_| Error::TooLong($capacity))
            }

            /// The name as text.
            #[must_use]
            #[inline]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = ArrayString::<$capacity>::deserialize(deserializer)?;
                Self::new_checked(text.as_str()).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// An asset's name, such as `BTC`.
    AssetName, 16, |b| b.is_ascii_uppercase() || b.is_ascii_digit()
}
name! {
    /// A market's name, such as `BTCUSDT`.
    SymbolName, 20, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_.".contains(&b)
}
name! {
    /// A client's own name for an order, unique among that account's open orders of a market.
    ClientOrderId, 36, |b| b.is_ascii_alphanumeric() || b".:/_-".contains(&b)
}
name! {
    /// An operator's own name for a deposit or withdrawal, unique within an account; what makes transfers idempotent.
    TransferId, 64, |b| b.is_ascii_graphic()
}
name! {
    /// The public half of an API credential.
    ApiKeyId, 64, |b| b.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_when_made() {
        assert_eq!(ClientOrderId::new_checked("a-b_c:/.9").unwrap().as_str(), "a-b_c:/.9");
        assert_eq!(ClientOrderId::new_checked(""), Err(Error::Empty));
        assert_eq!(ClientOrderId::new_checked(&"x".repeat(37)), Err(Error::TooLong(36)));
        assert_eq!(ClientOrderId::new_checked("white space"), Err(Error::IllegalCharacter));
        assert_eq!(AssetName::new_checked("btc"), Err(Error::IllegalCharacter));
    }
}
