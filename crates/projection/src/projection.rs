//! From events to rows. A [`Projection`] turns the events of a partition, in order, into the next batch to write.
//!
//! It has views of its own, which contain only what the next row may need (open orders, growing candles), and reads
//! each row from them right after the event that changed it. So rows come from the same code that answers clients. It
//! knows no clock and no database: the same events give the same rows, however they are divided into batches.
//!
//! Every partition publishes assets, markets and accounts. Their rows come from partition 0 alone, which knows them
//! first, so that a lagging partition does not overwrite newer rows.

use std::collections::BTreeMap;

use crossbook_engine::Partition;
use crossbook_protocol::event::{CloseReason, OrderAmended, OrderClosed, Party, PreventedMatch, Trade};
use crossbook_protocol::{Cause, Event, Routing, Transfer};
use crossbook_types::{
    AccountId, Amount, AssetId, OrderId, OrderListId, PartitionId, Sequence, Side, SymbolId, Timestamp,
};
use crossbook_views::operator_log;
use crossbook_views::{Amendment, Balance, Interval, Limits, MarketData, Offset, Order, Prevented, Views};

use crate::batch::{Batch, Fill, LedgerEntry, OrderEvent, Reason};

/// How much of the venue's time a batch may span: far less than the candles that the views keep of the shortest
/// interval.
const SPAN_MICROS_MAX: u64 = 60_000_000;

/// Turns a partition's events into rows. See the module.
#[derive(Debug)]
pub struct Projection {
    views: Views,
    batch: Batch,
    complete_from: Sequence,
    /// Markets that have traded in this batch, and when first.
    traded: BTreeMap<SymbolId, Timestamp>,
}

impl Projection {
    /// What the views of a projection need to keep: the order that ended last, and the least of everything else.
    #[must_use]
    pub fn limits() -> Limits {
        Limits {
            closed_orders_per_account: 1,
            closed_orders_per_market: 1,
            own_trades_per_account: 0,
            own_trades_per_market: 0,
            trades_per_market: 0,
            prevented_matches_per_market: 0,
            amendments_per_market: 0,
            operator_log: 0,
            aggregate_trades_per_market: 1,
            candles_per_interval: Limits::CANDLES_MIN,
        }
    }

    /// A projection that continues at the position of `views`. `complete_from` is the command up to which the tables
    /// have nothing.
    #[must_use]
    pub fn resume(partition: PartitionId, views: Views, complete_from: Sequence) -> Self {
        let stands = views.position().unwrap_or(Cause { sequence: Sequence(0), time: Timestamp(0) });
        let batch = Batch::after(partition, stands, complete_from);
        Self { views, batch, complete_from, traded: BTreeMap::new() }
    }

    /// A projection for empty tables where the log no longer has its beginning. The first batch describes what
    /// `partition` and `views` have: accounts with what is theirs as opening entries, the orders and candles that are
    /// remembered.
    #[must_use]
    pub fn open(partition: &Partition, id: PartitionId, views: &Views) -> Self {
        let stands = Cause { sequence: partition.sequence(), time: partition.time() };
        let mut batch = Batch::after(id, Cause { sequence: Sequence(0), time: Timestamp(0) }, stands.sequence);
        batch.until = stands;
        batch.begun = Some(stands.time);
        let registry = views.registry();
        if id == Routing::REGISTRY {
            batch.assets.extend(registry.assets().iter().map(|asset| (asset.id, *asset)));
            batch.markets.extend(registry.markets().iter().map(|market| (market.id, *market)));
            batch.accounts.extend(registry.accounts().map(|account| (account.id, account.clone())));
        }
        batch.operator_log.extend(views.operator_log().oldest_first().cloned());
        let mut ordinal = 0;
        let mut enter = |batch: &mut Batch, account, asset, amount: Amount| {
            if !amount.is_zero() {
                let entry = LedgerEntry { account, asset, amount, time: stands.time, reason: Reason::Opening };
                batch.ledger_entries.push(((stands.sequence, ordinal), entry));
                ordinal += 1;
            }
        };
        for account in registry.accounts() {
            let Some(holdings) = views.holdings(account.id) else { continue };
            for &balance in holdings.balances() {
                batch.balances.insert((account.id, balance.asset), (balance, holdings.updated()));
                enter(&mut batch, account.id, balance.asset, balance.free.plus(balance.held));
            }
        }
        for asset in registry.assets() {
            for account in [AccountId::EXTERNAL, AccountId::FEES, AccountId::CLEARING] {
                enter(&mut batch, account, asset.id, partition.ledger().venue_balance(account, asset.id));
            }
        }
        for market in views.markets() {
            let symbol = market.market().id;
            batch.orders.extend(market.all_orders().map(|order| ((symbol, order.order), order.clone())));
            batch.order_lists.extend(market.all_order_lists().map(|list| ((symbol, list.list), list.clone())));
            for &interval in Interval::ALL {
                let candles = market.candles().stored(interval, Timestamp(0), Timestamp(u64::MAX));
                batch.candles.extend(candles.map(|candle| ((symbol, interval, candle.open_time), *candle)));
            }
            batch.revenue.extend(revenue(market));
        }
        let views = Views::restore(views.state(), Self::limits()).expect("views that stand are consistent");
        Self { views, batch, complete_from: stands.sequence, traded: BTreeMap::new() }
    }

