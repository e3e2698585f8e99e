//! In steady state no command allocates: every table, queue and list retains its capacity.
//!
//! Steady state means that nothing is larger than it ever was: not the number of open orders of a market, of price
//! levels, of accounts that have traded there, of balances and holds, nor the events of one command. How these are
//! spread does not matter: an account may have more orders open than ever. Beyond its largest size a table doubles its
//! capacity, so while a venue grows allocations become ever rarer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbook_oracle::feed::FedPartition;
use crossbook_oracle::workload::{GroundTruth, Tally};
use crossbook_protocol::Events;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, hence from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Commands after the warm-up in which tables find their size.
const SETTLING: usize = 500_000;

/// The only test of this binary, as another thread's allocations would be counted too.
#[test]
fn no_command_allocates_in_steady_state() {
    let workload = (GroundTruth::MIX_A.workload)();
    let mut feed = FedPartition::new(&workload);
    let (mut events, mut commands, mut tally) = (Events::new(), Vec::new(), Tally::default());
    let (mut settled, mut allocated) = (0, 0);
    for (at, command) in workload.commands.iter().enumerate() {
        events.clear();
        commands.clear();
        feed.translate(command, &mut commands);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for command in &commands {
            feed.partition.apply(command, &mut events);
        }
        let during = ALLOCATIONS.load(Ordering::Relaxed) - before;
        if at < workload.warmup + SETTLING {
            settled += during;
        } else {
            allocated += during;
        }
        feed.tally(&events, &mut tally);
    }
    assert!(settled > 0, "the allocator counts");
    assert!(tally.trades >= GroundTruth::MIX_A.tally.trades, "the workload ran");
    assert_eq!(allocated, 0, "allocations in the last {} commands", GroundTruth::COUNT - SETTLING);
}
