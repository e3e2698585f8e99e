//! The log in streams of real Redis servers, in the clear and over TLS.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod streams;
mod tls;