    /// The last command folded.
    #[must_use]
    pub fn position(&self) -> Sequence {
        self.batch.until.sequence
    }

    /// The last command whose rows were taken.
    #[must_use]
    pub fn written(&self) -> Sequence {
        self.batch.after
    }

    /// When the first command after [`Projection::written`] was, if one was folded.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        self.batch.begun
    }

    /// Rows that wait to be written, not counting candles.
    #[must_use]
    pub fn waiting_rows(&self) -> usize {
        self.batch.rows()
    }

    /// Whether something waits to be written, be it only the position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Whether the batch must be written before another command is folded.
    #[must_use]
    pub fn is_full(&self, rows_max: usize) -> bool {
        let spans = self.batch.begun.map_or(0, |begun| self.batch.until.time.0.saturating_sub(begun.0));
        self.batch.rows() >= rows_max || spans > SPAN_MICROS_MAX
    }

    /// What waits to be written; from now on the next batch is gathered.
    #[must_use]
    pub fn take(&mut self) -> Batch {
        for (symbol, since) in std::mem::take(&mut self.traded) {
            let Some(market) = self.views.market(symbol) else { continue };
            for &interval in Interval::ALL {
                let from = interval.open_time(since, Offset::UTC);
                let touched = market.candles().stored(interval, from, Timestamp(u64::MAX));
                self.batch.candles.extend(touched.map(|candle| ((symbol, interval, candle.open_time), *candle)));
            }
        }
        let next = Batch::after(self.batch.partition, self.batch.until, self.complete_from);
        std::mem::replace(&mut self.batch, next)
    }

    /// Folds the events of the next command.
    ///
    /// # Panics
    /// When it is not the next, or its events cannot be; see [`Views::apply`].
    pub fn follow(&mut self, cause: Cause, events: &[Event]) {
        assert!(cause.sequence > self.batch.until.sequence, "commands are projected in order");
        self.batch.until = cause;
        self.batch.begun.get_or_insert(cause.time);
        for (ordinal, event) in events.iter().enumerate() {
            self.views.apply(cause, event);
            self.project(cause, u32::try_from(ordinal).expect("fewer than 2^32 events of a command"), event);
        }
        self.views.end_of_command(cause);
    }

    fn project(&mut self, cause: Cause, ordinal: u32, event: &Event) {
        match event {
            Event::AssetListed(_) | Event::MarketListed(_) | Event::MarketChanged(_) | Event::AccountOpened(_)
                if self.batch.partition != Routing::REGISTRY => {}
            Event::AssetListed(asset) => {
                self.batch.assets.insert(asset.id, *asset);
            }
            Event::MarketListed(market) | Event::MarketChanged(market) => {
                self.batch.markets.insert(market.id, **market);
            }
            Event::AccountOpened(account) => {
                self.batch.accounts.insert(account.id, (**account).clone());
            }
            Event::Transferred(transfer) => self.transferred(cause, ordinal, transfer),
            Event::OrderPlaced(placed) => {
                self.order_changed(cause, ordinal, placed.terms.symbol, placed.order, "PLACED", None);
            }
            Event::OrderReleased { symbol, order, .. }
            | Event::OrderTriggered { symbol, order, .. }
            | Event::TrailingBegun { symbol, order, .. }
            | Event::OrderPegged { symbol, order, .. } => {
                self.order_changed(cause, ordinal, *symbol, *order, step(event), None);
            }
            Event::OrderAmended(amended) => self.amended(cause, ordinal, amended),
            Event::Traded(trade) => self.traded(cause, ordinal, trade),
            Event::OrderClosed(OrderClosed { symbol, order, reason, .. }) => {
                self.order_changed(cause, ordinal, *symbol, *order, closed_as(reason), None);
            }
            Event::BalanceChanged { account, asset, free, held } => {
                let balance = Balance { asset: *asset, free: *free, held: *held };
                self.batch.balances.insert((*account, *asset), (balance, cause.time));
            }
            Event::OrderImported(moved) => {
                self.order_changed(cause, ordinal, moved.placed.terms.symbol, moved.placed.order, "MOVED_IN", None);
            }
            Event::MoneyImported { account, asset, amount } => {
                let accounts = [*account, AccountId::CLEARING];
                self.post(cause, ordinal, entry_pair(accounts, *asset, *amount, Reason::Opening));
            }
            Event::MatchPrevented(prevented) => self.match_prevented(cause, ordinal, prevented),
            Event::FeesPaidOut(payout) => self.paid_out(cause, ordinal, payout),
            Event::OperatorActed(acted) => self.batch.operator_log.push(operator_log::Entry::new(acted, cause)),
            Event::ListPlaced(placed) => self.list_changed(placed.symbol, placed.list),
            Event::ListImported(moved) => self.list_changed(moved.placed.symbol, moved.placed.list),
            Event::ListChanged { symbol, list, .. } => self.list_changed(*symbol, *list),
            Event::TransferImported(transfer) => self.transfer_imported(cause, ordinal, transfer),
            // Of an imported market, the tables contain the trades since the import. Keys are secrets of the registry,
            // depth is derived from orders, answers are between the venue and who asked, and so are orders that never
            // were.
            Event::MarketImported(_)
            | Event::ApiKeyIssued(_)
            | Event::ApiKeyRevoked { .. }
            | Event::DepthChanged(_)
            | Event::OrderRefused { .. }
            | Event::Answered { .. }
            | Event::CancelAllBegun { .. }
            | Event::CountdownSet(_)
            | Event::SessionChanged(_)
            | Event::ReferenceImported { .. }
            | Event::AuctionPriced(_)
            | Event::CountdownEnded { .. }
            | Event::ExchangeFiltersChanged(_)
            | Event::AccountFeesChanged { .. }
            | Event::FeeTiersChanged(_)
            | Event::FeeDiscountChanged(_)
            | Event::DiscountUseChanged { .. }
            | Event::FrozenChanged { .. }
            | Event::OrderDiscounted { .. }
            | Event::FeeTierReached { .. }
            | Event::TradeGroupSet { .. }
            | Event::RulesActivated(_) => {}
        }
    }

    /// Takes down a deposit or a withdrawal.
    fn transferred(&mut self, cause: Cause, ordinal: u32, transfer: &Transfer) {
        self.batch.transfers.push((transfer.clone(), cause.sequence));
        let reason = Reason::Transfer(transfer.transfer);
        let accounts = [transfer.account, AccountId::EXTERNAL];
        self.post(cause, ordinal, entry_pair(accounts, transfer.asset, transfer.amount, reason));
    }

    /// Takes down a payout of collected fees.
    fn paid_out(&mut self, cause: Cause, ordinal: u32, payout: &Transfer) {
        self.batch.payouts.push((payout.clone(), cause.sequence));
        let accounts = [AccountId::FEES, AccountId::EXTERNAL];
        self.post(cause, ordinal, entry_pair(accounts, payout.asset, payout.amount, Reason::Transfer(payout.transfer)));
    }

    /// Takes down a match that self-trade prevention prevented. An order that ends because of it is taken down with its
    /// end; one that loses only a part of it, here.
    fn match_prevented(&mut self, cause: Cause, ordinal: u32, prevented: &PreventedMatch) {
        self.batch.prevented.push(Prevented { prevented: *prevented, time: cause.time });
        if prevented.mode.decrements() {
            for order in [prevented.taker, prevented.maker] {
                self.order_changed(cause, ordinal, prevented.symbol, order, "PREVENTED", None);
            }
        }
        if prevented.is_transfer() {
            self.changed_hands(cause, ordinal, prevented);
        }
    }

    /// Posts what changed hands within a trade group: as a trade, without fees.
    fn changed_hands(&mut self, cause: Cause, ordinal: u32, prevented: &PreventedMatch) {
        let market = *self.views.market(prevented.symbol).expect("a market is listed before it trades").market();
        let (base, quote) = (market.base_amount(prevented.quantity), prevented.quote);
        let (buyer, seller) = match prevented.taker_side {
            Side::Buy => (prevented.account, prevented.maker_account()),
            Side::Sell => (prevented.maker_account(), prevented.account),
        };
        let reason = || Reason::SelfTrade(prevented.symbol);
        let of_base = entry_pair([buyer, seller], market.base.id, base, reason());
        let of_quote = entry_pair([seller, buyer], market.quote.id, quote, reason());
        self.post(cause, ordinal, of_base.into_iter().chain(of_quote));
    }

    /// Takes down a transfer from before the import, whose money is in the clearing account now.
    fn transfer_imported(&mut self, cause: Cause, ordinal: u32, transfer: &Transfer) {
        let rows = match transfer.account {
            AccountId::FEES => &mut self.batch.payouts,
            _ => &mut self.batch.transfers,
        };
        rows.push((transfer.clone(), cause.sequence));
        let reason = Reason::Transfer(transfer.transfer);
        let accounts = [AccountId::CLEARING, AccountId::EXTERNAL];
        self.post(cause, ordinal, entry_pair(accounts, transfer.asset, transfer.amount, reason));
    }

    /// Takes down an order as it is now, and what happened to it.
    fn order_changed(
        &mut self,
        cause: Cause,
        ordinal: u32,
        symbol: SymbolId,
        order: OrderId,
        kind: &'static str,
        fill: Option<Fill>,
    ) {
        let market = self.views.market(symbol).expect("a market is listed before anything happens in it");
        let now = market.order(order).expect("an order is known when something happens to it").clone();
        let event = OrderEvent { account: now.account, kind, time: cause.time, fill };
        self.batch.order_events.push((symbol, order, (cause.sequence, ordinal), event));
        self.batch.orders.insert((symbol, order), now);
    }

    fn amended(&mut self, cause: Cause, ordinal: u32, amended: &OrderAmended) {
        let Cause { sequence, time } = cause;
        self.order_changed(cause, ordinal, amended.symbol, amended.order, "AMENDED", None);
        self.batch.amendments.push(Amendment { amended: *amended, sequence, time });
        let market = self.views.market(amended.symbol);
        // Its name may be another.
        if let Some(list) = market.and_then(|market| market.order(amended.order)).and_then(Order::list) {
            self.list_changed(amended.symbol, list);
        }
    }

    /// Takes down an order list as it is now.
    fn list_changed(&mut self, symbol: SymbolId, list: OrderListId) {
        let market = self.views.market(symbol).expect("a market is listed before anything happens in it");
        let now = market.order_list(list).expect("a list is known when something happens to it").clone();
        self.batch.order_lists.insert((symbol, list), now);
    }

    fn traded(&mut self, cause: Cause, ordinal: u32, trade: &Trade) {
        let &Trade { symbol, trade: id, price, quantity, quote, taker_side, taker, maker, discount: _ } = trade;
        let market = self.views.market(symbol).expect("a market is listed before it trades");
        let aggregate = market.aggregate_trades().newest().expect("a trade is part of an aggregate").id;
        let description = *market.market();
        self.batch.trades.push((*trade, aggregate, cause.time));
        self.batch.revenue.extend(revenue(market));
        self.traded.entry(symbol).or_insert(cause.time);
        // An order that trades with itself does not exist, so the two events of a trade have different keys.
        for (party, is_maker) in [(taker, false), (maker, true)] {
            let fee_asset = trade.other_fee_asset(!is_maker);
            let fill = Fill { trade: id, price, quantity, quote, fee: party.fee, fee_asset, maker: is_maker };
            self.order_changed(cause, ordinal, symbol, party.order, "TRADED", Some(fill));
        }
        let (buyer, seller) = match taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        let (base, quote_asset) = (description.base.id, description.quote.id);
        let lots = description.base_amount(quantity);
        let traded = Reason::Trade(symbol, id);
        let fee = |party: Party, received| {
            let asset = trade.other_fee_asset(party.order == taker.order).unwrap_or(received);
            let reason = Reason::Fee(symbol, id);
            [(party.account, asset, party.fee.negated(), reason.clone()), (AccountId::FEES, asset, party.fee, reason)]
        };
        self.post(
            cause,
            ordinal,
            [
                (buyer.account, base, lots, traded.clone()),
                (seller.account, base, lots.negated(), traded.clone()),
                (seller.account, quote_asset, quote, traded.clone()),
                (buyer.account, quote_asset, quote.negated(), traded),
            ]
            .into_iter()
            .chain(fee(buyer, base))
            .chain(fee(seller, quote_asset)),
        );
    }

    /// Posts entries that sum to zero.
    fn post(&mut self, cause: Cause, ordinal: u32, entries: impl IntoIterator<Item = Entry>) {
        // Entries of one event stand together; no event has as many as there is room for.
        const ROOM: u32 = 8;
        let mut at = ordinal.checked_mul(ROOM).expect("fewer than 2^29 events of a command");
        let mut sum = BTreeMap::<AssetId, Amount>::new();
        for (account, asset, amount, reason) in entries {
            if amount.is_zero() {
                continue;
            }
            let total = sum.entry(asset).or_default();
            *total = total.plus(amount);
            let entry = LedgerEntry { account, asset, amount, time: cause.time, reason };
            self.batch.ledger_entries.push(((cause.sequence, at), entry));
            at += 1;
        }
        assert!(sum.values().all(|total| total.is_zero()), "the entries of an event sum to zero");
    }
}

