//! Answers of the admin API as tables.

use serde_json::Value;

use crossbook_api_admin::steers;
use crossbook_report::Table;

/// A heading, and what stands under it for an entry.
pub(super) type Column = (&'static str, fn(&Value) -> String);

/// A value as people read it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A text of somebody else's, which must not steer the terminal: control characters, and those that turn the direction
/// of writing, are escaped.
pub(super) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if steers(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// A time in milliseconds, in UTC.
pub(super) fn time(value: &Value) -> String {
    let time = value.as_i64().and_then(chrono::DateTime::from_timestamp_millis);
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// The entries of a list.
pub(super) fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// One row an entry, one column a field.
pub(super) fn table(entries: &[Value], columns: &[Column]) -> String {
    let mut table = Table::new(columns.iter().map(|(heading, _)| *heading));
    for entry in entries {
        table.row(columns.iter().map(|(_, cell)| cell(entry)));
    }
    table.text()
}

pub(super) fn canceled(entries: &[Value]) -> String {
    table(entries, &[("account", |c| text(&c["accountId"])), ("markets", |c| text(&c["symbols"]))])
}

pub(super) fn operator(entries: &[Value]) -> String {
    table(entries, &[("operator", |o| text(&o["operator"])), ("role", |o| text(&o["role"]))])
}

pub(super) fn assets(entries: &[Value]) -> String {
    table(entries, &[("asset", |a| text(&a["asset"])), ("decimals", |a| text(&a["decimals"]))])
}

/// What a filter of a market says.
fn rule(market: &Value, filter: &str, field: &str) -> String {
    let filters = market["filters"].as_array().map_or(&[][..], Vec::as_slice);
    let found = filters.iter().find(|known| known["filterType"] == filter);
    found.map(|filter| short(&text(&filter[field]))).unwrap_or_default()
}

/// A decimal without the zeros at its end.
fn short(decimal: &str) -> String {
    let trimmed = if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal };
    trimmed.to_owned()
}

pub(super) fn sessions(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("market", |s| text(&s["symbol"])),
            ("status", |s| text(&s["status"])),
            ("phase", |s| text(&s["phase"])),
            ("until", |s| time(&s["until"])),
            ("move bp", |s| text(&s["breaker"]["moveBp"])),
            ("window s", |s| text(&s["breaker"]["windowSeconds"])),
            ("pause s", |s| text(&s["breaker"]["pauseSeconds"])),
            ("auction s", |s| text(&s["breaker"]["auctionSeconds"])),
            ("bids", |s| range(&s["priceRange"]["bidLimitMultDown"], &s["priceRange"]["bidLimitMultUp"])),
            ("asks", |s| range(&s["priceRange"]["askLimitMultDown"], &s["priceRange"]["askLimitMultUp"])),
            ("reference", |s| reference(&s["reference"])),
        ],
    )
}

/// Between which multiples, if one is set.
fn range(down: &Value, up: &Value) -> String {
    if down.is_null() && up.is_null() { String::new() } else { format!("{}-{}", text(down), text(up)) }
}

/// Where a reference price comes from.
fn reference(reference: &Value) -> String {
    match reference["calculationType"].as_str() {
        Some("EXTERNAL") => format!("external {}: {}", reference["externalCalculationId"], text(&reference["price"])),
        Some(_) => format!("mean of {} x {} ms", reference["bucketCount"], reference["bucketWidthMs"]),
        None => String::new(),
    }
}

pub(super) fn markets(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("market", |m| text(&m["symbol"])),
            ("status", |m| text(&m["status"])),
            ("base", |m| text(&m["baseAsset"])),
            ("quote", |m| text(&m["quoteAsset"])),
            ("tick", |m| rule(m, "PRICE_FILTER", "tickSize")),
            ("step", |m| rule(m, "LOT_SIZE", "stepSize")),
            ("min notional", |m| rule(m, "NOTIONAL", "minNotional")),
            ("maker fee", |m| short(&text(&m["makerFee"]))),
            ("taker fee", |m| short(&text(&m["takerFee"]))),
        ],
    )
}

