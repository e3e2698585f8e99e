//! Answers that reach further back than memory: with little memory and a history they are, byte for byte, those of a
//! venue that evicts nothing.

use std::time::{Duration, Instant};

use crossbook_types::{AccountId, SymbolId, Timestamp};
use crossbook_views::{Interval, Limits, MarketData, Offset, Views};
use futures_util::{StreamExt as _, stream};

use crate::past_venue::{Desk, Published, Tables, accounts};
use crate::venue::{ACCOUNTS, Draw, MARKETS, everything};

const SYMBOLS: [&str; MARKETS as usize] = ["BTCUSDT", "ETHUSDT"];
const MINUTE: u64 = 60_000_000;
/// How many questions are under way together.
const ASKED_AT_ONCE: usize = 8;

/// Nothing but what cannot be done without.
fn nothing() -> Limits {
    Limits {
        closed_orders_per_account: 0,
        closed_orders_per_market: 0,
        own_trades_per_account: 0,
        own_trades_per_market: 0,
        prevented_matches_per_market: 0,
        amendments_per_market: 0,
        operator_log: 0,
        trades_per_market: 0,
        aggregate_trades_per_market: 0,
        candles_per_interval: 0,
    }
}

fn little() -> Limits {
    Limits {
        closed_orders_per_account: 60,
        closed_orders_per_market: 200,
        own_trades_per_account: 70,
        own_trades_per_market: 200,
        prevented_matches_per_market: 20,
        amendments_per_market: 20,
        operator_log: 20,
        trades_per_market: 200,
        aggregate_trades_per_market: 100,
        candles_per_interval: 0,
    }
}

/// The time since when nothing has changed that these views have forgotten.
fn settled(views: &Views) -> Timestamp {
    let of_market = |market| {
        let data = views.market(SymbolId(market)).unwrap();
        let candles = Interval::ALL.iter().filter_map(|&interval| {
            data.candles().forgotten(interval).map(|open| interval.next_open(open, Offset::UTC))
        });
        let own = accounts().flat_map(|account| {
            let orders = data.forgotten_orders(account).map(|forgotten| forgotten.settled);
            [orders, data.forgotten_own_trades(account).map(|forgotten| forgotten.settled)]
        });
        let public = [
            data.trades().forgotten().map(|forgotten| forgotten.settled),
            data.aggregate_trades().forgotten().map(|forgotten| forgotten.settled),
            data.prevented_matches().forgotten().map(|forgotten| forgotten.settled),
            data.amendments().forgotten().map(|forgotten| forgotten.settled),
        ];
        candles.chain(own.chain(public).flatten()).max()
    };
    (0..MARKETS).filter_map(of_market).max().unwrap()
}

/// Draws questions, most of them near the seam between memory and history.
struct Asker<'a> {
    draw: Draw,
    views: &'a Views,
    begin: u64,
    end: u64,
    orders: u64,
}

impl<'a> Asker<'a> {
    fn new(seed: u64, published: &Published, views: &'a Views) -> Self {
        let orders = published.0.iter().flat_map(|(_, events)| events).filter_map(|event| match event {
            crossbook_protocol::Event::OrderPlaced(placed) => Some(placed.order.0),
            _ => None,
        });
        let begin = published.0[published.0.len() - published.0.len() * 99 / 100].0.time.0;
        Self { draw: Draw(seed), views, begin, end: published.last().time.0, orders: orders.max().unwrap() }
    }

    /// A number around one, or any up to a bound.
    fn number(&mut self, seam: Option<u64>, bound: u64) -> u64 {
        match (self.draw.below(3), seam) {
            (0 | 1, Some(seam)) => (seam + self.draw.below(9)).saturating_sub(4),
            _ => self.draw.below(bound + bound / 10 + 2),
        }
    }

