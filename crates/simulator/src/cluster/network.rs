//! The network between processes and shards: a message may arrive late, twice, after later ones, or never; and a link
//! may be cut in one direction. A connection that its owner has closed may still deliver what was sent on it.

use std::collections::BTreeSet;

use super::call::{Actor, Link, Peer, Process, Reply, Request};
use super::shard::CONFIRM_US;
use super::{Event, GATEWAYS, WORKERS, World};
use crate::dice::Dice;

/// How long a caller waits for an answer, beyond what the store itself may wait, in microseconds.
const PATIENCE_US: u64 = 300_000;
/// The longest pause before a broken connection is made anew.
const RETRY_MAX_US: u64 = 250_000;

/// Which way something goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Way {
    ToShard,
    FromShard,
}

/// What becomes of notifications for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notifications {
    Usual,
    Lost,
    Late,
    Twice,
}

/// How bad the network is.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// How many in a thousand are lost, come twice, come late.
    pub(super) lost: u64,
    pub(super) twice: u64,
    pub(super) late: u64,
    pub(super) cuts: BTreeSet<(Process, usize, Way)>,
    pub(super) notifications: Notifications,
}

impl Network {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let rate = |dice: &mut Dice| if dice.one_in(3) { 0 } else { dice.between(1, 8) };
        Self {
            lost: rate(dice),
            twice: rate(dice),
            late: rate(dice),
            cuts: BTreeSet::new(),
            notifications: Notifications::Usual,
        }
    }

    /// After how long the copies of what is sent arrive.
    fn delays(&self, process: Process, shard: usize, way: Way, dice: &mut Dice) -> Vec<u64> {
        let usual = |dice: &mut Dice| dice.between(40, 250);
        if self.cuts.contains(&(process, shard, way)) || dice.per_mille(self.lost) {
            return Vec::new();
        }
        let first = if dice.per_mille(self.late) { dice.between(1_000, 1_500_000) } else { usual(dice) };
        let mut delays = vec![first];
        if way == Way::ToShard && dice.per_mille(self.twice) {
            delays.push(first + dice.between(1, 500_000));
        }
        delays
    }
}

impl World {
    pub(super) fn life(&self, process: Process) -> u64 {
        self.unit(process).life
    }

    pub(super) fn is_alive(&self, process: Process) -> bool {
        self.unit(process).alive
    }

    pub(super) fn is_paused(&self, process: Process) -> bool {
        self.unit(process).paused
    }

    pub(super) fn link(&mut self, actor: Actor) -> &mut Link {
        &mut self.unit_mut(actor.process).threads[actor.shard].link
    }

    /// Sends a request, and waits for the answer, with a bound.
    pub(super) fn call(&mut self, actor: Actor, request: Request) {
        self.called += 1;
        let call = self.called;
        let Actor { process, shard } = actor;
        let life = self.life(process);
        let link = self.link(actor);
        link.waiting = Some(call);
        let with = link.with;
        self.calls.insert(call, (actor, life));
        self.agenda.after(CONFIRM_US + PATIENCE_US, Event::GiveUp { call, actor, life });
        let delays = self.network.delays(process, shard, Way::ToShard, &mut self.dice);
        self.count_delays(&delays);
        for delay in delays {
            self.agenda.after(delay, Event::Arrive { call, actor, with, request: request.clone() });
        }
    }

    fn count_delays(&mut self, delays: &[u64]) {
        match delays {
            [] => self.observer.coverage.count("fault network lost"),
            [_, _, ..] => self.observer.coverage.count("fault network twice"),
            [delay] if *delay >= 1_000 => self.observer.coverage.count("fault network late"),
            _ => {}
        }
    }

    pub(super) fn arrive(&mut self, call: u64, actor: Actor, with: Option<Peer>, request: &Request) {
        let at = actor.shard;
        let shard = &mut self.shards[at];
        if !shard.up || with.is_some_and(|with| with.epoch != shard.epoch) {
            // A call to a machine that is gone fails, or gets no answer.
            if self.dice.one_in(2) {
                self.reply(call, Reply::Broken);
            }
            return;
        }
        if let Some(reply) = shard.execute(call, with.map(|with| with.conversation), request) {
            self.reply(call, reply);
        }
        self.settle(at);
        let appends = matches!(request, Request::Turn(turn) if turn.appends());
        self.appended(call, actor, appends);
    }

