//! Replays recorded logs and compares every thousandth state with the recorded one. The test of the debug build and the
//! program of the optimized build (`recorded` of `crossbook-guard`) both use it.

use crossbook_engine::{Partition, WorkBudget};
use crossbook_log::{FileReader, Reader as _, Until};
use crossbook_protocol::{Body, Events, Routing, Rules};
use crossbook_types::{PartitionId, Sequence};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What one command does in the worlds that are recorded; the same as `crossbook_simulator::WORK`, which this does not
/// depend on.
const WORK: WorkBudget = WorkBudget { triggers: 2, cancels: 2, continued: 3, ..WorkBudget::RULES };

/// The kinds of commands that every recording has.
const KINDS: &str =
    "Cancel CancelAll ChangeMarket IssueApiKey ListAsset ListMarket OpenAccount Peer Place RevokeApiKey Transfer";
/// Those that only later recordings have. Nothing records an import.
const KINDS_SINCE: &str = "ActivateRules Amend CancelList DelistMarket EndCountdown Operated PayOutFees PlaceList \
                           Replace ReportVenue Session SetAccountFees SetCountdown SetDiscountUse SetExchangeFilters \
                           SetFeeDiscount SetFeeTiers SetFrozen SetTradeGroup";

/// The kind of a command, by its name.
fn kind(body: &Body) -> String {
    format!("{body:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Replays every recording in `folder`, and returns how many commands there were.
///
/// # Panics
/// When a state is not what it was, or some rules have no recording.
pub fn replay(folder: &Path) -> u64 {
    let mut commands = 0;
    let (mut rules, mut all_kinds) = (BTreeSet::new(), BTreeSet::new());
    for recording in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let listed = std::fs::read_to_string(recording.join("hashes")).unwrap();
        let mut due: BTreeMap<PartitionId, BTreeMap<Sequence, &str>> = BTreeMap::new();
        for line in listed.lines() {
            let [partition, sequence, hash] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let hashes = due.entry(PartitionId(partition.parse().unwrap())).or_default();
            hashes.insert(Sequence(sequence.parse().unwrap()), hash);
        }
        let routing = Routing::new_checked(due.len() as u16, BTreeMap::new()).unwrap();
        let mut kinds = BTreeSet::new();
        for (id, mut hashes) in due {
            // Any seed of the hash tables gives the same.
            let mut partition = Partition::new(id, routing.clone(), 0x5EED + u64::from(id.0)).with_work(WORK);
            let mut reader = FileReader::open(&recording.join(id.to_string()), Sequence(1));
            let mut events = Events::new();
            while let Some(record) = reader.next(Until::End).unwrap() {
                let command =
                    crossbook_protocol::wire::decode_command(record.sequence, record.time, record.payload).unwrap();
                commands += 1;
                kinds.insert(kind(&command.body));
                rules.insert(command.rules.unwrap_or(partition.active_rules()));
                partition.apply(&command, &mut events);
                partition.drain_outgoing().for_each(drop);
                events.clear();
                if let Some(due) = hashes.remove(&command.sequence) {
                    let hash = crossbook_engine::state_hash(&partition.state());
                    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(hash, due, "{}, partition {id}, command {}", recording.display(), command.sequence);
                }
            }
            assert!(hashes.is_empty(), "the log of partition {id} ends before {hashes:?}");
        }
        let missing: Vec<_> = KINDS.split(' ').filter(|kind| !kinds.contains(*kind)).collect();
        assert!(missing.is_empty(), "{} has no command {missing:?}", recording.display());
        all_kinds.extend(kinds);
    }
    let all: BTreeSet<_> = [KINDS, KINDS_SINCE].iter().flat_map(|kinds| kinds.split(' ')).map(str::to_owned).collect();
    assert_eq!(all_kinds, all, "kinds of recorded commands");
    let known: BTreeSet<Rules> = (1..=Rules::NEWEST.number()).filter_map(Rules::from_number).collect();
    assert_eq!(rules, known, "rules under which recorded commands are applied; record another log for new ones");
    commands
}
