//! Marks commands as skipped. [`crate::marks`] has the format of a mark.

use std::time::Duration;

use crossbook_cluster::store::PartitionStore as _;
use crossbook_log::skip::SKIPPED;
use crossbook_types::{PartitionId, Sequence};
use redis::Value;

use crate::connection::Script;
use crate::marks::{mark_of, of_hash};
use crate::{Error, Keys, RedisStore, reply};

impl RedisStore {
    pub(crate) fn mark(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Error> {
        let Some(command) = self.read(partition, sequence, 1)?.into_iter().next() else {
            return Err(Error::NoEntry(sequence));
        };
        if command.payload.first().is_none_or(|byte| byte & SKIPPED != 0) {
            return Ok(None);
        }
        let mark = mark_of(&command.payload);
        let Keys { log, skipped, .. } = self.keys(partition);
        self.connection.script(Script::Mark, &[&log, &skipped], |command| command.arg(sequence.0).arg(&mark));
        let [answer] = self.exchange(Duration::ZERO)?;
        self.marks.remove(&partition);
        match answer {
            Value::Int(-1) => self.await_barrier().map(|()| None),
            published => reply::place(&published).map(Some).ok_or_else(|| self.connection.unclear("a mark")),
        }
    }

    /// Reads the marks of a partition, unless they were read on this connection before.
    pub(crate) fn load_marks(&mut self, partition: PartitionId) -> Result<(), Error> {
        if self.marks.contains_key(&partition) {
            return Ok(());
        }
        let key = self.keys(partition).skipped;
        self.ask(|command| command.arg("HGETALL").arg(key));
        let [answer] = self.exchange(Duration::ZERO)?;
        let marks = of_hash(answer).ok_or_else(|| self.connection.unclear("the marks of skipped commands"))?;
        self.marks.insert(partition, marks);
        Ok(())
    }
}
