//! Polls the tables' position, for a process that reads the history and does not write it.

use std::sync::Arc;
use std::time::Duration;

use crossbook_types::{Sequence, Timestamp};
use sqlx::{AnyConnection, Row as _};
use tokio::sync::watch;

use crate::database::{self, Database, Error, within};
use crate::progress::{Activity, Progress};
use crate::writer::Position;

/// Keeps the progress of each partition, by number, where the tables say it is, asking every so often, until `stop`
/// becomes true. A failure shows in the progress, and is tried again.
pub async fn watch(database: Database, progress: Vec<Arc<Progress>>, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut connection = None;
    // A sender that is gone is a process that ends.
    while stop.has_changed().is_ok() && !*stop.borrow() {
        match look(&database, &mut connection, progress.len()).await {
            Ok(found) => {
                for (progress, position) in progress.iter().zip(found) {
                    progress.reach(position);
                    progress.set(Activity::Following);
                }
            }
            Err(error) => {
                connection = None;
                for progress in &progress {
                    progress.lose_sight();
                    progress.set(Activity::Failing(error.to_string()));
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    if let Some(connection) = connection {
        database::close(connection).await;
    }
    for progress in &progress {
        progress.set(Activity::Stopped);
    }
}

/// The positions of so many partitions; 0 where there is none.
async fn look(
    database: &Database,
    connection: &mut Option<AnyConnection>,
    partitions: usize,
) -> Result<Vec<Position>, Error> {
    let connection = match connection {
        Some(connection) => connection,
        none => {
            let connection = none.insert(database.connect().await?);
            database.check_version(connection).await?;
            connection
        }
    };
    let statement = "SELECT partition_id, sequence, time, complete_from, log_identity FROM projection";
    let query = sqlx::query(statement).fetch_all(connection);
    let rows = within(database.options().query_timeout(), query).await?;
    let mut found = vec![Position::default(); partitions];
    for row in rows {
        let number = |at: usize| row.try_get::<i64, _>(at).map(|number| u64::try_from(number).unwrap_or_default());
        let (expected, identity) = (database.log_identity(), row.try_get::<String, _>(4)?);
        if identity != expected {
            return Err(Error::Foreign { expected, found: identity });
        }
        if let Some(position) = usize::try_from(number(0)?).ok().and_then(|at| found.get_mut(at)) {
            let (sequence, time, complete_from) = (Sequence(number(1)?), Timestamp(number(2)?), Sequence(number(3)?));
            *position = Position { sequence, time, complete_from };
        }
    }
    Ok(found)
}
