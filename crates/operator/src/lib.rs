//! `crossbook admin`: a client of the admin API (`docs/admin-api.md`) for the command line of an operator. Answers are
//! printed as tables for people or as JSON for programs; amounts are sent as they are typed and printed as they are
//! answered.

pub mod books;
mod client;
pub mod options;
pub mod probe;
mod tables;

use std::path::PathBuf;
use std::time::Duration;

use crossbook_venue::{process, secrets};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub use options::Admin;

use client::Client;
use options::{
    Accounts, Adjust, Assets, ExchangeFilters, FeeDiscount, FeeTiers, Fees, Keys, Markets, Rules, Session, ShowRules,
    Transfer, Venue, What, Which,
};

/// Exit status of an audit that found something.
const OFF: u8 = 3;
/// Exit status when the venue refuses.
const REFUSED: u8 = 4;
/// Entries that are asked for at once.
const PAGE: u64 = 1_000;

/// Why something was not done; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no token.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// The address is none.
    #[error(
        "--url {url}: {why}; write it as http://HOST:PORT, or https://HOST:PORT where the venue shows a certificate"
    )]
    Url {
        /// What was given.
        url: String,
        /// The reason.
        why: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// A description of the error.
        why: String,
    },
    /// Nothing answers there.
    #[error(
        "nothing answers at {url} ({why}). Is the venue running, and is this its admin address? `--url` names another, \
         and --ca the authority of its certificate"
    )]
    Unreachable {
        /// The address that was asked.
        url: String,
        /// A description of the error.
        why: String,
    },
    /// A probe was not answered.
    #[error("no answer from {url} ({why}); the process does not run, or listens elsewhere (`--url`)")]
    Silent {
        /// The address that was asked.
        url: String,
        /// A description of the error.
        why: String,
    },
    /// The answer did not come.
    #[error(
        "no whole answer from {url} ({why}). It may have been done all the same: look before you ask again, but for a \
         deposit or a withdrawal, which takes effect once under its --transfer-id"
    )]
    Unknown {
        /// The address that was asked.
        url: String,
        /// A description of the error.
        why: String,
    },
    /// Something else answers.
    #[error(
        "what answers at {url} is no admin API ({what}); `--url` must name the venue's admin address, which is not \
         that of its clients"
    )]
    Other {
        /// The address that was asked.
        url: String,
        /// What it answered.
        what: String,
    },
    /// The token is another.
    #[error(
        "the venue does not know this token; {} must be the one that it was started with",
        secrets::ADMIN_TOKEN_VARIABLE
    )]
    Token,
    /// The token is that of another role.
    #[error("not with this token: {message}")]
    Role {
        /// Error text.
        message: String,
    },
    /// The venue cannot do it now.
    #[error("not now: {message} ({code}). Nothing was done; try again")]
    Busy {
        /// Error code.
        code: i64,
        /// Error text.
        message: String,
    },
    /// The venue does not do it.
    #[error("refused: {message} ({code})")]
    Refused {
        /// Error code.
        code: i64,
        /// Error text.
        message: String,
    },
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Error {
    fn status(&self) -> u8 {
        if matches!(self, Self::Refused { .. } | Self::Token | Self::Role { .. }) { REFUSED } else { process::FAILED }
    }
}

/// Does what the command line says and shows what came of it. The exit status.
#[must_use]
pub fn run(options: &Admin) -> u8 {
    let done = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::System);
    match done.and_then(|runtime| runtime.block_on(carry_out(options))) {
        Ok(true) => 0,
        Ok(false) => OFF,
        Err(error) => {
            eprintln!("crossbook admin: {error}");
            error.status()
        }
    }
}

