//! Answers of Redis, in its protocol: the entries of a partition's stream.

use crossbook_redis_store::reply;
use redis::Value;

pub(super) fn run(bytes: &[u8]) {
    let Ok(value) = redis::parse_redis_value(bytes) else { return };
    if let Some(entries) = reply::entries_of_xread(value.clone()) {
        for entry in entries {
            check(entry);
        }
    }
    let _ = (reply::entries(value.clone()), reply::role(&value), reply::text(&value));
    if let Some([one, other]) = reply::numbers(&value) {
        assert_eq!(reply::numbers(&Value::Array(vec![number(one), number(other)])), Some([one, other]));
    }
    if let Some(fields) = reply::fields(value.clone()) {
        let flat = fields.iter().flat_map(|(field, value)| [field, value]).cloned().map(Value::BulkString);
        assert_eq!(reply::fields(Value::Array(flat.collect())), Some(fields));
    }
    check(value);
}

fn number(number: u64) -> Value {
    Value::BulkString(number.to_string().into_bytes())
}

/// An entry that is one can be written as the venue would write it, and is the same then.
fn check(value: Value) {
    let Some((place, fields)) = reply::entry(value) else { return };
    let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let entry = |fields: Vec<_>| Value::Array(vec![text(&format!("{place}-0")), Value::Array(fields)]);
    if let Some((time, payloads)) = reply::commands(fields) {
        let commands = payloads.iter().flat_map(|payload| [text("c"), Value::BulkString(payload.clone())]);
        let again = entry([text("t"), number(time.0)].into_iter().chain(commands).collect());
        let read = reply::entry(again).and_then(|(place, fields)| Some((place, reply::commands(fields)?)));
        assert_eq!(read, Some((place, (time, payloads))));
    }
}
