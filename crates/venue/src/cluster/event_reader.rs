//! Reads the events that a partition has published, from its stream `out`, for the history.
//!
//! A thread prefetches: it waits in the store for the next entries and stops when enough of them wait to be folded. The
//! tables decide where to read from, so the thread starts, and starts again elsewhere, when it is asked for a position.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_cluster::store::{ErrorKind, StoreError as _, StoredOutput};
use crossbook_node::embedded::guarded;
use crossbook_protocol::Cause;
use crossbook_store::{Live, SourceError};
use crossbook_types::{PartitionId, Sequence};
use parking_lot::{Condvar, Mutex};

use super::provider::{self, Link, Servers};
use crate::config::WriterOptions;
use crate::history::published::{Entry, PublishedEvents};
use crate::process;

/// How long a reading waits in the store for an entry.
const FOLLOW_WAIT: Duration = Duration::from_secs(1);
/// How long the folding thread waits until it is known whether there are entries.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after the first failure; it doubles with each.
const PAUSE: Duration = Duration::from_millis(5);

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store returned an error that a retry does not mend.
    #[error("partition {partition}: {source}")]
    Stream {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: provider::Error,
    },
    /// An entry cannot be decoded.
    #[error("the output of command {sequence} of partition {partition} cannot be decoded: {source}")]
    Entry {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The command's place in the log.
        sequence: Sequence,
        /// The underlying error.
        source: crossbook_protocol::wire::Error,
    },
    /// The store does not answer.
    #[error("the outputs of partition {0} cannot be read now; trying again")]
    Silent(PartitionId),
}

/// Why the thread has stopped reading, until it is asked for another position.
#[derive(Debug)]
enum Trouble {
    Trimmed,
    Failed(Error),
}

#[derive(Debug, Default)]
struct State {
    /// Counts the positions that were asked for.
    round: u64,
    /// `ahead` begins after this command.
    after: Option<Sequence>,
    ahead: VecDeque<Entry>,
    /// Where `out` ended, as far as is known since the position was asked for.
    end: Option<Sequence>,
    trouble: Option<Trouble>,
    /// The last command read.
    last: Option<Cause>,
    /// Nothing after this command is read any more.
    limit: Option<Sequence>,
    stopping: bool,
}

#[derive(Debug)]
struct Shared {
    servers: Servers,
    partition: PartitionId,
    options: WriterOptions,
    live: Live,
    state: Mutex<State>,
    changed: Condvar,
}

/// The reading end.
#[derive(Clone, Debug)]
pub struct Stream(Arc<Shared>);

/// The thread, until it is asked to end.
#[derive(Debug)]
pub struct Reading(Arc<Shared>);

/// Starts the thread for a partition. It reports to `live` how far it has read.
///
/// # Errors
/// When the system cannot start a thread.
pub fn start(
    servers: &Servers,
    partition: PartitionId,
    options: &WriterOptions,
    live: Live,
) -> std::io::Result<(Stream, Reading)> {
    let (options, state) = (options.clone(), Mutex::new(State::default()));
    let servers = servers.clone();
    let shared = Arc::new(Shared { servers, partition, options, live, state, changed: Condvar::new() });
    let these = Arc::clone(&shared);
    std::thread::Builder::new().name(format!("events-{partition}")).spawn(move || {
        guarded("the thread that reads events", &process::fatal, || {
            these.run();
            Ok::<_, Infallible>(())
        });
    })?;
    Ok((Stream(Arc::clone(&shared)), Reading(shared)))
}

impl Reading {
    /// The last command read.
    #[must_use]
    pub fn last(&self) -> Option<Cause> {
        self.0.state.lock().last
    }

    /// Stops reading beyond what has been read so far.
    pub fn read_no_further(&self) {
        self.0.state.lock().limit = Some(self.0.live.position());
        self.0.changed.notify_all();
    }

    /// Asks the thread to end.
    pub fn end(&self) {
        self.0.state.lock().stopping = true;
        self.0.changed.notify_all();
    }
}

impl PublishedEvents for Stream {
    fn read(&mut self, after: Sequence, max: usize) -> Result<Option<Vec<Entry>>, SourceError> {
        let shared = &*self.0;
        let deadline = Instant::now() + PATIENCE;
        let mut state = shared.state.lock();
        if state.after != Some(after) {
            let round = state.round + 1;
            let State { last, limit, stopping, .. } = *state;
            *state = State { round, after: Some(after), last, limit, stopping, ..State::default() };
            shared.changed.notify_all();
        }
        loop {
            if !state.ahead.is_empty() {
                let count = max.min(state.ahead.len());
                let found: Vec<Entry> = state.ahead.drain(..count).collect();
                state.after = found.last().map(|(cause, _)| cause.sequence);
                shared.changed.notify_all();
                return Ok(Some(found));
            }
            match state.trouble.take() {
                Some(Trouble::Trimmed) => {
                    state.after = None;
                    return Ok(None);
                }
                Some(Trouble::Failed(error)) => {
                    state.after = None;
                    return Err(error.into());
                }
                None => {}
            }
            let nothing_more = [state.end, state.limit].into_iter().flatten().any(|end| end <= after);
            if nothing_more || state.stopping {
                return Ok(Some(Vec::new()));
            }
            if shared.changed.wait_until(&mut state, deadline).timed_out() {
                return Err(Error::Silent(shared.partition).into());
            }
        }
    }

