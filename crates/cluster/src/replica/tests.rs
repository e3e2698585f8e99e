use crossbook_protocol::command::ListAsset;
use crossbook_protocol::{Body, Routing};
use crossbook_types::{AssetName, SourceId, Timestamp};

use super::*;

const LIMITS: Limits = Limits { records_max: 200, held_max: 300 };
const OTHER: PartitionId = PartitionId(1);

fn new() -> Replica {
    let routing = Routing::new_checked(2, std::collections::BTreeMap::new()).unwrap();
    Replica::new(Partition::new(Routing::REGISTRY, routing, 1), LIMITS)
}

fn command(sequence: u64, body: &Body) -> StoredCommand {
    let mut payload = Vec::new();
    let number = RequestNumber(sequence);
    crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, number, None, body, &mut payload);
    StoredCommand { sequence: Sequence(sequence), time: Timestamp(1), payload }
}

/// Commands, each of which lists an asset, as far as there are names.
fn commands(from: u64, to: u64) -> Vec<StoredCommand> {
    let body = |n: u64| {
        let letter = |n: u64| char::from(b'A' + (n % 26) as u8);
        let name: String = [letter(n / 676), letter(n / 26), letter(n)].into_iter().collect();
        Body::ListAsset(ListAsset { name: AssetName::new_checked(&name).unwrap(), decimals: 8 })
    };
    (from..=to).map(|n| command(n, &body(n))).collect()
}

fn take(replica: &mut Replica, from: u64, to: u64, confirmed: Confirmed) -> Result<usize, Error> {
    replica.take(commands(from, to), confirmed, |_| ())
}

#[test]
fn only_what_is_confirmed_is_applied() {
    let mut replica = new();
    assert_eq!(take(&mut replica, 1, 3, Confirmed::Nothing), Ok(0));
    assert_eq!((replica.is_waiting(), replica.read_up_to()), (true, Sequence(3)));
    assert_eq!(take(&mut replica, 4, 5, Confirmed::Before), Ok(3), "4 and 5 came with this turn");
    assert_eq!(take(&mut replica, 6, 6, Confirmed::All), Ok(3));
    assert_eq!((replica.partition().sequence(), replica.is_waiting()), (Sequence(6), false));
    assert_eq!(take(&mut replica, 7, 8, Confirmed::Nothing), Ok(0));
    replica.disconnected();
    assert_eq!(replica.read_up_to(), Sequence(6), "what was not confirmed is read again");
    assert_eq!(take(&mut replica, 7, 7, Confirmed::Before), Ok(0), "nothing of this connection was there before");
    assert_eq!(take(&mut replica, 9, 9, Confirmed::All), Err(Error::Gap { after: Sequence(7), found: Sequence(9) }));
}

#[test]
fn no_more_is_read_than_may_be_held() {
    let mut replica = new();
    assert_eq!(replica.read(), Some(ReadAfter { after: Sequence(0), records_max: 200 }));
    take(&mut replica, 1, 200, Confirmed::Nothing).unwrap();
    assert_eq!(replica.read(), Some(ReadAfter { after: Sequence(200), records_max: 100 }));
    take(&mut replica, 201, 300, Confirmed::Nothing).unwrap();
    assert_eq!(replica.read(), None);
    take(&mut replica, 301, 300, Confirmed::All).unwrap();
    assert_eq!(replica.read(), Some(ReadAfter { after: Sequence(300), records_max: 200 }));
}

#[test]
fn a_partition_that_has_sent_less_than_others_have_received_stops_at_its_end() {
    let proof = |end, received| Proof { end: Sequence(end), received: vec![(OTHER, RequestNumber(received))] };
    let mut sound = new().must_prove(proof(3, 3));
    assert_eq!(take(&mut sound, 1, 5, Confirmed::All), Ok(5));
    let mut behind = new().must_prove(proof(3, 4));
    assert_eq!(take(&mut behind, 1, 2, Confirmed::All), Ok(2));
    let (end, to, received, sent) = (Sequence(3), OTHER, RequestNumber(4), RequestNumber(3));
    assert_eq!(take(&mut behind, 3, 5, Confirmed::All), Err(Error::Behind { end, to, received, sent }));
    assert_eq!(behind.partition().sequence(), end, "nothing after it is applied");
}

#[test]
fn checkpoints_of_the_same_commands_are_the_same() {
    let (mut one, mut other) = (new(), new());
    take(&mut one, 1, 127, Confirmed::All).unwrap();
    assert_eq!(one.checkpoint(), None);
    take(&mut one, 128, 300, Confirmed::All).unwrap();
    for at in 1..=256 {
        take(&mut other, at, at, Confirmed::All).unwrap();
    }
    let checkpoint = one.checkpoint().unwrap();
    assert_eq!((checkpoint.sequence, other.checkpoint()), (Sequence(256), Some(checkpoint)));
    one.compare(checkpoint, Some(checkpoint.hash)).unwrap();
    assert_eq!(one.checkpoint(), None, "it was compared");
    let diverged = Err(Error::Diverged { sequence: Sequence(256) });
    assert_eq!(other.compare(checkpoint, Some(checkpoint.hash + 1)), diverged);
    assert_eq!(other.compare(checkpoint, None), Ok(()), "it is too old to be known");
}

#[test]
fn a_replica_that_begins_in_the_middle_compares_what_it_has_applied_from_its_beginning_on() {
    let mut whole = new();
    take(&mut whole, 1, 100, Confirmed::All).unwrap();
    let state = whole.partition().state();
    let mut later = Replica::new(Partition::restore(state, 7).unwrap(), LIMITS);
    take(&mut later, 101, 128, Confirmed::All).unwrap();
    assert_eq!(later.checkpoint(), None, "it has not applied what was before 100");
    take(&mut later, 129, 256, Confirmed::All).unwrap();
    take(&mut whole, 101, 256, Confirmed::All).unwrap();
    assert_eq!(later.checkpoint(), whole.checkpoint());
}

#[test]
fn rules_that_the_program_does_not_know_are_not_applied() {
    let (first, newest) = (Rules::default(), Rules::NEWEST);
    let mut old = new().knowing(first).unwrap();
    let activate = command(2, &Body::ActivateRules(newest));
    let read: Vec<_> = commands(1, 1).into_iter().chain([activate]).chain(commands(3, 3)).collect();
    let unknown = Error::UnknownRules { sequence: Sequence(2), rules: newest, known: first };
    assert_eq!(old.take(read.clone(), Confirmed::All, |_| ()), Err(unknown));
    assert_eq!(old.partition().sequence(), Sequence(1));
    let mut upgraded = new();
    assert_eq!(upgraded.take(read, Confirmed::All, |_| ()), Ok(3));
    assert_eq!(upgraded.partition().active_rules(), newest);
    assert!(upgraded.knowing(first).is_err(), "its state is one of newer rules");
}
