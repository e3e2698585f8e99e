//! Parses a WebSocket request: its id, its method, and its parameters as the texts that the operations use and that are
//! signed.
//!
//! Numbers are never converted: a number's literal is its text, so a quantity keeps every digit that the client sent, a
//! signature is verified over what was signed, and an id is returned as it was sent.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::parameters::{self, Parameters};

/// What the signed parameters of an order take, about.
const PAYLOAD_BYTES: usize = 320;
/// What all parameters of an order take, about: those that are signed, and the signature.
const TEXT_BYTES: usize = 512;

/// What stays as it is when clients percent-encode a value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request that was understood so far that it can be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The client's name for it.
    pub id: RequestId,
    /// What it asks, without the version.
    pub method: String,
    /// Whether the answer should contain the use of limits, if the request states it.
    pub return_rate_limits: Option<bool>,
    pairs: Pairs,
}

/// A client's name for its request: the JSON literal of a number, a text or null, returned as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The id of a request that has none.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The literal; `None` if it is an array, an object or a truth value.
    fn of(literal: Option<&RawValue>) -> Option<Self> {
        match literal.map(RawValue::get) {
            None => Some(Self::null()),
            Some(text) if matches!(text.as_bytes(), [b'"' | b'-' | b'0'..=b'9', ..]) => Some(Self(text.into())),
            Some(_) => None,
        }
    }

    /// The JSON literal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names and values, in one text, so that reading a request does not ask for memory a dozen times.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Pairs {
    text: String,
    places: Vec<(Place, Place)>,
}

/// A part of a text: where it begins, and where it ends.
type Place = (usize, usize);

impl Pairs {
    fn sort(&mut self) {
        let Self { text, places } = self;
        let key = |&(name, value): &(Place, Place)| (&text[name.0..name.1], &text[value.0..value.1]);
        places.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.places.iter().map(|(name, value)| (&self.text[name.0..name.1], &self.text[value.0..value.1]))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is not a request; with its id, as far as it has one.
    pub fn parse(text: &str) -> Result<Self, (RequestId, ApiError)> {
        let malformed = |id| (id, ApiError::bad_request(-1135, "Invalid JSON Request"));
        let Frame { id, method, params } = serde_json::from_str(text).map_err(|_| malformed(RequestId::null()))?;
        let Some(id) = RequestId::of(id) else { return Err(malformed(RequestId::null())) };
        let method = method.and_then(|method| serde_json::from_str::<String>(method.get()).ok());
        let (Some(method), Params(Some(mut pairs))) = (method, params) else { return Err(malformed(id)) };
        pairs.sort();
        let return_rate_limits = pairs.get("returnRateLimits").and_then(|value| value.parse().ok());
        let method = match method.strip_prefix("v3/") {
            Some(bare) => bare.to_owned(),
            None => method,
        };
        Ok(Self { id, method, return_rate_limits, pairs })
    }

    /// The parameter's text, if it was sent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name)
    }

    /// Whether it bears a signature of its own.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.get("signature").is_some()
    }

    /// The parameters for the operations.
    ///
    /// # Errors
    /// As [`Parameters::from_pairs`].
    pub fn parameters(&self) -> Result<Parameters<'_>, ApiError> {
        Parameters::from_pairs(self.pairs.iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))))
    }

    /// Whether a parameter is only another word for one that was sent beside it. Some clients translate the words that
    /// they have for all exchanges into those of this API, and send both.
    #[must_use]
    pub fn says_twice(&self, name: &str) -> bool {
        match name {
            "clientOrderId" => self.get("newClientOrderId") == self.get(name),
            "stopLossPrice" | "takeProfitPrice" | "triggerPrice" => self.get("stopPrice").is_some(),
            "cost" => self.get("quoteOrderQty").is_some(),
            "postOnly" => (self.get("type") == Some("LIMIT_MAKER")) == (self.get(name) == Some("true")),
            _ => false,
        }
    }

    /// What the signature may be made over: the parameters sorted by name, as they are, and percent-encoded as some
    /// clients do.
    pub fn signed_payloads(&self) -> impl Iterator<Item = String> {
        let join = |encode: for<'a> fn(&'a str) -> Cow<'a, str>| {
            let mut payload = String::with_capacity(PAYLOAD_BYTES);
            for (name, value) in self.pairs.iter().filter(|(name, _)| *name != "signature") {
                if !payload.is_empty() {
                    payload.push('&');
                }
                payload.push_str(name);
                payload.push('=');
                payload.push_str(&encode(value));
            }
            payload
        };
        // Most signatures are right at the first.
        let ways: [for<'a> fn(&'a str) -> Cow<'a, str>; 2] =
            [|value| value.into(), |value| utf8_percent_encode(value, ENCODED).into()];
        ways.into_iter().map(join)
    }
}

