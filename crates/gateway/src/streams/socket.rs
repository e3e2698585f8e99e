//! A WebSocket connection, from the upgrade to its end: reads the client's messages, writes what waits in the outbox, keeps the
//! connection alive with pings, and ends it when the client is too slow, too loud, silent, or simply has been there for a day.
//!
//! One task does all of it. Work that a message starts (a request to the venue) goes on beside the reading of the next, up to a
//! bound; then reading pauses, and the client feels it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes};

use super::Config;
use super::frames::Frames;
use super::outbox::{Closing, Outbox};
use crate::error::ApiError;

/// How long a client gets to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Bytes that are handed to the system at a time, but for a longer message.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are read at a time from a client of streams, which says little. The library fills its buffer with zeros before every reading, also
/// when there is nothing to read; with its own choice, 128 KiB, that took three tenths of the gateway's time with a thousand subscribers.
const STREAMS_READ_BYTES: usize = 4 * 1024;
/// And from a client of the API: some dozens of requests.
const API_READ_BYTES: usize = 16 * 1024;
/// Messages that are read before what they were answered with is written; fewer where that is long.
const READ_BEFORE_WRITING_MAX: usize = 8;

/// The connection's side of the conversation.
pub trait Session: Send + 'static {
    /// What a message can start.
    type Work: Future<Output = ()> + Send;

    /// What waits to be sent.
    fn outbox(&self) -> &Arc<Outbox>;

    /// Takes a message. What it returns is run beside the messages that follow; its first steps are taken in the order in which the
    /// messages came.
    fn receive(&mut self, text: Utf8Bytes) -> Option<Self::Work>;
}

/// The bounds of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    messages_per_second_max: Option<usize>,
    message_bytes_max: usize,
    ping_interval: Duration,
    pong_timeout: Duration,
    lifetime: Duration,
    write_timeout: Duration,
    in_flight_max: usize,
    read_bytes: usize,
}

impl Limits {
    /// Those of stream connections.
    #[must_use]
    pub fn of_streams(config: &Config) -> Self {
        Self {
            messages_per_second_max: Some(config.messages_per_second_max),
            message_bytes_max: config.message_bytes_max,
            ping_interval: Duration::from_millis(config.ping_interval_ms.max(1)),
            pong_timeout: Duration::from_millis(config.pong_timeout_ms),
            lifetime: Duration::from_millis(config.lifetime_ms),
            write_timeout: Duration::from_millis(config.write_timeout_ms),
            in_flight_max: 1,
            read_bytes: STREAMS_READ_BYTES,
        }
    }

    /// Those of connections to the WebSocket API: requests are bounded by their weight instead of their number.
    #[must_use]
    pub fn of_api(config: &Config) -> Self {
        Self {
            messages_per_second_max: None,
            in_flight_max: config.requests_in_flight_max.max(1),
            read_bytes: API_READ_BYTES,
            ..Self::of_streams(config)
        }
    }

    /// The sizes that the protocol's library keeps to.
    fn protocol(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_bytes)
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max))
    }
}

/// A request to go on over WebSocket that can be granted.
#[derive(Debug)]
pub struct Upgrade {
    connection: OnUpgrade,
    granted: Response,
}

impl Upgrade {
    /// Looks whether the request is a complete handshake.
    ///
    /// # Errors
    /// When it is not.
    pub fn asked_by(mut request: Request<Incoming>) -> Result<Self, ApiError> {
        let granted = tungstenite::handshake::server::create_response_with_body(&request, Body::empty)
            .map_err(|error| ApiError::bad_request(-1000, format!("This is no WebSocket handshake: {error}.")))?;
        Ok(Self { connection: hyper::upgrade::on(&mut request), granted })
    }

    /// Grants it: once the answer is sent, the conversation is held on the same connection.
    pub fn grant<S: Session>(self, session: S, limits: Limits) -> Response {
        let Self { connection, granted } = self;
        tokio::spawn(async move {
            // A client that is gone before it has the answer has said nothing yet.
            let Ok(connection) = connection.await else { return };
            let connection = TokioIo::new(connection);
            let stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(limits.protocol())).await;
            run(Socket { stream, unsent: Bytes::new() }, session, limits).await;
        });
        granted
    }
}

/// A WebSocket connection. The library reads, and writes what the protocol says by itself; messages are framed already and go past it.
struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// What is being written. Its beginning may be the middle of a message.
    unsent: Bytes,
}

impl Socket {
    async fn receive(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        self.stream.next().await
    }

