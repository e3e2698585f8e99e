//! Queries of an account about itself. A client that has an answer to a command finds the command's effect here.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_protocol::order::Target;
use crossbook_types::{
    AccountId, Asset, ClientOrderId, FeeParts, Fees, Market, OrderId, PreventedMatchId, SymbolId, Timestamp,
    TradeGroupId, TradeId,
};
use crossbook_views::{Balance, Forgotten, MarketData, Order, OwnTrade, Prevented, Window};

use crate::auth::AuthError;
use crate::command_port::Subject;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::past::{End, OpenPast, Question, apart, merge};

/// The balances of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountBalances {
    /// The account.
    pub account: AccountId,
    /// Its trade group, if it is in one.
    pub trade_group: Option<TradeGroupId>,
    /// Whether it is frozen.
    pub frozen: bool,
    /// When a balance last changed; at first, when the account was opened.
    pub updated: Timestamp,
    /// The balance of every listed asset, by number.
    pub balances: Vec<(Asset, Balance)>,
    /// The highest fee rates that the account can meet: rates differ by market.
    pub highest_fees: Fees,
}

/// Which prevented matches are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PreventedQuery {
    /// The one of that number; none has the number 0.
    Match(Option<PreventedMatchId>),
    /// At most so many of an order, from a number on.
    Order {
        /// The order.
        order: OrderId,
        /// The first number; `None` for the first of all.
        from: Option<PreventedMatchId>,
        /// The most matches in the answer.
        limit: usize,
    },
}

/// Which of an account's trades are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnTradesQuery {
    /// Those of an order, from a number on.
    Order {
        /// The order.
        order: OrderId,
        /// The first trade; `None` for the first of all.
        from: Option<TradeId>,
        /// The most trades in the answer.
        limit: usize,
    },
    /// Those of the market.
    Market(Question<TradeId>),
}

impl Gateway {
    /// Waits until what the account sees is up to date.
    async fn account_caught_up(&self, account: AccountId) -> Result<(), Error> {
        self.caught_up(Subject::Account(account)).await
    }

    /// The balances of an account.
    ///
    /// # Errors
    /// When there is no such account, or a partition does not answer.
    pub async fn balances(&self, account: AccountId) -> Result<AccountBalances, Error> {
        self.account_caught_up(account).await?;
        let views = self.read_model.of_account(account).read();
        let holdings = views.holdings(account).ok_or(AuthError::KeyRejected)?;
        let registry = views.registry();
        let paid = registry.markets().iter().map(|market| registry.fee_parts(account, market).total());
        let highest = paid.fold(Fees::default(), Fees::max);
        Ok(AccountBalances {
            account,
            trade_group: registry.account(account).and_then(|account| account.trade_group),
            frozen: registry.is_frozen(account),
            updated: holdings.updated(),
            balances: registry.assets().iter().map(|asset| (*asset, holdings.balance(asset.id))).collect(),
            highest_fees: highest,
        })
    }

    /// What a new order of an account pays in a market, by part. The account's tier of fees is that of the day of its
    /// last order.
    #[must_use]
    pub fn fees(&self, account: AccountId, market: &Market) -> FeeParts {
        self.read_model.of_account(account).read().registry().fee_parts(account, market)
    }

    /// An order of an account.
    ///
    /// # Errors [`Error::NoSuchOrder`], [`Error::OtherClientOrderId`] if its name is not the one that came with its
    /// number, or if there is no such market, or the history that is needed does not answer.
    pub async fn order(&self, account: AccountId, market: &str, target: Target) -> Result<(Market, Order), Error> {
        self.account_caught_up(account).await?;
        let (number, name) = match target {
            Target::Order(number) => (Some(number), None),
            Target::Client(name) => (None, Some(name)),
            Target::Both(number, name) => (Some(number), Some(name)),
        };
        let (market, mut found, forgotten, live) = self.read_market(market, |data, live| {
            let found = match (number, &name) {
                (Some(number), _) => data.order(number),
                (None, Some(name)) => data.order_named(account, name),
                (None, None) => None,
            };
            // What the account has evicted is no newer than this.
            let forgotten = data.forgotten_orders(account);
            let forgotten = forgotten.filter(|forgotten| number.is_none_or(|number| number <= forgotten.id));
            (*data.market(), found.cloned(), forgotten, live)
        })?;
        if let (None, Some(forgotten)) = (&found, forgotten)
            && let Some(past) = self.past.open(forgotten.settled, live).await?
        {
            found = match (number, name) {
                (Some(number), _) => past.ask(past.history.order(market.id, number)).await?,
                (None, Some(name)) => self.forgotten_named(&past, account, &market, name, forgotten.id).await?,
                (None, None) => None,
            };
        }
        let order = found.filter(|order| order.account == account).ok_or(Error::NoSuchOrder)?;
        if name.is_some_and(|name| order.terms.client_order_id != name) {
            return Err(Error::OtherClientOrderId);
        }
        Ok((market, order))
    }

