//! Runs the simulated traders. One task calls each of them ten times per second: it reads the books as any client can,
//! asks each trader for its orders, and sends them to the venue, from accounts with real balances.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_gateway::Error as Refused;
use crossbook_gateway::{Gateway, ReadModel};
use crossbook_protocol::Refusal;
use crossbook_protocol::command::Body;
use crossbook_protocol::order::{
    AmendOrder, CancelAll, CancelOrder, Instructions, NewOrder, OrderTerms, ReplaceOrder, Size, Target,
};
use crossbook_protocol::order_list::NewList;
use crossbook_types::{
    AccountId, Amount, Asset, ClientOrderId, ListKind, Market, OptionalPrice, OrderType, Peg, PegPrice, Price,
    Quantity, SelfTradePrevention, Side, SymbolId, TimeInForce, TrailingDelta,
};
use crossbook_views::MarketData;
use futures_util::future::join_all;

use super::arbitrage::{self, Leg};
use super::crowd::{Best, Crowd};
use super::listing::{self, ASSETS, Error, Listing, MARKETS};
use super::maker::{self, Action, Resting, Sight, Style};
use super::price::FairPrice;
use super::random::Random;

/// Time between two steps.
const TURN: Duration = Duration::from_millis(100);
/// Turns between two of the same maker in the same market; the makers take them one after the other.
const MAKER_TURNS: u64 = 2;
/// Simulated seconds that pass in a hurry at the start, so that the first look at the charts shows something.
const OPENING_SECONDS: u32 = 60;
/// Real time between two of these.
const OPENING_PACE: Duration = Duration::from_millis(40);
/// The chance at each turn of a maker that it places a pair of orders.
const PAIRS: f64 = 0.002;
/// Turns between two looks at everybody's money.
const TREASURY_TURNS: u64 = 300;
/// The most simulated time of one step, should the machine have slept.
const SECONDS_MAX: f64 = 1.0;
/// How strongly the cross market's price follows what the other two imply, per second.
const CROSS_PULL: f64 = 0.5;

/// The makers: label, and how each quotes. The finest grid is nearest to the price and the smallest.
pub const MAKERS: [(&str, Style); 3] = [
    ("maker-near", Style { grid: 0.000_03, half_spread: 0.000_02, notional: 1.0, salt: 11 }),
    ("maker-middle", Style { grid: 0.000_1, half_spread: 0.000_06, notional: 3.0, salt: 22 }),
    ("maker-far", Style { grid: 0.000_25, half_spread: 0.000_2, notional: 8.0, salt: 33 }),
];

/// The label of the account that takes.
pub const CROWD: &str = "crowd";
/// The label of the account that keeps the cross market's price.
pub const ARBITRAGEUR: &str = "arbitrageur";

/// A market, what the simulation takes it to be worth, and who trades there.
struct Arena {
    listing: &'static Listing,
    symbol: SymbolId,
    fair: FairPrice,
    crowd: Crowd,
}

/// All simulated traders.
pub struct Traders {
    gateway: Arc<Gateway>,
    arenas: Vec<Arena>,
    makers: Vec<(AccountId, Style)>,
    crowd: AccountId,
    arbitrageur: AccountId,
    random: Random,
    turn: u64,
    /// Whether the venue's rules know amendments and replacements.
    amends: bool,
}

/// An order or cancel to be sent to the venue.
type Wish = (AccountId, SymbolId, Action);

impl Traders {
    /// Opens and funds their accounts and takes down what they left in the books in an earlier run.
    pub async fn new(gateway: Arc<Gateway>, seed: u64) -> Result<Self, Error> {
        let mut random = Random::new(seed);
        let mut makers = Vec::new();
        for (label, style) in MAKERS {
            makers.push((listing::account(&gateway, label).await?, style));
        }
        let crowd = listing::account(&gateway, CROWD).await?;
        let arbitrageur = listing::account(&gateway, ARBITRAGEUR).await?;
        let mut arenas = Vec::new();
        for listing in &MARKETS {
            let (symbol, last) = gateway
                .read_model
                .market(listing.symbol, |data, _| {
                    let market = data.market();
                    (market.id, data.last_price().map(|last| market.price_decimal(last)))
                })
                .ok_or(Error::Answer)?;
            // A venue that was stopped continues where it left off.
            let start = last.map_or(listing.start, maker::decimal_value);
            let (fair, crowd) = (FairPrice::new(start, random.fork()), Crowd::new(listing.notional, random.fork()));
            arenas.push(Arena { listing, symbol, fair, crowd });
        }
        let traders = Self { gateway, arenas, makers, crowd, arbitrageur, random, turn: 0, amends: true };
        traders.clear().await;
        traders.endow().await?;
        traders.take_discount().await?;
        Ok(traders)
    }

    fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.makers.iter().map(|&(account, _)| account).chain([self.crowd, self.arbitrageur])
    }

    /// Cancels whatever is left of an earlier run.
    async fn clear(&self) {
        let wishes = self.accounts().flat_map(|account| self.arenas.iter().map(move |arena| (account, arena.symbol)));
        let cancels = wishes.map(|(account, symbol)| {
            let cancel_id = ClientOrderId::new_checked("opening").unwrap_or_default();
            self.gateway.submit(Body::CancelAll(CancelAll { account, symbol, cancel_id }), None)
        });
        // Refused where there is nothing to cancel.
        join_all(cancels).await;
    }

    /// Fills every account up to its endowment where it has less than half of it: fees only ever flow out, and a demo
    /// that runs for weeks must not run dry. Nothing is created in secret: these are deposits, and the audit counts
    /// them.
    async fn endow(&self) -> Result<(), Error> {
        let mut due: Vec<(AccountId, Asset, Amount)> = Vec::new();
        for account in self.accounts() {
            for (name, whole) in ASSETS {
                let Some(asset) = self.gateway.read_model.registry().asset_named(name).copied() else { continue };
                let want = listing::whole_units(&asset, whole);
                let have = total(&self.gateway.read_model, account, &asset);
                if have.0 * 2 < want.0 {
                    due.push((account, asset, want.minus(have)));
                }
            }
        }
        for (account, asset, amount) in due {
            let name = format!("endowment-{}-{}", asset.name, crossbook_gateway::clock::now().0);
            listing::deposit(&self.gateway, account, &asset, amount, &name).await?;
        }
        Ok(())
    }

    /// Lets the crowd and the arbitrageur pay their fees in one asset, in which they are less; as the operator has set
    /// it, if a venue that continues has such an asset.
    async fn take_discount(&self) -> Result<(), Error> {
        if self.gateway.read_model.registry().fee_discount().is_none() {
            let discount = listing::fee_discount(&self.gateway.read_model.registry());
            listing::unless_refused(self.gateway.submit(Body::SetFeeDiscount(Box::new(discount)), None).await)?;
        }
        for account in [self.crowd, self.arbitrageur] {
            let body = Body::SetDiscountUse { account, on: true };
            listing::unless_refused(self.gateway.submit(body, None).await)?;
        }
        Ok(())
    }

    /// Fills the books and lets some time pass in a hurry.
    pub async fn open(&mut self) {
        // Each round fills a part of the ladders; a full one on both sides takes as many as this.
        for _ in 0..2 * maker::LEVELS as usize / maker::ACTIONS_MAX + 4 {
            let wishes = self.make(|_, _| true);
            self.send(wishes).await;
        }
        for _ in 0..OPENING_SECONDS {
            if self.gateway.is_stopping() {
                return;
            }
            self.step(1.0).await;
            tokio::time::sleep(OPENING_PACE).await;
        }
    }

    /// Trades until the venue stops.
    pub async fn run(mut self) {
        let mut clock = tokio::time::interval(TURN);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = Instant::now();
        while !self.gateway.is_stopping() {
            clock.tick().await;
            let seconds = last.elapsed().as_secs_f64().min(SECONDS_MAX);
            last = Instant::now();
            self.step(seconds).await;
            if self.turn.is_multiple_of(TREASURY_TURNS)
                && !self.gateway.is_stopping()
                && let Err(error) = self.endow().await
            {
                tracing::warn!(%error, "the simulated traders could not be funded; trying again later");
            }
        }
    }

    /// One step of all traders, over so many seconds.
    async fn step(&mut self, seconds: f64) {
        self.turn += 1;
        for arena in &mut self.arenas {
            arena.fair.advance(seconds);
        }
        self.bind_cross(seconds);
        let turn = self.turn;
        let mut wishes = self.make(|market, maker| (turn + (market + maker) as u64).is_multiple_of(MAKER_TURNS));
        wishes.extend(self.take(seconds));
        wishes.extend(self.arbitrage());
        self.send(wishes).await;
    }

    /// ETHBTC is worth what ETHUSDT and BTCUSDT say, give or take what its own traders think for a moment.
    fn bind_cross(&mut self, seconds: f64) {
        let fair =
            |symbol| self.arenas.iter().find(|arena| arena.listing.symbol == symbol).map(|arena| arena.fair.value());
        let (Some(base), Some(quote)) = (fair("ETHUSDT"), fair("BTCUSDT")) else { return };
        if let Some(cross) = self.arenas.iter_mut().find(|arena| arena.listing.symbol == "ETHBTC") {
            cross.fair.pull(arbitrage::implied(base, quote), (CROSS_PULL * seconds).min(1.0));
        }
    }

    /// What the makers want whose turn it is.
    fn make(&mut self, is_due: impl Fn(usize, usize) -> bool) -> Vec<Wish> {
        let read_model = &self.gateway.read_model;
        let mut wishes = Vec::new();
        for (at, arena) in self.arenas.iter().enumerate() {
            for (number, &(account, style)) in self.makers.iter().enumerate() {
                if !is_due(at, number) {
                    continue;
                }
                let read = read_model.market(arena.listing.symbol, |data, _| (*data.market(), resting(data, account)));
                let Some((market, resting)) = read else { continue };
                let sight = Sight {
                    fair: arena.fair.value(),
                    inventory: inventory(read_model, account, &market),
                    volatility: arena.fair.volatility(),
                };
                let style = Style { notional: style.notional * arena.listing.notional, ..style };
                let actions = maker::step(&market, &style, arena.listing.start, sight, &resting, &mut self.random);
                wishes.extend(actions.into_iter().map(|action| (account, arena.symbol, action)));
                if self.amends && self.random.chance(PAIRS) {
                    let pair = maker::pair(&market, &style, sight.fair, &mut self.random);
                    wishes.extend(pair.map(|pair| (account, arena.symbol, pair)));
                }
            }
        }
        wishes
    }

    /// What the crowds want.
    fn take(&mut self, seconds: f64) -> Vec<Wish> {
        let read_model = &self.gateway.read_model;
        let mut wishes = Vec::new();
        for arena in &mut self.arenas {
            let Some((market, best)) = top(read_model, arena.listing.symbol) else { continue };
            let inventory = inventory(read_model, self.crowd, &market);
            let (fair, volatility) = (arena.fair.value(), arena.fair.volatility());
            let actions = arena.crowd.step(&market, best, fair, volatility, inventory, seconds);
            wishes.extend(actions.into_iter().map(|action| (self.crowd, arena.symbol, action)));
        }
        wishes
    }

    /// What the arbitrageur wants.
    fn arbitrage(&self) -> Vec<Wish> {
        let top = |symbol| top(&self.gateway.read_model, symbol);
        let [Some(cross), Some(base), Some(quote)] = [top("ETHBTC"), top("ETHUSDT"), top("BTCUSDT")] else {
            return Vec::new();
        };
        let legs = [&cross, &base, &quote];
        let [a, b, c] = legs.map(|(market, best)| Leg { market, best: *best });
        let actions = arbitrage::step(a, b, c).into_iter().flatten();
        legs.into_iter().zip(actions).map(|((market, _), action)| (self.arbitrageur, market.id, action)).collect()
    }

    /// Sends everything at once, so that it shares few syncs of the disk. What the venue refuses (a quote that would
    /// take by now, funds that are short for a moment) is looked at afresh in the next turn.
    async fn send(&mut self, wishes: Vec<Wish>) {
        let bodies = bodies(wishes, self.amends, &mut self.random);
        let sent = bodies.into_iter().map(|body| self.gateway.submit(body, None));
        for outcome in join_all(sent).await {
            if let Err(error) = outcome {
                self.amends &= error != Refused::Refused(Refusal::RulesTooOld);
                tracing::debug!(?error, "a simulated trader's request was not accepted");
            }
        }
    }
}

