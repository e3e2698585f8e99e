//! A WebSocket connection, from the upgrade to its end: reads the client's messages, sends what is in the outbox, keeps
//! the connection alive with pings, and ends it when the client does not read, sends too much, does not answer pings,
//! or has been connected for a day.
//!
//! One task does all of it. Work that a message starts (a request to the venue) continues while the next message is
//! read, up to a bound; then reading pauses. A burst is written in parts, and messages are read in between.
//!
//! Unless the client is gone or does not read, earlier requests are answered before a connection ends, and each side
//! has the other's close frame.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use crossbook_http::Pace;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::Request;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes};

use super::frames::TOGETHER_BYTES_MAX;
use super::outbox::{Closing, Outbox};
use super::send_budget::Unread as _;
use crate::config::StreamsConfig;
use crate::error::ApiError;

/// How long a client gets to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long it may take at the end to write what still waits.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Bytes that are read at a time from a client of streams, which sends little. The library fills its buffer with zeros
/// before every read, also when there is nothing to read; with its own choice, 128 KiB, that took three tenths of the
/// gateway's time with a thousand subscribers.
const STREAMS_READ_BYTES: usize = 4 * 1024;
/// And from a client of the API: some dozens of requests.
const API_READ_BYTES: usize = 16 * 1024;
/// Messages that are read before what they were answered with is written; fewer where that is long.
const READ_BEFORE_WRITING_MAX: usize = 8;
/// Requests that were sent before the connection is closed, and are still taken.
const READ_AT_END_MAX: usize = 1_024;
/// A client that sends nothing for so long has nothing more in flight.
const QUIET: Duration = Duration::from_millis(50);

/// The connection's side of the conversation.
pub trait Session: Send + 'static {
    /// What a message can start.
    type Work: Future<Output = ()> + Send;

    /// What waits to be sent.
    fn outbox(&self) -> &Arc<Outbox>;

    /// Handles a message. The returned work runs beside the following messages; its first steps run in the order in
    /// which the messages arrived.
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
    unread_timeout: Duration,
    in_flight_max: usize,
    /// How long answers to what was asked before the end are waited for.
    answers_timeout: Duration,
    /// Whether nothing is read while much waits to be written: what is asked makes more of it.
    written_first: bool,
    read_bytes: usize,
}

impl Limits {
    /// Those of stream connections.
    #[must_use]
    pub fn of_streams(config: &StreamsConfig) -> Self {
        Self {
            messages_per_second_max: Some(config.messages_per_second_max),
            message_bytes_max: config.message_bytes_max,
            ping_interval: Duration::from_millis(config.ping_interval_ms.max(1)),
            pong_timeout: Duration::from_millis(config.pong_timeout_ms),
            lifetime: Duration::from_millis(config.connection_lifetime_ms),
            unread_timeout: Duration::from_millis(config.send_timeout_ms),
            in_flight_max: 1,
            answers_timeout: Duration::ZERO,
            written_first: false,
            read_bytes: STREAMS_READ_BYTES,
        }
    }

    /// Those of connections to the WebSocket API: requests are bounded by their weight instead of their number. Every
    /// request has its answer within `reply_timeout_ms`.
    #[must_use]
    pub fn of_api(config: &StreamsConfig, reply_timeout_ms: u64) -> Self {
        Self {
            messages_per_second_max: None,
            in_flight_max: config.requests_in_flight_max.max(1),
            answers_timeout: Duration::from_millis(reply_timeout_ms) + GOODBYE,
            written_first: true,
            read_bytes: API_READ_BYTES,
            ..Self::of_streams(config)
        }
    }

    /// The sizes of the protocol's library.
    fn protocol(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_bytes)
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max))
    }
}

/// A request to upgrade to WebSocket that can be granted.
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
            // A client that disconnects before it has the answer has sent nothing yet.
            let Ok(connection) = connection.await else { return };
            let connection = TokioIo::new(connection);
            let stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(limits.protocol())).await;
            let pace = Arc::clone(session.outbox().pace());
            run(Socket { stream, unsent: Bytes::new(), was_read: false, pace }, session, limits).await;
        });
        granted
    }
}

