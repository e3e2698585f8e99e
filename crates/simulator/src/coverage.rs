//! What the worlds have been through. A simulator that never reaches what it is meant to test finds nothing, so every kind of
//! command, order, answer and fault is counted, and a run of many seeds must have seen each.

use std::collections::BTreeMap;

use crossbook_engine::command::Size;
use crossbook_engine::event::CloseReason;
use crossbook_engine::{Answer, Body, Event};

/// How often each thing came up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// It came up.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// It came up so many times.
    pub fn add(&mut self, what: &str, times: u64) {
        match self.0.get_mut(what) {
            Some(count) => *count += times,
            None if times > 0 => {
                self.0.insert(what.to_owned(), times);
            }
            None => {}
        }
    }

    /// How often it came up.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, &count)| (what.as_str(), count))
    }

    /// Adds what another world has been through.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(what, count)| self.add(what, count));
    }

    /// A command took effect.
    pub fn command(&mut self, body: &Body) {
        self.count(match body {
            Body::ListAsset(_) => "command ListAsset",
            Body::ListMarket(_) => "command ListMarket",
            Body::ChangeMarket(_) => "command ChangeMarket",
            Body::OpenAccount(_) => "command OpenAccount",
            Body::IssueApiKey(_) => "command IssueApiKey",
            Body::RevokeApiKey(_) => "command RevokeApiKey",
            Body::Transfer(_) => "command Transfer",
            Body::Place(_) => "command Place",
            Body::Cancel(_) => "command Cancel",
            Body::CancelAll(_) => "command CancelAll",
            Body::Peer(_) => "command Peer",
        });
    }

    /// Something was told.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::OrderPlaced(placed) => {
                let (kind, time) = (placed.order_type.as_str(), placed.time_in_force.as_str());
                let worth = if matches!(placed.size, Size::Quote(_)) { " by worth" } else { "" };
                self.count(&format!("order {kind} {time}{worth}"));
            }
            Event::OrderTriggered { .. } => self.count("triggered"),
            Event::Traded(_) => self.count("traded"),
            Event::OrderClosed(closed) => self.count(match closed.reason {
                CloseReason::Filled => "closed Filled",
                CloseReason::Canceled { .. } => "closed Canceled",
                CloseReason::Expired => "closed Expired",
                CloseReason::SelfTradePrevented => "closed SelfTradePrevented",
            }),
            Event::Answered { answer: Answer::Refused(refusal), .. } => self.count(&format!("refused {refusal:?}")),
            _ => {}
        }
    }

    /// What has come up less often than it must in a run of so many seeds; empty if nothing has.
    #[must_use]
    pub fn missing(&self, seeds: u64) -> Vec<String> {
        let too_few = |&(what, per_hundred): &(&str, u64)| {
            let (least, count) = (per_hundred * seeds / 100, self.of(what));
            (count < least).then(|| format!("{what}: {count} times, {least} are the least"))
        };
        LEAST.iter().filter_map(too_few).collect()
    }
}

/// How often each thing must come up in a hundred seeds, at the very least: well below what is usual, and above chance.
pub const LEAST: &[(&str, u64)] = &[];
