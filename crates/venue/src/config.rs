//! The settings of a venue: the options of all parts, in one tree.
//!
//! The tree consists of the parts' own option structs, so a setting is defined where it is used. Values come from these
//! sources, each overriding the previous one: the defaults, a TOML file, the environment, the command line. Unknown
//! keys are refused, because a misspelt limit that is silently ignored is worse than none.

pub mod address;
mod bounds;
mod clock;
mod cluster;
pub mod environment;
mod logging;
mod reference;
mod renamed;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

pub use clock::ClockOptions;
use renamed::Renaming;

pub use cluster::{ClusterOptions, WriterOptions};
pub use logging::{LogFormat, LoggingOptions};

/// What every environment variable with a setting begins with.
pub const ENVIRONMENT_PREFIX: &str = "CROSSBOOK_";

/// Everything that can be set.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The data folder. Empty: it must be given on the command line.
    pub data: PathBuf,
    /// Where the client API listens.
    #[serde(deserialize_with = "address::deserialize")]
    pub http: SocketAddr,
    /// Where the admin API listens.
    #[serde(deserialize_with = "address::deserialize")]
    pub admin: SocketAddr,
    /// Where probes and the scraper of metrics are answered, and nobody else.
    pub probes: address::Optional,
    /// Log lines.
    pub logging: LoggingOptions,
    /// Files of the durable log.
    pub log: LogOptions,
    /// When snapshots are taken.
    pub snapshots: SnapshotOptions,
    /// How far the machine's clock may be off.
    pub clock: ClockOptions,
    /// The partition thread and its queues.
    pub node: crossbook_node::embedded::Options,
    /// The bounds of the read model in memory.
    pub views: crossbook_views::Limits,
    /// The history in SQL.
    pub history: crossbook_store::Options,
    /// The client API.
    pub gateway: crossbook_api_binance::Config,
    /// What `/metrics` answers.
    pub metrics: MetricsOptions,
    /// Traces of orders.
    pub traces: crossbook_otlp::Options,
    /// A venue of many processes.
    pub cluster: ClusterOptions,
}

/// When snapshots are taken while the venue runs. One is always taken at a clean stop.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotOptions {
    /// Commands after which the next is taken; 0: only at a clean stop.
    pub interval_commands: u64,
    /// How often it is checked whether a snapshot is due.
    pub check_interval_ms: u64,
    /// Whether the log is trimmed up to the older of two snapshots.
    pub trim_log: bool,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { interval_commands: 1_000_000, check_interval_ms: 2_000, trim_log: false }
    }
}

/// What `/metrics` answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricsOptions {
    /// Markets with series of their own.
    pub markets_max: u32,
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self { markets_max: 500 }
    }
}

/// The sizes of the durable log's files. See [`crossbook_log::files::Options`], whose numbers these are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// The most bytes of a segment file.
    pub segment_bytes_max: u64,
    /// The most bytes of a batch.
    pub batch_bytes_max: usize,
    /// The most bytes of a record.
    pub record_bytes_max: usize,
    /// Whether a segment takes its room on disk ahead.
    pub preallocate: bool,
    /// Bytes a second that are read at most to verify, after a start, what is before its snapshot; 0: no such bound.
    pub verify_bytes_per_second: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        let defaults = crossbook_log::files::Options::default();
        Self {
            segment_bytes_max: defaults.segment_bytes_max,
            batch_bytes_max: defaults.batch_bytes_max,
            record_bytes_max: defaults.record_bytes_max,
            preallocate: defaults.preallocate,
            verify_bytes_per_second: 32 << 20,
        }
    }
}

