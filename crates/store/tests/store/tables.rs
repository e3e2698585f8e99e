//! The rows of the tables, on both databases: they do not depend on how they were written, and equal the engine's
//! state.

use std::sync::Arc;
use std::time::Duration;

use crate::kit::{PARTITION, databases, empty, fill, fresh, options};
use crate::venue::Venue;
use crossbook_projection::Projection;
use crossbook_protocol::command::{Body, ListAsset, ListMarket};
use crossbook_store::digests::contents;
use crossbook_store::measure::{Cut, Rows};
use crossbook_store::verify::{ExpectedState, StoredState};
use crossbook_store::{Database, Dialect, Error, History, Options, Progress, Writer};
use crossbook_types::{Asset, AssetId, AssetName, ExpiryReason, ListStatus, OrderStatus, Sequence, SymbolName, market};
use crossbook_views::{Limits, OrderList, Views, Window};
use sqlx::{Connection as _, Executor as _};

#[tokio::test]
async fn a_new_file_is_opened_once_another_connection_has_unlocked_it() {
    let empty = empty(Dialect::Sqlite, options());
    let mut other = sqlx::AnyConnection::connect(&format!("{}?mode=rwc", empty.address())).await.unwrap();
    other.execute("CREATE TABLE other (n INT); DROP TABLE other").await.unwrap();
    other.execute("BEGIN; SELECT count(*) FROM sqlite_schema").await.unwrap();
    let mut opening = Box::pin(Writer::open(&empty.database, PARTITION));
    let waiting = tokio::time::timeout(Duration::from_millis(100), &mut opening).await;
    assert!(waiting.is_err(), "the file is locked");
    other.execute("ROLLBACK").await.unwrap();
    opening.await.unwrap().close().await;
}

fn traded(seed: u64, commands: usize) -> Venue {
    let mut venue = Venue::open(seed);
    venue.trade(commands, 400_000);
    venue
}

/// What differs between the tables and the engine.
async fn findings(database: &Database, venue: &Venue) -> Vec<String> {
    let facts = StoredState::read(database, PARTITION, false).await.unwrap();
    let mut views = Views::new(Limits::default());
    let mut expected_state = ExpectedState::default();
    for (cause, events) in &venue.log {
        views.apply_all(*cause, events);
        expected_state.follow(*cause, events, facts.position.complete_from);
    }
    expected_state.compare(&facts, &venue.partition, &views)
}

#[tokio::test]
async fn the_tables_are_what_the_engine_says_and_the_same_in_every_database_however_written() {
    let venue = traded(1, 3_000);
    let mut all = Vec::new();
    for commands in [1_000_000, 100, 1] {
        // One command a transaction is slow on a server that syncs each.
        let log = if commands == 1 { &venue.log[..400] } else { &venue.log[..] };
        for empty in databases() {
            fill(&empty.database, log, commands).await;
            if commands > 1 {
                assert_eq!(findings(&empty.database, &venue).await, Vec::<String>::new(), "{:?}", empty.dialect);
                all.push(contents(&empty.database).await.unwrap());
            } else {
                let again = empty_like(&empty);
                fill(&again.database, log, 7).await;
                assert_eq!(
                    contents(&empty.database).await.unwrap(),
                    contents(&again.database).await.unwrap(),
                    "{:?}",
                    empty.dialect
                );
            }
        }
    }
    let rows: Vec<_> = all[0].iter().map(|table| (table.table, table.rows)).collect();
    assert!(rows.iter().all(|&(_, rows)| rows > 0), "every table has rows: {rows:?}");
    assert!(all.iter().all(|contents| *contents == all[0]));
}

fn empty_like(other: &crate::kit::Empty) -> crate::kit::Empty {
    empty(other.dialect, options())
}