/// The fees that a market has collected on the day of its last trade.
fn revenue(market: &MarketData) -> impl Iterator<Item = ((SymbolId, u32, AssetId), Amount)> {
    let (symbol, collected) = (market.market().id, market.collected());
    collected.fees().iter().map(move |&(asset, sum)| ((symbol, collected.day(), asset), sum))
}

/// A ledger entry without its time: account, asset, amount and reason.
type Entry = (AccountId, AssetId, Amount, Reason);

/// The two entries of an amount that the first account receives from the second.
fn entry_pair([to, from]: [AccountId; 2], asset: AssetId, amount: Amount, reason: Reason) -> [Entry; 2] {
    [(to, asset, amount, reason.clone()), (from, asset, amount.negated(), reason)]
}

/// The kind of the order event of a step that an order takes by itself.
fn step(event: &Event) -> &'static str {
    match event {
        Event::OrderReleased { .. } => "RELEASED",
        Event::TrailingBegun { .. } => "TRAILING",
        Event::OrderPegged { .. } => "PEGGED",
        _ => "TRIGGERED",
    }
}

/// The kind of the order event of an order that closed.
fn closed_as(reason: &CloseReason) -> &'static str {
    match reason {
        CloseReason::Filled => "FILLED",
        CloseReason::Canceled { .. } => "CANCELED",
        CloseReason::Expired
        | CloseReason::Unaffordable
        | CloseReason::Amended
        | CloseReason::OcoTrigger
        | CloseReason::WorkingEnded
        | CloseReason::Unplaceable
        | CloseReason::ByVenue
        | CloseReason::OutOfRange => "EXPIRED",
        CloseReason::SelfTradePrevented => "EXPIRED_IN_MATCH",
    }
}
