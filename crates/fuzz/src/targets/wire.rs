//! Records of the log, and published events.

use crossbook_engine::Partition;
use crossbook_node::snapshot::{self, Image};
use crossbook_protocol::Command;
use crossbook_protocol::command::Body;
use crossbook_protocol::peer::{Outgoing, PeerMessage};
use crossbook_types::{AccountId, HoldId, RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_views::{Limits, Views};

use crate::input;
use crate::venue::Furnished;

/// The input is a record. What is a command is encoded again, and, if it is one that clients and operators can send,
/// carried out.
pub(super) fn command(bytes: &[u8]) {
    let Ok(mut command) = crossbook_protocol::wire::decode_command(Sequence(1), Timestamp(1), bytes) else { return };
    // What is written again is written in today's version.
    command.rules = None;
    command.skipped = false;
    let Command { source, number, deadline, body, .. } = &command;
    let mut again = Vec::new();
    crossbook_protocol::wire::encode_command(*source, *number, *deadline, body, &mut again);
    assert_eq!(crossbook_protocol::wire::decode_command(Sequence(1), Timestamp(1), &again).as_ref(), Ok(&command));
    if bytes[0] == crossbook_protocol::wire::VERSION {
        // There are longer ways to write a number; they mean the same.
        assert!(again.len() <= bytes.len() && (again.len() < bytes.len() || again == bytes));
    }
    // What partitions say to one another is the work of the same program, and holds what it relies on.
    if !matches!(body, Body::Peer(_)) {
        carry_out(*source, *number, body);
    }
}

fn carry_out(source: SourceId, number: RequestNumber, body: &Body) {
    let mut venue = Furnished::new();
    let events = venue.apply(source, number, body.clone());
    for (cause, events) in events.iter() {
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_events(cause, events, &mut bytes);
        assert_eq!(crossbook_protocol::wire::decode_events(&bytes), Ok((cause, events.to_vec())));
        venue.views.apply_all(cause, events);
    }
    venue.audit();
    let image = Image { partition: venue.partition.state(), follower: venue.views.state() };
    let decoded = snapshot::decode(&snapshot::encode(&image));
    assert_eq!(decoded.as_ref(), Ok(&image));
    let Image { partition, follower } = image;
    let restored = Partition::restore(partition.clone(), 9).expect("a partition's own state");
    assert_eq!(restored.state(), partition);
    let restored = Views::restore(follower.clone(), Limits::default()).expect("the views' own state");
    assert_eq!(restored.state(), follower);
}

/// The first byte chooses between the events of a venue of one partition and the outputs of a partition of a cluster.
pub(super) fn told(bytes: &[u8]) {
    let (choice, record) = input::choice(bytes);
    let mut again = Vec::new();
    if choice % 2 == 0 {
        let Ok((cause, events)) = crossbook_protocol::wire::decode_events(record) else { return };
        crossbook_protocol::wire::encode_events(cause, &events, &mut again);
        assert_eq!(crossbook_protocol::wire::decode_events(&again), Ok((cause, events)));
    } else {
        let Ok(told) = crossbook_protocol::wire::decode_published(record) else { return };
        let message = |number| {
            let message = PeerMessage::Release { account: AccountId(1), hold: HoldId(1) };
            move |to| Outgoing { to, number, deadline: None, message: message.clone() }
        };
        let outgoing: Vec<Outgoing> = told.sent.iter().map(|&(to, number)| message(number)(to)).collect();
        let command = Command::new(
            told.cause.sequence,
            told.cause.time,
            told.source,
            told.number,
            Body::OpenAccount(crossbook_protocol::command::OpenAccount { label: String::new() }),
        );
        crossbook_protocol::wire::encode_published(&command, &outgoing, &told.events, &mut again);
        let mut once = told.sent.clone();
        once.sort_unstable();
        once.dedup_by_key(|(to, _)| *to);
        if once.len() == told.sent.len() {
            assert_eq!(crossbook_protocol::wire::decode_published(&again), Ok(told));
        }
    }
    assert!(
        again.len() <= record.len() || record[0] != crossbook_protocol::wire::VERSION,
        "there are only longer ways to write it"
    );
}
