//! The venue under test: its addresses, its preparation, and its reports about itself.

use std::net::SocketAddr;
use std::time::Duration;

use crossbook_loadgen::http::{Answer, Credentials, Method, Session};
use crossbook_loadgen::operator::{self, Operator};
use crossbook_venue::config::address as listen_address;
use serde_json::{Value, json};

use super::Error;
use super::market::{ASSETS, DECIMALS, MAKER_FEE, MARKETS, Names, QUOTE, TAKER_FEE};
use super::trader::OPEN_MAX;

/// How long an answer may take; the venue itself times out sooner.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How often a repeatable query is sent until it is abandoned, and the pause between.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);
/// What each account is given, in whole units: of each base asset, and of the quote asset.
const FUNDS: (i128, i128) = (1_000_000, 10_000_000_000);

/// Where a venue is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// The client API.
    pub http: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    /// The admin token.
    pub token: String,
}

/// An account that was made for the soak.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number at the venue.
    pub number: u64,
    /// Credentials of the account.
    pub credentials: Credentials,
}

/// What was made for the soak.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it is called.
    pub names: Names,
    /// Accounts of the test.
    pub accounts: Vec<Account>,
    /// What each account was given, by asset, in smallest units.
    pub given: [i128; ASSETS],
}

/// Reads an address as people give it.
///
/// # Errors
/// When it is none, or one that speaks TLS.
pub fn address(url: &str) -> Result<SocketAddr, Error> {
    if url.starts_with("https://") {
        return Err(Error::Tls(url.to_owned()));
    }
    let place = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    listen_address::parse(place).map_err(|why| Error::Address(url.to_owned(), why))
}

impl Access {
    /// Whoever has the token.
    pub fn operator(&self) -> Operator {
        Operator::new(self.admin, &self.token)
    }

    /// A client without a key.
    pub fn anonymous(&self) -> Asker {
        Asker(Session::new(self.http, None, PATIENCE))
    }

    /// A client with an account's key.
    pub fn client(&self, account: &Account) -> Asker {
        Asker(Session::new(self.http, Some(account.credentials.clone()), PATIENCE))
    }

    /// Whoever asks the admin address what needs no token.
    pub fn observer(&self) -> Asker {
        Asker(Session::new(self.admin, None, PATIENCE))
    }

    /// Lists markets and opens accounts with funds and keys, for this run alone.
    ///
    /// # Errors
    /// When the venue does not let us.
    pub fn make(&self, accounts: usize, run: u64) -> Result<Made, Error> {
        let operator = self.operator();
        let post = |path: &str, body: &Value| operator.ask("POST", path, Some(body));
        let names = Names::of_run(run);
        for asset in &names.assets {
            post("assets", &json!({"asset": asset, "decimals": DECIMALS}))?;
        }
        for (symbol, base) in names.symbols.iter().zip(&names.assets) {
            let market = json!({
                "symbol": symbol, "baseAsset": base, "quoteAsset": names.assets[QUOTE], "tickSize": "0.01",
                "stepSize": "0.001", "makerFee": MAKER_FEE, "takerFee": TAKER_FEE,
                "maxNumOrders": 10 * OPEN_MAX,
            });
            post("markets", &market)?;
        }
        let whole: [i128; ASSETS] = std::array::from_fn(|asset| if asset == QUOTE { FUNDS.1 } else { FUNDS.0 });
        let mut opened = Vec::new();
        for at in 0..accounts {
            let account = post("accounts", &json!({"label": format!("soak {run}, {at}")}))?;
            let number = account["accountId"].as_u64().ok_or_else(|| operator::Error::Answer("accounts".to_owned()))?;
            for (asset, amount) in names.assets.iter().zip(whole) {
                let transfer =
                    json!({"asset": asset, "amount": amount.to_string(), "transferId": format!("soak-{asset}")});
                post(&format!("accounts/{number}/deposits"), &transfer)?;
            }
            let path = format!("accounts/{number}/api-keys");
            let key = post(&path, &json!({"permissions": ["READ", "TRADE"]}))?;
            let text = |name: &str| key[name].as_str().ok_or_else(|| operator::Error::Answer(path.clone()));
            opened.push(Account { number, credentials: Credentials::new(text("apiKey")?, text("secretKey")?) });
        }
        debug_assert_eq!(names.symbols.len(), MARKETS);
        Ok(Made { names, accounts: opened, given: whole.map(|amount| amount * 10i128.pow(DECIMALS.into())) })
    }
}

/// Asks one thing after the other.
pub struct Asker(Session);

impl Asker {
    /// Asks without a signature, until there is an answer.
    ///
    /// # Errors
    /// When there is none for long, or the venue refuses.
    pub async fn read(&mut self, target: &str) -> Result<Vec<u8>, Error> {
        let answer = self.repeat(Method::Get, target, None).await?;
        if answer.is_success() { Ok(answer.body) } else { Err(refused(target, &answer)) }
    }

    /// Sends a signed request that can be repeated, until there is an answer; of overload, the end is waited for.
    ///
    /// # Errors
    /// When there is none for long.
    pub async fn signed(&mut self, method: Method, path: &str, query: &str) -> Result<Answer, Error> {
        self.repeat(method, path, Some(query)).await
    }

