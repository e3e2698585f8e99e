//! A note beside a partition's streams: how far a history has come that is kept elsewhere. What it does not have yet must not be
//! trimmed away.

use std::time::Duration;

use crossbook_types::Sequence;

use super::{Error, Link, reply};

/// The field of the partition's hash that has it.
const WRITTEN: &str = "written";

impl Link {
    /// Notes that the history has everything up to `place`. Should a failure take the note back, more is kept than needs be.
    ///
    /// # Errors
    /// Failures of the server or the connection.
    pub fn mark_written(&mut self, place: Sequence) -> Result<(), Error> {
        let key = self.log_key();
        self.ask(|command| command.arg("HSET").arg(key).arg(WRITTEN).arg(place.0));
        let [_] = self.exchange(Duration::ZERO)?;
        Ok(())
    }

    /// Up to where the history has everything, as it was last noted; 0 if it never was.
    ///
    /// # Errors
    /// Failures of the server or the connection.
    pub fn written(&mut self) -> Result<Sequence, Error> {
        let key = self.log_key();
        self.ask(|command| command.arg("HGET").arg(key).arg(WRITTEN));
        let [answer] = self.exchange(Duration::ZERO)?;
        Ok(reply::place(&answer).unwrap_or_default())
    }
}
