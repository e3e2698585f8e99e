//! The conformance suite of partition stores: call [`run`] with a [`Provider`].
//!
//! The suite knows the contract of [`super`] and nothing else. How a provider finds its servers, and how it handles
//! wrong answers of theirs, is tested beside that provider.

use std::time::Duration;

use crossbook_log::skip::SKIPPED;
use crossbook_types::{Decimal, PartitionId, RequestNumber, Sequence, Side, Timestamp};

use super::{
    Append, Appended, Connect, Deliver, DepthChange, DepthLevel, ErrorKind, Failure, Link, Outcome, PartitionOutcome,
    PartitionStore as _, PartitionTurn, Publish, ReadAfter, StoreError as _, StoreReader, Turn,
};

/// Two partitions of one shard.
pub const PARTITIONS: [PartitionId; 2] = [PartitionId(1), PartitionId(2)];
const P1: PartitionId = PARTITIONS[0];
const P2: PartitionId = PARTITIONS[1];
const PLENTY: u64 = u64::MAX >> 16;
const NO_WAIT: Duration = Duration::ZERO;

/// A store, as the suite sees it: new, without anything in it, with [`PARTITIONS`] in one shard.
pub trait Provider {
    /// Opens conversations with it.
    type Stores: Connect + Clone;

    /// Opens conversations with it.
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
    delivers_each_message_once_and_in_order(&fresh());
    publishes_only_at_the_end(&fresh());
    refuses_outputs_of_no_command(&fresh());
    reads_what_a_turn_has_written(&fresh());
    carries_out_a_turn_for_several_partitions(&fresh());
    keeps_the_partitions_of_a_turn_apart(&fresh());
    lets_nobody_publish_who_does_not_know_a_mark(&fresh());
    marks_nothing_that_is_published(&fresh());
    trims_no_command_without_output(&fresh());
    knows_a_command_again(&fresh());
    keeps_notes(&fresh());
    brings_depth_forward_without_gaps(&fresh());
    reads_in_order_as_a_reader(&fresh());
}

