//! The conformance suite of logs: call [`run`] with a [`Provider`].
//!
//! The suite knows nothing of files or streams. It opens, appends, syncs, reads, trims and crashes, and compares the
//! log with its own record of what it did. Tests of a provider's storage failures are beside the provider.

use crossbook_types::{Sequence, Timestamp};

use crate::{BatchStats, Error, Log, Reader, Record, Until};

/// Rounds of appending, crashing and opening again.
const CRASH_ROUNDS: u64 = 60;
/// After so many records without [`Error::BatchFull`] a batch is taken to have no limit, which no log may have.
const BATCH_RECORDS_MAX: u64 = 1 << 20;

/// A log's storage, as the suite sees it. It outlives the logs opened on it.
pub trait Provider {
    /// The writing end.
    type Log: Log;
    /// The reading end.
    type Reader: Reader;

    /// Opens the log: empty the first time, and with the remaining records later.
    ///
    /// # Errors
    /// Any error of the log.
    fn open(&mut self) -> Result<Self::Log, Error>;

    /// Begins reading at `from`, beside the writer if there is one.
    fn reader(&mut self, from: Sequence) -> Self::Reader;

    /// Kills the writer. What it had not synced may be lost, wholly or in part.
    fn crash(&mut self, log: Self::Log);

    /// The largest payload this log takes.
    fn record_bytes_max(&self) -> usize;
}

/// Runs every check, each on storage of its own.
///
/// # Panics
/// When the provider breaks the contract.
pub fn run<P: Provider>(mut fresh: impl FnMut() -> P) {
    begins_empty(fresh());
    is_durable_once_synced(fresh());
    reads_back_from_any_place(fresh());
    keeps_everything_over_a_restart(fresh());
    refuses_the_wrong_sequence(fresh());
    takes_payloads_of_any_size_up_to_the_limit(fresh());
    bounds_a_batch(fresh());
    shows_a_live_reader_what_is_durable(fresh());
    trims_only_what_it_may(fresh());
    loses_nothing_durable_in_a_crash(fresh());
}

/// The payload that the suite puts at `sequence`: of varying length, different for different `salt`.
fn payload(sequence: u64, salt: u64) -> Vec<u8> {
    let mixed = (sequence ^ (salt << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let length = (mixed >> 58) as usize;
    mixed.to_le_bytes().into_iter().cycle().take(length).collect()
}

fn time(sequence: u64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + sequence * 7)
}

fn append<L: Log>(log: &mut L, payload: &[u8]) -> Result<(), Error> {
    let sequence = log.tail().next();
    log.append(Record { sequence, time: time(sequence.0), payload })
}

fn append_all<L: Log>(log: &mut L, payloads: impl IntoIterator<Item = Vec<u8>>) {
    for payload in payloads {
        good(append(log, &payload));
    }
}

/// Reads all from `from` and returns the payloads, having checked places and times.
fn read<P: Provider>(provider: &mut P, from: u64, until: Until) -> Vec<Vec<u8>> {
    let mut reader = provider.reader(Sequence(from));
    let mut payloads = Vec::new();
    while let Some(record) = good(reader.next(until)) {
        let expected = from + payloads.len() as u64;
        assert_eq!(record.sequence, Sequence(expected));
        assert_eq!(record.time, time(expected));
        payloads.push(record.payload.to_vec());
    }
    assert_eq!(good(reader.next(until)), None, "the end stays the end");
    payloads
}

fn good<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("the log refused: {error}"))
}

fn begins_empty<P: Provider>(mut provider: P) {
    let mut log = good(provider.open());
    assert_eq!((log.first(), log.durable(), log.tail()), (Sequence(1), Sequence(0), Sequence(0)));
    assert_eq!(good(log.sync()), Sequence(0), "nothing to sync");
    assert_eq!(log.last_batch(), BatchStats::default());
    good(log.trim(Sequence(0)));
    assert_eq!(read(&mut provider, 1, Until::Durable(Sequence(0))), Vec::<Vec<u8>>::new());
    drop(log);
    let log = good(provider.open());
    assert_eq!((log.first(), log.durable(), log.tail()), (Sequence(1), Sequence(0), Sequence(0)));
    assert_eq!(read(&mut provider, 1, Until::End), Vec::<Vec<u8>>::new());
}

