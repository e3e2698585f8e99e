//! A MariaDB or MySQL server for tests and measurements: the real program, in a folder and on a port of its own, with
//! production durability (every commit is synced).
//!
//! It is MariaDB, or the MySQL whose `mysqld` the environment variable `MYSQL_SERVER` names. The server ends with the
//! process that started it, also when that is killed.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{self, Running, Stop};

/// How long the server has to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether it has started.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The programs are not installed.
    #[error("{0} was not found; on Debian: apt-get install mariadb-server (the tests use its client for MySQL, too)")]
    NotInstalled(&'static str),
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Name of the program.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// It did not start in time.
    #[error("the database server did not start within a minute; see {}", .0.display())]
    Slow(PathBuf),
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A running server.
#[derive(Debug)]
pub struct MySql {
    folder: PathBuf,
    port: u16,
    /// MySQL's own program; without it the server is MariaDB's.
    mysqld: Option<PathBuf>,
    running: Option<Running>,
}

impl MySql {
    /// Makes a server's files in `folder`, which is empty or does not exist, and starts it on a free port of the
    /// loopback address.
    ///
    /// # Errors
    /// When the server is not installed, or does not start.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        // The server leaves the current directory, so a relative path would mean another folder there.
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(folder.join("tmp"))?;
        let mysqld = std::env::var_os("MYSQL_SERVER").map(PathBuf::from);
        let data = format!("--datadir={}", folder.join("data").display());
        let (program, mut command) = if let Some(mysqld) = &mysqld {
            // A new MySQL lets root in over its socket only.
            let grants = folder.join("grants.sql");
            fs::write(
                &grants,
                "CREATE USER root@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n",
            )?;
            let mut command = Command::new(mysqld);
            command
                .args(["--no-defaults", "--initialize-insecure", "--user=root"])
                .arg(format!("--init-file={}", grants.display()));
            ("mysqld", command)
        } else {
            let mut command = Command::new(find("mariadb-install-db", &["/usr/bin"])?);
            let root = "--auth-root-authentication-method=normal";
            command.args(["--no-defaults", root, "--skip-test-db", "--user=root"]);
            ("mariadb-install-db", command)
        };
        // Servers that are made at the same time would fall over each other's temporary tables.
        run(program, command.arg(data).env("TMPDIR", folder.join("tmp")))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = Self { folder, port, mysqld, running: None };
        server.restart()?;
        Ok(server)
    }

    /// The server's process, if it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.running.as_ref().map(Running::process)
    }

    /// The address of a database on this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database, in place of one of that name, and gives its address.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create(&self, database: &str) -> Result<String, Error> {
        self.execute(&format!("DROP DATABASE IF EXISTS `{database}`; CREATE DATABASE `{database}`"))?;
        Ok(self.url(database))
    }

    /// Has the server execute statements.
    ///
    /// # Errors
    /// When it refuses.
    pub fn execute(&self, statements: &str) -> Result<(), Error> {
        run("mariadb", self.client("mariadb", &["/usr/bin"])?.args(["--batch", "--execute", statements]))
    }

    /// Kills the server, as a crash would. Nothing happens if it does not run.
    pub fn kill(&mut self) {
        self.end(Stop::Kill);
    }

    /// Stops the server in order.
    pub fn stop(&mut self) {
        self.end(Stop::Terminate);
    }

    /// Starts the server again on the same files and port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        let server = match &self.mysqld {
            Some(mysqld) => mysqld.clone(),
            None => find("mariadbd", &["/usr/sbin", "/usr/libexec"])?,
        };
        let log = self.folder.join("server.log");
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = process::dying_with_us(server);
        let at = |name: &str| self.folder.join(name).display().to_string();
        command
            .env("TMPDIR", self.folder.join("tmp"))
            .arg("--no-defaults")
            .arg("--user=root")
            .arg(format!("--datadir={}", at("data")))
            .arg(format!("--socket={}", at("socket")))
            .arg(format!("--pid-file={}", at("pid")))
            .arg(format!("--port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"])
            .args(["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=512M"])
            // Of MySQL's own: no second port, and no folder of the package, which is not installed.
            .args(match self.mysqld {
                Some(_) => ["--innodb-redo-log-capacity=512M", "--mysqlx=0", "--secure-file-priv=NULL"].as_slice(),
                None => ["--innodb-log-file-size=512M"].as_slice(),
            })
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        self.running = Some(Running::start("database", command)?);
        self.wait_until_ready(&log)
    }

    fn wait_until_ready(&self, log: &Path) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let mut ping = self.client("mariadb-admin", &["/usr/bin"])?;
            if run("mariadb-admin", ping.arg("ping")).is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::Slow(log.to_owned()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn client(&self, program: &'static str, folders: &[&str]) -> Result<Command, Error> {
        let mut command = Command::new(find(program, folders)?);
        let port = self.port.to_string();
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", &port, "--user=root"]);
        Ok(command)
    }

    fn end(&mut self, how: Stop) {
        if let Some(running) = self.running.take() {
            running.end(how);
        }
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is: on the search path, or where packages put what is not.
fn find(program: &'static str, folders: &[&str]) -> Result<PathBuf, Error> {
    process::find(program, folders).ok_or(Error::NotInstalled(program))
}

fn run(program: &'static str, command: &mut Command) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stderr, output.stdout].concat();
    Err(Error::Failed { program, output: String::from_utf8_lossy(&text).trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_in_a_folder_that_is_named_by_a_relative_path() {
        let outer = tempfile::tempdir().unwrap();
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        let mut relative: PathBuf = here.components().skip(1).map(|_| "..").collect();
        relative.push(outer.path().canonicalize().unwrap().strip_prefix("/").unwrap());
        assert!(relative.is_relative());
        let server = MySql::start(&relative.join("mysql")).unwrap();
        server.create("history").unwrap();
    }
}
