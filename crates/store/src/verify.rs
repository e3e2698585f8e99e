//! Compares the tables with the engine. [`StoredState`] are read from the tables in one transaction; a
//! [`ExpectedState`] is the engine's state at the same command, after a replay of the log.
//!
//! With several partitions, each is compared with its own rows. One thing is in no partition alone: a trade is posted
//! in its market's partition, and the money moves in the accounts' partitions. So the sums of an account's entries are
//! compared over all partitions at once, by [`compare_entries`], when no message is in flight between them.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::Partition;
use crossbook_projection::schema::{ORDER_LISTS, ORDERS};
use crossbook_protocol::event::Trade;
use crossbook_protocol::{Cause, Event, Routing};
use crossbook_types::{
    AccountId, Amount, AssetId, ListStatus, OrderId, OrderListId, PartitionId, Sequence, SymbolId, SymbolName,
};
use crossbook_views::{Interval, Order, OrderList, Views};
use futures_util::TryStreamExt as _;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::database::{self, Database, Error};
use crate::delete::market_names;
use crate::digests::{self, TableContents};
use crate::rows::Fields;
use crate::writer::{Position, position};

/// How many findings are listed; further ones do not change the verdict.
pub const FINDINGS_MAX: usize = 100;

/// What the trades of a market add up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TradeSums {
    /// Number of trades.
    pub count: u64,
    /// Sum of their quantities, in lots.
    pub quantity: u128,
    /// In the quote asset's smallest unit.
    pub quote: Amount,
    /// What takers paid, of both assets, added as if they were one.
    pub taker_fees: Amount,
    /// What makers paid.
    pub maker_fees: Amount,
}

impl TradeSums {
    fn add(&mut self, quantity: u64, quote: Amount, taker_fee: Amount, maker_fee: Amount) {
        self.count += 1;
        self.quantity += u128::from(quantity);
        self.quote = self.quote.saturating_add(quote);
        self.taker_fees = self.taker_fees.saturating_add(taker_fee);
        self.maker_fees = self.maker_fees.saturating_add(maker_fee);
    }
}

/// What the tables say of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredState {
    /// Where they stand.
    pub position: Position,
    /// Free and held, by account and asset.
    pub balances: BTreeMap<(AccountId, AssetId), (Amount, Amount)>,
    /// Orders that have not ended.
    pub open_orders: BTreeMap<(SymbolId, OrderId), Order>,
    /// Order lists that are not done.
    pub open_lists: BTreeMap<(SymbolId, OrderListId), OrderList>,
    /// Of all trades.
    pub trades: BTreeMap<SymbolId, TradeSums>,
    /// How often orders were amended.
    pub amendments: BTreeMap<SymbolId, u64>,
    /// Of all ledger entries that the partition made, by account and asset.
    pub entries: BTreeMap<(AccountId, AssetId), Amount>,
    /// Of all candles: trades and quote volume, by market and interval.
    pub candles: BTreeMap<(SymbolId, String), (u64, Amount)>,
    /// Markets that have rows but no name yet, which another partition writes. Until [`StoredState::settle`], it is not
    /// known whose they are, and they are counted above.
    pub unnamed: BTreeSet<SymbolId>,
    /// What is in every table, if that was asked for.
    pub contents: Vec<TableContents>,
}

impl StoredState {
    /// Reads a partition's rows in one consistent snapshot; all rows of all tables, if their digests are wanted too.
    ///
    /// # Errors
    /// When the database fails, or a row is invalid.
    pub async fn read(database: &Database, partition: PartitionId, with_contents: bool) -> Result<Self, Error> {
        let mut connection = database.connect().await?;
        let mut transaction = connection.begin().await?;
        let mut facts = Self { position: position(&mut transaction, partition).await?, ..Self::default() };
        let mut owner = Owner {
            partition,
            alone: database.is_of_one(),
            routing: database.routing(),
            names: market_names(&mut transaction).await?,
            unnamed: BTreeSet::new(),
        };
        facts.read_accounts(&mut transaction, &owner).await?;
        facts.read_markets(&mut transaction, &mut owner).await?;
        facts.unnamed = owner.unnamed;
        if with_contents {
            facts.contents = digests::read(&mut transaction).await?;
        }
        transaction.rollback().await?;
        database::close(connection).await;
        Ok(facts)
    }