/// A WebSocket connection. The library reads, and writes what the protocol requires by itself; messages are framed
/// already and bypass it.
struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// What is being written. Its beginning may be the middle of a message, and then the library must not be asked for
    /// anything.
    unsent: Bytes,
    /// Whether bytes were written that had to wait until the client had taken earlier ones.
    was_read: bool,
    /// How fast the client takes messages.
    pace: Arc<Pace>,
}

impl Socket {
    async fn receive(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        self.stream.next().await
    }

    /// Writes whole messages. A client that takes no byte for `patience` is too slow.
    async fn write(&mut self, frames: Bytes, patience: Duration) -> Result<(), End> {
        // What the library has begun to write is written first.
        within(patience, &self.pace, self.stream.flush()).await?;
        self.unsent = frames;
        self.finish(patience).await
    }

    /// Writes messages ahead of what the library has to say, which is its answer to a client's goodbye: nothing may
    /// come after that.
    async fn write_ahead(&mut self, frames: Bytes, patience: Duration) -> Result<(), End> {
        self.unsent = frames;
        self.finish(patience).await
    }

    /// Writes the rest of what was begun.
    async fn finish(&mut self, patience: Duration) -> Result<(), End> {
        while !self.unsent.is_empty() {
            let step = self.stream.get_mut().write(&self.unsent);
            let (written, had_to_wait) = within(patience, &self.pace, step).await?;
            if written == 0 {
                return Err(End::Lost);
            }
            self.was_read |= had_to_wait;
            self.pace.took(written, std::time::Instant::now());
            self.unsent.advance(written);
        }
        let ((), had_to_wait) = within(patience, &self.pace, self.stream.get_mut().flush()).await?;
        self.was_read |= had_to_wait;
        Ok(())
    }

    /// Sends a message of the protocol's own.
    async fn send(&mut self, message: Message, patience: Duration) -> Result<(), End> {
        self.finish(patience).await?;
        let ((), _) = within(patience, &self.pace, self.stream.send(message)).await?;
        Ok(())
    }

    /// Ends the connection below the protocol. What the client still sends is read and discarded, because the system
    /// drops what was written, including the close frame, if a connection is closed with unread bytes.
    async fn hang_up(&mut self) {
        let stream = self.stream.get_mut();
        let _ = stream.shutdown().await;
        let mut thrown_away = [0; STREAMS_READ_BYTES];
        while let Ok(1..) = stream.read(&mut thrown_away).await {}
    }
}

/// Waits for a step of writing, for as long as a client may leave everything unread, and notes that it has to.
async fn within<T, E>(
    patience: Duration,
    pace: &Pace,
    step: impl Future<Output = Result<T, E>>,
) -> Result<(T, HadToWait), End> {
    let mut step = pin!(step);
    if let Some(done) = step.as_mut().now_or_never() {
        return Ok((done.map_err(|_| End::Lost)?, false));
    }
    pace.waits(std::time::Instant::now());
    match timeout(patience, step).await {
        Ok(Ok(done)) => Ok((done, true)),
        Ok(Err(_)) => Err(End::Lost),
        Err(_) => Err(End::TooSlow),
    }
}

/// Whether a step of writing had to wait for the client.
type HadToWait = bool;

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The client is gone.
    Lost,
    /// The client has sent a close frame.
    Closed,
    TooSlow,
    TooLoud,
    TooLong,
    Silent,
    /// It is no text in UTF-8.
    NotText,
    /// It violates the protocol.
    Unlawful,
    Lifetime,
    Banned,
    Stopping,
}

