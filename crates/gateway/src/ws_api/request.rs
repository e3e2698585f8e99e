//! A request over WebSocket, read: its id, its method, and its parameters as the texts that the operations work with and that
//! signatures are made over.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

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
    /// The client's name for it, sent back as it came.
    pub id: Value,
    /// What it asks, without the version.
    pub method: String,
    /// Whether the answer should tell the use of limits, if the request says.
    pub return_rate_limits: Option<bool>,
    pairs: Pairs,
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
    pub fn parse(text: &str) -> Result<Self, (Value, ApiError)> {
        let malformed = |id: Value| (id, ApiError::bad_request(-1135, "Invalid JSON Request"));
        let Frame { id, method, params } = serde_json::from_str(text).map_err(|_| malformed(Value::Null))?;
        if !matches!(id, Value::Null | Value::Number(_) | Value::String(_)) {
            return Err(malformed(Value::Null));
        }
        let (Value::String(method), Params(Some(mut pairs))) = (method, params) else { return Err(malformed(id)) };
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

    /// Whether a parameter is only another word for one that was sent beside it. Some clients translate the words that they have for all
    /// exchanges into those of this API, and send both.
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

    /// What the signature may be made over: the parameters sorted by name, as they are, and percent-encoded as some clients do.
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

/// A request as it comes. What is not of the form that it should have is taken too, so that it can be refused under its id.
#[derive(serde::Deserialize)]
struct Frame {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    method: Value,
    #[serde(default)]
    params: Params,
}

/// Parameters in the order in which they came; nothing, if they are no object.
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
                while let Some(name) = map.next_key_seed(Appended(&mut text))? {
                    let value = map.next_value_seed(Appended(&mut text))?;
                    places.extend(name.zip(value));
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

/// A name or a value, appended to a text as it is signed. Gives its place there; `None` for null, which says nothing.
struct Appended<'a>(&'a mut String);

impl Appended<'_> {
    fn append<E>(self, more: &str) -> Result<Option<Place>, E> {
        let begin = self.0.len();
        self.0.push_str(more);
        Ok(Some((begin, self.0.len())))
    }
}

impl<'de> DeserializeSeed<'de> for Appended<'_> {
    type Value = Option<Place>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Appended<'_> {
    type Value = Option<Place>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.append(text)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        self.append(if value { "true" } else { "false" })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        self.append(itoa::Buffer::new().format(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        self.append(itoa::Buffer::new().format(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        self.append(&Value::from(value).to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        let value = Value::deserialize(SeqAccessDeserializer::new(list))?;
        self.append(&value.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        self.append(&value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_is_read() {
        let text = r#"{"id":"x","method":"v3/order.place","params":{"symbol":"A B","price":"1.10","timestamp":5,
            "returnRateLimits":false,"icebergQty":null,"apiKey":"k","signature":"s"}}"#;
        let request = Request::parse(text).unwrap();
        assert_eq!(
            (&request.id, &*request.method, request.return_rate_limits),
            (&json!("x"), "order.place", Some(false))
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
            r#"a=18446744073709551615&b=q"q&c=true&e={"y":null}&f=["A","BC"]&g=1.5&h=-7"#
        );
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
            ("{", json!(null)),
            ("[]", json!(null)),
            (r#"{"id":[],"method":"ping"}"#, json!(null)),
            (r#"{"id":7}"#, json!(7)),
            (r#"{"id":7,"method":5}"#, json!(7)),
            (r#"{"id":7,"method":"ping","params":[[1],{}]}"#, json!(7)),
            (r#"{"id":7,"method":"ping","params":"a"}"#, json!(7)),
            (r#"{"id":7,"method":"ping","params":-1}"#, json!(7)),
            (r#"{"id":7,"method":"ping","params":1.5}"#, json!(7)),
            (r#"{"params":false,"method":"ping","id":"7"}"#, json!("7")),
            (r#"{"id":7,"id":8,"method":"ping"}"#, json!(null)),
        ] {
            let (answered, error) = Request::parse(text).unwrap_err();
            assert_eq!((answered, error.code), (id, -1135), "{text}");
        }
    }
}
