//! A small venue behind a gateway, on one thread and without a disk: when its command port returns, the request has
//! been executed. Each input starts with the same state: two markets, two accounts with money, keys of both kinds, a
//! few orders and trades.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock, OnceLock};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use crossbeam_channel::Receiver;
use crossbook_api_admin::Admin;
use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::{App, Assembly, Config};
use crossbook_engine::Partition;
use crossbook_gateway::command_port::{Soon, Subject};
use crossbook_gateway::facts::{Batch, StreamSubscriber as _};
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_gateway::{CommandPort, ReadModel};
use crossbook_node::embedded::{self, AuditReport};
use crossbook_node::{EventSink as _, NotAccepted, Request};
use crossbook_oracle::sample::{asset, btcusdt, decimal};
use crossbook_protocol::command::{
    Body, IssueApiKey, ListAsset, ListMarket, OpenAccount, SetTradeGroup, TransferRequest,
};
use crossbook_protocol::countdown::{CountdownScope, SetCountdown};
use crossbook_protocol::order::{
    AmendOrder, CancelOrder, Instructions, NewOrder, OrderTerms, ReplaceOrder, Size, Target,
};
use crossbook_protocol::order_list::NewList;
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_protocol::session::{SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Command, Events, Routing, Rules};
use crossbook_types::{
    AccountId, Amount, ApiKeyId, AssetId, Breaker, ClientOrderId, FeeDiscount, FeeRate, Fees, Filters, ListKind, Mean,
    OptionalPrice, OrderId, OrderType, PartitionId, Peg, PegPrice, Price, PriceRange, Quantity, ReferenceCalculation,
    ReferencePrice, RequestNumber, SelfTradePrevention, Side, SourceId, SymbolId, SymbolName, TimeInForce,
    TradeGroupId, TrailingDelta, TransferId, market,
};
use crossbook_views::{Limits as ViewLimits, Views};
use parking_lot::Mutex;
use secrecy::SecretString;

/// Who sends what the venue is made of.
const MAKER: SourceId = SourceId(SourceId::FIRST_GATEWAY.0 + 1);
/// Who sends what the input asks.
const SOURCE: SourceId = SourceId(SourceId::FIRST_GATEWAY.0 + 7);
/// The operator's token.
pub const TOKEN: &str = "the operator's token";
/// Whoever sends a request sends it from here.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Alice's account, the first.
pub const ALICE: AccountId = AccountId::FIRST_CLIENT;
/// Alice's key that may do all. Its secret is [`SECRET`].
pub const HMAC_KEY: &str = "hmackeyhmackeyhmackeyhmackeyhmackeyhmackeyhmackeyhmackeyhmackey1";
/// The secret of [`HMAC_KEY`].
pub const SECRET: &str = "secretsecretsecretsecretsecretsecretsecretsecretsecretsecret0123";
/// Alice's key that may read, and signs with [`ed25519`].
pub const ED25519_KEY: &str = "edkey25519edkey25519edkey25519edkey25519edkey25519edkey25519edke";

/// What signs for [`ED25519_KEY`].
#[must_use]
pub fn ed25519() -> &'static Ed25519KeyPair {
    static PAIR: LazyLock<Ed25519KeyPair> =
        LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any 32 bytes are a seed"));
    &PAIR
}

/// What [`HMAC_KEY`] signs with.
#[must_use]
pub fn sign(payload: &str) -> String {
    static KEY: LazyLock<hmac::Key> = LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));
    hex::encode(hmac::sign(&KEY, payload.as_bytes()))
}

fn master_key() -> MasterKey {
    MasterKey::from_hex(&SecretString::from("07".repeat(32))).expect("64 digits are a key")
}

/// A partition and its views.
#[derive(Clone, Debug)]
pub struct Furnished {
    /// The partition.
    pub partition: Partition,
    /// What its events have come to.
    pub views: Views,
}

impl Furnished {
    /// The venue as every input finds it.
    #[must_use]
    pub fn new() -> Self {
        static MADE: LazyLock<Furnished> = LazyLock::new(make);
        MADE.clone()
    }

