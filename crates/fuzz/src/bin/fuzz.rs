//! The fuzzer: LLVM's libFuzzer searches for inputs that make a target fail, guided by code coverage.
//!
//! `make fuzz` builds it; without `rustc-with-coverage` it would have no guidance. Each target runs in a process of its
//! own, which is this program again with [`TARGET_VARIABLE`] set; then all arguments are libFuzzer's.

use std::ffi::{CString, c_char, c_int};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use crossbook_fuzz::targets::{self, planted};
use crossbook_fuzz::{TARGETS, Target};
use libfuzzer_sys as _;

/// Names the target of a process.
const TARGET_VARIABLE: &str = "CROSSBOOK_FUZZ_TARGET";
/// Inputs within which the planted bug is found. It takes some hundred thousand, whatever the seed.
const PLANTED_RUNS: u64 = 5_000_000;

/// Looks for inputs that the decoders do not survive.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Targets at a time.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// Adds what was found in earlier runs, and covers something that the corpus in the repository does not, to that
    /// corpus; looks for nothing new.
    #[arg(long)]
    keep: bool,
    /// Lists the targets.
    #[arg(long)]
    list: bool,
    /// Only these targets.
    targets: Vec<String>,
}

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(TARGET_VARIABLE) {
        let Some(target) = targets::named(&name) else {
            eprintln!("there is no target {name:?}; --list says which there are");
            return ExitCode::from(2);
        };
        return drive(target);
    }
    let arguments = Arguments::parse();
    if arguments.list {
        TARGETS.iter().for_each(|target| println!("{:<12} {}", target.name, target.what));
        return ExitCode::SUCCESS;
    }
    let unknown = arguments.targets.iter().find(|name| !TARGETS.iter().any(|target| target.name == **name));
    if let Some(name) = unknown {
        eprintln!("there is no target {name:?}; --list says which there are");
        return ExitCode::from(2);
    }
    let chosen =
        |target: &&Target| arguments.targets.is_empty() || arguments.targets.iter().any(|name| name == target.name);
    let chosen: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    match campaign(&arguments, &chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the fuzzer cannot work: {error}");
            ExitCode::from(2)
        }
    }
}

/// Hands this process over to libFuzzer.
fn drive(target: &'static Target) -> ExitCode {
    // A function pointer of C takes nothing along.
    static TARGET: std::sync::OnceLock<fn(&[u8])> = std::sync::OnceLock::new();
    extern "C" fn one(bytes: *const u8, length: usize) -> c_int {
        // SAFETY: libFuzzer hands over a buffer of that length, and leaves it alone until this returns.
        let input = if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(bytes, length) } };
        if let Some(run) = TARGET.get() {
            run(input);
        }
        0
    }
    unsafe extern "C" {
        fn LLVMFuzzerRunDriver(
            count: *mut c_int,
            arguments: *mut *mut *mut c_char,
            one: extern "C" fn(*const u8, usize) -> c_int,
        ) -> c_int;
    }

    TARGET.get_or_init(|| target.run);
    let say = std::panic::take_hook();
    // On whatever thread, and before anything is unwound: libFuzzer keeps the input of a process that aborts.
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
    let arguments: Vec<CString> = std::env::args().filter_map(|argument| CString::new(argument).ok()).collect();
    let mut pointers: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    let mut count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
    pointers.push(std::ptr::null_mut());
    let mut start = pointers.as_mut_ptr();
    // SAFETY: these are arguments as `main` has them in C, ended by a null, and they outlive the call.
    let status = unsafe { LLVMFuzzerRunDriver(&raw mut count, &raw mut start, one) };
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// Where things are.
struct Places {
    program: PathBuf,
    /// What the repository has.
    corpus: PathBuf,
    words: PathBuf,
    /// What was found here.
    found: PathBuf,
    crashes: PathBuf,
}

impl Places {
    fn find() -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let built = program.parent().and_then(Path::parent).unwrap_or(Path::new("target")).join("fuzz");
        let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
        Ok(Self {
            corpus: crates.join("corpus"),
            words: crates.join("words.dict"),
            found: built.join("corpus"),
            crashes: built.join("crashes"),
            program,
        })
    }

    /// This program, as the fuzzer of a target.
    fn fuzzer(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        command.env(TARGET_VARIABLE, target.name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.arg(format!("-max_len={}", target.input_bytes_max)).arg("-timeout=20").arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/{}-", self.crashes.display(), target.name));
        command
    }
}

/// The result of a target.
#[derive(Clone, Debug, Default)]
struct Outcome {
    runs: u64,
    edges: u64,
    features: u64,
    inputs: u64,
    took: Duration,
    failed: bool,
    /// Its last output.
    said: Vec<String>,
    /// The input that it did not survive.
    crash: Option<PathBuf>,
}