pub(super) fn accounts(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("account", |a| text(&a["accountId"])),
            ("label", |a| text(&a["label"])),
            ("opened (UTC)", |a| time(&a["opened"])),
            ("trade group", |a| text(&a["tradeGroupId"])),
            ("frozen", |a| text(&a["frozen"])),
        ],
    )
}

pub(super) fn transfers(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("account", |t| text(&t["accountId"])),
            ("asset", |t| text(&t["asset"])),
            ("amount", |t| text(&t["amount"])),
            ("transfer", |t| text(&t["transferId"])),
            ("time (UTC)", |t| time(&t["time"])),
        ],
    )
}

pub(super) fn payouts(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("asset", |t| text(&t["asset"])),
            ("amount", |t| text(&t["amount"])),
            ("transfer", |t| text(&t["transferId"])),
            ("partition", |t| text(&t["partition"])),
            ("time (UTC)", |t| time(&t["time"])),
        ],
    )
}

pub(super) fn fees(entries: &[Value]) -> String {
    fn rates(part: &Value) -> String {
        if part.is_null() {
            return "the markets'".to_owned();
        }
        format!("{} / {}", text(&part["maker"]), text(&part["taker"]))
    }
    table(
        entries,
        &[
            ("account", |f| text(&f["accountId"])),
            ("standard: maker / taker", |f| rates(&f["standard"])),
            ("special", |f| rates(&f["special"])),
            ("tax", |f| rates(&f["tax"])),
        ],
    )
}

pub(super) fn fee_tiers(answer: &Value) -> String {
    let tiers = answer["tiers"].as_array().map_or(&[][..], Vec::as_slice);
    let columns: &[Column] = &[
        ("volume", |t| text(&t["volume"])),
        ("maker fee", |t| short(&text(&t["maker"]))),
        ("taker fee", |t| short(&text(&t["taker"]))),
    ];
    match tiers.is_empty() {
        true => "fees do not depend on volumes\n".to_owned(),
        false => format!("volumes are counted in {}\n{}", text(&answer["asset"]), table(tiers, columns)),
    }
}

pub(super) fn fee_discount(answer: &Value) -> String {
    if let Some(enabled) = answer["enabled"].as_bool() {
        let pays = if enabled { "pays its fees in the asset of the discount" } else { "pays ordinary fees" };
        return format!("account {} {pays}\n", text(&answer["accountId"]));
    }
    if answer["asset"].is_null() {
        return "there is no discount on fees\n".to_owned();
    }
    let mut out = format!("{} off standard fees paid in {}\n", text(&answer["discount"]), text(&answer["asset"]));
    for (quote, worth) in answer["rates"].as_object().into_iter().flatten() {
        out.push_str(&format!("1 {quote} is worth {} {}\n", text(worth), text(&answer["asset"])));
    }
    for symbol in answer["except"].as_array().into_iter().flatten() {
        out.push_str(&format!("not in {}\n", text(symbol)));
    }
    out
}

pub(super) fn exchange_filters(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("orders", |f| text(&f["maxNumOrders"])),
            ("stop orders", |f| text(&f["maxNumAlgoOrders"])),
            ("icebergs", |f| text(&f["maxNumIcebergOrders"])),
            ("lists", |f| text(&f["maxNumOrderLists"])),
        ],
    )
}

pub(super) fn rules(entries: &[Value]) -> String {
    table(entries, &[("active", |r| text(&r["active"])), ("newest", |r| text(&r["newest"]))])
}

/// The venue's own accounts, of all partitions together and of each where there are several.
pub(super) fn venue(venue: &Value) -> String {
    let columns: &[Column] = &[
        ("asset", |b| text(&b["asset"])),
        ("fees", |b| text(&b["fees"])),
        ("outside", |b| text(&b["external"])),
        ("on its way", |b| text(&b["clearing"])),
    ];
    let of = |venue: &Value| table(venue["balances"].as_array().map_or(&[], Vec::as_slice), columns);
    let mut out = of(venue);
    for partition in venue["partitions"].as_array().into_iter().flatten() {
        out.push_str(&format!("\npartition {}\n{}", text(&partition["partition"]), of(partition)));
    }
    out
}

