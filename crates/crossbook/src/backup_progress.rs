//! Shows the progress of a backup or a restore.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crossbook_object_store::backup::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A bar on a terminal, a line now and then otherwise.
pub struct Shown {
    what: &'static str,
    printed: Instant,
    bar: Option<ProgressBar>,
}

impl Shown {
    /// Of `what`, which begins now.
    #[must_use]
    pub fn begin(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} segment {pos} of {len}, {elapsed}") {
                bar.set_style(style);
            }
            bar
        });
        Self { what, printed: Instant::now(), bar }
    }

    /// Shows where it is.
    pub fn at(&mut self, progress: Progress) {
        let Progress { at, segments, segments_of, bytes } = progress;
        let line = format!("{}: command {at}, {}", self.what, HumanBytes(bytes));
        if let Some(bar) = &self.bar {
            bar.set_length(segments_of as u64);
            bar.set_position(segments as u64);
            bar.set_message(line);
        } else if self.printed.elapsed() >= LINE_EVERY {
            self.printed = Instant::now();
            eprintln!("{line}, segment {segments} of {segments_of}");
        }
    }

    /// Takes the display away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
