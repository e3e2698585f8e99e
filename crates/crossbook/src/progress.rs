//! Shows how far a replay is: a line that moves on a terminal, a log line now and then otherwise. A replay that takes
//! no longer than a moment shows nothing.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crossbook_node::recovery::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a replay may take before anything is shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// One replay's display.
#[derive(Debug)]
pub struct Replay {
    what: &'static str,
    started: Instant,
    logged: Instant,
    bar: Option<ProgressBar>,
    terminal: bool,
}

impl Replay {
    /// A display of `what` that begins now.
    #[must_use]
    pub fn begin(what: &'static str) -> Self {
        let now = Instant::now();
        Self { what, started: now, logged: now, bar: None, terminal: std::io::stderr().is_terminal() }
    }

    /// Shows where it is.
    pub fn at(&mut self, progress: Progress) {
        if self.started.elapsed() < PATIENCE {
            return;
        }
        if self.terminal {
            let bar = self.bar.get_or_insert_with(|| bar(self.what, progress));
            bar.set_position(progress.at.0);
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let end = progress.end.map(|end| end.0);
            tracing::info!(command = progress.at.0, end, "{}", self.what);
        }
    }

    /// Takes the display away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, progress: Progress) -> ProgressBar {
    let (bar, template) = match progress.end {
        Some(end) => {
            (ProgressBar::new(end.0), "{msg} {wide_bar} {human_pos}/{human_len} commands, {per_sec}, {eta} left")
        }
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {human_pos} commands, {per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