pub(super) fn keys(entries: &[Value]) -> String {
    table(
        entries,
        &[
            ("API key", |k| text(&k["apiKey"])),
            ("type", |k| text(&k["type"])),
            ("permissions", |k| text(&k["permissions"])),
            ("allowed from", |k| text(&k["allowedIps"])),
            ("issued (UTC)", |k| time(&k["issued"])),
            ("last used (UTC)", |k| time(&k["lastUsed"])),
            ("from", |k| text(&k["lastAddress"])),
        ],
    )
}

pub(super) fn issued(key: &Value) -> String {
    let mut out = format!("API key  {}\n", text(&key["apiKey"]));
    if !key["secretKey"].is_null() {
        out.push_str(&format!(
            "secret   {}\n\nThe secret is shown this one time; keep it where it is safe.\n",
            text(&key["secretKey"])
        ));
    }
    out
}

/// For a shell. Keys and secrets are letters and digits.
pub(super) fn exported(key: &Value) -> String {
    format!("export KEY={}\nexport SECRET={}\n", text(&key["apiKey"]), text(&key["secretKey"]))
}

pub(super) fn account(account: &Value) -> String {
    let entries = |name: &str| account[name].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = accounts(std::slice::from_ref(account));
    let balances: &[Column] =
        &[("asset", |b| text(&b["asset"])), ("free", |b| text(&b["free"])), ("locked", |b| text(&b["locked"]))];
    let orders: &[Column] = &[
        ("order", |o| text(&o["orderId"])),
        ("market", |o| text(&o["symbol"])),
        ("side", |o| text(&o["side"])),
        ("type", |o| text(&o["type"])),
        ("price", |o| text(&o["price"])),
        ("quantity", |o| text(&o["origQty"])),
        ("executed", |o| text(&o["executedQty"])),
    ];
    let parts = [
        ("balances", table(entries("balances"), balances)),
        ("open orders", table(entries("openOrders"), orders)),
        ("API keys", keys(entries("apiKeys"))),
    ];
    for ((heading, text), name) in parts.into_iter().zip(["balances", "openOrders", "apiKeys"]) {
        let text = if entries(name).is_empty() { format!("no {heading}\n") } else { text };
        out.push_str(&format!("\n{text}"));
    }
    out
}

pub(super) fn audit(audit: &Value) -> String {
    let mut sums = Table::new(["asset", "sum over all accounts"]);
    for (asset, row) in audit["assets"].as_object().into_iter().flatten() {
        sums.row([visible(asset), text(&row["sum"])]);
    }
    let mut out = sums.text();
    let stands = match audit["partitions"].as_array() {
        Some(partitions) => partitions.as_slice(),
        None => std::slice::from_ref(audit),
    };
    out.push('\n');
    for (at, stand) in stands.iter().enumerate() {
        let of = if stands.len() > 1 { format!("partition {at}: ") } else { String::new() };
        out.push_str(&format!("{of}at command {}, state {}\n", text(&stand["sequence"]), text(&stand["stateHash"])));
        for violation in stand["violations"].as_array().into_iter().flatten() {
            out.push_str(&format!("{of}WRONG: {}\n", text(violation)));
        }
    }
    out.push_str(if audit["ok"] == true { "all balances reconcile\n" } else { "BALANCES DO NOT RECONCILE\n" });
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_escaped() {
        let shown = accounts(&[json!({"accountId": 1, "label": "a\u{1b}[2Jb\nc\u{202e}d é", "opened": 0})]);
        assert!(shown.contains(r"a\u{1b}[2Jb\nc\u{202e}d é"), "{shown}");
        assert_eq!(shown.lines().count(), 2);
    }
}
