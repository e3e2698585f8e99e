//! An independent check of the market from the events alone: who may trade with whom, at which price, at what fee, when
//! a stop order triggers, and what each account must hold. It searches plain lists, and shares no rule with the engine
//! but the types.

mod amendments;
mod discount;
mod ends;
mod instructions;
mod lists;
mod prevention;
mod sessions;
mod totals;

use std::collections::{BTreeMap, BTreeSet};

use crossbook_protocol::event::{CloseReason, DepthChanged, OrderClosed, OrderPlaced, Party, PreventedMatch, Trade};
use crossbook_protocol::order::Size;
use crossbook_protocol::session::Phase;
use crossbook_protocol::{Cause, Event};
use crossbook_types::{
    AccountFees, AccountId, AssetId, FeeDiscount, Fees, Market, MarketStatus, OrderId, OrderListId, OrderType,
    PartitionId, Price, Quantity, SelfTradePrevention, Side, SymbolId, TimeInForce, Timestamp,
};

use crate::violation::{Violation, ensure};
use crate::workload::units;
use discount::Reserve;
use lists::List;
use sessions::Sitting;

/// How much more than its worth at the stop price is held for a buy that will run at market, in percent.
const MARGIN_PERCENT: i128 = 10;

#[derive(Clone, Debug)]
struct Open {
    placed: OrderPlaced,
    /// Lots, or of an order by worth quote units.
    left: Left,
    /// It waits for its stop price, or is pending.
    waits: bool,
    /// It is pending in its list.
    pending: bool,
    /// How often it was amended.
    amended: u32,
    /// Whether self-trade prevention has taken a part of it.
    decremented: bool,
    /// Whether it has traded.
    traded: bool,
    /// When it took its place in the book; not yet, while it works or waits.
    since: Option<u64>,
    /// What it received as a maker and as a taker, and what it paid for that.
    received: (i128, i128),
    paid: i128,
    /// Of an iceberg order that rests: how much of it shows.
    shown: Option<u64>,
    /// Of an order that trails the price: the farthest price since it began.
    extreme: Option<u64>,
    /// Whether the price has come back from there.
    due: bool,
    /// The last price when it was placed.
    placed_at: Option<Price>,
    /// What is held for it, if an amendment has left it a share of what was.
    share: Option<i128>,
    /// What is held for its fees.
    reserve: Option<Reserve>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    Lots(u64),
    Worth(i128),
}

#[derive(Clone, Debug)]
struct Book {
    market: Market,
    units: (i128, i128),
    /// All fees that were ever in force here: orders keep the rates that they were accepted with.
    fees: BTreeSet<(u32, u32)>,
    open: BTreeMap<OrderId, Open>,
    closed: u64,
    placed: u64,
    traded: u64,
    prevented: u64,
    updates: u64,
    clock: u64,
    depth: BTreeMap<(Side, Price), u64>,
    /// The lowest and the highest price of trades, while an order waits that one of them has reached.
    reached: Option<(Price, Price)>,
    /// Whether one did before this command.
    was_reached: bool,
    last: Option<Price>,
    sitting: Sitting,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    books: BTreeMap<SymbolId, Book>,
    /// Free and held, as published.
    balances: BTreeMap<(AccountId, AssetId), (i128, i128)>,
    /// All fees that accounts ever had of their own.
    own_fees: BTreeMap<AccountId, Vec<AccountFees>>,
    /// The rates of all tiers that there ever were.
    tiers: BTreeSet<(u32, u32)>,
    /// All discounts that there ever were, and the accounts that pay so.
    discounts: Vec<FeeDiscount>,
    users: BTreeSet<AccountId>,
    lists: BTreeMap<OrderListId, List>,
}

/// What happens within one command.
#[derive(Default)]
struct Running {
    time: Timestamp,
    /// The order that works now, and where.
    worker: Option<(SymbolId, OrderId)>,
    traded: Option<SymbolId>,
    /// How many orders were triggered, and how many steps that and all trades were.
    triggered: u32,
    steps: u32,
    /// The prices that the order that works may trade at, where a circuit breaker bounds them, and where an execution
    /// rule does.
    band: Option<(Price, Price)>,
    range: Option<(Price, Price)>,
    /// Whether an auction has come to its end.
    auctioned: bool,
    /// The market whose breaker has ended an order, until it pauses.
    ended_by_venue: Option<SymbolId>,
    /// The last match that self-trade prevention prevented.
    prevented: Option<PreventedMatch>,
    touched: BTreeSet<(SymbolId, Side, Price)>,
    balances: BTreeSet<(AccountId, AssetId)>,
}