    /// Gives the partition its next command.
    pub fn apply(&mut self, source: SourceId, number: RequestNumber, body: Body) -> Events {
        let (sequence, time) = (self.partition.sequence().next(), self.partition.time());
        let time = crossbook_types::Timestamp(time.0 + 1);
        let mut events = Events::new();
        self.partition.apply(&Command::new(sequence, time, source, number, body), &mut events);
        events
    }

    /// Checks all that can be added up.
    ///
    /// # Panics
    /// When something is wrong.
    pub fn audit(&self) {
        let audit = self.partition.audit();
        assert!(audit.violations.is_empty(), "{:?}", audit.violations);
        assert!(audit.sums.values().all(|sum| sum.is_zero()), "{:?}", audit.sums);
    }
}

impl Default for Furnished {
    fn default() -> Self {
        Self::new()
    }
}

/// The commands that the venue is made of, in order.
#[must_use]
pub fn commands() -> Vec<Body> {
    let mut bodies = vec![Body::ActivateRules(Rules::NEWEST)];
    list_markets(&mut bodies);
    open_accounts(&mut bodies);
    issue_keys(&mut bodies);
    bodies.push(Body::ActivateRules(Rules::NEWEST));
    send_orders(&mut bodies);
    set_countdowns(&mut bodies);
    bodies
}

fn list_markets(bodies: &mut Vec<Body>) {
    let assets = [asset(0, "BTC"), asset(1, "USDT"), asset(2, "ETH")];
    bodies.extend(assets.map(|asset| Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals })));
    for (symbol, base, quote, tick, step) in
        [("BTCUSDT", assets[0], assets[1], "0.01", "0.00001"), ("ETHBTC", assets[2], assets[0], "0.001", "0.001")]
    {
        let rate = |text| FeeRate::from_decimal(decimal(text)).expect("a rate");
        let filters = Filters {
            price_max: Price(100_000_000),
            quantity_max: Quantity(90_000_000),
            market_quantity_max: Quantity(10_000_000),
            notional_min: Amount(1_000),
            band_up_percent: 500,
            band_down_percent: 20,
            orders_max: 200,
            algo_orders_max: 5,
            amends_max: 10,
            order_lists_max: 3,
            ..btcusdt().filters
        };
        let description = market::Description {
            symbol: SymbolName::new_checked(symbol).expect("a name"),
            base,
            quote,
            tick_size: decimal(tick),
            step_size: decimal(step),
            filters,
            fees: Fees { maker: rate("0.001"), taker: rate("0.002") },
            ..btcusdt()
        };
        bodies.push(Body::ListMarket(Box::new(ListMarket { description })));
    }
}

fn open_accounts(bodies: &mut Vec<Body>) {
    bodies.extend(["alice", "bob"].map(|label| Body::OpenAccount(OpenAccount { label: label.to_owned() })));
    // Alone in it: what bob trades with her is a trade.
    bodies.push(Body::SetTradeGroup(SetTradeGroup { account: ALICE, group: TradeGroupId::new_checked(5) }));
    // She pays her fees in the last asset.
    let rates = vec![(AssetId(0), 1_000_000_000), (AssetId(1), 100_000)];
    let discount = FeeDiscount { asset: AssetId(2), basis_points: 2_500, rates, except: Vec::new() };
    bodies.push(Body::SetFeeDiscount(Box::new(discount)));
    bodies.push(Body::SetDiscountUse { account: ALICE, on: true });
    for account in [ALICE, ALICE.next()] {
        for (asset, amount) in [(0, 1_000_000_000), (1, 100_000_000_000_000), (2, 5_000_000_000)] {
            bodies.push(Body::Transfer(TransferRequest {
                account,
                asset: AssetId(asset),
                amount: Amount(amount),
                transfer: TransferId::new_checked(&format!("first-{asset}")).expect("a name"),
            }));
        }
    }
}

