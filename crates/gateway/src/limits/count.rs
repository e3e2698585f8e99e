//! A count in one window, to which the gateways of a cluster add. A gateway alone has only what it has not sent.

use crossbook_types::Timestamp;

use super::SECOND;

/// A count in the newest window that there has been a time in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    window: u64,
    /// What all gateways had counted, as this one last heard.
    shared: i64,
    /// What this gateway has counted and sent, without having heard the new sum.
    in_flight: i64,
    /// What this gateway has counted since.
    unsent: i64,
    /// Orders that this gateway gives back for all gateways, and has not sent.
    credit: u64,
    /// By how much first fills have reduced `unsent`: this is sent as credit, by one of the gateways, or not at all.
    credited: i64,
}

/// What a gateway tells the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// What it has counted.
    pub(super) add: i64,
    /// What is given back for all gateways.
    pub(super) credit: u64,
    /// Whether it has counted a credit that another gateway gives, perhaps later.
    pub(super) awaits_credit: bool,
}

impl Count {
    /// The count, after advancing to the window of `now`. A time of an earlier window, as a slower thread may still
    /// have it, counts in the newest. What was not sent of the earlier window is forgotten: it limits nobody any more.
    pub(super) fn at(&mut self, now: Timestamp, length: u64) -> u64 {
        let window = now.0 / length;
        if window > self.window {
            *self = Self { window, ..Self::default() };
        }
        self.get()
    }

    /// The count. Never below zero, even if the store has lost something that was given back since.
    pub(super) fn get(&self) -> u64 {
        let all = self.shared.saturating_add(self.in_flight).saturating_add(self.unsent);
        u64::try_from(all).unwrap_or(0)
    }

    /// Adds to the window of `now`; gives the count.
    pub(super) fn add(&mut self, count: u64, now: Timestamp, length: u64) -> u64 {
        self.at(now, length);
        self.unsent = self.unsent.saturating_add(signed(count));
        self.get()
    }

    /// Takes back what was counted at `then`, if that is still the window.
    pub(super) fn take_back(&mut self, count: u64, then: Timestamp, length: u64) {
        if then.0 / length == self.window {
            self.reduce(count);
        }
    }

    /// Reduces the count, to zero at least; gives by how much.
    pub(super) fn reduce(&mut self, count: u64) -> u64 {
        let count = count.min(self.get());
        self.unsent = self.unsent.saturating_sub(signed(count));
        count
    }

    /// Reduces the count for a fill that all gateways learn of; gives by how much. If `gives`, this gateway tells the
    /// others, whatever it knows of the count itself.
    pub(super) fn credit(&mut self, orders: u64, gives: bool) -> u64 {
        let reduced = self.reduce(orders);
        self.credited = self.credited.saturating_add(signed(reduced));
        if gives {
            self.credit = self.credit.saturating_add(orders);
        }
        reduced
    }

    /// The number of the window since 1970.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Whole seconds until the window ends, at least one.
    pub(super) fn seconds_left(&self, now: Timestamp, length: u64) -> u64 {
        let end = self.window.saturating_add(1).saturating_mul(length);
        end.saturating_sub(now.0).div_ceil(SECOND).max(1)
    }

    /// What there is to tell the others.
    pub(super) fn tell(&mut self) -> Told {
        let (add, credit) = (self.unsent.saturating_add(self.credited), self.credit);
        let told = Told { add, credit, awaits_credit: self.credited > 0 && credit == 0 };
        self.in_flight = self.in_flight.saturating_add(self.unsent);
        (self.unsent, self.credit, self.credited) = (0, 0, 0);
        told
    }

    /// What all gateways have counted in a window, including what this one has told; `None` if the others do not track
    /// whom it concerns.
    pub(super) fn hear(&mut self, window: u64, sum: Option<i64>) {
        if window == self.window {
            self.shared = sum.unwrap_or_else(|| self.shared.saturating_add(self.in_flight));
            self.in_flight = 0;
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
