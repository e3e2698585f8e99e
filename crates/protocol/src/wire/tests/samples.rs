//! A sample of each kind of command, event and message, and of an inventory, with the bytes that each version wrote.

use super::*;
use crate::command::{
    ChangeMarket, FeePayout, IssueApiKey, ListAsset, ListMarket, OpenAccount, RevokeApiKey, SetAccountFees,
    SetTradeGroup,
};
use crate::countdown::{Countdown, CountdownScope, SetCountdown};
use crate::counted::{Counted, Incoming};
use crate::event::{
    CloseReason, DepthChanged, Half, LastTrade, MarketImported, OrderAmended, OrderClosed, OrderImported, OrderPlaced,
    Party, PreventedMatch, Prevention, Trade, VenueAccount,
};
use crate::import::{
    Beside, Book, Held, Minute, Payer, Placed, PlacedList, Settings, Standing, StandingLeg, StandingList,
};
use crate::order::{AmendOrder, CancelAll, Membership, OrderTerms, ReplaceOrder};
use crate::order_list::{CancelList, ListImported, ListPlaced, ListTarget, NewList};
use crate::peer::{Admitted, AdmittedList, ListFunding, Replacing, Settlement};
use crate::registry::{Account, ApiKey, Change, Credential, Permissions};
use crate::session::{AuctionPrice, MovedSession, Phase, Session, SessionChange, SessionRequest, WindowPart};
use crate::transfer::Transfer;
use crate::volume::AccountVolume;
use crate::{Answer, Refusal};
use crossbook_types::market::Description;

fn asset(id: u32, name: &str) -> Asset {
    Asset { id: AssetId(id), name: AssetName::new_checked(name).unwrap(), decimals: 8 }
}

fn filters() -> Filters {
    Filters {
        price_min: Price(1),
        price_max: Price(1_000),
        quantity_min: Quantity(2),
        quantity_max: Quantity(2_000),
        market_quantity_max: Quantity(3_000),
        notional_min: Amount(4),
        notional_max: Amount(4_000),
        band_up_percent: 500,
        band_down_percent: 20,
        orders_max: 200,
        algo_orders_max: 5,
        amends_max: 0,
        special: crossbook_types::SpecialFilters::default(),
        relative: crossbook_types::RelativeFilters::default(),
        order_lists_max: 0,
    }
}

fn fees() -> Fees {
    let rate = |text| FeeRate::from_decimal(Decimal::parse(text).unwrap()).unwrap();
    Fees { maker: rate("0.001"), taker: rate("0.002") }
}

fn description() -> Description {
    Description {
        id: SymbolId(0),
        symbol: SymbolName::new_checked("BTCUSDT").unwrap(),
        base: asset(0, "BTC"),
        quote: asset(1, "USDT"),
        tick_size: Decimal::parse("0.01").unwrap(),
        step_size: Decimal::parse("0.00001").unwrap(),
        filters: filters(),
        fees: fees(),
        status: MarketStatus::Break,
        self_trade: crossbook_types::SelfTradeRules::FIRST,
    }
}

/// A market whose filters once allowed more than they do.
fn market() -> Market {
    let wide = Filters { price_max: Price(5_000), quantity_max: Quantity(6_000), ..filters() };
    let wide = Market::new_checked(Description { filters: wide, ..description() }).unwrap();
    wide.changed(filters(), fees(), MarketStatus::Break).unwrap()
}

fn account() -> Account {
    Account { id: AccountId(1001), label: "desk".to_owned(), opened: Timestamp(5), trade_group: None }
}

fn api_key(credential: Credential) -> ApiKey {
    ApiKey {
        key: ApiKeyId::new_checked("key").unwrap(),
        account: AccountId(1001),
        permissions: Permissions { read: true, trade: false },
        credential,
        allowed_ips: vec!["10.0.0.0/8".to_owned()],
        issued: Timestamp(6),
    }
}

fn moved_transfer() -> Transfer {
    Transfer {
        account: AccountId(1001),
        asset: AssetId(1),
        amount: Amount(-5),
        transfer: TransferId::new_checked("t").unwrap(),
        time: Timestamp(7),
    }
}

fn placed(size: Size) -> OrderPlaced {
    OrderPlaced {
        order: OrderId(300),
        account: AccountId(1001),
        terms: OrderTerms {
            symbol: SymbolId(2),
            client_order_id: ClientOrderId::new_checked("c").unwrap(),
            side: Side::Sell,
            order_type: OrderType::TakeProfitLimit,
            time_in_force: TimeInForce::Fok,
            price: Some(Price(300)),
            size,
            stop_price: Some(Price(301)).into(),
            self_trade_prevention: SelfTradePrevention::ExpireMaker,
            instructions: None,
        },
    }
}

