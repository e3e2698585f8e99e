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
    list(value)?.try_into().ok()
}

/// As many numbers as there are.
pub fn list(value: &Value) -> Option<Vec<u64>> {
    let Value::Array(values) = value else { return None };
    values.iter().map(number).collect()
}

/// The reply as UTF-8 text, if it is a string.
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// Parses the entries of a stream from the answer of XREAD of one stream; none when there is nothing to read.
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

/// An entry's id, which is the place of its last command, and its fields.
pub fn entry(value: Value) -> Option<(Sequence, Vec<Value>)> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    let (id, Value::Array(fields)) = (parts.next()?, parts.next()?) else { return None };
    let place = text(&id)?.strip_suffix("-0")?.parse().ok()?;
    Some((Sequence(place), fields))
}

/// The time and the commands of an entry of `in`; one command at least.
pub fn commands(fields: Vec<Value>) -> Option<(Timestamp, Vec<Vec<u8>>)> {
    let mut fields = fields.into_iter();
    let (t, time) = (fields.next()?, number(&fields.next()?)?);
    let mut commands = Vec::with_capacity(fields.len() / 2);
    while let Some(c) = fields.next() {
        let Value::BulkString(payload) = fields.next()? else { return None };
        if text(&c)? != "c" {
            return None;
        }
        commands.push(payload);
    }
    (text(&t)? == "t" && !commands.is_empty()).then_some((Timestamp(time), commands))
}

/// What a master knows of its replication.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replication {
    /// How many bytes it has had to replicate.
    pub offset: u64,
    /// How many of them each online replica has acknowledged.
    pub acknowledged: Vec<u64>,
}

/// Parses the answer of ROLE; `None` in it when this is no master.
pub fn role(value: &Value) -> Option<Option<Replication>> {
    let Value::Array(parts) = value else { return None };
    if text(parts.first()?)? != "master" {
        return Some(None);
    }
    let offset = number(parts.get(1)?)?;
    let Value::Array(replicas) = parts.get(2)? else { return None };
    let acknowledged = |replica: &Value| match replica {
        Value::Array(parts) => number(parts.get(2)?),
        _ => None,
    };
    let acknowledged = replicas.iter().map(acknowledged).collect::<Option<_>>()?;
    Some(Some(Replication { offset, acknowledged }))
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
        assert_eq!((place, commands(fields)), (Sequence(12), Some((Timestamp(5), vec![b"x".to_vec()]))));
        let two = vec![bulk("t"), bulk("5"), bulk("c"), bulk("x"), bulk("c"), bulk("")];
        assert_eq!(commands(two), Some((Timestamp(5), vec![b"x".to_vec(), Vec::new()])));
        for id in ["12-1", "12", "-0", "x-0", ""] {
            assert!(entry(Value::Array(vec![bulk(id), Value::Array(Vec::new())])).is_none(), "{id}");
        }
        assert!(entry(Value::Array(vec![bulk("1-0"), Value::Nil])).is_none());
        assert!(commands(vec![bulk("t"), bulk("5")]).is_none());
        assert!(commands(vec![bulk("t"), bulk("late"), bulk("c"), bulk("x")]).is_none());
        assert!(commands(vec![bulk("t"), bulk("5"), bulk("c"), bulk("x"), bulk("c")]).is_none());
        assert!(commands(vec![bulk("t"), bulk("5"), bulk("e"), bulk("x")]).is_none());
        assert!(numbers::<2>(&Value::Array(vec![Value::Int(1)])).is_none());
        assert!(number(&Value::Int(-1)).is_none());
        assert_eq!(entries_of_xread(Value::Nil), Some(Vec::new()));
    }

    #[test]
    fn a_role_names_the_offset_of_a_master_and_of_each_replica() {
        let replica = |offset| Value::Array(vec![bulk("host"), bulk("7000"), bulk(offset)]);
        let master = |replicas| Value::Array(vec![bulk("master"), Value::Int(90), Value::Array(replicas)]);
        let read = role(&master(vec![replica("90"), replica("12")]));
        assert_eq!(read, Some(Some(Replication { offset: 90, acknowledged: vec![90, 12] })));
        assert_eq!(role(&Value::Array(vec![bulk("slave"), bulk("host")])), Some(None));
        assert_eq!(role(&master(vec![replica("-1")])), None);
        assert_eq!(role(&master(vec![Value::Nil])), None);
        assert_eq!(role(&Value::Array(vec![bulk("master")])), None);
    }
}