fn rises(placed: &OrderPlaced) -> bool {
    matches!(
        (placed.terms.order_type, placed.terms.side),
        (OrderType::StopLoss | OrderType::StopLossLimit, Side::Buy)
            | (OrderType::TakeProfit | OrderType::TakeProfitLimit, Side::Sell)
    )
}

fn rests(placed: &OrderPlaced) -> bool {
    placed.terms.price.is_some() && placed.terms.time_in_force == TimeInForce::Gtc
}

impl Running {
    /// An order works.
    fn works(&mut self, symbol: SymbolId, order: OrderId, book: &Book) {
        self.worker = Some((symbol, order));
        self.band = book.sitting.band(self.time);
        let side = book.open.get(&order).map(|open| open.placed.terms.side);
        self.range = side.and_then(|side| book.sitting.range(side, self.time));
    }

    /// An order that was triggered works.
    fn works_triggered(&mut self, symbol: SymbolId, order: OrderId, book: &Book) {
        self.works(symbol, order, book);
        self.triggered += 1;
        self.steps += 1;
    }
}

impl Book {
    fn quote(&self, price: Price, lots: u64) -> i128 {
        i128::from(price.0) * i128::from(lots) * self.units.1
    }

    /// What orders of a side pay.
    fn pays(&self, side: Side) -> AssetId {
        if side == Side::Buy { self.market.quote.id } else { self.market.base.id }
    }

    /// The first in the queue at the best price of a side, and that price.
    fn best(&self, side: Side) -> Option<(OrderId, Price)> {
        let resting = self.open.values().filter(|open| open.placed.terms.side == side);
        let ranked = resting.filter_map(|open| Some((open.placed.terms.price?, open.since?, open.placed.order)));
        let rank = |&(price, since, _): &(Price, u64, OrderId)| match side {
            Side::Buy => (u64::MAX - price.0, since),
            Side::Sell => (price.0, since),
        };
        ranked.min_by_key(rank).map(|(price, _, order)| (order, price))
    }

    fn is_crossed(&self) -> bool {
        let best = self.best(Side::Buy).zip(self.best(Side::Sell));
        best.is_some_and(|((_, bid), (_, ask))| bid >= ask)
    }

    fn resting_at(&self, side: Side, price: Price) -> u64 {
        let here = |open: &&Open| {
            open.since.is_some() && open.placed.terms.side == side && open.placed.terms.price == Some(price)
        };
        self.open.values().filter(here).map(Open::visible).sum()
    }

    /// The waiting orders whose stop price trades have reached.
    fn reached_orders(&self) -> impl Iterator<Item = &Open> {
        self.open.values().filter(|open| {
            let stop = open.placed.terms.stop_price.get().unwrap_or_default();
            let any = open.placed.terms.stop_price.get().is_none();
            let reached = |(low, high)| if any || rises(&open.placed) { stop <= high } else { stop >= low };
            open.waits && !open.pending && open.extreme.is_none() && self.reached.is_some_and(reached)
        })
    }

    /// No order waits that a trade has reached: only the last price counts for those that lists are yet to place.
    fn forget_reached(&mut self, lists_are_due: bool) {
        if self.reached.is_some() && self.reached_orders().next().is_none() {
            self.reached = self.last.filter(|_| lists_are_due).map(|last| (last, last));
        }
    }

    /// What must be held for an open order, which if it is pending will run at market near that price.
    fn needed(&self, open: &Open, near: Option<Price>) -> i128 {
        let lots = open.lots();
        match (open.placed.terms.side, open.placed.terms.price, open.placed.terms.stop_price.get().or(near)) {
            (Side::Sell, ..) => i128::from(lots) * self.units.0,
            (Side::Buy, Some(limit), _) => self.quote(limit, lots),
            (Side::Buy, None, _) if open.waits && open.share.is_some() => open.share.unwrap_or_default(),
            (Side::Buy, None, Some(stop)) => self.triggered_worth(open, stop),
            (Side::Buy, None, None) if open.waits => open.placed_at.map_or(0, |last| self.triggered_worth(open, last)),
            (Side::Buy, None, None) => 0,
        }
    }

