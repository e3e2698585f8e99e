//! When API keys were last used, on a real Redis server.

use crossbook_redis_store::{Options, Servers, StoredKeyUses};
use crossbook_servers::redis::RedisServer;

#[test]
fn the_last_text_of_a_key_is_kept_for_a_long_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path()).unwrap();
    let options = Options { servers: vec![server.url()], venue: "test".into(), replicas_min: 0, ..Options::default() };
    let servers = Servers::new(options).unwrap();
    let [one, two] = [StoredKeyUses::new(servers.clone()), StoredKeyUses::new(servers)];
    assert_eq!(one.read(&["A"]).unwrap(), [None]);
    assert_eq!(one.read(&[]).unwrap(), []);
    one.write(&[("A", "1 10.0.0.1".to_owned()), ("B", "2 ::1".to_owned())]).unwrap();
    two.write(&[("B", "3 10.0.0.2".to_owned())]).unwrap();
    let due = [Some("1 10.0.0.1".to_owned()), None, Some("3 10.0.0.2".to_owned())];
    assert_eq!(one.read(&["A", "C", "B"]).unwrap(), due);
    let left: i64 = server.ask(&["PTTL", "{test:p0}:key-use:A"]).unwrap();
    assert!(left > 399 * 86_400_000, "{left}");
    drop(server);
    assert!(one.read(&["A"]).is_err());
    assert!(one.read(&["A"]).is_err(), "and it is no connection that is kept");
}
