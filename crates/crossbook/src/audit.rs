//! `crossbook audit`: replays a log offline and says whether everything adds up.

use std::path::PathBuf;

use crossbook_log::{FileReader, Until};
use crossbook_node::audit::{Proof, Report, Totals, replay};
use crossbook_node::snapshot::{self, Folder};
use crossbook_types::{Amount, Decimal, Sequence};
use serde_json::{Map, Value, json};

use crate::cluster::{self, Site};
use crate::command;
use crate::config::{self, Config, Flags};
use crate::data_folder::{self, DataFolder};
use crate::evidence::{self, Contradiction, Evidence};
use crate::folded::Folded;
use crate::progress::Replay;
use crate::venue;

/// Why a log cannot be audited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder is none.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// There is none, but there was.
    #[error(transparent)]
    LogLost(#[from] Contradiction),
    /// What is known of the log cannot be found out.
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    /// The history cannot be named.
    #[error(transparent)]
    Venue(#[from] venue::Error),
    /// There is one, without a single command.
    #[error("there is nothing to audit: the log in {} holds no command, and no snapshot says that it ever did", .0.display())]
    Nothing(PathBuf),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The cluster cannot be read.
    #[error(transparent)]
    Cluster(#[from] Box<cluster::Error>),
    /// The snapshots beside it cannot be read.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// It cannot be read.
    #[error("the log in {} cannot be replayed: {source}", path.display())]
    Replay {
        /// Where it is.
        path: PathBuf,
        /// What went wrong below.
        source: crossbook_node::recovery::Error,
    },
}

/// Audits as the command line says. The outcome in words, and whether everything adds up.
///
/// # Errors
/// When there is no log, nothing in it, or it cannot be read.
pub fn run(options: &command::Audit) -> Result<(String, bool), Error> {
    if options.cluster {
        let config = Config::load(options.config.as_deref(), Flags::default())?;
        let site = Site::find(&config).map_err(Box::new)?;
        let database = site.database(&config).map_err(Box::new)?;
        let report = cluster::audit::audit(&site, database.as_ref()).map_err(Box::new)?;
        let text = if options.json { format!("{}\n", report.as_json()) } else { report.as_text() };
        return Ok((text, report.adds_up()));
    }
    let data = DataFolder::of_venue(&options.data.clone().unwrap_or_default())?;
    let (path, snapshots) = (data.log(), data.snapshots());
    let flags = Flags { data: options.data.clone(), ..Flags::default() };
    let database = venue::database(&Config::load(options.config.as_deref(), flags)?, &data)?;
    // Read before the log: beside a running venue, what is made meanwhile may stand for more than was read of the log.
    let evidence = Evidence::gather(&data, database.as_ref())?;
    let mut proof = if data_folder::is_folder(&snapshots)? {
        Proof::read::<Folded>(&Folder::at(&snapshots))?
    } else {
        Proof::default()
    };
    // What is missing is said once, by all that know it.
    proof.durable = Sequence(0);
    if !data_folder::is_folder(&path)? {
        return Err(evidence.examine(&path)?.map_or(data_folder::Error::NoLog(path).into(), Error::LogLost));
    }
    let mut reader = FileReader::open(&path, Sequence(1));
    let mut shown = Replay::begin("auditing");
    let mut report = replay(&mut reader, Until::End, &proof, |progress| shown.at(progress))
        .map_err(|source| Error::Replay { path: path.clone(), source })?;
    shown.end();
    if let Some(contradiction) = evidence.examine(&path)? {
        report.missing = contradiction.missing();
        report.findings.push(contradiction.to_string());
    }
    if let Some(reason) = evidence.silent() {
        eprintln!("crossbook: the history could not be asked whether the log has all its commands: {reason}");
    }
    if report.sequence == Sequence(0) && report.findings.is_empty() {
        return Err(Error::Nothing(path));
    }
    let text = if options.json {
        format!("{}\n", as_json(&report, reader.torn_bytes()))
    } else {
        as_text(&report, reader.torn_bytes())
    };
    Ok((text, report.findings.is_empty()))
}

fn amount(amount: Amount, totals: &Totals) -> String {
    let mut text = String::new();
    Decimal::write(amount.0, totals.decimals, 0, &mut text);
    text
}

fn as_json(report: &Report, torn_bytes: u64) -> Value {
    let assets: Map<String, Value> = report
        .assets
        .iter()
        .map(|(name, totals)| {
            // Zero is "0" whatever the asset's decimals, so that programs can compare without parsing.
            let sum = if totals.sum.is_zero() { "0".to_owned() } else { amount(totals.sum, totals) };
            let entry = json!({
                "sum": sum,
                "clients": amount(totals.clients, totals),
                "fees": amount(totals.fees, totals),
            });
            (name.clone(), entry)
        })
        .collect();
    json!({
        "sequence": report.sequence.0,
        "stateHash": hex::encode(report.state_hash),
        "trades": report.trades,
        "assets": assets,
        "tornBytes": torn_bytes,
        "snapshot": report.snapshot.map(|at| at.0),
        "missingCommands": report.missing,
        "findings": report.findings,
        "ok": report.findings.is_empty(),
    })
}

fn as_text(report: &Report, torn_bytes: u64) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "last command  {}", report.sequence);
    let _ = writeln!(out, "state hash    {}", hex::encode(report.state_hash));
    let _ = writeln!(out, "trades        {}", report.trades);
    if let Some(at) = report.snapshot {
        let _ = writeln!(out, "snapshot      at command {at}, compared with the state there");
    }
    // Whether a tail was acknowledged can be known only where a snapshot says that it was.
    match (torn_bytes, report.missing) {
        (0, _) => {}
        (bytes, 0) => {
            let _ =
                writeln!(out, "torn tail     {bytes} bytes of a write that did not end; the next start cuts them off");
        }
        (bytes, _) => {
            let _ = writeln!(out, "broken tail   {bytes} bytes where commands were that are lost");
        }
    }
    let _ = writeln!(out, "\n{:<10} {:>32} {:>28} {:>12}", "asset", "clients", "fees", "sum");
    for (name, totals) in &report.assets {
        let [clients, fees, sum] = [totals.clients, totals.fees, totals.sum].map(|value| amount(value, totals));
        let sum = if totals.sum.is_zero() { "0" } else { &sum };
        let _ = writeln!(out, "{name:<10} {clients:>32} {fees:>28} {sum:>12}");
    }
    out.push('\n');
    for finding in &report.findings {
        let _ = writeln!(out, "WRONG: {finding}");
    }
    let verdict = if report.findings.is_empty() {
        "Everything adds up: the sum of every asset over all accounts was zero after every command."
    } else if report.missing > 0 {
        "Part of the log is missing. Keep the data folder as it is, and restore the log from a backup."
    } else {
        "Something is off. Keep the data folder as it is and find out why before trading goes on."
    };
    let _ = writeln!(out, "{verdict}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<String>) -> Report {
        let totals = Totals { sum: Amount(0), clients: Amount(150), fees: Amount(5), decimals: 2 };
        Report {
            sequence: Sequence(7),
            state_hash: [0xab; 32],
            assets: [("BTC".to_owned(), totals)].into(),
            trades: 3,
            snapshot: None,
            missing: 0,
            findings,
        }
    }

    #[test]
    fn the_outcome_reads_the_same_for_people_and_programs() {
        let json = as_json(&report(vec![]), 0);
        assert_eq!(json["assets"]["BTC"], json!({"sum": "0", "clients": "1.50", "fees": "0.05"}));
        assert_eq!((&json["ok"], &json["sequence"]), (&json!(true), &json!(7)));
        assert_eq!(json["stateHash"], "ab".repeat(32));
        let text = as_text(&report(vec![]), 0);
        assert!(text.contains("1.50") && text.contains("Everything adds up"), "{text}");
        let wrong = report(vec!["command 5: the sum of asset 0 is 1 instead of 0".into()]);
        assert_eq!(as_json(&wrong, 0)["ok"], false);
        assert!(as_text(&wrong, 9).contains("WRONG: command 5") && as_text(&wrong, 9).contains("9 bytes"));
        let lost = Report { missing: 2, ..report(vec!["2 commands are lost".into()]) };
        assert!(as_text(&lost, 9).contains("broken tail") && as_text(&lost, 9).contains("restore the log"));
    }
}