    /// Whether an order has paid the fee on all that it received so far, rounded up once; at rates of the market, or
    /// at such as its account ever had of its own.
    fn fees_are_right(&self, open: &Open, own: &[AccountFees], tiers: &BTreeSet<(u32, u32)>) -> bool {
        let usual = self.fees.iter().chain(tiers);
        let mut rates = usual.flat_map(|&usual| own.iter().map(move |own| total(usual, own)).chain([usual]));
        rates.any(|(of_maker, of_taker)| {
            let product = open.received.0 * i128::from(of_maker) + open.received.1 * i128::from(of_taker);
            open.paid == product / 100_000_000 + i128::from(product % 100_000_000 > 0)
        })
    }

    /// The order that worked has met what it could: what is left of it takes its place in the book.
    fn settle_down(&mut self, order: OrderId) -> Result<(), Violation> {
        if let Some(open) = self.open.get_mut(&order) {
            ensure!(rests(&open.placed) && open.lots() > 0, Market, "order {order} should have ended: {open:?}");
            self.clock += 1;
            open.since = Some(self.clock);
            let unit = self.units.1;
            open.fit_reserve(|price| i128::from(price.0) * unit);
            open.show();
        }
        Ok(())
    }
}

/// All that an account with fees of its own pays as a maker and as a taker, in hundred-millionths, where others pay
/// `usual`.
fn total(usual: (u32, u32), own: &AccountFees) -> (u32, u32) {
    let standard = own.standard.map_or(usual, |fees| (fees.maker.units(), fees.taker.units()));
    let sum = |rates: [u32; 3]| rates.iter().fold(0u32, |sum, rate| sum.saturating_add(*rate)).min(99_999_999);
    (
        sum([standard.0, own.special.maker.units(), own.tax.maker.units()]),
        sum([standard.1, own.special.taker.units(), own.tax.taker.units()]),
    )
}

impl Open {
    /// What shows of it in the book.
    fn visible(&self) -> u64 {
        self.shown.unwrap_or_else(|| self.lots())
    }

    /// An iceberg order shows its next part.
    fn show(&mut self) {
        self.shown = self.placed.terms.iceberg().map(|part| part.0.min(self.lots()));
    }

    fn lots(&self) -> u64 {
        match self.left {
            Left::Lots(lots) => lots,
            Left::Worth(_) => 0,
        }
    }
}

