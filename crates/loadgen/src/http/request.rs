//! Requests as bytes. The constant parts of a connection's requests, host and key, are rendered once; the rest is
//! appended to a reused buffer and signed in place.

use std::io::Write;

use aws_lc_rs::hmac;
use crossbook_types::{Decimal, Side, TimeInForce};

/// The length of a signature in hexadecimal.
const SIGNATURE: usize = 64;

/// An API key and its secret.
#[derive(Clone)]
pub struct Credentials {
    api_key: String,
    secret: hmac::Key,
}

impl Credentials {
    /// From the key and the secret as the venue gave them out.
    #[must_use]
    pub fn new(api_key: &str, secret: &str) -> Self {
        Self { api_key: api_key.to_owned(), secret: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) }
    }

    /// The API key.
    pub(crate) fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The signature of a payload, in hexadecimal.
    ///
    /// # Panics
    /// Never: a signature has a fixed length.
    pub(crate) fn sign(&self, payload: &[u8]) -> [u8; SIGNATURE] {
        let tag = hmac::sign(&self.secret, payload);
        let mut signature = [0; SIGNATURE];
        hex::encode_to_slice(tag.as_ref(), &mut signature).expect("a SHA-256 tag has 64 hexadecimal digits");
        signature
    }
}

impl std::fmt::Debug for Credentials {
    /// Leaves the secret out.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}

/// The verb of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Queries; changes nothing.
    Get,
    /// Creates something.
    Post,
    /// Replaces something.
    Put,
    /// Deletes something.
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// How much the answer to an order tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ResponseType {
    /// That the order was taken.
    #[default]
    Ack,
    /// And what became of it.
    Result,
    /// And its trades.
    Full,
}

impl ResponseType {
    /// The name on the client API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ACK",
            Self::Result => "RESULT",
            Self::Full => "FULL",
        }
    }
}

/// A limit order to place.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The market, as in `BTCUSDT`.
    pub symbol: &'a str,
    /// Buy or sell.
    pub side: Side,
    /// How long it may rest.
    pub time_in_force: TimeInForce,
    /// The quantity of the base asset.
    pub quantity: Decimal,
    /// The limit, in the quote asset.
    pub price: Decimal,
    /// How much the answer tells.
    pub response: ResponseType,
    /// The order's name, by which it can be cancelled without a look at the answer. The venue invents one if there is
    /// none.
    pub client_order_id: Option<&'a str>,
}

/// Proof that a request was written; what a flow returns.
#[derive(Debug)]
#[must_use]
pub struct Prepared(pub(super) ());

/// What every request of one connection has in common.
#[derive(Debug)]
pub(super) struct Template {
    credentials: Option<Credentials>,
    /// What follows the target of a request without a body.
    tail: Vec<u8>,
}

impl Template {
    pub(super) fn new(host: &str, credentials: Option<Credentials>) -> Self {
        let mut tail = format!(" HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n").into_bytes();
        if let Some(credentials) = &credentials {
            tail.extend_from_slice(b"X-MBX-APIKEY: ");
            tail.extend_from_slice(credentials.api_key.as_bytes());
            tail.extend_from_slice(b"\r\n");
        }
        tail.extend_from_slice(b"\r\n");
        Self { credentials, tail }
    }

    /// A request to be written over whatever `buffer` holds.
    pub(super) fn outgoing<'a>(&'a self, buffer: &'a mut Vec<u8>, timestamp_ms: u64) -> Outgoing<'a> {
        buffer.clear();
        Outgoing { template: self, buffer, timestamp_ms }
    }
}

/// A request about to be written, once, by one of its methods.
#[derive(Debug)]
pub struct Outgoing<'a> {
    template: &'a Template,
    buffer: &'a mut Vec<u8>,
    timestamp_ms: u64,
}

