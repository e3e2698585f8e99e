//! Server processes of tests and benchmarks. Each ends with the process that started it, also when that is killed.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a program has to end in order.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running program, and the thread that started it. Linux ends a process with the thread that started it, so that one
/// stays.
#[derive(Debug)]
pub(crate) struct Running {
    process: u32,
    stop: Sender<Stop>,
    thread: JoinHandle<()>,
}

/// How a program is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// As a crash would.
    Kill,
    /// SIGTERM: the process stops in order.
    Terminate,
}

impl Running {
    /// Starts what `command` (see [`dying_with_us`]) says.
    pub(crate) fn start(name: &str, mut command: Command) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let (started, child) = channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || match command.spawn() {
            Ok(child) => {
                let _ = started.send(Ok(child.id()));
                end(child, stopped.recv().unwrap_or(Stop::Kill));
            }
            Err(error) => drop(started.send(Err(error))),
        })?;
        let ended = |_| Err(io::Error::other("the thread that starts the server has ended"));
        let process = child.recv().unwrap_or_else(ended)?;
        Ok(Self { process, stop, thread })
    }

    /// Id of the process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        // It stays a zombie until it is ended here, so nobody else can have its number.
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.process)).unwrap_or_default();
        status.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    }

    /// Ends it, and waits until it has ended.
    pub(crate) fn end(self, how: Stop) {
        let _ = self.stop.send(how);
        let _ = self.thread.join();
    }
}

/// Ends the program. One that was made to stand still is let go on, or it would never end in order; one that does not
/// end is killed.
fn end(mut child: Child, how: Stop) {
    if let Stop::Terminate = how {
        let process = child.id().to_string();
        let signalled = |signal| {
            Command::new("kill").args([signal, process.as_str()]).status().is_ok_and(|status| status.success())
        };
        if signalled("-TERM") && signalled("-CONT") {
            let deadline = Instant::now() + END_TIMEOUT;
            while Instant::now() < deadline {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// No load balancer has to see that a venue ends; whoever measures has waited for its clients.
pub(crate) const NO_DRAIN: (&str, &str) = ("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "0");

/// A command that runs this program, and has it killed when we end, where the system can do that.
pub(crate) fn dying_with_us(program: PathBuf) -> Command {
    match find("setpriv", &["/usr/bin"]) {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Where a program is: on the search path, or where packages put what is not.
pub(crate) fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&path).chain(folders.iter().map(PathBuf::from));
    candidates.map(|folder| folder.join(program)).find(|file| file.is_file())
}
