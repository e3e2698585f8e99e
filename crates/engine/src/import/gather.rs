//! Builds the inventory of a venue from its partitions.

use crossbook_protocol::event::{LastTrade, MarketImported, OrderImported};
use crossbook_protocol::import::{Book, FeeReserve, Inventory, Owned, Payer, Settings, Standing, StandingList};
use crossbook_protocol::order::OrderTerms;
use crossbook_protocol::order_list::ListImported;
use std::collections::BTreeMap;

use crossbook_types::{
    AccountFees, AccountId, Amount, AssetId, FeeCredit, Market, OrderId, OrderListId, PartitionId, Price, Quantity,
    SymbolId,
};

use crate::matching::open::{ANY_PRICE, Order, Waiting};
use crate::matching::{MatcherState, Reserve, next_trade};
use crate::partition::Partition;
use crate::registry::Registry;

mod lists;

/// The history that a partition's state lacks and a follower of its events has.
pub trait Past {
    /// An open order of a market of that partition; `None` if it is not known.
    fn order(&self, symbol: SymbolId, order: OrderId) -> Option<OrderImported>;

    /// An open order list of a market of that partition; `None` if it is not known.
    fn list(&self, symbol: SymbolId, list: OrderListId) -> Option<ListImported>;

    /// What there was in a market of that partition; `None` if it is not known.
    fn market(&self, symbol: SymbolId) -> Option<MarketPast>;
}

/// What there was in a market.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarketPast {
    /// The last trade, if there was one.
    pub last: Option<LastTrade>,
    /// How many aggregate trades there were.
    pub aggregate_trades: u64,
}

/// Why the inventory of a venue cannot be drawn up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// A partition's books do not balance.
    #[error("the balances of partition {partition} do not reconcile: {finding}; audit the venue before you export it")]
    Audit {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The error.
        finding: String,
    },
    /// Money or messages are in flight between partitions.
    #[error("messages are in flight between partitions; stop all traffic and try again")]
    InTransit,
    /// A market has not gone on with all that its commands have left.
    #[error(
        "market {0} has deferred triggers or cancels; open the market if it is halted, and let the venue \
         run until they are done"
    )]
    Unfinished(SymbolId),
    /// State and views differ about an order list.
    #[error("order list {list} of market {symbol} differs between events and state")]
    List {
        /// The market.
        symbol: SymbolId,
        /// The order list.
        list: OrderListId,
    },
    /// The partitions do not know the same assets, markets and accounts.
    #[error("partition {0} has not received all assets, markets and accounts yet")]
    Registry(PartitionId),
    /// What the outside world paid in is not what the transfers say.
    #[error("the transfers of asset {0} do not reconcile with the external account")]
    Transfers(AssetId),
    /// State and views differ about a market.
    #[error("market {0} differs between events and state")]
    Market(SymbolId),
    /// State and views differ about an order.
    #[error("order {order} of market {symbol} differs between events and state")]
    Order {
        /// The market.
        symbol: SymbolId,
        /// The order.
        order: OrderId,
    },
}

/// Builds the inventory of all partitions of a venue, by number, each with the follower of its events.
///
/// # Errors
/// When their balances do not reconcile, or something is in flight between them.
///
/// # Panics
/// When there are fewer partitions than their routing says.
pub fn gather(parts: &[(&Partition, &dyn Past)]) -> Result<Inventory, Error> {
    let Some(&(first, _)) = parts.first() else { return Ok(Inventory::default()) };
    let registry = first.registry();
    let mut inventory = Inventory {
        assets: registry.assets().to_vec(),
        markets: registry.markets().to_vec(),
        accounts: registry.accounts().cloned().collect(),
        api_keys: registry.api_keys().cloned().collect(),
        settings: settings(registry),
        ..Inventory::default()
    };
    for &(partition, _) in parts {
        check(&inventory, partition, parts)?;
    }
    count_money(&mut inventory, parts)?;
    inventory.countdowns = parts.iter().flat_map(|(partition, _)| partition.countdowns()).collect();
    inventory.countdowns.sort_unstable();
    inventory.payers = payers(registry, parts);
    let mut holds = 0;
    for at in 0..inventory.markets.len() {
        let market = inventory.markets[at];
        let (partition, past) = parts[usize::from(first.routing().of_symbol(market.id).0)];
        let book = book(&market, partition, past, parts)?;
        holds += holds_of(&book);
        inventory.books.push(book);
    }
    // An order in flight has a hold and is in no book.
    if holds != parts.iter().map(|(partition, _)| partition.ledger().holds()).sum::<usize>() {
        return Err(Error::InTransit);
    }
    Ok(inventory)
}

fn settings(registry: &Registry) -> Settings {
    Settings {
        exchange_filters: registry.exchange_filters(),
        fee_tiers: registry.fee_tiers().cloned(),
        fee_discount: registry.fee_discount().cloned(),
    }
}