fn order_moved_in() -> OrderImported {
    OrderImported {
        placed: placed(Size::Base(Quantity(9))),
        executed: Quantity(4),
        executed_quote: Amount(40),
        placed_at: Timestamp(8),
        updated: Timestamp(9),
        working_since: Some(Timestamp(8)),
        amendments: 0,
        shown: None,
        trailing_since: None,
        extreme: None,
        pegged: None,
        prevention: None,
    }
}

fn market_moved_in() -> MarketImported {
    MarketImported {
        symbol: SymbolId(2),
        next_order: OrderId(300),
        last: Some(LastTrade {
            trade: TradeId(12),
            price: Price(13),
            quantity: Quantity(14),
            quote: Amount(15),
            taker_side: Side::Sell,
            time: Timestamp(16),
        }),
        aggregate_trades: 1,
        depth_update: 2,
        next_prevented: crossbook_types::PreventedMatchId::FIRST,
    }
}

fn trade() -> Trade {
    let party = |order, fee| Party { order: OrderId(order), account: AccountId(1000 + order), fee: Amount(fee) };
    Trade {
        symbol: SymbolId(2),
        trade: TradeId(17),
        price: Price(18),
        quantity: Quantity(19),
        quote: Amount(20),
        taker_side: Side::Buy,
        taker: party(21, 22),
        maker: party(23, 24),
    }
}

fn closed(reason: CloseReason) -> Event {
    Event::OrderClosed(OrderClosed { symbol: SymbolId(2), order: OrderId(300), account: AccountId(1001), reason })
}

fn answered(answer: Answer) -> Event {
    Event::Answered { source: GATEWAY, number: RequestNumber(7), answer }
}

fn events() -> Vec<Event> {
    let (symbol, order, account_id) = (SymbolId(2), OrderId(300), AccountId(1001));
    let cancel_id = ClientOrderId::new_checked("x").unwrap();
    let key = ApiKeyId::new_checked("key").unwrap();
    vec![
        Event::AssetListed(asset(0, "BTC")),
        Event::MarketListed(Box::new(market())),
        Event::MarketChanged(Box::new(market())),
        Event::AccountOpened(Box::new(account())),
        Event::ApiKeyIssued(Box::new(api_key(Credential::Hmac { sealed: vec![1, 2, 3] }))),
        Event::ApiKeyRevoked { account: account_id, key },
        Event::Transferred(Box::new(moved_transfer())),
        Event::OrderPlaced(placed(Size::Quote(Amount(500)))),
        Event::OrderTriggered { symbol, order, account: account_id },
        Event::Traded(trade()),
        closed(CloseReason::Filled),
        closed(CloseReason::Canceled { cancel_id }),
        closed(CloseReason::Expired),
        closed(CloseReason::SelfTradePrevented),
        Event::DepthChanged(DepthChanged {
            symbol,
            side: Side::Buy,
            price: Price(25),
            quantity: Quantity(26),
            update: 27,
        }),
        Event::BalanceChanged { account: account_id, asset: AssetId(1), free: Amount(28), held: Amount(29) },
        answered(Answer::AssetListed(AssetId(1))),
        answered(Answer::MarketListed(symbol)),
        answered(Answer::MarketChanged(symbol)),
        answered(Answer::AccountOpened(account_id)),
        answered(Answer::ApiKeyIssued(key)),
        answered(Answer::ApiKeyRevoked(key)),
        answered(Answer::Transferred(Box::new(moved_transfer()))),
        answered(Answer::Placed { symbol, order }),
        answered(Answer::Canceled { symbol, order }),
        answered(Answer::CanceledAll { symbol, count: 30 }),
        answered(Answer::Refused(Refusal::Importing)),
        answered(Answer::Refused(Refusal::Filter(Filter::MaxAlgoOrders))),
        answered(Answer::Refused(Refusal::Market(market::Error::Band))),
        answered(Answer::Refused(Refusal::MisfitPiece)),
        answered(Answer::Imported),
        Event::MarketImported(Box::new(market_moved_in())),
        Event::OrderImported(Box::new(order_moved_in())),
        Event::MoneyImported { account: account_id, asset: AssetId(1), amount: Amount(31) },
        Event::TransferImported(Box::new(moved_transfer())),
    ]
}

