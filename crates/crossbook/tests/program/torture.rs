//! The real binary under faults and full load: it is killed at random times, also as it starts and as it writes a
//! snapshot; its files reach a limit, its disk fills up, it is asked to stop twice. The accounts record all
//! acknowledgements, and after every restart the venue is compared with all of them: every acknowledged order exists
//! exactly once, cancels too, no refused order exists, balances follow from the orders, and an audit of the log ends
//! where the venue stands.
//!
//! `CROSSBOOK_TORTURE_ROUNDS` is the number of kills (10; `make torture` asks for 100), `CROSSBOOK_TORTURE_SEED` the
//! seed of their times. Both are printed. The same seed gives the same times; the state of the process by then varies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::load::{Access, Account, Trading};
use crate::operator::Operator;
use crate::venue::{DEADLINE, Venue, binary, eventually, refusal};
use reqwest::Method;
use rustix::process::{Resource, Rlimit, Signal, geteuid, prlimit};
use serde_json::Value;

/// Accounts that trade at once, each as fast as it is answered. An even number, so that buyers and sellers are as many.
const ACCOUNTS: usize = 8;
/// Kills where nothing else is said.
const ROUNDS: u64 = 10;
/// The latest moment of a kill, counted from when all accounts are answered.
const MOMENT_MS_MAX: u64 = 400;
/// The size of a segment here.
const SEGMENT_BYTES: u64 = 65_536;
/// No limits of rate, segments that are soon full, and a snapshot under way most of the time, so that kills hit these
/// as well. Every order can be asked for.
const SETTINGS: &[(&str, &str)] = &[
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__ORDERS_1D", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__REQUEST_WEIGHT_1M", "0"),
    ("CROSSBOOK_GATEWAY__LIMITS__RAW_REQUESTS_5M", "0"),
    ("CROSSBOOK_GATEWAY__SERVER__BODY_BYTES_MAX", "2048"),
    ("CROSSBOOK_LOG__RECORD_BYTES_MAX", "5120"),
    ("CROSSBOOK_LOG__BATCH_BYTES_MAX", "32768"),
    ("CROSSBOOK_LOG__SEGMENT_BYTES_MAX", "65536"),
    ("CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS", "50"),
    ("CROSSBOOK_SNAPSHOTS__CHECK_INTERVAL_MS", "20"),
    ("CROSSBOOK_VIEWS__CLOSED_ORDERS_PER_ACCOUNT", "1000000"),
    ("CROSSBOOK_VIEWS__CLOSED_ORDERS_PER_MARKET", "10000000"),
    // A line for each snapshot would bury the rest.
    ("CROSSBOOK_LOGGING__FILTER", "warn,crossbook_venue=info,crossbook_api_binance::shutdown=info"),
];
/// A venue that is asked to stop serves on for longer than any test lasts.
const LASTING_STOP: &[(&str, &str)] = &[("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "600000")];
/// For so long a second signal counts as the first.
const SAME_SIGNAL_MS: u64 = 500;

/// A number from the environment; empty counts as absent.
fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// What is drawn from the seed. splitmix64.
struct Draw(u64);

impl Draw {
    /// Prints the seed, so that the same can be drawn again.
    fn begin(test: &str) -> Self {
        let fresh =
            || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() % 1_000_000_000).unwrap();
        let seed = from_environment("CROSSBOOK_TORTURE_SEED").unwrap_or_else(fresh);
        println!("{test}: CROSSBOOK_TORTURE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// What a round of trading and its check came to.
#[derive(Default)]
struct Sums {
    acknowledged: u64,
    found: usize,
    /// Orders that nobody had been told of, and that were there.
    unknown_found: usize,
}

/// A data folder, the venue that runs on it, and the accounts that trade there.
struct Stage {
    data: PathBuf,
    settings: Vec<(&'static str, &'static str)>,
    venue: Option<Venue>,
    accounts: Vec<Account>,
    sums: Sums,
}

impl Stage {
    async fn set(data: PathBuf) -> Self {
        Self::set_with(data, &[]).await
    }

    /// With settings besides [`SETTINGS`].
    async fn set_with(data: PathBuf, more: &[(&'static str, &'static str)]) -> Self {
        let settings = [SETTINGS, more].concat();
        let venue = Venue::serve_with(&data, &settings).await;
        let accounts = access(&venue).prepare(ACCOUNTS).await;
        Self { data, settings, venue: Some(venue), accounts, sums: Sums::default() }
    }

    /// Lets the accounts trade while `end` makes an end of the venue, at whatever moment it likes.
    async fn trade(&mut self, end: impl AsyncFnOnce(Venue)) {
        let venue = self.venue.take().unwrap();
        let trading = Trading::begin(&access(&venue), std::mem::take(&mut self.accounts)).await;
        end(venue).await;
        // Only now are they told to stop: until the end nothing held them back.
        let (accounts, report) = trading.end(Instant::now()).await;
        self.accounts = accounts;
        self.sums.acknowledged += report.orders;
    }

    /// Starts the venue again and holds it to the lists.
    async fn restart(&mut self) {
        let offline = audited(&self.data);
        let venue = Venue::serve_with(&self.data, &self.settings).await;
        let online = venue.operate(Method::GET, "audit", None).await;
        assert_eq!(online["ok"], true, "{online}");
        assert_eq!((&offline["sequence"], &offline["stateHash"]), (&online["sequence"], &online["stateHash"]));
        let access = access(&venue);
        let checks = self.accounts.iter_mut().map(|account| account.check(&access));
        let checked = futures_util::future::join_all(checks).await;
        (self.sums.found, self.sums.unknown_found) = (0, 0);
        for (found, unknown_found) in checked {
            self.sums.found += found;
            self.sums.unknown_found += unknown_found;
        }
        assert!(self.sums.found as u64 >= self.sums.acknowledged, "each of the lists is whole, the sum is not");
        self.venue = Some(venue);
    }
}

fn access(venue: &Venue) -> Access {
    Access { operator: Operator::at(&venue.admin, crate::venue::TOKEN), http: venue.http.clone(), pace: None }
}

/// What the audit of a log without its venue says: that all adds up to zero.
fn audited(data: &Path) -> Value {
    let output = binary().args(["audit", "--json", "--data"]).arg(data).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {said}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    report
}

/// Whether a snapshot is half written, under its other name.
fn half_a_snapshot(data: &Path) -> bool {
    let mut entries = std::fs::read_dir(data.join("snapshots")).unwrap();
    entries.any(|entry| entry.unwrap().path().extension().is_some_and(|extension| extension == "unfinished"))
}

/// The torture's moments are drawn, so this is the length of the load and not a wait for something.
async fn for_a_while(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledgement_outlives_kills_at_random_moments() {
    let rounds = from_environment("CROSSBOOK_TORTURE_ROUNDS").unwrap_or(ROUNDS);
    let mut draw = Draw::begin("kills");
    println!("kills: CROSSBOOK_TORTURE_ROUNDS={rounds}");
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path().join("venue")).await;
    let (begun, mut while_starting, mut half_written) = (Instant::now(), 0, 0);
    for round in 1..=rounds {
        let moment = draw.below(MOMENT_MS_MAX);
        stage
            .trade(async |venue| {
                for_a_while(moment).await;
                venue.kill();
            })
            .await;
        half_written += u64::from(half_a_snapshot(&stage.data));
        // Now and then it is killed again while it opens its log, replays, or has just opened; that must cost nothing
        // either.
        for _ in 0..draw.below(3) {
            let starting = Venue::begin(&stage.data, SETTINGS);
            for_a_while(draw.below(30)).await;
            starting.venue.kill();
            while_starting += 1;
        }
        stage.restart().await;
        let Sums { acknowledged, found, unknown_found } = stage.sums;
        println!(
            "round {round}: killed after {moment} ms; {acknowledged} orders acknowledged so far, {found} there, \
             {unknown_found} of them never answered"
        );
    }
    assert_eq!(stage.venue.take().unwrap().stop().await, Some(0));
    let Sums { acknowledged, .. } = stage.sums;
    println!(
        "{rounds} kills under load and {while_starting} while starting in {:?}; {half_written} left half a snapshot; \
         {acknowledged} orders acknowledged, none lost, none twice",
        begun.elapsed()
    );
}

/// A kill with half a snapshot written: the next start uses the one before, and the half one is gone with the next that
/// is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_snapshot_is_written_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path().join("venue")).await;
    let deadline = Instant::now() + DEADLINE;
    // A snapshot may be finished between the look and the kill; then it is tried again.
    loop {
        let data = stage.data.clone();
        stage
            .trade(async |venue| {
                while !half_a_snapshot(&data) {
                    assert!(Instant::now() < deadline, "no snapshot is written");
                    tokio::task::yield_now().await;
                }
                venue.kill();
            })
            .await;
        let hit = half_a_snapshot(&stage.data);
        stage.restart().await;
        if hit {
            break;
        }
        assert!(Instant::now() < deadline, "no kill came while a snapshot was written");
    }
    assert_eq!(stage.venue.take().unwrap().stop().await, Some(0));
    assert!(!half_a_snapshot(&stage.data), "what the kill left is cleared away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_stop_at_once_and_loses_nothing() {
    let mut draw = Draw::begin("signals");
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set_with(folder.path().join("venue"), LASTING_STOP).await;
    for _ in 0..3 {
        let (moment, pause) = (draw.below(MOMENT_MS_MAX), draw.below(100));
        let mut ended = None;
        stage
            .trade(async |venue| {
                for_a_while(moment).await;
                let says = venue.says();
                // As `timeout` does, which signals its child and the group that it is in.
                venue.signal(Signal::TERM);
                venue.signal(Signal::TERM);
                eventually("the venue begins to stop", async || says("draining")).await;
                for_a_while(SAME_SIGNAL_MS + pause).await;
                assert_eq!(says("asked to stop a second time"), None, "both are the first");
                venue.signal(Signal::TERM);
                ended = venue.ended().await;
                eventually("it says why", async || says("asked to stop a second time")).await;
            })
            .await;
        assert_eq!(ended, Some(1));
        stage.restart().await;
    }
}

/// Every file that the venue writes may not grow past a drawn size, from one moment on. Wherever the log is then, its
/// write is torn there or its next segment is not given its room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_file_sizes_ends_the_venue_with_a_word_and_loses_nothing() {
    let mut draw = Draw::begin("limits");
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(folder.path().join("venue")).await;
    for _ in 0..4 {
        let (moment, limit) = (draw.below(MOMENT_MS_MAX), draw.below(SEGMENT_BYTES - 1) + 1);
        let mut said = String::new();
        stage
            .trade(async |venue| {
                for_a_while(moment).await;
                let says = venue.says();
                let limit = Rlimit { current: Some(limit), maximum: None };
                prlimit(Some(venue.pid()), Resource::Fsize, limit).unwrap();
                assert_eq!(venue.ended().await, Some(1), "it ends by itself, not by the signal");
                said = eventually("it says why", async || says("the log failed")).await;
            })
            .await;
        println!("at most {limit} bytes: {said}");
        assert!(said.contains(".log: File too large"), "{said}");
        assert!(said.contains("the next start recovers from the log"), "{said}");
        stage.restart().await;
    }
    assert_eq!(stage.venue.take().unwrap().stop().await, Some(0));

    // A start that cannot have a first segment says so, and leaves nothing in the way of the next.
    let data = folder.path().join("another");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_crossbook"), "serve"]);
    command.args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(&data);
    let output = command.env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot open the log") && said.contains("File too large"), "{said}");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    assert_eq!(venue.stop().await, Some(0));
}

/// A file system of a few megabytes that only the tests' own processes see. It is mounted in a namespace of its own,
/// for which no privilege is needed where the system allows that, and gone with the process that holds it.
struct SmallDisk {
    holder: Child,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, with the reason printed, where there can be none.
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = "mount -t tmpfs -o \"$1\" none \"$0\" && echo mounted && exec cat";
        let mut reasons = Vec::new();
        // As root of a namespace of one's own; where that is forbidden, as root.
        for namespace in [&["--user", "--map-root-user", "--mount"][..], &["--mount"]] {
            let mut command = Command::new("unshare");
            command.args(namespace).args(["sh", "-c", mount]).arg(folder.path()).arg(options);
            let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let mut holder = match piped {
                Ok(holder) => holder,
                Err(error) => {
                    reasons.push(error.to_string());
                    continue;
                }
            };
            let mut line = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let path = Path::new("/proc").join(holder.id().to_string()).join("root");
            let path = path.join(folder.path().strip_prefix("/").unwrap());
            if line == "mounted\n" && path.read_dir().is_ok() {
                return Some(Self { holder, path, _folder: folder });
            }
            let _ = holder.kill();
            let output = holder.wait_with_output().unwrap();
            reasons.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        println!("left out, no small file system can be mounted here: {}", reasons.join("; "));
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_the_venue_with_a_word_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("size=32m") else { return };
    let mut draw = Draw::begin("full disk");
    let mut stage = Stage::set(disk.path.join("venue")).await;
    let filling = disk.path.join("filling");
    for _ in 0..2 {
        let moment = draw.below(MOMENT_MS_MAX);
        let mut said = String::new();
        stage
            .trade(async |venue| {
                for_a_while(moment).await;
                let says = venue.says();
                let mut file = std::fs::File::create(&filling).unwrap();
                // The venue itself gives room back, by old snapshots that it removes, until nothing is left of that
                // either.
                said = eventually("the venue finds the disk full", async || {
                    while file.write_all(&[1; 4_096]).is_ok() {}
                    says("the log failed")
                })
                .await;
                assert_eq!(venue.ended().await, Some(1));
            })
            .await;
        println!("{said}");
        assert!(said.contains("no space left to") && said.contains("free space on that volume"), "{said}");
        while std::fs::OpenOptions::new().append(true).open(&filling).unwrap().write_all(&[1; 4_096]).is_ok() {}
        let refused = refusal(&disk.path.join("another"));
        assert!(refused.contains("No space left"), "{refused}");
        std::fs::remove_file(&filling).unwrap();
        stage.restart().await;
    }
    assert_eq!(stage.venue.take().unwrap().stop().await, Some(0));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let said = refusal(&file.join("venue"));
    assert!(said.contains("Not a directory") && said.contains(file.to_str().unwrap()), "{said}");

    if let Some(disk) = SmallDisk::mount("size=1m,ro") {
        let said = refusal(&disk.path.join("venue"));
        assert!(said.contains("Read-only file system") && said.contains(disk.path.to_str().unwrap()), "{said}");
    }

    if geteuid().is_root() {
        println!("left out, root may write everywhere: a folder without the permission");
        return;
    }
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let said = refusal(&closed.join("venue"));
    assert!(said.contains("Permission denied") && said.contains(closed.to_str().unwrap()), "{said}");
}