impl Judge {
    /// Judges the events of the next command of a partition.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn take(&mut self, partition: PartitionId, cause: Cause, events: &[Event]) -> Result<(), Violation> {
        let mut running = Running { time: cause.time, ..Running::default() };
        let judged =
            events.iter().try_for_each(|event| self.event(event, &mut running)).and_then(|()| self.end(&running));
        judged.map_err(|Violation { check, detail }| {
            Violation::new(check, format!("{detail}, in command {} of partition {partition}", cause.sequence))
        })
    }

    fn book(&mut self, symbol: SymbolId) -> Result<&mut Book, Violation> {
        self.books.get_mut(&symbol).ok_or_else(|| {
            Violation::new(crate::violation::Check::Market, format!("market {symbol} is not listed yet"))
        })
    }

    fn event(&mut self, event: &Event, running: &mut Running) -> Result<(), Violation> {
        match event {
            Event::MarketListed(market) | Event::MarketChanged(market) => self.learn(market),
            Event::FeeTiersChanged(tiers) => {
                let rates = tiers.tiers.iter().map(|tier| (tier.fees.maker.units(), tier.fees.taker.units()));
                self.tiers.extend(rates);
            }
            Event::FeeDiscountChanged(discount) if !self.discounts.contains(discount) => {
                self.discounts.push((**discount).clone());
            }
            Event::DiscountUseChanged { account, on: true } => drop(self.users.insert(*account)),
            Event::OrderDiscounted { .. } => return self.discounted(event),
            Event::AccountFeesChanged { account, fees } => {
                let known = self.own_fees.entry(*account).or_default();
                if !known.contains(fees) {
                    known.push(*fees);
                }
            }
            Event::OrderPlaced(placed) => return self.placed(placed, running),
            Event::OrderTriggered { symbol, order, account } => {
                return self.triggered(*symbol, *order, *account, running);
            }
            Event::OrderAmended(amended) => return self.amended(amended),
            Event::ListPlaced(placed) => return self.list_placed(placed),
            Event::OrderReleased { symbol, order, account, quantity } => {
                return self.released((*symbol, *order), *account, *quantity, running);
            }
            Event::ListChanged { list, account, status, .. } => return self.list_changed(*list, *account, *status),
            Event::OrderPegged { symbol, order, price, .. } => return self.pegged(*symbol, *order, *price, running),
            Event::TrailingBegun { symbol, order, account } => return self.begun(*symbol, *order, *account, running),
            Event::Traded(trade) => return self.traded(trade, running),
            Event::OrderClosed(closed) => return self.closed(closed, running),
            Event::SessionChanged(session) => return self.session_changed(session, running),
            Event::AuctionPriced(priced) => return self.auction_priced(priced),
            Event::MatchPrevented(prevented) => return self.prevented(prevented, running),
            Event::DepthChanged(change) => return self.depth_changed(change, running),
            Event::BalanceChanged { account, asset, free, held } => {
                ensure!(
                    !free.is_negative() && !held.is_negative(),
                    Money,
                    "account {account} has {free:?} and {held:?}"
                );
                ensure!(
                    running.balances.insert((*account, *asset)),
                    Published,
                    "a balance of {account} is published twice"
                );
                let before = self.balances.insert((*account, *asset), (free.0, held.0));
                ensure!(
                    before.unwrap_or_default() != (free.0, held.0),
                    Published,
                    "no change of a balance of {account}"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Every partition publishes every market, and some later than others.
    fn learn(&mut self, market: &Market) {
        let rates = |fees: Fees| (fees.maker.units(), fees.taker.units());
        let book = self.books.entry(market.id).or_insert_with(|| Book {
            market: *market,
            units: units(market),
            fees: BTreeSet::new(),
            open: BTreeMap::new(),
            closed: 0,
            placed: 0,
            traded: 0,
            prevented: 0,
            updates: 0,
            clock: 0,
            depth: BTreeMap::new(),
            reached: None,
            was_reached: false,
            last: None,
            sitting: Sitting::default(),
        });
        book.fees.insert(rates(market.fees));
        // The registry's partition publishes each change first, and the market's follows. A market that is delisted
        // stays so: who is behind publishes what it was before.
        if book.market.status != MarketStatus::Delisted {
            book.market = *market;
        }
    }

    fn placed(&mut self, placed: &OrderPlaced, running: &mut Running) -> Result<(), Violation> {
        let pending = placed.terms.list().is_some_and(|membership| membership.pending);
        // What an auction has triggered before this order came has met what it could. The working order of a list does
        // so after its others were placed.
        if let Some((symbol, order)) = running.worker.take_if(|_| !pending) {
            self.book(symbol)?.settle_down(order)?;
        }
        let book = self.book(placed.terms.symbol)?;
        let phase = book.sitting.phase;
        let collected = placed.terms.waits() || rests(placed) || placed.terms.peg().is_some();
        let may = phase == Phase::Open || phase == Phase::Collecting && collected;
        ensure!(may, Market, "order {} is placed while its market is {phase:?}", placed.order);
        book.placed += 1;
        ensure!(placed.order.0 == book.placed, Market, "order {} is numbered, {} was due", placed.order, book.placed);
        let left = match placed.terms.size {
            Size::Base(quantity) => Left::Lots(quantity.0),
            Size::Quote(amount) => Left::Worth(amount.0),
        };
        let (waits, placed_at) = (placed.terms.waits() || pending, book.last);
        let mut placed = placed.clone();
        // A price that a pegged order names is only checked.
        placed.terms.price = placed.terms.limit();
        let open = Open {
            placed: placed.clone(),
            left,
            waits,
            pending,
            amended: 0,
            decremented: false,
            traded: false,
            since: None,
            received: (0, 0),
            paid: 0,
            shown: None,
            extreme: None,
            due: false,
            placed_at,
            share: None,
            reserve: None,
        };
        book.open.insert(placed.order, open);
        if !waits {
            running.works(placed.terms.symbol, placed.order, book);
        }
        Ok(())
    }

    fn triggered(
        &mut self,
        symbol: SymbolId,
        order: OrderId,
        account: AccountId,
        running: &mut Running,
    ) -> Result<(), Violation> {
        if let Some((symbol, order)) = running.worker.take() {
            self.book(symbol)?.settle_down(order)?;
        }
        let book = self.book(symbol)?;
        ensure!(book.sitting.phase == Phase::Open, Market, "order {order} triggers while its market is not open");
        let waiting = |open: &&mut Open| open.waits && !open.pending && open.placed.account == account;
        let Some(open) = book.open.get_mut(&order).filter(waiting) else {
            return Err(Violation::new(
                crate::violation::Check::Market,
                format!("order {order} triggers, and does not wait"),
            ));
        };
        let stop = open.placed.terms.stop_price.get().unwrap_or_default();
        open.waits = false;
        if open.placed.terms.trailing().is_some() {
            ensure!(open.due, Market, "order {order} triggers though the price has not come back: {open:?}");
            // Those that trail come after those that wait. What the others waited for is done with then.
            let first = book.reached_orders().next();
            ensure!(first.is_none(), Market, "order {order} triggers before {first:?}");
            book.reached = None;
            running.works_triggered(symbol, order, book);
            return Ok(());
        }
        let (rises, placed) = (rises(&open.placed), open.placed.order);
        let reached = book.reached.is_some_and(|(low, high)| if rises { high >= stop } else { low <= stop });
        ensure!(reached, Market, "order {order} triggers at {stop:?} though trades were at {:?}", book.reached);
        // Those that wait for a rise come first, of each kind the nearest.
        let sooner = book.reached_orders().find(|other| match (rises, self::rises(&other.placed)) {
            (true, false) => false,
            (false, true) => true,
            (true, true) => other.placed.terms.stop_price.get().unwrap_or_default() < stop,
            (false, false) => other.placed.terms.stop_price.get().unwrap_or_default() > stop,
        });
        ensure!(sooner.is_none(), Market, "order {placed} triggers before {sooner:?}");
        running.works_triggered(symbol, order, book);
        Ok(())
    }

    fn traded(&mut self, trade: &Trade, running: &mut Running) -> Result<(), Violation> {
        let &Trade { symbol, trade: id, price, quantity, quote, taker_side, taker, maker, discount: _ } = trade;
        let tiers = self.tiers.clone();
        let own_fees = [taker, maker].map(|party| self.own_fees.get(&party.account).cloned().unwrap_or_default());
        let book = self.book(symbol)?;
        book.traded += 1;
        ensure!(id.0 == book.traded, Market, "trade {id} is numbered, {} was due", book.traded);
        let in_auction = book.sitting.phase == Phase::Matching;
        if in_auction {
            Self::traded_in_auction(book, trade)?;
        } else {
            Self::is_next(book, trade, running)?;
        }
        ensure!(quote.0 == book.quote(price, quantity.0), Market, "trade {id} is worth {quote:?}");
        book.sitting.traded(running.time, price);
        let base = i128::from(quantity.0) * book.units.0;
        let mut received_in_lists = Vec::new();
        for (party, of_maker) in [(taker, false), (maker, true)] {
            let Party { order, account, fee } = party;
            let side = if of_maker { taker_side.opposite() } else { taker_side };
            let received = if side == Side::Buy { base } else { quote.0 };
            let Some(open) = book.open.get_mut(&order).filter(|open| !open.waits) else {
                let what = format!("order {order} trades, and is not open");
                return Err(Violation::new(crate::violation::Check::Market, what));
            };
            ensure!(
                open.placed.account == account && open.placed.terms.side == side,
                Market,
                "order {order} is another's"
            );
            let within = open.placed.terms.price.is_none_or(|limit| match side {
                Side::Buy => price <= limit,
                Side::Sell => price >= limit,
            });
            ensure!(within, Market, "order {order} trades at {price:?}, beyond its limit");
            open.left = match open.left {
                Left::Lots(lots) => Left::Lots(lots.checked_sub(quantity.0).ok_or_else(|| {
                    Violation::new(crate::violation::Check::Market, format!("order {order} trades more than it is for"))
                })?),
                Left::Worth(worth) => Left::Worth(worth - quote.0),
            };
            ensure!(!matches!(open.left, Left::Worth(..0)), Market, "order {order} trades more than it is for");
            let taken = open.charge(trade, of_maker, received)?;
            open.hide(quantity, &mut book.clock)?;
            let open = open.clone();
            ensure!(
                !fee.is_negative() && book.fees_are_right(&open, &own_fees[usize::from(of_maker)], &tiers),
                Market,
                "a fee of {} on {received} in trade {id}, of {open:?}",
                fee.0
            );
            received_in_lists.push((open, received - taken));
        }
        let mode = book.open.get(&taker.order).map(|open| open.placed.terms.self_trade_prevention);
        ensure!(
            in_auction || !book.have_one_owner(taker.order, maker.order) || mode == Some(SelfTradePrevention::None),
            Market,
            "trade {id} is one account's with itself, or within its trade group"
        );
        let (low, high) = book.reached.map_or((price, price), |(low, high)| (low.min(price), high.max(price)));
        book.reached = Some((low, high));
        book.last = Some(price);
        book.open.values_mut().for_each(|open| open.see(price));
        running.traded = Some(symbol);
        running.steps += 1;
        for (open, amount) in received_in_lists {
            self.received_in_list(&open, amount);
        }
        Ok(())
    }

    fn closed(&mut self, closed: &OrderClosed, running: &mut Running) -> Result<(), Violation> {
        let &OrderClosed { symbol, order, account, reason } = closed;
        let book = self.book(symbol)?;
        book.closed += 1;
        if matches!(reason, CloseReason::ByVenue | CloseReason::OutOfRange) {
            Self::ended_outside(book, closed, running)?;
        }
        let Some(open) = book.open.remove(&order).filter(|open| open.placed.account == account) else {
            return Err(Violation::new(
                crate::violation::Check::Market,
                format!("order {order} ends, and is not open"),
            ));
        };
        if reason == CloseReason::SelfTradePrevented {
            let due = running.prevented.filter(|prevented| prevented.symbol == symbol);
            let ends = due.map_or(Quantity::ZERO, |prevented| match order {
                _ if order == prevented.taker => prevented.taker_prevented,
                _ if order == prevented.maker => prevented.maker_prevented,
                _ => Quantity::ZERO,
            });
            let decremented = due.is_some_and(|prevented| prevented.mode.decrements());
            let all = match open.left {
                Left::Lots(lots) => lots == if decremented { 0 } else { ends.0 },
                Left::Worth(_) => true,
            };
            ensure!(all && !ends.is_zero(), Market, "order {order} ends because of {due:?}, with {:?} left", open.left);
        }
        let whole = open.left == Left::Lots(0) || matches!(open.left, Left::Worth(_));
        ensure!(reason != CloseReason::Filled || whole, Market, "order {order} is filled with {:?} left", open.left);
        ensure!(
            open.left != Left::Lots(0)
                || matches!(reason, CloseReason::Filled | CloseReason::SelfTradePrevented)
                || open.pending,
            Market,
            "order {order} has nothing left, and {reason:?}"
        );
        running.steps += match reason {
            CloseReason::SelfTradePrevented | CloseReason::OcoTrigger | CloseReason::WorkingEnded => 1,
            // It was to be placed.
            CloseReason::Unplaceable => 2,
            _ => 0,
        };
        if running.worker == Some((symbol, order)) {
            running.worker = None;
        }
        if let Some(membership) = open.placed.terms.list() {
            self.ended_in_list(membership.list, &open, reason)?;
        }
        // An order that replaces the last one that was reached comes too late to be reached, too.
        if matches!(reason, CloseReason::Canceled { .. }) {
            let due = self.due_lists().contains(&symbol);
            self.book(symbol)?.forget_reached(due);
        }
        Ok(())
    }

    fn depth_changed(&mut self, change: &DepthChanged, running: &mut Running) -> Result<(), Violation> {
        let &DepthChanged { symbol, side, price, quantity, update } = change;
        let book = self.book(symbol)?;
        book.updates += 1;
        ensure!(update == book.updates, Depth, "depth update {update} is numbered, {} was due", book.updates);
        if quantity.is_zero() {
            book.depth.remove(&(side, price));
        } else {
            book.depth.insert((side, price), quantity.0);
        }
        running.touched.insert((symbol, side, price));
        Ok(())
    }
}
