//! Carries commands out: settings from the options, the work in `crossbook_venue`, the outcome on standard output.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crossbook_operator::probe::Question;
use crossbook_report::print;
use crossbook_servers::cluster::{NO_LIMITS, Plan};
use crossbook_types::{PartitionId, Sequence};
use crossbook_venue::cluster::{self, gateway, worker, writer};
use crossbook_venue::config::{Config, Flags};
use crossbook_venue::data_folder::DataFolder;
use crossbook_venue::logging;
use crossbook_venue::outcome::Outcome;
use crossbook_venue::restore::Accepted;
use crossbook_venue::store::{Discard, Extent, Rebuilt};
use crossbook_venue::verdict::Verdict;

use crate::command::cluster::{Gateway, Local, Role, Worker, Writer};
use crate::command::import_export::{Export, Import};
use crate::command::{self, StoreAction, StoreRebuild, StoreVerify};
use crate::progress::Shown;
use crate::{BUILD, Failure, backup_progress};

/// Prints an outcome: a text for people, or one line of JSON.
fn print_outcome(json: bool, outcome: &impl Outcome) -> Result<(), Failure> {
    Ok(print(&if json { format!("{}\n", outcome.as_json()) } else { outcome.as_text() })?)
}

/// The settings for work on a data folder.
fn of_folder(data: &Path, config: Option<&Path>) -> Result<Config, Failure> {
    Ok(Config::load(config, Flags { data: Some(data.to_owned()), ..Flags::default() })?)
}

/// The settings of a cluster.
fn of_cluster(config: Option<&Path>) -> Result<Config, Failure> {
    Ok(Config::load(config, Flags::default())?)
}

/// The data folder that was given; empty for work on a cluster, which needs none.
fn folder(data: Option<&PathBuf>) -> PathBuf {
    data.cloned().unwrap_or_default()
}

/// `crossbook config`.
pub fn config(options: &command::Config) -> Result<(), Failure> {
    Ok(print(&of_cluster(options.config.as_deref())?.render()?)?)
}

/// `crossbook serve`.
pub fn serve(options: command::Serve) -> Result<(), Failure> {
    let log_format = options.log_format.map(Into::into);
    let flags =
        Flags { data: options.data, http: options.http, admin: options.admin, probes: options.probes, log_format };
    let config = Config::load(options.config.as_deref(), flags)?;
    if options.print_config {
        return Ok(print(&config.render()?)?);
    }
    let accepted = Accepted {
        lost_keys: options.revoke_lost_keys,
        discard_newer: options.discard_newer,
        clock: options.accept_clock,
        exported: options.reopen,
    };
    Ok(crossbook_venue::serve::run(&config, accepted, &BUILD, &mut Shown::new())?)
}

/// `crossbook demo`.
pub fn demo(options: command::Demo) -> Result<(), Failure> {
    let log_format = options.log_format.map(Into::into);
    let flags = Flags { data: options.data, http: options.http, admin: options.admin, probes: None, log_format };
    let config = Config::load(options.config.as_deref(), flags)?;
    let (seed, history) = (options.seed, options.history);
    Ok(crossbook_demo::run(config, crossbook_demo::Options { seed, history }, &BUILD, &mut Shown::new())?)
}

/// `crossbook cluster`.
pub fn local_cluster(options: &Local) -> Result<(), Failure> {
    let plan = Plan {
        shards: options.shards.into(),
        replicas: options.replicas.into(),
        partitions: options.partitions,
        workers: options.workers.into(),
        standby: !options.no_standby,
        gateways: options.gateways.into(),
        history: !options.no_history,
        settings: if options.no_limits { NO_LIMITS.to_owned() } else { String::new() },
        ..Plan::default()
    };
    Ok(crossbook_demo::cluster::run(options.data.as_deref(), plan)?)
}