fn issue_keys(bodies: &mut Vec<Body>) {
    let key = |text| ApiKeyId::new_checked(text).expect("a key");
    let sealed = master_key().seal(&key(HMAC_KEY), &SecretString::from(SECRET)).expect("memory can be sealed");
    for (name, trade, credential) in [
        (HMAC_KEY, true, Credential::Hmac { sealed }),
        (ED25519_KEY, false, Credential::Ed25519 { public: ed25519().public_key().as_ref().to_vec() }),
    ] {
        bodies.push(Body::IssueApiKey(Box::new(IssueApiKey {
            account: ALICE,
            key: key(name),
            permissions: Permissions { read: true, trade },
            credential,
            allowed_ips: Vec::new(),
        })));
    }
}

/// Orders with instructions, made of plain ones.
fn instructed(limit: impl Fn(AccountId, Side, u64, u64, &str) -> NewOrder) -> [NewOrder; 3] {
    let with = |instructions: Instructions, order: NewOrder| NewOrder {
        terms: OrderTerms { instructions: instructions.boxed(), ..order.terms },
        ..order
    };
    let iceberg = Instructions { iceberg: Some(Quantity(10_000)), ..Instructions::default() };
    let peg = Some(Peg { price: PegPrice::Primary, level: 0 });
    let trailing = Instructions { trailing: Some(TrailingDelta(500)), ..Instructions::default() };
    let mut trailing = with(trailing, limit(ALICE.next(), Side::Sell, 9_000, 20_000, "s2"));
    trailing.terms.order_type = OrderType::StopLossLimit;
    [
        with(iceberg, limit(ALICE, Side::Buy, 9_700, 90_000, "a3")),
        with(Instructions { peg, ..Instructions::default() }, limit(ALICE, Side::Buy, 9_600, 80_000, "a4")),
        trailing,
    ]
}

