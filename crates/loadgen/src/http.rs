//! A load generator for the HTTP API with little overhead, because it often shares a machine with the venue that it
//! measures. Requests are written into a buffer with their constant parts prepared, answers are read only as far as
//! needed to count them, and each connection has one request in flight.
//!
//! A [`Client`] is one connection with a key and a [`Flow`], which decides each request and gets its answer. [`run()`]
//! drives many clients, in a closed loop or at a fixed rate, and returns a [`Report`]. A [`Session`] sends single
//! requests, before and after a run.

pub mod connection;
pub mod request;
pub(crate) mod run;
mod session;

pub use self::connection::{Connection, Response};
pub use self::request::{Credentials, Method, Order, Outgoing, Prepared, ResponseType};
pub use self::run::{
    Client, Error, ErrorCount, ErrorKind, Flow, MAX_CONNECTIONS, MAX_ERROR_KINDS, MAX_FAILURES_IN_A_ROW, MAX_REQUESTS,
    Pace, Plan, Report, Stop, TIMELINE_STEP, run, run_until,
};
pub use self::session::{Answer, Session};
