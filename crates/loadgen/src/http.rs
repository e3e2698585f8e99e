//! A load generator for the venue's HTTP interface that costs little: it often shares a machine with what it measures,
//! and what it takes, the venue lacks. Requests are written straight into a buffer with their constant parts ready
//! made, answers are read only as far as needed to count them, and each connection has one request under way.
//!
//! A [`Client`] is one connection with a key and a [`Flow`]: what decides, request by request, what to send, and hears
//! what came of it. [`run()`] drives many clients at once, in a closed loop or at a fixed rate, and returns a
//! [`Report`]. A [`Session`] asks one thing after the other, for what is to be known before and after.

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
