//! Matches of one market that self-trade prevention prevented, for queries of their owner: by id, or by one of the
//! orders. The newest of all accounts are retained.

use std::collections::VecDeque;

use crossbook_protocol::event::PreventedMatch;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, OrderId, PreventedMatchId, Timestamp};

use crate::error::Error;
use crate::limits::Forgotten;

/// A prevented match, and when it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prevented {
    /// What would have traded.
    pub prevented: PreventedMatch,
    /// Time at which the match was prevented.
    pub time: Timestamp,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PreventedMatches {
    /// By number, without gaps.
    kept: VecDeque<Prevented>,
    forgotten: Option<Forgotten<PreventedMatchId>>,
}

impl PreventedMatches {
    pub(crate) fn record(&mut self, prevented: PreventedMatch, time: Timestamp, limit: usize) {
        let follows = self.kept.back().is_none_or(|last| last.prevented.id.next() == prevented.id);
        assert!(follows, "prevented matches of market {} have a gap", prevented.symbol);
        self.kept.push_back(Prevented { prevented, time });
        self.shorten(limit);
    }

    fn shorten(&mut self, limit: usize) {
        while self.kept.len() > limit
            && let Some(Prevented { prevented, time }) = self.kept.pop_front()
        {
            Forgotten::note(&mut self.forgotten, prevented.id, time, time);
        }
    }

    /// The match with that id, of any account.
    #[must_use]
    pub fn get(&self, id: PreventedMatchId) -> Option<&Prevented> {
        let first = self.kept.front()?.prevented.id;
        let at = usize::try_from(id.number().checked_sub(first.number())?).ok()?;
        self.kept.get(at)
    }

    /// The first `limit` matches from number `from` on of an order of that account.
    #[must_use]
    pub fn of_order(
        &self,
        account: AccountId,
        order: OrderId,
        from: Option<PreventedMatchId>,
        limit: usize,
    ) -> Vec<Prevented> {
        let is_meant = |kept: &&Prevented| {
            let prevented = &kept.prevented;
            prevented.has_order(account, order) && from.is_none_or(|from| prevented.id >= from)
        };
        self.kept.iter().filter(is_meant).take(limit).copied().collect()
    }

    /// The newest match that memory no longer holds, if any.
    #[must_use]
    pub fn forgotten(&self) -> Option<Forgotten<PreventedMatchId>> {
        self.forgotten
    }

    pub(crate) fn restored(mut self, limit: usize) -> Result<Self, Error> {
        let numbers = self.kept.iter().map(|kept| kept.prevented.id.number());
        if !numbers.clone().zip(numbers.skip(1)).all(|(one, next)| one.checked_add(1) == Some(next)) {
            return Err(Error("prevented matches with a gap"));
        }
        self.shorten(limit);
        Ok(self)
    }
}

wire_struct! {
    plain Prevented { 0: prevented, 1: time }
    PreventedMatches { 0: kept, 1: forgotten }
}