/// The settings of a role of a cluster, changed by `change`; printed instead, if that is asked for.
fn of_role(role: &Role, http: Option<SocketAddr>, change: impl FnOnce(&mut Config)) -> Result<Option<Config>, Failure> {
    let log_format = role.log_format.map(Into::into);
    let flags = Flags { data: None, http, admin: role.admin, probes: role.probes, log_format };
    let mut config = Config::load(role.config.as_deref(), flags)?;
    change(&mut config);
    if role.print_config {
        print(&config.render()?)?;
        return Ok(None);
    }
    Ok(Some(config))
}

/// `crossbook gateway`.
pub fn gateway(Gateway { role, http }: Gateway) -> Result<(), Failure> {
    let Some(config) = of_role(&role, http, |_| ())? else { return Ok(()) };
    Ok(gateway::run(&config, role.accept_clock, &BUILD)?)
}

/// `crossbook worker`.
pub fn worker(options: Worker) -> Result<(), Failure> {
    let Worker { role, name, discard_newer, partitions } = options;
    let run_only = |config: &mut Config| {
        if !partitions.is_empty() {
            config.cluster.worker.partitions = partitions;
        }
    };
    let Some(config) = of_role(&role, None, run_only)? else { return Ok(()) };
    Ok(worker::run(&config, worker::Options { name, discard_newer, accept_clock: role.accept_clock }, &BUILD)?)
}

/// `crossbook writer`.
pub fn writer(Writer { role }: Writer) -> Result<(), Failure> {
    let Some(config) = of_role(&role, None, |_| ())? else { return Ok(()) };
    Ok(writer::run(&config, &BUILD)?)
}

/// `crossbook probe`. Whether the process is ready, or alive.
pub fn probe(options: &command::probe::Probe) -> Result<bool, Failure> {
    let url = match &options.url {
        Some(url) => url.clone(),
        None => crossbook_venue::listen::probe_url(&Config::load(options.config.as_deref(), Flags::default())?),
    };
    let what = if options.live { Question::IsAlive } else { Question::IsReady };
    let probed = crossbook_operator::probe::ask(&url, what, options.ca.as_deref(), options.timeout)?;
    print(&probed.text)?;
    Ok(probed.is_well)
}

/// `crossbook backup`.
pub fn backup(options: &command::backup::Backup) -> Result<(), Failure> {
    let data = DataFolder::of_venue(&options.data)?;
    let config = of_folder(&options.data, options.config.as_deref())?;
    let mut bar = backup_progress::Shown::begin("backing up");
    let warn = |warning| eprintln!("crossbook backup: {warning}");
    let what = (options.out.as_str(), options.verify_all);
    let made = crossbook_venue::backup::make(&data, &config, what, warn, |progress| bar.at(progress))?;
    bar.end();
    print_outcome(options.json, &made)
}

/// `crossbook restore`.
pub fn restore(options: &command::backup::Restore) -> Result<(), Failure> {
    let data = DataFolder::new(&options.data)?;
    let mut bar = backup_progress::Shown::begin("restoring");
    let restored = crossbook_venue::backup::restore(data, &options.from, |progress| bar.at(progress))?;
    bar.end();
    print_outcome(options.json, &restored)
}

/// `crossbook export`.
pub fn export(options: &Export) -> Result<(), Failure> {
    if options.cluster {
        let config = of_cluster(options.config.as_deref())?;
        logging::start(&config.logging)?;
        if options.reopen {
            return print_outcome(options.json, &cluster::export::reopen(&config)?);
        }
        let exported = cluster::export::write(&config, &options.out, &mut Shown::new())?;
        return print_outcome(options.json, &exported);
    }
    let config = of_folder(&folder(options.data.as_ref()), options.config.as_deref())?;
    let exported = crossbook_venue::export::write(&config, &options.out, &mut Shown::new())?;
    print_outcome(options.json, &exported)
}