impl LogOptions {
    /// The same as the log takes them.
    #[must_use]
    pub fn files(&self) -> crossbook_log::files::Options {
        crossbook_log::files::Options {
            segment_bytes_max: self.segment_bytes_max,
            batch_bytes_max: self.batch_bytes_max,
            record_bytes_max: self.record_bytes_max,
            preallocate: self.preallocate,
            ..crossbook_log::files::Options::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
            probes: address::Optional::default(),
            logging: LoggingOptions::default(),
            log: LogOptions::default(),
            snapshots: SnapshotOptions::default(),
            clock: ClockOptions::default(),
            node: crossbook_node::embedded::Options::default(),
            views: crossbook_views::Limits::default(),
            history: crossbook_store::Options::default(),
            gateway: crossbook_api_binance::Config::default(),
            metrics: MetricsOptions::default(),
            traces: crossbook_otlp::Options::default(),
            cluster: ClusterOptions::default(),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there.
    #[error("there is no configuration file {}", .0.display())]
    NoFile(PathBuf),
    /// The file exists and cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The underlying error.
        source: std::io::Error,
    },
    /// A key that no part knows.
    #[error(
        "{origin} sets `{key}`, which is not a setting{}",
        hint.as_ref().map_or(String::new(), |known| format!("; did you mean `{known}`?"))
    )]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it was set.
        origin: String,
        /// A setting with a similar name.
        hint: Option<String>,
    },
    /// A value that its setting cannot have.
    #[error("{}", described(.0))]
    Value(#[source] Box<figment::Error>),
    /// A command that the gateway accepts would not fit into the log, which would end the process.
    #[error(
        "log.record_bytes_max is {record_bytes_max}, but a command can have {needed} bytes \
         (gateway.server.body_bytes_max and a little more); set it to {needed} or more, or body_bytes_max lower"
    )]
    RecordsTooSmall {
        /// What is set.
        record_bytes_max: usize,
        /// What it must be at least.
        needed: usize,
    },
    /// A value with which the venue would be of no use.
    #[error("`{key}` is {value}; {instead}")]
    Useless {
        /// The setting.
        key: &'static str,
        /// What it is.
        value: String,
        /// What to set.
        instead: String,
    },
    /// The settings cannot be written as TOML.
    #[error("the settings cannot be written as TOML")]
    Render(#[from] toml::ser::Error),
}

/// The settings of the command line; they override everything else.
#[derive(Debug, Default)]
pub struct Flags {
    /// The option `--data`.
    pub data: Option<PathBuf>,
    /// The option `--http`.
    pub http: Option<SocketAddr>,
    /// The option `--admin`.
    pub admin: Option<SocketAddr>,
    /// The option `--probes`.
    pub probes: Option<SocketAddr>,
    /// The option `--log-format`.
    pub log_format: Option<LogFormat>,
}

impl Config {
    /// Gathers the settings from all sources.
    ///
    /// # Errors
    /// When the file is missing or not TOML, a key is unknown, a value is not what its setting can have, or two do not
    /// go together.
    pub fn load(file: Option<&Path>, flags: Flags) -> Result<Self, Error> {
        let known = Dict::from_serialised(&Self::default())?;
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let mut warnings = Vec::new();
        if let Some(path) = file {
            check_file(path)?;
            let mut given = Figment::from(Toml::file_exact(path)).extract::<Dict>().map_err(value_error)?;
            let origin = path.display().to_string();
            warnings = renamed::warnings(&mut given, &origin);
            refuse_unknown(&given, &known, &origin)?;
            figment = figment.merge(Renaming(Toml::file_exact(path)));
        }
        // Only variables that name a setting are taken: Kubernetes sets CROSSBOOK_PORT and the like by itself when a
        // Service has that name, and the secrets share the prefix.
        let environment = Env::prefixed(ENVIRONMENT_PREFIX).split("__");
        let environment = environment.filter(move |key| {
            let path = key.as_str().to_lowercase();
            lookup(&known, &path).is_some() || renamed::new_name(&path).is_some()
        });
        let mut config: Self = figment.merge(Renaming(environment)).extract().map_err(value_error)?;
        config.logging.warnings = warnings;
        if let Some(data) = flags.data {
            config.data = data;
        }
        if let Some(http) = flags.http {
            config.http = http;
        }
        if let Some(admin) = flags.admin {
            config.admin = admin;
        }
        if flags.probes.is_some() {
            config.probes = address::Optional(flags.probes);
        }
        if let Some(format) = flags.log_format {
            config.logging.format = format;
        }
        config.check()?;
        bounds::check(&config)?;
        config.cluster.routing()?;
        Ok(config)
    }

    /// Whether the settings go together.
    fn check(&self) -> Result<(), Error> {
        let (record_bytes_max, needed) = (self.log.record_bytes_max, self.gateway.command_bytes_max());
        if record_bytes_max < needed {
            return Err(Error::RecordsTooSmall { record_bytes_max, needed });
        }
        Ok(())
    }

    /// The settings as TOML, each key under a comment with its meaning.
    ///
    /// # Errors
    /// When a value has no TOML form.
    pub fn render(&self) -> Result<String, Error> {
        Ok(reference::render(&toml::Table::try_from(self)?))
    }
}

/// Whether there is a file that can be read. That one may not be looked at does not mean that there is none.
fn check_file(path: &Path) -> Result<(), Error> {
    let read = std::fs::File::open(path).and_then(|file| file.metadata());
    match read {
        Ok(found) if found.is_dir() => {
            Err(Error::Unreadable { path: path.to_owned(), source: std::io::ErrorKind::IsADirectory.into() })
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NoFile(path.to_owned())),
        Err(source) => Err(Error::Unreadable { path: path.to_owned(), source }),
    }
}

