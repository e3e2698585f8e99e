//! A venue in one process for measurements: in a folder and on ports of its own, without rate limits, with a random
//! token.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cluster::probe;
use crate::process::{self, Running, Stop};
use crate::redis::free_port;

/// How long it has to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Settings under which no limit of rate is in the way.
const NO_LIMITS: [(&str, &str); 4] = [
    ("CROSSBOOK_GATEWAY__LIMITS__REQUEST_WEIGHT_1M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__RAW_REQUESTS_5M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_1D", "0"),
];

/// Why there is no venue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not ready in time.
    #[error("the venue has ended, or is not ready within a minute; see {}", .0.display())]
    Slow(PathBuf),
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A running venue. It ends with this, or with the process that started it.
#[derive(Debug)]
pub struct LocalVenue {
    running: Option<Running>,
    http: SocketAddr,
    admin: SocketAddr,
    token: String,
    data: PathBuf,
}

impl LocalVenue {
    /// Starts `binary` as a venue in `folder`, with further settings from the environment, and waits until orders can
    /// be placed.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(folder: &Path, binary: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        fs::create_dir_all(folder)?;
        let [http, admin] = [free_port()?, free_port()?].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut secret = [0; 24];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| io::Error::other("the system cannot provide random bytes"))?;
        let (token, data, log) = (hex::encode(secret), folder.join("venue"), folder.join("venue.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = process::dying_with_us(binary.to_owned());
        command.args(["serve", "--http", &http.to_string(), "--admin", &admin.to_string(), "--data"]).arg(&data);
        command
            .env("CROSSBOOK_ADMIN_TOKEN", &token)
            .env(process::NO_DRAIN.0, process::NO_DRAIN.1)
            .envs(NO_LIMITS)
            .envs(settings.iter().copied());
        // A group of its own: Ctrl-C is for whoever measures, who has things to ask before it ends.
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let running = Running::start("venue", command)?;
        let venue = Self { running: Some(running), http, admin, token, data };
        let deadline = Instant::now() + START_TIMEOUT;
        while probe(admin, "/readyz") != Some(200) {
            if venue.running.as_ref().is_none_or(Running::has_ended) || Instant::now() >= deadline {
                return Err(Error::Slow(log));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(venue)
    }

    /// The client API.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The admin API.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The admin token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The most memory that it has had so far, in bytes, as Linux tells it; nothing elsewhere.
    #[must_use]
    pub fn memory_max(&self) -> Option<u64> {
        crate::memory_max(self.running.as_ref()?.process())
    }

    /// The file of its history.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.data.join("history.sqlite")
    }
}

impl Drop for LocalVenue {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Stop::Terminate);
        }
    }
}
