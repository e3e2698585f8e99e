//! Power cuts, failed syncs and full disks at every single operation the log performs, and at random ones with random
//! sectors lost.

use crossbook_log::files::Options;
use crossbook_log::memory::{Fault, Memory};
use crossbook_log::{Error, FileReader, Files, Log, Reader, Record, Until, skip};
use crossbook_types::{Sequence, Timestamp};
use proptest::prelude::*;

/// What a run was told before its disk failed.
#[derive(Default)]
struct Told {
    durable: u64,
    appended: u64,
    trimmed: u64,
}

fn options(preallocate: bool) -> Options {
    Options { segment_bytes_max: 512, batch_bytes_max: 400, record_bytes_max: 100, preallocate, ..Options::default() }
}

/// The payload of a record depends on the run that appended it, so that one run's records cannot pass for another's.
fn payload(sequence: u64, run: u64) -> Vec<u8> {
    vec![(sequence * 31 + run * 101) as u8; (sequence * 7 % 40) as usize]
}

/// Opens, appends batches of these sizes, trims now and then; stops at the first error.
fn work(memory: &Memory, options: Options, batches: &[u8], run: u64, told: &mut Told) -> Result<(), Error> {
    let (mut log, recovery) = Files::open_in(memory.clone(), options)?;
    assert!(recovery.last.0 >= told.durable, "{} was durable, {recovery:?}", told.durable);
    assert!(recovery.last.0 <= told.appended, "records out of nowhere: {recovery:?}");
    assert!(recovery.first.0 <= told.trimmed + 1, "trimmed too much: {recovery:?}");
    (told.durable, told.appended) = (recovery.last.0, recovery.last.0);
    for (index, records) in batches.iter().enumerate() {
        for _ in 0..*records {
            let sequence = log.tail().next();
            log.append(Record { sequence, time: Timestamp(run), payload: &payload(sequence.0, run) })?;
            told.appended = sequence.0;
        }
        told.durable = log.sync()?.0;
        if index % 5 == 4 {
            told.trimmed = told.trimmed.max(told.durable / 2);
            // One after the other, as a thread beside the writer does it, or all at once.
            if index % 2 == 0 {
                while log.trimmer().trim_one(Sequence(told.durable / 2))? {}
            } else {
                log.trim(Sequence(told.durable / 2))?;
            }
        }
    }
    Ok(())
}

/// Reads what is left and checks every record against the run it says it is of.
fn check(memory: &Memory, options: Options, told: &Told) -> u64 {
    // Wherever verifying begins, up to what was durable, the same is found.
    let partly = Options { verify_from: Sequence(told.durable * 2 / 3), ..options };
    let (first, last) = Files::open_in(memory.clone(), partly)
        .map(|(log, found)| (found.first, log.durable()))
        .unwrap_or_else(|error| panic!("{} was durable, opening that part refused: {error}", told.durable));
    let (log, recovery) = Files::open_in(memory.clone(), options)
        .unwrap_or_else(|error| panic!("{} was durable, opening refused: {error}", told.durable));
    assert!(recovery.last.0 >= told.durable && recovery.last.0 <= told.appended, "{recovery:?}");
    assert_eq!((first, last), (recovery.first, recovery.last));
    let mut reader = FileReader::open_in(memory.clone(), recovery.first);
    let mut expected = recovery.first;
    while let Some(record) = reader.next(Until::Durable(log.durable())).unwrap() {
        assert_eq!((record.sequence, record.payload), (expected, &payload(expected.0, record.time.0)[..]));
        expected = expected.next();
    }
    assert_eq!(expected, recovery.last.next());
    recovery.last.0
}

/// A stream of decisions; any `u64` seeds it.
fn decisions(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) & 1 == 1
    }
}

const BATCHES: [u8; 12] = [1, 3, 2, 4, 1, 1, 5, 2, 3, 1, 2, 4];

