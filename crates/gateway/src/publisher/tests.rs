use crossbook_oracle::sample;
use crossbook_protocol::event::OrderPlaced;
use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_types::{
    AccountId, Amount, ClientOrderId, Market, OptionalPrice, OrderType, Price, Quantity, SelfTradePrevention, Side,
    TimeInForce, Timestamp, TradeId,
};
use crossbook_views::Limits;
use parking_lot::{Mutex, RwLockReadGuard};

use super::*;
use crate::facts::{FillSubscriber, StreamSubscriber};

/// Streams without subscribers.
#[derive(Default)]
struct Nobody(RwLock<SubscriptionFilter>);

impl StreamSubscriber for Nobody {
    fn interest(&self) -> RwLockReadGuard<'_, SubscriptionFilter> {
        self.0.read()
    }

    fn market_listed(&self, _: SymbolName, _: SymbolId) {}
}

fn btcusdt() -> Market {
    Market::new_checked(sample::btcusdt()).unwrap()
}

/// An order to buy one lot for 100 ticks.
fn limit_order(market: &Market, order: u64, account: AccountId, name: &str) -> OrderPlaced {
    OrderPlaced {
        order: OrderId(order),
        account,
        terms: OrderTerms {
            symbol: market.id,
            client_order_id: ClientOrderId::new_checked(name).unwrap(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(100)),
            size: Size::Base(Quantity(1)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    }
}

/// A cancel of very many orders may take several commands, of which the last is answered.
#[test]
fn the_orders_of_a_cancel_are_gathered_over_all_its_commands() {
    let limits = Limits { closed_orders_per_account: 0, ..Limits::default() };
    let read_model = Arc::new(ReadModel::single(Views::new(limits)));
    let pending = Arc::new(Pending::new(1));
    let (facts, _waiting) = crossbeam_channel::bounded(10);
    let subscribers = Subscribers { streams: Arc::new(Nobody::default()), facts, fills: Vec::new() };
    let mut publisher = Publisher::new(PartitionId(0), &read_model, Arc::clone(&pending), subscribers);
    let market = btcusdt();
    let (account, name) = (AccountId(1001), |text: &str| ClientOrderId::new_checked(text).unwrap());
    let placed = |order| Event::OrderPlaced(limit_order(&market, order, account, &format!("n{order}")));
    let closed = |order, cancel_id: &str| {
        let reason = CloseReason::Canceled { cancel_id: name(cancel_id) };
        Event::OrderClosed(OrderClosed { symbol: market.id, order: OrderId(order), account, reason })
    };
    let cause = |sequence| Cause { sequence: Sequence(sequence), time: Timestamp(sequence) };
    let gathering = pending.gather(name("all"));
    let mut events = Events::new();
    let listed = [market.base, market.quote].map(Event::AssetListed).into_iter();
    events.add_command(cause(1), listed.chain([Event::MarketListed(Box::new(market))]).chain((1..=5).map(placed)));
    events.add_command(cause(2), [closed(1, "all"), closed(2, "all")]);
    events.add_command(cause(3), [closed(3, "other"), closed(4, "all")]);
    publisher.publish(&mut events);
    let ids: Vec<_> = gathering.take().iter().map(|order| (order.order.0, order.status)).collect();
    assert_eq!(ids, [1, 2, 4].map(|id| (id, OrderStatus::Canceled)));
    drop(gathering);
    assert!(!pending.gathers(&name("all")));
}

/// Limits hear of the first fill of a maker once the views are unlocked, and before the answer is sent.
#[test]
fn the_first_fill_of_a_resting_order_is_published_once() {
    #[derive(Default)]
    struct Fills(Mutex<Vec<FirstFill>>);
    impl FillSubscriber for Fills {
        fn first_fill(&self, fill: FirstFill, _: Timestamp) {
            self.0.lock().push(fill);
        }
    }
    let read_model = Arc::new(ReadModel::single(Views::new(Limits::default())));
    let (facts, _waiting) = crossbeam_channel::bounded(10);
    let fills = Arc::new(Fills::default());
    let subscribers = Subscribers { streams: Arc::new(Nobody::default()), facts, fills: vec![fills.clone()] };
    let mut publisher = Publisher::new(PartitionId(0), &read_model, Arc::new(Pending::new(1)), subscribers);
    let market = btcusdt();
    let (maker, taker) = (AccountId(1001), AccountId(1002));
    let placed = |order, account, side, lots| {
        Event::OrderPlaced(OrderPlaced {
            terms: OrderTerms {
                side,
                size: Size::Base(Quantity(lots)),
                ..limit_order(&market, order, account, &format!("n{order}")).terms
            },
            ..limit_order(&market, order, account, &format!("n{order}"))
        })
    };
    let traded = |trade, taker_order: u64| {
        let party = |order, account| Party { order: OrderId(order), account, fee: Amount::ZERO };
        Event::Traded(Trade {
            symbol: market.id,
            trade: TradeId(trade),
            price: Price(100),
            quantity: Quantity(1),
            quote: Amount(100_000),
            taker_side: Side::Sell,
            taker: party(taker_order, taker),
            maker: party(1, maker),
            discount: None,
        })
    };
    let closed = |order| {
        let reason = CloseReason::Filled;
        Event::OrderClosed(OrderClosed { symbol: market.id, order: OrderId(order), account: taker, reason })
    };
    let cause = |sequence| Cause { sequence: Sequence(sequence), time: Timestamp(sequence) };
    let mut events = Events::new();
    let listed = [market.base, market.quote].map(Event::AssetListed).into_iter();
    events.add_command(cause(1), listed.chain([Event::MarketListed(Box::new(market))]));
    events.add_command(cause(2), [placed(1, maker, Side::Buy, 5)]);
    for (at, order) in [(3, 2), (4, 3)] {
        events.add_command(cause(at), [placed(order, taker, Side::Sell, 1), traded(order - 1, order), closed(order)]);
    }
    publisher.publish(&mut events);
    assert_eq!(*fills.0.lock(), [FirstFill { account: maker, maker: true }], "takers are counted with their answers");
}
