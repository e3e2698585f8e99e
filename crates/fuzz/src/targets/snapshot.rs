//! Files beside the log: snapshots, and exports. The first byte chooses which; the checksums around it are corrected,
//! or the fuzzer would never get past them.

use crossbook_engine::{Partition, State};
use crossbook_node::{export, snapshot};
use crossbook_protocol::command::Body;
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::{Command, Events, Routing};
use crossbook_types::{AccountId, ClientOrderId, RequestNumber, SourceId, SymbolId};
use crossbook_views::{Limits, Views};
use sha2::{Digest as _, Sha256};

use crate::input;

pub(super) fn run(bytes: &[u8]) {
    let (choice, rest) = input::choice(bytes);
    match choice % 4 {
        0 => image(rest),
        1 => {
            if let Ok(state) = crossbook_protocol::wire::decode::<State>(rest) {
                partition(state);
            }
        }
        2 => {
            if let Ok(state) = crossbook_protocol::wire::decode::<crossbook_views::State>(rest) {
                views(state);
            }
        }
        _ => {
            exported(rest);
            exported(&sealed(rest));
        }
    }
}

fn image(bytes: &[u8]) {
    let Ok(image) = snapshot::decode::<crossbook_views::State>(bytes) else { return };
    assert_eq!(snapshot::decode(&snapshot::encode(&image)).as_ref(), Ok(&image));
    partition(image.partition);
    views(image.follower);
}

/// A partition continues from its state, or refuses it.
fn partition(state: State) {
    let hash = crossbook_engine::state_hash(&state);
    let Ok(mut restored) = Partition::restore(state, 7) else { return };
    let again = restored.state();
    let twice = Partition::restore(again.clone(), 9).expect("what a partition writes down it reads").state();
    assert_eq!(twice, again);
    let _ = hash;
    assert!(restored.id().0 < restored.routing().partitions());
    let audit = restored.audit();
    if restored.routing().partitions() != 1
        || !audit.violations.is_empty()
        || audit.sums.values().any(|sum| !sum.is_zero())
    {
        return;
    }
    go_on(&mut restored);
}

/// What is sound by its own audit stays so, in a venue of one: every order can be cancelled.
fn go_on(partition: &mut Partition) {
    if partition.sequence().0 >= u64::MAX / 2 || partition.time().0 >= u64::MAX / 2 {
        return;
    }
    let accounts: Vec<AccountId> = partition.registry().accounts().map(|account| account.id).take(4).collect();
    let markets: Vec<SymbolId> = partition.registry().markets().iter().map(|market| market.id).take(2).collect();
    let everyone = accounts.iter().flat_map(|&account| markets.iter().map(move |&symbol| (account, symbol)));
    for (number, (account, symbol)) in (1..).zip(everyone) {
        let cancel_id = ClientOrderId::new_checked("x").expect("a name");
        let body = Body::CancelAll(CancelAll { account, symbol, cancel_id });
        let (sequence, time) = (partition.sequence().next(), partition.time());
        let source = SourceId(u64::MAX);
        let mut events = Events::new();
        partition.apply(&Command::new(sequence, time, source, RequestNumber(number), body), &mut events);
        partition.drain_outgoing().for_each(drop);
    }
}

/// So do the views.
fn views(state: crossbook_views::State) {
    let Ok(restored) = Views::restore(state, Limits::default()) else { return };
    let again = restored.state();
    let twice = Views::restore(again.clone(), Limits::default()).expect("what the views write down they read").state();
    assert_eq!(twice, again);
}

/// The bytes as the body of an export, within what says that they are whole.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = export::MAGIC.to_vec();
    bytes.extend_from_slice(&export::VERSION.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(body);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

fn exported(bytes: &[u8]) {
    let Ok((read, _)) = export::decode(bytes) else { return };
    let (again, name) = export::encode(&read);
    assert_eq!(export::decode(&again).as_ref(), Ok(&(read.clone(), name)));
    assert_eq!(crossbook_engine::import::pieces(&read.inventory, &Routing::single(), name).len(), 1);
}