/// Whether all is well, which only an audit can deny.
async fn carry_out(options: &Admin) -> Result<bool, Error> {
    let client = Client::new(&options.url, options.ca.as_deref(), options.timeout, &secrets::admin_token_of_venue()?)?;
    let client = client.because(options.reason.as_deref());
    let mut is_well = true;
    let (answer, text) = match &options.what {
        What::Assets { action: None | Some(Assets::List) } => list(&client, "assets", tables::assets).await?,
        What::Assets { action: Some(Assets::Add { asset, decimals }) } => {
            let body = json!({ "asset": asset, "decimals": decimals });
            one(client.ask(Method::POST, "assets", Some(body)).await?, tables::assets)
        }
        What::Markets { action } => markets(&client, action.as_ref()).await?,
        What::Session { action } => session(&client, action).await?,
        What::Accounts { action } => accounts(&client, action.as_ref()).await?,
        What::Keys { action } => keys(&client, action).await?,
        What::Deposit(transfer) => move_money(&client, transfer, "deposits").await?,
        What::Withdraw(transfer) => move_money(&client, transfer, "withdrawals").await?,
        What::Adjust(adjustment) => adjust(&client, adjustment, options.reason.as_deref()).await?,
        What::Books(books) => books::show(&client, books).await?,
        What::Halt(which) => set_status(&client, which, "TRADING", "HALT").await?,
        What::Resume(which) => set_status(&client, which, "HALT", "TRADING").await?,
        What::Venue { action: Venue::Balances } => {
            let answer = client.ask(Method::GET, "venue/balances", None).await?;
            let text = tables::venue(&answer);
            (answer, text)
        }
        What::Venue { action: Venue::Withdraw { asset, amount, transfer_id, partition } } => {
            let mut body = json!({ "asset": asset, "amount": amount, "transferId": transfer_id });
            if let Some(partition) = partition {
                body["partition"] = json!(partition);
            }
            one(client.ask(Method::POST, "venue/withdrawals", Some(body)).await?, tables::payouts)
        }
        What::Whoami => one(client.ask(Method::GET, "operator", None).await?, tables::operator),
        What::Audit => {
            let answer = client.ask(Method::GET, "audit", None).await?;
            is_well = answer["ok"] == true;
            let text = tables::audit(&answer);
            (answer, text)
        }
        setting @ (What::Fees { .. }
        | What::FeeTiers { .. }
        | What::FeeDiscount { .. }
        | What::ExchangeFilters(_)
        | What::Rules(_)) => settings(&client, setting).await?,
    };
    crossbook_report::print(&if options.json { format!("{answer}\n") } else { text })?;
    Ok(is_well)
}

/// Shows or changes what holds for the whole venue, or what an account pays.
async fn settings(client: &Client, what: &What) -> Result<(Value, String), Error> {
    Ok(match what {
        What::Fees { action } => one(fees(client, action).await?, tables::fees),
        What::FeeTiers { action } => {
            let answer = match action {
                FeeTiers::Show => client.ask(Method::GET, "fee-tiers", None).await?,
                FeeTiers::Set { asset, tiers } => {
                    client.ask(Method::PUT, "fee-tiers", Some(fee_tiers(asset.as_deref(), tiers))).await?
                }
            };
            let text = tables::fee_tiers(&answer);
            (answer, text)
        }
        What::FeeDiscount { action } => {
            let answer = fee_discount(client, action).await?;
            let text = tables::fee_discount(&answer);
            (answer, text)
        }
        What::ExchangeFilters(filters) => one(exchange_filters(client, filters).await?, tables::exchange_filters),
        What::Rules(ShowRules { activate }) => {
            let answer = match activate {
                Some(rules) => client.ask(Method::POST, "rules", Some(json!({ "rules": rules }))).await?,
                None => client.ask(Method::GET, "rules", None).await?,
            };
            one(answer, tables::rules)
        }
        _ => unreachable!("`carry_out` does the others itself"),
    })
}

/// An answer about one thing, shown as a table of one row.
fn one(answer: Value, show: fn(&[Value]) -> String) -> (Value, String) {
    let text = show(std::slice::from_ref(&answer));
    (answer, text)
}

/// All pages of a list as one.
async fn list(client: &Client, name: &str, show: fn(&[Value]) -> String) -> Result<(Value, String), Error> {
    let entries = all(client, name).await?;
    let text = show(&entries);
    Ok((json!({ name: entries }), text))
}