fn operations(options: Options) -> u64 {
    let memory = Memory::new(64);
    work(&memory, options, &BATCHES, 1, &mut Told::default()).unwrap();
    memory.operations()
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_durable() {
    for preallocate in [true, false] {
        let options = options(preallocate);
        let operations = operations(options);
        assert!(operations > 40, "the run does too little to be worth cutting");
        for (operation, luck) in (0..operations).flat_map(|operation| (0..24).map(move |luck| (operation, luck))) {
            let sector_bytes = [8, 32, 64, 512][luck as usize % 4];
            let memory = Memory::new(sector_bytes);
            memory.fail(operation, Fault::PowerCut);
            let mut told = Told::default();
            work(&memory, options, &BATCHES, 1, &mut told).unwrap_err();
            let memory = match luck {
                0..4 => memory.crash(&mut || false),
                4..8 => memory.crash(&mut || true),
                _ => memory.crash(&mut decisions(operation << 8 | luck)),
            };
            let seen = check(&memory, options, &told);
            // What was seen once after a crash must be there after the next.
            let memory = memory.crash(&mut || false);
            assert_eq!(check(&memory, options, &told), seen);
        }
    }
}

#[test]
fn a_failed_operation_poisons_the_log_and_the_next_start_believes_the_disk() {
    for (preallocate, fault) in
        [(true, Fault::Broken), (false, Fault::Broken), (true, Fault::Full), (false, Fault::Full)]
    {
        let options = options(preallocate);
        let endings = [false, true];
        for (operation, goes_on) in (0..operations(options)).flat_map(|operation| endings.map(|end| (operation, end))) {
            // A segment's header fills one sector, so that no record's write can bring it to the disk by chance.
            let memory = Memory::new(32);
            memory.fail(operation, fault);
            let mut told = Told::default();
            let error = work(&memory, options, &BATCHES, 1, &mut told).unwrap_err();
            match fault {
                Fault::Full => assert!(matches!(error, Error::Full { .. }), "{error}"),
                _ => assert!(matches!(error, Error::Io { .. }), "{error}"),
            }
            // The process ends and starts again on the same boot: what it sees may be in memory only. Whatever it calls
            // durable now must outlive a power cut that keeps nothing else.
            let seen = check(&memory, options, &told);
            let seen = if goes_on {
                // Nor may a segment written on have a header or a name that only this boot knows.
                work(&memory, options, &[1, 2], 2, &mut told).unwrap();
                assert_eq!(told.durable, seen + 3);
                told.durable
            } else {
                seen
            };
            let memory = memory.crash(&mut || false);
            assert_eq!(check(&memory, options, &told), seen, "operation {operation}");
        }
    }
}

#[test]
fn a_poisoned_log_refuses_everything() {
    let memory = Memory::new(64);
    let (mut log, _) = Files::open_in(memory.clone(), options(true)).unwrap();
    let record = |n: u64| Record { sequence: Sequence(n), time: Timestamp(1), payload: b"x" };
    log.append(record(1)).unwrap();
    assert_eq!(log.sync().unwrap(), Sequence(1));
    log.append(record(2)).unwrap();
    memory.fail(memory.operations() + 1, Fault::Broken); // the write passes, the sync fails
    assert!(matches!(log.sync(), Err(Error::Io { action: "sync", .. })));
    assert!(matches!(log.sync(), Err(Error::Poisoned)), "a second sync would succeed and lie");
    assert!(matches!(log.append(record(3)), Err(Error::Poisoned)));
    assert!(matches!(log.trim(Sequence(1)), Err(Error::Poisoned)));
    assert_eq!(log.durable(), Sequence(1));
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing_durable() {
    for preallocate in [true, false] {
        let memory = Memory::new(64);
        memory.limit(1300);
        let mut told = Told::default();
        let batches = [3; 40];
        let error = work(&memory, options(preallocate), &batches[..4], 1, &mut told)
            .and_then(|()| work(&memory, options(preallocate), &batches, 2, &mut told))
            .unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        memory.limit(u64::MAX);
        assert!(told.durable > 0);
        assert!(check(&memory, options(preallocate), &told) >= told.durable);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_crashes_loses_or_changes_what_was_durable(
        preallocate: bool,
        sector_bytes in prop::sample::select(vec![8_u64, 16, 64, 512]),
        runs in prop::collection::vec((prop::collection::vec(1..5_u8, 0..14), 0..70_u64, any::<u64>(), 0..4_u8), 1..8),
    ) {
        let options = options(preallocate);
        let mut memory = Memory::new(sector_bytes);
        let mut told = Told::default();
        for (run, (batches, operation, seed, kind)) in runs.into_iter().enumerate() {
            let fault = if kind == 0 { Fault::Broken } else { Fault::PowerCut };
            memory.fail(memory.operations() + operation, fault);
            // Any error is fine but one: no crash may ever look like damage.
            if let Err(error @ Error::Corrupt { .. }) = work(&memory, options, &batches, run as u64, &mut told) {
                panic!("a crash was taken for damage: {error}");
            }
            if kind != 1 || fault == Fault::PowerCut {
                memory = memory.crash(&mut decisions(seed));
            }
        }
        check(&memory, options, &told);
    }
}

/// Whoever copies the log finds out from the list which segments have changed, so a mark must never be without it.
#[test]
fn a_record_that_is_passed_over_is_listed_wherever_its_marking_was_cut_short() {
    let at = Sequence(5);
    let stage = || {
        let memory = Memory::new(64);
        work(&memory, options(true), &[3, 3, 3, 3], 1, &mut Told::default()).unwrap();
        memory.crash(&mut || true)
    };
    let found = |memory: &Memory| {
        let mut reader = FileReader::open_in(memory.clone(), at);
        let marked = skip::is_marked(reader.next(Until::End).unwrap().unwrap().payload);
        (marked, skip::listed(memory).unwrap() == [at])
    };
    let memory = stage();
    assert_eq!(found(&memory), (false, false));
    skip::mark(&memory, at).unwrap();
    assert_eq!(found(&memory), (true, true));
    let operations = memory.operations();
    for (operation, luck) in (0..operations).flat_map(|operation| (0..8).map(move |luck| (operation, luck))) {
        let memory = stage();
        memory.fail(operation, Fault::PowerCut);
        skip::mark(&memory, at).unwrap_err();
        let memory = memory.crash(&mut decisions(operation << 8 | luck));
        assert!(matches!(found(&memory), (false, _) | (true, true)), "operation {operation}");
        skip::mark(&memory, at).unwrap();
        assert_eq!(found(&memory), (true, true));
    }
}