fn is_durable_once_synced<P: Provider>(mut provider: P) {
    let mut log = good(provider.open());
    append_all(&mut log, (1..=3).map(|n| payload(n, 0)));
    assert_eq!((log.durable(), log.tail()), (Sequence(0), Sequence(3)));
    assert_eq!(good(log.sync()), Sequence(3));
    assert_eq!((log.first(), log.durable(), log.tail()), (Sequence(1), Sequence(3), Sequence(3)));
    assert_eq!(log.last_batch().records, 3);
    let payloads: usize = (1..=3).map(|n| payload(n, 0).len()).sum();
    assert!(log.last_batch().bytes >= payloads as u64, "{:?}", log.last_batch());
    append_all(&mut log, [payload(4, 0)]);
    assert_eq!(good(log.sync()), Sequence(4));
    assert_eq!(log.last_batch().records, 1);
    let before = log.last_batch();
    assert_eq!(good(log.sync()), Sequence(4));
    assert_eq!(log.last_batch(), before, "a sync of nothing is no batch");
}

fn reads_back_from_any_place<P: Provider>(mut provider: P) {
    let mut log = good(provider.open());
    let all: Vec<_> = (1..=50).map(|n| payload(n, 0)).collect();
    for batch in all.chunks(7) {
        append_all(&mut log, batch.iter().cloned());
        good(log.sync());
    }
    for from in 1..=51_u64 {
        let expected = &all[from as usize - 1..];
        assert_eq!(read(&mut provider, from, Until::Durable(Sequence(50))), expected);
    }
    drop(log);
    assert_eq!(read(&mut provider, 1, Until::End), all);
    assert_eq!(read(&mut provider, 33, Until::End), all[32..]);
}

fn keeps_everything_over_a_restart<P: Provider>(mut provider: P) {
    let mut all = Vec::new();
    for round in 0..5_u64 {
        let mut log = good(provider.open());
        assert_eq!(log.durable(), Sequence(all.len() as u64));
        assert_eq!(log.tail(), log.durable());
        for n in 0..round * 3 {
            all.push(payload(n, round));
            append_all(&mut log, all.last().cloned());
        }
        good(log.sync());
        drop(log);
        assert_eq!(read(&mut provider, 1, Until::End), all);
    }
}

fn refuses_the_wrong_sequence<P: Provider>(mut provider: P) {
    for wrong in [0, 1, 3, u64::MAX] {
        let mut log = good(provider.open());
        if log.tail() == Sequence(0) {
            append_all(&mut log, [payload(1, 0)]);
            good(log.sync());
        }
        let record = Record { sequence: Sequence(wrong), time: time(wrong % 100), payload: b"" };
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| log.append(record)));
        assert!(refused.is_err(), "took record {wrong} after record 1");
        assert_eq!(log.tail(), Sequence(1));
    }
}

fn takes_payloads_of_any_size_up_to_the_limit<P: Provider>(mut provider: P) {
    let limit = provider.record_bytes_max();
    let mut log = good(provider.open());
    let sizes: Vec<usize> = (0..=17).chain([limit - 1, limit]).collect();
    let all: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0xa5; *size]).collect();
    for payload in &all {
        append_all(&mut log, [payload.clone()]);
        good(log.sync());
    }
    let refused = append(&mut log, &vec![1; limit + 1]);
    assert!(
        matches!(refused, Err(Error::RecordTooLarge { bytes, limit: told }) if bytes == limit + 1 && told == limit),
        "{refused:?}"
    );
    assert_eq!(log.tail(), Sequence(all.len() as u64), "a refused record leaves no trace");
    append_all(&mut log, [b"after".to_vec()]);
    good(log.sync());
    let read = read(&mut provider, 1, Until::Durable(log.durable()));
    assert_eq!(read[..all.len()], all);
    assert_eq!(read[all.len()..], [b"after".to_vec()]);
}