fn commands() -> Vec<Body> {
    let origin = Origin { source: GATEWAY, number: RequestNumber(9) };
    let key = ApiKeyId::new_checked("key").unwrap();
    let hold = HoldId(1 << 32 | 5);
    let Body::Place(new_order) = order("ab", 4) else { unreachable!("an order") };
    let settlement = Settlement {
        account: AccountId(1001),
        hold,
        symbol: SymbolId(2),
        pay_asset: AssetId(0),
        pay: Amount(40),
        improvement: Amount(41),
        receive_asset: AssetId(1),
        receive: Amount(42),
        fee: Amount(43),
        transfer: false,
    };
    let peer = [
        PeerMessage::Registry(Change::Asset(asset(0, "BTC"))),
        PeerMessage::Registry(Change::Market(Box::new(market()))),
        PeerMessage::Registry(Change::Account(Box::new(account()))),
        PeerMessage::Admit(Admitted { order: new_order, hold, budget: Amount(44), fees: fees(), origin }),
        PeerMessage::CancelAll {
            request: CancelAll {
                account: AccountId(1001),
                symbol: SymbolId(2),
                cancel_id: ClientOrderId::new_checked("x").unwrap(),
            },
            origin,
        },
        PeerMessage::Settle(settlement),
        PeerMessage::Release { account: AccountId(1001), hold },
    ];
    let held = Held { hold, account: AccountId(1001), asset: AssetId(1), amount: Amount(45) };
    let standing =
        Placed { order: order_moved_in(), hold, budget: Amount(46), fees: fees(), fee_credit: FeeCredit::NONE };
    let pieces = [
        Piece::Assets(vec![asset(0, "BTC"), asset(1, "USDT")]),
        Piece::Markets(vec![market()]),
        Piece::Accounts(vec![account()]),
        Piece::ApiKeys(vec![api_key(Credential::Rsa { public: vec![4, 5] })]),
        Piece::Transfers(vec![moved_transfer()]),
        Piece::Holds(vec![held]),
        Piece::Market(market_moved_in()),
        Piece::Orders(vec![standing]),
    ];
    let registry = [
        Body::ListAsset(ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 }),
        Body::ListMarket(Box::new(ListMarket { description: description() })),
        Body::ChangeMarket(Box::new(ChangeMarket {
            symbol: SymbolId(2),
            filters: Some(filters()),
            fees: Some(fees()),
            status: Some(MarketStatus::Halt),
            self_trade: None,
        })),
        Body::OpenAccount(OpenAccount { label: "desk".to_owned() }),
        Body::IssueApiKey(Box::new(IssueApiKey {
            account: AccountId(1001),
            key,
            permissions: Permissions { read: true, trade: true },
            credential: Credential::Ed25519 { public: vec![6; 32] },
            allowed_ips: Vec::new(),
        })),
        Body::RevokeApiKey(RevokeApiKey { account: AccountId(1001), key }),
    ];
    let pieces = pieces.map(|piece| Body::Import(Box::new(piece)));
    registry.into_iter().chain(peer.map(Body::Peer)).chain(pieces).collect()
}

/// What version 3 added.
fn commands_since_3() -> Vec<Body> {
    let payout = TransferId::new_checked("p").unwrap();
    vec![
        Body::ReportVenue { partition: PartitionId(3) },
        Body::PayOutFees(FeePayout {
            partition: PartitionId(3),
            asset: AssetId(1),
            amount: Amount(53),
            transfer: payout,
        }),
        Body::Peer(PeerMessage::Continue),
        Body::ChangeMarket(Box::new(ChangeMarket {
            symbol: SymbolId(2),
            filters: None,
            fees: None,
            status: None,
            self_trade: Some(self_trade()),
        })),
        order("ab", 4),
        Body::Cancel(cancel(Some(CancelRestriction::OnlyNew))),
        Body::CancelAll(CancelAll {
            account: AccountId(1001),
            symbol: SymbolId(2),
            cancel_id: ClientOrderId::new_checked("x").unwrap(),
        }),
        transfer_request(),
        Body::Import(Box::new(Piece::Money(vec![Owned {
            account: AccountId(1001),
            asset: AssetId(1),
            amount: Amount(5),
        }]))),
        Body::Import(Box::new(Piece::Begin { export: [7; 32], pieces: 300 })),
        Body::Import(Box::new(Piece::Open)),
    ]
}

fn self_trade() -> SelfTradeRules {
    let modes = [SelfTradePrevention::ExpireTaker, SelfTradePrevention::ExpireBoth];
    SelfTradeRules::new_checked(SelfTradePrevention::ExpireTaker, modes).unwrap()
}