    /// A gateway may end when its requests are appended, before it knows.
    fn appended(&mut self, call: u64, actor: Actor, appends: bool) {
        let Process::Gateway(gateway) = actor.process else { return };
        let this = &mut self.gateways[gateway];
        let is_current = self.calls.get(&call).is_some_and(|&(_, life)| this.unit.life == life);
        if appends && is_current && std::mem::take(&mut this.ends_after_append) && self.kill(actor.process) {
            self.observer.coverage.count("gateway ended after an append");
        }
    }

    /// A call has waited long enough for its confirmation.
    pub(super) fn expire(&mut self, shard: usize, call: u64) {
        if let Some(reply) = self.shards[shard].expire(call) {
            self.reply(call, reply);
        }
        self.settle(shard);
    }

    /// A shard has changed: who waited is answered, replicas are sent what they do not have, and processes are
    /// notified.
    pub(super) fn settle(&mut self, at: usize) {
        for (call, reply) in self.shards[at].progress() {
            self.reply(call, reply);
        }
        for call in self.shards[at].waits() {
            self.agenda.after(CONFIRM_US, Event::Expire { shard: at, call });
        }
        if !self.shards[at].notifies().is_empty() {
            self.notify(at);
        }
        let shard = &mut self.shards[at];
        if !shard.up || shard.isolated {
            return;
        }
        let (all, epoch) = (shard.writes(), shard.epoch);
        for (replica, follower) in shard.followers.iter_mut().enumerate() {
            if follower.online && follower.acked < all && !follower.receiving {
                follower.receiving = true;
                let lag = if self.faults && self.dice.one_in(60) { 60_000 } else { 250 };
                let delay = self.dice.between(40, lag);
                self.agenda.after(delay, Event::Replicate { shard: at, replica, epoch });
            }
        }
    }

    /// Notifies all processes that a shard has new commands, as well as the network does.
    fn notify(&mut self, shard: usize) {
        let processes = (0..WORKERS).map(Process::Worker).chain((0..GATEWAYS).map(Process::Gateway));
        for process in processes {
            let mut delays = self.network.delays(process, shard, Way::FromShard, &mut self.dice);
            match self.network.notifications {
                Notifications::Usual => {}
                Notifications::Lost => delays.clear(),
                Notifications::Late => {
                    let late = self.dice.between(1_000, 2_000_000);
                    delays.iter_mut().for_each(|delay| *delay += late);
                }
                Notifications::Twice => {
                    let again = self.dice.between(1, 500_000);
                    delays.extend(delays.first().map(|first| first + again));
                }
            }
            let life = self.life(process);
            for delay in delays {
                self.agenda.after(delay, Event::Notify { actor: Actor { process, shard }, life });
            }
        }
    }

    pub(super) fn reply(&mut self, call: u64, reply: Reply) {
        let Some(&(actor, _)) = self.calls.get(&call) else { return };
        let delays = self.network.delays(actor.process, actor.shard, Way::FromShard, &mut self.dice);
        self.count_delays(&delays);
        for delay in delays {
            self.agenda.after(delay, Event::Return { call, reply: reply.clone() });
        }
    }

    /// An answer arrives. A caller that has given up gets nothing.
    pub(super) fn returned(&mut self, call: u64, reply: Reply) -> Option<(Actor, Reply)> {
        let &(actor, life) = self.calls.get(&call)?;
        let process = actor.process;
        if self.is_paused(process) && self.life(process) == life {
            self.agenda.after(20_000, Event::Return { call, reply });
            return None;
        }
        self.calls.remove(&call);
        if self.life(process) != life || !self.is_alive(process) {
            return None;
        }
        let link = self.link(actor);
        if link.waiting != Some(call) {
            return None;
        }
        link.waiting = None;
        Some((actor, reply))
    }

    /// A caller has waited long enough.
    pub(super) fn given_up(&mut self, call: u64, actor: Actor, life: u64) -> Option<(Actor, Reply)> {
        let process = actor.process;
        if self.life(process) != life || !self.is_alive(process) || self.link(actor).waiting != Some(call) {
            self.calls.remove(&call);
            return None;
        }
        if self.is_paused(process) {
            self.agenda.after(20_000, Event::GiveUp { call, actor, life });
            return None;
        }
        self.calls.remove(&call);
        self.link(actor).waiting = None;
        Some((actor, Reply::Broken))
    }

    /// A connection broke; it is opened again after a pause.
    pub(super) fn reconnect(&mut self, actor: Actor) {
        self.observer.coverage.count("connection broke");
        let link = self.link(actor);
        link.with = None;
        let pause = (5_000 << link.tries.min(10)).min(RETRY_MAX_US);
        link.tries += 1;
        self.plan(pause, Event::Wake(actor));
    }
}
