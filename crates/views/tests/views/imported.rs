//! A venue of one partition moves into three, after any stream of random commands, and from then on both tell the same
//! story: the same trades at the same prices between the same orders, the same refusals, the same balances.

use std::collections::{BTreeMap, VecDeque};

use crate::kit::steps::{self, Step};
use crate::kit::{GATEWAY, countdowns, fees, listings};
use crossbook_engine::Partition;
use crossbook_engine::import::Past;
use crossbook_oracle::model::Model;
use crossbook_oracle::workload::SplitMix64;
use crossbook_protocol::command::{Body, ChangeMarket, FeePayout, OpenAccount};
use crossbook_protocol::import::{Inventory, Piece};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::session::{SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{
    AccountId, Amount, AssetId, Market, MarketStatus, PartitionId, RequestNumber, Sequence, SourceId, SymbolName,
    Timestamp, TransferId,
};
use crossbook_views::{Limits, Order, ReferenceAt, Views};

const EXPORT: [u8; 32] = [7; 32];

/// Open orders, balances, and the reference prices of all markets.
type Read = (Vec<Order>, Vec<(AccountId, crossbook_views::Balance)>, Vec<Option<ReferenceAt>>);

/// The time of the command of that number: a tenth of a second after the one before.
fn at(number: u64) -> Timestamp {
    Timestamp(number * 100_000)
}

/// Partitions, each with views of its own, and the simplest transport between them that keeps its promises.
struct Venue {
    routing: Routing,
    partitions: Vec<Partition>,
    views: Vec<Views>,
    number: u64,
}

impl Venue {
    fn new(routing: Routing) -> Self {
        let partitions = routing.all().map(|id| Partition::new(id, routing.clone(), u64::from(id.0))).collect();
        let views = routing.all().map(|_| Views::new(Limits::default())).collect();
        Self { routing, partitions, views, number: 0 }
    }

    /// Lets one partition apply a command. Its events.
    fn command(&mut self, to: PartitionId, source: SourceId, number: RequestNumber, body: Body) -> Vec<Event> {
        let (partition, views) = (&mut self.partitions[usize::from(to.0)], &mut self.views[usize::from(to.0)]);
        let command = Command::new(partition.sequence().next(), at(self.number), source, number, body);
        let mut events = Events::new();
        partition.apply(&command, &mut events);
        for (cause, events) in events.iter() {
            views.apply_all(cause, events);
        }
        events.all().to_vec()
    }

    /// Applies a client's command and all that follows from it, wherever. What clients are told, but for balances,
    /// which come in parts.
    fn apply(&mut self, body: Body, repeat: bool) -> Vec<Event> {
        self.number += u64::from(!repeat);
        self.deliver(VecDeque::from([(self.routing.home(&body), GATEWAY, RequestNumber(self.number), body)]))
    }

    /// Goes on with all that commands have left.
    fn go_on(&mut self) {
        let next = |partition: &Partition| Some((partition.id(), partition.continuation()?));
        while let Some((id, number)) = self.partitions.iter().find_map(next) {
            let body = Body::Peer(PeerMessage::Continue);
            self.deliver(VecDeque::from([(id, SourceId::partition(id), number, body)]));
        }
    }

    /// Applies commands and all that follows from them.
    fn deliver(&mut self, mut queue: VecDeque<(PartitionId, SourceId, RequestNumber, Body)>) -> Vec<Event> {
        let mut told = Vec::new();
        while let Some((to, source, number, body)) = queue.pop_front() {
            let events = self.command(to, source, number, body);
            let of_registry = |event: &Event| {
                matches!(
                    event,
                    Event::MarketChanged(_)
                        | Event::AccountOpened(_)
                        | Event::ExchangeFiltersChanged(_)
                        | Event::AccountFeesChanged { .. }
                        | Event::FeeTiersChanged(_)
                        | Event::FeeDiscountChanged(_)
                        | Event::DiscountUseChanged { .. }
                        | Event::FrozenChanged { .. }
                        | Event::TradeGroupSet { .. }
                )
            };
            let at_last = |event: &Event| matches!(event, Event::BalanceChanged { .. } | Event::FeeTierReached { .. });
            let received = events.into_iter().filter(|event| to == Routing::REGISTRY || !of_registry(event));
            told.extend(received.filter(|event| !at_last(event)));
            for outgoing in self.partitions[usize::from(to.0)].drain_outgoing() {
                let body = Body::Peer(outgoing.message);
                queue.push_back((outgoing.to, SourceId::partition(to), outgoing.number, body));
            }
        }
        told
    }

    fn inventory(&self) -> Inventory {
        let parts: Vec<(&Partition, &dyn Past)> =
            self.partitions.iter().zip(&self.views).map(|(partition, views)| (partition, views as &dyn Past)).collect();
        crossbook_engine::import::gather(&parts).unwrap()
    }

    /// Takes a piece over, and goes on as after a restart. The answer, if there is one.
    fn take(&mut self, to: PartitionId, number: u64, piece: Piece) -> Option<Answer> {
        let events = self.command(to, piece.source(), RequestNumber(number), Body::Import(Box::new(piece)));
        let at = usize::from(to.0);
        let state = self.partitions[at].state();
        self.partitions[at] = Partition::restore(state.clone(), number).unwrap();
        assert_eq!(self.partitions[at].state(), state);
        let saved = self.views[at].state();
        self.views[at] = Views::restore(saved.clone(), Limits::default()).unwrap();
        assert_eq!(self.views[at].state(), saved);
        events.into_iter().find_map(|event| match event {
            Event::Answered { answer, .. } => Some(answer),
            _ => None,
        })
    }

    /// Moves a venue in, as far as the last step, each piece twice.
    fn move_in(&mut self, inventory: &Inventory) {
        let all = crossbook_engine::import::pieces(inventory, &self.routing, EXPORT);
        for (to, pieces) in self.routing.all().zip(all) {
            for (number, piece) in (1..).zip(pieces) {
                assert_eq!(self.take(to, number, piece.clone()), Some(Answer::Imported), "{piece:?}");
                assert_eq!(self.take(to, number, piece), None, "a piece that comes again has no effect");
                assert_eq!(self.partitions[usize::from(to.0)].pieces(), RequestNumber(number));
            }
            // Not earlier: what is held for the orders of a list is known when the list is there, too.
            assert_eq!(self.partitions[usize::from(to.0)].audit().violations, Vec::<String>::new());
            let refused = self.command(to, SourceId(GATEWAY.0 + 1), RequestNumber(1), open_account());
            assert_eq!(answer(&refused), &Answer::Refused(Refusal::Importing), "nothing else is done meanwhile");
        }
    }

    fn open(&mut self) {
        for to in self.routing.all() {
            assert!(self.partitions[usize::from(to.0)].is_importing());
            assert_eq!(self.take(to, 1, Piece::Open), Some(Answer::Imported));
            assert!(self.partitions[usize::from(to.0)].has_imported());
        }
    }

    fn balances(&self) -> BTreeMap<(AccountId, AssetId), (i128, i128)> {
        let all = self.partitions.iter().flat_map(|partition| partition.ledger().balances());
        all.map(|(account, asset, balance)| ((account, asset), (balance.free.0, balance.held.0))).collect()
    }

    fn venue_balance(&self, account: AccountId, asset: AssetId) -> i128 {
        self.partitions.iter().map(|partition| partition.ledger().venue_balance(account, asset).0).sum()
    }

    /// What clients read of their open orders, of all that they have, and of the reference prices.
    fn read(&self) -> Read {
        let registry = self.views[0].registry();
        let (mut orders, mut balances) = (Vec::new(), Vec::new());
        for account in registry.accounts() {
            orders.extend(self.views.iter().flat_map(|views| views.open_orders(account.id)).cloned());
            let owner = &self.views[usize::from(self.routing.of_account(account.id).0)];
            let held = owner.holdings(account.id).unwrap().balances().iter();
            let some = held.filter(|balance| !(balance.free.is_zero() && balance.held.is_zero()));
            balances.extend(some.map(|balance| (account.id, *balance)));
        }
        orders.sort_unstable_by_key(|order| (order.terms.symbol, order.order));
        let markets = registry.markets().iter();
        let data = |market: &Market| self.views[usize::from(self.routing.of_market(market).0)].market(market.id);
        let references = markets.map(|market| data(market)?.reference_price(at(self.number))).collect();
        (orders, balances, references)
    }
}

fn open_account() -> Body {
    Body::OpenAccount(OpenAccount { label: String::new() })
}

fn answer(events: &[Event]) -> &Answer {
    let answered = events.iter().find_map(|event| match event {
        Event::Answered { answer, .. } => Some(answer),
        _ => None,
    });
    answered.expect("a client's command is answered")
}

/// Depth is counted on where a venue moves in; all else is told with the same numbers.
fn without_numbers_of_depth(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Event::DepthChanged(change) = event {
            change.update = 0;
        }
    }
    events
}