fn send_orders(bodies: &mut Vec<Body>) {
    let limit = |account, side, price, lots: u64, id: &str| NewOrder {
        account,
        terms: OrderTerms {
            symbol: SymbolId(0),
            client_order_id: ClientOrderId::new_checked(id).expect("a name"),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(price)),
            size: Size::Base(Quantity(lots)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    };
    let bob = ALICE.next();
    let stop = NewOrder {
        terms: OrderTerms {
            order_type: OrderType::StopLoss,
            price: None,
            stop_price: Some(Price(9_500)).into(),
            ..limit(bob, Side::Sell, 1, 20_000, "s1").terms
        },
        ..limit(bob, Side::Sell, 1, 20_000, "s1")
    };
    let orders = [
        limit(bob, Side::Sell, 10_100, 100_000, "b1"),
        limit(bob, Side::Sell, 10_200, 200_000, "b2"),
        limit(bob, Side::Buy, 9_900, 100_000, "b3"),
        limit(ALICE, Side::Buy, 10_100, 50_000, "a1"),
        limit(ALICE, Side::Buy, 9_800, 100_000, "a2"),
        stop,
    ];
    bodies.extend(orders.into_iter().chain(instructed(limit)).map(Body::Place));
    let name = |text| ClientOrderId::new_checked(text).expect("a name");
    bodies.push(Body::Cancel(CancelOrder {
        account: bob,
        symbol: SymbolId(0),
        target: Target::Order(OrderId(2)),
        cancel_id: name("c1"),
        restriction: None,
    }));
    bodies.push(Body::Amend(AmendOrder {
        account: bob,
        symbol: SymbolId(0),
        target: Target::Client(name("b3")),
        quantity: Quantity(90_000),
        placed: Quantity(100_000),
        client_order_id: name("b4"),
    }));
    bodies.push(Body::Replace(Box::new(ReplaceOrder {
        order: limit(ALICE, Side::Buy, 9_700, 100_000, "a3"),
        target: Target::Client(name("a2")),
        cancel_id: name("c2"),
        restriction: None,
        allow_failure: false,
    })));
    send_lists(bodies);
    let breaker = Breaker { move_bp: 5_000, window_seconds: 60, pause_seconds: 1, auction_seconds: 1 };
    let mean = ReferenceCalculation::ArithmeticMean(Mean { buckets: 3, width_ms: 1_000 });
    let range = PriceRange { bid_up: Some(20_000), bid_down: Some(5_000), ask_up: None, ask_down: Some(5_000) };
    for (symbol, change) in [
        (0, SessionChange::SetBreaker(Some(breaker))),
        (0, SessionChange::SetReference(Some(mean))),
        (0, SessionChange::SetPriceRange(Some(range))),
        (1, SessionChange::SetReference(Some(ReferenceCalculation::External { id: 1 }))),
        (1, SessionChange::SetReferencePrice(Some(ReferencePrice(9_900 * ReferencePrice::PER_TICK)))),
    ] {
        bodies.push(Body::Session(SessionRequest { symbol: SymbolId(symbol), change }));
    }
}

/// A pair of bob's, and a working order of alice's with a pair that sells what it buys.
fn send_lists(bodies: &mut Vec<Body>) {
    let name = |text| ClientOrderId::new_checked(text).expect("a name");
    let leg = |order_type: OrderType, side, price: u64, lots, id| OrderTerms {
        symbol: SymbolId(0),
        client_order_id: name(id),
        side,
        order_type,
        time_in_force: TimeInForce::Gtc,
        price: order_type.has_limit_price().then_some(Price(price)),
        size: Size::Base(Quantity(lots)),
        stop_price: order_type.is_conditional().then_some(Price(price)).into(),
        self_trade_prevention: SelfTradePrevention::None,
        instructions: None,
    };
    let pair = |lots, names: [&'static str; 2]| {
        [
            leg(OrderType::StopLoss, Side::Sell, 9_600, lots, names[0]),
            leg(OrderType::LimitMaker, Side::Sell, 10_300, lots, names[1]),
        ]
    };
    let working = leg(OrderType::Limit, Side::Buy, 9_750, 10_000, "a5");
    // One that trails the price from the beginning, and one whose price the book gives.
    let mut priced = pair(1_000, ["b7", "b8"]);
    priced[0].stop_price = None.into();
    priced[0].instructions = Instructions { trailing: Some(TrailingDelta(500)), ..Instructions::default() }.boxed();
    let peg = Peg { price: PegPrice::Primary, level: 1 };
    priced[1].price = None;
    priced[1].instructions = Instructions { peg: Some(peg), ..Instructions::default() }.boxed();
    for (account, list, kind, orders) in [
        (ALICE.next(), "l1", ListKind::Oco, pair(20_000, ["b5", "b6"]).to_vec()),
        (ALICE.next(), "l3", ListKind::Oco, priced.to_vec()),
        (ALICE, "l2", ListKind::Opoco, [working].into_iter().chain(pair(0, ["a6", "a7"])).collect()),
    ] {
        let client_order_id = name(list);
        bodies.push(Body::PlaceList(Box::new(NewList { account, symbol: SymbolId(0), client_order_id, kind, orders })));
    }
}

/// One of each scope, of which one is taken back and one passes, with nothing open where it covers.
fn set_countdowns(bodies: &mut Vec<Body>) {
    let bob = ALICE.next();
    let (account, symbol, session) =
        (CountdownScope::Account, CountdownScope::Symbol(SymbolId(1)), CountdownScope::Session(7));
    for (owner, scope, after_millis) in [
        (ALICE, account, Some(3_600_000)),
        (ALICE, symbol, Some(60_000)),
        (bob, session, Some(60_000)),
        (bob, symbol, Some(1)),
        (bob, session, None),
        (bob, symbol, Some(0)),
    ] {
        bodies.push(Body::SetCountdown(SetCountdown { account: owner, scope, after_millis }));
    }
}

fn make() -> Furnished {
    let partition = Partition::new(PartitionId(0), Routing::single(), 7);
    let mut made = Furnished { partition, views: Views::new(ViewLimits::default()) };
    let mut now = crossbook_gateway::clock::now();
    let mut events = Events::new();
    for (number, body) in (1..).zip(commands()) {
        now.0 += 1;
        let sequence = made.partition.sequence().next();
        let command = Command::new(sequence, now, MAKER, RequestNumber(number), body);
        made.partition.apply(&command, &mut events);
    }
    for (cause, events) in events.iter() {
        let refused =
            |event: &_| matches!(event, crossbook_protocol::Event::Answered { answer: Answer::Refused(_), .. });
        assert!(!events.iter().any(refused), "the venue is made of what it takes: {events:?}");
        made.views.apply_all(cause, events);
    }
    made
}

struct Core {
    venue: Furnished,
    publisher: Publisher,
    /// What nobody listens to.
    told: Receiver<Batch>,
    /// What has been asked.
    taken: Vec<Body>,
}

/// The way into the partition: it is done before it returns.
struct Door(Arc<Mutex<Core>>);

impl CommandPort for Door {
    fn source(&self) -> SourceId {
        SOURCE
    }

    fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        let Core { venue, publisher, told, taken } = &mut *self.0.lock();
        taken.push(request.body.clone());
        let mut events = venue.apply(SOURCE, request.number, request.body);
        publisher.publish(&mut events);
        told.try_iter().for_each(drop);
        Ok(())
    }

    fn audit(&self) -> Soon<'_, Vec<AuditReport>> {
        let report = embedded::audit(&self.0.lock().venue.partition);
        Box::pin(async move { Ok(vec![report]) })
    }

    fn queued(&self) -> usize {
        0
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn caught_up(&self, _: Subject) -> Option<Soon<'_>> {
        None
    }
}

