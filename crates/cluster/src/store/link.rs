//! One partition of a conversation: the calls of a [`PartitionStore`], without naming the partition each time.

use std::fmt;
use std::time::Duration;

use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};

use super::{
    Appended, BookDepth, Closing, Confirm, Confirmed, Connect, Deliver, DepthChange, Ends, Note, Outcome,
    PartitionOutcome, PartitionStore, PartitionTurn, StoredCommand, Turn,
};

/// A conversation about one partition. See [`PartitionStore`] for what holds of all of them.
pub struct Link<S> {
    store: S,
    partition: PartitionId,
}

impl<S: PartitionStore> Link<S> {
    /// Opens a conversation with the shard of a partition.
    ///
    /// # Errors
    /// As for [`Connect::connect`].
    pub fn connect(stores: &impl Connect<Store = S>, partition: PartitionId) -> Result<Self, S::Error> {
        Ok(Self { store: stores.connect(partition)?, partition })
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The address of the server at the other end, for log lines.
    #[must_use]
    pub fn address(&self) -> &str {
        self.store.address()
    }

    /// Executes a turn for this partition, whatever partition `turn` names. Returns its result, and what of it is
    /// confirmed.
    ///
    /// # Errors
    /// As for [`PartitionStore::turn`], and errors of the partition alone.
    pub fn turn(
        &mut self,
        turn: PartitionTurn<'_>,
        confirm: Confirm,
    ) -> Result<(PartitionOutcome, Confirmed), S::Error> {
        let writes = turn.append.is_some_and(|payloads| !payloads.is_empty())
            || turn.deliver.iter().any(|deliver| !deliver.messages.is_empty());
        let partitions = vec![PartitionTurn { partition: self.partition, notify: writes, ..turn }];
        let Outcome { partitions, confirmed } = self.store.turn(&Turn { partitions, confirm })?;
        let outcome = partitions.into_iter().next().expect("an outcome for each partition of the turn");
        Ok((outcome?, confirmed))
    }

    /// Whether everything that is in the shard now is confirmed.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn confirm(&mut self) -> Result<bool, S::Error> {
        let outcome = self.store.turn(&Turn { confirm: Confirm::Wait, ..Turn::default() })?;
        Ok(outcome.confirmed == Confirmed::All)
    }

    /// Waits until everything that is in the shard now is confirmed.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotConfirmed`], and failures of the store.
    pub fn make_durable(&mut self) -> Result<(), S::Error> {
        if self.confirm()? { Ok(()) } else { Err(self.store.not_confirmed()) }
    }

    /// Where the stream ends, once everything up to there is confirmed.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotConfirmed`], and failures of the store.
    pub fn confirmed_end(&mut self) -> Result<Ends, S::Error> {
        let ends = self.ends()?;
        self.make_durable()?;
        Ok(ends)
    }

    /// Appends commands, without confirmation. With no commands it only asks where the end is.
    ///
    /// # Errors
    /// [`super::ErrorKind::TooLarge`]: nothing was appended, and the link can still be used. Otherwise it is not known
    /// whether the commands were appended.
    pub fn append(&mut self, payloads: &[&[u8]]) -> Result<Appended, S::Error> {
        let turn = PartitionTurn { append: Some(payloads), ..PartitionTurn::default() };
        let (outcome, _) = self.turn(turn, Confirm::No)?;
        Ok(outcome.appended.expect("an append was asked for"))
    }

    /// Delivers messages of another partition, numbered from `first`. Returns the number of the last message received,
    /// which is confirmed then. Without messages it only asks.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotConfirmed`], and as for [`Link::append`].
    pub fn deliver(
        &mut self,
        from: PartitionId,
        first: RequestNumber,
        messages: &[&[u8]],
    ) -> Result<RequestNumber, S::Error> {
        let deliver = [Deliver { from, first, messages: messages.to_vec() }];
        let turn = PartitionTurn { deliver: &deliver, ..PartitionTurn::default() };
        let (outcome, confirmed) = self.turn(turn, Confirm::Wait)?;
        if confirmed != Confirmed::All {
            return Err(self.store.not_confirmed());
        }
        Ok(outcome.delivered.first().expect("an answer for each delivery").last)
    }