fn bounds_a_batch<P: Provider>(mut provider: P) {
    let payload = vec![7; provider.record_bytes_max()];
    let mut log = good(provider.open());
    for round in 1..=3_u64 {
        let before = log.tail();
        let refused = (0..BATCH_RECORDS_MAX).find_map(|_| append(&mut log, &payload).err());
        assert!(matches!(refused, Some(Error::BatchFull { .. })), "{refused:?}");
        let appended = log.tail().0 - before.0;
        assert!(appended > 0, "an empty batch was full");
        assert_eq!(good(log.sync()), log.tail());
        assert_eq!(log.last_batch().records, appended, "round {round}");
    }
    let records = log.durable().0;
    drop(log);
    assert_eq!(read(&mut provider, 1, Until::End), vec![payload; records as usize]);
}

fn shows_a_live_reader_what_is_durable<P: Provider>(mut provider: P) {
    let mut log = good(provider.open());
    let mut reader = provider.reader(Sequence(1));
    let mut seen = 0;
    for n in 1..=40_u64 {
        append_all(&mut log, [payload(n, 0)]);
        assert_eq!(good(reader.next(Until::Durable(log.durable()))), None, "record {n} is not durable yet");
        if n % 3 == 0 {
            let durable = good(log.sync());
            while let Some(record) = good(reader.next(Until::Durable(durable))) {
                seen += 1;
                assert_eq!(record, Record { sequence: Sequence(seen), time: time(seen), payload: &payload(seen, 0) });
            }
            assert_eq!(Sequence(seen), durable);
        }
    }
}

fn trims_only_what_it_may<P: Provider>(mut provider: P) {
    let mut log = good(provider.open());
    let all: Vec<_> = (1..=60).map(|n| payload(n, 0)).collect();
    for batch in all.chunks(4) {
        append_all(&mut log, batch.iter().cloned());
        good(log.sync());
    }
    let mut first = log.first();
    assert_eq!(first, Sequence(1));
    for up_to in [0, 1, 30, 29, 45, 60_u64] {
        good(log.trim(Sequence(up_to)));
        assert!(log.first() >= first, "what is trimmed stays trimmed");
        assert!(log.first() <= Sequence(up_to).next().max(first), "trimmed past {up_to}");
        first = log.first();
        let kept = read(&mut provider, first.0, Until::Durable(log.durable()));
        assert_eq!(kept, all[first.0 as usize - 1..]);
        if first > Sequence(1) {
            let refused = provider.reader(Sequence(first.0 - 1)).next(Until::Durable(log.durable())).err();
            assert!(matches!(refused, Some(Error::Trimmed { first: told, .. }) if told == first), "{refused:?}");
        }
    }
    let past = log.tail().next();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| log.trim(past)));
    assert!(refused.is_err(), "trimmed what is not durable");
    drop(log);
    let mut log = good(provider.open());
    assert_eq!((log.first(), log.durable()), (first, Sequence(60)));
    append_all(&mut log, [b"on".to_vec()]);
    assert_eq!(good(log.sync()), Sequence(61));
}

fn loses_nothing_durable_in_a_crash<P: Provider>(mut provider: P) {
    let mut model: Vec<Vec<u8>> = Vec::new();
    let mut durable = 0;
    for round in 0..CRASH_ROUNDS {
        let mut log = good(provider.open());
        let left = log.durable().0 as usize;
        assert!(left >= durable, "round {round}: {durable} records were durable, {left} are left");
        assert!(left <= model.len(), "round {round}: records out of nowhere");
        assert_eq!(log.tail(), log.durable());
        model.truncate(left);
        durable = left;
        assert_eq!(read(&mut provider, 1, Until::Durable(log.durable())), model, "round {round}");
        for n in 0..round % 7 {
            model.push(payload(n, round));
            append_all(&mut log, model.last().cloned());
            if (round + n) % 3 == 0 {
                durable = good(log.sync()).0 as usize;
            }
        }
        provider.crash(log);
    }
    assert!(durable > 0, "the suite tried nothing");
}