    /// The body of the answer to a signed query.
    ///
    /// # Errors
    /// When there is none for long, or the venue refuses.
    pub async fn query(&mut self, path: &str, query: &str) -> Result<Vec<u8>, Error> {
        let answer = self.signed(Method::Get, path, query).await?;
        if answer.is_success() { Ok(answer.body) } else { Err(refused(path, &answer)) }
    }

    async fn repeat(&mut self, method: Method, target: &str, query: Option<&str>) -> Result<Answer, Error> {
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                if attempt == 1 {
                    eprintln!("waiting for {target}, for {} s at most: {why}", (PAUSE * ATTEMPTS).as_secs());
                }
                tokio::time::sleep(PAUSE).await;
            }
            let asked = self.0.ask(|outgoing| match query {
                Some(query) => outgoing.signed(method, target, |out| out.extend_from_slice(query.as_bytes())),
                None => outgoing.public(method, target),
            });
            match asked.await {
                // The venue is busy, or its history is: that passes.
                Ok(answer) if answer.status >= 500 => why = String::from_utf8_lossy(&answer.body).into_owned(),
                Ok(answer) => return Ok(answer),
                Err(error) => why = error.to_string(),
            }
        }
        Err(Error::Silent { what: target.to_owned(), why })
    }
}

fn refused(what: &str, answer: &Answer) -> Error {
    Error::Refused { what: what.to_owned(), said: String::from_utf8_lossy(&answer.body).into_owned() }
}

/// The figures of the venue's process about itself.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Vitals {
    /// Bytes of memory.
    pub resident: Option<f64>,
    /// Seconds on a processor so far.
    pub processor: Option<f64>,
    /// Commands by which its history is behind.
    pub history_lag: Option<f64>,
}

impl Vitals {
    /// Reads metrics as Prometheus does.
    pub fn read(metrics: &str) -> Self {
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            line.trim().parse().ok()
        };
        Self {
            resident: value("process_resident_memory_bytes"),
            processor: value("process_cpu_seconds_total"),
            history_lag: value("crossbook_history_lag_commands"),
        }
    }
}

/// What the venue's limits lack for a soak of `orders` orders at `rate` a second; `None` if they are in the way of
/// nothing.
pub fn limit_in_the_way(information: &Value, rate: u64, orders: u64, accounts: u64) -> Option<String> {
    /// Of `allOrders` and `account`.
    const READING: u64 = 20;
    let limits = information["rateLimits"].as_array()?;
    let reads = orders / 1_000 + accounts * (MARKETS as u64 + 2);
    limits.iter().find_map(|limit| {
        let (kind, interval) = (limit["rateLimitType"].as_str()?, limit["interval"].as_str()?);
        let allowed = limit["limit"].as_u64()?;
        let (setting, needed) = match (kind, interval) {
            ("ORDERS", "SECOND") => ("orders_10s", (rate * 10).div_ceil(accounts)),
            ("ORDERS", _) => ("orders_1d", orders.div_ceil(accounts)),
            ("RAW_REQUESTS", _) => ("raw_requests_5m", (rate * 600).min(orders * 2) + reads),
            // Orders give their weight back.
            _ => ("request_weight_1m", reads * READING + accounts),
        };
        // Orders are not spread over the accounts quite evenly.
        let needed = needed + needed / 4;
        (allowed < needed)
            .then(|| format!("gateway.limits.{setting} is {allowed}; set it to {needed} or more, or to 0 for no limit"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_give_them() {
        for url in ["80", "localhost:80", "127.0.0.1:80", "http://127.0.0.1:80", "http://127.0.0.1:80/"] {
            assert_eq!(address(url).unwrap(), SocketAddr::from(([127, 0, 0, 1], 80)));
        }
        assert!(matches!(address("https://127.0.0.1:80"), Err(Error::Tls(_))));
        assert!(matches!(address("127.0.0.1"), Err(Error::Address(..))));
    }

    #[test]
    fn vitals_are_found_among_the_metrics() {
        let metrics = "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 1048576\n\
                       process_cpu_seconds_total 1.5\nprocess_cpu_seconds_total_x 9\n";
        let expected = Vitals { resident: Some(1_048_576.0), processor: Some(1.5), history_lag: None };
        assert_eq!(Vitals::read(metrics), expected);
    }

    #[test]
    fn limits_that_are_in_the_way_are_named() {
        let limits = |kind: &str, interval: &str, limit: u64| json!({"rateLimits": [{"rateLimitType": kind, "interval": interval, "intervalNum": 1, "limit": limit}]});
        assert_eq!(limit_in_the_way(&json!({"rateLimits": []}), 5_000, 300_000, 64), None);
        let said = limit_in_the_way(&limits("ORDERS", "SECOND", 100), 5_000, 300_000, 64).unwrap();
        assert_eq!(said, "gateway.limits.orders_10s is 100; set it to 977 or more, or to 0 for no limit");
        assert_eq!(limit_in_the_way(&limits("ORDERS", "SECOND", 1_000), 5_000, 300_000, 64), None);
        assert!(limit_in_the_way(&limits("REQUEST_WEIGHT", "MINUTE", 6_000), 5_000, 300_000, 64).is_some());
    }
}
