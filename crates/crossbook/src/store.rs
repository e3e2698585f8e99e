//! `crossbook store`: the history held against the engine, and made anew.
//!
//! Both work on the data folder and the database alone. Verifying needs nothing stopped: rows are written after the log is durable, so
//! wherever the tables stand, the log can be replayed to there.

use std::path::Path;

use crossbook_engine::{Cause, Event};
use crossbook_log::{FileReader, Files, Log as _, Until, files};
use crossbook_node::recovery::{self, Follower, Progress, Recovered};
use crossbook_node::snapshot::{self, Folder, Saved as _, UpTo};
use crossbook_store::contents::{TableContents, contents};
use crossbook_store::verify::{Facts, Witness};
use crossbook_store::{Database, Source as _, SourceError, Writer};
use crossbook_types::Sequence;
use crossbook_views::{Limits, State, Views};
use serde_json::{Map, Value, json};

use crate::command::{StoreAction, StoreRebuild, StoreVerify};
use crate::config::{self, Config, Flags};
use crate::folded::Folded;
use crate::history::PARTITION;
use crate::history::source::LogSource;
use crate::progress::Replay;
use crate::venue::{log_folder, snapshot_folder};

/// Why the history cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// No history is kept.
    #[error("history.database is `none`: this venue keeps no history")]
    NoHistory,
    /// There is no log.
    #[error("there is no log in {0}; give the data folder of a venue")]
    NoLog(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] crossbook_store::Error),
    /// The log cannot be replayed.
    #[error("the log cannot be replayed: {0}")]
    Recovery(#[from] recovery::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// Snapshots cannot be read.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// Events cannot be had.
    #[error("the history cannot be made: {0}")]
    Source(SourceError),
    /// The system gives no threads.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Does what the command line says. Whether all is well.
///
/// # Errors
/// When the log or the database cannot be read.
pub fn run(action: StoreAction) -> Result<bool, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match action {
        StoreAction::Verify(options) => runtime.block_on(verify(&options)),
        StoreAction::Rebuild(options) => runtime.block_on(rebuild(&options)).map(|()| true),
    }
}

fn database(data: &Path, config: Option<&Path>) -> Result<(Config, Database), Error> {
    let flags = Flags { data: Some(data.to_owned()), ..Flags::default() };
    let config = Config::load(config, flags)?;
    let log = log_folder(data);
    if !log.is_dir() {
        return Err(Error::NoLog(log.display().to_string()));
    }
    let database = Database::new(&config.history, data)?.ok_or(Error::NoHistory)?;
    Ok((config, database))
}

/// Views and what the trades add up to.
struct Checking {
    views: Folded,
    witness: Witness,
    complete_from: Sequence,
}

impl Follower for Checking {
    type Saved = State;

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.views.follow(cause, events);
        self.witness.follow(cause, events, self.complete_from);
    }

    fn save(&self) -> State {
        self.views.save()
    }

    fn load(&mut self, saved: State) -> Result<(), String> {
        self.views.load(saved)
    }
}

/// What a verification found.
struct Verdict {
    sequence: Sequence,
    findings: Vec<String>,
    /// Where the replay began: what happened before could not be added up.
    since: Sequence,
    contents: Vec<TableContents>,
}

