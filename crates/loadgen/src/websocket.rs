//! Load over WebSocket: orders over the WebSocket API, with many in flight per connection ([`run`]), and an
//! [`Audience`] that subscribes to market streams while others trade.

mod audience;
mod heads;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::http::run::{Course, check, unix_milliseconds};
use crate::http::{Credentials, Error, ErrorKind, Plan, Report, Stop};
use crate::operator::Trader;

pub use self::audience::{Audience, Received};

/// Bytes that are read at a time. The library fills its buffer with zeros before every reading, so less is faster.
const READ_BYTES: usize = 16 * 1024;
/// The most requests under way on one connection.
pub const PIPELINE_MAX: usize = 1_024;

/// Places the orders of these traders over the WebSocket API, each on a connection of its own with up to `pipeline`
/// requests under way. The plan means the same as for [`http::run`](crate::http::run()), and the orders are the same as
/// those of [`Trader::client`]. Must be called within a Tokio runtime with network and time.
///
/// # Errors
/// When the plan is out of bounds or not every trader can connect. What goes wrong later is counted in the report; a
/// connection that is lost stays lost.
pub async fn run(plan: Plan, pipeline: usize, traders: &[Trader]) -> Result<Report, Error> {
    run_watched(plan, pipeline, traders, |_, _| ()).await
}

/// The same, telling of each answer how long it took from when its order was sent, which may be later than when it was
/// due, and whether it is a success.
///
/// # Errors
/// As [`run`].
pub async fn run_watched<W>(plan: Plan, pipeline: usize, traders: &[Trader], watch: W) -> Result<Report, Error>
where
    W: Fn(Duration, bool) + Clone + Send + 'static,
{
    check(&plan, traders.len())?;
    let mut ready = Vec::with_capacity(traders.len());
    for trader in traders {
        let opened = timeout(plan.timeout, open(plan.address, "/ws-api/v3")).await;
        let socket = opened
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(|error| Error::Connect(plan.address, error.into()))?;
        ready.push((socket, Orders::of(trader)));
    }
    let course = Course::begin(plan, traders.len(), Stop::default());
    let mut tasks = JoinSet::new();
    for (socket, orders) in ready {
        let part = Part {
            course: Arc::clone(&course),
            socket,
            orders,
            pipeline: pipeline.clamp(1, PIPELINE_MAX),
            under_way: BTreeMap::new(),
            watch: watch.clone(),
        };
        tasks.spawn(part.run());
    }
    while let Some(finished) = tasks.join_next().await {
        if let Err(error) = finished {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    Ok(course.report())
}

/// A WebSocket connection to a path of the client API.
async fn open(address: SocketAddr, path: &str) -> io::Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
    let opened = client_async_with_config(format!("ws://{address}{path}"), stream, Some(config)).await;
    Ok(opened.map_err(io::Error::other)?.0)
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Answer {
    id: u64,
    status: u16,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i32,
}

/// Writes the orders of a trader.
struct Orders {
    credentials: Credentials,
    symbol: String,
    payload: String,
}

impl Orders {
    fn of(trader: &Trader) -> Self {
        let credentials = Credentials::new(&trader.key, &trader.secret);
        Self { credentials, symbol: trader.symbol.clone(), payload: String::new() }
    }

    /// The request whose number over all traders is this.
    fn write(&mut self, number: u64, timestamp_ms: u64) -> String {
        let side = if number.is_multiple_of(2) { "BUY" } else { "SELL" };
        let (key, symbol, price, quantity) =
            (self.credentials.api_key(), &self.symbol, Trader::price(), Trader::quantity());
        self.payload.clear();
        // A string takes any text. What is signed is in the order of names.
        let _ = write!(
            self.payload,
            "apiKey={key}&newOrderRespType=FULL&price={price}&quantity={quantity}&side={side}&symbol={symbol}&timeInForce=GTC\
             &timestamp={timestamp_ms}&type=LIMIT"
        );
        let signature = self.credentials.sign(self.payload.as_bytes());
        let signature = String::from_utf8_lossy(&signature);
        format!(
            "{{\"id\":{number},\"method\":\"order.place\",\"params\":{{\"apiKey\":\"{key}\",\"newOrderRespType\":\"FULL\",\"price\":\"{price}\",\
             \"quantity\":\"{quantity}\",\"side\":\"{side}\",\"symbol\":\"{symbol}\",\"timeInForce\":\"GTC\",\"timestamp\":{timestamp_ms},\
             \"type\":\"LIMIT\",\"signature\":\"{signature}\"}}}}"
        )
    }
}

/// One connection at work.
struct Part<W> {
    course: Arc<Course>,
    socket: WebSocketStream<TcpStream>,
    orders: Orders,
    pipeline: usize,
    under_way: BTreeMap<u64, UnderWay>,
    watch: W,
}

/// A request that is not answered yet.
#[derive(Clone, Copy)]
struct UnderWay {
    /// The moment from which its latency counts.
    since: Instant,
    sent: Instant,
}

impl<W: Fn(Duration, bool)> Part<W> {
    async fn run(mut self) {
        let mut more = true;
        while more || !self.under_way.is_empty() {
            let step = tokio::select! {
                biased;
                answer = timeout(self.course.plan.timeout, self.socket.next()), if !self.under_way.is_empty() => match answer {
                    Ok(Some(Ok(Message::Text(text)))) => self.take(&text),
                    Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => Err(ErrorKind::Disconnected),
                    Ok(Some(Ok(_))) => Ok(()),
                    Err(_) => Err(ErrorKind::Timeout),
                },
                next = self.course.next(), if more && self.under_way.len() < self.pipeline => match next {
                    Some((number, since)) => self.send(number, since, &mut more).await,
                    None => {
                        more = false;
                        Ok(())
                    }
                },
            };
            if let Err(kind) = step {
                // What was under way may have been carried out or not; nobody will say any more.
                self.under_way.values().for_each(|_| self.course.failed(kind));
                return;
            }
        }
        let _ = self.socket.close(None).await;
    }

    /// Sends that order, and in the same writing whatever else is due by now. `more` tells whether anything is left.
    async fn send(&mut self, mut number: u64, mut since: Instant, more: &mut bool) -> Result<(), ErrorKind> {
        loop {
            let text = self.orders.write(number, unix_milliseconds());
            self.under_way.insert(number, UnderWay { since, sent: Instant::now() });
            self.socket.feed(Message::text(text)).await.map_err(|_| ErrorKind::Disconnected)?;
            if self.under_way.len() >= self.pipeline {
                break;
            }
            match self.course.next().now_or_never() {
                Some(Some(next)) => (number, since) = next,
                Some(None) => {
                    *more = false;
                    break;
                }
                None => break,
            }
        }
        self.socket.flush().await.map_err(|_| ErrorKind::Disconnected)
    }

    fn take(&mut self, text: &str) -> Result<(), ErrorKind> {
        let answer: Answer = serde_json::from_str(text).map_err(|_| ErrorKind::Malformed)?;
        let UnderWay { since, sent } = self.under_way.remove(&answer.id).ok_or(ErrorKind::Malformed)?;
        (self.watch)(sent.elapsed(), answer.status == 200);
        match answer.status {
            200 => self.course.succeeded(since.elapsed()),
            status => self.course.failed(ErrorKind::Refused { status, code: answer.error.map(|error| error.code) }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
