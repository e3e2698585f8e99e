//! `crossbook skip --cluster`: a worker ends at a command that it cannot apply, the operator skips the command, and the
//! next worker continues. The real binary, a real Redis server.

use std::path::Path;
use std::process::{Child, Output, Stdio};

use crossbook_protocol::command::Body;
use crossbook_protocol::order::{NewOrder, OrderTerms};
use crossbook_protocol::peer::{Admitted, Origin, PeerMessage};
use crossbook_protocol::wire;
use crossbook_redis_store::{Link, Options, Servers};
use crossbook_servers::redis::RedisServer;
use crossbook_types::{Amount, Fees, HoldId, PartitionId, Price, RequestNumber, Side, SourceId, TimeInForce};

use crate::small_venue::{ALICE, order, setup};
use crate::venue::{binary, eventually};

const P0: PartitionId = PartitionId(0);

/// A process that is killed when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bytes of a command.
fn command(source: SourceId, number: u64, body: &Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode_command(source, RequestNumber(number), None, body, &mut bytes);
    bytes
}

/// The commands that list a market and open its accounts, and behind them an order that is paid from funds that nobody
/// holds for it, as no partition would send it.
fn commands() -> Vec<Vec<u8>> {
    let mut commands: Vec<_> =
        (1..).zip(setup()).map(|(number, body)| command(SourceId::FIRST_GATEWAY, number, &body)).collect();
    let Body::Place(order) = order(ALICE, Side::Buy, 1) else { panic!("not an order") };
    let order = NewOrder {
        terms: OrderTerms { time_in_force: TimeInForce::Ioc, price: Some(Price(1)), ..order.terms },
        ..order
    };
    let origin = Origin { source: SourceId::FIRST_GATEWAY, number: RequestNumber(1 << 40) };
    let admitted = Admitted { order, hold: HoldId(77), budget: Amount(1 << 40), fees: Fees::default(), origin };
    commands.push(command(SourceId(1 << 50), 1, &Body::Peer(PeerMessage::Admit(admitted))));
    commands
}

fn worker(config: &Path, name: &str) -> Child {
    let mut command = binary();
    command.args(["worker", "--admin", "127.0.0.1:0", "--log-format", "json", "--name", name, "--config"]).arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn skip(config: &Path, arguments: &[&str]) -> Output {
    binary().args(["skip", "--cluster", "--config"]).arg(config).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_command_that_ends_every_worker_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(&folder.path().join("redis")).unwrap();
    let snapshots = folder.path().join("snapshots");
    std::fs::create_dir(&snapshots).unwrap();
    let config = folder.path().join("cluster.toml");
    let settings = format!(
        "[history]\ndatabase = \"none\"\n[cluster]\npartitions = 1\n[cluster.redis]\nservers = [\"{}\"]\n\
         replicas_min = 0\n[cluster.snapshots]\naddress = \"file://{}\"\n",
        redis.url(),
        snapshots.canonicalize().unwrap().display()
    );
    std::fs::write(&config, settings).unwrap();
    let servers = Servers::new(Options { servers: vec![redis.url()], replicas_min: 0, ..Options::default() }).unwrap();
    let commands = commands();
    let payloads: Vec<&[u8]> = commands.iter().map(Vec::as_slice).collect();
    let poison = Link::connect(&servers, P0).unwrap().append(&payloads).unwrap().last;
    let (number, before) = (poison.to_string(), (poison.0 - 1).to_string());

    let ended = worker(&config, "first").wait_with_output().unwrap();
    assert!(!ended.status.success(), "{}", said(&ended));
    assert!(said(&ended).contains(&format!("--sequence {number}")), "it says what to pass over: {}", said(&ended));

    let refused = skip(&config, &["--partition", "0", "--sequence", &before]);
    assert!(!refused.status.success() && said(&refused).contains("can be applied"), "{}", said(&refused));
    let refused = skip(&config, &["--partition", "0", "--sequence", "4711"]);
    assert!(!refused.status.success() && said(&refused).contains("has no command 4711"), "{}", said(&refused));
    let refused = skip(&config, &["--partition", "1", "--sequence", &number]);
    assert!(!refused.status.success() && said(&refused).contains("no partition 1"), "{}", said(&refused));
    let done = skip(&config, &["--partition", "0", "--sequence", &number]);
    assert!(done.status.success() && said(&done).contains("skipped from now on"), "{}", said(&done));
    let again = skip(&config, &["--partition", "0", "--sequence", &number]);
    assert!(again.status.success() && said(&again).contains("skipped already"), "{}", said(&again));

    let mut second = Running(worker(&config, "second"));
    let audit = || binary().args(["audit", "--cluster", "--json", "--config"]).arg(&config).output().unwrap();
    eventually("the partition goes on behind it", async || {
        let audited: serde_json::Value = serde_json::from_slice(&audit().stdout).ok()?;
        (audited["partitions"][0]["sequence"] == poison.0).then_some(())
    })
    .await;
    assert!(second.0.try_wait().unwrap().is_none(), "a worker goes on, too");
}