#[tokio::test]
async fn verification_finds_what_was_changed_by_hand() {
    let venue = traded(2, 1_000);
    let changes = [
        ("UPDATE balances SET free = free + 1 WHERE account_id = 1002 AND asset_id = 0", "balance"),
        ("DELETE FROM orders WHERE status = 'NEW'", "open order"),
        ("UPDATE trades SET quantity = quantity + 1 WHERE trade_id = 3", "trades of market"),
        ("UPDATE ledger_entries SET amount = '12345' WHERE ordinal = 0 AND kind = 'TRANSFER'", "ledger entries"),
        ("DELETE FROM candles WHERE candle_interval = '3d'", "trades in candles"),
    ];
    for (change, expected) in changes {
        for empty in databases() {
            fill(&empty.database, &venue.log, 500).await;
            let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
            connection.execute(change).await.unwrap();
            connection.close().await.unwrap();
            let found = findings(&empty.database, &venue).await;
            assert!(found.iter().any(|finding| finding.contains(expected)), "{change}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_is_written_once_even_if_it_is_written_twice() {
    let venue = traded(3, 500);
    for empty in databases() {
        let mut writer = Writer::open(&empty.database, PARTITION).await.unwrap();
        let mut projection = fresh();
        for (cause, events) in &venue.log[..300] {
            projection.follow(*cause, events);
        }
        let first = projection.take();
        writer.write(&first).await.unwrap();
        let before = contents(&empty.database).await.unwrap();
        assert!(matches!(writer.write(&first).await, Err(Error::Moved { expected: 0, found: 300 })));
        for (cause, events) in &venue.log[300..400] {
            projection.follow(*cause, events);
        }
        let second = projection.take();
        writer.write(&second).await.unwrap();
        assert!(matches!(writer.write(&second).await, Err(Error::Moved { expected: 300, found: 400 })));
        assert_ne!(contents(&empty.database).await.unwrap(), before);
        assert_eq!(writer.position().await.unwrap().sequence, Sequence(400));
        writer.close().await;
    }
}

#[tokio::test]
async fn a_failed_batch_leaves_nothing() {
    let venue = traded(4, 500);
    for empty in databases() {
        fill(&empty.database, &venue.log[..300], 300).await;
        let before = contents(&empty.database).await.unwrap();
        // A trade that is there already: the last statements of the batch fail, after the others have worked.
        let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
        let taken = "INSERT INTO candles (symbol_id, candle_interval, open_time, open, high, low, close, volume, \
                     quote_volume, taker_buy_volume, taker_buy_quote_volume, trades, first_trade, last_trade) \
                     SELECT symbol_id + 100, candle_interval, open_time, open, high, low, close, volume, quote_volume, \
                     taker_buy_volume, taker_buy_quote_volume, trades, first_trade, last_trade FROM candles LIMIT 1";
        connection.execute(taken).await.unwrap();
        let trade = "INSERT INTO trades SELECT symbol_id, trade_id + 5, aggregate_id, time, price, quantity, quote, \
                     taker_side, taker_order_id, taker_account_id, taker_fee, maker_order_id, maker_account_id, \
                     maker_fee, taker_fee_asset_id, maker_fee_asset_id FROM trades WHERE symbol_id = 0 ORDER BY trade_id DESC LIMIT 1";
        connection.execute(trade).await.unwrap();
        connection.execute("DELETE FROM candles WHERE symbol_id >= 100").await.unwrap();
        let mut writer = Writer::open(&empty.database, PARTITION).await.unwrap();
        let mut views = Views::new(Projection::limits());
        for (cause, events) in &venue.log[..300] {
            views.apply_all(*cause, events);
        }
        let mut projection = Projection::resume(PARTITION, views, Sequence(0));
        for (cause, events) in &venue.log[300..] {
            projection.follow(*cause, events);
        }
        assert!(matches!(writer.write(&projection.take()).await, Err(Error::Database(_))));
        writer.close().await;
        let undo = "DELETE FROM trades WHERE trade_id > (SELECT most FROM (SELECT MAX(trade_id) - 5 AS most FROM \
                    trades WHERE symbol_id = 0) AS known) AND symbol_id = 0";
        connection.execute(undo).await.unwrap();
        connection.close().await.unwrap();
        assert_eq!(contents(&empty.database).await.unwrap(), before, "{:?}", empty.dialect);
    }
}

#[tokio::test]
async fn where_the_log_has_lost_its_beginning_the_tables_begin_with_what_there_was() {
    let mut venue = traded(5, 1_500);
    let mut views = Views::new(Limits::default());
    for (cause, events) in &venue.log {
        views.apply_all(*cause, events);
    }
    let cut = venue.log.len();
    let begun = venue.partition.clone();
    venue.trade(1_500, 400_000);
    for empty in databases() {
        let mut writer = Writer::open(&empty.database, PARTITION).await.unwrap();
        let mut projection = Projection::open(&begun, PARTITION, &views);
        for (at, (cause, events)) in venue.log[cut..].iter().enumerate() {
            if at % 400 == 0 {
                writer.write(&projection.take()).await.unwrap();
            }
            projection.follow(*cause, events);
        }
        writer.write(&projection.take()).await.unwrap();
        let position = writer.position().await.unwrap();
        assert_eq!(position.complete_from.0, cut as u64);
        writer.close().await;
        assert_eq!(findings(&empty.database, &venue).await, Vec::<String>::new(), "{:?}", empty.dialect);
    }
}

#[tokio::test]
async fn rows_that_are_measured_are_the_same_rows_however_they_are_cut() {
    let venue = traded(6, 300);
    let mut projection = fresh();
    let mut rows = Rows::default();
    for some in venue.log.chunks(50) {
        for (cause, events) in some {
            projection.follow(*cause, events);
        }
        rows.gather(&projection.take());
    }
    let mut all = Vec::new();
    for cut in [Cut::Single, Cut::Batches(10), Cut::Batches(500)] {
        for empty in databases() {
            let mut writer = Writer::open(&empty.database, PARTITION).await.unwrap();
            let mut written = 0;
            rows.write(&mut writer, rows.len(), cut, |rows| written = rows).await.unwrap();
            writer.close().await;
            assert_eq!(written, rows.len());
            let mut tables = contents(&empty.database).await.unwrap();
            tables.retain(|table| table.table != "projection");
            all.push(tables);
        }
    }
    assert!(all.iter().all(|tables| *tables == all[0]));
}

#[tokio::test]
async fn a_server_lets_one_writer_in_at_a_time() {
    let empty = empty(Dialect::MySql, Options { connect_timeout_ms: 5_000, ..options() });
    let first = Writer::open(&empty.database, PARTITION).await.unwrap();
    assert!(matches!(Writer::open(&empty.database, PARTITION).await, Err(Error::Claimed)));
    first.close().await;
    Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
}

#[tokio::test]
async fn both_dialects_have_the_tables_and_columns_that_the_code_writes() {
    let mut known = Vec::new();
    for empty in databases() {
        Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
        let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
        let columns = match empty.dialect {
            Dialect::Sqlite => {
                "SELECT m.name || '.' || c.name || '.' || c.pk || '.' || c.\"notnull\" FROM sqlite_master AS m, \
                 pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name <> 'crossbook_migrations' ORDER BY 1"
            }
            Dialect::MySql => {
                "SELECT CAST(CONCAT(c.table_name, '.', c.column_name, '.', COALESCE(k.ordinal_position, 0), '.', \
                 c.is_nullable = 'NO') AS CHAR(200)) FROM information_schema.columns AS c \
                 LEFT JOIN information_schema.key_column_usage AS k ON k.table_schema = c.table_schema \
                 AND k.table_name = c.table_name AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY' \
                 WHERE c.table_schema = DATABASE() AND c.table_name <> 'crossbook_migrations' ORDER BY 1"
            }
        };
        let mut found: Vec<String> = sqlx::query_scalar(columns).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        found.sort();
        assert!(found.len() > 80, "{found:?}");
        known.push(found);
    }
    assert_eq!(known[0], known[1]);
    for column in &known[0] {
        let kind = column.to_lowercase();
        assert!(!kind.contains("real") && !kind.contains("double") && !kind.contains("float"));
    }
}

#[tokio::test]
async fn names_that_are_not_ascii_are_kept() {
    let mut venue = Venue::open(5);
    let names = ["币安人生", "１２３４５６７８"].map(|name| AssetName::new_checked(name).unwrap());
    for name in names {
        venue.command(Body::ListAsset(ListAsset { name, decimals: 8 }));
    }
    let symbol = SymbolName::new_checked(&format!("{}{}", names[0], names[1])).unwrap();
    let asset = |at: u32| Asset { id: AssetId(at), name: names[at as usize - 3], decimals: 8 };
    let described = market::Description { symbol, base: asset(3), quote: asset(4), ..crate::venue::description(0) };
    venue.command(Body::ListMarket(Box::new(ListMarket { description: described })));
    for empty in databases() {
        fill(&empty.database, &venue.log, 100).await;
        assert_eq!(findings(&empty.database, &venue).await, Vec::<String>::new(), "{:?}", empty.dialect);
        let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
        let found = |column: &str, table: &str| {
            let statement = format!("SELECT {column} FROM {table} ORDER BY 1");
            sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement))
        };
        let listed: Vec<String> = found("name", "assets").fetch_all(&mut connection).await.unwrap();
        assert!(names.iter().all(|name| listed.iter().any(|listed| listed == name.as_str())), "{listed:?}");
        let markets: Vec<String> = found("symbol", "markets").fetch_all(&mut connection).await.unwrap();
        assert!(markets.iter().any(|market| market == symbol.as_str()), "{markets:?}");
        connection.close().await.unwrap();
    }
}

/// Programs from before wrote no reason; then the kind of the order tells it, as they did.
#[tokio::test]
async fn orders_without_a_stored_reason_have_one() {
    let venue = traded(4, 1_000);
    let mut views = Views::new(crate::venue::everything());
    venue.log.iter().for_each(|(cause, events)| views.apply_all(*cause, events));
    let orders: Vec<_> = views.markets().flat_map(|market| market.all_orders()).collect();
    for empty in databases() {
        fill(&empty.database, &venue.log, 500).await;
        let history = History::new(&empty.database, Arc::new(Progress::default()));
        for order in orders.iter().filter(|order| !order.status.is_open()).take(200) {
            let kept = history.order(order.terms.symbol, order.order).await.unwrap();
            assert_eq!(kept.as_ref(), Some(*order), "{:?}", empty.dialect);
        }
        let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
        connection.execute("UPDATE orders SET expiry_reason = NULL").await.unwrap();
        connection.close().await.unwrap();
        let expired = orders.iter().filter(|order| order.status == OrderStatus::Expired);
        let mut seen = 0;
        for order in expired.take(50) {
            let kept = history.order(order.terms.symbol, order.order).await.unwrap().unwrap();
            assert_eq!(kept.expiry, Some(ExpiryReason::of_terms(order.terms.order_type, order.terms.time_in_force)));
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }
}

#[tokio::test]
async fn order_lists_are_found_as_the_views_have_them() {
    let venue = traded(5, 2_000);
    let mut views = Views::new(crate::venue::everything());
    venue.log.iter().for_each(|(cause, events)| views.apply_all(*cause, events));
    let mut lists: Vec<OrderList> = views.markets().flat_map(|market| market.all_order_lists()).cloned().collect();
    lists.sort_by_key(|list| list.list);
    assert!(lists.iter().any(|list| list.status == ListStatus::Executing));
    assert!(lists.iter().filter(|list| list.status == ListStatus::AllDone).count() > 5);
    for empty in databases() {
        fill(&empty.database, &venue.log, 500).await;
        let history = History::new(&empty.database, Arc::new(Progress::default()));
        for list in &lists {
            assert_eq!(history.order_list(list.list).await.unwrap().as_ref(), Some(list), "{:?}", empty.dialect);
            let of_name =
                |other: &&OrderList| (other.account, other.client_order_id) == (list.account, list.client_order_id);
            let named = history.order_list_named(list.account, &list.client_order_id).await.unwrap();
            assert_eq!(named.as_ref(), lists.iter().rfind(of_name));
        }
        let account = lists[0].account;
        let own: Vec<OrderList> = lists.iter().filter(|list| list.account == account).cloned().collect();
        let from = own[own.len() / 3].list;
        let found = history.order_lists_from(account, from, 3).await.unwrap();
        assert_eq!(found, own[own.len() / 3..].iter().take(3).cloned().collect::<Vec<_>>());
        let mut by_update = own.clone();
        by_update.sort_by_key(|list| (list.updated, list.list));
        let last = history.order_lists(account, Window::last(4)).await.unwrap();
        assert_eq!(last, by_update[by_update.len().saturating_sub(4)..]);
        let start = Some(by_update[by_update.len() / 2].updated);
        let since = history.order_lists(account, Window { start, ..Window::last(2) }).await.unwrap();
        let due: Vec<_> = by_update.iter().filter(|list| Some(list.updated) >= start).take(2).cloned().collect();
        assert_eq!(since, due);
    }
}

#[tokio::test]
async fn tables_of_something_else_are_left_alone() {
    for empty in databases() {
        // SQLite makes the file only with leave.
        let mut connection =
            sqlx::AnyConnection::connect(&format!("{}{}", empty.address(), create(&empty))).await.unwrap();
        connection.execute("CREATE TABLE accounts (name VARCHAR(20) NOT NULL PRIMARY KEY)").await.unwrap();
        connection.execute("INSERT INTO accounts (name) VALUES ('alice')").await.unwrap();
        for _ in 0..3 {
            let refused = Writer::open(&empty.database, PARTITION).await;
            assert!(matches!(refused, Err(Error::Occupied(table)) if table == "accounts"), "{:?}", empty.dialect);
            assert!(matches!(Writer::open_anew(&empty.database, PARTITION).await, Err(Error::Occupied(_))));
        }
        let names: Vec<String> =
            sqlx::query_scalar("SELECT name FROM accounts").fetch_all(&mut connection).await.unwrap();
        assert_eq!(names, ["alice"]);
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn tables_that_were_left_half_made_are_made_anew_and_those_with_rows_are_not() {
    let venue = traded(6, 300);
    let empty = empty(Dialect::MySql, options());
    Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
    let mut connection = sqlx::AnyConnection::connect(&empty.address()).await.unwrap();
    // A change that can be made again is, with rows or without.
    connection.execute("UPDATE crossbook_migrations SET success = 0 WHERE version = 3").await.unwrap();
    Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
    // One that ends with a column is whole if the column is there, and is made again if not.
    connection.execute("UPDATE crossbook_migrations SET success = 0 WHERE version = 2").await.unwrap();
    Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
    connection.execute("UPDATE crossbook_migrations SET success = 0 WHERE version = 2").await.unwrap();
    let undo = "ALTER TABLE orders DROP KEY orders_by_update, DROP COLUMN expiry_reason, DROP COLUMN prevented, \
                DROP COLUMN prevented_match_id";
    connection.execute(undo).await.unwrap();
    connection.execute("DROP TABLE fee_payouts").await.unwrap();
    Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
    // Of a change of two tables the first was made.
    connection.execute("UPDATE crossbook_migrations SET success = 0 WHERE version = 9").await.unwrap();
    connection.execute("ALTER TABLE orders DROP COLUMN trade_group_id").await.unwrap();
    Writer::open(&empty.database, PARTITION).await.unwrap().close().await;
    connection.execute("UPDATE crossbook_migrations SET success = 0").await.unwrap();
    connection.execute("DROP TABLE candles").await.unwrap();
    fill(&empty.database, &venue.log, 100).await;
    let before = contents(&empty.database).await.unwrap();
    connection.execute("UPDATE crossbook_migrations SET success = 0").await.unwrap();
    assert!(matches!(Writer::open(&empty.database, PARTITION).await, Err(Error::Migration(_))));
    connection.close().await.unwrap();
    assert_eq!(contents(&empty.database).await.unwrap(), before);
}

fn create(empty: &crate::kit::Empty) -> &'static str {
    if empty.dialect == Dialect::Sqlite { "?mode=rwc" } else { "" }
}
