//! The format of the cached depth of a book, beside the partition's streams.
//!
//! A book is a hash, `{venue:pN}:depth:SYMBOL`. Its field `u` is the number of the last change of the depth (the
//! `lastUpdateId` of the client API); every other field is a side and a price, `b100.5` or `a100.6`, and its value the
//! quantity there. Decimals are written without trailing zeros. `HGETALL` reads all of it in one step.

use std::time::Duration;

use crossbook_cluster::store::{BookDepth, DepthChange, DepthLevel};
use crossbook_types::{Decimal, PartitionId, Side};

use crate::connection::Script;
use crate::{Error, RedisStore, reply};

/// The field with the number of the last change.
const UPDATE: &[u8] = b"u";

impl RedisStore {
    pub(crate) fn put_depth(
        &mut self,
        partition: PartitionId,
        changes: &[DepthChange<'_>],
    ) -> Result<Vec<bool>, Error> {
        let keys = self.keys(partition);
        for change in changes {
            let key = keys.depth(change.symbol);
            self.connection.script(Script::Depth, &[key.as_str()], |command| {
                match change.since {
                    Some(since) => command.arg(since),
                    None => command.arg(-1),
                };
                let levels = change.levels.iter();
                levels.fold(command.arg(change.last), |command, level| {
                    command.arg(field(level)).arg(text(level.quantity))
                })
            });
        }
        let answers = self.connection.exchange(Duration::ZERO)?;
        if answers.len() != changes.len() {
            return Err(self.connection.unclear("the depth of books"));
        }
        Ok(answers.iter().map(|answer| reply::number(answer).is_some()).collect())
    }

    pub(crate) fn get_depth(&mut self, partition: PartitionId, symbol: &str) -> Result<Option<BookDepth>, Error> {
        let key = self.keys(partition).depth(symbol);
        self.ask(|command| command.arg("HGETALL").arg(key));
        let [answer] = self.exchange(Duration::ZERO)?;
        let fields = reply::fields(answer).ok_or_else(|| self.connection.unclear("the depth of a book"))?;
        if fields.is_empty() {
            return Ok(None);
        }
        let depth = read(&fields).ok_or_else(|| self.connection.unclear("the depth of a book"))?;
        Ok(Some(depth))
    }
}

fn read(fields: &[(Vec<u8>, Vec<u8>)]) -> Option<BookDepth> {
    let mut depth = BookDepth { last: 0, bids: Vec::new(), asks: Vec::new() };
    for (field, value) in fields {
        let value = std::str::from_utf8(value).ok()?;
        if field == UPDATE {
            depth.last = value.parse().ok()?;
            continue;
        }
        let (side, price) = std::str::from_utf8(field).ok()?.split_at_checked(1)?;
        let level = (Decimal::parse(price).ok()?, Decimal::parse(value).ok()?);
        match side {
            "b" => depth.bids.push(level),
            "a" => depth.asks.push(level),
            _ => return None,
        }
    }
    // Every decimal has a value at the largest scale, or it is no valid price.
    let value = |level: &(Decimal, Decimal)| level.0.rescale(Decimal::SCALE_MAX);
    if depth.bids.iter().chain(&depth.asks).any(|level| value(level).is_none()) {
        return None;
    }
    depth.bids.sort_unstable_by_key(|level| std::cmp::Reverse(value(level)));
    depth.asks.sort_unstable_by_key(value);
    Some(depth)
}

fn field(level: &DepthLevel) -> String {
    let side = match level.side {
        Side::Buy => 'b',
        Side::Sell => 'a',
    };
    format!("{side}{}", text(level.price))
}

/// The one form of a value, so that the same price is always the same field.
fn text(value: Decimal) -> String {
    let scale = value.precision();
    let mut text = String::new();
    Decimal::write(value.rescale(scale).unwrap_or_default(), scale, 0, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        pairs.iter().map(|(field, value)| (field.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_depth_is_read_best_first_and_by_value() {
        let kept =
            read(&fields(&[("b9", "1"), ("u", "7"), ("a10.5", "2.5"), ("b9.75", "3"), ("a10.25", "4")])).unwrap();
        let shown = |levels: &[(Decimal, Decimal)]| levels.iter().map(|(p, q)| format!("{p} {q}")).collect::<Vec<_>>();
        assert_eq!(kept.last, 7);
        assert_eq!(shown(&kept.bids), ["9.75 3", "9 1"]);
        assert_eq!(shown(&kept.asks), ["10.25 4", "10.5 2.5"]);
        for bad in [
            ("c1", "1"),
            ("b", "1"),
            ("bx", "1"),
            ("b1", ""),
            ("u", "-1"),
            ("", "1"),
            ("b99999999999999999999999", "1"),
        ] {
            assert!(read(&fields(&[bad])).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_has_one_text() {
        for (given, expected) in [("1.50", "1.5"), ("100", "100"), ("100.000", "100"), ("0.000", "0"), ("0.01", "0.01")]
        {
            assert_eq!(text(Decimal::parse(given).unwrap()), expected);
        }
    }
}
