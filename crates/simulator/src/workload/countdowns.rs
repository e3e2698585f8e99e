//! Countdowns that clients set, extend, take back and end: on time, too early, and more of them than they may have.

use std::collections::VecDeque;

use crossbook_protocol::countdown::{Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::{Answer, Body, Refusal};
use crossbook_types::{AccountId, Timestamp};

use super::{NOBODY, symbol};
use crate::dice::Dice;

/// Countdowns that a client remembers.
const REMEMBERED: usize = 8;

/// What a client does about its countdowns.
#[derive(Clone, Debug)]
pub struct Switches {
    /// Of a thousand requests, so many are about countdowns.
    per_mille: u64,
    /// It sets one after the other, until it has too many.
    hoards: bool,
    /// How many it has set so.
    hoarded: u64,
    /// Those that run, as far as it knows. The gateways of a venue end what they know of in the same way.
    known: VecDeque<Countdown>,
}

impl Switches {
    /// With a frequency of its own.
    pub fn new(dice: &mut Dice) -> Self {
        Self { per_mille: dice.between(5, 50), hoards: dice.one_in(12), hoarded: 0, known: VecDeque::new() }
    }

    /// What it asks next for its account, if that is about a countdown.
    pub fn next(&mut self, account: AccountId, dice: &mut Dice) -> Option<Body> {
        if self.hoards && !dice.one_in(3) {
            self.hoarded += 1;
            let (scope, after) = (CountdownScope::Session(1_000 + self.hoarded), dice.between(5_000, 60_000));
            return Some(Body::SetCountdown(SetCountdown { account, scope, after_millis: Some(after as u32) }));
        }
        if !dice.per_mille(self.per_mille) {
            return None;
        }
        let known = self.known.make_contiguous();
        if !known.is_empty() && dice.one_in(2) {
            let meant = dice.pick(known);
            let until = if dice.one_in(10) { Timestamp(meant.until.0 - 1) } else { meant.until };
            return Some(Body::EndCountdown(Countdown { until, ..meant }));
        }
        let account = if dice.one_in(80) { NOBODY } else { account };
        let scope = match dice.below(5) {
            0 | 1 => CountdownScope::Account,
            2 | 3 => CountdownScope::Symbol(symbol(dice)),
            _ => CountdownScope::Session(dice.below(3)),
        };
        let after_millis = match dice.below(8) {
            0 => None,
            1 => Some(0),
            2 | 3 => Some(dice.between(1, 30)),
            4..=6 => Some(dice.between(30, 500)),
            _ => Some(dice.between(500, 3_000)),
        };
        let after_millis = after_millis.map(|after| after as u32);
        Some(Body::SetCountdown(SetCountdown { account, scope, after_millis }))
    }

    /// It got an answer.
    pub fn published(&mut self, body: &Body, answer: &Answer) {
        let (account, scope) = match body {
            Body::SetCountdown(request) => (request.account, request.scope),
            Body::EndCountdown(countdown) => (countdown.account, countdown.scope),
            _ => return,
        };
        match *answer {
            Answer::CountdownSet { until } => {
                self.known.retain(|known| known.scope != scope);
                self.known.extend(until.map(|until| Countdown { account, scope, until }));
                if self.known.len() > REMEMBERED {
                    self.known.pop_front();
                }
            }
            Answer::Refused(Refusal::TooManyCountdowns) => self.hoards = false,
            _ => {}
        }
    }
}