fn stream(seed: u64, length: usize) -> impl Iterator<Item = Step> {
    let mut random = SplitMix64::new(seed);
    (0..length).map(move |_| {
        let (a, b) = (random.next_u64().to_le_bytes(), random.next_u64().to_le_bytes());
        [a, b].concat().try_into().unwrap()
    })
}

fn three() -> Routing {
    let name = |name| SymbolName::new_checked(name).unwrap();
    let names = BTreeMap::from([(name("BTCUSDT"), PartitionId(1)), (name("ETHBTC"), PartitionId(2))]);
    Routing::new_checked(3, BTreeMap::new()).unwrap().with_names(names).unwrap()
}

/// A venue of one partition after some traffic, and what a plain exchange knows of it.
struct Old {
    venue: Venue,
    model: Model,
}

impl Old {
    fn new() -> Self {
        let mut venue = Venue::new(Routing::single());
        let mut setup = vec![Body::ActivateRules(Rules::NEWEST)];
        setup.extend(listings(steps::filters(), fees("0.001", "0.01234567")));
        setup.extend((0..steps::ACCOUNTS).map(|_| open_account()));
        setup.push(Body::ActivateRules(Rules::NEWEST));
        for body in setup {
            venue.apply(body, false);
        }
        let markets = venue.partitions[0].registry().markets().iter().copied();
        let accounts = (0..steps::ACCOUNTS).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
        let mut old = Self { model: Model::new(markets.zip(steps::UNITS).collect(), accounts), venue };
        for body in steps::endowments() {
            old.apply(body);
        }
        old
    }