    /// A time around one, or any, in milli- or microseconds.
    fn time(&mut self, seam: Option<u64>, around: u64) -> u64 {
        let time = match (self.draw.below(4), seam) {
            (0, Some(seam)) => seam,
            (1 | 2, Some(seam)) => seam + self.draw.below(2 * around) - around,
            _ => self.begin - 60 * MINUTE + self.draw.below(self.end - self.begin + 120 * MINUTE),
        };
        if self.draw.below(2) == 0 { time / 1_000 } else { time }
    }

    fn limit(&mut self, max: u64) -> String {
        match self.draw.below(4) {
            0 => String::new(),
            1 => format!("&limit={}", 1 + self.draw.below(5)),
            _ => format!("&limit={}", 1 + self.draw.below(max)),
        }
    }

    /// startTime, endTime, both or neither.
    fn stretch(&mut self, seam: Option<u64>, around: u64) -> String {
        let which = self.draw.below(4);
        let mut text = String::new();
        let start = self.time(seam, around);
        if which & 1 == 1 {
            text += &format!("&startTime={start}");
        }
        if which & 2 == 2 {
            // Account questions span a day at most.
            let end = if which == 3 && self.draw.below(4) > 0 {
                let micros = if start < 100_000_000_000_000 { start * 1_000 } else { start };
                micros + self.draw.below(24 * 60 * MINUTE)
            } else {
                self.time(seam, around)
            };
            text += &format!("&endTime={end}");
        }
        text
    }

    /// Who asks, where, and what.
    fn question(&mut self) -> (Option<usize>, &'static str, String) {
        let symbol = self.draw.below(u64::from(MARKETS)) as u32;
        let account = self.draw.below(ACCOUNTS) as usize;
        let data = self.views.market(SymbolId(symbol)).unwrap();
        let mut text = format!("symbol={}", SYMBOLS[symbol as usize]);
        match self.draw.below(14) {
            kind @ (0..=6 | 12 | 13) => {
                let path = self.account_question(kind, data, accounts().nth(account).unwrap(), &mut text);
                (Some(account), path, text)
            }
            kind => (None, self.market_question(kind, data, &mut text), text),
        }
    }