/// The same of events.
fn events_since_3() -> Vec<Event> {
    let (symbol, account) = (SymbolId(2), AccountId(1001));
    let cancel_id = ClientOrderId::new_checked("x").unwrap();
    let Body::Place(refused) = order("ab", 4) else { unreachable!("an order") };
    vec![
        Event::MatchPrevented(PreventedMatch {
            symbol,
            id: PreventedMatchId::new_checked(54).unwrap(),
            account,
            taker_side: Side::Sell,
            taker: OrderId(55),
            maker: OrderId(56),
            mode: SelfTradePrevention::ExpireMaker,
            price: Price(57),
            quantity: Quantity(58),
            quote: Amount(59),
            taker_prevented: Quantity(60),
            maker_prevented: Quantity(61),
            counterparty: None,
            group: None,
        }),
        Event::OrderRefused { order: refused, reason: RejectReason::WouldMatch },
        Event::FeesPaidOut(Box::new(moved_transfer())),
        Event::CancelAllBegun { symbol, account, cancel_id, source: GATEWAY, number: RequestNumber(62) },
        closed(CloseReason::Unaffordable),
        answered(Answer::VenueAccounts(vec![VenueAccount {
            asset: AssetId(1),
            external: Amount(-63),
            fees: Amount(64),
            clearing: Amount(65),
        }])),
        answered(Answer::Refused(Refusal::Skipped)),
        answered(Answer::Refused(Refusal::Market(market::Error::FeeTakesAll))),
    ]
}

fn inventory() -> Inventory {
    let owned = |account, amount| Owned { account, asset: AssetId(1), amount: Amount(amount) };
    Inventory {
        assets: vec![asset(0, "BTC"), asset(1, "USDT")],
        markets: vec![market()],
        accounts: vec![account()],
        api_keys: vec![api_key(Credential::Hmac { sealed: vec![1, 2, 3] })],
        transfers: vec![moved_transfer()],
        balances: vec![owned(AccountId(1001), 47)],
        fees: vec![owned(AccountId::FEES, 48)],
        books: vec![Book {
            market: market_moved_in(),
            orders: vec![Standing {
                order: order_moved_in(),
                held: Amount(49),
                fees: fees(),
                fee_credit: FeeCredit::NONE,
                counted: None,
            }],
            minutes: Vec::new(),
            lists: Vec::new(),
            session: None,
        }],
        forgotten: Vec::new(),
        countdowns: Vec::new(),
        settings: Settings::default(),
        payers: Vec::new(),
    }
}

fn amendment() -> AmendOrder {
    let name = |text| ClientOrderId::new_checked(text).unwrap();
    AmendOrder {
        account: AccountId(1001),
        symbol: SymbolId(2),
        target: Target::Both(OrderId(300), name("a")),
        quantity: Quantity(70),
        placed: Quantity(71),
        client_order_id: name("b"),
    }
}

fn countdown() -> Countdown {
    Countdown { account: AccountId(1001), scope: CountdownScope::Session(300), until: Timestamp(301) }
}

fn replacement() -> ReplaceOrder {
    let Body::Place(order) = order("ab", 4) else { unreachable!() };
    ReplaceOrder {
        order,
        target: Target::Order(OrderId(300)),
        cancel_id: ClientOrderId::new_checked("c").unwrap(),
        restriction: Some(CancelRestriction::OnlyNew),
        allow_failure: true,
    }
}

/// What version 4 added.
fn commands_since_4() -> Vec<Body> {
    let sum = Owned { account: AccountId::EXTERNAL, asset: AssetId(1), amount: Amount(67) };
    vec![
        Body::ActivateRules(Rules::V3),
        Body::Peer(PeerMessage::Registry(Change::Rules(Rules::V3))),
        Body::SetTradeGroup(SetTradeGroup { account: AccountId(1001), group: TradeGroupId::new_checked(300) }),
        Body::SetTradeGroup(SetTradeGroup { account: AccountId(1001), group: None }),
        Body::Peer(PeerMessage::Settle(Settlement {
            account: AccountId(1001),
            hold: HoldId(5),
            symbol: SymbolId(2),
            pay_asset: AssetId(0),
            pay: Amount(40),
            improvement: Amount(0),
            receive_asset: AssetId(1),
            receive: Amount(42),
            fee: Amount(0),
            transfer: true,
        })),
        Body::Peer(PeerMessage::Registry(Change::Account(Box::new(Account {
            trade_group: TradeGroupId::new_checked(300),
            ..account()
        })))),
        instructed(Instructions { trade_group: TradeGroupId::new_checked(300), ..Instructions::default() }),
        Body::Import(Box::new(Piece::Forgotten(vec![sum]))),
        Body::SetCountdown(SetCountdown {
            account: AccountId(1001),
            scope: CountdownScope::Symbol(SymbolId(2)),
            after_millis: Some(1_000),
        }),
        Body::SetCountdown(SetCountdown {
            account: AccountId(1001),
            scope: CountdownScope::Account,
            after_millis: None,
        }),
        Body::EndCountdown(countdown()),
        Body::Peer(PeerMessage::CancelOrders { account: AccountId(1001), symbol: Some(SymbolId(2)) }),
        Body::Import(Box::new(Piece::Countdowns(vec![countdown()]))),
        Body::Import(Box::new(Piece::BeginUnder { export: [7; 32], pieces: 300, rules: Rules::V4 })),
        Body::Amend(amendment()),
        Body::Peer(PeerMessage::Amend {
            request: amendment(),
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }),
        Body::Peer(PeerMessage::Reduce { account: AccountId(1001), hold: HoldId(68), amount: Amount(69) }),
        Body::Replace(Box::new(replacement())),
        Body::Peer(PeerMessage::Replace(Box::new(Replacing {
            request: replacement(),
            hold: HoldId(72),
            budget: Amount(73),
            need: Amount(74),
            whole: true,
            fees: fees(),
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }))),
        Body::Peer(PeerMessage::Shift {
            account: AccountId(1001),
            from: HoldId(75),
            to: HoldId(76),
            amount: Amount(77),
        }),
        session(SessionChange::SetBreaker(Some(breaker()))),
        session(SessionChange::SetBreaker(None)),
        session(SessionChange::End),
        Body::DelistMarket { symbol: SymbolId(2) },
        session(SessionChange::SetBreaker(Some(Breaker { auction_seconds: 120, ..breaker() }))),
        session(SessionChange::OpenAuction { seconds: Some(120) }),
        session(SessionChange::OpenAuction { seconds: None }),
        Body::Import(Box::new(Piece::Session(MovedSession {
            session: paused(),
            before: Some(Price(304)),
            parts: vec![WindowPart { number: 305, low: Price(306), high: Price(308), last: Price(307) }],
        }))),
        Body::Peer(PeerMessage::Session {
            request: SessionRequest { symbol: SymbolId(2), change: SessionChange::Pass { until: Timestamp(303) } },
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }),
    ]
    .into_iter()
    .chain(list_commands())
    .collect()
}

