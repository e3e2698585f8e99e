//! Statistics over any period. Memory has all of it but the minutes before the first whole hour of a period that begins
//! long ago; these come from the history.

use crossbook_types::{Market, Sequence, Timestamp};
use crossbook_views::{Candle, Interval, MarketData, Offset, Period, PeriodTicker};

use super::MarketSelection;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::read_model::Standing;

/// The most minutes of a period that memory can lack: those before the first whole hour.
const MINUTES_MAX: usize = 60;

impl Gateway {
    /// The statistics of each market over a period that ends, or contains, `now`.
    ///
    /// # Errors
    /// When there is no market of a name, or [`Error::PeriodForgotten`] if nothing has all of the period, or the
    /// history that is needed does not answer.
    pub async fn period_tickers(
        &self,
        markets: MarketSelection<'_>,
        period: Period,
        now: Timestamp,
    ) -> Result<Vec<(Market, PeriodTicker)>, Error> {
        let count = |data: &MarketData, live| (*data.market(), data.count(period, now), live);
        let mut found = Vec::new();
        for (market, counted, live) in self.of_each(markets, count)? {
            let older = match counted.missing() {
                Some(missing) => self.minutes_of(&market, missing, live).await?,
                None => Vec::new(),
            };
            found.push((market, counted.ticker(&market, &older)));
        }
        Ok(found)
    }

    /// The candles of minutes that memory has dropped.
    async fn minutes_of(
        &self,
        market: &Market,
        (from, to): (Timestamp, Timestamp),
        live: Standing,
    ) -> Result<Vec<Candle>, Error> {
        // Nothing is added to a candle that is over.
        let last = Interval::Minute1.open_time(Timestamp(to.0.saturating_sub(1)), Offset::UTC);
        let settled = Timestamp(Interval::Minute1.next_open(last, Offset::UTC).0.saturating_sub(1));
        let Some(past) = self.past.open(settled, live).await? else { return Err(Error::PeriodForgotten) };
        let history = past.history;
        if history.complete_from(live.partition) > Sequence(0) {
            // It was rebuilt when the log no longer had its beginning, and begins with what a snapshot had.
            let ever = (Timestamp(0), to);
            let oldest = past.ask(history.candles(market.id, Interval::Minute1, ever, 1)).await?;
            if oldest.first().is_none_or(|oldest| oldest.open_time > from) {
                return Err(Error::PeriodForgotten);
            }
        }
        past.ask(history.candles(market.id, Interval::Minute1, (from, to), MINUTES_MAX)).await
    }
}
