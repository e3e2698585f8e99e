//! What clients sign: the payloads of signatures, `timestamp` and `recvWindow`.

use std::borrow::Cow;

use crossbook_gateway::auth;
use crossbook_types::Timestamp;
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::error::ApiError;
use crate::parameters::{self, Parameters};

/// How long a request stays valid if it does not say, in microseconds.
pub const RECV_WINDOW_DEFAULT: u64 = 5_000_000;
/// The longest it can ask to stay valid, in microseconds.
pub const RECV_WINDOW_MAX: u64 = 60_000_000;

/// Checks `timestamp` and `recvWindow`; gives the time after which the request must not take effect.
///
/// # Errors
/// -1021 if it is too old or too far ahead, or the errors of the parameters.
pub fn timing(parameters: &Parameters<'_>, now: Timestamp) -> Result<Timestamp, ApiError> {
    // What has to be there is missed first, as it is over HTTP, where a signature is not even looked at without it.
    let sent = parameters.required("timestamp")?;
    let window = recv_window(parameters)?;
    let (sent, _) = parameters::time("timestamp", sent)?;
    Ok(auth::deadline(sent, window, now)?)
}

/// `recvWindow` in microseconds.
fn recv_window(parameters: &Parameters<'_>) -> Result<u64, ApiError> {
    let Some(window) = parameters.decimal("recvWindow")? else { return Ok(RECV_WINDOW_DEFAULT) };
    let micros = window.rescale(3).ok_or_else(|| ApiError::precision("recvWindow"))?;
    u64::try_from(micros).ok().filter(|&micros| micros <= RECV_WINDOW_MAX).ok_or_else(|| {
        ApiError::bad_request(-1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000.")
    })
}

/// A signature as it was encoded: a plus sign that was not percent-encoded arrives as a blank.
#[must_use]
pub fn as_signed(signature: &str) -> Cow<'_, str> {
    if signature.contains(' ') { signature.replace(' ', "+").into() } else { signature.into() }
}

/// The signed text of an HTTP request: query and body as sent, each without its parameter `signature`.
#[must_use]
pub fn signed_payload(query: &str, body: &str) -> String {
    let mut payload = String::with_capacity(query.len() + body.len());
    for part in [query, body] {
        match signature_range(part) {
            None => payload.push_str(part),
            Some((start, end)) => {
                // The signature is removed with one of the `&` around it.
                let (before, after) = (&part[..start], &part[end..]);
                payload.push_str(before.strip_suffix('&').unwrap_or(before));
                payload.push_str(if before.is_empty() { after.strip_prefix('&').unwrap_or(after) } else { after });
            }
        }
    }
    payload
}

/// The same text as [`signed_payload`] returns, with its non-ASCII characters in the other form: percent-encoded if
/// they arrived raw, raw if they arrived percent-encoded. Some clients sign before they encode, others after. ASCII
/// stays as it was sent, encoded or not, so no parameter can turn into two. `None` if there is nothing but ASCII.
#[must_use]
pub fn otherwise_encoded(payload: &str) -> Option<String> {
    if !payload.is_ascii() {
        return Some(utf8_percent_encode(payload, CONTROLS).to_string());
    }
    let encoded = |at: &usize| matches!(payload.as_bytes().get(at + 1), Some(b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'));
    payload.match_indices('%').map(|(at, _)| at).find(encoded)?;
    let mut raw = Vec::with_capacity(payload.len());
    let mut rest = payload.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let decoded = (byte == b'%').then(|| hex::decode(after.get(..2)?).ok()).flatten();
        match decoded.as_deref() {
            Some(&[decoded]) if !decoded.is_ascii() => {
                raw.push(decoded);
                rest = &after[2..];
            }
            _ => {
                raw.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(raw).ok()
}

/// The position of `signature=...` in a query or form.
fn signature_range(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for pair in text.split('&') {
        if pair.starts_with("signature=") {
            return Some((start, start + pair.len()));
        }
        start += pair.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_cut_out_wherever_it_stands() {
        for (query, body, payload) in [
            ("a=1&b=2&signature=x", "", "a=1&b=2"),
            ("signature=x&a=1", "", "a=1"),
            ("a=1&signature=x&b=2", "", "a=1&b=2"),
            ("a=1", "b=2&signature=x", "a=1b=2"),
            ("", "signature=x&b=2", "b=2"),
            ("a=1&signature=x", "b=2", "a=1b=2"),
            ("signature=x", "", ""),
            ("asignature=1&signature=x", "", "asignature=1"),
            ("a=%20&b=é", "c=+", "a=%20&b=éc=+"),
        ] {
            assert_eq!(signed_payload(query, body), payload);
        }
    }

    #[test]
    fn requests_are_valid_for_their_window() {
        const NOW: u64 = 1_700_000_000_123_456;
        let check = |query: &str| {
            timing(&Parameters::parse(query, "").unwrap(), Timestamp(NOW))
                .map(|deadline| deadline.0)
                .map_err(|e| e.code)
        };
        assert_eq!(check("timestamp=1700000000123"), Ok(1_700_000_005_123_000));
        assert_eq!(check("timestamp=1700000000123456"), Ok(1_700_000_005_123_456));
        assert_eq!(check("timestamp=1700000000123&recvWindow=0.457"), Ok(1_700_000_000_123_457));
        assert_eq!(check("timestamp=1700000000123&recvWindow=0.455"), Err(-1021));
        assert_eq!(check("timestamp=1699999995123"), Err(-1021), "456 microseconds too old");
        assert_eq!(check("timestamp=1699999995124"), Ok(1_700_000_000_124_000));
        assert_eq!(check("timestamp=1700000001123"), Ok(1_700_000_006_123_000), "less than a second ahead");
        assert_eq!(check("timestamp=1700000001124"), Err(-1021), "more than a second ahead");
        assert_eq!(check("timestamp=1700000000123&recvWindow=60000"), Ok(1_700_000_060_123_000));
        assert_eq!(check("timestamp=1700000000123&recvWindow=60000.001"), Err(-1102));
        assert_eq!(check("timestamp=1700000000123&recvWindow=1.0001"), Err(-1111));
        assert_eq!(check("timestamp=1700000000123&recvWindow=-1"), Err(-1100));
        assert_eq!(check("timestamp=now"), Err(-1100));
        assert_eq!(check("timestamp="), Err(-1105));
        assert_eq!(check(""), Err(-1102));
    }

    #[test]
    fn what_is_no_ascii_may_be_signed_raw_or_encoded() {
        for (sent, other) in [
            ("symbol=%E5%B8%81USDT&a=%26b%3d", Some("symbol=币USDT&a=%26b%3d")),
            ("symbol=币USDT&a=%26", Some("symbol=%E5%B8%81USDT&a=%26")),
            ("symbol=%e5%b8%81USDT", Some("symbol=币USDT")),
            ("symbols=%5B%22A%22%5D", None),
            ("symbol=BTCUSDT", None),
            ("a=%", None),
            ("a=%e5", None),
            ("a=%e5%b8%81%", Some("a=币%")),
        ] {
            assert_eq!(otherwise_encoded(sent).as_deref(), other, "{sent}");
        }
    }

    #[test]
    fn a_blank_in_a_signature_was_a_plus_sign() {
        assert_eq!(as_signed("a b/c="), "a+b/c=");
        assert_eq!(as_signed("a+b"), "a+b");
    }
}