fn list() -> NewList {
    let terms = |size| placed(size).terms;
    NewList {
        account: AccountId(1001),
        symbol: SymbolId(2),
        client_order_id: ClientOrderId::new_checked("list").unwrap(),
        kind: ListKind::Oto,
        orders: vec![terms(Size::Base(Quantity(68))), terms(Size::Base(Quantity(69)))],
    }
}

fn list_commands() -> Vec<Body> {
    let cancel_id = ClientOrderId::new_checked("c").unwrap();
    let (id, origin) = (OrderListId(300 << 16 | 2), Origin { source: GATEWAY, number: RequestNumber(70) });
    let cancel = |target| CancelList { account: AccountId(1001), symbol: SymbolId(2), target, cancel_id };
    let funding =
        ListFunding { working: Some((HoldId(71), Amount(72))), hold: HoldId(73), held: Amount(74), fees: fees() };
    vec![
        Body::PlaceList(Box::new(list())),
        Body::CancelList(cancel(ListTarget::List(id))),
        Body::CancelList(cancel(ListTarget::Client(cancel_id))),
        Body::Peer(PeerMessage::CancelList { request: cancel(ListTarget::Both(id, cancel_id)), origin }),
        Body::Peer(PeerMessage::AdmitList(Box::new(AdmittedList { list: list(), funding, origin }))),
        Body::Peer(PeerMessage::SettleInto { settlement: settlement(), into: HoldId(77) }),
        Body::Import(Box::new(Piece::Lists(vec![PlacedList { list: standing_list(), hold: HoldId(85) }]))),
    ]
}

fn standing_list() -> StandingList {
    StandingList {
        list: list_moved_in(),
        working: Some(OrderId(300)),
        near: Some(Price(86)),
        released: false,
        others: vec![StandingLeg { order: order_moved_in(), need: Amount(87) }],
        held: Amount(88),
        fees: fees(),
    }
}

fn list_moved_in() -> ListImported {
    ListImported {
        placed: list_placed(),
        names: vec![ClientOrderId::new_checked("n").unwrap()],
        placed_at: Timestamp(89),
        updated: Timestamp(90),
    }
}

fn list_placed() -> ListPlaced {
    ListPlaced {
        symbol: SymbolId(2),
        list: OrderListId(300 << 16 | 2),
        account: AccountId(1001),
        kind: ListKind::Oto,
        client_order_id: ClientOrderId::new_checked("list").unwrap(),
        orders: vec![OrderId(300), OrderId(301)],
    }
}

fn settlement() -> Settlement {
    Settlement {
        account: AccountId(1001),
        hold: HoldId(78),
        symbol: SymbolId(2),
        pay_asset: AssetId(1),
        pay: Amount(79),
        improvement: Amount(80),
        receive_asset: AssetId(0),
        receive: Amount(81),
        fee: Amount(82),
        transfer: false,
    }
}

