//! Slices of this machine's processors, so that a process runs as on a small machine of its own: control groups of
//! Linux, version 1 (`cpu.cfs_quota_us`) or 2 (`cpu.max`), whichever this process may make.
//!
//! A process is bound to one processor, too, unless its slice is more than that. Linux hands the time of a group out to
//! its processors in pieces of up to 5 ms, so a group on two of them would often wait on the one for what lies unused
//! at the other.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The shortest quota that the kernel takes.
const QUOTA_MIN: Duration = Duration::from_millis(1);
/// The longest period that it takes.
const PERIOD_MAX: Duration = Duration::from_secs(1);

/// What the names of groups begin with.
const GROUP: &str = "crossbook-slice-";

/// Why there are no slices.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No hierarchy can be written.
    #[error(
        "no control group for processor time can be made: {0}. It needs one of the two: version 1 with the controller \
         cpu, writable, usually at /sys/fs/cgroup/cpu (`cpu.cfs_quota_us`), or version 2 with the controller cpu in the \
         `cgroup.controllers` of a group that it may write and that has no processes itself; in both cases usually as root"
    )]
    Missing(String),
    /// The kernel refused.
    #[error("{}: {source}", path.display())]
    File {
        /// What was written.
        path: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// The system does not say on which processors this process may run, or does not bind another to one of them.
    #[error("a process cannot be bound to a processor: {0}")]
    Binding(io::Error),
    /// A slice that the kernel cannot give.
    #[error("a slice of {0} processors cannot be given: 0.001 is the least")]
    TooSmall(f64),
}

/// Which interface the groups have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    One,
    Two,
}

/// Groups with a slice each. When this is dropped, all processes in them are free again, and the groups are gone.
#[derive(Debug)]
pub struct Slices {
    version: Version,
    /// In which the groups are made, and where processes go back to.
    parent: PathBuf,
    /// Between two quotas of a group, if they are not too short then.
    period: Duration,
    made: BTreeMap<String, PathBuf>,
    /// The processors that this process may use.
    allowed: CpuSet,
    /// How much of each is given away.
    given: BTreeMap<usize, f64>,
}

impl Slices {
    /// Looks where groups can be made. Each is given its share anew every `period`, or less often where a share would
    /// be less than a millisecond.
    ///
    /// # Errors
    /// [`Error::Missing`] with what is missing.
    pub fn open(period: Duration) -> Result<Self, Error> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut missing = Vec::new();
        let allowed = sched_getaffinity(None).map_err(|error| Error::Binding(error.into()))?;
        let processors: BTreeMap<usize, f64> = (0..CpuSet::MAX_CPU)
            .filter(|&processor| allowed.is_set(processor))
            .map(|processor| (processor, 0.0))
            .collect();
        for (version, parent) in candidates(&mounts, &own) {
            let (period, made, given) = (period.min(PERIOD_MAX), BTreeMap::new(), processors.clone());
            let slices = Self { version, parent, period, made, allowed, given };
            match slices.probe() {
                Ok(()) => {
                    slices.tidy();
                    return Ok(slices);
                }
                Err(error) => missing.push(format!("{}: {error}", slices.parent.display())),
            }
        }
        if missing.is_empty() {
            missing.push("neither version 1 with the controller cpu nor version 2 is mounted".to_owned());
        }
        Err(Error::Missing(missing.join("; ")))
    }

    /// Makes a group and deletes it.
    fn probe(&self) -> io::Result<()> {
        if self.version == Version::Two {
            let has_cpu = |file: &str| {
                fs::read_to_string(self.parent.join(file))
                    .is_ok_and(|controllers| controllers.split_whitespace().any(|controller| controller == "cpu"))
            };
            if !has_cpu("cgroup.controllers") {
                return Err(io::Error::other("it does not have the controller cpu"));
            }
            if !has_cpu("cgroup.subtree_control") {
                fs::write(self.parent.join("cgroup.subtree_control"), "+cpu")?;
            }
        }
        let folder = self.folder("probe");
        fs::create_dir(&folder)?;
        let quota = self.write_quota(&folder, 1.0);
        fs::remove_dir(&folder)?;
        quota.map_err(|error| io::Error::other(error.to_string()))
    }

    /// Removes what a process that was killed has left. Groups that still have processes stay.
    fn tidy(&self) {
        for group in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            if group.file_name().to_string_lossy().starts_with(GROUP) {
                let _ = fs::remove_dir(group.path());
            }
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.parent.join(format!("{GROUP}{}-{name}", std::process::id()))
    }

    /// Puts a process with all its threads into the group of that name, and gives the group so many `processors`. What
    /// it does not use of one period it may use in the next.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn confine(&mut self, name: &str, process: u32, processors: f64) -> Result<(), Error> {
        let folder = self.folder(name);
        if !self.made.contains_key(name) {
            fs::create_dir(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
            self.made.insert(name.to_owned(), folder.clone());
        }
        self.write_quota(&folder, processors)?;
        write(&folder.join("cgroup.procs"), &process.to_string())?;
        // The one that has most to give.
        let fullest = |a: &(&usize, &mut f64), b: &(&usize, &mut f64)| a.1.total_cmp(b.1);
        let Some((&processor, given)) = self.given.iter_mut().min_by(fullest).filter(|_| processors <= 1.0) else {
            return Ok(());
        };
        *given += processors;
        let mut only = CpuSet::new();
        only.set(processor);
        bind(process, &only).map_err(Error::Binding)
    }

    fn write_quota(&self, folder: &Path, processors: f64) -> Result<(), Error> {
        let (quota, period) = quota(processors, self.period).ok_or(Error::TooSmall(processors))?;
        let (quota, period) = (quota.as_micros().to_string(), period.as_micros().to_string());
        let burst = match self.version {
            Version::One => {
                write(&folder.join("cpu.cfs_period_us"), &period)?;
                write(&folder.join("cpu.cfs_quota_us"), &quota)?;
                "cpu.cfs_burst_us"
            }
            Version::Two => {
                write(&folder.join("cpu.max"), &format!("{quota} {period}"))?;
                "cpu.max.burst"
            }
        };
        // Older kernels have none.
        let burst = folder.join(burst);
        if burst.exists() { write(&burst, &quota) } else { Ok(()) }
    }
}