/// All entries of a list.
async fn all(client: &Client, name: &str) -> Result<Vec<Value>, Error> {
    let (mut entries, mut from) = (Vec::new(), 0);
    loop {
        let mut page = client.ask(Method::GET, &format!("{name}?limit={PAGE}&from={from}"), None).await?;
        if let Value::Array(page) = page[name].take() {
            entries.extend(page);
        }
        match page["next"].as_u64() {
            // A page that does not lead on would be asked for without end.
            Some(next) if next > from => from = next,
            _ => return Ok(entries),
        }
    }
}

/// The rules that were given, as the API names them.
fn fields(rules: &Rules) -> Map<String, Value> {
    let texts = [
        ("status", &rules.status),
        ("minPrice", &rules.min_price),
        ("maxPrice", &rules.max_price),
        ("minQty", &rules.min_qty),
        ("maxQty", &rules.max_qty),
        ("marketMaxQty", &rules.market_max_qty),
        ("minNotional", &rules.min_notional),
        ("maxNotional", &rules.max_notional),
        ("multiplierUp", &rules.multiplier_up),
        ("multiplierDown", &rules.multiplier_down),
        ("askMultiplierUp", &rules.ask_multiplier_up),
        ("askMultiplierDown", &rules.ask_multiplier_down),
        ("percentPriceUp", &rules.percent_price_up),
        ("percentPriceDown", &rules.percent_price_down),
        ("notionalFilter", &rules.notional_filter),
        ("maxPosition", &rules.max_position),
        ("makerFee", &rules.maker_fee),
        ("takerFee", &rules.taker_fee),
        ("defaultSelfTradePreventionMode", &rules.default_self_trade_prevention_mode),
    ];
    let numbers = [
        ("avgPriceMins", rules.avg_price_mins),
        ("maxNumOrders", rules.max_num_orders),
        ("maxNumAlgoOrders", rules.max_num_algo_orders),
        ("icebergParts", rules.iceberg_parts),
        ("maxNumIcebergOrders", rules.max_num_iceberg_orders),
        ("maxNumOrderAmends", rules.max_num_order_amends),
        ("maxNumOrderLists", rules.max_num_order_lists),
        ("minTrailingAboveDelta", rules.min_trailing_above_delta),
        ("maxTrailingAboveDelta", rules.max_trailing_above_delta),
        ("minTrailingBelowDelta", rules.min_trailing_below_delta),
        ("maxTrailingBelowDelta", rules.max_trailing_below_delta),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), json!(number?))));
    let flags = [("applyMinToMarket", rules.apply_min_to_market), ("applyMaxToMarket", rules.apply_max_to_market)];
    let flags = flags.into_iter().filter_map(|(name, flag)| Some((name.to_owned(), json!(flag?))));
    let modes = &rules.allowed_self_trade_prevention_modes;
    let modes = (!modes.is_empty()).then(|| ("allowedSelfTradePreventionModes".to_owned(), json!(modes)));
    let pegged = rules.peg_instructions_allowed.map(|may| ("pegInstructionsAllowed".to_owned(), json!(may)));
    texts.chain(numbers).chain(flags).chain(modes).chain(pegged).collect()
}

/// The filters of the whole venue, changed by what was given.
async fn exchange_filters(client: &Client, filters: &ExchangeFilters) -> Result<Value, Error> {
    let &ExchangeFilters { max_num_orders, max_num_algo_orders, max_num_iceberg_orders, max_num_order_lists } = filters;
    let numbers = [
        ("maxNumOrders", max_num_orders),
        ("maxNumAlgoOrders", max_num_algo_orders),
        ("maxNumIcebergOrders", max_num_iceberg_orders),
        ("maxNumOrderLists", max_num_order_lists),
    ];
    let given = numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), json!(number?))));
    let given: Map<String, Value> = given.collect();
    match given.is_empty() {
        true => client.ask(Method::GET, "exchange-filters", None).await,
        false => client.ask(Method::PATCH, "exchange-filters", Some(given.into())).await,
    }
}

/// Tiers as the API names them. What is missing in one is refused by the venue, which says what it wants.
fn fee_tiers(asset: Option<&str>, tiers: &[String]) -> Value {
    let tier = |text: &String| {
        let mut parts = text.split(',');
        let mut next = || parts.next().unwrap_or_default();
        json!({ "volume": next(), "maker": next(), "taker": next() })
    };
    let mut body = json!({ "tiers": tiers.iter().map(tier).collect::<Vec<_>>() });
    if let Some(asset) = asset {
        body["asset"] = json!(asset);
    }
    body
}

