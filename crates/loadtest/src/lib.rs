//! Load, and what is learned from it: one standard stream of orders on which every engine must agree, a book and an
//! exchange too plain to be wrong that say what agreement is, the venue's own book by itself, clocks that do not
//! flatter, and a client that drives a venue over HTTP at little cost to the machine they share.

pub mod certificates;
pub mod cluster;
pub mod feed;
pub mod http;
pub mod indexed;
pub mod latency;
pub mod mariadb;
pub mod model;
pub mod naive;
pub mod operator;
mod process;
pub mod redis;
pub mod venue;
pub mod websocket;
pub mod workload;