fn list_events() -> Vec<Event> {
    let (symbol, account, list) = (SymbolId(2), AccountId(1001), OrderListId(300 << 16 | 2));
    let member = Instructions { list: Some(Membership { list, pending: true }), ..Instructions::default() };
    let mut order = placed(Size::Base(Quantity(83)));
    order.terms.instructions = member.boxed();
    let changed = |status| Event::ListChanged { symbol, list, account, status };
    vec![
        Event::OrderPlaced(order),
        Event::ListPlaced(Box::new(list_placed())),
        Event::OrderReleased { symbol, order: OrderId(301), account, quantity: Quantity(84) },
        changed(ListStatus::Executing),
        changed(ListStatus::AllDone),
        closed(CloseReason::OcoTrigger),
        closed(CloseReason::WorkingEnded),
        closed(CloseReason::Unplaceable),
        answered(Answer::ListPlaced { symbol, list }),
        answered(Answer::ListCanceled { symbol, list }),
        answered(Answer::Refused(Refusal::ListPrices)),
        answered(Answer::Refused(Refusal::NoOrderLists)),
        answered(Answer::Refused(Refusal::AmendUnpaid)),
        answered(Answer::Refused(Refusal::Filter(Filter::MaxOrderLists))),
        Event::ListImported(Box::new(list_moved_in())),
    ]
}

fn exchange_filters() -> ExchangeFilters {
    ExchangeFilters { orders_max: 200, algo_orders_max: 0, iceberg_orders_max: 7 }
}

/// Filters with all that looks beyond the order.
fn relative() -> Filters {
    Filters {
        relative: RelativeFilters {
            percent_price: Band { up_percent: 300, down_percent: 30 },
            sell_band: Some(Band { up_percent: 400, down_percent: 40 }),
            average_minutes: 5,
            notional: NotionalFilter::Least,
            market_below_min: true,
            market_max: true,
            position_max: Amount(78),
        },
        ..filters()
    }
}

fn account_fees() -> AccountFees {
    AccountFees { standard: Some(fees()), special: Fees::default(), tax: fees() }
}

fn fee_tiers() -> FeeTiers {
    FeeTiers { asset: AssetId(1), tiers: vec![FeeTier { volume_min: Amount(83), fees: fees() }] }
}

fn settings() -> Settings {
    Settings { exchange_filters: exchange_filters(), fee_tiers: Some(fee_tiers()) }
}

fn payer() -> Payer {
    let volume = AccountVolume { days: vec![(84, Amount(85))], rated: Some(86), fees: Some(fees()) };
    Payer { account: AccountId(1001), fees: account_fees(), volume: Some(volume) }
}

fn counted() -> Counted {
    let incoming =
        Incoming { symbol: SymbolId(2), amount: Amount(79), lot: Amount(80), held_per_hundred: Amount(8_100) };
    Counted { order: true, algo: true, iceberg: false, incoming: Some(incoming) }
}

/// Commands of filters that look beyond the order.
fn commands_of_filters() -> Vec<Body> {
    vec![
        Body::SetExchangeFilters(exchange_filters()),
        Body::Peer(PeerMessage::Registry(Change::ExchangeFilters(exchange_filters()))),
        Body::ChangeMarket(Box::new(ChangeMarket {
            symbol: SymbolId(2),
            filters: Some(relative()),
            fees: None,
            status: None,
            self_trade: None,
        })),
        Body::Import(Box::new(Piece::Settings(settings()))),
        Body::Import(Box::new(Piece::Beside(Beside::Counted(vec![(HoldId(82), AccountId(1001), counted())])))),
        Body::Import(Box::new(Piece::Beside(Beside::Minutes {
            symbol: SymbolId(2),
            minutes: vec![Minute { minute: 87, lots: 88, worth: 89 }],
        }))),
        Body::SetAccountFees(SetAccountFees { account: AccountId(1001), fees: account_fees() }),
        Body::Peer(PeerMessage::Registry(Change::AccountFees { account: AccountId(1001), fees: account_fees() })),
        Body::Import(Box::new(Piece::Payers(vec![payer()]))),
        Body::SetFeeTiers(Box::new(fee_tiers())),
        Body::Peer(PeerMessage::Registry(Change::FeeTiers(Box::new(fee_tiers())))),
    ]
}

/// Events of filters that look beyond the order.
fn events_of_filters() -> Vec<Event> {
    let refused = |filter| answered(Answer::Refused(Refusal::Filter(filter)));
    vec![
        Event::ExchangeFiltersChanged(exchange_filters()),
        answered(Answer::ExchangeFiltersSet),
        Event::AccountFeesChanged { account: AccountId(1001), fees: account_fees() },
        answered(Answer::FeesSet),
        Event::FeeTiersChanged(Box::new(fee_tiers())),
        Event::FeeTierReached { account: AccountId(1001), fees: Some(fees()) },
        answered(Answer::Refused(Refusal::FeeTiers)),
        refused(Filter::PercentPriceOfBoth),
        refused(Filter::MinNotional),
        refused(Filter::MaxPosition),
        refused(Filter::ExchangeMaxOrders),
        refused(Filter::ExchangeMaxAlgoOrders),
        refused(Filter::ExchangeMaxIcebergOrders),
        answered(Answer::Refused(Refusal::Market(market::Error::AverageMinutes))),
        answered(Answer::Refused(Refusal::Market(market::Error::Position))),
    ]
}