    fn apply(&mut self, body: Body) -> Vec<Event> {
        let told = self.venue.apply(body.clone(), false);
        let (sequence, number) = (self.venue.partitions[0].sequence(), RequestNumber(self.venue.number));
        self.model.apply(&Command::new(sequence, at(number.0), GATEWAY, number, body));
        told
    }
}

/// Where a circuit breaker has stopped a market while orders were triggered, the rest of them is to be triggered before
/// the venue can move. What is done for that is done in both venues.
fn finish_what_was_reached(old: &mut Old, mut new: Option<&mut Venue>) {
    while let Some(symbol) = old.venue.partitions[0].unfinished() {
        let status = Some(MarketStatus::Trading);
        let open = ChangeMarket { symbol, filters: None, fees: None, status, self_trade: None };
        let session = |change| Body::Session(SessionRequest { symbol, change });
        let remove = session(SessionChange::SetBreaker(None));
        for body in [Body::ChangeMarket(Box::new(open)), remove, session(SessionChange::End)] {
            old.apply(body.clone());
            if let Some(new) = &mut new {
                new.apply(body, false);
            }
        }
        old.venue.go_on();
        if let Some(new) = &mut new {
            new.go_on();
        }
    }
}

/// How many trades and open orders there were after and at the move.
fn both_go_on_the_same_way(seed: u64, before: usize, after: usize) -> (usize, usize) {
    let mut old = Old::new();
    let mut steps = stream(seed, before + after);
    for step in steps.by_ref().take(before) {
        let body = steps::body(&step, &old.model);
        old.apply(body);
    }
    finish_what_was_reached(&mut old, None);
    // The exchange that is the model knows nothing of what the venue does with its fees.
    let transfer = TransferId::new_checked("earned").unwrap();
    let paid = [1, 2, 0].map(AssetId).into_iter().any(|asset| {
        let payout = FeePayout { partition: PartitionId(0), asset, amount: Amount(1), transfer };
        matches!(old.venue.apply(Body::PayOutFees(payout), false)[0], Event::FeesPaidOut(_))
    });
    assert!(before == 0 || paid, "no fees were earned");
    let inventory = old.venue.inventory();

    let mut new = Venue::new(three());
    new.number = old.venue.number;
    new.move_in(&inventory);
    assert_eq!(new.inventory().differences(&inventory), Vec::<String>::new(), "before it is opened");
    new.open();
    assert_eq!(inventory.differences(&new.inventory()), Vec::<String>::new());
    assert_eq!(new.read(), old.venue.read(), "seed {seed}: what clients read");
    // A venue moves without its rules.
    for venue in [&mut old.venue, &mut new] {
        venue.apply(Body::ActivateRules(Rules::NEWEST), false);
    }

    let (mut trades, mut at) = (0, 0);
    let mut asking: VecDeque<Body> = steps::askers().collect();
    while let Some(body) = asking.pop_front().or_else(|| Some(steps::body(&steps.next()?, &old.model))) {
        if steps::may_switch_a_limit_on(&body) {
            asking.extend(steps::askers());
        }
        at += 1;
        let expected = without_numbers_of_depth(countdowns::by_market(&body, old.apply(body.clone())));
        let told = without_numbers_of_depth(countdowns::by_market(&body, new.apply(body.clone(), false)));
        assert_eq!(told, expected, "seed {seed}, step {at}");
        trades += told.iter().filter(|event| matches!(event, Event::Traded(_))).count();
        assert_eq!(new.balances(), old.venue.balances(), "seed {seed}, step {at}");
    }
    finish_what_was_reached(&mut old, Some(&mut new));
    for partition in &new.partitions {
        assert_eq!(partition.audit().violations, Vec::<String>::new());
    }
    for asset in (0..3).map(AssetId) {
        assert_eq!(new.venue_balance(AccountId::CLEARING, asset), 0, "all is settled");
        for account in [AccountId::EXTERNAL, AccountId::FEES] {
            assert_eq!(new.venue_balance(account, asset), old.venue.venue_balance(account, asset));
        }
    }
    assert_eq!(new.read(), old.venue.read());
    assert_eq!(old.venue.inventory().differences(&new.inventory()), Vec::<String>::new());
    (trades, inventory.orders())
}

