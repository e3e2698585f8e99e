//! Marks commands as skipped. [`crate::marks`] has the format of a mark.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbook_cluster::store::PartitionStore as _;
use crossbook_log::skip::SKIPPED;
use crossbook_types::{PartitionId, Sequence};
use redis::Value;

use crate::connection::Script;
use crate::marks::{mark_of, of_hash};
use crate::turn::CHECKPOINT_SLOTS;
use crate::{Error, RedisStore, reply};

impl RedisStore {
    pub(crate) fn mark(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Error> {
        let Some(command) = self.read(partition, sequence, 1)?.into_iter().next() else {
            return Err(Error::NoEntry(sequence));
        };
        if command.payload.first().is_none_or(|byte| byte & SKIPPED != 0) {
            return Ok(None);
        }
        let mark = mark_of(&command.payload);
        let keys = self.keys(partition);
        self.connection.script(Script::Mark, &[&keys.log, &keys.skipped], |command| {
            command.arg(sequence.0).arg(&mark).arg(CHECKPOINT_SLOTS)
        });
        let [answer] = self.exchange(Duration::ZERO)?;
        self.known(partition).marks = None;
        match answer {
            Value::Int(-1) => self.await_barrier().map(|()| None),
            applied => reply::place(&applied).map(Some).ok_or_else(|| self.connection.unclear("a mark")),
        }
    }

    /// Reads the marks of these partitions, except those that were read on this connection before. Returns those
    /// partitions that are elsewhere.
    pub(crate) fn load_marks(
        &mut self,
        partitions: impl Iterator<Item = PartitionId>,
    ) -> Result<BTreeMap<PartitionId, Error>, Error> {
        let mut elsewhere = BTreeMap::new();
        let missing: Vec<_> = partitions.filter(|&partition| self.known(partition).marks.is_none()).collect();
        if missing.is_empty() {
            return Ok(elsewhere);
        }
        for &partition in &missing {
            let keys = self.keys(partition);
            self.ask(|command| command.arg("HGETALL").arg(&keys.skipped));
        }
        let mut answers = self.connection.exchange_refusals(Duration::ZERO)?.into_iter();
        for partition in missing {
            let answer = match self.accepted(answers.next(), "the marks of skipped commands") {
                Ok(answer) => answer,
                Err(error @ Error::Elsewhere { .. }) => {
                    elsewhere.insert(partition, error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let marks = of_hash(answer).ok_or_else(|| self.connection.unclear("the marks of skipped commands"))?;
            self.known(partition).marks = Some(marks);
        }
        Ok(elsewhere)
    }
}