fn breaker() -> Breaker {
    Breaker { move_bp: 500, window_seconds: 60, pause_seconds: 300, auction_seconds: 0 }
}

fn paused() -> Session {
    Session { symbol: SymbolId(2), phase: Phase::Paused, until: Some(Timestamp(303)), breaker: Some(breaker()) }
}

fn session(change: SessionChange) -> Body {
    Body::Session(SessionRequest { symbol: SymbolId(2), change })
}

fn events_since_4() -> Vec<Event> {
    let name = |text| ClientOrderId::new_checked(text).unwrap();
    vec![
        Event::RulesActivated(Rules::V3),
        answered(Answer::RulesActive(Rules::V3)),
        decremented(None),
        decremented(Some(AccountId(1002))),
        Event::TradeGroupSet { account: AccountId(1001), group: TradeGroupId::new_checked(300) },
        answered(Answer::TradeGroupSet(AccountId(1001))),
        answered(Answer::Refused(Refusal::TradeGroupFull)),
        Event::OrderImported(Box::new(OrderImported {
            prevention: Some(Prevention { quantity: Quantity(3), id: PreventedMatchId::new_checked(54).unwrap() }),
            ..order_moved_in()
        })),
        Event::OrderAmended(OrderAmended {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            count: 2,
            quantity: Quantity(70),
            quantity_before: Quantity(71),
            client_order_id: name("b"),
            client_order_id_before: name("a"),
        }),
        Event::OrderClosed(OrderClosed {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            reason: CloseReason::Amended,
        }),
        Event::OrderImported(Box::new(OrderImported { amendments: 2, ..order_moved_in() })),
        answered(Answer::Amended { symbol: SymbolId(2), order: OrderId(300) }),
        answered(Answer::Refused(Refusal::AmendNotAllowed)),
        answered(Answer::Replaced {
            symbol: SymbolId(2),
            canceled: Half::Done(OrderId(300)),
            placed: Half::Refused(Refusal::WouldTake),
        }),
        answered(Answer::Replaced {
            symbol: SymbolId(2),
            canceled: Half::Refused(Refusal::UnknownOrder),
            placed: Half::NotTried,
        }),
        answered(Answer::Refused(Refusal::Filter(Filter::MaxAmends))),
        Event::CountdownSet(countdown()),
        Event::CountdownEnded { account: AccountId(1001), scope: CountdownScope::Account, passed: true },
        answered(Answer::CountdownSet { until: Some(Timestamp(301)) }),
        answered(Answer::Refused(Refusal::NoCountdown)),
        answered(Answer::Refused(Refusal::TooManyCountdowns)),
        Event::SessionChanged(paused()),
        answered(Answer::SessionChanged(Session {
            symbol: SymbolId(2),
            phase: Phase::Open,
            until: None,
            breaker: None,
        })),
        answered(Answer::Refused(Refusal::NoSuchPhase)),
        answered(Answer::Refused(Refusal::BreakerRange)),
        Event::SessionChanged(Session { phase: Phase::Collecting, until: None, ..paused() }),
        Event::SessionChanged(Session { phase: Phase::Matching, until: None, ..paused() }),
        Event::AuctionPriced(AuctionPrice { symbol: SymbolId(2), price: Price(78), quantity: Quantity(79) }),
        answered(Answer::Refused(Refusal::NotInAuction)),
        answered(Answer::Refused(Refusal::AuctionMatching)),
        answered(Answer::Refused(Refusal::AuctionTooLong)),
        answered(Answer::Refused(Refusal::NotAStatusToSet(MarketStatus::AuctionMatch))),
        Event::OrderClosed(OrderClosed {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            reason: CloseReason::ByVenue,
        }),
    ]
    .into_iter()
    .chain(list_events())
    .collect()
}

fn decremented(counterparty: Option<AccountId>) -> Event {
    Event::MatchPrevented(PreventedMatch {
        symbol: SymbolId(2),
        id: PreventedMatchId::new_checked(54).unwrap(),
        account: AccountId(1001),
        taker_side: Side::Buy,
        taker: OrderId(300),
        maker: OrderId(301),
        mode: if counterparty.is_some() { SelfTradePrevention::Transfer } else { SelfTradePrevention::Decrement },
        price: Price(57),
        quantity: Quantity(58),
        quote: Amount(59),
        taker_prevented: Quantity(58),
        maker_prevented: Quantity(58),
        counterparty,
        group: counterparty.and(TradeGroupId::new_checked(300)),
    })
}