    /// Reads balances and ledger entries.
    async fn read_accounts(&mut self, connection: &mut AnyConnection, owner: &Owner<'_>) -> Result<(), Error> {
        let account = |fields: &Fields<'_>| {
            let asset = u32::try_from(fields.number("asset_id")?);
            let asset = asset.map_err(|_| Error::Nonsense("column asset_id".to_owned()))?;
            Ok::<_, Error>((AccountId(fields.number("account_id")?), AssetId(asset)))
        };
        let statement = format!("SELECT account_id, asset_id, {}, {} FROM balances", as_text("free"), as_text("held"));
        each(connection, statement, |row| {
            let (account, asset) = account(&row)?;
            if owner.owns_account(account) {
                self.balances.insert((account, asset), (row.amount("free")?, row.amount("held")?));
            }
            Ok(())
        })
        .await?;
        // Rows that no partition of this venue wrote must be found, not ignored.
        let own = if owner.alone { String::new() } else { format!(" WHERE partition_id = {}", owner.partition.0) };
        let statement = format!("SELECT account_id, asset_id, {} FROM ledger_entries{own}", as_text("amount"));
        each(connection, statement, |row| {
            let sum = self.entries.entry(account(&row)?).or_default();
            *sum = sum.plus(row.amount("amount")?);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Reads open orders, trades and candles.
    async fn read_markets(&mut self, connection: &mut AnyConnection, owner: &mut Owner<'_>) -> Result<(), Error> {
        let open = "status IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED')";
        let statement = format!("SELECT {} FROM orders WHERE {open}", ORDERS.selection());
        each(connection, statement, |row| {
            let order = row.order()?;
            if owner.may_own_market(order.terms.symbol) {
                self.open_orders.insert((order.terms.symbol, order.order), order);
            }
            Ok(())
        })
        .await?;
        let statement = format!("SELECT {} FROM order_lists WHERE status = 'EXECUTING'", ORDER_LISTS.selection());
        each(connection, statement, |row| {
            let (symbol, list) = (row.symbol()?, row.order_list()?);
            if owner.may_own_market(symbol) {
                self.open_lists.insert((symbol, list.list), list);
            }
            Ok(())
        })
        .await?;
        let statement = format!(
            "SELECT symbol_id, quantity, {}, {}, {} FROM trades",
            as_text("quote"),
            as_text("taker_fee"),
            as_text("maker_fee")
        );
        each(connection, statement, |row| {
            let symbol = row.symbol()?;
            if !owner.may_own_market(symbol) {
                return Ok(());
            }
            let sums = self.trades.entry(symbol).or_default();
            sums.add(row.number("quantity")?, row.amount("quote")?, row.amount("taker_fee")?, row.amount("maker_fee")?);
            Ok(())
        })
        .await?;
        each(connection, "SELECT symbol_id FROM order_amendments".to_owned(), |row| {
            let symbol = row.symbol()?;
            if owner.may_own_market(symbol) {
                *self.amendments.entry(symbol).or_default() += 1;
            }
            Ok(())
        })
        .await?;
        let statement = format!("SELECT symbol_id, candle_interval, trades, {} FROM candles", as_text("quote_volume"));
        each(connection, statement, |row| {
            let symbol = row.symbol()?;
            if !owner.may_own_market(symbol) {
                return Ok(());
            }
            let (count, quote) = self.candles.entry((symbol, row.text("candle_interval")?)).or_default();
            *count += row.number("trades")?;
            *quote = quote.saturating_add(row.amount("quote_volume")?);
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Leaves the rows of unnamed markets to their partitions. `partition` is at the position of these rows, so it
    /// knows every market of its own that can have any.
    pub fn settle(&mut self, partition: &Partition) {
        let routing = partition.routing();
        let mut foreign = std::mem::take(&mut self.unnamed);
        foreign.retain(|&symbol| {
            partition.registry().market(symbol).is_none() || routing.of_symbol(symbol) != partition.id()
        });
        if foreign.is_empty() {
            return;
        }
        self.open_orders.retain(|(symbol, _), _| !foreign.contains(symbol));
        self.open_lists.retain(|(symbol, _), _| !foreign.contains(symbol));
        self.trades.retain(|symbol, _| !foreign.contains(symbol));
        self.amendments.retain(|symbol, _| !foreign.contains(symbol));
        self.candles.retain(|(symbol, _), _| !foreign.contains(symbol));
    }
}

/// The partition whose rows are read from tables that several partitions write.
struct Owner<'a> {
    partition: PartitionId,
    /// Whether no other partition writes these tables.
    alone: bool,
    routing: &'a Routing,
    names: BTreeMap<SymbolId, SymbolName>,
    /// Markets with rows that had no name.
    unnamed: BTreeSet<SymbolId>,
}

impl Owner<'_> {
    fn owns_account(&self, account: AccountId) -> bool {
        self.alone || self.routing.of_account(account) == self.partition
    }

    /// Whether a market is the partition's. One without a name may be.
    fn may_own_market(&mut self, symbol: SymbolId) -> bool {
        if self.alone {
            return true;
        }
        match self.names.get(&symbol) {
            Some(name) => self.routing.of_listed(symbol, name) == self.partition,
            None => {
                self.unnamed.insert(symbol);
                true
            }
        }
    }
}

/// A column of numbers that may be too large for an integer, selected as text.
fn as_text(column: &str) -> String {
    format!("CAST({column} AS CHAR(41)) AS {column}")
}

/// Gives every row of a statement, which is made of this crate's own words.
async fn each(
    connection: &mut AnyConnection,
    statement: String,
    mut take: impl FnMut(Fields<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let row: AnyRow = row;
        take(Fields(&row))?;
    }
    Ok(())
}

/// The engine's state, collected while its log is replayed.
#[derive(Clone, Debug, Default)]
pub struct ExpectedState {
    trades: BTreeMap<SymbolId, TradeSums>,
    amendments: BTreeMap<SymbolId, u64>,
}

impl ExpectedState {
    /// Takes the events of the next command. Of those up to `complete_from`, the tables have no trades.
    pub fn follow(&mut self, cause: Cause, events: &[Event], complete_from: Sequence) {
        if cause.sequence <= complete_from {
            return;
        }
        for event in events {
            if let Event::Traded(Trade { symbol, quantity, quote, taker, maker, .. }) = event {
                self.trades.entry(*symbol).or_default().add(quantity.0, *quote, taker.fee, maker.fee);
            }
            if let Event::OrderAmended(amended) = event {
                *self.amendments.entry(amended.symbol).or_default() += 1;
            }
        }
    }

    /// Takes trades and amendments from the tables: the log no longer has them all, so there is nothing to compare them
    /// with.
    pub fn trust_trades(&mut self, facts: &StoredState) {
        self.trades.clone_from(&facts.trades);
        self.amendments.clone_from(&facts.amendments);
    }

    /// All differences between the tables, of which every row is settled, and the engine at the same position; empty if
    /// there are none.
    #[must_use]
    pub fn compare(&self, facts: &StoredState, partition: &Partition, views: &Views) -> Vec<String> {
        let mut findings = Vec::new();
        let mut note = |finding: String| {
            if findings.len() < FINDINGS_MAX {
                findings.push(finding);
            }
        };
        if facts.position.sequence != partition.sequence() {
            note(format!("the tables stand at {}, the engine at {}", facts.position.sequence, partition.sequence()));
        }
        if facts.position.time != partition.time() {
            let sequence = facts.position.sequence;
            note(format!("command {sequence} of the tables is not the one in the log, which has diverged"));
        }
        let ledger = partition.ledger();
        let told = ledger.balances().map(|(account, asset, balance)| ((account, asset), (balance.free, balance.held)));
        differences("balance", &facts.balances, &told.collect(), |balance| *balance == Default::default(), &mut note);

        let open = views.markets().flat_map(|market| market.all_orders()).filter(|order| order.status.is_open());
        let open = open.map(|order| ((order.terms.symbol, order.order), order.clone())).collect();
        differences("open order", &facts.open_orders, &open, |_| false, &mut note);

        let lists = views.markets().flat_map(|market| {
            let symbol = market.market().id;
            market.all_order_lists().map(move |list| ((symbol, list.list), list.clone()))
        });
        let lists = lists.filter(|(_, list)| list.status == ListStatus::Executing).collect();
        differences("open order list", &facts.open_lists, &lists, |_| false, &mut note);

        differences("amendments in market", &facts.amendments, &self.amendments, |_| false, &mut note);
        differences("trades of market", &facts.trades, &self.trades, |_| false, &mut note);
        if facts.position.complete_from == Sequence(0) {
            let candles = self.trades.iter().flat_map(|(&symbol, sums)| {
                Interval::ALL
                    .iter()
                    .map(move |interval| ((symbol, interval.as_str().to_owned()), (sums.count, sums.quote)))
            });
            differences("trades in candles", &facts.candles, &candles.collect(), |_| false, &mut note);
        }
        if partition.routing().partitions() == 1 {
            differing_entries(&facts.entries, &[partition], &mut note);
        } else {
            // The one account that moves by nothing but this partition's own transfers.
            let outside = |&(account, _): &(AccountId, AssetId)| account == AccountId::EXTERNAL;
            let entries = facts.entries.iter().filter(|(key, _)| outside(key)).map(|(&key, &sum)| (key, sum)).collect();
            let told = ledger_sums(&[partition]).into_iter().filter(|(key, _)| outside(key)).collect();
            differences("sum of ledger entries", &entries, &told, |sum| sum.is_zero(), &mut note);
        }

        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for ((_, asset), amount) in &facts.entries {
            let sum = sums.entry(*asset).or_default();
            *sum = sum.plus(*amount);
        }
        for (asset, sum) in sums.into_iter().filter(|(_, sum)| !sum.is_zero()) {
            note(format!("the ledger entries of asset {asset} add up to {} instead of 0", sum.0));
        }
        findings
    }
}

/// Everything in which the ledger entries of all partitions differ from the engine, where both are complete and stand
/// still: each account's add up to what it has. `facts` and `partitions` are of all of them, in any order.
#[must_use]
pub fn compare_entries(facts: &[StoredState], partitions: &[&Partition]) -> Vec<String> {
    let mut entries = BTreeMap::<(AccountId, AssetId), Amount>::new();
    for (&key, &amount) in facts.iter().flat_map(|facts| &facts.entries) {
        let sum = entries.entry(key).or_default();
        *sum = sum.plus(amount);
    }
    let mut findings = Vec::new();
    differing_entries(&entries, partitions, &mut |finding| {
        if findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
    });
    findings
}

fn differing_entries(
    entries: &BTreeMap<(AccountId, AssetId), Amount>,
    partitions: &[&Partition],
    note: &mut impl FnMut(String),
) {
    differences("sum of ledger entries", entries, &ledger_sums(partitions), |sum| sum.is_zero(), note);
}

/// What clients and the venue's own accounts have in all of these partitions.
fn ledger_sums(partitions: &[&Partition]) -> BTreeMap<(AccountId, AssetId), Amount> {
    let mut sums = BTreeMap::<(AccountId, AssetId), Amount>::new();
    for partition in partitions {
        let ledger = partition.ledger();
        let venue = partition.registry().assets().iter().flat_map(|asset| {
            [AccountId::EXTERNAL, AccountId::FEES, AccountId::CLEARING]
                .map(|account| ((account, asset.id), ledger.venue_balance(account, asset.id)))
        });
        let clients =
            ledger.balances().map(|(account, asset, balance)| ((account, asset), balance.free.plus(balance.held)));
        for (key, amount) in venue.chain(clients) {
            let sum = sums.entry(key).or_default();
            *sum = sum.plus(amount);
        }
    }
    sums
}

/// Tells every key under which two maps differ. What `is_nothing` may be absent.
fn differences<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    tables: &BTreeMap<K, V>,
    engine: &BTreeMap<K, V>,
    is_nothing: impl Fn(&V) -> bool,
    note: &mut impl FnMut(String),
) {
    for (key, value) in tables {
        match engine.get(key) {
            Some(other) if other == value => {}
            Some(other) => note(format!("{what} {key:?}: the tables say {value:?}, the engine {other:?}")),
            None if is_nothing(value) => {}
            None => note(format!("{what} {key:?}: the tables say {value:?}, the engine has none")),
        }
    }
    for (key, value) in engine {
        if !tables.contains_key(key) && !is_nothing(value) {
            note(format!("{what} {key:?}: the engine says {value:?}, the tables have none"));
        }
    }
}
