use crossbook_log::{Files, Log as _, Record, files};
use crossbook_store::{Address, Options};

use super::*;

fn venue(commands: u64) -> (tempfile::TempDir, DataFolder, u64) {
    let folder = tempfile::tempdir().unwrap();
    let data = DataFolder::new(&folder.path().join("venue")).unwrap();
    let (mut log, _) = Files::open(&data.log(), files::Options::default()).unwrap();
    for at in 1..=commands {
        log.append(Record { sequence: Sequence(at), time: Timestamp(10 * at), payload: b"command" }).unwrap();
    }
    log.sync().unwrap();
    let identity = log.identity();
    (folder, data, identity)
}

fn note(data: &DataFolder, log: u64, last: Sequence, time: Timestamp) -> Result<(), Error> {
    super::record(data, &Reach { log, first: Sequence(1), last, time })
}

fn contradiction(data: &DataFolder) -> Option<Contradiction> {
    Evidence::gather(data, None).unwrap().examine(&data.log()).unwrap()
}

#[test]
fn a_log_that_has_all_that_is_known_of_it_is_not_contradicted() {
    let (_folder, data, identity) = venue(5);
    assert_eq!(contradiction(&data), None, "nothing is known");
    for at in 1..=5 {
        note(&data, identity, Sequence(at), Timestamp(10 * at)).unwrap();
        assert_eq!(contradiction(&data), None);
    }
    assert_eq!(Evidence::gather(&data, None).unwrap().durable(), Sequence(5));
    std::fs::create_dir(data.snapshots()).unwrap();
    std::fs::write(data.snapshots().join(snapshot::name(Sequence(4))), "damaged").unwrap();
    assert_eq!(contradiction(&data), None);
}

#[test]
fn the_mark_knows_the_log_and_the_command() {
    let (_folder, data, identity) = venue(5);
    note(&data, identity, Sequence(8), Timestamp(80)).unwrap();
    let found = contradiction(&data).unwrap();
    assert_eq!((found.end(), found.missing(), found.is_another_log()), (Sequence(5), 3, false));
    let said = found.to_string();
    assert!(said.contains("commands 6 to 8 are missing") && said.contains("--discard-newer"), "{said}");
    note(&data, identity, Sequence(3), Timestamp(31)).unwrap();
    let found = contradiction(&data).unwrap();
    assert!(found.is_another_log() && found.to_string().contains("another command 3"), "{found}");
    note(&data, identity + 1, Sequence(3), Timestamp(30)).unwrap();
    let found = contradiction(&data).unwrap();
    assert!(found.is_another_log() && found.to_string().contains("another log than this one"), "{found}");
}

#[test]
fn a_history_of_which_nothing_else_in_the_folder_knows_is_not_given_up() {
    let claim = |proof, log: &str| {
        let claim = Claim { proof, log: Some(log.to_owned()), command: Sequence(9), time: None };
        (claim, Objection::OtherLog("1".to_owned()))
    };
    let history = || claim(Proof::History("mysql://elsewhere".to_owned()), "2");
    let mark = |log| claim(Proof::Mark(PathBuf::from("log-mark.json")), log);
    let snapshot = || claim(Proof::Snapshot(PathBuf::from("snapshot")), "");
    let cases = [
        (vec![history()], Some("2")),
        (vec![mark("3"), history()], Some("2")),
        (vec![mark("2"), history()], None),
        (vec![snapshot(), history()], None),
        (vec![mark("3")], None),
    ];
    for (objections, strange) in cases {
        let found = Contradiction { log: PathBuf::from("log"), end: Sequence(5), objections };
        assert_eq!(found.strange_history(), strange, "{found}");
    }
}

#[test]
fn a_log_that_is_gone_or_empty_is_behind_a_snapshot_of_it_whatever_that_holds() {
    let (_folder, data, _) = venue(0);
    std::fs::create_dir(data.snapshots()).unwrap();
    std::fs::write(data.snapshots().join(snapshot::name(Sequence(7))), "").unwrap();
    for _ in 0..2 {
        let found = contradiction(&data).unwrap();
        assert_eq!((found.end(), found.missing()), (Sequence(0), 7));
        assert!(found.to_string().contains("the log is lost"), "{found}");
        let _ = std::fs::remove_dir_all(data.log());
    }
}