impl End {
    /// After a client sent what the library does not take.
    fn of_error(error: &tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Capacity(_) => Self::TooLong,
            tungstenite::Error::Utf8(_) => Self::NotText,
            tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => Self::Lost,
            tungstenite::Error::Protocol(_) => Self::Unlawful,
            _ => Self::Lost,
        }
    }

    /// The close frame for the client, if we close first.
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Lost | Self::Closed => return None,
            Self::TooSlow => (CloseCode::Policy, "read faster, or subscribe to less"),
            Self::TooLoud => (CloseCode::Policy, "too many messages a second"),
            Self::TooLong => (CloseCode::Size, "the message is too long"),
            Self::Silent => (CloseCode::Policy, "no pong came back"),
            Self::NotText => (CloseCode::Invalid, "the message is no UTF-8"),
            Self::Unlawful => (CloseCode::Protocol, "the frame breaks the protocol"),
            Self::Lifetime => (CloseCode::Normal, "connected for 24 hours; connect again"),
            Self::Banned => (CloseCode::Policy, "the address is banned"),
            Self::Stopping => (CloseCode::Away, "the venue is stopping; connect again"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

/// Runs a connection to its end.
async fn run<S: Session>(mut socket: Socket, mut session: S, limits: Limits) {
    let mut in_flight = FuturesUnordered::new();
    let end = converse(&mut socket, &mut session, &mut in_flight, &limits).await;
    let outbox = Arc::clone(session.outbox());
    if end == End::TooSlow {
        outbox.cut_off();
    }
    if !matches!(end, End::Lost | End::TooSlow) {
        if end == End::Stopping {
            take_what_was_sent(&mut socket, &mut session, &mut in_flight).await;
        }
        // What was asked before the end is answered before it.
        let answers = async { while in_flight.next().await.is_some() {} };
        let _ = timeout(limits.answers_timeout, answers).await;
        let _ = timeout(LAST_WORDS, write_the_rest(&mut socket, &outbox, end, &limits)).await;
    }
    drop(in_flight);
    let goodbye = async {
        let said = match end.frame() {
            Some(frame) => socket.send(Message::Close(Some(frame)), GOODBYE).await.is_ok(),
            // The library has the answer to the client's goodbye ready.
            None => end == End::Closed && socket.stream.flush().await.is_ok(),
        };
        if said {
            while let Some(Ok(_)) = socket.receive().await {}
            socket.hang_up().await;
        }
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

/// Processes the requests that were sent before the client could know that the connection is closed, until it has been
/// quiet for a short time.
async fn take_what_was_sent<S: Session>(
    socket: &mut Socket,
    session: &mut S,
    in_flight: &mut FuturesUnordered<S::Work>,
) {
    let end = Instant::now() + GOODBYE;
    for _ in 0..READ_AT_END_MAX {
        let quiet = sleep_until(end.min(Instant::now() + QUIET));
        tokio::pin!(quiet);
        let received = loop {
            tokio::select! {
                biased;
                Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
                received = socket.receive() => break received,
                () = &mut quiet => return,
            }
        };
        match received {
            Some(Ok(Message::Text(text))) => in_flight.extend(session.receive(text)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            Some(Ok(_)) => {}
        }
    }
}

/// Writes everything that waits.
async fn write_the_rest(socket: &mut Socket, outbox: &Outbox, end: End, limits: &Limits) -> Result<(), End> {
    // What may have been begun, and stopped on the way.
    socket.finish(limits.unread_timeout).await?;
    outbox.written();
    loop {
        let frames = outbox.begin(TOGETHER_BYTES_MAX);
        if frames.is_empty() {
            return Ok(());
        }
        match end {
            End::Closed => socket.write_ahead(frames, limits.unread_timeout).await?,
            _ => socket.write(frames, limits.unread_timeout).await?,
        }
        outbox.written();
    }
}

async fn converse<S: Session>(
    socket: &mut Socket,
    session: &mut S,
    in_flight: &mut FuturesUnordered<S::Work>,
    limits: &Limits,
) -> End {
    let outbox = Arc::clone(session.outbox());
    let opened = Instant::now();
    let mut pings = interval_at(opened + limits.ping_interval, limits.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heartbeat = Heartbeat::default();
    let mut sending = SendingRate::new(limits.messages_per_second_max);
    let lifetime = sleep_until(opened + limits.lifetime);
    tokio::pin!(lifetime);
    // Messages read since the last writing.
    let mut read = 0;
    loop {
        let much_waits = outbox.is_large();
        let reads = in_flight.len() < limits.in_flight_max && !(much_waits && limits.written_first);
        let read_max = if much_waits { 1 } else { READ_BEFORE_WRITING_MAX };
        let received = tokio::select! {
            biased;
            Some(()) = in_flight.next(), if !in_flight.is_empty() => continue,
            // A client whose pongs are not read is not asked for any.
            _ = pings.tick(), if reads => {
                let now = Instant::now();
                if heartbeat.is_overdue(now, limits.pong_timeout) {
                    return End::Silent;
                }
                match socket.send(Message::Ping(heartbeat.ping(now)), limits.unread_timeout).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                }
            }
            // Everything that can be read at once is answered in one write.
            () = outbox.changed(), if read >= read_max => None,
            message = socket.receive(), if reads => Some(message),
            () = outbox.changed() => None,
            () = &mut lifetime => return End::Lifetime,
        };
        let message = match received {
            None => {
                read = 0;
                if let Err(end) = write_some(socket, &outbox, limits).await {
                    return end;
                }
                if std::mem::take(&mut socket.was_read) {
                    // The client reads, and has much to read before it reaches a ping.
                    heartbeat.wait_on(Instant::now());
                }
                continue;
            }
            Some(Some(Ok(message))) => message,
            Some(Some(Err(error))) => return End::of_error(&error),
            Some(None) => return End::Lost,
        };
        read += 1;
        if !sending.allows(Instant::now()) {
            return End::TooLoud;
        }
        match message {
            Message::Text(text) => in_flight.extend(session.receive(text)),
            Message::Binary(bytes) => match Utf8Bytes::try_from(bytes) {
                Ok(text) => in_flight.extend(session.receive(text)),
                Err(_) => return End::NotText,
            },
            Message::Pong(payload) => heartbeat.pong(&payload),
            // The library has answered it already; a bare frame is nothing that it reads.
            Message::Ping(_) | Message::Frame(_) => {}
            Message::Close(_) => return End::Closed,
        }
    }
}

/// Writes the next of what waits, so much that the client can be listened to in between.
async fn write_some(socket: &mut Socket, outbox: &Outbox, limits: &Limits) -> Result<(), End> {
    let frames = outbox.begin(TOGETHER_BYTES_MAX);
    if frames.is_empty() {
        return match outbox.closing() {
            None => Ok(()),
            Some(Closing::TooSlow) => Err(End::TooSlow),
            Some(Closing::Banned) => Err(End::Banned),
            Some(Closing::Stopping) => Err(End::Stopping),
        };
    }
    let cut_off = async {
        while outbox.closing() != Some(Closing::TooSlow) {
            outbox.changed().await;
        }
    };
    tokio::select! {
        written = socket.write(frames, limits.unread_timeout) => written?,
        () = cut_off => return Err(End::TooSlow),
    }
    outbox.written();
    Ok(())
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

    /// Counts the time of the pings that have not come back from `now` on.
    fn wait_on(&mut self, now: Instant) {
        self.outstanding.iter_mut().for_each(|(sent, _)| *sent = now);
    }

    fn is_overdue(&self, now: Instant, pong_timeout: Duration) -> bool {
        self.outstanding.front().is_some_and(|(sent, _)| now.duration_since(*sent) >= pong_timeout)
    }
}

/// How fast a client sends.
#[derive(Debug)]
struct SendingRate {
    max: Option<usize>,
    recent: VecDeque<Instant>,
}

impl SendingRate {
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
        heartbeat.wait_on(after(70));
        assert!(!heartbeat.is_overdue(after(129), minute) && heartbeat.is_overdue(after(130), minute));
        heartbeat.pong(&second);
        assert!(!heartbeat.is_overdue(after(600), minute));
    }

    #[test]
    fn what_a_client_sends_is_counted_over_any_second() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut rate = SendingRate::new(Some(2));
        assert!(rate.allows(after(0)) && rate.allows(after(900)));
        assert!(rate.allows(after(1_000)));
        assert!(!rate.allows(after(1_500)));
        let mut unlimited = SendingRate::new(None);
        assert!((0..100).all(|_| unlimited.allows(start)));
    }
}