const CAUSE: Cause = Cause { sequence: Sequence(3), time: Timestamp(4) };

/// The samples as a version wrote them, one a line.
const VERSION_2: &str = include_str!("version_2.hex");
const VERSION_3: &str = include_str!("version_3.hex");
const VERSION_4: &str = include_str!("version_4.hex");

fn lines(written: &str, kind: &str) -> Vec<Vec<u8>> {
    written.lines().filter_map(|line| line.strip_prefix(kind)).map(unhex).collect()
}

/// Each line is read as its sample, for ever.
fn are_read(written: &str, rules: Option<Rules>, commands: Vec<Body>, events: Vec<Event>, inventory: Inventory) {
    let lines = |kind| lines(written, kind);
    let bytes = lines("command ");
    assert_eq!(commands.len(), bytes.len());
    for (body, bytes) in commands.into_iter().zip(bytes) {
        let command = decode_command(Sequence(3), Timestamp(4), &bytes).unwrap();
        let deadline = (bytes[0] >= 3).then_some(Timestamp(66).into());
        assert_eq!((command.rules, command.deadline, command.body), (rules, deadline, body));
    }
    let bytes = lines("event ");
    assert_eq!(events.len(), bytes.len());
    for (event, bytes) in events.iter().zip(bytes) {
        assert_eq!(decode_events(&bytes).unwrap(), (CAUSE, vec![event.clone()]));
    }
    let (sent, number) = (vec![(PartitionId(2), RequestNumber(50))], RequestNumber(7));
    let published = Published { cause: CAUSE, source: GATEWAY, number, sent, events };
    assert_eq!(decode_published(&lines("published ")[0]), Ok(published));
    let exported = ((Sequence(51), Timestamp(52)), inventory);
    assert_eq!(decode::<((Sequence, Timestamp), Inventory)>(&lines("inventory ")[0]), Ok(exported));
}

/// Nothing in the events of version 1 is different from those of version 2.
#[test]
fn what_version_2_wrote_is_read() {
    are_read(VERSION_2, Some(Rules::V1), commands(), events(), inventory());
    for (event, mut bytes) in events().into_iter().zip(lines(VERSION_2, "event ")) {
        bytes[0] = 1;
        assert_eq!(decode_events(&bytes).unwrap(), (CAUSE, vec![event]));
    }
}

#[test]
fn what_version_3_wrote_is_read() {
    let commands = commands().into_iter().chain(commands_since_3()).collect();
    let events = events().into_iter().chain(events_since_3()).collect();
    are_read(VERSION_3, Some(Rules::V2), commands, events, inventory());
}

/// The bytes of the version that is written. They change only on purpose: `CROSSBOOK_WRITE_SAMPLES=1` in the
/// environment writes the file anew, before the version is in a release.
#[test]
fn what_version_4_writes_is_what_it_wrote() {
    let commands = commands().into_iter().chain(commands_since_3()).chain(commands_since_4());
    let commands: Vec<Body> = commands.chain(commands_of_filters()).collect();
    let events = events().into_iter().chain(events_since_3()).chain(events_since_4());
    let events: Vec<Event> = events.chain(events_of_filters()).collect();
    let mut written = String::new();
    let mut line = |kind: &str, write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        written += &format!("{kind} {hex}\n");
    };
    for body in &commands {
        line("command", &|out| encode_command(GATEWAY, RequestNumber(7), Some(Timestamp(66).into()), body, out));
    }
    for event in &events {
        line("event", &|out| encode_events(CAUSE, std::slice::from_ref(event), out));
    }
    let command = Command::new(CAUSE.sequence, CAUSE.time, GATEWAY, RequestNumber(7), order("ab", 4));
    let message = PeerMessage::Release { account: AccountId(1), hold: HoldId(1) };
    let outgoing = [Outgoing { to: PartitionId(2), number: RequestNumber(50), deadline: None, message }];
    line("published", &|out| encode_published(&command, &outgoing, &events, out));
    line("inventory", &|out| encode(&((Sequence(51), Timestamp(52)), inventory()), out));
    if std::env::var_os("CROSSBOOK_WRITE_SAMPLES").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/tests/version_4.hex"), &written).unwrap();
        return;
    }
    for (written, before) in written.lines().zip(VERSION_4.lines()) {
        assert_eq!(written, before, "written in another way than before");
    }
    assert_eq!(written.lines().count(), VERSION_4.lines().count(), "number of samples");
    are_read(VERSION_4, None, commands, events, inventory());
}