/// What accounts pay that do not just pay what the markets say, by account.
fn payers(registry: &Registry, parts: &[(&Partition, &dyn Past)]) -> Vec<Payer> {
    let payer =
        |account| Payer { account, fees: AccountFees::default(), volume: None, discounted: false, frozen: false };
    let mut payers = BTreeMap::new();
    for (&account, &fees) in registry.account_fees() {
        payers.entry(account).or_insert_with(|| payer(account)).fees = fees;
    }
    for account in registry.discount_users() {
        payers.entry(account).or_insert_with(|| payer(account)).discounted = true;
    }
    for account in registry.frozen() {
        payers.entry(account).or_insert_with(|| payer(account)).frozen = true;
    }
    for (account, volume) in parts.iter().flat_map(|(partition, _)| partition.ledger().volumes()) {
        payers.entry(account).or_insert_with(|| payer(account)).volume = Some(volume.clone());
    }
    payers.into_values().collect()
}

/// Whether the balances of a partition reconcile, and it has received all messages and changes.
fn check(inventory: &Inventory, partition: &Partition, parts: &[(&Partition, &dyn Past)]) -> Result<(), Error> {
    let id = partition.id();
    if let Some(finding) = partition.audit().violations.into_iter().next() {
        return Err(Error::Audit { partition: id, finding });
    }
    if let Some(symbol) = partition.unfinished() {
        return Err(Error::Unfinished(symbol));
    }
    let registry = partition.registry();
    let same = registry.assets() == inventory.assets
        && registry.markets() == inventory.markets
        && registry.accounts().eq(inventory.accounts.iter())
        && settings(registry) == inventory.settings
        && parts.first().is_none_or(|(first, _)| registry.pays_as(first.registry()));
    if !same {
        return Err(Error::Registry(id));
    }
    let received = |&(other, _): &(&Partition, &dyn Past)| other.received(id) == partition.sent(other.id());
    if parts.iter().filter(|(other, _)| other.id() != id).all(received) { Ok(()) } else { Err(Error::InTransit) }
}

fn count_money(inventory: &mut Inventory, parts: &[(&Partition, &dyn Past)]) -> Result<(), Error> {
    let mut balances = BTreeMap::new();
    for &(partition, _) in parts {
        let ledger = partition.ledger();
        inventory.transfers.extend(ledger.transfers().cloned());
        for (account, asset, balance) in ledger.balances() {
            balances.insert((account, asset), balance.free.plus(balance.held));
        }
    }
    inventory.transfers.sort_unstable_by_key(|transfer| (transfer.account, transfer.transfer));
    inventory.balances =
        balances.into_iter().map(|((account, asset), amount)| Owned { account, asset, amount }).collect();
    let mut came_in = BTreeMap::<AssetId, Amount>::new();
    for transfer in &inventory.transfers {
        let sum = came_in.entry(transfer.asset).or_default();
        *sum = sum.plus(transfer.amount);
    }
    for asset in inventory.assets.iter().map(|asset| asset.id) {
        let of = |partition: &Partition| partition.ledger().forgotten_transfers().get(asset.0 as usize).copied();
        let forgotten = parts.iter().filter_map(|(partition, _)| of(partition)).fold(Amount::ZERO, Amount::plus);
        if !forgotten.is_zero() {
            inventory.forgotten.push(Owned { account: AccountId::EXTERNAL, asset, amount: forgotten });
            let sum = came_in.entry(asset).or_default();
            *sum = sum.plus(forgotten);
        }
        let of = |account| {
            let each = parts.iter().map(|(partition, _)| partition.ledger().venue_balance(account, asset));
            each.fold(Amount::ZERO, Amount::plus)
        };
        if !of(AccountId::CLEARING).is_zero() {
            return Err(Error::InTransit);
        }
        if of(AccountId::EXTERNAL) != came_in.get(&asset).copied().unwrap_or_default().negated() {
            return Err(Error::Transfers(asset));
        }
        let amount = of(AccountId::FEES);
        if !amount.is_zero() {
            inventory.fees.push(Owned { account: AccountId::FEES, asset, amount });
        }
    }
    Ok(())
}

/// Where an open order is.
#[derive(Clone, Copy)]
enum At {
    /// In the book, at a price.
    Works(Price),
    /// It waits for a stop price; or for any price.
    Waits(Price),
    /// It trails the price.
    Trails,
}

impl At {
    /// Whether an order of these terms can be there.
    fn is_of(self, terms: &OrderTerms, pegged: Option<Price>) -> bool {
        match self {
            Self::Works(price) => terms.limit().or(pegged) == Some(price),
            Self::Waits(ANY_PRICE) => terms.stop_price.get().is_none() && terms.trailing().is_some(),
            Self::Waits(stop) => terms.stop_price.get() == Some(stop),
            Self::Trails => terms.trailing().is_some(),
        }
    }
}

