//! Countdowns in streams of random commands, and what of them is the same in one partition and in three.

use crossbook_engine::COUNTDOWNS_PER_ACCOUNT;
use crossbook_oracle::model::Model;
use crossbook_protocol::Event;
use crossbook_protocol::command::Body;
use crossbook_protocol::countdown::{Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::peer::Origin;
use crossbook_types::{AccountId, SymbolId, Timestamp};

use super::steps::Step;

/// The command about a countdown that a step means, if it means one: one in forty does.
pub fn body(step: &Step, account: AccountId, model: &Model) -> Option<Body> {
    let &[.., how, scope, after, pick, whether] = step;
    if whether < 250 {
        return None;
    }
    let running = model.countdowns();
    if how < 120 && !running.is_empty() {
        let meant = running[usize::from(pick) % running.len()];
        // Now and then one that was extended.
        let until = Timestamp(meant.until.0 - u64::from(how < 8));
        return Some(Body::EndCountdown(Countdown { until, ..meant }));
    }
    let scope = match scope % 8 {
        0..=2 => CountdownScope::Account,
        3..=5 => CountdownScope::Symbol(SymbolId(if scope >= 250 { 2 } else { u32::from(scope / 8 % 2) })),
        _ => CountdownScope::Session(u64::from(pick % 4)),
    };
    let after_millis = match after % 8 {
        0 => None,
        1 => Some(0),
        2 => Some(1),
        3 | 4 => Some(30_000),
        5 | 6 => Some(3_000_000),
        _ => Some(u32::MAX),
    };
    Some(Body::SetCountdown(SetCountdown { account, scope, after_millis }))
}

/// An account sets more than it may have.
pub fn too_many(account: AccountId) -> impl Iterator<Item = Body> {
    (0..=COUNTDOWNS_PER_ACCOUNT as u64).map(move |session| {
        let scope = CountdownScope::Session(session);
        Body::SetCountdown(SetCountdown { account, scope, after_millis: Some(100_000 + session as u32) })
    })
}

fn is_nobodys(event: &Event) -> bool {
    match event {
        Event::CancelAllBegun { source, number, .. } | Event::Answered { source, number, .. } => {
            (*source, *number) == (Origin::NOBODY.source, Origin::NOBODY.number)
        }
        _ => false,
    }
}

/// What a stream went through, in words.
pub fn word(event: &Event) -> Option<&'static str> {
    match event {
        Event::CountdownEnded { passed: true, .. } => Some("a countdown passed"),
        Event::CountdownEnded { passed: false, .. } => Some("a countdown was taken back"),
        Event::CancelAllBegun { .. } if is_nobodys(event) => Some("orders are cancelled unasked part by part"),
        _ => None,
    }
}

/// The events of a command about a countdown or a frozen account, market by market. Each partition cancels by itself,
/// and as much at once as one command may, so the order of markets and what is left for later depend on where they are.
pub fn by_market(body: &Body, mut told: Vec<Event>) -> Vec<Event> {
    let body = match body {
        Body::Operated(operated) => &operated.body,
        body => body,
    };
    if matches!(body, Body::SetCountdown(_) | Body::EndCountdown(_) | Body::SetFrozen { .. }) {
        told.retain(|event| !is_nobodys(event));
        told.sort_by_key(|event| match event {
            Event::OrderClosed(closed) => Some(closed.symbol),
            Event::DepthChanged(change) => Some(change.symbol),
            Event::ListChanged { symbol, .. } => Some(*symbol),
            _ => None,
        });
    }
    told
}
