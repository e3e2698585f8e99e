//! Launchers of real servers, for tests, benchmarks and demonstrations: Redis ([`redis`]), MariaDB or MySQL
//! ([`mysql`]), a Crossbook process ([`venue`]) and a whole cluster behind HAProxy ([`cluster`]), with TLS certificates
//! ([`certificates`]), and slices of the processors for them ([`slices`]). Every server runs in a folder and on ports
//! of its own, and ends with the process that started it.

pub mod certificates;
pub mod cluster;
pub mod mysql;
mod process;
pub mod redis;
pub mod slices;
pub mod venue;

/// The most memory that a process has had so far, in bytes, as Linux tells it; nothing elsewhere.
#[must_use]
pub fn memory_max(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
