//! Verifies, while the venue trades, the part of the log that the start did not read: everything before the snapshot.
//!
//! A damaged record there does not affect trading, because the snapshot replaces it. But an audit, a rebuild of the
//! history and a fallback to an older snapshot need it, so the operator must learn of it while a backup still has it.
//!
//! A log that lost its first segments (see [`crate::durability_check`]) is reported here, too.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crossbook_log::{Error, Recovery, Verifier};
use crossbook_node::embedded::guarded;
use crossbook_types::Sequence;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::durability_check::LostBeginning;
use crate::priority::{Background, Rests};

/// Bytes that are verified between two pauses.
const STEP_BYTES: u64 = 256 << 10;

/// How far the thread is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Verifying,
    Done,
    Damaged(String),
}

/// What the verification has found so far.
#[derive(Debug)]
pub struct Health {
    state: Mutex<(State, Sequence)>,
    /// The last record that is to be verified.
    end: Sequence,
    /// What the log lacks at its beginning.
    lost: Option<LostBeginning>,
}

impl Health {
    fn new(end: Sequence, lost: Option<LostBeginning>) -> Self {
        let state = if end == Sequence(0) { State::Done } else { State::Verifying };
        metrics::gauge!("crossbook_log_damaged").set(0.0);
        let missing = lost.as_ref().map_or(0, LostBeginning::missing);
        metrics::gauge!("crossbook_log_missing_commands").set(missing as f64);
        let health = Self { state: Mutex::new((state.clone(), Sequence(0))), end, lost };
        health.set(state, Sequence(0));
        health
    }

    fn set(&self, state: State, last: Sequence) {
        let left = if state == State::Done { 0 } else { self.end.0.saturating_sub(last.0) };
        metrics::gauge!("crossbook_log_verified_sequence").set(last.0 as f64);
        metrics::gauge!("crossbook_log_unverified_commands").set(left as f64);
        *self.state.lock() = (state, last);
    }

    /// The state as JSON, for the admin address.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let (state, last) = self.state.lock().clone();
        let is_damaged = matches!(state, State::Damaged(_));
        let mut health = match state {
            State::Verifying => json!({ "state": "verifying", "verified": last, "until": self.end }),
            State::Done => json!({ "state": "verified" }),
            State::Damaged(error) => json!({ "state": "damaged", "verified": last, "error": error }),
        };
        if let Some(lost) = &self.lost {
            health["missing"] = json!({ "first": lost.began(), "last": lost.begins().0 - 1 });
            if !is_damaged {
                health["state"] = "incomplete".into();
                health["error"] = lost.to_string().into();
            }
        }
        health
    }
}

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct Verification {
    health: Arc<Health>,
    stop: Sender<()>,
    thread: JoinHandle<Option<()>>,
}

impl Verification {
    /// Starts the thread for the log in `folder`, of that identity; `found` is what opening it has found, `lost` what
    /// is missing at its beginning. It reads at most `bytes_per_second`; 0: as much as its pauses allow. It calls
    /// `fatal` with the reason if it panics.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(
        folder: &Path,
        identity: u64,
        (found, lost): (&Recovery, Option<LostBeginning>),
        bytes_per_second: u64,
        fatal: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let verifier = Verifier::new(folder, identity, found);
        let health = Arc::new(Health::new(verifier.end(), lost));
        let (stop, stopped) = bounded(1);
        let shared = Arc::clone(&health);
        let thread = std::thread::Builder::new().name("verification".into()).spawn(move || {
            guarded("the thread that verifies the log", &fatal, || {
                Background::Verification.step_back();
                verify(verifier, &shared, bytes_per_second, &stopped);
                Ok::<_, Infallible>(())
            })
        })?;
        Ok(Self { health, stop, thread })
    }

    /// What it has found so far.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Ends the thread.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

