//! Wakes a thread that waits for work, at the cost of a system call only if it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Waker {
    /// Whether it was woken since it last waited.
    woken: AtomicBool,
    /// Whether the thread waits.
    waits: Mutex<bool>,
    changed: Condvar,
}

impl Waker {
    /// Has the thread look for work: now if it waits, otherwise before it waits next.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) && *self.waits.lock() {
            self.changed.notify_one();
        }
    }

    /// Waits until it is woken, or was since it last waited, at most for this time. Returns whether it was.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        if !timeout.is_zero() {
            let mut waits = self.waits.lock();
            *waits = true;
            if !self.woken.load(Ordering::Acquire) {
                self.changed.wait_for(&mut waits, timeout);
            }
            *waits = false;
        }
        self.woken.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_thread_that_was_woken_before_it_waits_does_not_wait() {
        let waker = Arc::new(Waker::default());
        waker.wake();
        waker.wake();
        assert!(waker.wait(Duration::from_secs(60)));
        assert!(!waker.wait(Duration::ZERO), "once");
        let other = Arc::clone(&waker);
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        waker.wake();
        assert!(thread.join().unwrap());
    }
}
