//! The state of the venue after the load: every order of every account over the API, page by page, every order of every
//! market in SQL, and the balances in both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crossbook_loadgen::http::Method;
use crossbook_store::{Address, Database, History, Options, Progress};
use crossbook_types::{AccountId, OrderId, OrderStatus, Side, SymbolId};
use serde::Deserialize;

use super::Error;
use super::market::{DECIMALS, MARKETS, PRICE_DIGITS, QUANTITY_DIGITS, Worth, count, units};
use super::reconcile::{Balance, Collation, MarketCollation, Outcome, Shown, balances};
use super::record::{Fill, Findings, Record};
use super::venue::{Access, Asker, Made};

/// Orders in one answer.
const PAGE: usize = 1_000;
/// Orders read from SQL at once.
const ROWS: usize = 10_000;
/// Accounts that are asked for at the same time.
pub const ASKERS: usize = 4;
/// How long a query of many rows may take, on a database that has other things to do.
const QUERY_TIMEOUT_MS: u64 = 60_000;

/// The orders of which there was no answer and which exist all the same, and those that do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unanswered {
    /// Found by their names, with what they traded.
    pub found: u64,
    /// Acknowledged orders that do not exist.
    pub absent: u64,
}

/// Asks for the orders without an answer by their names, and adds what they traded to the record.
///
/// # Errors
/// When the venue does not answer.
pub async fn look_for_unanswered(access: &Access, made: &Made, record: &mut Record) -> Result<Unanswered, Error> {
    let mut told = Unanswered::default();
    for ((account, market), names) in record.take_unanswered() {
        let (mut asker, symbol) = (access.client(&made.accounts[account]), &made.names.symbols[market]);
        for name in names {
            let query = format!("symbol={symbol}&origClientOrderId=s{name}");
            let answer = asker.signed(Method::Get, "/api/v3/order", &query).await?;
            if !answer.is_success() {
                if answer.code != Some(NO_SUCH_ORDER) {
                    let said = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(Error::Refused { what: format!("order s{name}"), said });
                }
                told.absent += 1;
                continue;
            }
            let order = read::<OneOrder>("order", &answer.body)?.order_id;
            let query = format!("symbol={symbol}&orderId={order}&limit={PAGE}");
            let trades = asker.query("/api/v3/myTrades", &query).await?;
            for trade in read::<Vec<OneTrade<'_>>>("myTrades", &trades)?.iter().filter(|trade| !trade.is_maker) {
                let (side, fill) = trade.read().ok_or_else(|| Error::Answer("myTrades".to_owned()))?;
                record.fill(account, market, side, fill);
            }
            record.part_mut(account, market).surfaced.insert(order);
            told.found += 1;
        }
    }
    Ok(told)
}

/// -2013: the venue has no such order.
const NO_SUCH_ORDER: i32 = -2013;
/// -2011: there is nothing to cancel.
const NOTHING_OPEN: i32 = -2011;

/// Cancels whatever is still open, so that the outcome of every order is known.
///
/// # Errors
/// When the venue does not answer.
pub async fn cancel_the_rest(access: &Access, made: &Made, record: &mut Record) -> Result<(), Error> {
    for (account, who) in made.accounts.iter().enumerate() {
        let mut asker = access.client(who);
        for (market, symbol) in made.names.symbols.iter().enumerate() {
            let query = format!("symbol={symbol}");
            // Sent again after a failure, it finds fewer to cancel; so what is open is counted before.
            let open = asker.query("/api/v3/openOrders", &query).await?;
            let open = read::<Vec<OneOrder>>("openOrders", &open)?.len() as u64;
            let answer = asker.signed(Method::Delete, "/api/v3/openOrders", &query).await?;
            if !answer.is_success() && answer.code != Some(NOTHING_OPEN) {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(Error::Refused { what: "openOrders".to_owned(), said });
            }
            record.part_mut(account, market).canceled += open;
        }
    }
    Ok(())
}

/// Every order of these accounts over the API, and their balances. `shown` receives each page.
///
/// # Errors
/// When the venue does not answer.
pub async fn over_api(
    access: &Access,
    made: &Made,
    record: &Record,
    accounts: impl Iterator<Item = usize>,
    shown: &impl Fn(usize),
) -> Result<Outcome, Error> {
    const PLACE: &str = "API";
    let mut all = Outcome::default();
    for account in accounts {
        let mut asker = access.client(&made.accounts[account]);
        for (market, symbol) in made.names.symbols.iter().enumerate() {
            let mut collation = Collation::new(PLACE, record, account, market);
            let mut from = 0;
            loop {
                let query = format!("symbol={symbol}&orderId={from}&limit={PAGE}");
                let body = asker.query("/api/v3/allOrders", &query).await?;
                let page = read::<Vec<ApiOrder<'_>>>("allOrders", &body)?;
                for order in &page {
                    let order = order.read().ok_or_else(|| Error::Answer("allOrders".to_owned()))?;
                    collation.show(&order);
                    // A page that does not advance would be requested without end.
                    from = from.max(order.order + 1);
                }
                shown(page.len());
                if page.len() < PAGE {
                    break;
                }
            }
            all.append(collation.finish());
        }
        all.inconsistencies.append(balances_over_api(&mut asker, made, record, account).await?);
    }
    Ok(all)
}

