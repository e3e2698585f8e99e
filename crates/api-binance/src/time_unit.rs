//! The unit of the times in an answer or a stream.

use crossbook_types::Timestamp;

use crate::error::ApiError;

/// The unit of times. A client chooses it, with a header of its request or a parameter of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TimeUnit {
    /// Milliseconds since the Unix epoch.
    #[default]
    Milliseconds,
    /// Microseconds since the Unix epoch, which is how exactly the venue knows its times.
    Microseconds,
}

impl TimeUnit {
    /// All units.
    pub const ALL: [Self; 2] = [Self::Milliseconds, Self::Microseconds];

    /// The unit of that name; milliseconds if none was given.
    ///
    /// # Errors
    /// -1194 if there is none of that name.
    pub fn parse(name: Option<&str>) -> Result<Self, ApiError> {
        match name {
            None | Some("MILLISECOND" | "millisecond") => Ok(Self::Milliseconds),
            Some("MICROSECOND" | "microsecond") => Ok(Self::Microseconds),
            Some(_) => Err(ApiError::bad_request(
                -1194,
                "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
            )),
        }
    }

    /// A time as a number of this unit.
    #[must_use]
    pub fn of(self, time: Timestamp) -> u64 {
        match self {
            Self::Milliseconds => time.millis(),
            Self::Microseconds => time.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_two_spellings_each() {
        let time = Timestamp(1_700_000_000_123_456);
        for (name, of) in [
            (None, 1_700_000_000_123),
            (Some("MILLISECOND"), 1_700_000_000_123),
            (Some("microsecond"), 1_700_000_000_123_456),
            (Some("MICROSECOND"), 1_700_000_000_123_456),
        ] {
            assert_eq!(TimeUnit::parse(name).unwrap().of(time), of);
        }
        for name in ["", "Microsecond", "us"] {
            assert_eq!(TimeUnit::parse(Some(name)).unwrap_err().code, -1194);
        }
    }
}