    /// Asks what an account alone may ask: where, and its parameters.
    fn account_question(&mut self, kind: u64, data: &MarketData, id: AccountId, text: &mut String) -> &'static str {
        let orders = data.forgotten_orders(id);
        let own = data.forgotten_own_trades(id);
        let newest = newest_trade(data);
        match kind {
            0 => {
                let number = self.number(orders.map(|forgotten| forgotten.id.0), self.orders);
                *text += &format!("&orderId={number}");
                if self.draw.below(8) == 0 {
                    *text += "&origClientOrderId=name-7";
                }
                "order"
            }
            1 => {
                *text += &format!("&origClientOrderId=name-{}", self.draw.below(65));
                "order"
            }
            2 => {
                let number = self.number(orders.map(|forgotten| forgotten.id.0), self.orders);
                *text += &format!("&orderId={number}{}", self.limit(1_000));
                "allOrders"
            }
            3 => {
                *text += &self.stretch(orders.map(|forgotten| forgotten.settled.0), 600 * MINUTE);
                if self.draw.below(8) == 0 {
                    *text += "&orderId=7";
                }
                *text += &self.limit(1_000);
                "allOrders"
            }
            4 => {
                let number = self.number(orders.map(|forgotten| forgotten.id.0), self.orders);
                *text += &format!("&orderId={number}{}", self.limit(20));
                if self.draw.below(2) == 0 {
                    *text += &format!("&fromId={}", self.number(own.map(|forgotten| forgotten.id.0), newest));
                }
                "myTrades"
            }
            5 => {
                *text += &format!("&fromId={}", self.number(own.map(|forgotten| forgotten.id.0), newest));
                *text += &self.limit(1_000);
                "myTrades"
            }
            6 => {
                *text += &self.stretch(own.map(|forgotten| forgotten.time.0), 600 * MINUTE);
                *text += &self.limit(1_000);
                "myTrades"
            }
            13 => {
                self.ask_amendments(data, orders.map(|forgotten| forgotten.id.0), text);
                "order/amendments"
            }
            _ => {
                let prevented = data.prevented_matches().forgotten().map(|forgotten| forgotten.id.number());
                if self.draw.below(3) == 0 {
                    *text += &format!("&preventedMatchId={}", self.number(prevented, prevented.unwrap_or(100)));
                } else {
                    let number = self.number(orders.map(|forgotten| forgotten.id.0), self.orders);
                    *text += &format!("&orderId={number}");
                    if self.draw.below(2) == 0 {
                        *text += &format!("&fromPreventedMatchId={}", self.number(prevented, 100));
                        *text += &self.limit(1_000);
                    }
                }
                "myPreventedMatches"
            }
        }
    }

    /// Asks for the amendments of an order, perhaps from a number on.
    fn ask_amendments(&mut self, data: &MarketData, seam: Option<u64>, text: &mut String) {
        let number = self.number(seam, self.orders);
        *text += &format!("&orderId={number}");
        if self.draw.below(2) == 0 {
            let forgotten = data.amendments().forgotten().map(|forgotten| forgotten.id.0 << 10);
            *text += &format!("&fromExecutionId={}", self.number(forgotten, 1 << 20));
            *text += &self.limit(4);
        }
    }

    /// Asks what everybody may ask.
    fn market_question(&mut self, kind: u64, data: &MarketData, text: &mut String) -> &'static str {
        let (trades, aggregates) = (data.trades().forgotten(), data.aggregate_trades().forgotten());
        let newest = newest_trade(data);
        match kind {
            7 => {
                *text += &self.limit(1_000);
                "trades"
            }
            8 => {
                if self.draw.below(4) > 0 {
                    *text += &format!("&fromId={}", self.number(trades.map(|forgotten| forgotten.id.0), newest));
                }
                *text += &self.limit(1_000);
                "historicalTrades"
            }
            9 => {
                if self.draw.below(2) > 0 {
                    *text += &format!("&fromId={}", self.number(aggregates.map(|forgotten| forgotten.id.0), newest));
                } else {
                    *text += &self.stretch(aggregates.map(|forgotten| forgotten.time.0), 60 * MINUTE);
                }
                *text += &self.limit(1_000);
                "aggTrades"
            }
            candles => {
                let interval = Interval::ALL[self.draw.below(Interval::ALL.len() as u64) as usize];
                *text += &format!("&interval={}", interval.as_str());
                let zone = ["0", "8", "-5:30", "5:45", "0:01", "-12"][self.draw.below(6) as usize];
                if self.draw.below(2) == 0 {
                    *text += &format!("&timeZone={zone}");
                }
                let open = Timestamp(self.begin);
                let length = interval.next_open(open, Offset::UTC).0 - interval.open_time(open, Offset::UTC).0;
                let seam = data.candles().forgotten(interval).map(|open| open.0);
                *text += &self.stretch(seam, (length * 20).min(600 * 24 * 60 * MINUTE));
                *text += &self.limit(1_000);
                if candles == 10 { "klines" } else { "uiKlines" }
            }
        }
    }
}

/// The number of a market's last trade.
fn newest_trade(data: &MarketData) -> u64 {
    data.trades().newest().map_or(3_000, |newest| newest.trade.0)
}

/// Asks both desks the same, and tells how many answers were lists or orders with something in them.
async fn compare(asker: &mut Asker<'_>, desk: &Desk, oracle: &Desk, questions: usize) -> usize {
    let asked = std::iter::repeat_with(|| asker.question()).take(questions);
    let answered = stream::iter(asked).map(|(account, path, parameters)| async move {
        let (expected, found) =
            tokio::join!(oracle.ask(account, path, &parameters), desk.ask(account, path, &parameters));
        assert!(found == expected, "{path}?{parameters}\nfound:    {found:?}\nexpected: {expected:?}");
        usize::from(expected.0 == 200 && expected.1.len() > 2)
    });
    answered.buffered(ASKED_AT_ONCE).fold(0, async |sum, one| sum + one).await
}