    /// See [`PartitionStore::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&mut self, from: Sequence, records_max: usize) -> Result<Vec<StoredCommand>, S::Error> {
        self.store.read(self.partition, from, records_max)
    }

    /// Whether the stream still holds this command, unchanged. If not, the log has forked from what the caller knew.
    /// True at 0, before any command.
    ///
    /// # Errors
    /// [`super::ErrorKind::Trimmed`] when it was trimmed, so that this is unknown; and failures of the store.
    pub fn holds(&mut self, sequence: Sequence, time: Timestamp, payload: &[u8]) -> Result<bool, S::Error> {
        if sequence == Sequence(0) {
            return Ok(true);
        }
        // A command other than the requested one follows a gap, which `read` reports as trimmed.
        let command = self.read(sequence, 1)?.into_iter().next();
        Ok(command.is_some_and(|command| command.time == time && command.payload == payload))
    }

    /// See [`PartitionStore::ends`].
    ///
    /// # Errors
    /// As there.
    pub fn ends(&mut self) -> Result<Ends, S::Error> {
        self.store.ends(self.partition)
    }

    /// See [`PartitionStore::trim`].
    ///
    /// # Errors
    /// As there.
    pub fn trim(&mut self, up_to: Sequence) -> Result<(), S::Error> {
        self.store.trim(self.partition, up_to)
    }

    /// See [`PartitionStore::lease`].
    ///
    /// # Errors
    /// As there.
    pub fn lease(&mut self, name: &str, duration: Duration) -> Result<bool, S::Error> {
        self.store.lease(self.partition, name, duration)
    }

    /// See [`PartitionStore::mark_skipped`].
    ///
    /// # Errors
    /// As there.
    pub fn mark_skipped(&mut self, sequence: Sequence) -> Result<Option<Sequence>, S::Error> {
        self.store.mark_skipped(self.partition, sequence)
    }

    /// See [`PartitionStore::write_depth`].
    ///
    /// # Errors
    /// As there.
    pub fn write_depth(&mut self, changes: &[DepthChange<'_>]) -> Result<Vec<bool>, S::Error> {
        self.store.write_depth(self.partition, changes)
    }

    /// See [`PartitionStore::read_depth`].
    ///
    /// # Errors
    /// As there.
    pub fn read_depth(&mut self, symbol: &str) -> Result<Option<BookDepth>, S::Error> {
        self.store.read_depth(self.partition, symbol)
    }

    /// Records that the history has everything up to `place`. Should a failover lose the record, more is retained than
    /// needed.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn mark_written(&mut self, place: Sequence) -> Result<(), S::Error> {
        self.store.set_note(self.partition, Note::HistoryWritten, &place.to_string())
    }

    /// Up to where the history has everything, as it was last noted; 0 if it never was.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn written(&mut self) -> Result<Sequence, S::Error> {
        let noted = self.store.note(self.partition, Note::HistoryWritten)?;
        Ok(noted.and_then(|place| place.parse().ok()).map(Sequence).unwrap_or_default())
    }

    /// Notes which export is imported, by a name without blanks. The note is confirmed when this returns.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotConfirmed`], and failures of the store.
    pub fn note_import(&mut self, name: &str) -> Result<(), S::Error> {
        self.store.set_note(self.partition, Note::Import, name)?;
        self.make_durable()
    }

    /// See [`PartitionStore::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close(&mut self, closing: Option<&Closing>) -> Result<(), S::Error> {
        self.store.close(self.partition, closing)
    }

    /// See [`PartitionStore::closing`].
    ///
    /// # Errors
    /// As there.
    pub fn closing(&mut self) -> Result<Option<Closing>, S::Error> {
        self.store.closing(self.partition)
    }

    /// Which export was noted last; `None` if none ever was.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn noted_import(&mut self) -> Result<Option<String>, S::Error> {
        self.store.note(self.partition, Note::Import)
    }
}

impl<S: PartitionStore> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address()).field("partition", &self.partition).finish()
    }
}