/// In which asset fees are less, or whether an account pays in it, after what was asked is done.
async fn fee_discount(client: &Client, action: &FeeDiscount) -> Result<Value, Error> {
    match action {
        FeeDiscount::Show => client.ask(Method::GET, "fee-discount", None).await,
        FeeDiscount::Set { asset, discount, rates, except } => {
            // What is missing is refused by the venue, which says what it wants.
            let rate = |rate: &String| {
                let (quote, worth) = rate.split_once(',').unwrap_or((rate, ""));
                (quote.to_owned(), json!(worth))
            };
            let mut body = Map::new();
            body.insert("rates".to_owned(), Value::Object(rates.iter().map(rate).collect()));
            body.insert("except".to_owned(), json!(except));
            for (name, value) in [("asset", asset), ("discount", discount)] {
                if let Some(value) = value {
                    body.insert(name.to_owned(), json!(value));
                }
            }
            client.ask(Method::PUT, "fee-discount", Some(body.into())).await
        }
        FeeDiscount::Use { account, enabled } => {
            let body = json!({ "enabled": enabled });
            client.ask(Method::PUT, &format!("accounts/{account}/fee-discount"), Some(body)).await
        }
    }
}

/// What an account pays, after what was asked is done.
async fn fees(client: &Client, action: &Fees) -> Result<Value, Error> {
    match action {
        Fees::Show { account } => client.ask(Method::GET, &format!("accounts/{account}/fees"), None).await,
        Fees::Set { account, standard, special, tax } => {
            let mut body = Map::new();
            for (part, rates) in [("standard", standard), ("special", special), ("tax", tax)] {
                // What is missing is refused by the venue, which says what it wants.
                if !rates.is_empty() {
                    let of = |at: usize| rates.get(at).map_or("", String::as_str);
                    body.insert(part.to_owned(), json!({ "maker": of(0), "taker": of(1) }));
                }
            }
            client.ask(Method::PUT, &format!("accounts/{account}/fees"), Some(body.into())).await
        }
    }
}

async fn markets(client: &Client, action: Option<&Markets>) -> Result<(Value, String), Error> {
    let answer = match action {
        None | Some(Markets::List) => return list(client, "markets", tables::markets).await,
        Some(Markets::Add { symbol, base, quote, tick_size, step_size, rules }) => {
            let mut body = fields(rules);
            for (name, value) in [
                ("symbol", symbol),
                ("baseAsset", base),
                ("quoteAsset", quote),
                ("tickSize", tick_size),
                ("stepSize", step_size),
            ] {
                body.insert(name.to_owned(), json!(value));
            }
            client.ask(Method::POST, "markets", Some(body.into())).await?
        }
        Some(Markets::Change { symbol, rules }) => {
            let path = format!("markets/{}", client::part(symbol));
            client.ask(Method::PATCH, &path, Some(fields(rules).into())).await?
        }
        Some(Markets::Delist { symbol }) => {
            let path = format!("markets/{}", client::part(symbol));
            client.ask(Method::DELETE, &path, None).await?
        }
    };
    Ok(one(answer, tables::markets))
}

