//! Where and how a report was made: figures without a machine mean nothing.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

/// The machine, the program, and how it was built. What the system does not tell is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// The processor's model.
    pub processor: String,
    /// How many processors this process may use.
    pub cores: usize,
    /// Main memory, in bytes.
    pub memory_bytes: u64,
    /// The system's kernel and its version.
    pub kernel: String,
    /// The compiler that built the program.
    pub rustc: String,
    /// The program's version, and whether it was built to be fast.
    pub crossbook: String,
    /// Where the measured files are: the file system and its device; if files matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
}

impl Machine {
    /// This machine, with the disk under `folder`.
    #[must_use]
    pub fn here(folder: Option<&Path>) -> Self {
        let profile = if cfg!(debug_assertions) { "debug build: figures mean nothing" } else { "release build" };
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal").as_deref().and_then(kibibytes).unwrap_or_default(),
            kernel: kernel(),
            rustc: env!("CROSSBOOK_RUSTC").to_owned(),
            crossbook: format!("{} ({profile})", env!("CARGO_PKG_VERSION")),
            disk: folder.and_then(disk),
        }
    }

    /// What it comes to, as pairs of a name and a text.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("Processor", format!("{}, {} available", self.processor, self.cores)),
            ("Memory", crate::unit::Unit::Bytes.show(self.memory_bytes as f64)),
            ("System", self.kernel.clone()),
        ];
        if let Some(disk) = &self.disk {
            facts.push(("Disk", disk.clone()));
        }
        facts.push(("Crossbook", self.crossbook.clone()));
        facts.push(("Compiler", self.rustc.clone()));
        facts
    }
}

/// What the processors had done when this process began to watch.
static THEN: OnceLock<Option<Ticks>> = OnceLock::new();

/// Begins to watch what the host takes, if nobody has before. As of now where that was not done at the start.
pub(super) fn watch() -> Option<Ticks> {
    *THEN.get_or_init(Ticks::now)
}

/// What the processors did since the machine was started, as far as the system tells: in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticks {
    all: u64,
    /// A processor had something to do, and the host gave its time to another guest.
    stolen: u64,
}

impl Ticks {
    /// Ticks since the machine started.
    pub(super) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line, of all processors together: proc_stat(5).
    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        // What guests of this machine use, behind these, is counted as time of its users already.
        let ticks: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    /// The part that was stolen from then to now, in hundredths.
    pub(super) fn stolen_since(self, then: Self) -> f64 {
        let all = self.all.saturating_sub(then.all).max(1);
        self.stolen.saturating_sub(then.stolen) as f64 / all as f64 * 100.0
    }
}

/// The time in UTC, to the second.
pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The arguments as they could be typed, without what is secret: passwords in addresses, and tokens.
pub(super) fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    let mut words = Vec::new();
    let mut secret_follows = false;
    for (at, argument) in arguments.into_iter().enumerate() {
        let word = match (at, secret_follows) {
            // The program without its folder, which says where somebody keeps things.
            (0, _) => argument.rsplit('/').next().unwrap_or_default().to_owned(),
            (_, true) => "…".to_owned(),
            _ => match argument.split_once('=') {
                Some((name, _)) if is_secret(name) => format!("{name}=…"),
                _ => without_password(&argument),
            },
        };
        secret_follows = at > 0 && !secret_follows && is_secret(&argument);
        words.push(quoted(word));
    }
    words.join(" ")
}

fn is_secret(option: &str) -> bool {
    option.starts_with("--") && ["token", "secret", "password", "key"].iter().any(|word| option.ends_with(word))
}

/// `scheme://user:password@host` without the password.
fn without_password(argument: &str) -> String {
    let known = || {
        let (before, rest) = argument.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let (user, _) = authority.rsplit_once('@')?.0.split_once(':')?;
        let host = &rest[authority.rfind('@')?..];
        Some(format!("{before}://{user}:…{host}"))
    };
    known().unwrap_or_else(|| argument.to_owned())
}

fn quoted(word: String) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+…".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The value of the first line `name : value` of a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn kibibytes(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|number| number * 1024)
}

fn kernel() -> String {
    let system = rustix::system::uname();
    format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy())
}

/// The file system under a folder and its device: that of the longest mount point that leads to it.
fn disk(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut found: Option<(&str, &str, &str)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next()) else { continue };
        // Of two on the same point, the later one covers the earlier.
        if folder.starts_with(point) && found.is_none_or(|(_, longest, _)| point.len() >= longest.len()) {
            found = Some((device, point, kind));
        }
    }
    found.map(|(device, _, kind)| format!("{kind} on {device}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(arguments: &[&str]) -> String {
        command_line(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn a_command_line_can_be_shown_to_anybody() {
        let line = shown(&["/opt/x/crossbook", "bench", "store", "--mysql", "mysql://me:s3cret@db:3306/bench?x=1"]);
        assert_eq!(line, "crossbook bench store --mysql 'mysql://me:…@db:3306/bench?x=1'");
        assert_eq!(
            shown(&["crossbook", "--token", "abc", "--admin-token=abc", "x"]),
            "crossbook --token … --admin-token=… x"
        );
        assert_eq!(shown(&["crossbook", "two words", "it's", ""]), r"crossbook 'two words' 'it'\''s' ''");
        assert_eq!(shown(&["crossbook", "http://[::1]:80/a@b:c"]), "crossbook 'http://[::1]:80/a@b:c'");
    }

    #[test]
    fn what_the_host_took_is_known() {
        let ticks = |stat| Ticks::parse(stat).unwrap();
        let then = ticks("cpu  100 0 50 800 20 0 10 20 7 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n");
        let now = ticks("cpu  150 0 70 880 20 0 10 70 9 0\n");
        assert_eq!(now.stolen_since(then), 25.0);
        assert_eq!(then.stolen_since(then), 0.0);
        assert_eq!(Ticks::parse("cpu  1 2 3\n"), None);
        assert_eq!(Ticks::parse("intr 1\n"), None);
    }

    #[test]
    fn the_machine_is_known() {
        let machine = Machine::here(Some(Path::new("/")));
        assert!(machine.cores > 0 && machine.rustc.starts_with("rustc ") && !machine.kernel.is_empty());
        assert!(now().ends_with('Z') && now().len() == "2026-11-22T00:00:00Z".len());
    }
}