    /// The newest order up to a number that has that name and is not in memory. The history may be behind, and have an
    /// order under a name that it has no more: of an order that is in memory, memory knows the name.
    async fn forgotten_named(
        &self,
        past: &OpenPast<'_>,
        account: AccountId,
        market: &Market,
        name: ClientOrderId,
        mut up_to: OrderId,
    ) -> Result<Option<Order>, Error> {
        while let Some(order) = past.ask(past.history.order_named(account, market.id, name, up_to)).await? {
            let known = |data: &MarketData| data.order(order.order).map(|known| known.terms.client_order_id);
            let known = self.read_model.market(market.symbol.as_str(), |data, _| known(data)).flatten();
            if known.is_none_or(|known| known == name) {
                return Ok(Some(order));
            }
            up_to = OrderId(order.order.0.saturating_sub(1));
        }
        Ok(None)
    }

    /// The open orders of an account in a market, by number.
    ///
    /// # Errors
    /// When there is no such market, or a partition does not answer.
    pub async fn open_orders_in(&self, account: AccountId, market: &str) -> Result<(Market, Vec<Order>), Error> {
        self.account_caught_up(account).await?;
        self.read_market(market, |data, _| (*data.market(), data.open_orders(account).cloned().collect()))
    }

    /// The open orders of an account in all markets, by market and number, and these markets.
    ///
    /// # Errors
    /// When a partition does not answer.
    pub async fn open_orders(&self, account: AccountId) -> Result<(BTreeMap<SymbolId, Market>, Vec<Order>), Error> {
        self.account_caught_up(account).await?;
        let mut orders = self.read_model.open_orders(account);
        let registry = self.read_model.registry();
        let symbols: BTreeSet<SymbolId> = orders.iter().map(|order| order.terms.symbol).collect();
        let markets: BTreeMap<SymbolId, Market> =
            symbols.into_iter().filter_map(|symbol| Some((symbol, *registry.market(symbol)?))).collect();
        // The registry's partition may be behind the one that an order is in.
        orders.retain(|order| markets.contains_key(&order.terms.symbol));
        Ok((markets, orders))
    }

