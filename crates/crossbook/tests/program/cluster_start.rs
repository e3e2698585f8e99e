//! Roles of a cluster that are started while the store does not answer, or its replicas do not: they say so, end when
//! that takes too long, and end at once when they are asked to.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbook_servers::redis::RedisServer;

use crate::venue::{TOKEN, binary};

/// A server that nobody is.
const NOBODY: &str = "redis://127.0.0.1:1";
/// What a process takes to end, at most, once it has a reason.
const END_MAX: Duration = Duration::from_secs(10);

/// A configuration whose starts wait for so long for a store that needs a replica.
fn config(folder: &Path, server: &str, start_timeout_ms: u64) -> std::path::PathBuf {
    let path = folder.join("cluster.toml");
    let text = format!(
        "[history]\ndatabase = \"mysql://nobody@127.0.0.1:1/nothing\"\n[cluster]\npartitions = 2\n\
         start_timeout_ms = {start_timeout_ms}\n[cluster.redis]\nservers = [\"{server}\"]\nwait_timeout_ms = 100\n\
         connect_timeout_ms = 100\n[cluster.snapshots]\naddress = \"file://{}\"\n",
        folder.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A process that is killed when the test ends.
struct Role(Child);

impl Role {
    fn start(role: &str, config: &Path) -> Self {
        let mut command = binary();
        command.args([role, "--admin", "127.0.0.1:0", "--log-format", "json", "--config"]).arg(config);
        if role == "gateway" {
            command.args(["--http", "127.0.0.1:0"]);
        }
        command.env("CROSSBOOK_ADMIN_TOKEN", TOKEN).env("CROSSBOOK_SECRET_KEY", "ab".repeat(32));
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Its lines, until one has this text.
    fn say(&mut self, text: &str) -> String {
        let mut said = String::new();
        let mut lines = BufReader::new(self.0.stderr.as_mut().unwrap());
        while !said.contains(text) {
            assert!(lines.read_line(&mut said).unwrap() > 0, "{text}: {said}");
        }
        said
    }

    /// Its exit status, and what it has said by then.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + END_MAX;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
        let said = std::io::read_to_string(self.0.stderr.take().unwrap()).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_start_without_a_store_ends_with_what_was_missing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), NOBODY, 700);
    let roles = ["gateway", "worker", "writer"].map(|role| Role::start(role, &config));
    for role in roles {
        let (status, said) = role.end();
        assert_eq!(status, Some(1), "{said}");
        assert!(
            said.contains("no Redis server") && said.contains("700 ms, which is cluster.start_timeout_ms"),
            "{said}"
        );
    }
}

#[test]
fn a_start_without_replicas_ends_with_what_was_missing() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(&folder.path().join("redis")).unwrap();
    let config = config(folder.path(), &server.url(), 700);
    for role in ["gateway", "worker"].map(|role| Role::start(role, &config)) {
        let (status, said) = role.end();
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("0 replicas of Redis server") && said.contains("bring a replica back"), "{said}");
        assert!(said.contains("cluster.start_timeout_ms"), "{said}");
    }
}

#[test]
fn a_start_that_waits_ends_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(&folder.path().join("redis")).unwrap();
    for url in [NOBODY.to_owned(), server.url()] {
        let config = config(folder.path(), &url, 600_000);
        for mut role in ["gateway", "worker"].map(|role| Role::start(role, &config)) {
            role.say("waiting for the store");
            assert!(Command::new("kill").args(["-TERM", &role.0.id().to_string()]).status().unwrap().success());
            let (status, said) = role.end();
            assert_eq!(status, Some(0), "{said}");
            assert!(said.contains("asked to stop during the start"), "{said}");
        }
    }
}