async fn balances_over_api(asker: &mut Asker, made: &Made, record: &Record, account: usize) -> Result<Findings, Error> {
    let body = asker.query("/api/v3/account", "").await?;
    let shown = read::<OneAccount<'_>>("account", &body)?;
    let balance = |entry: &OneBalance<'_>| {
        let balance = Balance { free: units(entry.free, DECIMALS)?, held: units(entry.locked, DECIMALS)? };
        Some((entry.asset.to_owned(), balance))
    };
    let shown: Option<BTreeMap<String, Balance>> = shown.balances.iter().map(balance).collect();
    let shown = shown.ok_or_else(|| Error::Answer("account".to_owned()))?;
    Ok(balances("API", record, account, &made.given, &made.names, &shown))
}

/// The venue's history, with the markets of the soak in it.
pub struct Tables {
    history: History,
    symbols: [SymbolId; MARKETS],
}

impl Tables {
    /// In the database of that address.
    ///
    /// # Errors
    /// When it names no database, or a file that is not there, or it is not this venue's.
    pub async fn of(address: &str, made: &Made) -> Result<Self, Error> {
        let path = address.strip_prefix("sqlite://");
        if let Some(path) = path.filter(|path| !Path::new(path.split('?').next().unwrap_or_default()).is_file()) {
            return Err(Error::NoFile(path.to_owned()));
        }
        // A file that is not there any more must not be made.
        let address = match path {
            Some(path) if !path.contains('?') => format!("{address}?mode=rw"),
            _ => address.to_owned(),
        };
        let options =
            Options { database: Address::new(&address), query_timeout_ms: QUERY_TIMEOUT_MS, ..Options::default() };
        let database = Database::new(&options, Path::new(""))?.ok_or(Error::NoDatabase)?;
        let history = History::new(&database, Arc::new(Progress::default()));
        let mut symbols = [SymbolId(0); MARKETS];
        for (symbol, name) in symbols.iter_mut().zip(&made.names.symbols) {
            *symbol = history.market_named(name).await?.ok_or_else(|| Error::OtherDatabase(name.clone()))?;
        }
        Ok(Self { history, symbols })
    }

    /// Every order of the soak's markets, and what its accounts have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold_to(&self, made: &Made, record: &Record, shown: &impl Fn(usize)) -> Result<Outcome, Error> {
        const PLACE: &str = "SQL";
        let numbers: Vec<u64> = made.accounts.iter().map(|account| account.number).collect();
        let mut all = Outcome::default();
        for (market, &symbol) in self.symbols.iter().enumerate() {
            let mut collation = MarketCollation::new(PLACE, record, market, &numbers);
            let mut from = OrderId(0);
            loop {
                let rows = self.history.orders_of_market(symbol, from, ROWS).await?;
                for row in &rows {
                    let traded = Worth::of(1, row.executed.0);
                    let executed = Worth { quote: row.executed_quote.0, ..traded };
                    let order = Shown { order: row.order.0, side: row.side, status: row.status, executed };
                    collation.show(row.account.0, &order);
                    from = OrderId(row.order.0.saturating_add(1));
                }
                shown(rows.len());
                if rows.len() < ROWS {
                    break;
                }
            }
            all.append(collation.finish());
        }
        for (account, &number) in numbers.iter().enumerate() {
            let holdings = self.history.holdings(AccountId(number)).await?;
            let shown = holdings
                .into_iter()
                .map(|holding| (holding.asset, Balance { free: holding.free.0, held: holding.held.0 }))
                .collect();
            all.inconsistencies.append(balances(PLACE, record, account, &made.given, &made.names, &shown));
        }
        Ok(all)
    }
}

fn read<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|_| Error::Answer(what.to_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneOrder {
    order_id: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiOrder<'a> {
    order_id: u64,
    side: &'a str,
    status: &'a str,
    executed_qty: &'a str,
    cummulative_quote_qty: &'a str,
}

impl ApiOrder<'_> {
    fn read(&self) -> Option<Shown> {
        let executed =
            Worth { base: units(self.executed_qty, DECIMALS)?, quote: units(self.cummulative_quote_qty, DECIMALS)? };
        let (side, status) = (Side::from_name(self.side)?, OrderStatus::from_name(self.status)?);
        Some(Shown { order: self.order_id, side, status, executed })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneTrade<'a> {
    price: &'a str,
    qty: &'a str,
    commission: &'a str,
    is_buyer: bool,
    is_maker: bool,
}

impl OneTrade<'_> {
    fn read(&self) -> Option<(Side, Fill)> {
        let side = if self.is_buyer { Side::Buy } else { Side::Sell };
        let fill = Fill {
            ticks: count(self.price, PRICE_DIGITS)?,
            lots: count(self.qty, QUANTITY_DIGITS)?,
            commission: units(self.commission, DECIMALS)?,
        };
        Some((side, fill))
    }
}

#[derive(Deserialize)]
struct OneAccount<'a> {
    #[serde(borrow)]
    balances: Vec<OneBalance<'a>>,
}

#[derive(Deserialize)]
struct OneBalance<'a> {
    asset: &'a str,
    free: &'a str,
    locked: &'a str,
}
