//! `crossbook backup` and `crossbook restore`: a copy of a venue that runs, and the way back.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbook_object_store::backup::{self, Manifest, Place, Progress, Restored, Source, Taken};
use crossbook_object_store::{Address, Options};
use crossbook_store::Database;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::command::backup::{Backup, Restore};
use crate::config::{self, Config, Flags};
use crate::data_folder::{self, DataFolder};
use crate::evidence::{self, Contradiction, Evidence};
use crate::secrets::SECRET_KEY_VARIABLE;
use crate::venue;

/// Time between two lines that say how far it is, where there is no terminal.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Why a venue cannot be backed up or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be one.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The history cannot be named.
    #[error(transparent)]
    Venue(#[from] Box<venue::Error>),
    /// What is known of the log cannot be found out.
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    /// The log is behind what is known of it.
    #[error("nothing is backed up, and the backup that there may be is as it was: {0}")]
    Behind(Contradiction),
    /// It did not work.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// The system does not say where it is.
    #[error("cannot find {place}: {source}")]
    Place {
        /// The place as given.
        place: String,
        /// What went wrong below.
        source: std::io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

fn address(place: &str) -> Result<Address, Error> {
    Address::of_place(place).map_err(|source| Error::Place { place: place.to_owned(), source })
}

/// Backs up as the command line says. The outcome in words.
///
/// # Errors
/// When there is no venue, or it cannot be read, or the place of the backup cannot be used.
pub fn run(options: &Backup) -> Result<String, Error> {
    let data = DataFolder::of_venue(&options.data)?;
    let address = address(&options.out)?;
    if let Some(folder) = address.folder() {
        data.check_outside("the backup", &folder)?;
    }
    let flags = Flags { data: Some(options.data.clone()), ..Flags::default() };
    let config = Config::load(options.config.as_deref(), flags)?;
    let database = venue::database(&config, &data).map_err(Box::new)?;
    check_not_behind(&data, database.as_ref())?;
    let place = Place::to_write(address, &Options::default())?;
    let mut run = [0; 4];
    aws_lc_rs::rand::fill(&mut run).map_err(|_| Error::NoRandomness)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let taking = backup::Options {
        verify_all: options.verify_all,
        now: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        run: u32::from_le_bytes(run),
    };
    let (log, snapshots) = (data.log(), data.snapshots());
    let mut shown = Shown::begin("backing up");
    let source = Source { log: &log, snapshots: &snapshots };
    let taken = backup::take(source, &place, &taking, |progress| shown.at(progress))?;
    shown.end();
    Ok(if options.json {
        format!("{}\n", taken_as_json(&taken, place.told()))
    } else {
        taken_as_text(&taken, place.told(), &data)
    })
}

/// Refuses a log that is behind what is known of it. Damage where it is looked at, and a history that cannot be asked,
/// are only said: a backup verifies what it copies, and is what such a venue needs most.
fn check_not_behind(data: &DataFolder, database: Option<&Database>) -> Result<(), Error> {
    let evidence = match Evidence::gather(data, database) {
        Err(evidence::Error::History(error)) => {
            eprintln!("crossbook backup: the history cannot be asked how far the log had reached: {error}");
            Evidence::gather(data, None)?
        }
        gathered => gathered?,
    };
    match evidence.examine(&data.log()) {
        Err(evidence::Error::Log(error)) => {
            eprintln!("crossbook backup: the log cannot be held against what is known of it: {error}");
            Ok(())
        }
        examined => examined?.map_or(Ok(()), |contradiction| Err(Error::Behind(contradiction))),
    }
}

/// Restores as the command line says. The outcome in words.
///
/// # Errors
/// When there is no backup, or it is damaged, or the target is not empty.
pub fn restore(options: &Restore) -> Result<String, Error> {
    let data = DataFolder::new(&options.data)?;
    let place = Place::to_read(address(&options.from)?, &Options::default())?;
    let mut shown = Shown::begin("restoring");
    let restored = backup::restore(&place, &data.target(), |progress| shown.at(progress))?;
    shown.end();
    Ok(if options.json {
        format!("{}\n", restored_as_json(&restored, &data))
    } else {
        restored_as_text(&restored, &data)
    })
}

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

fn taken_as_json(taken: &Taken, place: &str) -> Value {
    let mut told = contents(&taken.manifest);
    told["place"] = place.into();
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

fn taken_as_text(taken: &Taken, place: &str, data: &DataFolder) -> String {
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

fn restored_as_json(restored: &Restored, data: &DataFolder) -> Value {
    let mut told = contents(&restored.manifest);
    told["data"] = data.path().display().to_string().into();
    told["secretKeyFile"] = data.secret_key().display().to_string().into();
    told
}

fn restored_as_text(restored: &Restored, data: &DataFolder) -> String {
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
struct Shown {
    what: &'static str,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Shown {
    fn begin(what: &'static str) -> Self {
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

    fn at(&mut self, progress: Progress) {
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

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
