//! Listeners and their bounds: the number of connections, the time of a client, the size of a request.
//!
//! HTTP/1.1 by hyper, one task for each connection, no layers in between: the way of an order from socket to node and
//! back is a handful of function calls.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, DATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crossbook_gateway::limits;

use crate::config::ServerConfig;
use crate::date;
use crate::pace::Paced;
use crate::response_budget::{Client, ResponseBudget};
use crate::tls::Handshakes;

/// How long to wait after the system could not give a connection, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The longest path and query that there can be: HTTP's library takes no longer ones.
const URI_BYTES_MAX: usize = u16::MAX as usize - 1;
/// Room for a request's other lines.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// When all connections are to end: how long one may be silent that has had an answer before.
const QUIET: Duration = Duration::from_millis(50);
/// And how long one that is new has for its handshake, and then for its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Bytes that the system accepts for a connection before it has sent earlier ones. More of them wait here, where they
/// are counted, and a client that reads slowly can be distinguished from one that does not read at all.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;
/// Connections that the system may hold back before they are accepted.
const BACKLOG: i32 = 1_024;

/// What answers the requests of a listener.
pub trait Service: Send + Sync + 'static {
    /// What this listener is called in metrics.
    const NAME: &'static str;

    /// Whether the request's path and query may be as long as they can be, and longer than `uri_bytes_max`.
    fn takes_long_uri(&self, _request: &Request<Incoming>) -> bool {
        false
    }

    /// Whether clients are asked to leave: each answer is the last on its connection.
    fn asks_to_leave(&self) -> bool {
        false
    }

    /// The least time for which a connection stays open although its client reads nothing. It must be longer than what
    /// the service itself grants to connections that it upgraded, so that these get its close message.
    fn write_timeout_min(&self) -> Duration {
        Duration::ZERO
    }

    /// The answer to a request that cannot be taken.
    fn refuse(&self, error: RequestError) -> Response<Body>;

    /// Answers one request.
    fn answer(&self, from: IpAddr, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// An address that is listened at, and the certificate that is shown there, if one is.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Handshakes>,
}

impl Listener {
    /// The same; with a certificate, it serves only TLS.
    #[must_use]
    pub fn secured(self, tls: Option<Handshakes>) -> Self {
        Self { tls, ..self }
    }

    /// The address, with the port that the system chose.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Opens a listener. It does not accept before [`serve`].
///
/// # Errors
/// When the address cannot be listened at.
pub fn listen(address: SocketAddr) -> std::io::Result<Listener> {
    bind(address)?.listen()
}

/// An address that is kept from other processes, at which connections are still refused.
#[derive(Debug)]
pub struct Bound(socket2::Socket);

impl Bound {
    /// Takes connections from now on.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn listen(self) -> std::io::Result<Listener> {
        self.0.listen(BACKLOG)?;
        Ok(Listener { tcp: TcpListener::from_std(self.0.into())?, tls: None })
    }
}

/// Reserves an address until it is listened at.
///
/// # Errors
/// When another process listens there, or the address is not of this machine.
pub fn bind(address: SocketAddr) -> std::io::Result<Bound> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted venue takes over its address at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(Bound(socket))
}

/// Accepts and serves connections until `stop` turns true. Then it serves those that were waiting to be accepted,
/// closes idle ones, lets requests in flight end within `shutdown_timeout_ms`, and returns.
pub async fn serve<S: Service>(listener: Listener, config: ServerConfig, service: Arc<S>, stop: watch::Receiver<bool>) {
    let budget = ResponseBudget::new(S::NAME, config.unread_bytes_total_max);
    serve_within(listener, config, service, stop, budget).await;
}

/// As [`serve`], with the budget of the answers that clients have not read yet.
pub(crate) async fn serve_within<S: Service>(
    listener: Listener,
    config: ServerConfig,
    service: Arc<S>,
    stop: watch::Receiver<bool>,
    budget: Arc<ResponseBudget>,
) {
    let open = Arc::new(Open::new(S::NAME, &config));
    let config = Arc::new(config);
    let Listener { tcp: listener, tls } = listener;
    let mut renewal = std::pin::pin!(renew(S::NAME, tls.clone(), config.reload_interval()));
    let begin = |stream: TcpStream, peer: SocketAddr| {
        let ip = peer.ip().to_canonical();
        let Some(place) = Open::enter(&open, ip) else { return };
        // Answers are small and awaited; none should wait for another to fill a packet.
        let _ = stream.set_nodelay(true);
        if config.send_buffer_bytes > 0 {
            // The system's own choice grows to megabytes, takes nothing more before a third of it is free, and makes a
            // client that reads slowly look like one that does not read. It may give less.
            let _ = SockRef::from(&stream).set_send_buffer_size(config.send_buffer_bytes);
        }
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
        let (config, service, mut stop, tls) = (Arc::clone(&config), Arc::clone(&service), stop.clone(), tls.clone());
        let budget = Arc::clone(&budget);
        tokio::spawn(async move {
            match tls {
                None => connection_within(stream, ip, &config, &*service, &mut stop, &budget).await,
                Some(tls) => {
                    if let Some(stream) = handshake(&tls, stream, &config, &mut stop).await {
                        connection_within(stream, ip, &config, &*service, &mut stop, &budget).await;
                    }
                }
            }
            drop(place);
        });
    };
    let mut stopping = stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stopping) => break,
            () = &mut renewal => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // To these clients they are open: closing the listener would cut them off.
    if let Ok(listener) = listener.into_std() {
        for _ in 0..BACKLOG {
            let Ok((stream, peer)) = listener.accept() else { break };
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                begin(stream, peer);
            }
        }
    }
    let all_closed = async {
        while !open.counts.lock().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(Duration::from_millis(config.shutdown_timeout_ms), all_closed).await.is_err() {
        tracing::warn!("some connections were still open when the time to stop was over");
    }
}