/// A market with its open orders, and what the accounts' partitions hold for them.
fn book(
    market: &Market,
    partition: &Partition,
    past: &dyn Past,
    parts: &[(&Partition, &dyn Past)],
) -> Result<Book, Error> {
    let symbol = market.id;
    let matcher = partition.matchers.get(symbol.0 as usize).and_then(Option::as_ref).ok_or(Error::Market(symbol))?;
    let state = matcher.state();
    let MarketPast { last, aggregate_trades } = past.market(symbol).ok_or(Error::Market(symbol))?;
    let MatcherState { next_order, last_price, depth_update, next_prevented, .. } = state;
    if last.map(|last| last.price) != last_price || next_trade(last.as_ref()) != state.next_trade {
        return Err(Error::Market(symbol));
    }
    let find = |order: &Order, at: At, left: Quantity, limit: Option<Price>, traded: Option<FeeCredit>| {
        let waits = !matches!(at, At::Works(_));
        let wrong = Error::Order { symbol, order: order.id };
        let mut told = past.order(symbol, order.id).ok_or_else(|| wrong.clone())?;
        let placed = &told.placed;
        let same = placed.order == order.id
            && placed.account == order.account
            && placed.terms.client_order_id == order.client_order_id
            && placed.terms.side == order.side
            && placed.terms.order_type == order.order_type
            && placed.terms.time_in_force == order.time_in_force
            && placed.terms.self_trade_prevention == order.self_trade_prevention
            && (placed.terms.limit() == limit || told.pegged == limit)
            && at.is_of(&placed.terms, told.pegged)
            && told.working_since.is_none() == waits
            && told.left() == Some(left)
            && told.executed.is_zero() == traded.is_none();
        if !same {
            return Err(wrong);
        }
        let (owner, _) = parts[usize::from(partition.routing().of_account(order.account).0)];
        let held = owner.ledger().held_under(order.hold).ok_or(Error::InTransit)?;
        told.amendments = matcher.amended(order.id);
        let counted = owner.ledger().counted(order.hold);
        let reserve = matcher.reserve_of(order.id);
        let reserve = reserve.map(|reserve| moving(reserve, owner, wrong)).transpose()?;
        let fee_credit = traded.unwrap_or_default();
        Ok(Standing { order: told, held, fees: order.fees, fee_credit, counted, reserve })
    };
    let find_waiting = |waiting: &Waiting, at: At, left: Quantity| {
        let standing = find(&waiting.order, at, left, waiting.limit, None)?;
        // What is held for a pair may be more than one of it needs.
        let right = standing.held == waiting.budget || matcher.shares_its_hold(waiting.order.id);
        if right { Ok(standing) } else { Err(Error::Order { symbol, order: waiting.order.id }) }
    };
    let mut orders = Vec::with_capacity(state.working.len() + state.waiting.len());
    let mut icebergs = state.icebergs.iter().peekable();
    for (price, shown, order, traded) in &state.working {
        let iceberg = icebergs.next_if(|(id, _)| *id == order.id).map(|(_, iceberg)| iceberg);
        let left = shown.plus(iceberg.map_or(Quantity::ZERO, |iceberg| iceberg.reserve));
        let mut standing = find(order, At::Works(*price), left, Some(*price), *traded)?;
        standing.order.shown = iceberg.map(|_| *shown);
        orders.push(standing);
    }
    for (stop, left, waiting) in &state.waiting {
        orders.push(find_waiting(waiting, At::Waits(*stop), *left)?);
    }
    for trailing in &state.trailing {
        let mut standing = find_waiting(&trailing.waiting, At::Trails, trailing.quantity)?;
        standing.order.extreme = trailing.extreme;
        orders.push(standing);
    }
    let lists = lists::standing(symbol, &state.lists, &mut orders, matcher, past, |account, hold| {
        let (owner, _) = parts[usize::from(partition.routing().of_account(account).0)];
        owner.ledger().held_under(hold).map(|held| (held, owner.ledger().counted(hold)))
    })?;
    let market = MarketImported { symbol, next_order, last, aggregate_trades, depth_update, next_prevented };
    Ok(Book { market, orders, lists, minutes: state.minutes, session: matcher.moving_session() })
}

/// What is held for the fees of an order, whose account that partition owns.
fn moving(reserve: Reserve, owner: &Partition, wrong: Error) -> Result<FeeReserve, Error> {
    let Reserve { asset, hold, left: held, rates, credit } = reserve;
    match owner.ledger().held_under(hold) {
        Some(there) if there == held => Ok(FeeReserve { asset, held, rates, credit }),
        Some(_) => Err(wrong),
        None => Err(Error::InTransit),
    }
}

/// How many holds there are for the orders of a market, and for their fees. Those of a list share one, but for the
/// working order.
fn holds_of(book: &Book) -> usize {
    let sharing = |list: &StandingList| if list.released { list.others.len() } else { 0 };
    let reserves = book.orders.iter().filter(|standing| standing.reserve.is_some()).count()
        + book.lists.iter().filter(|list| list.reserve.is_some()).count();
    book.orders.len() + reserves + book.lists.len() - book.lists.iter().map(sharing).sum::<usize>()
}