/// What is wrong with a value, with the name of its setting and where it was set.
fn described(error: &figment::Error) -> String {
    let mut text = error.kind.to_string();
    // Writing to a string cannot fail.
    if !error.path.is_empty() {
        let _ = write!(text, " for `{}`", error.path.join("."));
    }
    match error.metadata.as_ref().map(|metadata| &metadata.source) {
        Some(Some(figment::Source::File(path))) => {
            let _ = write!(text, " in {}", path.display());
        }
        Some(_) if !error.path.is_empty() => {
            let variable = error.path.join("__").to_uppercase();
            let _ = write!(text, ", which {ENVIRONMENT_PREFIX}{variable} sets");
        }
        _ => {}
    }
    text
}

fn value_error(error: figment::Error) -> Error {
    Error::Value(Box::new(error))
}

/// A tree of settings, made from their structs.
trait FromSerialised: Sized {
    fn from_serialised(settings: &impl Serialize) -> Result<Self, Error>;
}

impl FromSerialised for Dict {
    fn from_serialised(settings: &impl Serialize) -> Result<Self, Error> {
        let value = Value::serialize(settings).map_err(value_error)?;
        Ok(value.into_dict().unwrap_or_default())
    }
}

/// The setting at a dotted path.
fn lookup<'a>(known: &'a Dict, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = known.get(first)?;
    match (rest, value) {
        (None, _) => Some(value),
        (Some(rest), Value::Dict(_, section)) => lookup(section, rest),
        _ => None,
    }
}