/// Records when the certificate of a listener expires, and looks at an interval whether it was renewed. Ends never.
async fn renew(listener: &'static str, tls: Option<Handshakes>, every: Duration) {
    let record = |tls: &Handshakes| {
        if let Some(expires) = tls.expires() {
            metrics::gauge!("crossbook_tls_certificate_expiry_timestamp_seconds", "listener" => listener)
                .set(expires as f64);
        }
    };
    match &tls {
        Some(tls) => {
            record(tls);
            tls.follow(every, record).await;
        }
        None => std::future::pending().await,
    }
}

/// The connection under TLS; `None` if the client does not make the handshake, or not in time.
async fn handshake(
    tls: &Handshakes,
    stream: TcpStream,
    config: &ServerConfig,
    stop: &mut watch::Receiver<bool>,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let patience = Duration::from_millis(config.handshake_timeout_ms);
    let stopped_before = async {
        stopped(stop).await;
        sleep(FIRST_REQUEST).await;
    };
    let failure = tokio::select! {
        made = timeout(patience, tls.acceptor.accept(stream)) => match made {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it was not made in time".to_owned(),
        },
        () = stopped_before => "it was not made before the end".to_owned(),
    };
    metrics::counter!("crossbook_tls_handshakes_failed_total").increment(1);
    tracing::debug!(failure, "a TLS handshake failed");
    None
}

/// Serves one connection, over whatever carries its bytes, until either side ends it. `ip` is the peer's.
pub async fn connection<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ip: IpAddr,
    config: &ServerConfig,
    service: &S,
    stop: &mut watch::Receiver<bool>,
) {
    let budget = ResponseBudget::new(S::NAME, config.unread_bytes_total_max);
    connection_within(stream, ip, config, service, stop, &budget).await;
}

