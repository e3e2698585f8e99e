//! The settings of the streams: the servers, and every bound of this crate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::Error;

/// A stream is trimmed by whole nodes, of 100 entries in servers as they come; with a smaller bound nothing would ever
/// go.
const TRIM_ENTRIES_MIN: u64 = 1_000;
/// The longest name of a venue.
const VENUE_BYTES_MAX: usize = 64;

/// How a log in streams is kept. Every bound of this module is here. It is shown and serialized without passwords.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers to ask first, as `redis://USER:PASSWORD@HOST:PORT`, or `rediss://` for TLS; any one that answers is
    /// enough. User, password and TLS are used for every server of the cluster.
    #[serde(serialize_with = "redacted_servers")]
    pub servers: Vec<String>,
    /// A file of certificates (PEM) of those who vouch for the servers, in place of the system's; empty: the system's.
    pub ca_file: PathBuf,
    /// Files (PEM) with the certificates and the key by which servers know us; both empty: we show none.
    pub client_certificate_file: PathBuf,
    /// See `client_certificate_file`.
    pub client_key_file: PathBuf,
    /// The venue's name, with which all its keys begin: letters, digits, `.`, `_` and `-`.
    pub venue: String,
    /// The fewest replicas that must have acknowledged what is called durable. 0 only where an answer of the server is
    /// itself durable: then the barrier is a plain write, and no replica is waited for.
    pub replicas_min: u32,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long to wait for an answer, beyond what the request itself waits, in milliseconds.
    pub reply_timeout_ms: u64,
    /// How long a barrier waits for the replicas, in milliseconds.
    pub wait_timeout_ms: u64,
    /// How long a master must have been missing a replica, in milliseconds, before the acknowledgements of the others
    /// count without it: it may be missing because it was promoted, and the master not know it yet. More than servers
    /// of a healthy cluster take to learn of that.
    pub replica_loss_ms: u64,
    /// The most bytes a command has.
    pub record_bytes_max: usize,
    /// The most commands in one append.
    pub batch_records_max: usize,
    /// The most bytes of commands in one append.
    pub batch_bytes_max: usize,
    /// The most commands that a turn appends and delivers to all partitions of a shard, and the most that it reads.
    pub turn_records_max: usize,
    /// The most bytes of commands that a turn appends and delivers to all partitions of a shard.
    pub turn_bytes_max: usize,
    /// Maximum number of entries that one trimming script drops; a server answers nobody else meanwhile.
    pub trim_entries_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: vec!["redis://127.0.0.1:6379".to_owned()],
            ca_file: PathBuf::new(),
            client_certificate_file: PathBuf::new(),
            client_key_file: PathBuf::new(),
            venue: "crossbook".to_owned(),
            replicas_min: 1,
            connect_timeout_ms: 1_000,
            reply_timeout_ms: 2_000,
            wait_timeout_ms: 1_000,
            replica_loss_ms: 300,
            record_bytes_max: 1 << 20,
            batch_records_max: 4_096,
            batch_bytes_max: 8 << 20,
            turn_records_max: 8_192,
            turn_bytes_max: 16 << 20,
            trim_entries_max: 10_000,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.venue.is_empty() || self.venue.len() > VENUE_BYTES_MAX || !self.venue.chars().all(named) {
            return Err(Error::Options(
                "venue must have 1 to 64 letters, digits, dots, underscores and hyphens".to_owned(),
            ));
        }
        if self.servers.is_empty() {
            return Err(Error::Options("servers must name one server at least, as redis://HOST:PORT".to_owned()));
        }
        let secured = self.servers.iter().filter(|server| is_secured(server)).count();
        if secured != 0 && secured != self.servers.len() {
            return Err(Error::Options(
                "servers must all be rediss:// or all be redis://: what one names is reached as the first".to_owned(),
            ));
        }
        if let Some(server) = self.servers.iter().find(|server| is_secured(server) && server.contains('#')) {
            return Err(Error::Options(format!(
                "server {}: certificates are always checked; give it without `#...`, and name who vouches for it in ca_file",
                redacted(server)
            )));
        }
        let unset = |file: &Path| file.as_os_str().is_empty();
        if unset(&self.client_certificate_file) != unset(&self.client_key_file) {
            return Err(Error::Options(
                "client_certificate_file and client_key_file go together; set both, or none".to_owned(),
            ));
        }
        if secured == 0 && !(unset(&self.ca_file) && unset(&self.client_certificate_file)) {
            return Err(Error::Options(
                "ca_file and client_certificate_file are for TLS, but the servers are redis://; write rediss://"
                    .to_owned(),
            ));
        }
        if self.connect_timeout_ms == 0 || self.reply_timeout_ms == 0 || self.wait_timeout_ms == 0 {
            return Err(Error::Options(
                "connect_timeout_ms, reply_timeout_ms and wait_timeout_ms must be more than 0".to_owned(),
            ));
        }
        if self.trim_entries_max < TRIM_ENTRIES_MIN {
            return Err(Error::Options("trim_entries_max must be 1000 at least".to_owned()));
        }
        if self.batch_records_max == 0 || self.batch_bytes_max < self.record_bytes_max {
            return Err(Error::Options(
                "batch_records_max must be more than 0, and batch_bytes_max not less than record_bytes_max".to_owned(),
            ));
        }
        // Half of a turn must have room for a whole batch.
        if self.turn_records_max / 2 < self.batch_records_max || self.turn_bytes_max / 2 < self.batch_bytes_max {
            return Err(Error::Options(
                "turn_records_max must be twice batch_records_max at least, and turn_bytes_max twice batch_bytes_max"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn reply_timeout(&self) -> Duration {
        Duration::from_millis(self.reply_timeout_ms)
    }

    pub(crate) fn wait_timeout(&self) -> Duration {
        Duration::from_millis(self.wait_timeout_ms)
    }

    pub(crate) fn replica_loss(&self) -> Duration {
        Duration::from_millis(self.replica_loss_ms)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(|server| redacted(server)).collect();
        f.debug_struct("Options")
            .field("servers", &servers)
            .field("ca_file", &self.ca_file)
            .field("client_certificate_file", &self.client_certificate_file)
            .field("client_key_file", &self.client_key_file)
            .field("venue", &self.venue)
            .field("replicas_min", &self.replicas_min)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("reply_timeout_ms", &self.reply_timeout_ms)
            .field("wait_timeout_ms", &self.wait_timeout_ms)
            .field("replica_loss_ms", &self.replica_loss_ms)
            .field("record_bytes_max", &self.record_bytes_max)
            .field("batch_records_max", &self.batch_records_max)
            .field("batch_bytes_max", &self.batch_bytes_max)
            .field("turn_records_max", &self.turn_records_max)
            .field("turn_bytes_max", &self.turn_bytes_max)
            .field("trim_entries_max", &self.trim_entries_max)
            .finish()
    }
}

/// Whether that address is one for TLS.
pub(crate) fn is_secured(server: &str) -> bool {
    server.starts_with("rediss://") || server.starts_with("valkeys://")
}

fn redacted_servers<S: Serializer>(servers: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(servers.iter().map(|server| redacted(server)))
}

/// The address without its password.
pub(crate) fn redacted(server: &str) -> String {
    let Some((scheme, rest)) = server.split_once("://") else { return server.to_owned() };
    // A password may contain an `@`, a host cannot.
    let Some((user, host)) = rest.rsplit_once('@') else { return server.to_owned() };
    match user.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{host}"),
        None => server.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_shown_without_passwords() {
        let options = Options { servers: vec!["redis://venue:s3cr@t@host:7000".to_owned()], ..Options::default() };
        let shown = format!("{options:?}");
        assert!(shown.contains("redis://venue:***@host:7000") && !shown.contains("s3cr"), "{shown}");
        assert_eq!(redacted("redis://:s3cret@host"), "redis://:***@host");
        assert_eq!(redacted("redis://host:1"), "redis://host:1");
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        assert!(Options::default().check().is_ok());
        for venue in ["", "a{b}", "a b", "ä"] {
            assert!(Options { venue: venue.to_owned(), ..Options::default() }.check().is_err(), "{venue}");
        }
        assert!(Options { servers: Vec::new(), ..Options::default() }.check().is_err());
        assert!(Options { reply_timeout_ms: 0, ..Options::default() }.check().is_err());
        assert!(Options { batch_bytes_max: 10, ..Options::default() }.check().is_err());
        let servers = |urls: &[&str]| -> Vec<String> { urls.iter().map(|url| (*url).to_owned()).collect() };
        let (plain, secured) = (servers(&["redis://a"]), servers(&["rediss://a", "rediss://b"]));
        let file = || PathBuf::from("ca.pem");
        assert!(Options { servers: secured.clone(), ca_file: file(), ..Options::default() }.check().is_ok());
        let refused = [
            Options { servers: servers(&["redis://a", "rediss://b"]), ..Options::default() },
            Options { servers: servers(&["rediss://a#insecure"]), ..Options::default() },
            Options { servers: plain, ca_file: file(), ..Options::default() },
            Options { servers: secured, client_key_file: file(), ..Options::default() },
        ];
        for options in refused {
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
