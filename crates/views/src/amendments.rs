//! Amendments of the orders of one market, for queries of their owners. The newest of all accounts are retained.

use std::collections::VecDeque;

use crossbook_protocol::Cause;
use crossbook_protocol::event::OrderAmended;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, OrderId, Sequence, Timestamp};

use crate::error::Error;
use crate::limits::Forgotten;

/// An amendment of an order, and when it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amendment {
    /// What changed.
    pub amended: OrderAmended,
    /// The command that brought it, in the log of the market's partition.
    pub sequence: Sequence,
    /// Time of that command.
    pub time: Timestamp,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Amendments {
    /// In the order in which they were made.
    kept: VecDeque<Amendment>,
    forgotten: Option<Forgotten<Sequence>>,
}

impl Amendments {
    pub(crate) fn record(&mut self, amended: OrderAmended, cause: Cause, limit: usize) {
        let Cause { sequence, time } = cause;
        self.kept.push_back(Amendment { amended, sequence, time });
        self.shorten(limit);
    }

    fn shorten(&mut self, limit: usize) {
        while self.kept.len() > limit
            && let Some(Amendment { sequence, time, .. }) = self.kept.pop_front()
        {
            Forgotten::note(&mut self.forgotten, sequence, time, time);
        }
    }

    /// The first `limit` amendments of an order of that account, from that command on.
    #[must_use]
    pub fn of_order(&self, account: AccountId, order: OrderId, from: Sequence, limit: usize) -> Vec<Amendment> {
        let is_meant =
            |kept: &&Amendment| (kept.amended.account, kept.amended.order) == (account, order) && kept.sequence >= from;
        self.kept.iter().filter(is_meant).take(limit).copied().collect()
    }

    /// The newest amendment that memory no longer holds, if any.
    #[must_use]
    pub fn forgotten(&self) -> Option<Forgotten<Sequence>> {
        self.forgotten
    }

    pub(crate) fn restored(mut self, limit: usize) -> Result<Self, Error> {
        if !self.kept.iter().map(|kept| kept.sequence).is_sorted() {
            return Err(Error("amendments out of order"));
        }
        self.shorten(limit);
        Ok(self)
    }
}

wire_struct! {
    plain Amendment { 0: amended, 1: sequence, 2: time }
    Amendments { 0: kept, 1: forgotten }
}
