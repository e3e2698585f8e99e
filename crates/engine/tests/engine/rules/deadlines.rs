//! Deadlines of requests whose account and market belong to different partitions.

use std::collections::BTreeMap;

use crossbook_engine::Partition;
use crossbook_protocol::command::{Body, Deadline, OpenAccount, TransferRequest};
use crossbook_protocol::order::{CancelAll, CancelOrder, NewOrder, Target};
use crossbook_protocol::peer::Outgoing;
use crossbook_protocol::{Answer, Command, Events, Refusal, Routing};
use crossbook_types::{AccountId, Amount, PartitionId, RequestNumber, SourceId, Timestamp, TransferId};

use super::limits::filters;
use crate::kit::*;

const ACCOUNTS: PartitionId = PartitionId(0);
const MARKETS: PartitionId = PartitionId(1);

/// Two partitions and the messages between them, delivered at a time that the test chooses.
struct Pair {
    partitions: Vec<Partition>,
    number: u64,
}

impl Pair {
    fn apply(&mut self, to: PartitionId, command: impl FnOnce(&Partition) -> Command) -> Option<Answer> {
        let partition = &mut self.partitions[usize::from(to.0)];
        let command = command(partition);
        let mut events = Events::new();
        partition.apply(&command, &mut events);
        assert_eq!(partition.audit().violations, Vec::<String>::new());
        events.all().iter().find_map(|event| match event {
            crossbook_protocol::Event::Answered { answer, .. } => Some(answer.clone()),
            _ => None,
        })
    }

    fn request(&mut self, time: u64, deadline: Option<u64>, body: Body) -> Option<Answer> {
        self.request_until(time, deadline.map(|deadline| Timestamp(deadline).into()), body)
    }

    fn request_until(&mut self, time: u64, deadline: Option<Deadline>, body: Body) -> Option<Answer> {
        self.number += 1;
        let number = RequestNumber(self.number);
        self.apply(ACCOUNTS, |partition| {
            let command = Command::new(partition.sequence().next(), Timestamp(time), GATEWAY, number, body);
            command.until(deadline)
        })
    }

    /// Delivers all messages of a partition at `time`; returns the answers that they brought.
    fn deliver(&mut self, from: PartitionId, time: u64) -> Vec<Answer> {
        let sent: Vec<Outgoing> = self.partitions[usize::from(from.0)].drain_outgoing().collect();
        let answers = sent.into_iter().map(|Outgoing { to, number, deadline, message }| {
            self.apply(to, |partition| {
                let (sequence, source) = (partition.sequence().next(), SourceId::partition(from));
                Command::new(sequence, Timestamp(time), source, number, Body::Peer(message))
                    .until(deadline.map(Into::into))
            })
        });
        answers.flatten().collect()
    }

    fn holds(&self) -> usize {
        self.partitions[0].ledger().holds()
    }
}

/// A partition with a funded account, one with the market, and an order of the account.
fn pair() -> (Pair, NewOrder) {
    let routing = Routing::new_checked(2, BTreeMap::new()).unwrap();
    let partitions = routing.all().map(|id| Partition::new(id, routing.clone(), u64::from(id.0))).collect();
    let mut pair = Pair { partitions, number: 0 };
    let accounts = (0..8).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
    let account = accounts.into_iter().find(|&account| routing.of_account(account) == ACCOUNTS).unwrap();
    let mut setup = listings(filters(), fees("0", "0"));
    setup.extend((0..8).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
    for asset in [BTC, USDT] {
        let transfer = TransferId::new_checked(&format!("deposit-{}", asset.0)).unwrap();
        setup.push(Body::Transfer(TransferRequest { account, asset, amount: Amount(1_000_000_000_000), transfer }));
    }
    for body in setup {
        pair.request(1, None, body);
    }
    pair.deliver(ACCOUNTS, 1);
    let symbol = [BTCUSDT, ETHBTC].into_iter().find(|&symbol| routing.of_symbol(symbol) == MARKETS).unwrap();
    (pair, buy(account, 100, 1).with(|terms| terms.symbol = symbol))
}

#[test]
fn an_order_that_reaches_its_market_too_late_is_refused_and_releases_its_funds() {
    let (mut pair, order) = pair();
    assert_eq!(pair.request(10, Some(20), Body::Place(order.clone())), None, "the market's partition answers");
    assert_eq!(pair.holds(), 1);
    assert_eq!(pair.deliver(ACCOUNTS, 21), [Answer::Refused(Refusal::Late)]);
    assert_eq!(pair.deliver(MARKETS, 21), [], "the release is applied whenever it arrives");
    assert_eq!(pair.holds(), 0);
    assert_eq!(pair.request(30, Some(40), Body::Place(order.clone())), None);
    let placed = pair.deliver(ACCOUNTS, 40);
    assert!(matches!(placed[..], [Answer::Placed { .. }]), "its last microsecond: {placed:?}");
    assert_eq!(pair.holds(), 1);
}

/// The clock of one log is an hour ahead, or that of the other.
#[test]
fn each_log_has_its_own_deadline() {
    const HOUR: u64 = 3_600_000_000;
    for (accounts, market) in [(0, HOUR), (HOUR, 0)] {
        let (mut pair, order) = pair();
        let until = |time| Deadline { own: Timestamp(accounts + time), market: Some(Timestamp(market + time)) };
        pair.request_until(accounts + 20, Some(until(20)), Body::Place(order.clone()));
        let placed = pair.deliver(ACCOUNTS, market + 20);
        assert!(matches!(placed[..], [Answer::Placed { .. }]), "in time for both: {placed:?}");
        pair.request_until(accounts + 30, Some(until(30)), Body::Place(order.clone()));
        assert_eq!(pair.deliver(ACCOUNTS, market + 31), [Answer::Refused(Refusal::Late)]);
        let late = pair.request_until(accounts + 41, Some(until(40)), Body::Place(order.clone()));
        assert_eq!(late, Some(Answer::Refused(Refusal::Late)));
        assert_eq!(pair.deliver(ACCOUNTS, market + 40), [], "nothing is passed on");
    }
}

#[test]
fn a_cancel_that_reaches_its_market_too_late_is_refused() {
    let (mut pair, order) = pair();
    pair.request(10, None, Body::Place(order.clone()));
    let placed = pair.deliver(ACCOUNTS, 10);
    let [Answer::Placed { order: id, .. }] = placed[..] else { panic!("{placed:?}") };
    let cancel = CancelOrder {
        account: order.account,
        symbol: order.terms.symbol,
        target: Target::Order(id),
        cancel_id: name("c"),
        restriction: None,
    };
    pair.request(11, Some(20), Body::Cancel(cancel));
    assert_eq!(pair.deliver(ACCOUNTS, 21), [Answer::Refused(Refusal::Late)]);
    let all = CancelAll { account: order.account, symbol: order.terms.symbol, cancel_id: name("all") };
    pair.request(22, Some(30), Body::CancelAll(all));
    assert_eq!(pair.deliver(ACCOUNTS, 31), [Answer::Refused(Refusal::Late)]);
    assert_eq!(pair.holds(), 1, "the order is still open");
    pair.request(32, Some(40), Body::Cancel(cancel));
    let canceled = pair.deliver(ACCOUNTS, 40);
    assert!(!matches!(canceled[..], [Answer::Refused(_)]), "{canceled:?}");
}