impl Drop for Slices {
    fn drop(&mut self) {
        for folder in self.made.values() {
            let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for process in processes.lines() {
                // One that has ended meanwhile is not there to be moved.
                let _ = fs::write(self.parent.join("cgroup.procs"), process);
                let _ = process.parse().map(|process| bind(process, &self.allowed));
            }
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Binds all threads of a process to some processors. Threads that they start later are where they are.
fn bind(process: u32, processors: &CpuSet) -> io::Result<()> {
    // A thread that is started meanwhile by one that is not bound yet is found the second time.
    for _ in 0..2 {
        for thread in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
            let thread = thread.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            match thread.map_or(Ok(()), |thread| sched_setaffinity(Some(thread), processors)) {
                // It has ended meanwhile.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The time that a slice has in each period, and the period.
fn quota(processors: f64, period: Duration) -> Option<(Duration, Duration)> {
    if !processors.is_finite() || processors <= 0.0 {
        return None;
    }
    let longest = QUOTA_MIN.as_secs_f64() / processors;
    let period = period.as_secs_f64().max(longest);
    // Rounding must not bring the quota below what the kernel takes.
    let quota = Duration::from_micros((period * processors * 1e6).round() as u64).max(QUOTA_MIN);
    (period <= PERIOD_MAX.as_secs_f64()).then(|| (quota, Duration::from_micros((period * 1e6).round() as u64)))
}

/// Groups in which others could be made: this process' own first, then those around it.
fn candidates(mounts: &str, own: &str) -> Vec<(Version, PathBuf)> {
    let mut found = Vec::new();
    for mount in mounts.lines() {
        let mut fields = mount.split(' ');
        let (Some(place), Some(kind), Some(options)) = (fields.nth(1), fields.next(), fields.next()) else { continue };
        let version = match kind {
            "cgroup" if options.split(',').any(|option| option == "cpu") => Version::One,
            "cgroup2" => Version::Two,
            _ => continue,
        };
        let group = own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let is_it = match version {
                Version::One => controllers.split(',').any(|controller| controller == "cpu"),
                Version::Two => controllers.is_empty(),
            };
            is_it.then_some(path)
        });
        let Some(group) = group else { continue };
        for around in Path::new(group.trim_start_matches('/')).ancestors() {
            found.push((version, Path::new(place).join(around)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_looked_for_where_this_process_is_and_around_it() {
        let mounts = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let own = "4:memory:/elsewhere\n1:cpu,cpuacct:/a/b\n0::/\n";
        let found: Vec<_> = candidates(mounts, own)
            .into_iter()
            .map(|(version, path)| (version, path.to_string_lossy().trim_end_matches('/').to_owned()))
            .collect();
        let expected = [
            (Version::One, "/sys/fs/cgroup/cpu/a/b"),
            (Version::One, "/sys/fs/cgroup/cpu/a"),
            (Version::One, "/sys/fs/cgroup/cpu"),
            (Version::Two, "/sys/fs/cgroup/unified"),
        ];
        assert_eq!(found, expected.map(|(version, path)| (version, path.to_owned())));
    }

    #[test]
    fn a_quota_is_never_shorter_than_the_kernel_takes() {
        let millis = Duration::from_millis;
        assert_eq!(quota(0.5, millis(10)), Some((millis(5), millis(10))));
        assert_eq!(quota(0.05, millis(10)), Some((millis(1), millis(20))));
        assert_eq!(quota(2.0, millis(10)), Some((millis(20), millis(10))));
        assert_eq!(quota(0.000_1, millis(10)), None);
        assert_eq!(quota(0.0, millis(10)), None);
        assert_eq!(quota(f64::NAN, millis(10)), None);
    }
}