fn refuse_unknown(given: &Dict, known: &Dict, origin: &str) -> Result<(), Error> {
    fn walk(given: &Dict, known: &Dict, prefix: &str) -> Option<(String, Option<String>)> {
        for (key, value) in given {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match (value, known.get(key)) {
                (_, None) => {
                    let nearest = known.keys().map(|name| (similarity(name, key), name)).max();
                    let hint = nearest
                        .filter(|&(shared, _)| shared >= 3)
                        .map(|(_, name)| if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") });
                    return Some((path, hint));
                }
                (Value::Dict(_, inner), Some(Value::Dict(_, known))) => {
                    if let Some(found) = walk(inner, known, &path) {
                        return Some(found);
                    }
                }
                _ => {}
            }
        }
        None
    }
    match walk(given, known, "") {
        None => Ok(()),
        Some((key, hint)) => Err(Error::UnknownKey { key, origin: origin.to_owned(), hint }),
    }
}

/// How many letters two names share at their beginning and end.
fn similarity(one: &str, other: &str) -> usize {
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let tail = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    (shared + tail).min(one.len().min(other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment is the whole process's, and tests run side by side: who changes or reads it does so alone.
    fn alone() -> std::sync::MutexGuard<'static, ()> {
        static ENVIRONMENT: std::sync::Mutex<()> = std::sync::Mutex::new(());
        ENVIRONMENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read(file: Option<&Path>, flags: Flags) -> Result<Config, Error> {
        let _alone = alone();
        Config::load(file, flags)
    }

    fn load(toml: &str) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crossbook.toml");
        std::fs::write(&path, toml).unwrap();
        read(Some(&path), Flags::default())
    }

    #[test]
    fn the_printed_settings_load_as_what_they_were_printed_from() {
        let defaults = Config::default();
        assert_eq!(load(&defaults.render().unwrap()).unwrap(), defaults);
        let mut other = Config::default();
        other.http.set_port(1);
        other.data = "with \"quotes\"".into();
        other.logging.format = LogFormat::Json;
        other.views.trades_per_market = 7;
        assert_eq!(load(&other.render().unwrap()).unwrap(), other);
    }

    #[test]
    fn a_file_overrides_defaults_and_flags_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "http = \"127.0.0.1:9\"\n[logging]\nfilter = \"debug\"\n").unwrap();
        let flags = Flags { http: Some(SocketAddr::from(([127, 0, 0, 1], 10))), ..Flags::default() };
        let config = read(Some(&path), flags).unwrap();
        assert_eq!((config.http.port(), config.logging.filter.as_str()), (10, "debug"));
        assert_eq!(config.admin, Config::default().admin);
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "the error type is the library's")]
    fn the_environment_overrides_the_file() {
        let _alone = alone();
        figment::Jail::expect_with(|jail| {
            jail.create_file("c.toml", "[logging]\nfilter = \"debug\"\nformat = \"json\"\n")?;
            jail.set_env("CROSSBOOK_LOGGING__FILTER", "trace");
            jail.set_env("CROSSBOOK_VIEWS__TRADES_PER_MARKET", "12");
            jail.set_env("CROSSBOOK_ADMIN_TOKEN", "not a setting");
            jail.set_env("CROSSBOOK_SERVICE_PORT", "80");
            let config = Config::load(Some(Path::new("c.toml")), Flags::default()).unwrap();
            assert_eq!(config.logging.filter, "trace");
            assert_eq!(config.logging.format, LogFormat::Json);
            assert_eq!(config.views.trades_per_market, 12);
            jail.set_env("CROSSBOOK_HTTP", "9080");
            jail.set_env("CROSSBOOK_ADMIN", "localhost:9081");
            let config = Config::load(None, Flags::default()).unwrap();
            assert_eq!(
                (config.http.to_string(), config.admin.to_string()),
                ("127.0.0.1:9080".into(), "127.0.0.1:9081".into())
            );
            assert_eq!(config.probes.0, None);
            for (given, probes) in
                [("9082", Some("127.0.0.1:9082")), ("0.0.0.0:9082", Some("0.0.0.0:9082")), ("", None)]
            {
                jail.set_env("CROSSBOOK_PROBES", given);
                let config = Config::load(None, Flags::default()).unwrap();
                assert_eq!(config.probes.0.map(|address| address.to_string()).as_deref(), probes);
            }
            jail.set_env("CROSSBOOK_PROBES", "9081");
            let error = Config::load(None, Flags::default()).unwrap_err().to_string();
            assert!(error.contains("`probes` is 127.0.0.1:9081") && error.contains("an address of its own"), "{error}");
            jail.set_env("CROSSBOOK_PROBES", "");
            jail.set_env("CROSSBOOK_ADMIN", ":9081");
            let error = Config::load(None, Flags::default()).unwrap_err().to_string();
            assert!(
                error.contains("127.0.0.1:9081 for this machine only") && error.ends_with("which CROSSBOOK_ADMIN sets"),
                "{error}"
            );
            jail.set_env("CROSSBOOK_ADMIN", "9081");
            jail.set_env("CROSSBOOK_VIEWS__TRADES_PER_MARKET", "many");
            let error = Config::load(None, Flags::default()).unwrap_err().to_string();
            assert!(
                error.ends_with("for `views.trades_per_market`, which CROSSBOOK_VIEWS__TRADES_PER_MARKET sets"),
                "{error}"
            );
            Ok(())
        });
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "the error type is the library's")]
    fn old_names_of_settings_work_with_a_warning() {
        let config = load("[cluster.gate]\nbreaker_ms = 7\n[snapshots]\nlook_every_ms = 8\ntrim_log = true\n").unwrap();
        assert_eq!(config.cluster.log_client.circuit_breaker_ms, 7);
        assert_eq!((config.snapshots.check_interval_ms, config.snapshots.trim_log), (8, true));
        let [gate, snapshots] = &config.logging.warnings[..] else { panic!("{:?}", config.logging.warnings) };
        assert!(gate.ends_with(
            "sets `cluster.gate.breaker_ms`, which is now `cluster.log_client.circuit_breaker_ms`; \
             the old name will be refused later"
        ));
        assert!(snapshots.contains("`snapshots.look_every_ms`, which is now `snapshots.check_interval_ms`"));
        let both = load("[snapshots]\nlook_every_ms = 8\ncheck_interval_ms = 9\n").unwrap();
        assert_eq!(both.snapshots.check_interval_ms, 9, "the new name wins");
        let malformed = load("[clock]\nlook_every_ms = \"often\"\n").unwrap_err().to_string();
        assert!(malformed.contains("`clock.check_interval_ms` in /"), "{malformed}");
        let _alone = alone();
        figment::Jail::expect_with(|jail| {
            jail.set_env("CROSSBOOK_CLUSTER__WORKER__TAKEOVER_MS", "5");
            let config = Config::load(None, Flags::default()).unwrap();
            assert_eq!(config.cluster.worker.failover_ms, 5);
            Ok(())
        });
    }

    #[test]
    fn what_is_not_a_setting_is_refused_by_name() {
        let message = |toml: &str| load(toml).unwrap_err().to_string();
        assert!(message("htpt = \"127.0.0.1:9\"").contains("`htpt`"));
        assert!(message("[logging]\nfliter = \"debug\"").contains("did you mean `logging.filter`"));
        assert!(message("[views]\ntrades_per_market = \"many\"").contains("trades_per_market"));
        let malformed = message("http = \"nowhere\"");
        assert!(malformed.contains("for `http` in /") && !malformed.contains("default"), "{malformed}");
        let missing = read(Some(Path::new("/nonexistent.toml")), Flags::default());
        assert!(matches!(missing, Err(Error::NoFile(_))));
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(Some(folder.path()), Flags::default()), Err(Error::Unreadable { .. })));
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "").unwrap();
        let beyond = read(Some(&file.join("c.toml")), Flags::default());
        assert!(matches!(beyond, Err(Error::Unreadable { .. })), "{beyond:?}");
    }
}