/// Reads the trades of every account in pages, each from behind the last number of the one before, and holds them
/// against the whole list. Accounts trade with themselves, so two rows have the same number now and then.
async fn pages_lose_nothing(desk: &Desk, oracle: &Desk) {
    let rows = async |desk: &Desk, account: usize, parameters: String| {
        let (status, body) = desk.ask(Some(account), "myTrades", &parameters).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Vec<serde_json::Value>>(&body).unwrap()
    };
    let number = |row: &serde_json::Value| row["id"].as_u64().unwrap();
    let mut parted = 0;
    for account in 0..ACCOUNTS as usize {
        let all = rows(oracle, account, "symbol=BTCUSDT&fromId=1&limit=1000".to_owned()).await;
        for (limit, rows_max) in [(1, 50), (7, all.len())] {
            let (mut read, mut from) = (Vec::new(), 1);
            while read.len() < rows_max.min(all.len()) {
                let page = rows(desk, account, format!("symbol=BTCUSDT&fromId={from}&limit={limit}")).await;
                assert!((limit..=limit + 1).contains(&page.len()) || read.len() + page.len() >= all.len(), "{page:?}");
                parted += usize::from(page.len() > limit);
                from = number(page.last().unwrap()) + 1;
                read.extend(page);
            }
            let both = read.len().min(all.len());
            assert_eq!(read[..both], all[..both], "pages of {limit} of account {account}");
        }
        // And backwards in time, the last ones first.
        let last = rows(desk, account, "symbol=BTCUSDT&limit=7".to_owned()).await;
        let before = rows(desk, account, format!("symbol=BTCUSDT&fromId={}", number(&last[0]) - 1)).await;
        assert_eq!(before.iter().filter(|row| number(row) >= number(&last[0])).count(), last.len());
    }
    assert!(parted > 0, "no page ended between the two rows of a trade");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_a_venue_that_never_forgets() {
    let published = Published::trading(1, 40_000);
    let oracle = Desk::open(published.views(everything()), None);
    let tables = Tables::new(&published);
    let (forgetful, small) = (published.views(nothing()), published.views(little()));
    for symbol in 0..MARKETS {
        let candles = small.market(SymbolId(symbol)).unwrap().candles();
        for interval in [Interval::Second1, Interval::Minute5, Interval::Minute30] {
            assert!(candles.forgotten(interval).is_some(), "there is a seam among the {interval:?}");
        }
    }

    // The history has just come as far as it must, but not to where memory is.
    let covered = published.after(settled(&small));
    assert!(covered.sequence.0 + 100 < published.last().sequence.0, "there is a stretch that only memory has");
    tables.reach(covered).await;
    let desk = Desk::open(published.views(little()), Some(tables.history()));
    let answered = compare(&mut Asker::new(2, &published, &small), &desk, &oracle, 1_500).await;
    assert!(answered > 1_000, "{answered}");

    // It has come all the way. What memory has and what the tables have is now in both.
    tables.reach(published.last()).await;
    let answered = compare(&mut Asker::new(3, &published, &small), &desk, &oracle, 1_000).await;
    assert!(answered > 600, "{answered}");
    pages_lose_nothing(&desk, &oracle).await;
    desk.close().await;

    // There is hardly a memory.
    let desk = Desk::open(published.views(nothing()), Some(tables.history()));
    let answered = compare(&mut Asker::new(4, &published, &forgetful), &desk, &oracle, 1_000).await;
    assert!(answered > 600, "{answered}");
    desk.close().await;

    // The tables are ahead of memory, as they are for a moment while a batch is being published.
    let behind = Published(std::sync::Arc::new(published.0[..published.0.len() - 500].to_vec()));
    let (oracle, views) = (Desk::open(behind.views(everything()), None), behind.views(little()));
    let desk = Desk::open(behind.views(little()), Some(tables.history()));
    let mut asker = Asker::new(5, &behind, &views);
    for _ in 0..300 {
        let (account, path, parameters) = asker.question();
        // From a number on, or from a time on, there may be more already; without either, the last ones are memory's.
        if ["startTime", "fromId", "orderId", "origClient", "prevented"].iter().all(|name| !parameters.contains(name)) {
            let expected = oracle.ask(account, path, &parameters).await;
            assert_eq!(desk.ask(account, path, &parameters).await, expected, "{path}?{parameters}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_history_does_not_have_yet_is_waited_for_and_then_refused() {
    let published = Published::trading(7, 3_000);
    let oracle = Desk::open(published.views(everything()), None);
    let tables = Tables::new(&published);
    let desk = Desk::patient(300, published.views(little()), Some(tables.history()));
    let old = "symbol=BTCUSDT&fromId=1&limit=1000";
    let early = published.0[1_000].0;
    tables.reach(early).await;

    let asked = Instant::now();
    let (status, body) = desk.ask(None, "historicalTrades", old).await;
    assert!(status == 503 && body.contains("-1008"), "{status} {body}");
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(30), "{waited:?}");
    let first = oracle.ask(Some(0), "allOrders", "symbol=BTCUSDT&orderId=1&limit=1").await.1;
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let first = &format!("symbol=BTCUSDT&orderId={}", first[0]["orderId"]);
    for (account, path, parameters) in [
        (Some(0), "order", first.as_str()),
        (Some(0), "order", "symbol=BTCUSDT&origClientOrderId=never-used"),
        (Some(0), "allOrders", "symbol=BTCUSDT&orderId=1"),
        (Some(0), "myTrades", "symbol=BTCUSDT"),
        (None, "trades", "symbol=BTCUSDT&limit=1000"),
        (None, "aggTrades", "symbol=BTCUSDT&fromId=1"),
    ] {
        let (status, body) = desk.ask(account, path, parameters).await;
        assert!(status == 503 && body.contains("-1008"), "{path}?{parameters}: {status} {body}");
    }
    // What memory has is published at once.
    for (account, path, parameters) in [
        (Some(0), "allOrders", "symbol=BTCUSDT&limit=5"),
        (None, "trades", "symbol=BTCUSDT&limit=200"),
        (None, "aggTrades", "symbol=BTCUSDT&limit=100"),
        (None, "klines", "symbol=BTCUSDT&interval=1h&limit=100"),
    ] {
        let found = desk.ask(account, path, parameters).await;
        assert_eq!(found.0, 200, "{path}?{parameters}: {found:?}");
        assert_eq!(found, oracle.ask(account, path, parameters).await);
    }

    desk.close().await;

    // It comes while somebody waits.
    let desk = Desk::open(published.views(little()), Some(tables.history()));
    let asking = desk.ask(None, "historicalTrades", old);
    let coming = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        tables.go_on_to(published.after(settled(&published.views(little()))));
    };
    let (found, ()) = tokio::join!(asking, coming);
    assert_eq!(found, oracle.ask(None, "historicalTrades", old).await);
    desk.close().await;

    // The database is gone.
    let desk = Desk::open(published.views(little()), Some(tables.broken()));
    let (status, body) = desk.ask(None, "historicalTrades", old).await;
    assert!(status == 500 && body.contains("-1001"), "{status} {body}");
    desk.close().await;

    // No history is kept.
    let desk = Desk::open(published.views(little()), None);
    let (status, body) = desk.ask(None, "historicalTrades", old).await;
    assert_eq!((status, body.matches("\"id\"").count()), (200, 200));
    assert_eq!(desk.ask(Some(0), "order", first).await.0, 400);
    desk.close().await;
    oracle.close().await;
}
