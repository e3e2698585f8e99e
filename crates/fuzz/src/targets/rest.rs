//! The client API over HTTP, from the bytes of a connection to the venue behind.
//!
//! The input of `rest` is a request: its line, such as `POST /api/v3/order?symbol=BTCUSDT`, headers, an empty line, a
//! body. `NOW` in it is replaced by the time, and `HMAC` by the signature; the key of [`HMAC_KEY`] is added. The input
//! of `http` is sent as it is.

use std::borrow::Cow;

use serde_json::Value;

use super::parameters::signed;
use crate::connection::{self, Answer};
use crate::input;
use crate::venue::{HMAC_KEY, Venue, sign};

/// What decides how a message is framed, which `http` is about.
const FRAMING: [&str; 6] = ["connection", "content-length", "transfer-encoding", "upgrade", "expect", "host"];

thread_local! {
    static VENUE: Venue = Venue::new();
}

pub(super) fn run(bytes: &[u8]) {
    let (head, body) = input::text(bytes).split_once("\n\n").unwrap_or((input::text(bytes), ""));
    let mut lines = head.lines();
    let (verb, target) = input::halves(lines.next().unwrap_or_default(), ' ');
    let (path, query) = input::halves(target, '?');
    let (query, body) = completed(query, body);
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut headers: Vec<(&str, &str)> = lines.map(|line| input::halves(line, ':')).collect();
    headers.retain(|(name, _)| !FRAMING.contains(&&*name.to_ascii_lowercase()));
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-mbx-apikey")) {
        headers.push(("X-MBX-APIKEY", HMAC_KEY));
    }
    VENUE.with(|venue| {
        venue.reset();
        let answer = connection::ask(venue, venue.rest(), &connection::request(verb, &target, &headers, &body));
        if let Some(answer) = answer {
            check(&answer);
        }
        venue.audit();
    });
}

/// Fills in the time and the signature.
pub(super) fn completed<'a>(query: &'a str, body: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    let has = |what: &str| query.contains(what) || body.contains(what);
    if !has("NOW") && !has("HMAC") {
        return (query.into(), body.into());
    }
    let now = crossbook_gateway::clock::now().millis().to_string();
    let (query, body) = (query.replace("NOW", &now), body.replace("NOW", &now));
    if !has("HMAC") {
        return (query.into(), body.into());
    }
    let signature = sign(&(signed(&query) + &signed(&body)));
    (query.replace("HMAC", &signature).into(), body.replace("HMAC", &signature).into())
}

/// Whatever was asked, the answer is one, and nothing inside has failed.
///
/// # Panics
/// When that is not so.
pub(super) fn check(answer: &Answer) {
    assert!(answer.status < 500, "{answer:?}");
    if answer.is_json && !answer.body.is_empty() {
        let body: Value = serde_json::from_str(&answer.body).expect("it says that it is JSON");
        if answer.status != 200 {
            assert!(body["code"].as_i64().is_some_and(|code| code < 0) && body["msg"].is_string(), "{answer:?}");
        }
    }
}

pub(super) fn raw(bytes: &[u8]) {
    VENUE.with(|venue| {
        venue.reset();
        let answer =
            connection::with(venue, venue.rest(), async |connection| connection::exchange(connection, bytes).await);
        // Nothing is said to whoever says nothing, and an answer begins like one.
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.") && !bytes.is_empty());
        assert!(!answer.windows(13).any(|bytes| bytes.starts_with(b"HTTP/1.") && bytes[8..10] == *b" 5"));
        venue.audit();
    });
}