    /// Writes all of these. If it is stopped on the way, [`Socket::send`] ends what was begun and drops the rest.
    async fn write(&mut self, frames: &[Frames]) -> Result<(), tungstenite::Error> {
        let mut rest = frames;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|frames| {
                bytes += frames.bytes();
                bytes <= WRITE_BYTES_MAX
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            rest = later;
            // What the library has begun to write comes first.
            self.stream.flush().await?;
            self.unsent = Frames::join(now);
            self.finish().await?;
        }
        Ok(())
    }

    /// Writes frames ahead of what the library has to say, which is its answer to a client's goodbye: nothing may come after that.
    async fn write_ahead(&mut self, frames: &[Frames]) -> Result<(), tungstenite::Error> {
        self.finish().await?;
        self.unsent = Frames::join(frames);
        self.finish().await
    }

    /// Writes what is left of what was begun.
    async fn finish(&mut self) -> Result<(), tungstenite::Error> {
        while !self.unsent.is_empty() {
            match self.stream.get_mut().write(&self.unsent).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                written => self.unsent.advance(written),
            }
        }
        Ok(self.stream.get_mut().flush().await?)
    }

    /// Sends a message of the protocol's own.
    async fn send(&mut self, message: Message) -> Result<(), tungstenite::Error> {
        self.finish().await?;
        self.stream.send(message).await
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The client is gone, or reads nothing.
    Lost,
    /// The client has said goodbye.
    Closed,
    TooSlow,
    TooLoud,
    TooLong,
    Silent,
    Lifetime,
    Stopping,
}