    fn noted(&mut self) -> Result<Sequence, SourceError> {
        let partition = self.0.partition;
        let noted = Link::connect(&self.0.servers, partition).and_then(|mut link| link.written());
        Ok(noted.map_err(|source| Error::Stream { partition, source })?)
    }
}

impl Shared {
    fn run(&self) {
        let (mut link, mut pause) = (None, PAUSE);
        let longest = Duration::from_millis(self.options.retry_delay_max_ms.max(1));
        while let Some((round, after, room, end)) = self.next_position() {
            match self.read(&mut link, (after, room, end)) {
                Ok((end, entries)) => {
                    pause = PAUSE;
                    self.found(round, end, entries);
                }
                Err(Trouble::Failed(Error::Stream { source, .. })) if source.is_transient() => {
                    tracing::warn!(partition = self.partition.0, error = %source, "the partition's outputs cannot be read now");
                    link = None;
                    std::thread::sleep(pause.min(longest));
                    pause = (pause * 2).min(longest);
                }
                Err(trouble) => {
                    link = None;
                    let mut state = self.state.lock();
                    if state.round == round {
                        state.trouble = Some(trouble);
                        self.changed.notify_all();
                    }
                }
            }
        }
    }

    /// Waits until there is something to read and room for it: the round, after which command, how much room, and where
    /// `out` ends if that is known. `None` when it is time to end.
    fn next_position(&self) -> Option<(u64, Sequence, usize, Option<Sequence>)> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let (Some(after), None) = (state.after, &state.trouble) {
                let after = state.ahead.back().map_or(after, |(cause, _)| cause.sequence);
                let mut room = self.options.read_ahead_commands_max.saturating_sub(state.ahead.len());
                if let Some(limit) = state.limit {
                    room = room.min(usize::try_from(limit.0.saturating_sub(after.0)).unwrap_or(usize::MAX));
                }
                if room > 0 {
                    return Some((state.round, after, room.min(self.options.read_batch_commands_max), state.end));
                }
            }
            self.changed.wait(&mut state);
        }
    }

    /// Where `out` ends, if that is not known yet, or else the next entries.
    fn read(
        &self,
        link: &mut Option<Link>,
        (after, room, end): (Sequence, usize, Option<Sequence>),
    ) -> Result<(Option<Sequence>, Vec<Entry>), Trouble> {
        let partition = self.partition;
        let failed = |source: provider::Error| match source.kind() {
            ErrorKind::Trimmed { .. } => Trouble::Trimmed,
            _ => Trouble::Failed(Error::Stream { partition, source }),
        };
        let link = match link {
            Some(link) => link,
            none => none.insert(Link::connect(&self.servers, partition).map_err(failed)?),
        };
        if end.is_none() {
            let ends = link.ends().map_err(failed)?;
            // A read of trimmed entries would wait for later ones, possibly without end.
            return if ends.outputs_first > after.next() {
                Err(Trouble::Trimmed)
            } else {
                Ok((Some(ends.published), Vec::new()))
            };
        }
        let outputs = link.follow(after, room, FOLLOW_WAIT).map_err(failed)?;
        let decoded = outputs.into_iter().map(|StoredOutput { sequence, payload }| {
            let published = crossbook_protocol::wire::decode_published(&payload);
            let published =
                published.map_err(|source| Trouble::Failed(Error::Entry { partition, sequence, source }))?;
            Ok((published.cause, published.events))
        });
        Ok((None, decoded.collect::<Result<_, _>>()?))
    }

    fn found(&self, round: u64, end: Option<Sequence>, entries: Vec<Entry>) {
        let mut state = self.state.lock();
        if state.round != round {
            return;
        }
        if let Some((last, _)) = entries.last() {
            if state.last.is_none_or(|before| before.sequence < last.sequence) {
                state.last = Some(*last);
            }
            state.end = state.end.max(Some(last.sequence));
            // What an earlier round has read further is still published.
            if last.sequence > self.live.position() {
                self.live.reach(last.sequence);
            }
        }
        state.end = state.end.max(end);
        state.ahead.extend(entries);
        self.changed.notify_all();
    }
}
