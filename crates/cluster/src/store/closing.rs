//! A partition that takes nothing more, because its venue moves elsewhere.

use std::fmt;

/// What a closed partition refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refuses {
    /// Commands that are appended. Messages of other partitions are accepted, so that those under way arrive.
    Commands,
    /// Commands and messages: its stream ends where it ends.
    Everything,
}

/// Why, and how far, a partition is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    /// What it refuses.
    pub refuses: Refuses,
    /// The export for which it was closed, for people: its file.
    pub export: String,
}

impl Closing {
    /// As a text, which [`Closing::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let refuses = match self.refuses {
            Refuses::Commands => "commands",
            Refuses::Everything => "everything",
        };
        // A text of a store's error is one line.
        let export: String = self.export.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        format!("{refuses} {export}")
    }

    /// Reads what [`Closing::encode`] has written.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (refuses, export) = text.split_once(' ')?;
        let refuses = match refuses {
            "commands" => Refuses::Commands,
            "everything" => Refuses::Everything,
            _ => return None,
        };
        Some(Self { refuses, export: export.to_owned() })
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let export = &self.export;
        match self.refuses {
            Refuses::Commands => write!(f, "the venue is being exported to {export}, and accepts no commands"),
            Refuses::Everything => write!(f, "the venue was exported to {export}, and accepts no commands any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for refuses in [Refuses::Commands, Refuses::Everything] {
            for export in ["", "/var/lib/venue.export", "a path with blanks"] {
                let closing = Closing { refuses, export: export.to_owned() };
                assert_eq!(Closing::decode(&closing.encode()), Some(closing));
            }
        }
        let lines = Closing { refuses: Refuses::Commands, export: "two\r\nlines".to_owned() };
        assert_eq!(lines.encode(), "commands two??lines");
        assert_eq!(Closing::decode("nothing at all"), None);
        assert_eq!(Closing::decode("commands"), None);
    }
}
