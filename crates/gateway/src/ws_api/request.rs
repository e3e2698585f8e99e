//! A request over WebSocket, read: its id, its method, and its parameters as the texts that the operations work with and that
//! signatures are made over.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::Parameters;

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
    /// Sorted by name.
    pairs: Vec<(String, String)>,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is not a request; with its id, as far as it has one.
    pub fn parse(text: &str) -> Result<Self, (Value, ApiError)> {
        let malformed = |id: Value| (id, ApiError::bad_request(-1135, "Invalid JSON Request"));
        let mut value: Value = serde_json::from_str(text).map_err(|_| malformed(Value::Null))?;
        let Some(object) = value.as_object_mut() else { return Err(malformed(Value::Null)) };
        let id = object.remove("id").unwrap_or_default();
        if !matches!(id, Value::Null | Value::Number(_) | Value::String(_)) {
            return Err(malformed(Value::Null));
        }
        let Some(Value::String(method)) = object.remove("method") else { return Err(malformed(id)) };
        let params = match object.remove("params") {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(malformed(id)),
        };
        let mut pairs: Vec<(String, String)> =
            params.into_iter().filter_map(|(name, value)| Some((name, text_of(value)?))).collect();
        pairs.sort_unstable();
        let said = pairs.iter().find(|(name, _)| name == "returnRateLimits");
        let return_rate_limits = said.and_then(|(_, value)| value.parse().ok());
        let method = match method.strip_prefix("v3/") {
            Some(bare) => bare.to_owned(),
            None => method,
        };
        Ok(Self { id, method, return_rate_limits, pairs })
    }

    /// The parameter's text, if it was sent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
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
        let pairs = self.pairs.iter();
        Parameters::from_pairs(pairs.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))))
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
    #[must_use]
    pub fn signed_payloads(&self) -> [String; 2] {
        let join = |encode: fn(&str) -> String| {
            let signed = self.pairs.iter().filter(|(name, _)| name != "signature");
            signed.map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
        };
        [join(str::to_owned), join(|value| utf8_percent_encode(value, ENCODED).to_string())]
    }
}

/// A parameter's value as text; `None` for null, which says nothing.
fn text_of(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
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
            request.signed_payloads(),
            [
                "apiKey=k&price=1.10&returnRateLimits=false&symbol=A B&timestamp=5",
                "apiKey=k&price=1.10&returnRateLimits=false&symbol=A%20B&timestamp=5"
            ]
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
            (r#"{"id":7,"method":"ping","params":[]}"#, json!(7)),
        ] {
            let (answered, error) = Request::parse(text).unwrap_err();
            assert_eq!((answered, error.code), (id, -1135), "{text}");
        }
    }
}
