//! The conformance suite of partition stores: call [`run`] with a [`Provider`].
//!
//! The suite knows the contract of [`super`] and nothing else. How a provider finds its servers, and how it handles
//! wrong answers of theirs, is tested beside that provider.

mod closing;

use std::time::Duration;

use crossbook_log::skip::SKIPPED;
use crossbook_types::{Decimal, PartitionId, RequestNumber, Sequence, Side, Timestamp};

use super::{
    Appended, Checkpoint, Confirm, Confirmed, Connect, Deliver, Delivered, DepthChange, DepthLevel, ErrorKind, Failure,
    Link, Outcome, PartitionOutcome, PartitionStore, PartitionTurn, ReadAfter, StoreError as _, StoreReader,
    Subscription as _, Turn,
};

/// Two partitions of one shard.
pub const PARTITIONS: [PartitionId; 2] = [PartitionId(1), PartitionId(2)];
const P1: PartitionId = PARTITIONS[0];
const P2: PartitionId = PARTITIONS[1];
/// Within this, a provider must answer again after it was put on a replica, and a notification must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store, as the suite sees it: new, without anything in it, with [`PARTITIONS`] in one shard.
pub trait Provider {
    /// Opens conversations with it.
    type Stores: Connect + Clone;

    /// Opens conversations with it; those of each call are of a process of their own.
    fn stores(&self) -> Self::Stores;

    /// Carries out `writes` while no replica receives anything, then puts a replica in the master's place: what was
    /// written meanwhile is lost. False if this provider has no replicas; then nothing is carried out.
    fn lose(&mut self, writes: &mut dyn FnMut()) -> bool;
}

type LinkOf<P> = Link<<<P as Provider>::Stores as Connect>::Store>;

/// Runs every check, each on a store of its own.
///
/// # Panics
/// When the provider breaks the contract.
pub fn run<P: Provider>(mut fresh: impl FnMut() -> P) {
    appends_in_order(&fresh());
    refuses_what_is_too_much(&fresh());
    reads_from_the_middle_of_what_was_appended_at_once(&fresh());
    delivers_each_message_once_and_in_order(&fresh());
    takes_deliveries_of_several_senders_and_an_append_at_once(&fresh());
    reads_what_a_turn_has_written(&fresh());
    carries_out_a_turn_for_several_partitions(&fresh());
    keeps_the_partitions_of_a_turn_apart(&fresh());
    groups_partitions_by_shard(&fresh());
    knows_what_another_conversation_has_confirmed(&fresh());
    confirms_nothing_unless_asked(&fresh());
    refuses_whoever_does_not_know_a_mark(&fresh());
    marks_nothing_that_was_applied(&fresh());
    compares_checkpoints(&fresh());
    gives_a_lease_to_one(&fresh());
    notifies_of_what_is_written(&fresh());
    needs_no_notifications(&fresh());
    trims_what_it_is_told_to(&fresh());
    knows_a_command_again(&fresh());
    keeps_notes(&fresh());
    closing::takes_messages_only_while_closed_to_commands(&fresh());
    closing::appends_nothing_while_closed_to_everything(&fresh());
    brings_depth_forward_without_gaps(&fresh());
    reads_in_order_as_a_reader(&fresh());
}

/// Runs the checks that need replicas, each on a store of its own.
///
/// # Panics
/// When the provider breaks the contract, or has no replicas.
pub fn run_with_failures<P: Provider>(mut fresh: impl FnMut() -> P) {
    keeps_what_is_confirmed_and_loses_the_rest_whole(&mut fresh());
    confirms_what_was_before_and_nothing_after(&mut fresh());
}

fn link<P: Provider>(provider: &P) -> LinkOf<P> {
    Link::connect(&provider.stores(), P1).unwrap_or_else(|error| panic!("cannot connect: {error}"))
}

/// What went well.
fn done<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("the store failed: {error}"))
}

/// What was refused, as which kind of failure.
fn refused<T, E: Into<Failure>>(result: Result<T, E>) -> ErrorKind {
    match result {
        Ok(_) => panic!("the store took what it must refuse"),
        Err(error) => error.into().kind(),
    }
}

fn bytes<'a>(texts: &[&'a str]) -> Vec<&'a [u8]> {
    texts.iter().map(|text| text.as_bytes()).collect()
}