/// Runs the checks that need replicas, each on a store of its own.
///
/// # Panics
/// When the provider breaks the contract, or has no replicas.
pub fn run_with_failures<P: Provider>(mut fresh: impl FnMut() -> P) {
    keeps_what_is_confirmed_and_loses_the_rest_whole(&mut fresh());
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

fn append<S: super::PartitionStore>(link: &mut Link<S>, texts: &[&str]) -> Appended {
    done(link.append(&bytes(texts), PLENTY))
}

fn read<S: super::PartitionStore>(link: &mut Link<S>, from: u64) -> Vec<String> {
    let commands = done(link.read(Sequence(from), 10_000));
    commands.into_iter().map(|command| String::from_utf8_lossy(&command.payload).into_owned()).collect()
}

fn try_publish<S: super::PartitionStore>(link: &mut Link<S>, after: u64, texts: &[&str]) -> Result<u64, S::Error> {
    let publish = Some(Publish { after: Sequence(after), outputs: &bytes(texts) });
    let (outcome, _) = link.turn(PartitionTurn { publish, ..PartitionTurn::default() }, NO_WAIT, false)?;
    Ok(outcome.published.unwrap_or_else(|| panic!("a turn that publishes says where the outputs end")).0)
}

fn publish<S: super::PartitionStore>(link: &mut Link<S>, after: u64, texts: &[&str]) -> u64 {
    done(try_publish(link, after, texts))
}

fn outputs<S: super::PartitionStore>(link: &mut Link<S>, after: u64) -> Vec<(u64, String)> {
    let read = done(link.follow(Sequence(after), 1_000, NO_WAIT));
    read.into_iter().map(|output| (output.sequence.0, String::from_utf8_lossy(&output.payload).into_owned())).collect()
}

fn appends_in_order<P: Provider>(provider: &P) {
    let (mut one, mut other) = (link(provider), link(provider));
    let first = append(&mut one, &["a", "b"]);
    assert_eq!((first.first, first.last, first.published), (Sequence(1), Sequence(2), Sequence(0)));
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
    assert_eq!(commands.iter().map(|command| command.sequence.0).collect::<Vec<_>>(), [1, 2, 3], "as many as asked");
    assert!(commands.windows(2).all(|pair| pair[0].time <= pair[1].time));
    let ends = done(other.ends());
    assert_eq!(
        (ends.first, ends.tail, ends.published, ends.outputs_first),
        (Sequence(1), Sequence(6), Sequence(0), Sequence(1))
    );
}

fn refuses_what_is_too_much<P: Provider>(provider: &P) {
    let mut link = link(provider);
    done(link.append(&bytes(&["1", "2", "3"]), 3));
    assert_eq!(refused(link.append(&bytes(&["4"]), 3)), ErrorKind::Full);
    assert_eq!(publish(&mut link, 0, &["a", "b"]), 2);
    assert_eq!(refused(link.append(&bytes(&["4", "5", "6"]), 3)), ErrorKind::Full, "all of it or nothing");
    assert_eq!(done(link.append(&bytes(&["4", "5"]), 3)).published, Sequence(2));
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4", "5"]);
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

fn publishes_only_at_the_end<P: Provider>(provider: &P) {
    let (mut one, mut other) = (link(provider), link(provider));
    append(&mut one, &["1", "2", "3", "4"]);
    assert_eq!(publish(&mut one, 0, &["a", "b"]), 2);
    assert_eq!(publish(&mut other, 0, &["a", "b", "c"]), 2, "it is where another was: no effect");
    assert_eq!(publish(&mut other, 2, &["c"]), 3);
    assert_eq!(publish(&mut one, 2, &["c", "d"]), 3, "not in part either");
    assert_eq!(publish(&mut one, 5, &["f"]), 3, "no gap");
    assert_eq!(publish(&mut one, 3, &[]), 3, "with no outputs it only asks");
    let all = [(1, "a"), (2, "b"), (3, "c")].map(|(place, output)| (place, output.to_owned()));
    assert_eq!(outputs(&mut other, 0), all);
    assert_eq!(outputs(&mut other, 2), all[2..]);
    assert_eq!(outputs(&mut other, 3), []);
}

fn refuses_outputs_of_no_command<P: Provider>(provider: &P) {
    let mut first = link(provider);
    append(&mut first, &["1"]);
    assert_eq!(refused(try_publish(&mut first, 0, &["a", "b"])), ErrorKind::Forked);
    assert_eq!(outputs(&mut link(provider), 0), []);
}

fn reads_what_a_turn_has_written<P: Provider>(provider: &P) {
    let mut link = link(provider);
    append(&mut link, &["1", "2", "3"]);
    let payloads = bytes(&["5"]);
    let deliver = [Deliver { from: P2, first: RequestNumber(1), messages: bytes(&["4"]) }];
    let turn = PartitionTurn {
        publish: Some(Publish { after: Sequence(0), outputs: &bytes(&["a", "b"]) }),
        deliver: &deliver,
        append: Some(Append { payloads: &payloads, backlog_max: PLENTY }),
        commands: Some(ReadAfter { after: Sequence(2), records_max: 10 }),
        outputs: Some(ReadAfter { after: Sequence(1), records_max: 10 }),
        ..PartitionTurn::default()
    };
    let (outcome, confirmed) = done(link.turn(turn, NO_WAIT, true));
    let PartitionOutcome { published, received, appended, commands, outputs } = outcome;
    assert!(confirmed);
    assert_eq!((published, received), (Some(Sequence(2)), vec![RequestNumber(1)]));
    assert!(matches!(appended, Some(Ok(Appended { first: Sequence(5), last: Sequence(5), .. }))), "{appended:?}");
    let texts: Vec<_> = commands.iter().map(|command| command.payload.as_slice()).collect();
    assert_eq!(texts, [b"3", b"4", b"5"]);
    assert_eq!(outputs.iter().map(|output| output.sequence.0).collect::<Vec<_>>(), [2]);
    let commands = Some(ReadAfter { after: Sequence(5), records_max: 10 });
    let waited = link.turn(PartitionTurn { commands, ..PartitionTurn::default() }, Duration::from_millis(30), false);
    assert_eq!(done(waited).0.commands, [], "the time is up");
}

fn carries_out_a_turn_for_several_partitions<P: Provider>(provider: &P) {
    let mut store = done(provider.stores().connect(P1));
    let (one, other) = (bytes(&["1a", "1b"]), bytes(&["2a"]));
    let read = Some(ReadAfter { after: Sequence(0), records_max: 10 });
    let of = |partition, payloads| PartitionTurn {
        partition,
        append: Some(Append { payloads, backlog_max: PLENTY }),
        commands: read,
        ..PartitionTurn::default()
    };
    let turn = Turn { partitions: vec![of(P1, &one), of(P2, &other)], wait: NO_WAIT, confirm: true };
    let Outcome { partitions, confirmed } = done(store.turn(&turn));
    assert!(confirmed, "one confirmation for all");
    let read = |outcome: Result<PartitionOutcome, _>| {
        done(outcome).commands.into_iter().map(|command| command.payload).collect::<Vec<_>>()
    };
    let read: Vec<_> = partitions.into_iter().map(read).collect();
    assert_eq!(read, [vec![b"1a".to_vec(), b"1b".to_vec()], vec![b"2a".to_vec()]]);
}

fn keeps_the_partitions_of_a_turn_apart<P: Provider>(provider: &P) {
    let mut store = done(provider.stores().connect(P1));
    let (outputs, payloads) = (bytes(&["a"]), bytes(&["1"]));
    let forked = PartitionTurn {
        partition: P1,
        publish: Some(Publish { after: Sequence(0), outputs: &outputs }),
        commands: Some(ReadAfter { after: Sequence(0), records_max: 10 }),
        ..PartitionTurn::default()
    };
    let append = Some(Append { payloads: &payloads, backlog_max: PLENTY });
    let sound = PartitionTurn { partition: P2, append, ..PartitionTurn::default() };
    let mut outcome = done(store.turn(&Turn { partitions: vec![forked, sound], wait: NO_WAIT, confirm: false }));
    assert!(!outcome.confirmed, "nobody asked");
    let sound = done(outcome.partitions.remove(1));
    assert!(matches!(sound.appended, Some(Ok(_))), "the failure of one is not that of the other");
    assert_eq!(refused(outcome.partitions.remove(0)), ErrorKind::Forked);
}

fn lets_nobody_publish_who_does_not_know_a_mark<P: Provider>(provider: &P) {
    let (mut worker, mut operator) = (link(provider), link(provider));
    append(&mut operator, &["1", "2", "3"]);
    assert_eq!(publish(&mut worker, 0, &["a"]), 1);
    assert_eq!(read(&mut worker, 2), ["2", "3"]);
    assert_eq!(done(operator.mark_skipped(Sequence(2))), None);
    assert_eq!(refused(try_publish(&mut worker, 1, &["b"])), ErrorKind::Marked, "it has read 2 without the mark");
    assert_eq!(done(operator.ends()).published, Sequence(1));
    let mut anew = link(provider);
    let marked: Vec<_> =
        done(anew.read(Sequence(1), 10)).iter().map(|command| command.payload[0] & SKIPPED != 0).collect();
    assert_eq!(marked, [false, true, false]);
    assert_eq!(publish(&mut anew, 1, &["refused"]), 2);
    assert_eq!(done(anew.mark_skipped(Sequence(2))), None, "marked already");
}

fn marks_nothing_that_is_published<P: Provider>(provider: &P) {
    let mut link = link(provider);
    append(&mut link, &["1", "2"]);
    assert_eq!(publish(&mut link, 0, &["a"]), 1);
    assert_eq!(done(link.mark_skipped(Sequence(1))), Some(Sequence(1)));
    assert_eq!(refused(link.mark_skipped(Sequence(3))), ErrorKind::Missing);
    assert_eq!(publish(&mut link, 1, &["b"]), 2, "nothing was marked");
}

fn trims_no_command_without_output<P: Provider>(provider: &P) {
    let mut link = link(provider);
    let texts: Vec<_> = (1..=500).map(|n| n.to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    append(&mut link, &texts);
    publish(&mut link, 0, &texts[..350]);
    done(link.trim(Sequence(0), Sequence(0)));
    let ends = done(link.ends());
    assert_eq!((ends.first, ends.outputs_first), (Sequence(1), Sequence(1)));
    done(link.trim(Sequence(450), Sequence(250)));
    let ends = done(link.ends());
    assert!(ends.first > Sequence(200) && ends.first <= Sequence(351), "{ends:?}");
    assert!(ends.outputs_first > Sequence(100) && ends.outputs_first <= Sequence(251), "{ends:?}");
    assert_eq!((ends.published, ends.tail), (Sequence(350), Sequence(500)));
    assert_eq!(read(&mut link, ends.first.0), texts[ends.first.0 as usize - 1..]);

    let trimmed = |asked, first| ErrorKind::Trimmed { asked: Sequence(asked), first };
    assert_eq!(refused(link.read(Sequence(7), 1)), trimmed(7, ends.first));
    let commands = Some(ReadAfter { after: Sequence(7), records_max: 1 });
    let turn = PartitionTurn { commands, ..PartitionTurn::default() };
    assert_eq!(refused(link.turn(turn, NO_WAIT, false)), trimmed(8, ends.first));
    assert_eq!(refused(link.follow(Sequence(7), 1, NO_WAIT)), trimmed(8, ends.outputs_first));
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

/// Within this, a provider must answer again after it was put on a replica.
const PATIENCE: Duration = Duration::from_secs(60);

fn keeps_what_is_confirmed_and_loses_the_rest_whole<P: Provider>(provider: &mut P) {
    let stores = provider.stores();
    let mut link = link(provider);
    let confirmed = append(&mut link, &["1", "2", "3"]);
    assert_eq!(publish(&mut link, 0, &["a"]), 1);
    assert_eq!(done(link.deliver(P2, RequestNumber(1), &bytes(&["4"]))), RequestNumber(1));
    let lost = provider.lose(&mut || {
        append(&mut link, &["lost"]);
        assert_eq!(publish(&mut link, 1, &["lost"]), 2);
        let deliver = [Deliver { from: P2, first: RequestNumber(2), messages: bytes(&["lost"]) }];
        assert_eq!(done(link.deliver_all(&deliver, false)), [RequestNumber(2)]);
        // No answer of an old master is a confirmation.
        assert!(!matches!(link.confirm(), Ok(true)), "no replica has it");
    });
    assert!(lost, "this provider has no replicas");
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut link = loop {
        let connected = Link::connect(&stores, P1).and_then(|mut link| link.make_durable().map(|()| link));
        match connected {
            Ok(link) => break link,
            Err(error) => assert!(error.is_transient() && std::time::Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(read(&mut link, 1), ["1", "2", "3", "4"], "all that was confirmed, and nothing else");
    assert_eq!(outputs(&mut link, 0), [(1, "a".to_owned())]);
    let asked = done(link.deliver_all(&[Deliver { from: P2, first: RequestNumber(1), messages: Vec::new() }], false));
    assert_eq!(asked, [RequestNumber(1)], "the count of messages is lost with the messages");
    assert!(done(link.holds(Sequence(3), confirmed.time, b"3")));
    let next = append(&mut link, &["5"]);
    assert_eq!(next.first, Sequence(5));
    assert!(next.time >= confirmed.time, "time does not go back");
}