/// A gateway with the venue behind it.
pub struct Venue {
    /// The gateway.
    pub app: Arc<App>,
    rest: OnceLock<Rest>,
    /// The operator's API.
    pub admin: Admin,
    core: Arc<Mutex<Core>>,
}

impl Default for Venue {
    fn default() -> Self {
        Self::new()
    }
}

impl Venue {
    /// The venue, freshly made, and without limits: what a client asked before must not show.
    #[must_use]
    pub fn new() -> Self {
        let mut config = Config::default();
        let limits = &mut config.limits;
        (limits.request_weight_1m, limits.raw_requests_5m, limits.orders_10s, limits.orders_1d) = (0, 0, 0, 0);
        config.streams.attempts_max = u32::MAX;
        config.streams.messages_per_second_max = usize::MAX;
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        let venue = Furnished::new();
        let (facts, told) = crossbeam_channel::unbounded();
        let bounds = config.server.clone();
        let assembly = Assembly::without_feed(config, ReadModel::single(venue.views.clone()), facts);
        for market in venue.partition.registry().markets() {
            assembly.hub().market_listed(market.symbol, market.id);
        }
        let publisher = assembly.publisher(PartitionId(0));
        let core = Arc::new(Mutex::new(Core { venue, publisher, told, taken: Vec::new() }));
        let door = Box::new(Door(Arc::clone(&core)));
        let app = assembly.open(door, master_key(), None);
        let metrics = Box::new(String::new);
        let admin = Admin::new(Arc::clone(&app.gateway), bounds, SecretString::from(TOKEN), metrics);
        Self { app, rest: OnceLock::new(), admin, core }
    }

    /// The client API.
    #[must_use]
    pub fn rest(&self) -> &Rest {
        self.rest.get_or_init(|| Rest::new(Arc::clone(&self.app), Vec::new()))
    }

    /// Reverts everything that clients have done, but not the operator's changes nor the subscriptions.
    pub fn reset(&self) {
        let mut core = self.core.lock();
        core.venue = Furnished::new();
        core.taken.clear();
        self.app.gateway.read_model.of(PartitionId(0)).write().clone_from(&core.venue.views);
    }

    /// What has been asked of the partition since the last reset.
    #[must_use]
    pub fn taken(&self) -> Vec<Body> {
        self.core.lock().taken.clone()
    }

    /// Checks all that can be added up, and that the views show the same as the partition's own books.
    ///
    /// # Panics
    /// When something is wrong.
    pub fn audit(&self) {
        self.core.lock().venue.audit();
    }
}
