//! What operators have done in a partition. The newest entries are retained.

use std::collections::VecDeque;

use crossbook_protocol::Cause;
use crossbook_protocol::operator::{Acted, Note};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{PartitionId, Sequence, Timestamp};

use crate::error::Error;
use crate::limits::Forgotten;

/// What an operator has asked for, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The command, in the log of the partition that did it.
    pub sequence: Sequence,
    /// Time of that command.
    pub time: Timestamp,
    /// Who asked, what for, and why.
    pub note: Note,
    /// Why nothing was done, in words; `None` if it was done.
    pub refused: Option<String>,
}

impl Entry {
    /// What an event of a command tells.
    #[must_use]
    pub fn new(acted: &Acted, cause: Cause) -> Self {
        let Cause { sequence, time } = cause;
        Self { sequence, time, note: acted.note.clone(), refused: acted.refused.map(|refusal| refusal.to_string()) }
    }
}

/// The place of an entry in the log of the whole venue: by time, and then by partition and command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Time of the command.
    pub time: Timestamp,
    /// The partition that did it.
    pub partition: PartitionId,
    /// The command.
    pub sequence: Sequence,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OperatorLog {
    /// In the order of the commands.
    kept: VecDeque<Entry>,
    forgotten: Option<Forgotten<Sequence>>,
}

impl OperatorLog {
    pub(crate) fn record(&mut self, acted: &Acted, cause: Cause, limit: usize) {
        self.kept.push_back(Entry::new(acted, cause));
        self.shorten(limit);
    }

    fn shorten(&mut self, limit: usize) {
        while self.kept.len() > limit
            && let Some(Entry { sequence, time, .. }) = self.kept.pop_front()
        {
            Forgotten::note(&mut self.forgotten, sequence, time, time);
        }
    }

    /// The entries that are kept, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.kept.iter().rev()
    }

    /// The entries that are kept, the oldest first.
    pub fn oldest_first(&self) -> impl Iterator<Item = &Entry> {
        self.kept.iter()
    }

    /// The newest entry that memory no longer holds, if any.
    #[must_use]
    pub fn forgotten(&self) -> Option<Forgotten<Sequence>> {
        self.forgotten
    }

    pub(crate) fn restored(mut self, limit: usize) -> Result<Self, Error> {
        if !self.kept.iter().map(|kept| kept.sequence).is_sorted() {
            return Err(Error("entries of the operator log out of order"));
        }
        self.shorten(limit);
        Ok(self)
    }
}

wire_struct! {
    plain Entry { 0: sequence, 1: time, 2: note, 3: refused }
    OperatorLog { 0: kept, 1: forgotten }
}