fn verify(mut verifier: Verifier, health: &Health, bytes_per_second: u64, stopped: &Receiver<()>) {
    let end = verifier.end();
    if end == Sequence(0) {
        return;
    }
    let started = Instant::now();
    let mut rests = Rests::begin();
    let (mut bytes, mut last) = (0_u64, Sequence(0));
    loop {
        match verifier.step(STEP_BYTES) {
            Ok(Some(step)) => {
                bytes += step.bytes;
                last = last.max(step.last);
                health.set(State::Verifying, last);
            }
            Ok(None) => {
                health.set(State::Done, end);
                tracing::info!(command = end.0, bytes, "the log before the snapshot is verified");
                return;
            }
            Err(error) => return report(health, last, &error),
        }
        rests.rest();
        let due =
            bytes.saturating_mul(1_000).checked_div(bytes_per_second).map_or(Duration::ZERO, Duration::from_millis);
        let pause = due.saturating_sub(started.elapsed());
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Reports the damage in a log line, a metric and on the admin address.
fn report(health: &Health, last: Sequence, error: &Error) {
    metrics::gauge!("crossbook_log_damaged").set(1.0);
    tracing::error!(
        %error,
        "the log is damaged before the snapshot that this start began from; trading goes on, for the snapshot stands \
         for it. An audit and a history made anew need it: restore the log from a backup at the next stop, and see \
         what becomes of the disk"
    );
    health.set(State::Damaged(error.to_string()), last);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crossbook_log::files::Options;
    use crossbook_log::{Files, Log as _, Record};
    use crossbook_types::Timestamp;

    use super::*;

    /// A log of several segments, and how the next opening finds it that begins with its end.
    fn log(folder: &Path) -> (u64, Recovery) {
        let options = Options {
            segment_bytes_max: 8 << 10,
            batch_bytes_max: 4 << 10,
            record_bytes_max: 1 << 10,
            ..Options::default()
        };
        let (mut log, _) = Files::open(folder, options).unwrap();
        for n in 1..=100 {
            log.append(Record { sequence: Sequence(n), time: Timestamp(n), payload: &[7; 400] }).unwrap();
            log.sync().unwrap();
        }
        drop(log);
        let options = Options { verify_from: Sequence(100), ..options };
        let (log, found) = Files::open(folder, options).unwrap();
        assert!(found.verified_from > Sequence(80));
        (log.identity(), found)
    }

    fn state_after(folder: &Path, identity: u64, found: &Recovery) -> Value {
        let fatal = |reason: String| panic!("{reason}");
        let verification = Verification::start(folder, identity, (found, None), 0, fatal).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let state = loop {
            let state = verification.health().as_json();
            if state["state"] != "verifying" {
                break state;
            }
            assert!(Instant::now() < deadline, "{state}");
            std::thread::yield_now();
        };
        verification.stop();
        state
    }

    #[test]
    fn it_says_whether_the_rest_of_the_log_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, found) = log(folder.path());
        assert_eq!(state_after(folder.path(), identity, &found), json!({ "state": "verified" }));
        let segment = folder.path().join("00000000000000000001.log");
        let mut bytes = fs::read(&segment).unwrap();
        bytes[1_000] ^= 1;
        fs::write(&segment, bytes).unwrap();
        let state = state_after(folder.path(), identity, &found);
        assert_eq!((&state["state"], &state["verified"]), (&json!("damaged"), &json!(0)));
        assert!(state["error"].as_str().unwrap().contains("00000000000000000001.log is damaged at byte"), "{state}");
    }

    #[test]
    fn it_reads_no_more_in_a_second_than_it_may_and_stops_when_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, found) = log(folder.path());
        let fatal = |reason: String| panic!("{reason}");
        // A segment, and it would rest for hours.
        let verification = Verification::start(folder.path(), identity, (&found, None), 1, fatal).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while verification.health().as_json()["verified"] == 0 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        let begun = Instant::now();
        let health = Arc::clone(verification.health());
        verification.stop();
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!(health.as_json()["state"], "verifying");
    }
}