async fn session(client: &Client, action: &Session) -> Result<(Value, String), Error> {
    let (method, symbol, path, body) = match action {
        Session::Show { symbol } => (Method::GET, symbol, "session", None),
        Session::End { symbol } => (Method::POST, symbol, "session/end", None),
        Session::RemoveBreaker { symbol } => (Method::DELETE, symbol, "breaker", None),
        Session::Auction { symbol, seconds } => {
            let body = seconds.map_or_else(|| json!({}), |seconds| json!({ "seconds": seconds }));
            (Method::POST, symbol, "session/auction", Some(body))
        }
        &Session::SetBreaker { ref symbol, move_bp, window_seconds, pause_seconds, auction_seconds } => {
            let body = json!({
                "moveBp": move_bp,
                "windowSeconds": window_seconds,
                "pauseSeconds": pause_seconds,
                "auctionSeconds": auction_seconds,
            });
            (Method::PUT, symbol, "breaker", Some(body))
        }
        Session::SetPriceRange { symbol, bid_up, bid_down, ask_up, ask_down } => {
            let multiples = [
                ("bidLimitMultUp", bid_up),
                ("bidLimitMultDown", bid_down),
                ("askLimitMultUp", ask_up),
                ("askLimitMultDown", ask_down),
            ];
            let given =
                multiples.into_iter().filter_map(|(name, multiple)| Some((name.to_owned(), json!(multiple.as_ref()?))));
            (Method::PUT, symbol, "price-range", Some(Value::Object(given.collect())))
        }
        Session::RemovePriceRange { symbol } => (Method::DELETE, symbol, "price-range", None),
        Session::SetReference { symbol, external: Some(id), .. } => {
            let body = json!({ "calculationType": "EXTERNAL", "externalCalculationId": id });
            (Method::PUT, symbol, "reference", Some(body))
        }
        Session::SetReference { symbol, bucket_count, bucket_width_ms, external: None } => {
            let (count, width) = (bucket_count, bucket_width_ms);
            let body = json!({ "calculationType": "ARITHMETIC_MEAN", "bucketCount": count, "bucketWidthMs": width });
            (Method::PUT, symbol, "reference", Some(body))
        }
        Session::RemoveReference { symbol } => (Method::DELETE, symbol, "reference", None),
        Session::SetReferencePrice { symbol, price } => {
            (Method::PUT, symbol, "reference/price", Some(json!({ "price": price })))
        }
        Session::RemoveReferencePrice { symbol } => (Method::DELETE, symbol, "reference/price", None),
    };
    let path = format!("markets/{}/{path}", client::part(symbol));
    Ok(one(client.ask(method, &path, body).await?, tables::sessions))
}

async fn accounts(client: &Client, action: Option<&Accounts>) -> Result<(Value, String), Error> {
    Ok(match action {
        None | Some(Accounts::List) => list(client, "accounts", tables::accounts).await?,
        Some(Accounts::Open { label }) => {
            one(client.ask(Method::POST, "accounts", Some(json!({ "label": label }))).await?, tables::accounts)
        }
        Some(Accounts::Change { account, trade_group }) => {
            let body = json!({ "tradeGroupId": trade_group });
            one(client.ask(Method::PATCH, &format!("accounts/{account}"), Some(body)).await?, tables::accounts)
        }
        Some(frozen @ (Accounts::Freeze { account } | Accounts::Unfreeze { account })) => {
            let body = json!({ "frozen": matches!(frozen, Accounts::Freeze { .. }) });
            one(client.ask(Method::PUT, &format!("accounts/{account}/frozen"), Some(body)).await?, tables::accounts)
        }
        Some(Accounts::CancelOrders { account }) => {
            let answer = client.ask(Method::POST, &format!("accounts/{account}/cancel-orders"), None).await?;
            canceled(answer)?
        }
        Some(Accounts::Show { account }) => {
            let answer = client.ask(Method::GET, &format!("accounts/{account}"), None).await?;
            let text = tables::account(&answer);
            (answer, text)
        }
    })
}