/// A request as it was sent. A malformed one is parsed too, so that it can be refused under its id.
#[derive(serde::Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(default)]
    params: Params,
}

/// Parameters in the order in which they were sent; nothing, if they are no object.
struct Params(Option<Pairs>);

impl Default for Params {
    fn default() -> Self {
        Self(Some(Pairs::default()))
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Params;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
                let mut text = String::with_capacity(TEXT_BYTES);
                let mut places = Vec::with_capacity(parameters::TYPICAL);
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let literal = map.next_value::<&'de RawValue>()?.get();
                    if literal == "null" {
                        // It has no fields.
                        continue;
                    }
                    let name = append(&mut text, &name);
                    let begin = text.len();
                    append_value(&mut text, literal).map_err(A::Error::custom)?;
                    places.push((name, (begin, text.len())));
                }
                Ok(Params(Some(Pairs { text, places })))
            }

            fn visit_unit<E>(self) -> Result<Params, E> {
                Ok(Params::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Params, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Params(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Params, E> {
                Ok(Params(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Params, E> {
                Ok(Params(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Params, E> {
                Ok(Params(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Params, E> {
                Ok(Params(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Params, E> {
                Ok(Params(None))
            }
        }

        deserializer.deserialize_any(Object)
    }
}

fn append(text: &mut String, more: &str) -> Place {
    let begin = text.len();
    text.push_str(more);
    (begin, text.len())
}

/// Appends a value as it is signed: a text without its quotes, a list or an object without the blanks between its
/// parts, and anything else, numbers above all, exactly as it was sent.
fn append_value(out: &mut String, literal: &str) -> Result<(), serde_json::Error> {
    match literal.as_bytes().first() {
        Some(b'"') => append_text(out, literal),
        Some(b'[' | b'{') => append_compact(out, literal),
        _ => {
            out.push_str(literal);
            Ok(())
        }
    }
}

/// Appends a JSON text without its quotes and escapes.
fn append_text(out: &mut String, literal: &str) -> Result<(), serde_json::Error> {
    let inside = &literal[1..literal.len() - 1];
    if inside.contains('\\') {
        out.push_str(&serde_json::from_str::<String>(literal)?);
    } else {
        out.push_str(inside);
    }
    Ok(())
}

/// Appends a list or an object without blanks and needless escapes. It does not go down into what is nested, so depth
/// costs nothing.
fn append_compact(out: &mut String, literal: &str) -> Result<(), serde_json::Error> {
    let mut rest = literal;
    while let Some(at) = rest.find(['"', ' ', '\t', '\r', '\n']) {
        out.push_str(&rest[..at]);
        if !rest[at..].starts_with('"') {
            rest = &rest[at + 1..];
            continue;
        }
        let end = at + text_bytes(&rest[at..]);
        out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(&rest[at..end])?)?);
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(())
}

/// How many bytes the JSON text takes that begins here, its quotes among them.
fn text_bytes(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_request_is_read() {
        let text = r#"{"id":"x","method":"v3/order.place","params":{"symbol":"A B","price":"1.10","timestamp":5,
            "returnRateLimits":false,"icebergQty":null,"apiKey":"k","signature":"s"}}"#;
        let request = Request::parse(text).unwrap();
        assert_eq!(
            (request.id.as_str(), &*request.method, request.return_rate_limits),
            ("\"x\"", "order.place", Some(false))
        );
        assert!(request.is_signed() && request.get("icebergQty").is_none());
        assert_eq!(
            request.signed_payloads().collect::<Vec<_>>(),
            [
                "apiKey=k&price=1.10&returnRateLimits=false&symbol=A B&timestamp=5",
                "apiKey=k&price=1.10&returnRateLimits=false&symbol=A%20B&timestamp=5"
            ]
        );
    }

    #[test]
    fn parameters_may_be_left_out_but_not_come_twice() {
        for text in [r#"{"method":"ping"}"#, r#"{"method":"ping","params":null}"#, r#"{"method":"ping","params":{}}"#] {
            assert_eq!(Request::parse(text).unwrap().pairs, Pairs::default(), "{text}");
        }
        let twice = Request::parse(r#"{"id":1,"method":"ping","params":{"a":1,"b":2,"a":3}}"#).unwrap();
        assert_eq!(twice.parameters().unwrap_err().code, -1101);
    }

    #[test]
    fn a_value_is_signed_as_text_whatever_it_is() {
        let text = r#"{"method":"ping","params":{"h":-7,"g":1.50,"f":[ "A" , "B\u0043" ],"e":{"y":null},"d":null,"c":true,"b":"q\"q","a":18446744073709551615}}"#;
        let request = Request::parse(text).unwrap();
        assert_eq!(
            request.signed_payloads().next().unwrap(),
            r#"a=18446744073709551615&b=q"q&c=true&e={"y":null}&f=["A","BC"]&g=1.50&h=-7"#
        );
    }

    #[test]
    fn numbers_are_the_literals_that_were_sent() {
        for literal in
            ["1.000000000000000001", "0.00000812", "100.10", "123456789012345678901", "1e400", "-0", "8.12e-6"]
        {
            let text = format!(r#"{{"id":{literal},"method":"ping","params":{{"a":{literal},"b":[ {literal} ]}}}}"#);
            let request = Request::parse(&text).unwrap();
            let list = format!("[{literal}]");
            assert_eq!(
                (request.id.as_str(), request.get("a"), request.get("b")),
                (literal, Some(literal), Some(&*list))
            );
            assert_eq!(request.signed_payloads().next().unwrap(), format!("a={literal}&b=[{literal}]"));
        }
    }

    #[test]
    fn lists_lose_their_blanks_and_needless_escapes_at_any_depth() {
        let compact = |value: &str| {
            let text = format!(r#"{{"method":"ping","params":{{"a":{value}}}}}"#);
            Request::parse(&text).unwrap().get("a").unwrap().to_owned()
        };
        assert_eq!(compact("[ \"A\" ,\t\"B C\" , \"\\u5e01\\\"\\\\\" ]"), r#"["A","B C","币\"\\"]"#);
        let deep = "[ ".repeat(20_000) + &"] ".repeat(20_000);
        assert_eq!(compact(deep.trim()), "[".repeat(20_000) + &"]".repeat(20_000));
    }

    #[test]
    fn a_word_said_twice_is_no_unknown_one() {
        let twice = |params: Value, name: &str| {
            let text = json!({"id": 1, "method": "order.place", "params": params}).to_string();
            Request::parse(&text).unwrap().says_twice(name)
        };
        assert!(twice(json!({"newClientOrderId": "a", "clientOrderId": "a"}), "clientOrderId"));
        assert!(!twice(json!({"newClientOrderId": "b", "clientOrderId": "a"}), "clientOrderId"));
        assert!(!twice(json!({"clientOrderId": "a"}), "clientOrderId"));
        assert!(twice(json!({"type": "LIMIT_MAKER", "postOnly": true}), "postOnly"));
        assert!(twice(json!({"type": "LIMIT", "postOnly": false}), "postOnly"));
        assert!(!twice(json!({"type": "LIMIT", "postOnly": true}), "postOnly"), "this order would take");
        for price in ["stopLossPrice", "takeProfitPrice", "triggerPrice"] {
            assert!(twice(json!({"stopPrice": "90", price: 90.0}), price));
            assert!(!twice(json!({price: 90.0}), price));
        }
        assert!(!twice(json!({"icebergQty": "1"}), "icebergQty"));
    }

    #[test]
    fn what_is_no_request_is_refused_under_its_id() {
        for (text, id) in [
            ("{", "null"),
            ("[]", "null"),
            (r#"{"id":[],"method":"ping"}"#, "null"),
            (r#"{"id":true,"method":"ping"}"#, "null"),
            (r#"{"id":7}"#, "7"),
            (r#"{"id":7,"method":5}"#, "7"),
            (r#"{"id":7,"method":"ping","params":[[1],{}]}"#, "7"),
            (r#"{"id":7,"method":"ping","params":"a"}"#, "7"),
            (r#"{"id":7,"method":"ping","params":-1}"#, "7"),
            (r#"{"id":7,"method":"ping","params":1.5}"#, "7"),
            (r#"{"id":123456789012345678901,"method":null}"#, "123456789012345678901"),
            (r#"{"params":false,"method":"ping","id":"7"}"#, "\"7\""),
            (r#"{"id":7,"id":8,"method":"ping"}"#, "null"),
        ] {
            let (answered, error) = Request::parse(text).unwrap_err();
            assert_eq!((answered.as_str(), error.code), (id, -1135), "{text}");
        }
    }
}
