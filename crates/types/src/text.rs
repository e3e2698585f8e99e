//! Short names in commands and events: fixed capacity, stored inline, validated on construction.

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// More bytes of UTF-8 than the kind of name allows.
    #[error("must have at most {0} bytes")]
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
            /// The most bytes it can have.
            pub const CAPACITY: usize = $capacity;

            /// Checks `text` and takes it.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character outside the allowed set.
            pub fn new_checked(text: &str) -> Result<Self, Error> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() {
                    return Err(Error::Empty);
                }
                if text.len() > $capacity {
                    return Err(Error::TooLong($capacity));
                }
                if !text.chars().all(allowed) {
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

/// What is no ASCII in the name of an asset or a market. Logs are read with this, so it must never take less than it
/// did: which letters there are, and which of them are capitals, is a matter of the Unicode version, and is asked only
/// of names that are new.
fn is_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_control()
}

name! {
    /// An asset's name, such as `BTC`.
    AssetName, 24, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || is_beyond_ascii(c)
}
name! {
    /// A market's name, such as `BTCUSDT`.
    SymbolName, 50,
    |c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.') || is_beyond_ascii(c)
}
name! {
    /// A client's own name for an order, unique among that account's open orders of a market.
    ClientOrderId, 36, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '_' | '-')
}
name! {
    /// An operator's own name for a deposit or withdrawal, unique within an account; what makes transfers idempotent.
    TransferId, 64, |c| c.is_ascii_graphic()
}
name! {
    /// The public half of an API credential.
    ApiKeyId, 64, |c| c.is_ascii_alphanumeric()
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

    #[test]
    fn names_of_assets_and_markets_need_not_be_ascii() {
        for name in ["币安人生", "１２３", "ÅLAND", "1000SATS"] {
            assert_eq!(AssetName::new_checked(name).unwrap().as_str(), name);
            assert_eq!(SymbolName::new_checked(&format!("{name}USDT")).unwrap().as_str(), format!("{name}USDT"));
        }
        for bad in ["币 安", "币\"", "币\u{85}", "币安usdt"] {
            assert_eq!(SymbolName::new_checked(bad), Err(Error::IllegalCharacter), "{bad:?}");
        }
        // Bounds are of bytes: these take three each.
        assert!(AssetName::new_checked(&"币".repeat(8)).is_ok() && SymbolName::new_checked(&"币".repeat(16)).is_ok());
        assert_eq!(AssetName::new_checked(&"币".repeat(9)), Err(Error::TooLong(24)));
        assert_eq!(SymbolName::new_checked(&"币".repeat(17)), Err(Error::TooLong(50)));
        assert_eq!(ClientOrderId::new_checked("币"), Err(Error::IllegalCharacter));
    }
}