#[test]
fn a_venue_that_moved_goes_on_as_if_it_had_not() {
    let (mut trades, mut orders) = (0, 0);
    for seed in 0..24 {
        let (more_trades, more_orders) = both_go_on_the_same_way(500 + seed, 300 + 97 * seed as usize, 600);
        (trades, orders) = (trades + more_trades, orders + more_orders);
    }
    assert!(trades > 400 && orders > 100, "{trades} trades, {orders} open orders");
}

#[test]
fn what_is_held_for_fees_in_another_asset_moves_with_the_orders() {
    let (mut reserves, mut begun, mut pairs, mut pending) = (0, 0, 0, 0);
    for seed in 0..600 {
        let mut old = Old::new();
        for step in stream(700 + seed, 900) {
            let body = steps::body(&step, &old.model);
            old.apply(body);
        }
        finish_what_was_reached(&mut old, None);
        let inventory = old.venue.inventory();
        let mut new = Venue::new(three());
        new.move_in(&inventory);
        new.open();
        assert_eq!(inventory.differences(&new.inventory()), Vec::<String>::new());
        assert_eq!(old.venue.balances(), new.balances(), "as much is held");
        let standing = inventory.books.iter().flat_map(|book| &book.orders).filter_map(|standing| standing.reserve);
        let (held, charged): (Vec<_>, Vec<_>) = standing.map(|reserve| (reserve.held, reserve.credit.0 > 0)).unzip();
        reserves += held.len();
        begun += charged.into_iter().filter(|charged| *charged).count();
        for list in inventory.books.iter().flat_map(|book| &book.lists).filter(|list| list.reserve.is_some()) {
            *(if list.released { &mut pairs } else { &mut pending }) += 1;
        }
    }
    assert!(pairs > 1 && pending > 2, "{pairs} pairs and {pending} lists with pending orders have something for fees");
    assert!(reserves > 50 && begun > 1, "{reserves} orders with something for their fees, {begun} have paid some");
}

#[test]
fn a_piece_is_bounded_however_many_accounts_pay_in_another_asset() {
    let mut old = Venue::new(Routing::single());
    old.apply(Body::ActivateRules(Rules::NEWEST), false);
    let users: Vec<AccountId> = (0..1_000).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at)).collect();
    for &account in &users {
        old.apply(open_account(), false);
        old.apply(Body::SetDiscountUse { account, on: true }, false);
    }
    let inventory = old.inventory();
    for piece in crossbook_engine::import::pieces(&inventory, &three(), EXPORT).into_iter().flatten() {
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode(&piece, &mut bytes);
        assert!(bytes.len() < 2_000, "{} bytes", bytes.len());
    }
    let mut new = Venue::new(three());
    new.move_in(&inventory);
    new.open();
    assert_eq!(inventory.differences(&new.inventory()), Vec::<String>::new());
    for partition in &new.partitions {
        assert!(partition.registry().discount_users().eq(users.iter().copied()));
    }
}

#[test]
fn a_venue_at_which_nothing_happened_moves_too() {
    let (trades, orders) = both_go_on_the_same_way(3, 0, 400);
    assert!(trades > 0 && orders == 0);
    let mut new = Venue::new(three());
    new.move_in(&Venue::new(Routing::single()).inventory());
    new.open();
    assert_eq!(answer(&new.apply(open_account(), false)), &Answer::AccountOpened(AccountId::FIRST_CLIENT));
}