    /// All orders of an account in a market, by number; those of a stretch of time by their last change.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn orders(
        &self,
        account: AccountId,
        market: &str,
        question: Question<OrderId>,
    ) -> Result<(Market, Vec<Order>), Error> {
        self.account_caught_up(account).await?;
        let (market, recent, gap) = self.read_market(market, |data, live| {
            let forgotten = data.forgotten_orders(account);
            let (recent, gap) = match question {
                Question::From(from, limit) => {
                    let recent = data.orders_from(account, from, limit);
                    let oldest = recent.first().map(|order| order.order);
                    let gap = question.gap(oldest, recent.len(), forgotten, live);
                    (recent, gap)
                }
                Question::Within(window) => {
                    let recent = data.orders(account, window);
                    let oldest = recent.first().map(|order| order.updated);
                    let gap = Question::gap_by_update(window, oldest, recent.len(), forgotten, live);
                    (recent, gap)
                }
            };
            (*data.market(), recent.into_iter().cloned().collect::<Vec<Order>>(), gap)
        })?;
        let mut orders = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(&self.past).await?
        {
            orders = match gap.question {
                Question::From(from, limit) => {
                    let older = past.ask(past.history.orders_from(account, market.id, from, limit)).await?;
                    gap.fill(orders, older, |order| order.order, apart)
                }
                Question::Within(window) => {
                    let mut older = past.ask(past.history.ended_orders(account, market.id, window)).await?;
                    let known: BTreeSet<OrderId> = orders.iter().map(|order| order.order).collect();
                    older.retain(|order| !known.contains(&order.order));
                    gap.fill(orders, older, |order| (order.updated, order.order), apart)
                }
            };
        }
        Ok((market, orders))
    }

    /// The matches of the account's orders that self-trade prevention prevented, by number.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn prevented_matches(
        &self,
        account: AccountId,
        market: &str,
        query: PreventedQuery,
    ) -> Result<(Market, Vec<Prevented>), Error> {
        self.account_caught_up(account).await?;
        let (market, mut found, gap) = self.read_market(market, |data, live| {
            let matches = data.prevented_matches();
            let forgotten = matches.forgotten();
            let (found, gap) = match query {
                PreventedQuery::Match(id) => {
                    let found = id.and_then(|id| matches.get(id)).copied();
                    let gap = forgotten.filter(|forgotten| id.is_some_and(|id| id <= forgotten.id));
                    (found.into_iter().collect(), gap)
                }
                PreventedQuery::Order { order, from, limit } => {
                    let found = matches.of_order(account, order, from, limit);
                    let placed = data.order(order).map(|order| order.placed);
                    let may_be = |forgotten: &Forgotten<PreventedMatchId>| {
                        from.is_none_or(|from| from <= forgotten.id)
                            && placed.is_none_or(|placed| placed <= forgotten.time)
                    };
                    (found, forgotten.filter(may_be))
                }
            };
            (*data.market(), found, gap.map(|forgotten| (forgotten.settled, live)))
        })?;
        if let Some((settled, live)) = gap
            && let Some(past) = self.past.open(settled, live).await?
        {
            let (older, limit) = match query {
                PreventedQuery::Match(Some(id)) => {
                    let found = past.ask(past.history.prevented_match(market.id, id)).await?;
                    (found.into_iter().collect(), 1)
                }
                PreventedQuery::Match(None) => (Vec::new(), 1),
                PreventedQuery::Order { order, from, limit } => {
                    let answer = past.history.prevented_matches(account, market.id, order, from, limit);
                    (past.ask(answer).await?, limit)
                }
            };
            found = merge(found, older, |kept| kept.prevented.id, apart, End::First, limit);
        }
        found.retain(|kept| kept.prevented.is_of(account));
        Ok((market, found))
    }

    /// Trades of an account in a market, by number.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn own_trades(
        &self,
        account: AccountId,
        market: &str,
        query: OwnTradesQuery,
    ) -> Result<(Market, Vec<OwnTrade>), Error> {
        self.account_caught_up(account).await?;
        let (question, order) = match query {
            OwnTradesQuery::Order { order, from, limit } => {
                (Question::From(from.unwrap_or_default(), limit), Some((order, from)))
            }
            OwnTradesQuery::Market(question) => (question, None),
        };
        let (market, recent, gap) = self.read_market(market, |data, live| {
            let recent = match (order, question) {
                (Some((order, from)), Question::From(_, limit) | Question::Within(Window { limit, .. })) => {
                    data.own_trades_of_order(account, order, from, limit)
                }
                (None, Question::From(from, limit)) => data.own_trades_from(account, from, limit),
                (None, Question::Within(window)) => data.own_trades(account, window),
            };
            let oldest = recent.first().map(|trade| trade.trade);
            let forgotten = data.forgotten_own_trades(account);
            let forgotten = forgotten.filter(|forgotten| {
                order.is_none_or(|(order, _)| may_have_traded_before(data, account, order, forgotten.time))
            });
            let gap = question.gap(oldest, recent.len(), forgotten, live);
            (*data.market(), recent.into_iter().copied().collect::<Vec<OwnTrade>>(), gap)
        })?;
        let mut trades = recent;
        if let Some(gap) = gap
            && let Some(past) = gap.open(&self.past).await?
        {
            let history = past.history;
            let older = match (order, gap.question) {
                (Some((order, _)), Question::From(from, limit)) => {
                    past.ask(history.own_trades_of_order(account, market, order, from, limit)).await?
                }
                (_, Question::From(from, limit)) => {
                    past.ask(history.own_trades_from(account, market, from, limit)).await?
                }
                (_, Question::Within(window)) => past.ask(history.own_trades(account, market, window)).await?,
            };
            // Of a trade of the account with itself there are two sides, and no page parts them: the next one begins
            // behind its number.
            trades = gap.fill(trades, older, |trade| (trade.trade, trade.maker), |one, other| one.trade == other.trade);
        }
        Ok((market, trades))
    }
}

/// Whether an order can be one of the account's that has traded up to `time`.
fn may_have_traded_before(data: &MarketData, account: AccountId, order: OrderId, time: Timestamp) -> bool {
    match data.order(order) {
        Some(known) => known.account == account && known.placed <= time,
        None => data.forgotten_orders(account).is_some_and(|forgotten| order <= forgotten.id),
    }
}
