//! Candles of any age. Memory and the history store the same candles, by UTC and only those with trades;
//! [`CandleQuery::fold`] combines both to the requested interval.

use crossbook_types::{Market, Sequence, Timestamp};
use crossbook_views::{Candle, CandleQuery, Offset};

use crate::error::Error;
use crate::gateway::Gateway;
use crate::past::OpenPast;
use crate::read_model::Standing;

/// The most stored candles that are fetched for one answer. Only long candles in a time zone that is not a whole number
/// of hours from UTC, which are put together from thousands of short ones, can need more; then there are fewer in the
/// answer, all of them whole.
const STORED_MAX: usize = 50_000;

impl Gateway {
    /// The candles of a market, the oldest first.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn candles(&self, market: &str, query: &CandleQuery) -> Result<(Market, Vec<Candle>), Error> {
        let unit = query.unit();
        let (market, known, seam) = self.read_market(market, |data, live| {
            let candles = data.candles();
            let forgotten = if candles.is_complete(query) { None } else { candles.forgotten(unit) };
            let seam = forgotten.zip(candles.newest(unit)).map(|(forgotten, newest)| {
                let (first, last) = query.span(Timestamp(0), newest.open_time);
                let end = query.interval.next_open(last, query.offset);
                let stored = candles.stored(unit, first, end).copied().collect();
                Seam { forgotten, stored, newest: newest.open_time, live }
            });
            (*data.market(), candles.query(query), seam)
        })?;
        let Some(seam) = seam else { return Ok((market, known)) };
        // Nothing is added to a candle that is over.
        let settled = Timestamp(unit.next_open(seam.forgotten, Offset::UTC).0 - 1);
        let candles = match self.past.open(settled, seam.live).await? {
            Some(past) => whole(&past, &market, query, seam).await?.unwrap_or(known),
            None => known,
        };
        Ok((market, candles))
    }
}

/// Where memory ends and the history takes over.
struct Seam {
    /// When the newest stored candle begins that memory has dropped.
    forgotten: Timestamp,
    /// Those that memory has of the ones that the answer is made of.
    stored: Vec<Candle>,
    /// When the newest of all begins.
    newest: Timestamp,
    /// The position of memory.
    live: Standing,
}

/// The answer, composed of stored candles up to the seam from the history, and of the others from memory. `None` if the
/// history has none up to the seam: it was rebuilt when the log no longer had its beginning.
async fn whole(
    past: &OpenPast<'_>,
    market: &Market,
    query: &CandleQuery,
    seam: Seam,
) -> Result<Option<Vec<Candle>>, Error> {
    let (symbol, unit, history) = (market.id, query.unit(), past.history);
    let ever = (Timestamp(0), Timestamp(seam.forgotten.0 + 1));
    let oldest = past.ask(history.candles(symbol, unit, ever, 1)).await?;
    let Some(oldest) = oldest.first() else { return Ok(None) };
    let open_time = |stored: &Candle| query.interval.open_time(stored.open_time, query.offset);
    let mut earliest = open_time(oldest);
    if history.complete_from(seam.live.partition) > Sequence(0) && earliest < oldest.open_time {
        // There may have been more of the first one.
        earliest = query.interval.next_open(earliest, query.offset);
    }
    let mut span = query.span(earliest, seam.newest);
    if span.0 > span.1 {
        return Ok(Some(Vec::new()));
    }
    let range = (span.0, query.interval.next_open(span.1, query.offset).min(ever.1));
    let mut stored = match query.window.start {
        _ if range.0 >= range.1 => Vec::new(),
        Some(_) => past.ask(history.candles(symbol, unit, range, STORED_MAX)).await?,
        None => past.ask(history.last_candles(symbol, unit, range, STORED_MAX)).await?,
    };
    let mut before = None;
    if stored.len() == STORED_MAX {
        before = leave_out_parts(query, &mut stored, &mut span);
    }
    let before = match before {
        Some(before) => Some(before),
        None => past.ask(history.candle_before(symbol, unit, span.0)).await?,
    };
    let price = before.map_or(oldest.open, |before| before.close);
    stored.extend(seam.stored.into_iter().filter(|candle| candle.open_time > seam.forgotten));
    Ok(Some(query.fold(span, price, &stored)))
}

/// Shortens a span to what is surely whole when there may be more of the stored candles than were fetched. What then
/// lies before the span is taken away; gives the last of it.
fn leave_out_parts(
    query: &CandleQuery,
    stored: &mut Vec<Candle>,
    (first, last): &mut (Timestamp, Timestamp),
) -> Option<Candle> {
    if query.window.start.is_some() {
        // They are the first ones; the last candle may lack some.
        let latest = query.interval.open_time(stored.last()?.open_time, query.offset);
        *last = Timestamp(latest.0.saturating_sub(1));
        return None;
    }
    *first = query.interval.next_open(stored.first()?.open_time, query.offset);
    let parts = stored.partition_point(|candle| candle.open_time < *first);
    stored.drain(..parts).next_back()
}

#[cfg(test)]
mod tests {
    use crossbook_types::Price;
    use crossbook_views::{Interval, Window};

    use super::*;

    const HOUR: u64 = 3_600_000_000;

    #[test]
    fn candles_of_which_something_may_be_missing_are_left_out() {
        let hours =
            |hours: std::ops::RangeInclusive<u64>| (Timestamp(hours.start() * HOUR), Timestamp(hours.end() * HOUR));
        let day = |start| CandleQuery {
            interval: Interval::Day1,
            offset: Offset::from_minutes(60).unwrap(),
            window: Window { start, end: None, limit: 1_000 },
            now: Timestamp(0),
        };
        let hour = CandleQuery { interval: Interval::Hour1, offset: Offset::UTC, ..day(Some(Timestamp(0))) };
        // Days begin at 23:00. Of hours 50 to 98 there is all of day 71 to 94.
        let fetched = hour.fold(hours(50..=98), Price(1), []);

        let (mut stored, mut span) = (fetched.clone(), hours(47..=500));
        assert_eq!(leave_out_parts(&day(Some(Timestamp(0))), &mut stored, &mut span), None);
        assert_eq!((span, stored.len()), ((Timestamp(47 * HOUR), Timestamp(95 * HOUR - 1)), fetched.len()));

        let (mut stored, mut span) = (fetched.clone(), hours(23..=100));
        let before = leave_out_parts(&day(None), &mut stored, &mut span);
        assert_eq!(before.map(|before| before.open_time), Some(Timestamp(70 * HOUR)));
        assert_eq!((span, stored[0].open_time), (hours(71..=100), Timestamp(71 * HOUR)));
    }
}