impl End {
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Lost | Self::Closed => return None,
            Self::TooSlow => (CloseCode::Policy, "read faster, or subscribe to less"),
            Self::TooLoud => (CloseCode::Policy, "too many messages a second"),
            Self::TooLong => (CloseCode::Size, "the message is too long"),
            Self::Silent => (CloseCode::Policy, "no pong came back"),
            Self::Lifetime => (CloseCode::Normal, "connected for 24 hours; connect again"),
            Self::Stopping => (CloseCode::Away, "the venue is stopping; connect again"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

/// Runs a connection to its end.
async fn run<S: Session>(mut socket: Socket, mut session: S, limits: Limits) {
    let end = converse(&mut socket, &mut session, &limits).await;
    // What was asked before the end is answered before it.
    let outbox = session.outbox();
    if end == End::Closed {
        let mut frames = Vec::new();
        outbox.take(&mut frames);
        let goodbye = async {
            let _ = socket.write_ahead(&frames).await;
            let _ = socket.stream.close(None).await;
        };
        let _ = timeout(GOODBYE, goodbye).await;
        return;
    }
    if end != End::TooSlow {
        let _ = timeout(GOODBYE, empty(&mut socket, outbox, &limits)).await;
    }
    if let Some(frame) = end.frame() {
        let goodbye = async {
            let _ = socket.send(Message::Close(Some(frame))).await;
            while let Some(Ok(_)) = socket.receive().await {}
            if end == End::TooLong {
                // The rest of the message cannot be read away, and closing on unread bytes would take the frame back.
                sleep(GOODBYE).await;
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

async fn converse<S: Session>(socket: &mut Socket, session: &mut S, limits: &Limits) -> End {
    let outbox = Arc::clone(session.outbox());
    let opened = Instant::now();
    let mut pings = interval_at(opened + limits.ping_interval, limits.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heartbeat = Heartbeat::default();
    let mut pace = Pace::new(limits.messages_per_second_max);
    let mut in_flight = FuturesUnordered::new();
    let lifetime = sleep_until(opened + limits.lifetime);
    tokio::pin!(lifetime);
    // Messages read since the last writing.
    let mut read = 0;
    loop {
        let has_room = in_flight.len() < limits.in_flight_max;
        let received = tokio::select! {
            biased;
            Some(()) = in_flight.next(), if !in_flight.is_empty() => continue,
            // What is there to be read at once is answered in one writing.
            () = outbox.changed(), if read >= READ_BEFORE_WRITING_MAX || outbox.is_half_full() => None,
            message = socket.receive(), if has_room => Some(message),
            () = outbox.changed() => None,
            _ = pings.tick() => {
                let now = Instant::now();
                if heartbeat.is_overdue(now, limits.pong_timeout) {
                    return End::Silent;
                }
                let ping = Message::Ping(heartbeat.ping(now));
                match timeout(limits.write_timeout, socket.send(ping)).await {
                    Ok(Ok(())) => continue,
                    _ => return End::Lost,
                }
            }
            () = &mut lifetime => return End::Lifetime,
        };
        let message = match received {
            None => {
                read = 0;
                match empty(socket, &outbox, limits).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                }
            }
            Some(Some(Ok(message))) => message,
            // The client sent more than the library was told to take.
            Some(Some(Err(tungstenite::Error::Capacity(_)))) => return End::TooLong,
            Some(Some(Err(_)) | None) => return End::Lost,
        };
        read += 1;
        if !pace.allows(Instant::now()) {
            return End::TooLoud;
        }
        match message {
            Message::Text(text) => in_flight.extend(session.receive(text)),
            Message::Binary(bytes) => match Utf8Bytes::try_from(bytes) {
                Ok(text) => in_flight.extend(session.receive(text)),
                Err(_) => return End::Lost,
            },
            Message::Pong(payload) => heartbeat.pong(&payload),
            // The library has answered it already; a bare frame is nothing that it reads.
            Message::Ping(_) | Message::Frame(_) => {}
            Message::Close(_) => return End::Closed,
        }
    }
}

/// Sends everything that waits, and what comes meanwhile. Ends early when the outbox overflows under a client that does not read.
async fn empty(socket: &mut Socket, outbox: &Outbox, limits: &Limits) -> Result<(), End> {
    let mut frames = Vec::new();
    loop {
        frames.clear();
        let closing = outbox.take(&mut frames);
        if frames.is_empty() {
            return match closing {
                None => Ok(()),
                Some(Closing::TooSlow) => Err(End::TooSlow),
                Some(Closing::Stopping) => Err(End::Stopping),
            };
        }
        let overflow = async {
            while outbox.closing() != Some(Closing::TooSlow) {
                outbox.changed().await;
            }
        };
        tokio::select! {
            written = timeout(limits.write_timeout, socket.write(&frames)) => match written {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(End::Lost),
                Err(_) => {
                    metrics::counter!("crossbook_stream_slow_consumers_total").increment(1);
                    return Err(End::TooSlow);
                }
            },
            () = overflow => return Err(End::TooSlow),
        }
    }
}

/// The pings that have not come back.
#[derive(Debug, Default)]
struct Heartbeat {
    sent: u64,
    outstanding: VecDeque<(Instant, Bytes)>,
}

impl Heartbeat {
    /// The payload of a new ping.
    fn ping(&mut self, now: Instant) -> Bytes {
        self.sent += 1;
        let payload = Bytes::from(self.sent.to_string());
        self.outstanding.push_back((now, payload.clone()));
        payload
    }

    /// Takes a pong. One that answers no ping does not count; one that does answers the earlier ones too.
    fn pong(&mut self, payload: &Bytes) {
        if let Some(at) = self.outstanding.iter().position(|(_, sent)| sent == payload) {
            self.outstanding.drain(..=at);
        }
    }

    fn is_overdue(&self, now: Instant, pong_timeout: Duration) -> bool {
        self.outstanding.front().is_some_and(|(sent, _)| now.duration_since(*sent) >= pong_timeout)
    }
}

/// How fast a client sends.
#[derive(Debug)]
struct Pace {
    max: Option<usize>,
    recent: VecDeque<Instant>,
}

impl Pace {
    fn new(max: Option<usize>) -> Self {
        Self { max, recent: VecDeque::new() }
    }

    /// Counts a message. Returns whether the second that ends with it has seen at most the allowed number.
    fn allows(&mut self, now: Instant) -> bool {
        let Some(max) = self.max else { return true };
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() <= max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_answers_its_ping_and_those_before_and_no_other() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let minute = Duration::from_secs(60);
        let mut heartbeat = Heartbeat::default();
        heartbeat.ping(start);
        let second = heartbeat.ping(after(20));
        heartbeat.pong(&Bytes::new());
        assert!(!heartbeat.is_overdue(after(59), minute));
        assert!(heartbeat.is_overdue(after(60), minute));
        heartbeat.pong(&second);
        assert!(!heartbeat.is_overdue(after(600), minute));
    }

    #[test]
    fn pace_is_counted_over_any_second() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(Some(2));
        assert!(pace.allows(after(0)) && pace.allows(after(900)));
        assert!(pace.allows(after(1_000)));
        assert!(!pace.allows(after(1_500)));
        let mut unlimited = Pace::new(None);
        assert!((0..100).all(|_| unlimited.allows(start)));
    }
}