#[test]
fn an_imported_venue_can_be_exported_and_imported_again() {
    let mut old = Old::new();
    for step in stream(9, 900) {
        let body = steps::body(&step, &old.model);
        old.apply(body);
    }
    finish_what_was_reached(&mut old, None);
    let inventory = old.venue.inventory();
    let mut from = inventory.clone();
    for routing in [three(), Routing::single(), Routing::new_checked(7, BTreeMap::new()).unwrap()] {
        let mut next = Venue::new(routing);
        next.number = old.venue.number;
        next.move_in(&from);
        next.open();
        from = next.inventory();
        assert_eq!(inventory.differences(&from), Vec::<String>::new());
    }
}

#[test]
fn a_venue_moves_only_where_nothing_is() {
    let inventory = Old::new().venue.inventory();
    assert!(!inventory.balances.is_empty());
    let mut new = Venue::new(three());
    let begin = || Piece::Begin { export: EXPORT, pieces: 3 };
    let registry = Routing::REGISTRY;
    // Something is here already, and goes on.
    new.apply(open_account(), false);
    assert_eq!(new.take(registry, 1, begin()), Some(Answer::Refused(Refusal::NotEmpty)));
    assert!(!new.partitions[0].is_importing());
    assert_eq!(new.partitions[0].pieces(), RequestNumber(0));
    let next = AccountId(AccountId::FIRST_CLIENT.0 + 1);
    assert_eq!(answer(&new.apply(open_account(), false)), &Answer::AccountOpened(next));

    // Pieces without a beginning, from somebody else, or of something that does not fit.
    let mut new = Venue::new(three());
    let misfit = Some(Answer::Refused(Refusal::MisfitPiece));
    assert_eq!(new.take(registry, 1, Piece::Assets(inventory.assets.clone())), misfit);
    assert_eq!(new.take(registry, 1, Piece::Open), misfit);
    assert!(!new.partitions[0].has_imported());
    let mut new = Venue::new(three());
    let events = new.command(registry, GATEWAY, RequestNumber(1), Body::Import(Box::new(begin())));
    assert_eq!(answer(&events), &Answer::Refused(Refusal::MisfitPiece));
    assert_eq!(new.take(registry, 1, begin()), Some(Answer::Imported));
    assert_eq!(new.take(registry, 2, begin()), Some(Answer::Refused(Refusal::NotEmpty)));
    assert!(new.partitions[0].is_importing(), "a second beginning does not end the first");
    assert_eq!(new.take(registry, 3, Piece::Markets(inventory.markets.clone())), misfit, "before its assets");
    assert_eq!(new.take(registry, 4, Piece::Accounts(inventory.accounts.clone())), Some(Answer::Imported));
    assert_eq!(new.take(registry, 5, Piece::Accounts(inventory.accounts.clone())), misfit, "twice");
    assert_eq!(new.take(registry, 6, Piece::Money(inventory.balances.clone())), misfit, "of assets that are not there");
    assert_eq!(new.partitions[0].sequence(), Sequence(7));

    // Afterwards no piece changes anything, nor does it close what is open.
    let mut new = Venue::new(three());
    new.move_in(&inventory);
    new.open();
    let pieces = new.partitions[0].pieces().0;
    assert_eq!(new.take(registry, 2, Piece::Open), misfit);
    assert_eq!(new.take(registry, pieces + 1, Piece::Assets(Vec::new())), misfit);
    assert_eq!(new.take(registry, pieces + 2, begin()), Some(Answer::Refused(Refusal::NotEmpty)));
    assert!(new.partitions[0].has_imported() && !new.partitions[0].is_importing());
}

#[test]
fn a_venue_with_messages_between_partitions_cannot_be_exported() {
    let mut old = Old::new();
    for step in stream(11, 300) {
        let body = steps::body(&step, &old.model);
        old.apply(body);
    }
    let mut new = Venue::new(three());
    new.number = old.venue.number;
    new.move_in(&old.venue.inventory());
    new.open();
    // An order is admitted by its account's partition, and its market has not received of it.
    let mut number = 1_000_000;
    let parts = loop {
        let step = stream(number, 1).next().unwrap();
        number += 1;
        let body = steps::body(&step, &old.model);
        let home = new.routing.home(&body);
        new.command(home, GATEWAY, RequestNumber(number), body);
        if new.partitions[usize::from(home.0)].drain_outgoing().count() > 0 {
            break new.partitions.iter().zip(&new.views);
        }
    };
    let parts: Vec<(&Partition, &dyn Past)> = parts.map(|(partition, views)| (partition, views as &dyn Past)).collect();
    assert_eq!(crossbook_engine::import::gather(&parts), Err(crossbook_engine::import::Error::InTransit));
}