fn append<S: PartitionStore>(link: &mut Link<S>, texts: &[&str]) -> Appended {
    done(link.append(&bytes(texts)))
}

fn read<S: PartitionStore>(link: &mut Link<S>, from: u64) -> Vec<String> {
    texts(&done(link.read(Sequence(from), 10_000)))
}

fn texts(commands: &[super::StoredCommand]) -> Vec<String> {
    commands.iter().map(|command| String::from_utf8_lossy(&command.payload).into_owned()).collect()
}

/// A turn that reads.
fn reading(after: u64) -> PartitionTurn<'static> {
    let commands = Some(ReadAfter { after: Sequence(after), records_max: 100 });
    PartitionTurn { commands, ..PartitionTurn::default() }
}

/// What a turn reads, and what is confirmed.
fn read_with<S: PartitionStore>(link: &mut Link<S>, after: u64, confirm: Confirm) -> (Vec<String>, Confirmed) {
    let (outcome, confirmed) = done(link.turn(reading(after), confirm));
    (texts(&outcome.commands), confirmed)
}

/// Asks until something is so.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(so) = ask() {
            return so;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn appends_in_order<P: Provider>(provider: &P) {
    let (mut one, mut other) = (link(provider), link(provider));
    let first = append(&mut one, &["a", "b"]);
    assert_eq!((first.first, first.last), (Sequence(1), Sequence(2)));
    let again = append(&mut other, &["a", "b"]);
    assert_eq!((again.first, again.last), (Sequence(3), Sequence(4)), "appended twice stands there twice");
    assert!(again.time >= first.time);
    let asked = append(&mut one, &[]);
    assert_eq!((asked.first, asked.last), (Sequence(5), Sequence(4)), "with no commands it only asks");
    assert!(asked.time >= again.time, "no command appended now would have an earlier time");
    append(&mut one, &["", "e"]);
    assert_eq!(read(&mut other, 1), ["a", "b", "a", "b", "", "e"]);
    assert_eq!(read(&mut other, 4), ["b", "", "e"]);
    assert_eq!(read(&mut other, 7), [""; 0]);
    let commands = done(other.read(Sequence(1), 3));
    assert!(commands.len() <= 3, "no more than asked");
    assert_eq!(commands[0].sequence, Sequence(1));
    let commands = done(other.read(Sequence(1), 100));
    assert_eq!(commands.iter().map(|command| command.sequence.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(commands.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let ends = done(other.ends());
    assert_eq!((ends.first, ends.tail), (Sequence(1), Sequence(6)));
}

fn refuses_what_is_too_much<P: Provider>(provider: &P) {
    let stores = provider.stores();
    let mut link = done(Link::connect(&stores, P1));
    let most = vec![b"x".as_slice(); stores.bounds().records_max];
    let more = vec![b"x".as_slice(); most.len() + 1];
    assert_eq!(refused(link.append(&more)), ErrorKind::TooLarge);
    let appended = done(link.append(&most));
    assert_eq!((appended.first, appended.last), (Sequence(1), Sequence(most.len() as u64)), "all of it or nothing");
    let deliver = [Deliver { from: P2, first: RequestNumber(1), messages: more }];
    let turn = PartitionTurn { deliver: &deliver, ..PartitionTurn::default() };
    assert_eq!(refused(link.turn(turn, Confirm::No)), ErrorKind::TooLarge);
    assert_eq!(done(link.ends()).tail, appended.last);
}

fn reads_from_the_middle_of_what_was_appended_at_once<P: Provider>(provider: &P) {
    let mut link = link(provider);
    let all: Vec<_> = (1..=1_000).map(|n| n.to_string()).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let (one, rest) = all.split_at(1);
    let (many, few) = rest.split_at(700);
    append(&mut link, one);
    append(&mut link, many);
    for texts in few.chunks(3) {
        append(&mut link, texts);
    }
    for from in [1, 2, 3, 300, 700, 701, 702, 703, 1_000] {
        assert_eq!(read(&mut link, from), all[from as usize - 1..], "from {from}");
    }
    for (records_max, turns) in [(1_usize, 1_000), (7, 1_000), (250, 1_000)] {
        let mut place = 0;
        for _ in 0..turns {
            let commands = Some(ReadAfter { after: Sequence(place), records_max });
            let turn = PartitionTurn { commands, ..PartitionTurn::default() };
            let commands = done(link.turn(turn, Confirm::No)).0.commands;
            assert!(commands.len() <= records_max, "no more than asked");
            if commands.is_empty() {
                break;
            }
            for command in commands {
                place += 1;
                assert_eq!(
                    (command.sequence.0, command.payload.as_slice()),
                    (place, all[place as usize - 1].as_bytes())
                );
            }
        }
        assert_eq!(place, 1_000, "none is skipped, {records_max} at a time");
    }
    let one_at_least = Some(ReadAfter { after: Sequence(350), records_max: 0 });
    let turn = PartitionTurn { commands: one_at_least, ..PartitionTurn::default() };
    assert_eq!(texts(&done(link.turn(turn, Confirm::No)).0.commands), ["351"], "0 counts as 1");
}

fn delivers_each_message_once_and_in_order<P: Provider>(provider: &P) {
    let mut link = link(provider);
    let mut deliver = |from: u16, first: u64, messages: &[&str]| {
        done(link.deliver(PartitionId(from), RequestNumber(first), &bytes(messages))).0
    };
    assert_eq!(deliver(7, 1, &[]), 0, "with no messages it only asks");
    assert_eq!(deliver(7, 2, &["7b"]), 0, "a gap: nothing is appended");
    assert_eq!(deliver(7, 1, &["7a", "7b"]), 2);
    assert_eq!(deliver(8, 1, &["8a"]), 1, "each sender is counted by itself");
    assert_eq!(deliver(7, 1, &["7a", "7b"]), 2, "heard before");
    assert_eq!(deliver(7, 2, &["7b", "7c", "7d"]), 4, "heard in part");
    assert_eq!(deliver(7, 6, &["7f"]), 4, "out of order");
    assert_eq!(deliver(7, 1, &["7a"]), 4);
    assert_eq!(read(&mut link, 1), ["7a", "7b", "8a", "7c", "7d"]);
}

fn takes_deliveries_of_several_senders_and_an_append_at_once<P: Provider>(provider: &P) {
    let mut link = link(provider);
    let from = |from: u16, first: u64, messages: &[&'static str]| Deliver {
        from: PartitionId(from),
        first: RequestNumber(first),
        messages: bytes(messages),
    };
    let mut turn = |deliver: &[Deliver<'_>], texts: &[&str]| {
        let payloads = bytes(texts);
        let turn = PartitionTurn { deliver, append: Some(&payloads), ..PartitionTurn::default() };
        let (outcome, _) = done(link.turn(turn, Confirm::Wait));
        let of = |delivered: &Delivered| (delivered.before.0, delivered.last.0);
        let appended = outcome.appended.unwrap_or_else(|| panic!("an append is answered"));
        let delivered: Vec<_> = outcome.delivered.iter().map(of).collect();
        (delivered, appended.first.0, appended.last.0, appended.time)
    };
    let (delivered, first, last, time) = turn(&[from(7, 1, &["7a", "7b"]), from(8, 1, &["8a"])], &["x", "y"]);
    assert_eq!((delivered, first, last), (vec![(0, 2), (0, 1)], 4, 5));
    // Heard in part, a gap, heard before, a question, and one that follows an earlier one of the same turn.
    let deliver =
        [from(7, 2, &["7b", "7c"]), from(8, 3, &["8c"]), from(7, 1, &["7a"]), from(9, 5, &[]), from(7, 4, &["7d"])];
    let (delivered, first, last, again) = turn(&deliver, &["z"]);
    assert_eq!((delivered, first, last), (vec![(2, 3), (1, 1), (3, 3), (0, 0), (3, 4)], 8, 8));
    assert!(again >= time);
    let (delivered, first, last, asked) = turn(&[from(7, 1, &["7a", "7b", "7c", "7d"])], &[]);
    assert_eq!((delivered, first, last), (vec![(4, 4)], 9, 8), "nothing is new");
    assert!(asked >= again);
    assert_eq!(read(&mut link, 1), ["7a", "7b", "8a", "x", "y", "7c", "7d", "z"]);
}

fn reads_what_a_turn_has_written<P: Provider>(provider: &P) {
    let mut link = link(provider);
    append(&mut link, &["1", "2", "3"]);
    let payloads = bytes(&["5"]);
    let deliver = [Deliver { from: P2, first: RequestNumber(1), messages: bytes(&["4"]) }];
    let checkpoint = Some(Checkpoint { sequence: Sequence(2), hash: 1 });
    let turn = PartitionTurn { deliver: &deliver, append: Some(&payloads), checkpoint, ..reading(2) };
    let (outcome, confirmed) = done(link.turn(turn, Confirm::Wait));
    let PartitionOutcome { delivered, appended, checkpoint, commands, .. } = outcome;
    assert_eq!(confirmed, Confirmed::All);
    assert_eq!(delivered, [Delivered { before: RequestNumber(0), last: RequestNumber(1) }]);
    assert!(matches!(appended, Some(Appended { first: Sequence(5), last: Sequence(5), .. })), "{appended:?}");
    assert_eq!(checkpoint, Some(1));
    assert_eq!(texts(&commands), ["3", "4", "5"]);
    assert_eq!(read_with(&mut link, 5, Confirm::No).0, [""; 0], "there is no more");
}

fn carries_out_a_turn_for_several_partitions<P: Provider>(provider: &P) {
    let mut store = done(provider.stores().connect(P1));
    let (one, other) = (bytes(&["1a", "1b"]), bytes(&["2a"]));
    let of = |partition, payloads| PartitionTurn { partition, append: Some(payloads), notify: true, ..reading(0) };
    let turn = Turn { partitions: vec![of(P1, &one), of(P2, &other)], confirm: Confirm::Wait };
    let Outcome { partitions, confirmed } = done(store.turn(&turn));
    assert_eq!(confirmed, Confirmed::All, "one confirmation for all");
    let read: Vec<_> = partitions.into_iter().map(|outcome| texts(&done(outcome).commands)).collect();
    assert_eq!(read, [vec!["1a", "1b"], vec!["2a"]]);
}

fn keeps_the_partitions_of_a_turn_apart<P: Provider>(provider: &P) {
    let mut store = done(provider.stores().connect(P1));
    let mut operator = link(provider);
    append(&mut operator, &["1", "2"]);
    let read = |partition| PartitionTurn { partition, ..reading(0) };
    let both = Turn { partitions: vec![read(P1), read(P2)], ..Turn::default() };
    assert!(done(store.turn(&both)).partitions.iter().all(Result::is_ok));
    assert_eq!(done(operator.mark_skipped(Sequence(1))), None);
    let payloads = bytes(&["x"]);
    let of = |partition| PartitionTurn { partition, append: Some(&payloads), ..PartitionTurn::default() };
    let mut outcome = done(store.turn(&Turn { partitions: vec![of(P1), of(P2)], ..Turn::default() }));
    let sound = done(outcome.partitions.remove(1));
    assert!(sound.appended.is_some(), "the failure of one is not that of the other");
    assert_eq!(refused(outcome.partitions.remove(0)), ErrorKind::Marked);
    assert_eq!(done(operator.ends()).tail, Sequence(2), "what is refused has done nothing");
}

fn groups_partitions_by_shard<P: Provider>(provider: &P) {
    let shards = done(provider.stores().shards(&PARTITIONS));
    assert_eq!(shards, [PARTITIONS.to_vec()]);
    assert_eq!(done(provider.stores().shards(&[])), Vec::<Vec<PartitionId>>::new());
}

fn knows_what_another_conversation_has_confirmed<P: Provider>(provider: &P) {
    let (mut writer, mut reader) = (link(provider), link(provider));
    let (one, two) = (bytes(&["1"]), bytes(&["2", "3"]));
    for (payloads, after, expected) in [(&one, 0, vec!["1"]), (&two, 1, vec!["2", "3"])] {
        let turn = PartitionTurn { append: Some(payloads), ..PartitionTurn::default() };
        assert_eq!(done(writer.turn(turn, Confirm::Wait)).1, Confirmed::All);
        // Something else may have been written since; what was read is confirmed all the same a little later.
        until("what was confirmed is known to be", || {
            let (read, confirmed) = read_with(&mut reader, after, Confirm::IfKnown);
            assert_eq!(read, expected);
            (confirmed == Confirmed::All).then_some(())
        });
    }
    assert_eq!(read_with(&mut reader, 3, Confirm::Wait), (Vec::new(), Confirmed::All));
}

fn confirms_nothing_unless_asked<P: Provider>(provider: &P) {
    let mut link = link(provider);
    append(&mut link, &["1"]);
    assert_eq!(read_with(&mut link, 0, Confirm::No), (vec!["1".to_owned()], Confirmed::Nothing));
    assert!(done(link.confirm()));
    assert_eq!(read_with(&mut link, 0, Confirm::No), (vec!["1".to_owned()], Confirmed::Nothing));
    done(link.make_durable());
    assert_eq!(done(link.confirmed_end()).tail, Sequence(1));
}

fn refuses_whoever_does_not_know_a_mark<P: Provider>(provider: &P) {
    let (mut operator, mut idle) = (link(provider), link(provider));
    append(&mut operator, &["1", "2", "3"]);
    let unaware = || {
        let mut link = link(provider);
        assert_eq!(read_with(&mut link, 1, Confirm::No).0, ["2", "3"]);
        link
    };
    let (mut reads, mut writes, mut compares, mut sees) = (unaware(), unaware(), unaware(), unaware());
    assert_eq!(done(sees.read(Sequence(2), 2)).len(), 2);
    assert_eq!(done(operator.mark_skipped(Sequence(2))), None);
    assert_eq!(refused(reads.turn(reading(3), Confirm::IfKnown)), ErrorKind::Marked, "it has read 2 without the mark");
    let payloads = bytes(&["4"]);
    let turn = PartitionTurn { append: Some(&payloads), ..PartitionTurn::default() };
    assert_eq!(refused(writes.turn(turn, Confirm::No)), ErrorKind::Marked);
    let checkpoint = Some(Checkpoint { sequence: Sequence(3), hash: 1 });
    let turn = PartitionTurn { checkpoint, ..PartitionTurn::default() };
    assert_eq!(refused(compares.turn(turn, Confirm::No)), ErrorKind::Marked);
    assert_eq!(refused(sees.turn(PartitionTurn::default(), Confirm::No)), ErrorKind::Marked);
    assert_eq!(done(operator.ends()).tail, Sequence(3), "what is refused has done nothing");
    for link in [&mut idle, &mut link(provider)] {
        let commands = done(link.turn(reading(0), Confirm::No)).0.commands;
        let marked: Vec<_> = commands.iter().map(|command| command.payload[0] & SKIPPED != 0).collect();
        assert_eq!(marked, [false, true, false], "who begins later reads the mark");
        assert_eq!(done(link.mark_skipped(Sequence(2))), None, "marked already");
    }
}

fn marks_nothing_that_was_applied<P: Provider>(provider: &P) {
    let (mut worker, mut operator) = (link(provider), link(provider));
    append(&mut worker, &["1", "2", "3"]);
    let checkpoint = Some(Checkpoint { sequence: Sequence(2), hash: 5 });
    done(worker.turn(PartitionTurn { checkpoint, ..reading(0) }, Confirm::Wait));
    assert_eq!(done(operator.mark_skipped(Sequence(1))), Some(Sequence(2)));
    assert_eq!(done(operator.mark_skipped(Sequence(2))), Some(Sequence(2)));
    assert_eq!(refused(operator.mark_skipped(Sequence(4))), ErrorKind::Missing);
    assert_eq!(read_with(&mut worker, 2, Confirm::No).0, ["3"], "nothing was marked");
    assert_eq!(done(operator.mark_skipped(Sequence(3))), None);
    let checkpoint = Some(Checkpoint { sequence: Sequence(3), hash: 6 });
    let mut aware = link(provider);
    done(aware.turn(PartitionTurn { checkpoint, ..PartitionTurn::default() }, Confirm::No));
    assert_eq!(done(link(provider).mark_skipped(Sequence(3))), None, "marked already, and applied as refused");
}

fn compares_checkpoints<P: Provider>(provider: &P) {
    let (mut one, mut other) = (link(provider), link(provider));
    append(&mut one, &["1"]);
    let compare = |link: &mut LinkOf<P>, sequence: u64, hash: u64| {
        let checkpoint = Some(Checkpoint { sequence: Sequence(sequence), hash });
        done(link.turn(PartitionTurn { checkpoint, ..PartitionTurn::default() }, Confirm::No)).0.checkpoint
    };
    // Hashes that no double has, and that no i64 has.
    let (first, second) = (u64::MAX - 1, (1 << 53) + 1);
    assert_eq!(compare(&mut one, 128, first), Some(first), "it is the first");
    assert_eq!(compare(&mut other, 128, first), Some(first));
    assert_eq!(compare(&mut other, 128, second), Some(first), "the first stays");
    assert_eq!(compare(&mut other, 256, second), Some(second));
    assert_eq!(compare(&mut one, 128, 7), Some(first), "the last ones are all there");
    assert_eq!(compare(&mut one, 256, 0), Some(second));
    for n in 3..100 {
        assert_eq!(compare(&mut one, n * 128, n), Some(n));
    }
    assert_eq!(compare(&mut other, 99 * 128, 1), Some(99));
    assert_eq!(compare(&mut other, 98 * 128, 1), Some(98));
    assert_eq!(compare(&mut other, 128, 1), None, "it is too old to be known");
    assert_eq!(compare(&mut one, 99 * 128, 0), Some(99), "and nothing was lost for it");
}

fn gives_a_lease_to_one<P: Provider>(provider: &P) {
    let (mut one, mut other) = (link(provider), link(provider));
    let long = Duration::from_secs(600);
    assert!(done(one.lease("one", long)), "nobody had it");
    assert!(!done(other.lease("other", long)));
    assert!(done(one.lease("one", Duration::from_millis(1))), "its own it may renew, and shorten");
    until("the lease ends", || done(other.lease("other", long)).then_some(()));
    assert!(!done(one.lease("one", long)));
    let mut store = done(provider.stores().connect(P1));
    assert!(done(store.lease(P2, "one", long)), "each partition has a lease of its own");
}

fn notifies_of_what_is_written<P: Provider>(provider: &P) {
    let mut subscription = done(provider.stores().subscribe(&PARTITIONS, Duration::ZERO));
    let mut store = done(provider.stores().connect(P1));
    let payloads = bytes(&["1"]);
    for partition in PARTITIONS {
        let of = PartitionTurn { partition, append: Some(&payloads), notify: true, ..PartitionTurn::default() };
        // They may be lost, but not all of them.
        until("a notification", || {
            let turn = Turn { partitions: vec![of.clone()], confirm: Confirm::Wait };
            assert_eq!(done(store.turn(&turn)).confirmed, Confirmed::All);
            done(subscription.wait(Duration::from_secs(1))).then_some(())
        });
    }
    // Several are one, once all have come; and there are none without a reason for long.
    until("no notification", || (!done(subscription.wait(Duration::from_millis(50)))).then_some(()));
    let of = PartitionTurn { partition: P2, append: Some(&payloads), notify: true, ..PartitionTurn::default() };
    let turn = Turn { partitions: vec![of], confirm: Confirm::Wait };
    until("a notification", || {
        done(store.turn(&turn));
        done(subscription.wait(Duration::from_secs(1))).then_some(())
    });
}

fn needs_no_notifications<P: Provider>(provider: &P) {
    let mut store = done(provider.stores().connect(P1));
    let mut reader = link(provider);
    assert_eq!(read_with(&mut reader, 0, Confirm::Wait), (Vec::new(), Confirmed::All));
    let payloads = bytes(&["1"]);
    let of = PartitionTurn { partition: P1, append: Some(&payloads), ..PartitionTurn::default() };
    done(store.turn(&Turn { partitions: vec![of], confirm: Confirm::Wait }));
    assert_eq!(read_with(&mut reader, 0, Confirm::Wait), (vec!["1".to_owned()], Confirmed::All));
}

fn trims_what_it_is_told_to<P: Provider>(provider: &P) {
    let mut link = link(provider);
    let texts: Vec<_> = (1..=1_000).map(|n| n.to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    for texts in texts[..500].chunks(1).chain(texts[500..].chunks(2)) {
        append(&mut link, texts);
    }
    done(link.trim(Sequence(0)));
    assert_eq!(done(link.ends()).first, Sequence(1));
    for (up_to, at_least) in [(350, 200), (801, 500)] {
        done(link.trim(Sequence(up_to)));
        let ends = done(link.ends());
        assert!(ends.first > Sequence(at_least) && ends.first <= Sequence(up_to + 1), "{ends:?}");
        assert_eq!(ends.tail, Sequence(1_000));
        assert_eq!(read(&mut link, ends.first.0), texts[ends.first.0 as usize - 1..]);
        let trimmed = |asked, first| ErrorKind::Trimmed { asked: Sequence(asked), first };
        assert_eq!(refused(link.read(Sequence(7), 1)), trimmed(7, ends.first));
        assert_eq!(refused(link.turn(reading(7), Confirm::No)), trimmed(8, ends.first));
    }
    assert_eq!(append(&mut link, &["next"]).first, Sequence(1_001));
}

fn knows_a_command_again<P: Provider>(provider: &P) {
    let mut link = link(provider);
    let Appended { time, .. } = append(&mut link, &["1", "2"]);
    assert!(done(link.holds(Sequence(0), Timestamp(0), b"")), "nothing is known");
    assert!(done(link.holds(Sequence(2), time, b"2")));
    assert!(!done(link.holds(Sequence(2), time, b"1")));
    assert!(!done(link.holds(Sequence(2), Timestamp(time.0 + 1), b"2")));
    assert!(!done(link.holds(Sequence(3), time, b"2")));
}

fn keeps_notes<P: Provider>(provider: &P) {
    let (mut one, mut other) = (link(provider), link(provider));
    assert_eq!((done(one.written()), done(one.noted_import())), (Sequence(0), None));
    done(one.mark_written(Sequence(7)));
    done(one.note_import("an-export"));
    assert_eq!((done(other.written()), done(other.noted_import())), (Sequence(7), Some("an-export".to_owned())));
    done(other.mark_written(Sequence(3)));
    assert_eq!(done(one.written()), Sequence(3), "the last counts");
}

fn brings_depth_forward_without_gaps<P: Provider>(provider: &P) {
    let (mut link, mut reader) = (link(provider), link(provider));
    let decimal = |text: &str| Decimal::parse(text).unwrap_or_else(|_| panic!("{text} is a decimal"));
    let level = |side, price, quantity| DepthLevel { side, price: decimal(price), quantity: decimal(quantity) };
    let mut write = |since, last, levels: &[DepthLevel]| {
        done(link.write_depth(&[DepthChange { symbol: "BTCUSDT", since, last, levels }]))[0]
    };
    let (bid, ask) = (level(Side::Buy, "99.50", "1.000"), level(Side::Sell, "100.00", "2.5"));
    assert!(!write(Some(4), 5, &[ask]), "nobody knows the first four changes");
    assert!(write(None, 5, &[bid, ask]));
    // Another worker that is a little ahead; then the first one, which overlaps, and is behind.
    assert!(write(Some(5), 8, &[level(Side::Buy, "99.5", "0.5"), level(Side::Buy, "99", "3")]));
    assert!(write(Some(5), 7, &[level(Side::Buy, "99.5", "9")]), "the depth is further than that");
    assert!(write(Some(7), 9, &[level(Side::Buy, "99.5", "0.5"), level(Side::Sell, "100", "0.0")]));
    assert!(!write(Some(10), 11, &[bid]), "change 10 is missing");
    let mut shown = || {
        let depth = done(reader.read_depth("BTCUSDT")).unwrap_or_else(|| panic!("there is a depth"));
        let text = |levels: Vec<(Decimal, Decimal)>| levels.iter().map(|(p, q)| format!("{p}x{q}")).collect::<Vec<_>>();
        (depth.last, text(depth.bids), text(depth.asks))
    };
    assert_eq!(shown(), (9, vec!["99.5x0.5".to_owned(), "99x3".to_owned()], Vec::new()));
    assert!(write(None, 12, &[ask]), "a whole book takes the place of all that was there");
    assert_eq!(shown(), (12, Vec::new(), vec!["100x2.5".to_owned()]));
    assert_eq!(done(reader.read_depth("ETHUSDT")), None);
}

fn reads_in_order_as_a_reader<P: Provider>(provider: &P) {
    use crossbook_log::{Reader as _, Until};
    let mut link = link(provider);
    let texts: Vec<_> = (1..=600).map(|n| n.to_string()).collect();
    append(&mut link, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut reader = StoreReader::open(provider.stores(), P1, Sequence(2));
    let mut next = |until| done(reader.next(until)).map(|record| String::from_utf8_lossy(record.payload).into_owned());
    for text in &texts[1..500] {
        assert_eq!(next(Until::Durable(Sequence(500))).as_ref(), Some(text));
    }
    assert_eq!(next(Until::Durable(Sequence(500))), None);
    assert_eq!(next(Until::End).as_ref(), texts.get(500));
    let mut beyond = StoreReader::open(provider.stores(), P1, Sequence(601));
    assert!(beyond.next(Until::Durable(Sequence(601))).is_err(), "what was confirmed is not there");
}

/// A new link, once the provider answers again and confirms.
fn link_again<P: Provider>(stores: &P::Stores) -> LinkOf<P> {
    until("the provider answers again", || {
        match Link::connect(stores, P1).and_then(|mut link| link.make_durable().map(|()| link)) {
            Ok(link) => Some(link),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                None
            }
        }
    })
}

fn keeps_what_is_confirmed_and_loses_the_rest_whole<P: Provider>(provider: &mut P) {
    let stores = provider.stores();
    let mut link = link(provider);
    let confirmed = append(&mut link, &["1", "2", "3"]);
    assert_eq!(done(link.deliver(P2, RequestNumber(1), &bytes(&["4"]))), RequestNumber(1));
    let lost = provider.lose(&mut || {
        append(&mut link, &["lost"]);
        let deliver = [Deliver { from: P2, first: RequestNumber(2), messages: bytes(&["lost"]) }];
        let (outcome, _) = done(link.turn(PartitionTurn { deliver: &deliver, ..reading(0) }, Confirm::No));
        assert_eq!(outcome.delivered[0].last, RequestNumber(2));
        assert_eq!(outcome.commands.len(), 6);
        // No answer of an old master is a confirmation.
        assert!(!matches!(link.confirm(), Ok(true)), "no replica has it");
    });
    assert!(lost, "this provider has no replicas");
    let mut link = link_again::<P>(&stores);
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4"], "all that was confirmed, and nothing else");
    let deliver = [Deliver { from: P2, first: RequestNumber(1), messages: Vec::new() }];
    let turn = PartitionTurn { deliver: &deliver, ..PartitionTurn::default() };
    let asked = done(link.turn(turn, Confirm::No)).0.delivered;
    assert_eq!(asked[0].last, RequestNumber(1), "the count of messages is lost with the messages");
    assert!(done(link.holds(Sequence(3), confirmed.time, b"3")));
    let next = append(&mut link, &["5"]);
    assert_eq!(next.first, Sequence(5));
    assert!(next.time >= confirmed.time, "time does not go back");
}

fn confirms_what_was_before_and_nothing_after<P: Provider>(provider: &mut P) {
    let stores = provider.stores();
    let (mut writer, mut reader) = (link(provider), link(provider));
    append(&mut writer, &["1"]);
    done(writer.make_durable());
    until("what was confirmed is known to be", || {
        (read_with(&mut reader, 0, Confirm::IfKnown).1 == Confirmed::All).then_some(())
    });
    let one = vec!["1".to_owned()];
    let lost = provider.lose(&mut || {
        // Whether this one says so depends on whether the replicas are known to be there; but it says nothing more.
        let (read, _) = read_with(&mut reader, 0, Confirm::IfKnown);
        assert_eq!(read, one);
        append(&mut writer, &["lost"]);
        let (read, confirmed) = read_with(&mut reader, 0, Confirm::IfKnown);
        assert_eq!(read.len(), 2);
        assert!(confirmed <= Confirmed::Before, "2 is nowhere else");
        for confirm in [Confirm::IfKnown, Confirm::Wait] {
            let (_, confirmed) = read_with(&mut reader, 0, confirm);
            assert_eq!(confirmed, Confirmed::Nothing, "the turn before has read 2 already");
        }
    });
    assert!(lost, "this provider has no replicas");
    let mut link = link_again::<P>(&stores);
    assert_eq!(read(&mut link, 1), one, "all that was confirmed, and nothing else");
}
