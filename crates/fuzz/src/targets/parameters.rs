//! Query strings and forms. The input is a query, and after the first line break a form.

use crossbook_api_binance::parameters::{PARAMETERS_MAX, Parameters};
use crossbook_api_binance::signature;

use crate::input;

pub(super) fn run(bytes: &[u8]) {
    let (query, form) = input::halves(input::text(bytes), '\n');
    assert_eq!(signature::signed_payload(query, form), signed(query) + &signed(form));
    let naive = naive(query, form);
    match Parameters::parse(query, form) {
        Ok(read) => {
            let pairs: Vec<(String, String)> = read.iter().map(|(name, value)| (name.into(), value.into())).collect();
            assert_eq!(Some(&pairs), naive.as_ref().ok());
            for (name, value) in &pairs {
                assert_eq!(read.get(name), Some(&**value));
                assert_eq!(read.text(name).is_err(), value.is_empty());
            }
            assert_eq!(auth_window(&read), naive_window(&read));
        }
        Err(error) => assert_eq!(Err(error.code), naive),
    }
}

/// One name or value, byte by byte.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes().peekable();
    let mut decoded = Vec::new();
    let hex = |byte: u8| char::from(byte).to_digit(16);
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let two = (byte == b'%').then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?))).flatten();
        decoded.push(match (byte, two) {
            (b'+', _) => b' ',
            (_, Some((high, low))) => {
                bytes = ahead;
                (high * 16 + low) as u8
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn naive(query: &str, form: &str) -> Result<Vec<(String, String)>, i32> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (part, text) in [query, form].into_iter().enumerate() {
        let of_query: Vec<String> =
            if part == 0 { Vec::new() } else { all.iter().map(|pair| pair.0.clone()).collect() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = input::halves(pair, '=');
            let name = decoded(name).ok_or(-1100)?;
            if of_query.contains(&name) {
                continue;
            }
            let value = decoded(value).ok_or(-1100)?;
            if all.iter().any(|(known, _)| *known == name) || all.len() == PARAMETERS_MAX {
                return Err(-1101);
            }
            all.push((name, value));
        }
    }
    Ok(all)
}

/// A query or form without the first `signature`, and without one of the marks around it.
pub(super) fn signed(part: &str) -> String {
    let mut pairs: Vec<&str> = part.split('&').collect();
    if let Some(at) = pairs.iter().position(|pair| pair.starts_with("signature=")) {
        pairs.remove(at);
    }
    pairs.join("&")
}

/// Whether a request with this window, sent now, is in time; the code if the window is none.
fn auth_window(read: &Parameters<'_>) -> Option<i32> {
    let now = crossbook_types::Timestamp(1_800_000_000_000_000);
    let timed = [("timestamp".into(), "1800000000000".into())];
    let window = read.get("recvWindow").map(|window| ("recvWindow".into(), window.into()));
    let parameters = Parameters::from_pairs(timed.into_iter().chain(window)).expect("two names");
    let deadline = match signature::timing(&parameters, now) {
        Ok(deadline) => deadline,
        Err(error) => return Some(error.code),
    };
    assert!((now.0..=now.0 + 60_000_000).contains(&deadline.0));
    None
}

fn naive_window(read: &Parameters<'_>) -> Option<i32> {
    let window = read.get("recvWindow")?;
    if window.is_empty() {
        return Some(-1105);
    }
    let digits = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = window.split_once('.').unwrap_or((window, "0"));
    if !digits(whole) || !digits(fraction) {
        return Some(-1100);
    }
    let said = whole.trim_start_matches('0').len() + fraction.trim_end_matches('0').len().max(fraction.len().min(18));
    if fraction.trim_end_matches('0').len() > 3 || said > 36 {
        return Some(-1111);
    }
    let millis: u128 = whole.parse().unwrap_or(u128::MAX);
    let beyond = millis > 60_000 || millis == 60_000 && fraction.bytes().any(|digit| digit != b'0');
    beyond.then_some(-1102)
}
