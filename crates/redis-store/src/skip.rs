//! Entries of `in` that are passed over; see [`crossbook_log::skip`].
//!
//! The marks of a partition are a hash, a field for each: the entry's place, and as its value a version, the CRC-32C
//! and the length of the entry's bytes. So a mark is of one entry, and not of another that may stand there after a
//! failure has taken the first away.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbook_types::Sequence;
use redis::Value;

use crate::connection::Script;
use crate::{Error, Link, PulledRecord, reply};
use crossbook_log::skip::SKIPPED;

/// The version of the marks that this program writes, and the only one that it knows.
const VERSION: &str = "1";

/// The marks of a partition, as one connection has read them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(BTreeMap<Sequence, String>);

fn mark_of(payload: &[u8]) -> String {
    format!("{VERSION} {:08x} {}", crc32c::crc32c(payload), payload.len())
}

impl Marks {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts the mark on an entry that has one.
    pub(crate) fn put(&self, record: &mut PulledRecord) -> Result<(), Error> {
        let Some(mark) = self.0.get(&record.sequence) else { return Ok(()) };
        if *mark != mark_of(&record.payload) {
            return Err(Error::ForeignMark { sequence: record.sequence, mark: mark.clone() });
        }
        if let Some(byte) = record.payload.first_mut() {
            *byte |= SKIPPED;
        }
        Ok(())
    }
}

impl Link {
    /// Marks an entry of `in` as passed over, for everybody who reads it on a connection that is made from now on; on
    /// the others [`Link::turn`] fails. The mark is durable when this returns. If what the command caused is published,
    /// nothing is marked, and the last command of which that is true comes back.
    ///
    /// # Errors
    /// [`Error::Trimmed`] when the entry is not there, [`Error::NotDurable`], and failures of the server or the
    /// connection.
    pub fn mark_skipped(&mut self, sequence: Sequence) -> Result<Option<Sequence>, Error> {
        let Some(record) = self.read(sequence, 1)?.into_iter().next() else {
            return Err(Error::NoEntry(sequence));
        };
        if record.payload.first().is_none_or(|byte| byte & SKIPPED != 0) {
            return Ok(None);
        }
        let mark = mark_of(&record.payload);
        let keys = [self.keys.log.as_str(), &self.keys.skipped];
        self.connection.script(Script::Mark, &keys, |command| command.arg(sequence.0).arg(&mark));
        let [answer] = self.exchange(Duration::ZERO)?;
        self.marks = None;
        match answer {
            Value::Int(-1) => self.make_durable().map(|()| None),
            told => reply::place(&told).map(Some).ok_or_else(|| self.connection.unclear("a mark")),
        }
    }

    /// The marks, read once on a connection.
    pub(crate) fn marks(&mut self) -> Result<&Marks, Error> {
        if self.marks.is_none() {
            let key = self.keys.skipped.clone();
            self.ask(|command| command.arg("HGETALL").arg(key));
            let [answer] = self.exchange(Duration::ZERO)?;
            let marks = of_hash(answer).ok_or_else(|| self.connection.unclear("the marks of what is passed over"))?;
            self.marks = Some(marks);
        }
        Ok(self.marks.get_or_insert_default())
    }
}

fn of_hash(answer: Value) -> Option<Marks> {
    let mut marks = BTreeMap::new();
    let pairs: Vec<(Value, Value)> = match answer {
        Value::Map(pairs) => pairs,
        Value::Array(values) => {
            let (fields, rest): (Vec<_>, Vec<_>) = values.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
            fields.into_iter().zip(rest).map(|((_, field), (_, value))| (field, value)).collect()
        }
        _ => return None,
    };
    for (field, value) in pairs {
        marks.insert(reply::place(&field)?, reply::text(&value)?.to_owned());
    }
    Some(Marks(marks))
}