impl Outgoing<'_> {
    /// The wall-clock time that a signature would carry, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// `GET /api/v3/ping`.
    pub fn ping(self) -> Prepared {
        self.public(Method::Get, "/api/v3/ping")
    }

    /// A request without a signature; `target` is the path with its query, if any.
    pub fn public(self, method: Method, target: &str) -> Prepared {
        self.append(method.as_str()).append(" ").append(target).end()
    }

    /// `POST /api/v3/order`: a limit order, signed.
    pub fn place(self, order: &Order<'_>) -> Prepared {
        self.signed(Method::Post, "/api/v3/order", |query| {
            write_text(
                query,
                format_args!(
                    "symbol={}&side={}&type=LIMIT&timeInForce={}&quantity={}&price={}&newOrderRespType={}",
                    order.symbol,
                    order.side.as_str(),
                    order.time_in_force.as_str(),
                    order.quantity,
                    order.price,
                    order.response.as_str(),
                ),
            );
            if let Some(id) = order.client_order_id {
                query.extend_from_slice(b"&newClientOrderId=");
                query.extend_from_slice(id.as_bytes());
            }
        })
    }

    /// `DELETE /api/v3/order`: cancels an order by the name its client gave it, signed.
    pub fn cancel(self, symbol: &str, client_order_id: &str) -> Prepared {
        self.signed(Method::Delete, "/api/v3/order", |query| {
            write_text(query, format_args!("symbol={symbol}&origClientOrderId={client_order_id}"));
        })
    }

    /// Any signed request. `write_query` appends the query, already percent-encoded; timestamp and signature follow it.
    ///
    /// Without credentials there is no signature. The venue refuses such a request, and the report shows it.
    pub fn signed(self, method: Method, path: &str, write_query: impl FnOnce(&mut Vec<u8>)) -> Prepared {
        let outgoing = self.append(method.as_str()).append(" ").append(path).append("?");
        let query = outgoing.buffer.len();
        write_query(outgoing.buffer);
        if outgoing.buffer.len() > query {
            outgoing.buffer.push(b'&');
        }
        write_text(outgoing.buffer, format_args!("timestamp={}", outgoing.timestamp_ms));
        if let Some(credentials) = &outgoing.template.credentials {
            let signature = credentials.sign(&outgoing.buffer[query..]);
            outgoing.buffer.extend_from_slice(b"&signature=");
            outgoing.buffer.extend_from_slice(&signature);
        }
        outgoing.end()
    }

    fn append(self, text: &str) -> Self {
        self.buffer.extend_from_slice(text.as_bytes());
        self
    }

    fn end(self) -> Prepared {
        self.buffer.extend_from_slice(&self.template.tail);
        Prepared(())
    }
}

fn write_text(buffer: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    buffer.write_fmt(text).expect("a vector takes any bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

    fn written(credentials: Option<Credentials>, write: impl FnOnce(Outgoing<'_>) -> Prepared) -> String {
        let template = Template::new("venue:80", credentials);
        let mut buffer = b"left over".to_vec();
        let Prepared(()) = write(template.outgoing(&mut buffer, 1_499_827_319_559));
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn a_ping_is_a_bare_get() {
        let expected = "GET /api/v3/ping HTTP/1.1\r\nHost: venue:80\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(written(None, |outgoing| outgoing.ping()), expected);
    }

    #[test]
    fn the_signature_is_the_one_of_the_published_example() {
        // The worked example of the API's documentation: its key, its query, its signature.
        let request = written(Some(Credentials::new(KEY, SECRET)), |outgoing| {
            outgoing.signed(Method::Post, "/api/v3/order", |query| {
                query.extend_from_slice(
                    b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000",
                );
            })
        });
        let signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert!(request.contains(&format!("&timestamp=1499827319559&signature={signature} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains(&format!("\r\nX-MBX-APIKEY: {KEY}\r\n")), "{request}");
    }

    #[test]
    fn an_order_carries_its_parameters_and_a_cancel_its_name() {
        let order = Order {
            symbol: "BTCUSDT",
            side: Side::Sell,
            time_in_force: TimeInForce::Gtc,
            quantity: Decimal::parse("0.010").unwrap(),
            price: Decimal::parse("64000.10").unwrap(),
            response: ResponseType::Result,
            client_order_id: Some("c-1"),
        };
        let placed = written(Some(Credentials::new(KEY, SECRET)), |outgoing| outgoing.place(&order));
        let start = "POST /api/v3/order?symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=64000.10\
                     &newOrderRespType=RESULT&newClientOrderId=c-1&timestamp=1499827319559&signature=";
        assert!(placed.starts_with(start), "{placed}");

        let cancelled = written(None, |outgoing| outgoing.cancel("BTCUSDT", "c-1"));
        let start = "DELETE /api/v3/order?symbol=BTCUSDT&origClientOrderId=c-1&timestamp=1499827319559 HTTP/1.1\r\n";
        assert!(cancelled.starts_with(start), "{cancelled}");
    }

    #[test]
    fn credentials_do_not_print_their_secret() {
        assert!(!format!("{:?}", Credentials::new(KEY, SECRET)).contains(SECRET));
    }
}
