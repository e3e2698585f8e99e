//! Queries of what operators have done.

use std::cmp::Reverse;

use crossbook_types::{PartitionId, Timestamp};
use crossbook_views::Forgotten;
use crossbook_views::operator_log::{Entry, Place};

use crate::error::Error;
use crate::gateway::Gateway;
use crate::read_model::Standing;

/// Where an entry of a partition stands.
fn place((partition, entry): &(PartitionId, Entry)) -> Place {
    Place { time: entry.time, partition: *partition, sequence: entry.sequence }
}

impl Gateway {
    /// The last `limit` entries of the operator log of all partitions before a place, if there is one, the newest
    /// first; each with its partition.
    ///
    /// # Errors
    /// When the history that is needed does not answer.
    pub async fn operator_log(&self, before: Option<Place>, limit: usize) -> Result<Vec<(PartitionId, Entry)>, Error> {
        let (mut found, mut gaps) = (Vec::new(), Vec::<(Place, Timestamp, Standing)>::new());
        for (partition, views) in self.read_model.all() {
            let views = views.read();
            let log = views.operator_log();
            let entries = log.newest_first().map(|entry| (partition, entry.clone()));
            found.extend(entries.filter(|entry| before.is_none_or(|before| place(entry) < before)).take(limit));
            if let Some(Forgotten { id, time, settled }) = log.forgotten() {
                let live = Standing { partition, position: views.position() };
                gaps.push((Place { time, partition, sequence: id }, settled, live));
            }
        }
        newest_first(&mut found, limit);
        let oldest = found.last().filter(|_| found.len() == limit).map(place);
        let mut past = None;
        for (newest, settled, live) in gaps {
            // What memory has dropped is older than all that is asked for.
            if oldest.is_some_and(|oldest| newest < oldest) {
                continue;
            }
            drop(past.take());
            past = self.past.open(settled, live).await?;
        }
        if let Some(past) = past {
            let older = past.ask(past.history.operator_log(before, limit)).await?;
            found.extend(older);
            newest_first(&mut found, limit);
        }
        Ok(found)
    }
}

/// Leaves the newest of the entries, each once, the newest first.
fn newest_first(entries: &mut Vec<(PartitionId, Entry)>, limit: usize) {
    entries.sort_by_key(|entry| Reverse(place(entry)));
    entries.dedup_by_key(|entry| place(entry));
    entries.truncate(limit);
}
