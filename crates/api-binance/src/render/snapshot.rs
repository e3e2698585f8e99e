//! Books from snapshots, in the same form as those of the read model.

use crossbook_types::Decimal;

use super::json;
use crossbook_gateway::book_snapshots::BookSnapshot;

/// The best `limit` levels of each side.
#[must_use]
pub fn snapshot_depth(book: &BookSnapshot, limit: usize) -> String {
    let mut out = String::with_capacity(limit.min(100) * 64 + 64);
    json::object(&mut out, |o| {
        o.number("lastUpdateId", book.last_update);
        levels(book.bids.iter().take(limit), o.key("bids"));
        levels(book.asks.iter().take(limit), o.key("asks"));
    });
    out
}

/// The best level of each side. `symbol` is a checked name.
#[must_use]
pub fn snapshot_book_ticker(symbol: &str, book: &BookSnapshot) -> String {
    let mut out = String::with_capacity(160);
    json::object(&mut out, |o| {
        o.name("symbol", symbol);
        for (price, quantity, best) in
            [("bidPrice", "bidQty", book.bids.first()), ("askPrice", "askQty", book.asks.first())]
        {
            json::decimal_or_zero(o, price, best.map(|level| level.0));
            json::decimal_or_zero(o, quantity, best.map(|level| level.1));
        }
    });
    out
}

fn levels<'a>(levels: impl Iterator<Item = &'a (Decimal, Decimal)>, out: &mut String) {
    out.push('[');
    for (at, &(price, quantity)) in levels.enumerate() {
        out.push_str(if at > 0 { ",[" } else { "[" });
        json::decimal(price, out);
        out.push(',');
        json::decimal(quantity, out);
        out.push(']');
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_from_a_snapshot_looks_like_any_other() {
        let pair = |price, quantity| (Decimal::parse(price).unwrap(), Decimal::parse(quantity).unwrap());
        let book = BookSnapshot {
            last_update: 7,
            bids: vec![pair("99.5", "1"), pair("99", "0.001")],
            asks: vec![pair("100.123456789", "2")],
        };
        assert_eq!(
            snapshot_depth(&book, 5),
            r#"{"lastUpdateId":7,"bids":[["99.50000000","1.00000000"],["99.00000000","0.00100000"]],"asks":[["100.123456789","2.00000000"]]}"#
        );
        assert_eq!(snapshot_depth(&book, 1).matches("99").count(), 1, "only as many levels as were asked for");
        assert_eq!(
            snapshot_book_ticker("BTCUSDT", &BookSnapshot { asks: Vec::new(), ..book }),
            r#"{"symbol":"BTCUSDT","bidPrice":"99.50000000","bidQty":"1.00000000","askPrice":"0.00000000","askQty":"0.00000000"}"#
        );
    }
}
