//! What has happened: the operator log, the ledger entries of an account, collected fees, and log lines.

use chrono::NaiveDate;
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::Error;
use crate::client::Client;
use crate::tables::{Column, rows, table, text, time};

/// Operations that show what has happened.
#[derive(Debug, Subcommand)]
pub enum Books {
    /// Show what operators have done, the newest first.
    OperatorLog {
        /// How many entries.
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show what has changed the balances of an account, the newest first.
    Ledger {
        /// Id of the account.
        account: u64,
        /// How many entries.
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// `next` of the page before, which --json shows.
        #[arg(long, value_name = "NEXT")]
        before: Option<String>,
    },
    /// Show collected fees by day (UTC) and asset.
    Revenue {
        /// The first day, such as 2026-11-01; without it, 30 days.
        #[arg(long, value_name = "DATE")]
        from: Option<NaiveDate>,
        /// The last day; without it, today.
        #[arg(long, value_name = "DATE")]
        to: Option<NaiveDate>,
    },
    /// Show the last log lines of the process that answers.
    Log {
        /// How many lines.
        #[arg(long, value_name = "NUMBER", default_value_t = 200)]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// No lines with less weight than this.
        #[arg(long, value_name = "LEVEL", default_value = "trace")]
        #[arg(value_parser = ["error", "warn", "info", "debug", "trace"])]
        level: String,
    },
}

pub(crate) async fn show(client: &Client, books: &Books) -> Result<(Value, String), Error> {
    let (path, shown): (_, fn(&Value) -> String) = match books {
        Books::OperatorLog { limit } => (format!("operator-log?limit={limit}"), operator_log),
        Books::Ledger { account, limit, before } => {
            let before = before.as_ref().map(|before| format!("&before={}", crate::client::part(before)));
            (format!("accounts/{account}/ledger?limit={limit}{}", before.unwrap_or_default()), ledger)
        }
        Books::Revenue { from, to } => {
            let bounds = [("startTime", from), ("endTime", to)];
            let given = bounds.into_iter().filter_map(|(name, day)| Some(format!("{name}={}", begin(day.as_ref()?))));
            (format!("revenue?{}", given.collect::<Vec<_>>().join("&")), revenue)
        }
        Books::Log { limit, level } => (format!("log?limit={limit}&level={level}"), log),
    };
    let answer = client.ask(Method::GET, &path, None).await?;
    let text = shown(&answer);
    Ok((answer, text))
}

/// When a day begins, in milliseconds.
fn begin(day: &NaiveDate) -> i64 {
    day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()
}

fn operator_log(answer: &Value) -> String {
    let columns: [Column; 5] = [
        ("time", |e| time(&e["time"])),
        ("operator", |e| text(&e["operator"])),
        ("action", |e| text(&e["action"])),
        ("reason", |e| text(&e["reason"])),
        ("refused", |e| text(&e["refused"])),
    ];
    table(rows(&answer["entries"]), &columns)
}

fn ledger(answer: &Value) -> String {
    let columns: [Column; 7] = [
        ("time", |e| time(&e["time"])),
        ("asset", |e| text(&e["asset"])),
        ("amount", |e| text(&e["amount"])),
        ("kind", |e| text(&e["kind"])),
        ("market", |e| text(&e["symbol"])),
        ("trade", |e| text(&e["tradeId"])),
        ("transfer", |e| text(&e["transferId"])),
    ];
    table(rows(&answer["entries"]), &columns)
}

fn revenue(answer: &Value) -> String {
    let mut sums = Vec::new();
    for day in rows(&answer["days"]) {
        for fees in rows(&day["fees"]) {
            let mut row = fees.clone();
            row["day"] = day["day"].clone();
            sums.push(row);
        }
    }
    let columns: [Column; 3] = [
        ("day", |e| time(&e["day"]).chars().take(10).collect()),
        ("asset", |e| text(&e["asset"])),
        ("collected", |e| text(&e["collected"])),
    ];
    table(&sums, &columns)
}

fn log(answer: &Value) -> String {
    let columns: [Column; 4] = [
        ("time", |e| time(&e["time"])),
        ("level", |e| text(&e["level"])),
        ("of", |e| text(&e["target"])),
        ("line", |e| text(&e["text"])),
    ];
    table(rows(&answer["lines"]), &columns)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn revenue_has_a_row_for_each_day_and_asset() {
        let fees = |asset: &str, sum: &str| json!({ "asset": asset, "collected": sum });
        let days = [
            json!({ "day": 1_795_305_600_000_u64, "fees": [fees("BTC", "0.1"), fees("USDT", "20")] }),
            json!({ "day": 1_795_392_000_000_u64, "fees": [fees("USDT", "3")] }),
        ];
        let text = revenue(&json!({ "days": days }));
        assert!(text.contains("2026-11-22") && text.contains("2026-11-23") && text.lines().count() == 4, "{text}");
        assert_eq!(begin(&"2026-11-22".parse().unwrap()), 1_795_305_600_000);
    }
}
