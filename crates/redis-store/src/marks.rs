//! Commands of `in` that are marked as skipped; see [`crossbook_log::skip`].
//!
//! The marks of a partition are a hash with a field for each: the entry's sequence number, and as its value a version,
//! the CRC-32C and the length of the entry's bytes. So a mark applies to one entry, and not to another one that takes
//! its position after a failover has removed it.

use std::collections::BTreeMap;

use crossbook_cluster::store::StoredCommand;
use crossbook_log::skip::SKIPPED;
use crossbook_types::Sequence;
use redis::Value;

use crate::{Error, reply};

/// The version of the marks that this program writes, and the only one that it knows.
const VERSION: &str = "1";

/// The marks of a partition, as one connection has read them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(BTreeMap<Sequence, String>);

/// The mark of a command with these bytes.
pub(crate) fn mark_of(payload: &[u8]) -> String {
    format!("{VERSION} {:08x} {}", crc32c::crc32c(payload), payload.len())
}

impl Marks {
    /// The number of entries.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts the mark on an entry that has one.
    pub(crate) fn put(&self, record: &mut StoredCommand) -> Result<(), Error> {
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

/// Parses the marks from the answer of HGETALL.
pub(crate) fn of_hash(answer: Value) -> Option<Marks> {
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