/// What came of cancelling an account's orders market by market.
///
/// # Errors
/// The first refusal; which markets were done, and which were not, is told before.
fn canceled(answer: Value) -> Result<(Value, String), Error> {
    let refused = answer["refused"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = refused.first() else { return Ok(one(answer, tables::canceled)) };
    let left: Vec<_> = refused.iter().map(|one| tables::text(&one["symbol"])).collect();
    eprintln!("crossbook admin: canceled now: {}; not: {}", tables::text(&answer["symbols"]), left.join(","));
    let message = format!("{}: {}", tables::text(&first["symbol"]), tables::text(&first["msg"]));
    Err(Error::Refused { code: first["code"].as_i64().unwrap_or_default(), message })
}

async fn keys(client: &Client, action: &Keys) -> Result<(Value, String), Error> {
    match action {
        Keys::List { account } => {
            let mut answer = client.ask(Method::GET, &format!("accounts/{account}"), None).await?;
            let keys = answer["apiKeys"].take();
            let text = tables::keys(keys.as_array().map_or(&[], Vec::as_slice));
            Ok((json!({ "apiKeys": keys }), text))
        }
        Keys::Issue { account, permissions, public_key, allowed_ips, export } => {
            let mut body = json!({ "permissions": permissions, "allowedIps": allowed_ips });
            if let Some(path) = public_key {
                let pem = std::fs::read_to_string(path)
                    .map_err(|error| Error::File { path: path.clone(), why: error.to_string() })?;
                body["publicKey"] = pem.into();
            }
            let answer = client.ask(Method::POST, &format!("accounts/{account}/api-keys"), Some(body)).await?;
            let text = if *export { tables::exported(&answer) } else { tables::issued(&answer) };
            Ok((answer, text))
        }
        Keys::Revoke { account, key } => {
            let path = format!("accounts/{account}/api-keys/{}", client::part(key));
            let answer = client.ask(Method::DELETE, &path, None).await?;
            Ok((answer, format!("{} is revoked\n", tables::visible(key))))
        }
    }
}

async fn move_money(client: &Client, transfer: &Transfer, way: &str) -> Result<(Value, String), Error> {
    let Transfer { account, asset, amount, transfer_id } = transfer;
    let body = json!({ "asset": asset, "amount": amount, "transferId": transfer_id });
    Ok(one(client.ask(Method::POST, &format!("accounts/{account}/{way}"), Some(body)).await?, tables::transfers))
}

/// Without a reason, the venue says that it wants one.
async fn adjust(client: &Client, adjustment: &Adjust, reason: Option<&str>) -> Result<(Value, String), Error> {
    let Adjust { account, asset, amount, transfer_id } = adjustment;
    let reason = reason.unwrap_or_default();
    let body = json!({ "asset": asset, "amount": amount, "transferId": transfer_id, "reason": reason });
    let path = format!("accounts/{account}/adjustments");
    Ok(one(client.ask(Method::POST, &path, Some(body)).await?, tables::transfers))
}

/// Gives markets a status, one after the other; of all markets those that have the status `from`. A market that the
/// venue refuses keeps none of the others from it: who stops trading must not stop halfway.
async fn set_status(client: &Client, which: &Which, from: &str, status: &str) -> Result<(Value, String), Error> {
    let symbols = if which.all {
        let markets = all(client, "markets").await?;
        let chosen = markets.iter().filter(|market| market["status"] == from);
        chosen.filter_map(|market| market["symbol"].as_str().map(str::to_owned)).collect()
    } else {
        which.symbols.clone()
    };
    let mut markets: Vec<Value> = Vec::new();
    let mut failed = None;
    for symbol in &symbols {
        let path = format!("markets/{}", client::part(symbol));
        match client.ask(Method::PATCH, &path, Some(json!({ "status": status }))).await {
            Ok(market) => markets.push(market),
            Err(error) => {
                let is_in_vain = matches!(error, Error::Unreachable { .. } | Error::Token);
                failed.get_or_insert(error);
                if is_in_vain {
                    break;
                }
            }
        }
    }
    let Some(error) = failed else {
        let text = tables::markets(&markets);
        return Ok((json!({ "markets": markets }), text));
    };
    if symbols.len() > 1 {
        let done: Vec<_> = markets.iter().filter_map(|market| market["symbol"].as_str()).collect();
        let left: Vec<_> = symbols.iter().map(String::as_str).filter(|symbol| !done.contains(symbol)).collect();
        eprintln!("crossbook admin: {status} now: {}; not: {}", done.join(", "), left.join(", "));
    }
    Err(error)
}

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_whose_orders_are_not_cancelled_is_an_error() {
        let answer = |refused: Value| json!({ "accountId": 1001, "symbols": ["AB"], "refused": refused });
        assert!(canceled(answer(json!([]))).is_ok());
        let refused = canceled(answer(json!([{ "symbol": "CD", "code": -1008, "msg": "busy" }]))).unwrap_err();
        assert_eq!((refused.to_string().as_str(), refused.status()), ("refused: CD: busy (-1008)", REFUSED));
    }
}
