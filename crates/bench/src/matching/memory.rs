//! The memory of a resting order: the difference in allocated bytes before and after many orders came to rest. It
//! includes everything: the order in the book, its price level, the index of ids, and in the engine the hold, the list
//! of its account and its client order id; and spare capacity of tables, which is why the number of orders matters.

use crossbook_oracle::workload::{GroundTruth, mix_a};
use serde::Serialize;

use super::{Error, Subject};
use crate::progress::ProgressDisplay;

/// What so many orders take.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Taken {
    pub orders: usize,
    pub bytes: usize,
    pub bytes_per_order: f64,
}

/// Lets orders rest, as the warm-up of mix A does, and looks what they take.
///
/// # Errors
/// When the allocator does not tell.
pub(super) fn measure<S: Subject>(numbers: &[usize]) -> Result<Vec<Taken>, Error> {
    numbers.iter().filter(|&&orders| orders > 0).map(|&orders| taken::<S>(orders)).collect()
}

fn taken<S: Subject>(orders: usize) -> Result<Taken, Error> {
    let workload = mix_a(GroundTruth::SEED_A, orders, 0);
    let mut display = ProgressDisplay::begin(format!("{orders} resting orders"), orders as u64);
    let mut subject = S::begin(&workload);
    let before = allocated()?;
    for (at, batch) in workload.commands.chunks(S::BATCH).enumerate() {
        subject.prepare(batch);
        subject.run();
        subject.settle();
        display.at((at * S::BATCH) as u64);
    }
    // The buffers between us and the subject are not the orders'.
    subject.prepare(&[]);
    let bytes = allocated()?.saturating_sub(before);
    display.end();
    assert_eq!(subject.tally().trades, 0, "an order of the warm-up traded, so not all rest");
    Ok(Taken { orders, bytes, bytes_per_order: bytes as f64 / orders as f64 })
}

/// Bytes that the allocator has given out.
fn allocated() -> Result<usize, Error> {
    let none = std::ptr::null_mut();
    // What the thread's cache holds is counted only when the cache is flushed.
    // SAFETY: the name ends with a zero byte, and it takes and gives nothing.
    let flushed =
        unsafe { tikv_jemalloc_sys::mallctl(c"thread.tcache.flush".as_ptr(), none, std::ptr::null_mut(), none, 0) };
    // Its statistics stand still until they are told to go on.
    let mut epoch = 1_u64;
    let mut bytes = 0_usize;
    let mut bytes_size = size_of::<usize>();
    // SAFETY: the name ends with a zero byte; `epoch` takes a u64, which lives as long as the call.
    let advanced = unsafe {
        let new = (&raw mut epoch).cast();
        tikv_jemalloc_sys::mallctl(c"epoch".as_ptr(), none, std::ptr::null_mut(), new, size_of::<u64>())
    };
    // SAFETY: the name ends with a zero byte; `stats.allocated` gives a size_t, for which there is room, as its size
    // says.
    let told = unsafe {
        let old = (&raw mut bytes).cast();
        tikv_jemalloc_sys::mallctl(c"stats.allocated".as_ptr(), old, &raw mut bytes_size, none, 0)
    };
    if (flushed, advanced, told) == (0, 0, 0) { Ok(bytes) } else { Err(Error::Allocator) }
}