/// As [`connection`], on a budget that is shared with other connections.
async fn connection_within<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ip: IpAddr,
    config: &ServerConfig,
    service: &S,
    stop: &mut watch::Receiver<bool>,
    budget: &Arc<ResponseBudget>,
) {
    let client = Client::new();
    let mut stream = TimeoutStream::new(Paced::new(stream, Arc::clone(&client.pace)));
    let write_timeout = Duration::from_millis(config.write_timeout_ms).max(service.write_timeout_min());
    stream.set_write_timeout(Some(write_timeout));
    let (is_new, stopping) = (AtomicBool::new(true), stop.clone());
    // Whether a request has arrived with its complete head.
    let asked = AtomicBool::new(false);
    let answer = service_fn(|request: Request<Incoming>| {
        let (is_new, stopping, client) = (&is_new, &stopping, &client);
        asked.store(true, Relaxed);
        async move {
            let mut response = checked(request, ip, config, service).await;
            let leaves = service.asks_to_leave() || *stopping.borrow();
            // A banned client is disconnected. A connection that was upgraded to another protocol is closed by that
            // protocol.
            if response.status() == StatusCode::IM_A_TEAPOT
                || leaves && response.status() != StatusCode::SWITCHING_PROTOCOLS
            {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response.headers_mut().insert(DATE, date::header(SystemTime::now()));
            is_new.store(false, Relaxed);
            Ok::<_, Infallible>(budget.hold(response, client).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Its cached date does not follow a clock that goes back; answers carry a date of their own.
        .auto_date_header(false)
        .header_read_timeout(Duration::from_millis(config.header_read_timeout_ms))
        .max_buf_size(config.uri_bytes_max.max(URI_BYTES_MAX) + HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A connection that ends with an error was cut off or closed; nobody is left to be answered.
    tokio::select! {
        ended = connection.as_mut() => {
            if ended.is_err_and(|error| is_write_timeout(&error)) {
                budget.count_cut_off();
            }
            return;
        }
        () = client.cut_off.notified() => return,
        () = stopped(stop) => {}
    }
    // From here on each answer closes the connection. A request may be in flight, and on a new connection surely is.
    let patience = if is_new.load(Relaxed) { FIRST_REQUEST } else { QUIET };
    if timeout(patience, connection.as_mut()).await.is_ok() {
        return;
    }
    // What is idle ends at once, and the rest when its answer is written.
    connection.as_mut().graceful_shutdown();
    if !asked.load(Relaxed) {
        // A part of a head is no request, and has no answer to wait for.
        let ended = timeout(QUIET, connection.as_mut()).await.is_ok();
        if ended || !asked.load(Relaxed) {
            return;
        }
    }
    let rest = Duration::from_millis(config.shutdown_timeout_ms).saturating_sub(patience);
    let _ = timeout(rest, connection).await;
}

/// Whether a connection ended because its client read nothing for too long.
fn is_write_timeout(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// Answers a request that is not too long.
async fn checked<S: Service>(
    request: Request<Incoming>,
    ip: IpAddr,
    config: &ServerConfig,
    service: &S,
) -> Response<Body> {
    let most = if service.takes_long_uri(&request) { URI_BYTES_MAX } else { config.uri_bytes_max };
    if request.uri().path_and_query().is_some_and(|text| text.as_str().len() > most) {
        return service.refuse(RequestError::UriTooLong { bytes_max: most });
    }
    let from = client_ip(ip, &request, config);
    service.answer(from, request).await
}

/// Waits until it is time to stop, or the sender is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A request for the head of an answer, as one for the whole answer: where it is written, its body is left out.
#[must_use]
pub fn head_as_get(mut request: Request<Incoming>) -> Request<Incoming> {
    if request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    request
}

/// A successful answer.
pub fn respond(content_type: &'static str, content: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(content.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Why a request cannot be taken as HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// Its path and query are too long.
    #[error("The path and query may have at most {bytes_max} bytes.")]
    UriTooLong {
        /// The most bytes.
        bytes_max: usize,
    },
    /// Its body is too large.
    #[error("The body may have at most {bytes_max} bytes.")]
    BodyTooLarge {
        /// The most bytes.
        bytes_max: usize,
    },
    /// Its body comes too slowly.
    #[error("The body did not arrive in time.")]
    BodyTooSlow,
    /// Its body ends too early.
    #[error("The body broke off.")]
    BodyBroken,
}

impl RequestError {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a request's body within the bounds of size and time.
///
/// # Errors
/// When it is too large, comes too slowly, or breaks off.
pub async fn read_body(body: Incoming, config: &ServerConfig) -> Result<Bytes, RequestError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = RequestError::BodyTooLarge { bytes_max: config.body_bytes_max };
    if body.size_hint().lower() > config.body_bytes_max as u64 {
        return Err(too_large);
    }
    let whole = Limited::new(body, config.body_bytes_max).collect();
    match timeout(Duration::from_millis(config.body_read_timeout_ms), whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(_)) => Err(RequestError::BodyBroken),
        Err(_) => Err(RequestError::BodyTooSlow),
    }
}

/// For whom a request is made: the sender itself, or the last one in `X-Forwarded-For` that is not a trusted proxy.
fn client_ip(peer: IpAddr, request: &Request<Incoming>, config: &ServerConfig) -> IpAddr {
    let trusted = |ip: &IpAddr| config.trusted_proxies.iter().any(|net| net.contains(ip));
    if config.trusted_proxies.is_empty() || !trusted(&peer) {
        return peer;
    }
    let lines = request.headers().get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    let mut client = peer;
    for hop in hops.iter().rev() {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        client = ip.to_canonical();
        if !trusted(&client) {
            break;
        }
    }
    client
}

/// Connections that are open, by address; an IPv6 network of 64 bits counts as one.
struct Open {
    counts: Mutex<HashMap<IpAddr, usize>>,
    total: AtomicUsize,
    total_max: usize,
    per_ip_max: usize,
    gauge: metrics::Gauge,
    refused: metrics::Counter,
}

impl Open {
    fn new(listener: &'static str, config: &ServerConfig) -> Self {
        Self {
            counts: Mutex::default(),
            total: AtomicUsize::new(0),
            total_max: config.connections_max,
            per_ip_max: config.connections_per_ip_max,
            gauge: metrics::gauge!("crossbook_connections", "listener" => listener),
            refused: metrics::counter!("crossbook_connections_refused_total", "listener" => listener),
        }
    }

    /// A place for one more connection, if there is one.
    fn enter(open: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let ip = limits::client(ip);
        let mut counts = open.counts.lock();
        let of_ip = counts.get(&ip).copied().unwrap_or(0);
        if open.total.load(Relaxed) >= open.total_max || of_ip >= open.per_ip_max {
            open.refused.increment(1);
            return None;
        }
        counts.insert(ip, of_ip + 1);
        open.total.fetch_add(1, Relaxed);
        open.gauge.increment(1.0);
        Some(Place { open: Arc::clone(open), ip })
    }
}

/// A place among the open connections, given back when dropped.
struct Place {
    open: Arc<Open>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.counts.lock();
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
        self.open.total.fetch_sub(1, Relaxed);
        self.open.gauge.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_has_the_places_of_one_address() {
        let config = ServerConfig { connections_max: 4, connections_per_ip_max: 2, ..ServerConfig::default() };
        let open = Arc::new(Open::new("test", &config));
        let enter = |text: &str| Open::enter(&open, text.parse().unwrap());
        let places = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(places.iter().all(Option::is_some));
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some() && enter("127.0.0.1").is_some());
        drop(places);
        assert!(enter("2001:db8::3").is_some(), "places are given back");
        assert!(open.counts.lock().is_empty());
    }
}
