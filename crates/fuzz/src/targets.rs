//! The targets, and the table of them.

pub mod admin;
pub mod conversation;
pub mod credentials;
pub mod entries;
pub mod log;
pub mod numbers;
pub mod parameters;
pub mod planted;
pub mod rest;
pub mod same;
pub mod snapshot;
pub mod wire;

/// A decoder, with what must hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What it decodes, in a line.
    pub what: &'static str,
    /// The longest input that makes sense, in bytes.
    pub input_bytes_max: usize,
    /// Whether the words of the API help, which `words.dict` has.
    pub has_words: bool,
    /// Decodes any bytes.
    ///
    /// # Panics
    /// When something is wrong.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, what: &'static str, input_bytes_max: usize, run: fn(&[u8])) -> Target {
    Target { name, what, input_bytes_max, has_words: false, run }
}

const fn spoken(name: &'static str, what: &'static str, input_bytes_max: usize, run: fn(&[u8])) -> Target {
    Target { has_words: true, ..target(name, what, input_bytes_max, run) }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    spoken("numbers", "decimals, whole numbers, times, names, intervals, stream names", 256, numbers::run),
    spoken("parameters", "query strings and forms, and the text that is signed", 1_024, parameters::run),
    target("credentials", "public keys, signatures, addresses", 1_024, credentials::run),
    target("command", "records of the log, applied", 512, wire::command),
    target("told", "what a partition tells: events", 1_024, wire::told),
    target("snapshot", "states of partitions and views, and exports", 8_192, snapshot::run),
    target("log", "segment files", 1_024, log::run),
    target("entries", "answers of Redis", 512, entries::run),
    spoken("rest", "requests over HTTP, before a venue", 2_048, rest::run),
    spoken("http", "a connection's bytes", 2_048, rest::raw),
    spoken("ws-api", "messages to the WebSocket API, before a venue", 2_048, conversation::api),
    spoken("ws-streams", "messages to the streams", 1_024, conversation::streams),
    target("frames", "a WebSocket's bytes", 1_024, conversation::frames),
    spoken("admin", "the operator's requests, before a venue", 2_048, admin::run),
    spoken("same", "an operation over HTTP and over WebSocket", 1_024, same::run),
];

/// The target of that name; the planted one too, which is not among them.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().chain([&planted::TARGET]).find(|target| target.name == name)
}