#[test]
fn what_was_noted_of_the_history_proves_commands_without_its_tables() {
    let (_folder, data, identity) = venue(5);
    let options = |address| Options { database: Address::new(address), ..Options::default() };
    let database = |address| Database::new(&options(address), data.path()).unwrap().unwrap();
    let (own, other) = (database("sqlite"), database("mysql://venue@127.0.0.1:1/other"));
    let found = |of: &Database| {
        let evidence = Evidence::gather(&data, Some(of)).unwrap();
        evidence.examine(&data.log()).unwrap()
    };
    let write = |log, of, command| note::Note::of(&data, log, of).write(Sequence(command), true);
    write(identity, &own, 5);
    assert_eq!(found(&own), None);
    write(identity, &own, 7);
    assert_eq!(found(&other), None, "nothing is known of those tables");
    assert_eq!(Evidence::gather(&data, None).unwrap(), Evidence::default(), "there is no history");
    let behind = found(&own).unwrap();
    assert_eq!((behind.end(), behind.missing()), (Sequence(5), 2));
    assert!(behind.to_string().contains("history-note.json, is from command 7"), "{behind}");
    write(identity + 1, &own, 3);
    assert!(found(&own).unwrap().to_string().contains("another log than this one"));
    // Given up for good, the note is, too.
    std::fs::create_dir(data.snapshots()).unwrap();
    let mut snapshots = Folder::open(&data.snapshots()).unwrap();
    discard(&found(&own).unwrap(), (&mut snapshots, Sequence(5)), Some(&own)).unwrap();
    assert!(!data.history_note().exists());
    assert_eq!(found(&own), None);
}

#[test]
fn what_was_noted_of_the_history_may_be_trimmed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataFolder::new(&folder.path().join("venue")).unwrap();
    let (segment_bytes_max, batch_bytes_max, record_bytes_max) = (8 << 10, 4 << 10, 1 << 10);
    let options = files::Options { segment_bytes_max, batch_bytes_max, record_bytes_max, ..files::Options::default() };
    let (mut log, _) = Files::open(&data.log(), options).unwrap();
    for at in 1..=100 {
        log.append(Record { sequence: Sequence(at), time: Timestamp(at), payload: &[7; 400] }).unwrap();
        log.sync().unwrap();
    }
    log.trim(Sequence(50)).unwrap();
    assert!(log.first() > Sequence(5));
    let database = Database::new(&Options::default(), data.path()).unwrap().unwrap();
    let found = || Evidence::gather(&data, Some(&database)).unwrap().examine(&data.log()).unwrap();
    let write = |log| note::Note::of(&data, log, &database).write(Sequence(5), true);
    write(log.identity());
    assert_eq!(found(), None, "the note may be some seconds behind the tables, and so behind the trimmed log");
    write(log.identity() + 1);
    assert!(found().unwrap().to_string().contains("another log than this one"));
}

#[test]
fn a_mark_that_cannot_be_understood_is_not_none() {
    let (_folder, data, identity) = venue(1);
    for text in ["", "{}", "{\"log\":1}"] {
        std::fs::write(data.log_mark(), text).unwrap();
        assert!(matches!(Evidence::gather(&data, None), Err(Error::Unclear { .. })), "{text}");
    }
    std::fs::remove_file(data.log_mark()).unwrap();
    std::fs::create_dir(data.log_mark()).unwrap();
    assert!(matches!(Evidence::gather(&data, None), Err(Error::Mark { .. })));
    std::fs::remove_dir(data.log_mark()).unwrap();
    note(&data, identity, Sequence(1), Timestamp(10)).unwrap();
    assert_eq!(contradiction(&data), None);
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 2, "nothing unfinished is left");
}
