//! Checks of closing a partition.

use super::*;
use crate::store::{Closing, Refuses};

fn closing(refuses: Refuses) -> Closing {
    Closing { refuses, export: "/var/lib/a venue.export".to_owned() }
}

/// What is appended and delivered in one turn for one partition.
fn both<S: PartitionStore>(
    link: &mut Link<S>,
    (first, messages): (u64, &[&str]),
    append: &[&str],
) -> Result<PartitionOutcome, S::Error> {
    let deliver = [Deliver { from: P2, first: RequestNumber(first), messages: bytes(messages) }];
    let append = bytes(append);
    let turn = PartitionTurn { deliver: &deliver, append: Some(&append), ..reading(0) };
    link.turn(turn, Confirm::Wait).map(|(outcome, _)| outcome)
}

pub(super) fn takes_messages_only_while_closed_to_commands<P: Provider>(provider: &P) {
    let (mut operator, mut gateway) = (link(provider), link(provider));
    assert_eq!(done(operator.closing()), None);
    done(both(&mut gateway, (1, &["m1"]), &["c1"]));
    let closing = closing(Refuses::Commands);
    done(operator.close(Some(&closing)));
    assert_eq!(done(gateway.closing()), Some(closing.clone()));
    assert_eq!(refused(gateway.append(&bytes(&["c2"]))), ErrorKind::Closed);
    assert_eq!(refused(both(&mut gateway, (2, &["m2"]), &["c2"])), ErrorKind::Closed);
    assert_eq!(done(operator.ends()).tail, Sequence(2), "what is refused has done nothing, also beside it");
    let outcome = done(both(&mut gateway, (2, &["m2"]), &[]));
    assert_eq!(texts(&outcome.commands), ["m1", "c1", "m2"], "messages arrive, and reading goes on");
    assert_eq!(outcome.delivered[0].last, RequestNumber(2));
    assert_eq!(outcome.appended.map(|end| end.last), Some(Sequence(3)));
    let error = gateway.append(&bytes(&["c2"])).err().unwrap_or_else(|| panic!("it is closed"));
    assert!(!error.is_transient() && error.to_string().contains(&closing.export), "{error}");
    let mut other = done(Link::connect(&provider.stores(), P2));
    assert_eq!(append(&mut other, &["elsewhere"]).last, Sequence(1), "other partitions are open");
}

pub(super) fn appends_nothing_while_closed_to_everything<P: Provider>(provider: &P) {
    let (mut operator, mut gateway) = (link(provider), link(provider));
    done(both(&mut gateway, (1, &["m1", "m2"]), &["c1"]));
    done(operator.close(Some(&closing(Refuses::Commands))));
    done(operator.close(Some(&closing(Refuses::Everything))));
    assert_eq!(done(gateway.closing()), Some(closing(Refuses::Everything)));
    assert_eq!(refused(gateway.append(&bytes(&["c2"]))), ErrorKind::Closed);
    assert_eq!(refused(gateway.deliver(P2, RequestNumber(3), &bytes(&["m3"]))), ErrorKind::Closed);
    assert_eq!(refused(gateway.deliver(P2, RequestNumber(2), &bytes(&["m2", "m3"]))), ErrorKind::Closed);
    let again = done(both(&mut gateway, (1, &["m1", "m2"]), &[]));
    assert_eq!((again.delivered[0].last, again.commands.len()), (RequestNumber(2), 3), "it has these");
    assert_eq!(done(gateway.deliver(P2, RequestNumber(9), &bytes(&["m9"]))), RequestNumber(2), "too early anyway");
    assert_eq!(read(&mut link(provider), 1), ["m1", "m2", "c1"]);
    assert!(done(gateway.lease("a worker", Duration::from_secs(1))), "what is beside the stream goes on");
    assert_eq!(done(gateway.closing()), Some(closing(Refuses::Everything)));

    done(operator.close(None));
    assert_eq!(done(gateway.closing()), None);
    done(both(&mut gateway, (3, &["m3"]), &["c2"]));
    assert_eq!(read(&mut operator, 4), ["m3", "c2"]);
}
