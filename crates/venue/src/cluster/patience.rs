//! How long a process waits for the store while it starts: it says what it waits for, and ends when that takes too
//! long.

use std::time::{Duration, Instant};

use super::Error;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is said what is waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How long the store may take to give an answer, with all attempts to get it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience(Duration);

impl Patience {
    /// One of so many milliseconds.
    #[must_use]
    pub fn of_ms(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Repeats what the store could not answer, until it does.
    ///
    /// # Errors
    /// As `ask`, if that does not pass; [`Error::StartTimeout`] with the last one that might have.
    pub(super) fn ask<T>(self, mut ask: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut waiting = self.begin();
        loop {
            match ask() {
                Err(error) if error.is_transient() => waiting.go_on(error)?,
                done => return done,
            }
            std::thread::sleep(PAUSE.min(self.0));
        }
    }

    /// Begins to wait.
    pub(super) fn begin(self) -> Waiting {
        Waiting { patience: self.0, since: Instant::now(), said: None }
    }
}

/// A wait for the store.
#[derive(Debug)]
pub(super) struct Waiting {
    patience: Duration,
    since: Instant,
    said: Option<Instant>,
}

impl Waiting {
    /// Something has come: what is waited for now is something else.
    pub(super) fn renew(&mut self) {
        self.since = Instant::now();
    }

    /// It still waits, for this reason.
    ///
    /// # Errors
    /// When it has waited for too long.
    pub(super) fn go_on(&mut self, reason: Error) -> Result<(), Error> {
        if self.since.elapsed() >= self.patience {
            return Err(Error::StartTimeout { waited_ms: self.patience.as_millis() as u64, reason: Box::new(reason) });
        }
        if self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(error = %reason, "waiting for the store");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crossbook_types::PartitionId;

    use super::*;

    fn silent() -> Error {
        Error::NotReached { partition: PartitionId(3) }
    }

    #[test]
    fn what_passes_is_asked_again_and_what_does_not_is_told() {
        let mut asked = 0;
        let patience = Patience::of_ms(60_000);
        let answer = patience.ask(|| {
            asked += 1;
            if asked < 2 { Err(silent()) } else { Ok(asked) }
        });
        assert_eq!(answer.unwrap(), 2);
        assert!(matches!(patience.ask(|| Err::<(), _>(Error::NoSnapshots)), Err(Error::NoSnapshots)));
    }

    #[test]
    fn nothing_is_waited_for_without_an_end() {
        let told = Patience::of_ms(1).ask(|| Err::<(), _>(silent())).unwrap_err().to_string();
        assert!(told.contains("partition 3") && told.contains("cluster.start_timeout_ms"), "{told}");
        let mut waiting = Patience::of_ms(0).begin();
        waiting.renew();
        assert!(matches!(waiting.go_on(silent()), Err(Error::StartTimeout { waited_ms: 0, .. })));
    }
}