/// What is sent for wishes. A quote takes the place of an order that its maker takes down, if the venue knows that.
fn bodies(wishes: Vec<Wish>, amends: bool, random: &mut Random) -> Vec<Body> {
    let mut bodies: Vec<Body> = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let body = match (body(wish, random), wish.2) {
            (Body::Place(order), Action::Quote(..)) if amends => {
                let (account, symbol) = (order.account, order.terms.symbol);
                let goes = |body: &Body| match body {
                    Body::Cancel(cancel) => (cancel.account, cancel.symbol) == (account, symbol),
                    _ => false,
                };
                match bodies.iter().position(goes).map(|at| bodies.remove(at)) {
                    Some(Body::Cancel(CancelOrder { target, cancel_id, restriction, .. })) => {
                        Body::Replace(Box::new(ReplaceOrder {
                            order,
                            target,
                            cancel_id,
                            restriction,
                            allow_failure: true,
                        }))
                    }
                    _ => Body::Place(order),
                }
            }
            (Body::Amend(_), Action::Lower(order, ..)) if !amends => {
                body((wish.0, wish.1, Action::Cancel(order)), random)
            }
            (body, _) => body,
        };
        bodies.push(body);
    }
    bodies
}

fn body((account, symbol, action): Wish, random: &mut Random) -> Body {
    let name = format!("sim-{:016x}", random.next());
    let name = ClientOrderId::new_checked(&name).unwrap_or_default();
    let (order_type, time_in_force, side, price, quantity) = match action {
        Action::Pair(side, prices, quantity) => return pair((account, symbol), side, prices, quantity, name),
        Action::Cancel(order) => {
            return Body::Cancel(CancelOrder {
                account,
                symbol,
                target: Target::Order(order),
                cancel_id: name,
                restriction: None,
            });
        }
        Action::Lower(order, placed, quantity) => {
            let target = Target::Order(order);
            return Body::Amend(AmendOrder { account, symbol, target, quantity, placed, client_order_id: name });
        }
        Action::Quote(side, price, quantity) => (OrderType::LimitMaker, TimeInForce::Gtc, side, price, quantity),
        Action::Take(side, price, quantity) => (OrderType::Limit, TimeInForce::Ioc, side, price, quantity),
    };
    // Some makers hide how much they offer, some takers want only the best price, and some wait until the price turns.
    let chance = random.next();
    let maker = order_type == OrderType::LimitMaker;
    let instructions = Instructions {
        iceberg: (maker && chance.is_multiple_of(8)).then(|| Quantity(quantity.0.div_ceil(3))),
        peg: (!maker && chance.is_multiple_of(8)).then_some(Peg { price: PegPrice::Market, level: 0 }),
        trailing: (!maker && chance % 64 == 1).then_some(TrailingDelta(100)),
        ..Instructions::default()
    };
    let waits = instructions.trailing.is_some();
    let (order_type, price) = if waits { (OrderType::StopLoss, None) } else { (order_type, Some(price)) };
    let time_in_force = if waits { TimeInForce::Gtc } else { time_in_force };
    Body::Place(NewOrder {
        account,
        terms: OrderTerms {
            symbol,
            client_order_id: name,
            side,
            order_type,
            time_in_force,
            price,
            size: Size::Base(quantity),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::ExpireTaker,
            instructions: instructions.boxed(),
        },
    })
}

