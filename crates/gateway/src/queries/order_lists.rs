//! Queries of the order lists of an account, in all markets.

use std::collections::BTreeMap;

use crossbook_types::{AccountId, ClientOrderId, ListStatus, Market, OrderListId, SymbolId, Timestamp};
use crossbook_views::{Forgotten, MarketData, OrderList, Window};

use crate::command_port::Subject;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::past::{OpenPast, Question};
use crate::read_model::Standing;

/// What memory has of an account's order lists, by number.
struct Remembered {
    lists: BTreeMap<OrderListId, OrderList>,
    markets: BTreeMap<SymbolId, Market>,
    /// Of each market that has dropped some, the newest one.
    dropped: Vec<(Forgotten<OrderListId>, Standing)>,
}

impl Remembered {
    /// The lists with their markets, as they are in the history but not in memory, or in memory.
    fn with(self, past: Vec<OrderList>, account: AccountId) -> Vec<(Market, OrderList)> {
        let mut lists: BTreeMap<_, _> = past.into_iter().map(|list| (list.list, list)).collect();
        lists.retain(|_, list| list.account == account);
        // What is in memory is newer.
        lists.extend(self.lists);
        let listed = lists.into_values().filter_map(|list| Some((*self.markets.get(&list.list.symbol())?, list)));
        listed.collect()
    }
}

impl Gateway {
    /// An order list of an account, by its number or its name.
    ///
    /// # Errors
    /// [`Error::NoSuchList`] if the account has none; or when the history that is needed does not answer.
    pub async fn order_list(
        &self,
        account: AccountId,
        list: Result<OrderListId, ClientOrderId>,
    ) -> Result<(Market, OrderList), Error> {
        let remembered = self.remembered_lists(account).await?;
        let is_meant = |known: &OrderList| match list {
            Ok(id) => known.list == id,
            Err(name) => known.client_order_id == name,
        };
        let mut past = Vec::new();
        if !remembered.lists.values().any(is_meant)
            && let Some(open) = self.past_of_lists(&remembered, |_| true).await?
        {
            let found = match list {
                Ok(id) => open.ask(open.history.order_list(id)).await?,
                Err(name) => open.ask(open.history.order_list_named(account, name)).await?,
            };
            past.extend(found);
        }
        let mut found = remembered.with(past, account);
        found.retain(|(_, known)| is_meant(known));
        // Of several of one name, the one that is open or was last.
        found.sort_by_key(|(_, known)| (known.updated, known.list));
        let open = found.iter().position(|(_, known)| known.status == ListStatus::Executing);
        let last = found.len().checked_sub(1);
        open.or(last).map(|at| found.swap_remove(at)).ok_or(Error::NoSuchList)
    }

    /// The open order lists of an account in all markets, by number, with their markets.
    ///
    /// # Errors
    /// When a partition does not answer.
    pub async fn open_order_lists(&self, account: AccountId) -> Result<Vec<(Market, OrderList)>, Error> {
        let mut lists = self.remembered_lists(account).await?.with(Vec::new(), account);
        lists.retain(|(_, list)| list.status == ListStatus::Executing);
        Ok(lists)
    }

    /// The order lists of an account in all markets, by number, with their markets: from a number on, or those that
    /// last changed in a stretch of time.
    ///
    /// # Errors
    /// When a partition, or the history that is needed, does not answer.
    pub async fn order_lists(
        &self,
        account: AccountId,
        question: Question<OrderListId>,
    ) -> Result<Vec<(Market, OrderList)>, Error> {
        let remembered = self.remembered_lists(account).await?;
        let concerns = |forgotten: &Forgotten<OrderListId>| match question {
            Question::From(from, _) => from <= forgotten.id,
            Question::Within(Window { start, .. }) => start.is_none_or(|start| start <= forgotten.settled),
        };
        let past = match self.past_of_lists(&remembered, concerns).await? {
            None => Vec::new(),
            Some(open) => match question {
                Question::From(from, limit) => open.ask(open.history.order_lists_from(account, from, limit)).await?,
                Question::Within(window) => open.ask(open.history.order_lists(account, window)).await?,
            },
        };
        Ok(chosen(remembered.with(past, account), question))
    }

    async fn remembered_lists(&self, account: AccountId) -> Result<Remembered, Error> {
        self.caught_up(Subject::Account(account)).await?;
        let mut remembered = Remembered { lists: BTreeMap::new(), markets: BTreeMap::new(), dropped: Vec::new() };
        let read = |data: &MarketData, live: Standing| {
            let lists: Vec<OrderList> = data.order_lists(account).cloned().collect();
            (*data.market(), lists, data.forgotten_order_lists().map(|forgotten| (forgotten, live)))
        };
        for (market, lists, dropped) in self.read_model.markets(read) {
            remembered.lists.extend(lists.into_iter().map(|list| (list.list, list)));
            remembered.markets.insert(market.id, market);
            remembered.dropped.extend(dropped);
        }
        Ok(remembered)
    }

    /// The history, once it has all that memory has dropped and that is asked for; `None` if that is nothing, or there
    /// is no history.
    async fn past_of_lists(
        &self,
        remembered: &Remembered,
        concerns: impl Fn(&Forgotten<OrderListId>) -> bool,
    ) -> Result<Option<OpenPast<'_>>, Error> {
        let mut open = None;
        for (forgotten, live) in remembered.dropped.iter().filter(|(forgotten, _)| concerns(forgotten)) {
            // One place among those who ask is enough.
            drop(open.take());
            open = self.past.open(forgotten.settled, *live).await?;
        }
        Ok(open)
    }
}

/// Those of the lists, by number, that are asked for.
fn chosen(mut lists: Vec<(Market, OrderList)>, question: Question<OrderListId>) -> Vec<(Market, OrderList)> {
    match question {
        Question::From(from, limit) => {
            lists.retain(|(_, list)| list.list >= from);
            lists.truncate(limit);
        }
        Question::Within(Window { start, end, limit }) => {
            let within = start.unwrap_or_default()..=end.unwrap_or(Timestamp(u64::MAX));
            lists.retain(|(_, list)| within.contains(&list.updated));
            lists.sort_by_key(|(_, list)| (list.updated, list.list));
            if start.is_some() {
                lists.truncate(limit);
            } else {
                drop(lists.drain(..lists.len().saturating_sub(limit)));
            }
            lists.sort_by_key(|(_, list)| list.list);
        }
    }
    lists
}
