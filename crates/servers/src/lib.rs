//! Launchers of real servers, for tests, benchmarks and demonstrations: Redis ([`redis`]), MariaDB ([`mariadb`]), a
//! Crossbook process ([`venue`]) and a whole cluster behind HAProxy ([`cluster`]), with TLS certificates
//! ([`certificates`]). Every server runs in a folder and on ports of its own, and ends with the process that started
//! it.

pub mod certificates;
pub mod cluster;
pub mod mariadb;
mod process;
pub mod redis;
pub mod venue;
