//! The history in tables: two processes that compete to write a partition's rows, and a database that fails before or
//! after a write. The rows come from production code; only the database is a model.

use crossbook_projection::Projection;
use crossbook_projection::model::{Refused, Tables};
use crossbook_types::{PartitionId, Sequence};
use crossbook_views::Views;

use super::Published;
use crate::dice::Dice;
use crate::violation::{Check, Violation, ensure};

/// How many processes offer to write.
const WRITERS: usize = 2;
/// Rows with which a batch is full.
const BATCH_ROWS: usize = 60;

/// How a database failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing was written.
    Before,
    /// All was written, and the answer was lost.
    After,
    /// Another process had written already.
    Moved,
}

/// The tables of one partition, and who writes them.
#[derive(Debug)]
pub struct Recording {
    partition: PartitionId,
    tables: Tables,
    writers: [Option<Projection>; WRITERS],
}

impl Recording {
    /// Tables without rows.
    #[must_use]
    pub fn new(partition: PartitionId) -> Self {
        Self { partition, tables: Tables::default(), writers: [None, None] }
    }

    /// The position of the tables.
    #[must_use]
    pub fn position(&self) -> Sequence {
        self.tables.position(self.partition)
    }

    /// A projection that continues at a position, as one of a process that has just started.
    fn resume(&self, published: &[Published], at: Sequence) -> Projection {
        let mut views = Views::new(Projection::limits());
        let before = usize::try_from(at.0).unwrap_or(usize::MAX);
        published.iter().take(before).for_each(|published| views.apply_all(published.cause, &published.events));
        Projection::resume(self.partition, views, Sequence(0))
    }

    /// One of the writers does something. How the database failed, if it did.
    ///
    /// # Errors
    /// When the tables refuse what they must take.
    pub fn step(
        &mut self,
        published: &[Published],
        dice: &mut Dice,
        faults: bool,
    ) -> Result<Option<Failure>, Violation> {
        let which = dice.index(WRITERS);
        let mut projection = match self.writers[which].take() {
            Some(projection) => projection,
            None => self.resume(published, self.position()),
        };
        let most = dice.between(1, if faults { 40 } else { 1_000 }) as usize;
        let rows = if faults { BATCH_ROWS } else { 10 * BATCH_ROWS };
        let from = usize::try_from(projection.position().0).unwrap_or(usize::MAX);
        for published in published.iter().skip(from).take(most) {
            if projection.is_full(rows) {
                break;
            }
            projection.follow(published.cause, &published.events);
        }
        if projection.is_empty() || (!projection.is_full(rows) && dice.one_in(3)) {
            self.writers[which] = Some(projection);
            return Ok(None);
        }
        let failure = match dice.below(12) {
            0 if faults => Some(Failure::Before),
            1 if faults => Some(Failure::After),
            _ => None,
        };
        let batch = projection.take();
        if failure == Some(Failure::Before) {
            return Ok(failure);
        }
        match self.tables.write(&batch) {
            Ok(()) if failure.is_some() => Ok(failure),
            Ok(()) => {
                self.writers[which] = Some(projection);
                Ok(None)
            }
            // It lost its place, and asks where the tables are.
            Err(Refused::Moved { .. }) => Ok(Some(Failure::Moved)),
            Err(refused) => Err(Violation::new(Check::Tables, refused.to_string())),
        }
    }

    /// Whether the tables are what one writer makes of the same commands in one go.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self, published: &[Published]) -> Result<(), Violation> {
        let position = self.position();
        let mut plain = Tables::default();
        let mut projection = Projection::resume(self.partition, Views::new(Projection::limits()), Sequence(0));
        for published in published.iter().take_while(|published| published.cause.sequence <= position) {
            if projection.is_full(10 * BATCH_ROWS) {
                plain
                    .write(&projection.take())
                    .map_err(|refused| Violation::new(Check::Tables, refused.to_string()))?;
            }
            projection.follow(published.cause, &published.events);
        }
        plain.write(&projection.take()).map_err(|refused| Violation::new(Check::Tables, refused.to_string()))?;
        let difference = self.tables.difference(&plain);
        ensure!(
            difference.is_none(),
            Tables,
            "partition {} at {position}: {}",
            self.partition,
            difference.unwrap_or_default()
        );
        Ok(())
    }
}
