//! Shows the progress of a replay: a line that is updated on a terminal, a log line now and then otherwise. A short
//! replay shows nothing.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crossbook_node::recovery::Progress as Position;
use crossbook_venue::progress::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a replay may take before anything is shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The display of operations on standard error.
#[derive(Debug)]
pub struct Shown {
    what: &'static str,
    started: Instant,
    logged: Instant,
    bar: Option<ProgressBar>,
    terminal: bool,
}

impl Shown {
    /// A display of no operation yet.
    #[must_use]
    pub fn new() -> Self {
        let now = Instant::now();
        Self { what: "", started: now, logged: now, bar: None, terminal: std::io::stderr().is_terminal() }
    }
}

impl Progress for Shown {
    fn begin(&mut self, what: &'static str) {
        self.end();
        let now = Instant::now();
        (self.what, self.started, self.logged) = (what, now, now);
    }

    fn at(&mut self, place: Position) {
        if self.started.elapsed() < PATIENCE {
            return;
        }
        if self.terminal {
            let bar = self.bar.get_or_insert_with(|| bar(self.what, place));
            bar.set_position(place.at.0);
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let end = place.end.map(|end| end.0);
            tracing::info!(command = place.at.0, end, "{}", self.what);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, place: Position) -> ProgressBar {
    let (bar, template) = match place.end {
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
