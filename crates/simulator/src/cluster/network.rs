//! The network between processes and shards: a message may arrive late, twice, after later ones, or never; and a link
//! may be cut in one direction. A connection that its owner has closed may still deliver what was sent on it.

use std::collections::BTreeSet;

use super::call::{Actor, Link, Process, Reply, Request};
use super::shard::BARRIER_US;
use super::{Event, World};
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

/// How bad the network is.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// How many in a thousand are lost, come twice, come late.
    pub(super) lost: u64,
    pub(super) twice: u64,
    pub(super) late: u64,
    pub(super) cuts: BTreeSet<(Process, usize, Way)>,
}

impl Network {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let rate = |dice: &mut Dice| if dice.one_in(3) { 0 } else { dice.between(1, 8) };
        Self { lost: rate(dice), twice: rate(dice), late: rate(dice), cuts: BTreeSet::new() }
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
    fn life(&self, process: Process) -> u64 {
        match process {
            Process::Worker(at) => self.workers[at].life,
            Process::Gateway(at) => self.gateways[at].life,
        }
    }

    pub(super) fn is_alive(&self, process: Process) -> bool {
        match process {
            Process::Worker(at) => self.workers[at].alive,
            Process::Gateway(at) => self.gateways[at].alive,
        }
    }

    pub(super) fn is_paused(&self, process: Process) -> bool {
        match process {
            Process::Worker(at) => self.workers[at].paused,
            Process::Gateway(at) => self.gateways[at].paused,
        }
    }

    pub(super) fn link(&mut self, actor: Actor) -> &mut Link {
        match actor {
            Actor::Seat { worker, partition } => &mut self.workers[worker].seats[partition].link,
            Actor::Forwarder { worker, to } => &mut self.workers[worker].forwarders[to].link,
            Actor::Appender { gateway, partition } => &mut self.gateways[gateway].partition_clients[partition].appender,
            Actor::Follower { gateway, partition } => &mut self.gateways[gateway].partition_clients[partition].follower,
        }
    }

    /// Sends a request, and waits for the answer, with a bound.
    pub(super) fn call(&mut self, actor: Actor, request: Request) {
        self.called += 1;
        let call = self.called;
        let (process, shard) = (actor.process(), actor.shard());
        let life = self.life(process);
        let epoch = {
            let link = self.link(actor);
            link.waiting = Some(call);
            link.epoch
        };
        self.calls.insert(call, (actor, life));
        self.agenda.after(request.wait_us() + BARRIER_US + PATIENCE_US, Event::GiveUp { call, actor, life });
        let delays = self.network.delays(process, shard, Way::ToShard, &mut self.dice);
        self.count_delays(&delays);
        for delay in delays {
            self.agenda.after(delay, Event::Arrive { call, actor, epoch, request: request.clone() });
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

    pub(super) fn arrive(&mut self, call: u64, actor: Actor, epoch: Option<u64>, request: Request) {
        let at = actor.shard();
        let shard = &mut self.shards[at];
        if !shard.up || epoch.is_some_and(|epoch| epoch != shard.epoch) {
            // A call to a machine that is gone fails, or gets no answer.
            if self.dice.one_in(2) {
                self.reply(call, Reply::Broken);
            }
            return;
        }
        if let Some(reply) = shard.execute(call, request) {
            self.reply(call, reply);
        }
        self.settle(at);
    }

    /// A shard has changed: who waited is answered, and replicas are sent what they do not have.
    pub(super) fn settle(&mut self, at: usize) {
        loop {
            let answered = self.shards[at].progress();
            for (call, reading, wait) in self.shards[at].waits() {
                self.agenda.after(wait, Event::Expire { shard: at, call, reading });
            }
            if answered.is_empty() {
                break;
            }
            for (call, reply) in answered {
                self.reply(call, reply);
            }
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

    pub(super) fn reply(&mut self, call: u64, reply: Reply) {
        let Some(&(actor, _)) = self.calls.get(&call) else { return };
        let delays = self.network.delays(actor.process(), actor.shard(), Way::FromShard, &mut self.dice);
        self.count_delays(&delays);
        for delay in delays {
            self.agenda.after(delay, Event::Return { call, reply: reply.clone() });
        }
    }

    /// An answer arrives. A caller that has given up gets nothing.
    pub(super) fn returned(&mut self, call: u64, reply: Reply) -> Option<(Actor, Reply)> {
        let &(actor, life) = self.calls.get(&call)?;
        let process = actor.process();
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
        let process = actor.process();
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
        link.epoch = None;
        let pause = (5_000 << link.tries.min(10)).min(RETRY_MAX_US);
        link.tries += 1;
        self.plan(pause, Event::Wake(actor));
    }
}
