//! Realistic rows: the standard workload through the engine and the projection.

use crossbook_engine::Partition;
use crossbook_oracle::feed::Feed;
use crossbook_oracle::workload::Workload;
use crossbook_projection::Projection;
use crossbook_protocol::{Command, Events, Routing};
use crossbook_store::Options;
use crossbook_store::measure::Rows;
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_venue::history::PARTITION;
use crossbook_views::Views;

use super::Error;

/// The first command is of 22 November 2026, and the others follow as they would at 10,000 a second.
const START_MICROS: u64 = 1_795_305_600_000_000;
const STEP_MICROS: u64 = 100;

/// The first `count` rows of a workload after its warm-up, gathered as the venue gathers them when it is not behind.
///
/// # Errors
/// When the workload does not make so many.
pub fn gather(workload: &Workload, count: usize) -> Result<Rows, Error> {
    let options = Options::default();
    let mut partition = Partition::new(PARTITION, Routing::single(), 0);
    let mut projection = Projection::resume(PARTITION, Views::new(Projection::limits()), Sequence(0));
    let (mut feed, mut events, mut bodies) = (Feed::new(workload), Events::new(), Feed::opening());
    let mut number = 0;
    let mut rows = Rows::default();
    for at in 0..=workload.commands.len() {
        for body in bodies.drain(..) {
            number += 1;
            let time = Timestamp(START_MICROS + number * STEP_MICROS);
            let (sequence, number) = (Sequence(number), RequestNumber(number));
            let command = Command::new(sequence, time, SourceId::FIRST_GATEWAY, number, body);
            partition.apply(&command, &mut events);
            for (cause, events) in events.iter() {
                projection.follow(cause, events);
            }
            events.clear();
        }
        if projection.is_full(options.batch_rows_max) || at == workload.warmup {
            let batch = projection.take();
            if at > workload.warmup {
                rows.gather(&batch);
            }
        }
        if rows.len() >= count {
            rows.truncate(count);
            return Ok(rows);
        }
        if let Some(command) = workload.commands.get(at) {
            feed.translate(command, &mut bodies);
        }
    }
    Err(Error::TooLong(workload.commands.len()))
}
