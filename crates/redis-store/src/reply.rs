//! Parses a server's answers. An unexpected answer is an error with a description, never a panic, because it comes from
//! outside.
//!
//! Public for the fuzzer alone.

use crossbook_types::{Sequence, Timestamp};
use redis::Value;

/// A number, in whatever form it came.
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(digits) => digits_of(digits),
        Value::SimpleString(digits) => digits_of(digits.as_bytes()),
        _ => None,
    }
}

fn digits_of(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A place in a stream.
pub fn place(value: &Value) -> Option<Sequence> {
    number(value).map(Sequence)
}

/// So many numbers.
pub fn numbers<const N: usize>(value: &Value) -> Option<[u64; N]> {
    let Value::Array(values) = value else { return None };
    let numbers: Vec<_> = values.iter().map(number).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// The reply as UTF-8 text, if it is a string.
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// Parses the entries of a stream from the answer of XREAD of one stream; none after a timeout.
pub fn entries_of_xread(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Nil => Some(Vec::new()),
        Value::Array(streams) => match streams.into_iter().next() {
            None => Some(Vec::new()),
            Some(Value::Array(stream)) => entries(stream.into_iter().nth(1)?),
            Some(_) => None,
        },
        _ => None,
    }
}

/// The entries of a stream, as XRANGE gives them.
pub fn entries(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(entries) => Some(entries),
        _ => None,
    }
}

/// The fields of a hash and their values, as HGETALL gives them.
pub fn fields(value: Value) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let bytes = |value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    };
    match value {
        Value::Array(values) => {
            let mut values = values.into_iter();
            let mut fields = Vec::with_capacity(values.len() / 2);
            while let Some(field) = values.next() {
                fields.push((bytes(field)?, bytes(values.next()?)?));
            }
            Some(fields)
        }
        Value::Map(pairs) => pairs.into_iter().map(|(field, value)| Some((bytes(field)?, bytes(value)?))).collect(),
        _ => None,
    }
}

/// An entry's place, and the value of the field that holds its bytes, which is the last.
pub fn entry(value: Value) -> Option<(Sequence, Vec<Value>)> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    let (id, Value::Array(fields)) = (parts.next()?, parts.next()?) else { return None };
    let place = text(&id)?.strip_suffix("-0")?.parse().ok()?;
    Some((Sequence(place), fields))
}

/// The time and the command of an entry of `in`.
pub fn command(fields: Vec<Value>) -> Option<(Timestamp, Vec<u8>)> {
    let [t, time, c, Value::BulkString(payload)] = <[Value; 4]>::try_from(fields).ok()? else { return None };
    (text(&t)? == "t" && text(&c)? == "c").then_some((Timestamp(number(&time)?), payload))
}

/// The bytes of an entry of `out`.
pub fn told(fields: Vec<Value>) -> Option<Vec<u8>> {
    let [e, Value::BulkString(payload)] = <[Value; 2]>::try_from(fields).ok()? else { return None };
    (text(&e)? == "e").then_some(payload)
}

/// Parses from the answer of ROLE how many replicas are online, or `None` when this is no master.
pub fn online_replicas(value: &Value) -> Option<Option<u32>> {
    let Value::Array(parts) = value else { return None };
    if text(parts.first()?)? != "master" {
        return Some(None);
    }
    let Value::Array(replicas) = parts.get(2)? else { return None };
    u32::try_from(replicas.len()).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn answers_of_another_shape_are_no_answers() {
        let good = Value::Array(vec![bulk("12-0"), Value::Array(vec![bulk("t"), bulk("5"), bulk("c"), bulk("x")])]);
        let (place, fields) = entry(good).unwrap();
        assert_eq!((place, command(fields)), (Sequence(12), Some((Timestamp(5), b"x".to_vec()))));
        for id in ["12-1", "12", "-0", "x-0", ""] {
            assert!(entry(Value::Array(vec![bulk(id), Value::Array(Vec::new())])).is_none(), "{id}");
        }
        assert!(entry(Value::Array(vec![bulk("1-0"), Value::Nil])).is_none());
        assert!(command(vec![bulk("t"), bulk("5")]).is_none());
        assert!(command(vec![bulk("t"), bulk("late"), bulk("c"), bulk("x")]).is_none());
        assert!(told(vec![bulk("c"), bulk("x")]).is_none());
        assert!(numbers::<2>(&Value::Array(vec![Value::Int(1)])).is_none());
        assert!(number(&Value::Int(-1)).is_none());
        assert_eq!(entries_of_xread(Value::Nil), Some(Vec::new()));
        assert_eq!(online_replicas(&Value::Array(vec![bulk("slave"), bulk("host")])), Some(None));
    }
}
