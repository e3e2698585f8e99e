//! CPU time of threads and processes, on Linux.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Seconds of processor time, by who used them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Used(BTreeMap<String, f64>);

impl Used {
    /// What this process' threads, by name, and a server's process have used so far.
    pub fn now(server: Option<u32>) -> Self {
        let mut used = BTreeMap::<String, f64>::new();
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
            let name = match name.trim() {
                name if name.starts_with("sqlx-sqlite") => "SQLite",
                "history" => "history",
                "partition" => "partition",
                _ => "rest",
            };
            *used.entry(name.to_owned()).or_default() += seconds(&task.path()).unwrap_or_default();
        }
        if let Some(server) = server {
            let seconds = seconds(&Path::new("/proc").join(server.to_string())).unwrap_or_default();
            used.insert("server".to_owned(), seconds);
        }
        Self(used)
    }

    /// What these processes have used so far; those with the same name are added up. One that has ended counts for
    /// nothing.
    pub fn of(processes: impl Iterator<Item = (String, u32)>) -> Self {
        let mut used = BTreeMap::<String, f64>::new();
        for (name, process) in processes {
            *used.entry(name).or_default() +=
                seconds(&Path::new("/proc").join(process.to_string())).unwrap_or_default();
        }
        Self(used)
    }

    /// How many processors each has had on average since `before`, `elapsed` seconds ago. A thread that has ended is
    /// left out.
    pub fn since(&self, before: &Self, elapsed: f64) -> BTreeMap<String, f64> {
        let share = |(name, now): (&String, &f64)| {
            let before = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), (now - before).max(0.0) / elapsed)
        };
        self.0.iter().map(share).collect()
    }
}

/// What `stat` in that folder says: user and system time, the 14th and 15th field, in ticks.
fn seconds(folder: &Path) -> Option<f64> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The second field is a name in brackets, which may have anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
