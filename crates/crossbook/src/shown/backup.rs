//! What a backup and a restore did, for people and programs, and how far they are meanwhile.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crossbook_object_store::backup::{Manifest, Progress, Restored};
use crossbook_venue::backup::Made;
use crossbook_venue::data_folder::DataFolder;
use crossbook_venue::secrets::SECRET_KEY_VARIABLE;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

/// Time between two lines that say how far it is, where there is no terminal.
const TELL_EVERY: Duration = Duration::from_secs(5);

fn contents(manifest: &Manifest) -> Value {
    json!({
        "log": manifest.log,
        "firstCommand": manifest.first().0,
        "lastCommand": manifest.last.0,
        "segments": manifest.segments.len(),
        "snapshot": manifest.snapshot.as_ref().map(|(at, _)| at.0),
        "bytes": manifest.objects().map(|stored| stored.bytes).sum::<u64>(),
    })
}

/// For programs.
#[must_use]
pub fn taken_as_json(Made { taken, place }: &Made) -> Value {
    let mut told = contents(&taken.manifest);
    told["place"] = place.as_str().into();
    told["segmentsCopied"] = taken.segments_copied.into();
    told["segmentsDropped"] = taken.segments_dropped.into();
    told["snapshotCopied"] = taken.snapshot_copied.into();
    told["bytesCopied"] = taken.bytes_copied.into();
    told
}

fn described(manifest: &Manifest) -> String {
    let commands = match manifest.segments.is_empty() {
        true => "none".to_owned(),
        false => format!("{} to {}", manifest.first(), manifest.last),
    };
    let snapshot = manifest.snapshot.as_ref().map_or("none".to_owned(), |(at, _)| format!("at command {at}"));
    format!("commands      {commands}\nsnapshot      {snapshot}\n")
}

/// For people.
#[must_use]
pub fn taken_as_text(Made { taken, place }: &Made, data: &DataFolder) -> String {
    let mut out = format!("backup        {place}\n");
    out.push_str(&described(&taken.manifest));
    let all = taken.manifest.segments.len();
    let bytes = HumanBytes(taken.bytes_copied);
    out.push_str(&format!("copied        {} of {all} segments, {bytes}, and read back\n", taken.segments_copied));
    if taken.segments_dropped > 0 {
        out.push_str(&format!(
            "dropped       {} segments: the log was trimmed past where the backup before ended, so they lead nowhere\n",
            taken.segments_dropped
        ));
    }
    out.push_str(&format!(
        "\nNot in it: the secret key ({SECRET_KEY_VARIABLE}, or {}), the settings, and the history in SQL, which is made anew from the log.\n",
        data.secret_key().display()
    ));
    out
}

/// For programs.
#[must_use]
pub fn restored_as_json(restored: &Restored, data: &DataFolder) -> Value {
    let mut told = contents(&restored.manifest);
    told["data"] = data.path().display().to_string().into();
    told["secretKeyFile"] = data.secret_key().display().to_string().into();
    told
}

/// For people.
#[must_use]
pub fn restored_as_text(restored: &Restored, data: &DataFolder) -> String {
    let mut out = format!("data folder   {}\n", data.path().display());
    out.push_str(&described(&restored.manifest));
    out.push_str(&format!("verified      all of it, {}\n", HumanBytes(restored.bytes)));
    out.push_str(&format!(
        "\nNext: put the venue's secret key back as {} (or set {SECRET_KEY_VARIABLE}), then\n  crossbook audit --data {}\n",
        data.secret_key().display(),
        data.path().display()
    ));
    if restored.manifest.first().0 > 1 {
        out.push_str("The log begins after its first command, so it cannot be audited as a whole; the snapshot stands for the rest.\n");
    }
    out
}

/// Shows how far it is: a bar on a terminal, a line now and then otherwise.
pub struct Shown {
    what: &'static str,
    told: Instant,
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
        Self { what, told: Instant::now(), bar }
    }

    /// Shows where it is.
    pub fn at(&mut self, progress: Progress) {
        let Progress { at, segments, segments_of, bytes } = progress;
        let line = format!("{}: command {at}, {}", self.what, HumanBytes(bytes));
        if let Some(bar) = &self.bar {
            bar.set_length(segments_of as u64);
            bar.set_position(segments as u64);
            bar.set_message(line);
        } else if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
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
