//! A guard against slowdowns that does not depend on the machine. Fixed workloads run under valgrind's callgrind, which
//! counts their instructions, and over an allocator that counts allocations. Unlike time, both are the same on every
//! run and every machine of an architecture.
//!
//! ```text
//! make guard          compare the counts with those in counts.toml
//! make guard-renew    accept the present counts
//! ```
//!
//! Other compilers generate other instructions, so 10 % more or less is accepted. Slowdowns by cache misses or by
//! waiting do not show here; the benchmarks measure those.

mod allocations;
mod counts;
mod edge;
mod venue;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crossbook_oracle::workload::{GroundTruth, mix_a};

use counts::{Count, Counts, Measured};
use workloads::Workloads;

#[global_allocator]
static ALLOCATOR: allocations::Counted = allocations::Counted;

/// What the counts are held against.
const COUNTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.toml");
/// Commands of the workload that fill the book.
const WARMUP: usize = 10_000;
/// Commands of the workload after that.
const COMMANDS: usize = 60_000;
/// The file of the workload, in the folder that is passed on.
const WORKLOAD_FILE: &str = "mix_a";

/// No processor has anything that others of its architecture may lack: the C library then takes the same routines
/// everywhere, and so does the cryptographic one. Valgrind hides what is newer than AVX2 by itself.
const PLAIN_PROCESSOR: [(&str, &str); 2] = [
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-SSE4_2,-SSE4_1,-SSSE3,-BMI1,-BMI2,-LZCNT,-MOVBE"),
    ("OPENSSL_ia32cap", "0"),
];

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match (arguments.next().as_deref(), arguments.next()) {
        (Some("check"), None) => check(),
        (Some("renew"), None) => renew(),
        (Some("run"), Some(folder)) => run(Path::new(&folder)).map(|()| true),
        _ => Err("usage: guard check|renew".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("guard: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Holds what is counted now against what is written down.
fn check() -> Result<bool, Failure> {
    if std::env::consts::OS != "linux" {
        println!("guard: nothing is counted here, as there is no valgrind to rely on outside Linux");
        return Ok(true);
    }
    let known = Counts::read(Path::new(COUNTS))?;
    let Some(of_architecture) = known.of_architecture() else {
        println!("guard: no counts are known for {}; `make guard-renew` there adds them", std::env::consts::ARCH);
        return Ok(true);
    };
    let measured = measure()?;
    let verdict = of_architecture.verdict(&measured);
    print!("{verdict}");
    Ok(verdict.holds())
}

/// Writes down what is counted now.
fn renew() -> Result<bool, Failure> {
    let mut counts = Counts::read(Path::new(COUNTS)).unwrap_or_default();
    let measured = measure()?;
    for Measured { name, operations, count } in &measured {
        println!(
            "{name:10} {operations:6} operations: {} instructions, {} allocations",
            count.instructions, count.allocations
        );
    }
    counts.renew(measured);
    counts.write(Path::new(COUNTS))?;
    Ok(true)
}

/// Counts all workloads, in a process of its own under callgrind.
fn measure() -> Result<Vec<Measured>, Failure> {
    let folder = tempfile::tempdir()?;
    // Made here, at full speed.
    let workload = mix_a(GroundTruth::SEED_A, WARMUP, COMMANDS);
    std::fs::write(folder.path().join(WORKLOAD_FILE), workload.encode())?;
    let profile = folder.path().join("profile");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--compress-strings=no"])
        .arg(format!("--toggle-collect={}", workloads::MEASURED))
        .arg(format!("--dump-after={}", workloads::MEASURED))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .arg("run")
        .arg(folder.path())
        .envs(PLAIN_PROCESSOR)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("valgrind does not start: {error}; install it, or run `make guard`, which does"))?;
    if !output.status.success() {
        return Err(format!("the workloads failed: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.lines().enumerate().map(|(at, line)| measured(line, &part(&profile, at + 1))).collect()
}

/// The file of the profile that is written when something has been measured for that many times.
fn part(profile: &Path, number: usize) -> PathBuf {
    let mut path = profile.as_os_str().to_owned();
    path.push(format!(".{number}"));
    path.into()
}

/// The printed figures of a workload, and what callgrind has counted meanwhile.
fn measured(told: &str, profile: &Path) -> Result<Measured, Failure> {
    let mut words = told.split_whitespace();
    let (Some(name), Some(operations), Some(allocations)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("cannot parse the figures of a workload: {told}").into());
    };
    let text = std::fs::read_to_string(profile)?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let instructions = totals.ok_or_else(|| format!("callgrind has counted nothing of {name}"))?.trim().parse()?;
    let count = Count { instructions, allocations: allocations.parse()? };
    Ok(Measured { name: name.to_owned(), operations: operations.parse()?, count })
}

/// Runs all workloads, and prints the name, the operations and the allocations of each.
fn run(folder: &Path) -> Result<(), Failure> {
    Workloads::read(&folder.join(WORKLOAD_FILE), WARMUP)?.run(|name, operations, allocations| {
        println!("{name} {operations} {allocations}");
    })
}
