//! The envelope of every answer: the request's id, a status, the result or the error, and the used share of the limits.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::request::RequestId;
use crate::app::App;
use crate::error::ApiError;
use crate::json::Object;
use crate::time_unit::TimeUnit;
use crossbook_gateway::clock::now;
use crossbook_gateway::limits::OrderCount;
use crossbook_types::{AccountId, Timestamp};

/// What a frame with all limits takes, about.
const FRAME_BYTES: usize = 400;

/// What an answer has in common with its request.
#[derive(Clone, Debug)]
pub struct Envelope {
    id: RequestId,
    with_limits: bool,
    unit: TimeUnit,
}

/// How much of the limits is used.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Weight of the address in this minute, and the limit.
    pub weight: Option<(u64, u64)>,
    /// Orders of the account, if the request placed one.
    pub orders: Option<OrderCount>,
    /// The limits of orders in ten seconds and in a day.
    pub order_limits: (u64, u64),
}

impl Usage {
    /// What an address uses, and an account's orders if they matter.
    #[must_use]
    pub fn of(app: &App, ip: IpAddr, account: Option<AccountId>) -> Self {
        let now = now();
        let config = app.gateway.limits.config();
        Self {
            weight: Some((app.gateway.limits.used_weight(ip, now), config.request_weight_1m)),
            orders: account.map(|account| app.gateway.limits.order_count(account, now)),
            order_limits: (config.orders_10s, config.orders_1d),
        }
    }

    /// Writes it as a list of limits.
    fn write(&self, out: &mut String) {
        let mut limit = |kind: &str, interval: &str, every: u64, limit: u64, count: u64| {
            if limit == 0 {
                // There is no such limit.
                return;
            }
            out.push(if out.ends_with(':') { '[' } else { ',' });
            let mut object = Object::open(out);
            object.name("rateLimitType", kind).name("interval", interval).number("intervalNum", every);
            object.number("limit", limit).number("count", count);
            object.close();
        };
        if let Some(orders) = &self.orders {
            limit("ORDERS", "SECOND", 10, self.order_limits.0, orders.short);
            limit("ORDERS", "DAY", 1, self.order_limits.1, orders.day);
        }
        if let Some((used, max)) = self.weight {
            limit("REQUEST_WEIGHT", "MINUTE", 1, max, used);
        }
        out.push_str(if out.ends_with(':') { "[]" } else { "]" });
    }
}

impl Envelope {
    /// For a request of that id, with or without the use of limits, and with times in that unit.
    #[must_use]
    pub fn new(id: RequestId, with_limits: bool, unit: TimeUnit) -> Self {
        Self { id, with_limits, unit }
    }

    /// The same for an error of the session and not of the request.
    #[must_use]
    pub fn without_id(&self) -> Self {
        Self { id: RequestId::null(), ..self.clone() }
    }

    /// An answer with a result, which is JSON already.
    #[must_use]
    pub fn result(&self, result: &str, usage: &Usage) -> String {
        self.write(200, "result", result, usage)
    }

    /// An answer with an error.
    #[must_use]
    pub fn error(&self, error: &ApiError, usage: &Usage, now: Timestamp) -> String {
        let mut body = error.to_json();
        if let Some(seconds) = error.retry_after {
            let retry_after = Timestamp(now.0.saturating_add(seconds.saturating_mul(1_000_000)));
            let (now, retry_after) = (self.unit.of(now), self.unit.of(retry_after));
            body.pop();
            // Writing to a string cannot fail.
            let _ = write!(body, r#","data":{{"serverTime":{now},"retryAfter":{retry_after}}}}}"#);
        }
        self.write(error.status.as_u16(), "error", &body, usage)
    }

    fn write(&self, status: u16, key: &'static str, body: &str, usage: &Usage) -> String {
        let mut text = String::with_capacity(body.len() + FRAME_BYTES);
        let mut frame = Object::open(&mut text);
        frame.key("id").push_str(self.id.as_str());
        frame.number("status", status.into());
        frame.key(key).push_str(body);
        if self.with_limits {
            usage.write(frame.key("rateLimits"));
        }
        frame.close();
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::request::Request;
    use super::*;

    /// The id of a request.
    fn id(literal: &str) -> RequestId {
        Request::parse(&format!(r#"{{"id":{literal},"method":"ping"}}"#)).unwrap().id
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn ids_keep_their_type_and_limits_are_told() {
        let usage = Usage {
            weight: Some((70, 6_000)),
            orders: Some(OrderCount { short: 12, day: 4_043 }),
            order_limits: (100, 200_000),
        };
        for literal in ["1", r#""a\"b""#, "null", "123456789012345678901"] {
            let answer = Envelope::new(id(literal), true, TimeUnit::default()).result("{\"a\":1}", &usage);
            assert!(answer.starts_with(&format!(r#"{{"id":{literal},"status":200,"#)), "{answer}");
            let answer = parsed(&answer);
            assert_eq!((&answer["status"], &answer["result"]), (&json!(200), &json!({"a": 1})));
            let weight =
                json!({"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":70});
            assert_eq!(answer["rateLimits"][2], weight);
            assert_eq!(answer["rateLimits"][0]["count"], json!(12));
        }
        let bare = parsed(&Envelope::new(id("1"), false, TimeUnit::default()).result("[]", &usage));
        assert_eq!(bare, json!({"id": 1, "status": 200, "result": []}));
    }

    #[test]
    fn errors_say_when_to_try_again() {
        let error = ApiError::from(crossbook_gateway::limits::LimitError::Requests {
            limit: 6_000,
            window_seconds: 60,
            retry_after: 30,
        });
        let answer = parsed(&Envelope::new(id("1"), false, TimeUnit::default()).error(
            &error,
            &Usage::default(),
            Timestamp::from_millis(5_000),
        ));
        assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!(429), &json!(-1003)));
        assert_eq!(answer["error"]["data"], json!({"serverTime": 5_000, "retryAfter": 35_000}));
    }
}