async fn verify(options: &StoreVerify) -> Result<bool, Error> {
    let (_, database) = database(&options.data, options.config.as_deref())?;
    let (facts, contents) = (Facts::read(&database, PARTITION).await?, async {
        if options.contents { contents(&database).await.map_err(Error::from) } else { Ok(Vec::new()) }
    });
    let contents = contents.await?;
    let position = facts.position.sequence;
    let mut shown = Replay::begin("replaying the log to where the history stands");
    let log = log_folder(&options.data);
    let snapshots = Folder::open(&snapshot_folder(&options.data))?;
    // The sums need every trade, so snapshots are used only where the log has lost its beginning.
    let begun = |until: Sequence, shown: &mut Replay| {
        let checking = Checking {
            views: Folded(Views::new(Limits::default())),
            witness: Witness::default(),
            complete_from: facts.position.complete_from,
        };
        let reader = |from| FileReader::open(&log, from);
        let progress = |progress: Progress| shown.at(progress);
        recovery::recover(&UpTo(&snapshots, until), reader, Until::Durable(position), checking, 0, progress)
    };
    let mut since = Sequence(0);
    let recovered = match begun(since, &mut shown) {
        Err(recovery::Error::Log(crossbook_log::Error::Trimmed { .. })) => {
            since = UpTo(&snapshots, position).list()?.last().copied().unwrap_or_default();
            begun(since, &mut shown)
        }
        recovered => recovered,
    };
    let Recovered { partition, follower, .. } = recovered?;
    shown.end();
    let Checking { views, mut witness, complete_from } = follower;
    if since > complete_from {
        witness.trust_trades(&facts);
    }
    let findings = witness.compare(&facts, &partition, &views.0);
    let verdict = Verdict { sequence: position, findings, since: since.max(complete_from), contents };
    if options.json {
        println!("{}", verdict.as_json());
    } else {
        print!("{}", verdict.as_text());
    }
    Ok(verdict.findings.is_empty())
}

impl Verdict {
    fn as_json(&self) -> Value {
        let tables: Map<String, Value> = self
            .contents
            .iter()
            .map(|table| (table.table.into(), json!({"rows": table.rows, "sha256": hex::encode(table.sha256)})))
            .collect();
        json!({
            "sequence": self.sequence.0,
            "since": self.since.0,
            "tables": tables,
            "findings": self.findings,
            "ok": self.findings.is_empty(),
        })
    }

    fn as_text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "last command in the history  {}", self.sequence);
        if self.since > Sequence(0) {
            let _ =
                writeln!(out, "trades up to command {} could not be added up: the log no longer has them", self.since);
        }
        for table in &self.contents {
            let _ = writeln!(out, "{:<16} {:>12} rows  {}", table.table, table.rows, hex::encode(table.sha256));
        }
        for finding in &self.findings {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        let verdict = if self.findings.is_empty() {
            "The history is what the engine says: balances, open orders, trades, candles, ledger entries."
        } else {
            "The history differs from the engine, which is right. Find out who wrote to it, then: crossbook store rebuild"
        };
        let _ = writeln!(out, "{verdict}");
        out
    }
}

async fn rebuild(options: &StoreRebuild) -> Result<(), Error> {
    let (config, database) = database(&options.data, options.config.as_deref())?;
    let snapshots = Folder::open(&snapshot_folder(&options.data))?;
    let log = log_folder(&options.data);
    let durable_at_least = snapshots.list()?.first().copied().unwrap_or_default();
    let opened = Files::open(&log, files::Options { durable_at_least, ..config.log.files() });
    let (log, _) = match opened {
        // A running venue notices that its history stands elsewhere, and goes back to there.
        Err(crossbook_log::Error::Locked { .. }) => {
            crossbook_store::empty(&database).await?;
            println!(
                "The tables are empty. The venue is running and fills them again; /readyz on its admin address shows how far it is."
            );
            return Ok(());
        }
        opened => opened?,
    };
    let (end, path) = (log.durable(), log_folder(&options.data));
    let mut writer = Writer::open(&database.for_log(log.identity())).await?;
    writer.clear().await?;
    let mut source = LogSource::new(&path, snapshots, end, 0);
    let mut projection = source.seek(Default::default(), &|| false).map_err(Error::Source)?;
    let mut shown = Replay::begin("filling the history");
    loop {
        source.pull(&mut projection, end, config.history.transaction_rows_max.max(1)).map_err(Error::Source)?;
        if projection.is_empty() {
            break;
        }
        writer.write(&projection.take()).await?;
        shown.at(Progress { at: projection.position(), end: Some(end) });
    }
    shown.end();
    writer.close().await;
    println!("The history is made anew, up to command {}.", projection.position());
    Ok(())
}
