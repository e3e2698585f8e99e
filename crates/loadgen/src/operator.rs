//! Prepares a venue for a load: markets of its own, and accounts with funds and keys. They are created through the
//! admin API, so a load runs against any venue whose token is known. All names contain the time, so that a venue can be
//! loaded twice.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbook_types::{Decimal, Side, TimeInForce};
use serde_json::{Value, json};

use crate::http::{Client, Credentials, Order, Outgoing, Prepared, ResponseType};

/// How long the admin API has to answer; an audit reads the whole state.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer that is read.
const ANSWER_MAX: u64 = 16 << 20;
/// What each account is given of each of its two assets.
const FUNDS: &str = "1000000000";

/// Why the venue could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be reached.
    #[error("the admin API at {0} does not answer: {1}")]
    Unreachable(SocketAddr, #[source] io::Error),
    /// The venue refuses the request.
    #[error("the admin API answers {status} to {request}: {body}")]
    Refused {
        /// Method and path.
        request: String,
        /// What it says, such as 401.
        status: String,
        /// Body of the refusal.
        body: String,
    },
    /// What it answers is not what it should.
    #[error("the admin API's answer to {0} is not understood")]
    Answer(String),
}

/// Whoever has the admin token of a venue.
#[derive(Clone, Debug)]
pub struct Operator {
    admin: SocketAddr,
    token: String,
}

impl Operator {
    /// The operator of the venue whose admin API is there.
    #[must_use]
    pub fn new(admin: SocketAddr, token: &str) -> Self {
        Self { admin, token: token.to_owned() }
    }

    /// One request to the admin API, and its answer. The path is that after `/admin/v1/`.
    ///
    /// # Errors
    /// Unless it succeeds.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let request = format!("{method} /admin/v1/{path}");
        let answer = self.exchange(&request, body).map_err(|error| Error::Unreachable(self.admin, error))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| Error::Answer(request.clone()))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            return Err(Error::Refused { request, status: status.to_owned(), body: body.to_owned() });
        }
        serde_json::from_str(body).map_err(|_| Error::Answer(request))
    }

    fn exchange(&self, request: &str, body: Option<&Value>) -> io::Result<String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect_timeout(&self.admin, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.admin,
            self.token,
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
        String::from_utf8(answer).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Lists `markets` markets, and opens `accounts` accounts with funds for one of them each, in turn, and a key.
    ///
    /// # Errors
    /// When the venue does not let us.
    pub fn make(&self, markets: usize, accounts: usize) -> Result<Vec<Trader>, Error> {
        let post = |path: &str, body: &Value| self.ask("POST", path, Some(body));
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 10_000_000;
        let mut made = Vec::new();
        for market in 0..markets.max(1) {
            let [symbol, base, quote] = ["L", "LB", "LQ"].map(|name| format!("{name}{moment}X{market}"));
            for asset in [&base, &quote] {
                post("assets", &json!({"asset": asset, "decimals": 8}))?;
            }
            let listing = json!({
                "symbol": symbol, "baseAsset": base, "quoteAsset": quote, "tickSize": "0.01", "stepSize": "0.00001",
                "makerFee": "0.001", "takerFee": "0.001", "maxNumOrders": 100_000,
            });
            post("markets", &listing)?;
            made.push((symbol, [base, quote]));
        }
        let mut traders = Vec::new();
        for (at, (symbol, assets)) in (0..accounts).zip(made.iter().cycle()) {
            let opened = post("accounts", &json!({"label": format!("load {at}")}))?;
            let account = opened["accountId"].to_string();
            let account = account.trim_matches('"');
            for asset in assets {
                let deposit = json!({"asset": asset, "amount": FUNDS, "transferId": format!("funds-{asset}")});
                post(&format!("accounts/{account}/deposits"), &deposit)?;
            }
            let path = format!("accounts/{account}/api-keys");
            let key = post(&path, &json!({"permissions": ["READ", "TRADE"]}))?;
            let text = |name: &str| key[name].as_str().map(str::to_owned).ok_or_else(|| Error::Answer(path.clone()));
            traders.push(Trader { symbol: symbol.clone(), key: text("apiKey")?, secret: text("secretKey")? });
        }
        Ok(traders)
    }
}

/// An account that takes part in a load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trader {
    /// The market it trades on.
    pub symbol: String,
    /// Its API key.
    pub key: String,
    /// The key's secret.
    pub secret: String,
}

impl Trader {
    /// The price of all its orders.
    pub(crate) fn price() -> Decimal {
        Decimal::new_checked(10_000, 2).unwrap_or_else(|| unreachable!("two decimals"))
    }

    /// The quantity of all its orders.
    pub(crate) fn quantity() -> Decimal {
        Decimal::new_checked(100, 5).unwrap_or_else(|| unreachable!("five decimals"))
    }

    /// A client that buys and sells in turn at one price. Over all traders of a market about every second order trades
    /// with one before it, and the book stays small.
    #[must_use]
    pub fn client(&self) -> Client<impl FnMut(u64, Outgoing<'_>) -> Option<Prepared> + Send + 'static> {
        let (price, quantity) = (Self::price(), Self::quantity());
        let symbol = self.symbol.clone();
        let flow = move |number: u64, outgoing: Outgoing<'_>| {
            let side = if number.is_multiple_of(2) { Side::Buy } else { Side::Sell };
            Some(outgoing.place(&Order {
                symbol: &symbol,
                side,
                time_in_force: TimeInForce::Gtc,
                quantity,
                price,
                response: ResponseType::Full,
                client_order_id: None,
            }))
        };
        Client { credentials: Some(Credentials::new(&self.key, &self.secret)), flow }
    }
}
