//! Metrics of the process, under the usual names of Prometheus clients. Available on Linux only.
//!
//! They are read on request and written in the text format here, because counters of the recorder are whole numbers,
//! and CPU time is not.

use std::fmt::Write as _;

use super::catalogue::{EVERY, Family, Kind};

/// The families of a process, in the order in which they are written.
#[rustfmt::skip]
pub const FAMILIES: &[Family] = &[
    Family { name: "process_cpu_seconds_total", kind: Kind::Counter, unit: "seconds", labels: &[], roles: EVERY, help: "Processor time that the process has used, user and system." },
    Family { name: "process_resident_memory_bytes", kind: Kind::Gauge, unit: "bytes", labels: &[], roles: EVERY, help: "Resident memory of the process." },
    Family { name: "process_virtual_memory_bytes", kind: Kind::Gauge, unit: "bytes", labels: &[], roles: EVERY, help: "Virtual memory of the process." },
    Family { name: "process_start_time_seconds", kind: Kind::Gauge, unit: "seconds", labels: &[], roles: EVERY, help: "Unix time at which the process started." },
    Family { name: "process_threads", kind: Kind::Gauge, unit: "threads", labels: &[], roles: EVERY, help: "Threads of the process." },
    Family { name: "process_open_fds", kind: Kind::Gauge, unit: "file descriptors", labels: &[], roles: EVERY, help: "Open file descriptors of the process." },
    Family { name: "process_max_fds", kind: Kind::Gauge, unit: "file descriptors", labels: &[], roles: EVERY, help: "File descriptors that the process may have open." },
];

/// A process at one time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Process {
    /// Seconds that it has had a processor.
    pub processor_seconds: f64,
    /// Bytes of memory that it occupies.
    pub resident_bytes: f64,
    virtual_bytes: f64,
    start_seconds: f64,
    threads: f64,
    open_fds: f64,
    max_fds: f64,
}

impl Process {
    /// This process now; `None` where the system does not say.
    pub fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is a name in brackets, which may contain anything; the third is the first after it.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let max_fds = files.split_whitespace().next()?.parse().unwrap_or(f64::INFINITY);
        Some(Self {
            processor_seconds: (field(14)? + field(15)?) / ticks,
            resident_bytes: field(24)? * rustix::param::page_size() as f64,
            virtual_bytes: field(23)?,
            start_seconds: booted + field(22)? / ticks,
            threads: field(20)?,
            open_fds: std::fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            max_fds,
        })
    }

    /// Appends the process in the text format of Prometheus.
    fn write(&self, text: &mut String) {
        let values = [
            self.processor_seconds,
            self.resident_bytes,
            self.virtual_bytes,
            self.start_seconds,
            self.threads,
            self.open_fds,
            self.max_fds,
        ];
        for (Family { name, kind, help, .. }, value) in FAMILIES.iter().zip(values) {
            let kind = kind.name();
            let value = if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() };
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    }
}

/// Appends what is known of this process to `text`.
pub fn append(text: &mut String) {
    if let Some(process) = Process::read() {
        process.write(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_known() {
        let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 1_048_576.0 && process.virtual_bytes >= process.resident_bytes, "{process:?}");
        assert!(process.processor_seconds >= 0.0 && process.threads >= 1.0, "{process:?}");
        assert!(process.open_fds >= 3.0 && process.max_fds >= process.open_fds, "{process:?}");
        let age = before - process.start_seconds;
        assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
        let mut text = String::new();
        process.write(&mut text);
        assert_eq!(text.lines().filter(|line| line.starts_with("process_")).count(), FAMILIES.len(), "{text}");
    }
}
