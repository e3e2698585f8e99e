//! Queries of the operator log.

use crossbook_projection::schema::OPERATOR_LOG;
use crossbook_types::PartitionId;
use crossbook_views::operator_log::{Entry, Place};

use super::{History, number};
use crate::database::Error;
use crate::rows::Fields;

impl History {
    /// The last `limit` entries of all partitions before a place, if there is one, the newest first.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn operator_log(&self, before: Option<Place>, limit: usize) -> Result<Vec<(PartitionId, Entry)>, Error> {
        let condition = if before.is_some() {
            "WHERE time < ? OR time = ? AND (partition_id < ? OR partition_id = ? AND sequence < ?)"
        } else {
            ""
        };
        let statement = format!(
            "SELECT {} FROM {} {condition} ORDER BY time DESC, partition_id DESC, sequence DESC LIMIT ?",
            OPERATOR_LOG.selection(),
            self.along(OPERATOR_LOG.name, "operator_log_by_time")
        );
        let place = before.map(|Place { time, partition, sequence }| {
            let partition = u64::from(partition.0);
            [time.0, time.0, partition, partition, sequence.0]
        });
        let values = place.into_iter().flatten().chain([limit as u64]).map(number);
        let rows = self.rows(statement, values).await?;
        rows.iter().map(|row| Fields(row).operator_entry()).collect()
    }
}
