//! The smallest parts of requests: numbers, times, names.

use crossbook_api_binance::error::ApiError;
use crossbook_api_binance::parameters;
use crossbook_api_binance::streams::topic::{Kind, Topic};
use crossbook_types::decimal::Error;
use crossbook_types::{AssetName, ClientOrderId, Decimal, SymbolName};
use crossbook_views::{Interval, Offset};

use crate::input;

pub(super) fn run(bytes: &[u8]) {
    let text = input::text(bytes);
    decimal(text);
    values(text);
    topic(text);
    if let Some((first, second)) = text.split_once(' ') {
        steps(first, second);
    }
}

/// What a decimal is, found with texts alone: its sign, its digits before the point and after it.
fn naive(text: &str) -> Result<(bool, String, String), Error> {
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let negative = text.starts_with('-');
    let unsigned = if negative { &text[1..] } else { text };
    let parts: Vec<&str> = unsigned.split('.').collect();
    let (whole, fraction) = match parts[..] {
        [whole] if digits(whole) => (whole, String::new()),
        [whole, fraction] if digits(whole) && digits(fraction) => (whole, fraction.to_owned()),
        _ => return Err(Error::Malformed),
    };
    let mut fraction = fraction;
    while fraction.len() > 18 && fraction.ends_with('0') {
        fraction.pop();
    }
    let whole = whole.trim_start_matches('0').to_owned();
    if fraction.len() > 18 || whole.len() + fraction.len() > 36 {
        return Err(Error::TooLong);
    }
    let is_zero = (whole.clone() + &fraction).chars().all(|c| c == '0');
    Ok((negative && !is_zero, whole, fraction))
}

fn decimal(text: &str) {
    let read = Decimal::parse(text);
    match (naive(text), read) {
        (Err(expected), Err(found)) => assert_eq!(found, expected),
        (Ok((negative, whole, fraction)), Ok(decimal)) => {
            let sign = if negative { "-" } else { "" };
            let whole = if whole.is_empty() { "0" } else { &whole };
            let point = if fraction.is_empty() { "" } else { "." };
            assert_eq!(decimal.to_string(), format!("{sign}{whole}{point}{fraction}"));
            assert_eq!(Decimal::parse(&decimal.to_string()), Ok(decimal), "written and read again");
            assert_eq!(decimal.rescale(decimal.scale()), Some(decimal.units()));
            assert_eq!(usize::from(decimal.precision()), fraction.trim_end_matches('0').len());
            let json = serde_json::to_string(&decimal).expect("a decimal is a string");
            assert_eq!(serde_json::from_str::<Decimal>(&json).ok(), Some(decimal));
            let mut bytes = Vec::new();
            crossbook_protocol::wire::encode(&decimal, &mut bytes);
            assert_eq!(crossbook_protocol::wire::decode(&bytes), Ok(decimal));
        }
        (expected, found) => panic!("{text:?} is {expected:?}, and was read as {found:?}"),
    }
}

/// A number goes a whole number of times into another, or not, whatever the scales.
fn steps(text: &str, step: &str) {
    let (Ok(value), Ok(step)) = (Decimal::parse(text), Decimal::parse(step)) else { return };
    if let Some(times) = value.steps_of(step) {
        let scale = value.scale().max(step.scale());
        let whole = |decimal: Decimal| decimal.rescale(scale).expect("it was looked at in this scale");
        assert_eq!(times * whole(step), whole(value));
    }
}

/// Whether the text is one to twenty digits.
fn is_whole(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
}

fn code<T>(read: Result<T, ApiError>) -> Result<T, i32> {
    read.map_err(|error| error.code)
}

fn values(text: &str) {
    let number = text.parse::<u128>().ok().filter(|_| is_whole(text));
    let expected = match number {
        None if text.is_empty() => Err(-1108),
        None => Err(-1100),
        Some(number) => i64::try_from(number).map_err(|_| -1108).map(|_| number as u64),
    };
    assert_eq!(code(parameters::integer("n", text)), expected);
    match (expected, code(parameters::time("t", text))) {
        (Ok(micros), Ok((first, last))) if micros >= 100_000_000_000_000 => {
            assert_eq!((first.0, last.0), (micros, micros))
        }
        (Ok(millis), Ok((first, last))) => assert_eq!((first.0, last.0), (millis * 1_000, millis * 1_000 + 999)),
        (expected, found) => assert_eq!(found.err(), expected.err()),
    }

    let plain = match text.split_once('.') {
        Some((whole, fraction)) => is_whole(whole) && is_whole(fraction),
        None => is_whole(text),
    };
    match code(parameters::decimal("d", text)) {
        Ok(decimal) => assert!(plain && Decimal::parse(text) == Ok(decimal)),
        Err(-1111) => assert!(plain && naive(text) == Err(Error::TooLong)),
        Err(code) => assert_eq!((code, plain), (-1100, false)),
    }

    let says = |word: &str| text.to_lowercase() == word && text.is_ascii();
    let expected = if says("true") || says("false") { Ok(says("true")) } else { Err(-1130) };
    assert_eq!(code(parameters::boolean("b", text)), expected);

    let of = |allowed: &str, most: usize| (1..=most).contains(&text.len()) && text.chars().all(|c| allowed.contains(c));
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let name = |allowed: &str, most: usize| {
        let fits = |c: char| allowed.contains(c) || (c as u32 > 0x7f && !(0x80..0xa0).contains(&(c as u32)));
        (1..=most).contains(&text.len()) && text.chars().all(fits)
    };
    assert_eq!(AssetName::new_checked(text).is_ok(), name(UPPER, 24));
    let symbol = name(&format!("{UPPER}-_."), 50);
    assert_eq!((SymbolName::new_checked(text).is_ok(), parameters::symbol("s", text).is_ok()), (symbol, symbol));
    let client = of(&format!("{UPPER}{}-_.:/", UPPER.to_lowercase()), 36);
    assert_eq!(ClientOrderId::new_checked(text).is_ok(), client);
    let named_now = client && !text.contains(['.', ':', '/']);
    assert_eq!(parameters::client_order_id("c", text).is_ok(), named_now);

    let listed = serde_json::from_str::<Vec<String>>(text);
    match code(parameters::names("symbols", text)) {
        Ok(names) => assert_eq!(Some(names), listed.ok()),
        Err(code) => assert_eq!(code == -1100, listed.is_err()),
    }
}

fn topic(text: &str) {
    let offset = Offset::parse(text);
    if let Some(offset) = offset {
        let (minutes, sign) = (offset.minutes(), if offset.minutes() < 0 { "-" } else { "+" });
        let written = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        assert_eq!(Offset::parse(&written), Some(offset));
    }
    if let Some(interval) = Interval::from_name(text) {
        assert_eq!(interval.as_str(), text);
    }
    match Topic::parse(text) {
        Some(Topic::Market(symbol, kind)) => {
            let (name, rest) = input::halves(text, '@');
            assert_eq!(symbol.as_str(), name.to_uppercase());
            assert_eq!(name, name.to_ascii_lowercase());
            if let Kind::Candle(interval, offset) = kind {
                assert!(rest.starts_with(&format!("kline_{}", interval.as_str())));
                assert_eq!(rest.contains('@'), rest.len() > 6 + interval.as_str().len(), "{offset:?}");
            }
        }
        Some(_) => assert!(text.starts_with('!')),
        None => assert!(!["btcusdt@trade", "!ticker@arr"].contains(&text)),
    }
}
