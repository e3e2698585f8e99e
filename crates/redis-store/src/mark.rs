//! Notes beside a partition's streams: how far a history has come that is kept elsewhere, since what it does not have
//! yet must not be trimmed away; and which export it is that moves in, since what would tell may have been trimmed.

use std::time::Duration;

use crossbook_types::Sequence;

use crate::{Error, Link, reply};

/// The fields of the partition's hash that have them.
const WRITTEN: &str = "written";
const EXPORT: &str = "export";

impl Link {
    /// Notes that the history has everything up to `place`. Should a failure take the note back, more is kept than
    /// needs be.
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

    /// Notes which export moves in, by a name without blanks. The note is durable when this returns.
    ///
    /// # Errors
    /// [`Error::NotDurable`], and failures of the server or the connection.
    pub fn note_export(&mut self, name: &str) -> Result<(), Error> {
        let key = self.log_key();
        self.ask(|command| command.arg("HSET").arg(key).arg(EXPORT).arg(name));
        let [_] = self.exchange(Duration::ZERO)?;
        self.make_durable()
    }

    /// Which export was noted last; `None` if none ever was.
    ///
    /// # Errors
    /// Failures of the server or the connection.
    pub fn noted_export(&mut self) -> Result<Option<String>, Error> {
        let key = self.log_key();
        self.ask(|command| command.arg("HGET").arg(key).arg(EXPORT));
        let [answer] = self.exchange(Duration::ZERO)?;
        Ok(reply::text(&answer).map(str::to_owned))
    }
}
