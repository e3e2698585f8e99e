//! Public data of markets.

use crossbook_protocol::session::Session;
use crossbook_types::{Market, Price, Timestamp, TradeId};
use crossbook_views::{
    AggregateTrade, AggregateTradeId, AveragePrice, BookTicker, Level, MarketData, PublicTrade, ReferenceAt, Ticker,
};

use crate::error::Error;
use crate::gateway::Gateway;
use crate::past::{Question, apart};
use crate::read_model::Standing;

/// The best price levels of a book.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BookDepth {
    /// The market.
    pub market: Market,
    /// The number of the last change in it.
    pub last_update: u64,
    /// Buyers' levels, the best first.
    pub bids: Vec<Level>,
    /// Sellers' levels, the best first.
    pub asks: Vec<Level>,
}

/// The statistics of 24 hours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// The market.
    pub market: Market,
    /// What was traded.
    pub ticker: Ticker,
    /// The best bid and ask.
    pub best: BookTicker,
}

/// Which markets a query is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarketSelection<'a> {
    /// The one of that name.
    One(&'a str),
    /// Those of these names, in this order.
    Named(&'a [String]),
    /// All, by number.
    All,
}

impl Gateway {
    /// The best `limit` levels of each side.
    ///
    /// # Errors
    /// When there is no such market.
    pub fn depth(&self, market: &str, limit: usize) -> Result<BookDepth, Error> {
        self.read_market(market, |data, _| BookDepth {
            market: *data.market(),
            last_update: data.depth().last_update(),
            bids: data.depth().bids().take(limit).collect(),
            asks: data.depth().asks().take(limit).collect(),
        })
    }

    /// Trades of a market, the oldest first. A stretch of time can only be the last trades.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn trades(&self, market: &str, question: Question<TradeId>) -> Result<(Market, Vec<PublicTrade>), Error> {
        let (market, recent, gap) = self.read_market(market, |data, live| {
            let recent: Vec<PublicTrade> = match question {
                Question::From(from, limit) => data.trades().from(from, limit).copied().collect(),
                Question::Within(window) => data.trades().within(window).copied().collect(),
            };
            let oldest = recent.first().map(|trade| trade.trade);
            let gap = question.gap(oldest, recent.len(), data.trades().forgotten(), live);
            (*data.market(), recent, gap)
        })?;
        let mut trades = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(&self.past).await?
        {
            let older = match gap.question {
                Question::From(from, limit) => past.ask(past.history.trades_from(market.id, from, limit)).await?,
                // No other stretch of time is asked for than the last trades.
                Question::Within(window) => {
                    past.ask(past.history.trades_until(market.id, gap.forgotten.id, window.limit)).await?
                }
            };
            trades = gap.fill(trades, older, |trade| trade.trade, apart);
        }
        Ok((market, trades))
    }

    /// Aggregate trades of a market, the oldest first.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn aggregate_trades(
        &self,
        market: &str,
        question: Question<AggregateTradeId>,
    ) -> Result<(Market, Vec<AggregateTrade>), Error> {
        let (market, recent, gap) = self.read_market(market, |data, live| {
            let known = data.aggregate_trades();
            let recent: Vec<AggregateTrade> = match question {
                Question::From(from, limit) => known.from(from, limit).copied().collect(),
                Question::Within(window) => known.within(window).copied().collect(),
            };
            let oldest = recent.first().map(|trade| trade.id);
            let gap = question.gap(oldest, recent.len(), known.forgotten(), live);
            (*data.market(), recent, gap)
        })?;
        let mut trades = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(&self.past).await?
        {
            let older = match gap.question {
                Question::From(from, limit) => {
                    past.ask(past.history.aggregate_trades_from(market.id, from, limit)).await?
                }
                Question::Within(window) => past.ask(past.history.aggregate_trades(market.id, window)).await?,
            };
            trades = gap.fill(trades, older, |trade| trade.id, apart);
        }
        Ok((market, trades))
    }

    /// The average price of the last minutes.
    ///
    /// # Errors
    /// When there is no such market.
    pub fn average_price(&self, market: &str, now: Timestamp) -> Result<AveragePrice, Error> {
        self.read_market(market, |data, _| data.average_price(now))
    }

    /// The reference price of a market; `None` if it never had one.
    ///
    /// # Errors
    /// When there is no such market.
    pub fn reference_price(&self, market: &str, now: Timestamp) -> Result<(Market, Option<ReferenceAt>), Error> {
        self.read_market(market, |data, _| (*data.market(), data.reference_price(now)))
    }

    /// The sessions of markets, with their execution rules and where their reference prices come from.
    ///
    /// # Errors
    /// When there is no market of a name.
    pub fn sessions(&self, markets: MarketSelection<'_>) -> Result<Vec<(Market, Session)>, Error> {
        self.of_each(markets, |data, _| (*data.market(), *data.session()))
    }

    /// The statistics of 24 hours of each market.
    ///
    /// # Errors
    /// When there is no market of a name.
    pub fn statistics(&self, markets: MarketSelection<'_>, now: Timestamp) -> Result<Vec<Statistics>, Error> {
        self.of_each(markets, |data, _| Statistics {
            market: *data.market(),
            ticker: data.ticker(now),
            best: data.book_ticker(),
        })
    }

    /// The price of the last trade of each market, if there was one.
    ///
    /// # Errors
    /// When there is no market of a name.
    pub fn last_prices(&self, markets: MarketSelection<'_>) -> Result<Vec<(Market, Option<Price>)>, Error> {
        self.of_each(markets, |data, _| (*data.market(), data.last_price()))
    }

    /// The best bid and ask of each market.
    ///
    /// # Errors
    /// When there is no market of a name.
    pub fn book_tickers(&self, markets: MarketSelection<'_>) -> Result<Vec<(Market, BookTicker)>, Error> {
        self.of_each(markets, |data, _| (*data.market(), data.book_ticker()))
    }

    /// Reads from each of the markets, with the position of its partition.
    pub(super) fn of_each<T>(
        &self,
        markets: MarketSelection<'_>,
        read: impl Fn(&MarketData, Standing) -> T,
    ) -> Result<Vec<T>, Error> {
        match markets {
            MarketSelection::One(name) => Ok(vec![self.read_market(name, &read)?]),
            MarketSelection::Named(names) => names.iter().map(|name| self.read_market(name, &read)).collect(),
            MarketSelection::All => Ok(self.read_model.markets(read)),
        }
    }
}
