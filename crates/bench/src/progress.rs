//! Progress of a measurement: a bar on a terminal, a log line now and then otherwise.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// One measurement's display.
#[derive(Debug)]
pub struct ProgressDisplay {
    what: String,
    end: u64,
    logged: Instant,
    bar: Option<ProgressBar>,
}

impl ProgressDisplay {
    /// A display of `what`, which is done at `end`.
    pub fn begin(what: String, end: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(end), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}, {eta} left") {
                bar.set_style(style);
            }
            bar.with_message(what.clone())
        });
        Self { what, end, logged: Instant::now(), bar }
    }

    /// Shows where it is.
    pub fn at(&mut self, at: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(at),
            None if self.logged.elapsed() >= LOG_EVERY => {
                self.logged = Instant::now();
                tracing::info!(at, end = self.end, "{}", self.what);
            }
            None => {}
        }
    }

    /// Takes the display away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
