//! The requests of a stream client: subscribe, unsubscribe, list subscriptions. Errors have the codes and texts of
//! Binance.

use serde::Deserialize;
use serde_json::{Value, json};

/// Longest text id of a request.
const ID_BYTES_MAX: usize = 36;
/// Longest name of a stream; what is no stream is remembered too, so it must not be just anything.
const NAME_BYTES_MAX: usize = 128;

/// A request, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The client's name for it, returned as it was sent.
    pub id: Value,
    /// The request.
    pub ask: Ask,
}

/// What a request asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Begin these streams.
    Subscribe(Vec<String>),
    /// End these streams.
    Unsubscribe(Vec<String>),
    /// Which streams are there?
    List,
    /// Wrap messages with the name of their stream, or not.
    SetCombined(bool),
    /// Are messages wrapped?
    GetCombined,
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    code: u8,
    text: String,
    id: Option<Value>,
}

#[derive(Deserialize)]
struct Raw {
    method: Method,
    params: Option<Vec<Value>>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

/// Tells a field that is null from one that is not there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Refused {
    fn invalid(text: &str, id: Option<&Value>) -> Self {
        Self { code: 2, text: format!("Invalid request: {text}"), id: id.cloned() }
    }

    /// The streams asked for are more than a connection can have.
    #[must_use]
    pub fn too_many_streams(max: usize, id: &Value) -> Self {
        Self::invalid(&format!("too many streams; a connection can have at most {max}"), Some(id))
    }

    /// The error for the client.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.id {
            Some(id) => json!({"code": self.code, "msg": self.text, "id": id}).to_string(),
            None => json!({"code": self.code, "msg": self.text}).to_string(),
        }
    }
}

/// Reads a request.
///
/// # Errors
/// When it is not understood.
pub fn parse(text: &str) -> Result<Request, Refused> {
    let raw: Raw = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refused::invalid(&error.to_string(), None),
        _ => Refused { code: 3, text: format!("Invalid JSON: {error}"), id: None },
    })?;
    let Some(id) = raw.id.filter(is_id) else {
        return Err(Refused::invalid("request ID must be an unsigned integer", None));
    };
    let ask = ask(raw.method, raw.params.as_deref(), &id)?;
    Ok(Request { id, ask })
}

fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.as_i64().is_some(),
        Value::String(text) => text.len() <= ID_BYTES_MAX,
        _ => false,
    }
}

fn ask(method: Method, sent: Option<&[Value]>, id: &Value) -> Result<Ask, Refused> {
    let params = sent.unwrap_or_default();
    let name = |value: &Value| match value.as_str() {
        Some(name) if name.len() <= NAME_BYTES_MAX => Ok(name.to_owned()),
        Some(_) => Err(Refused::invalid("stream name is too long", Some(id))),
        None => Err(Refused::invalid("stream name must be a string", Some(id))),
    };
    let names = || match sent {
        Some(names) => names.iter().map(name).collect::<Result<Vec<_>, _>>(),
        None => Err(Refused::invalid("missing field `params`", Some(id))),
    };
    let at_most = |count: usize| {
        if params.len() > count { Err(Refused::invalid("too many parameters", Some(id))) } else { Ok(()) }
    };
    let property = || match params.first() {
        Some(Value::String(name)) if name == "combined" => Ok(()),
        Some(Value::String(_)) => Err(Refused { code: 0, text: "Unknown property".into(), id: Some(id.clone()) }),
        _ => Err(Refused::invalid("property name must be a string", Some(id))),
    };
    match method {
        Method::Subscribe => Ok(Ask::Subscribe(names()?)),
        Method::Unsubscribe => Ok(Ask::Unsubscribe(names()?)),
        Method::ListSubscriptions => at_most(0).map(|()| Ask::List),
        Method::GetProperty => {
            at_most(1)?;
            property().map(|()| Ask::GetCombined)
        }
        Method::SetProperty => {
            at_most(2)?;
            property()?;
            match params.get(1) {
                Some(Value::Bool(combined)) => Ok(Ask::SetCombined(*combined)),
                _ => {
                    Err(Refused { code: 1, text: "Invalid value type: expected Boolean".into(), id: Some(id.clone()) })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_json()
    }

    #[test]
    fn requests_are_read_and_ids_keep_their_type() {
        for (text, id, ask) in [
            (
                r#"{"method":"SUBSCRIBE","params":["a","b"],"id":1}"#,
                json!(1),
                Ask::Subscribe(vec!["a".into(), "b".into()]),
            ),
            (r#"{"method":"UNSUBSCRIBE","params":["a"],"id":"x-1"}"#, json!("x-1"), Ask::Unsubscribe(vec!["a".into()])),
            (r#"{"method":"LIST_SUBSCRIPTIONS","id":null}"#, json!(null), Ask::List),
            (r#"{"method":"SET_PROPERTY","params":["combined",true],"id":-5}"#, json!(-5), Ask::SetCombined(true)),
            (r#"{"id":2,"method":"GET_PROPERTY","params":["combined"]}"#, json!(2), Ask::GetCombined),
        ] {
            assert_eq!(parse(text), Ok(Request { id, ask }), "{text}");
        }
    }

    #[test]
    fn refusals_have_the_codes_and_texts_that_clients_know() {
        assert_eq!(
            refused(r#"{"method":"SET_PROPERTY","params":["x",true],"id":7}"#),
            r#"{"code":0,"id":7,"msg":"Unknown property"}"#
        );
        assert_eq!(
            refused(r#"{"method":"SET_PROPERTY","params":["combined",1],"id":7}"#),
            r#"{"code":1,"id":7,"msg":"Invalid value type: expected Boolean"}"#
        );
        for (text, expected) in [
            (r#"{"method":"GET_PROPERTY","params":[5],"id":7}"#, "Invalid request: property name must be a string"),
            (r#"{"method":"LIST_SUBSCRIPTIONS","params":[5],"id":7}"#, "Invalid request: too many parameters"),
            (r#"{"method":"SUBSCRIBE","id":7}"#, "Invalid request: missing field `params`"),
            (r#"{"method":"UNSUBSCRIBE","params":null,"id":7}"#, "Invalid request: missing field `params`"),
            (
                &format!(r#"{{"method":"SUBSCRIBE","params":["{}"],"id":7}}"#, "x".repeat(129)),
                "Invalid request: stream name is too long",
            ),
            (r#"{"method":"SUBSCRIBE","params":["a"]}"#, "Invalid request: request ID must be an unsigned integer"),
            (
                r#"{"method":"SUBSCRIBE","params":["a"],"id":1.5}"#,
                "Invalid request: request ID must be an unsigned integer",
            ),
            (r#"{"params":["a"],"id":1}"#, "Invalid request: missing field `method` at line 1 column 23"),
            (
                r#"{"method":"SUBSCRIBES","id":1}"#,
                "Invalid request: unknown variant `SUBSCRIBES`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, \
                 `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 22",
            ),
        ] {
            let answer: Value = serde_json::from_str(&refused(text)).unwrap();
            assert_eq!((&answer["code"], answer["msg"].as_str().unwrap()), (&json!(2), expected), "{text}");
        }
        let answer: Value = serde_json::from_str(&refused("{x")).unwrap();
        assert_eq!(answer["code"], json!(3));
        assert!(answer["msg"].as_str().unwrap().starts_with("Invalid JSON: "), "{answer}");
    }
}