impl Outcome {
    /// Takes in a line of libFuzzer's.
    fn read(&mut self, line: String) {
        let number = |text: &str| text.split(['/', ' ']).next().and_then(|digits| digits.parse().ok());
        let after = |mark: &str| line.split_once(mark).and_then(|(_, rest)| number(rest.trim_start()));
        if line.starts_with('#') {
            let fields = [("cov: ", &mut self.edges), ("ft: ", &mut self.features), ("corp: ", &mut self.inputs)];
            for (mark, field) in fields {
                *field = after(mark).unwrap_or(*field);
            }
        }
        if let Some(runs) = after("stat::number_of_executed_units:") {
            self.runs = runs;
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.crash = Some(PathBuf::from(path));
        }
        if !["#", "\t", "INFO:", "stat::", "WARNING: Failed to find", "Dictionary:"]
            .iter()
            .any(|idle| line.starts_with(idle))
        {
            self.said.push(line);
        }
    }
}

fn fuzz(command: &mut Command) -> std::io::Result<Outcome> {
    let begun = Instant::now();
    let mut process = command.spawn()?;
    let mut outcome = Outcome::default();
    if let Some(said) = process.stderr.take() {
        for line in BufReader::new(said).split(b'\n') {
            outcome.read(String::from_utf8_lossy(&line?).into_owned());
        }
    }
    outcome.failed = !process.wait()?.success();
    outcome.took = begun.elapsed();
    Ok(outcome)
}

/// Whether nothing was found.
fn campaign(arguments: &Arguments, chosen: &[&Target]) -> std::io::Result<bool> {
    let places = Places::find()?;
    std::fs::create_dir_all(&places.crashes)?;
    if arguments.keep {
        for target in chosen {
            keep(&places, target)?;
        }
        return Ok(true);
    }
    let guided = find_planted(&places)?;
    println!("{} targets, {} s each, {} at a time", chosen.len(), arguments.seconds, arguments.jobs);
    println!("{:<12} {:>10} {:>8} {:>9} {:>8}  ", "target", "runs", "edges", "features", "inputs");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut all_well = true;
        while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = search(&places, target, arguments.seconds)?;
            all_well &= !outcome.failed;
            tell(&places, target, &outcome);
        }
        Ok(all_well)
    };
    let well = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs.clamp(1, chosen.len().max(1))).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(false)));
        ends.collect::<std::io::Result<Vec<bool>>>()
    })?;
    Ok(guided && well.into_iter().all(|well| well))
}

/// Shows that coverage guides: from nothing, the planted bug is found.
fn find_planted(places: &Places) -> std::io::Result<bool> {
    let mut fuzzer = places.fuzzer(&planted::TARGET);
    let outcome = fuzz(fuzzer.arg("-seed=1").arg("-use_value_profile=1").arg(format!("-runs={PLANTED_RUNS}")))?;
    let found = outcome
        .crash
        .as_ref()
        .is_some_and(|input| std::fs::read(input).is_ok_and(|input| input.starts_with(b"BOOKbid")));
    if let (true, Some(input)) = (found, &outcome.crash) {
        std::fs::remove_file(input)?;
        println!("the planted bug, behind four comparisons, was found after {} inputs", outcome.runs);
    } else {
        println!(
            "the planted bug was not found in {} inputs: the fuzzer is blind. Is it made by `make fuzz`?",
            outcome.runs
        );
    }
    Ok(found)
}

fn search(places: &Places, target: &Target, seconds: u64) -> std::io::Result<Outcome> {
    let found = places.found.join(target.name);
    std::fs::create_dir_all(&found)?;
    let mut fuzzer = places.fuzzer(target);
    fuzzer.arg(format!("-max_total_time={seconds}"));
    if target.has_words {
        fuzzer.arg(format!("-dict={}", places.words.display()));
    }
    fuzz(fuzzer.arg(found).arg(places.corpus.join(target.name)))
}

fn tell(places: &Places, target: &Target, outcome: &Outcome) {
    let Outcome { runs, edges, features, inputs, took, failed, said, crash } = outcome;
    let seconds = took.as_secs_f64();
    let result = if *failed { "FAILED" } else { "" };
    println!("{:<12} {runs:>10} {edges:>8} {features:>9} {inputs:>8}  {seconds:.0} s {result}", target.name);
    if !failed {
        return;
    }
    for line in said.iter().take(40) {
        println!("    {line}");
    }
    if let Some(input) = crash {
        let program = places.program.display();
        println!("  again:   {TARGET_VARIABLE}={} {program} {}", target.name, input.display());
        println!("  to keep: cp {} {}/{}/", input.display(), places.corpus.display(), target.name);
    }
}

/// Adds to the corpus of the repository what covers more.
fn keep(places: &Places, target: &Target) -> std::io::Result<()> {
    let (corpus, found) = (places.corpus.join(target.name), places.found.join(target.name));
    std::fs::create_dir_all(&found)?;
    let count = || std::fs::read_dir(&corpus).map(Iterator::count);
    let before = count()?;
    // Ways alone: to tell apart how often each is taken, and what is compared, would make ten times the files.
    let sparing = ["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0"];
    let outcome = fuzz(places.fuzzer(target).args(sparing).arg(&corpus).arg(&found))?;
    println!(
        "{:<12} {before:>6} inputs, now {:>6}{}",
        target.name,
        count()?,
        if outcome.failed { ", FAILED" } else { "" }
    );
    Ok(())
}