/// A list of a stop order and a limit order, one below and one above the market.
fn pair(
    (account, symbol): (AccountId, SymbolId),
    side: Side,
    [below, above]: [Price; 2],
    quantity: Quantity,
    name: ClientOrderId,
) -> Body {
    let (stop, limit) = if side == Side::Sell { (below, above) } else { (above, below) };
    let order = |order_type: OrderType, price: Price, suffix: &str| OrderTerms {
        symbol,
        client_order_id: ClientOrderId::new_checked(&format!("{}{suffix}", name.as_str())).unwrap_or_default(),
        side,
        order_type,
        time_in_force: TimeInForce::Gtc,
        price: order_type.has_limit_price().then_some(price),
        size: Size::Base(quantity),
        stop_price: order_type.is_conditional().then_some(price).into(),
        self_trade_prevention: SelfTradePrevention::ExpireTaker,
        instructions: None,
    };
    let orders = vec![order(OrderType::StopLoss, stop, "s"), order(OrderType::LimitMaker, limit, "l")];
    Body::PlaceList(Box::new(NewList { account, symbol, client_order_id: name, kind: ListKind::Oco, orders }))
}

/// An account's open orders in a market, as its maker sees them. Those of lists it leaves alone.
fn resting(data: &MarketData, account: AccountId) -> Vec<Resting> {
    let orders = data.open_orders(account).filter(|order| order.list().is_none()).filter_map(|order| {
        Some(Resting {
            order: order.order,
            side: order.terms.side,
            price: order.terms.price?,
            original: order.original_quantity(),
            remaining: order.remaining(),
        })
    });
    orders.collect()
}

/// A market and its best prices, if both sides have any.
fn top(read_model: &ReadModel, symbol: &str) -> Option<(Market, Best)> {
    let (market, best) = read_model.market(symbol, |data, _| (*data.market(), data.book_ticker()))?;
    Some((market, Best { bid: best.bid?.price, ask: best.ask?.price }))
}

/// What an account has of the base asset beyond its endowment, as a fraction of it.
fn inventory(read_model: &ReadModel, account: AccountId, market: &Market) -> f64 {
    let whole = ASSETS.iter().find(|(name, _)| *name == market.base.name.as_str()).map_or(1, |&(_, whole)| whole);
    let want = listing::whole_units(&market.base, whole).0 as f64;
    // Half of the endowment away from the target is as one-sided as it may get.
    (total(read_model, account, &market.base).0 as f64 / want - 1.0) * 2.0
}

fn total(read_model: &ReadModel, account: AccountId, asset: &Asset) -> Amount {
    let views = read_model.of_account(account).read();
    let balance = views.holdings(account).map(|holdings| holdings.balance(asset.id));
    balance.map_or(Amount::ZERO, |balance| balance.free.plus(balance.held))
}