/// `crossbook import`. Returns whether the venue has been imported.
pub fn import(options: &Import) -> Result<bool, Failure> {
    if let Some(data) = &options.data {
        let config = of_folder(data, options.config.as_deref())?;
        logging::start(&config.logging)?;
        let imported = crossbook_venue::import::run(&config, &options.export, &mut Shown::new())?;
        print_outcome(options.json, &imported)?;
        return Ok(imported.has_imported());
    }
    let config = of_cluster(options.config.as_deref())?;
    logging::start(&config.logging)?;
    let imported = cluster::import::run(&config, &options.export, &mut Shown::new())?;
    print_outcome(options.json, &imported)?;
    Ok(imported.outcome.has_imported())
}

/// `crossbook audit`.
pub fn audit(options: &command::Audit) -> Result<Verdict, Failure> {
    if options.cluster {
        let report = crossbook_venue::audit::cluster(&of_cluster(options.config.as_deref())?)?;
        print_outcome(options.json, &report)?;
        return Ok(report.verdict());
    }
    let path = folder(options.data.as_ref());
    let data = DataFolder::of_venue(&path)?;
    let config = of_folder(&path, options.config.as_deref())?;
    let outcome = crossbook_venue::audit::log(&data, &config, &mut Shown::new())?;
    print_outcome(options.json, &outcome)?;
    Ok(outcome.verdict())
}

/// `crossbook skip`.
pub fn skip(options: &command::Skip) -> Result<(), Failure> {
    let sequence = Sequence(options.sequence);
    let passed = if options.cluster {
        let config = of_cluster(options.config.as_deref())?;
        let partition = PartitionId(options.partition.unwrap_or_default());
        crossbook_venue::skip::of_cluster(&config, (partition, sequence), options.force)?
    } else {
        let path = folder(options.data.as_ref());
        let data = DataFolder::of_venue(&path)?;
        let config = of_folder(&path, options.config.as_deref())?;
        crossbook_venue::skip::of_venue(&data, &config, sequence, options.force)?
    };
    print_outcome(false, &passed)
}

/// `crossbook store`. Whether all is well.
pub fn store(action: &StoreAction) -> Result<bool, Failure> {
    match action {
        StoreAction::Verify(options) => verify(options),
        StoreAction::Rebuild(options) => rebuild(options).map(|()| true),
    }
}

fn verify(options: &StoreVerify) -> Result<bool, Failure> {
    if options.cluster {
        let verdict = crossbook_venue::store::verify_cluster(&of_cluster(options.config.as_deref())?)?;
        print_outcome(options.json, &verdict)?;
        return Ok(verdict.agrees());
    }
    let config = of_folder(&folder(options.data.as_ref()), options.config.as_deref())?;
    let extent = Extent { contents: options.contents, rows: options.rows };
    let verdict = crossbook_venue::store::verify(&config, extent, &mut Shown::new())?;
    print_outcome(options.json, &verdict)?;
    Ok(verdict.agrees())
}

fn rebuild(options: &StoreRebuild) -> Result<(), Failure> {
    if options.cluster {
        let config = of_cluster(options.config.as_deref())?;
        crossbook_venue::store::rebuild_cluster(&config, (options.discard, options.discard_newer))?;
        return Ok(print(
            "The history of all partitions is given up. The writer notices within seconds and fills the tables again; \
             /readyz on its admin address shows how far it is. If no writer runs, start one.\n",
        )?);
    }
    let config = of_folder(&folder(options.data.as_ref()), options.config.as_deref())?;
    let discard = Discard { history: options.discard, newer: options.discard_newer };
    let text = match crossbook_venue::store::rebuild(&config, discard, &mut Shown::new())? {
        Rebuilt::Filled(reached) => format!("The history is rebuilt, up to command {reached}.\n"),
        Rebuilt::GivenUp => "The history is given up. The venue is running: if it keeps its history there, it notices \
                             within seconds and fills the tables again; /readyz on its admin address shows how far it \
                             is.\n"
            .to_owned(),
    };
    Ok(print(&text)?)
}
