//! Bounds the bytes of answers that wait to be sent to HTTP clients, over all connections of a listener together.
//! Beyond the bound, the connections are closed whose clients take nothing, in the order in which they stopped, and
//! then those that take the least; so a client that reads loses nothing because of those that do not.
//!
//! An answer counts until the system has taken all of it. Shared content (a static page) is in memory anyway and does
//! not count. Neither do small answers: a connection has one at a time, which takes less memory than the connection
//! itself, and the number of connections is bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::pace::{Pace, Standing};

/// The fewest bytes of an answer that counts.
const COUNTED_BYTES_MIN: u64 = 4 * 1024;
/// For how long an order of the answers holds: to make one takes time, and when many clients do not read, many are
/// closed.
const RANKED_FOR: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(crate) struct ResponseBudget {
    bytes_max: usize,
    unread: Mutex<Unread>,
    cut_off: metrics::Counter,
}

/// Answers that wait to be read.
#[derive(Debug, Default)]
struct Unread {
    bytes: usize,
    /// How many there were so far.
    count: u64,
    /// By number, and so from the oldest.
    answers: BTreeMap<u64, Answer>,
    /// Numbers of answers, the next to be given up first, as of that time.
    ranked: VecDeque<(Standing, u64)>,
    ranked_at: Option<Instant>,
}

#[derive(Debug)]
struct Answer {
    bytes: usize,
    client: Arc<Client>,
}

/// The client of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Closes the connection.
    pub(crate) cut_off: Notify,
    /// How fast it takes its answer.
    pub(crate) pace: Arc<Pace>,
}

impl Client {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { cut_off: Notify::new(), pace: Arc::new(Pace::new(Instant::now())) })
    }
}

impl Unread {
    /// Takes out the answer that is given up next, `newest` only if it is the last.
    fn give_up(&mut self, newest: u64, now: Instant) -> Option<Answer> {
        if self.ranked_at.is_none_or(|at| now.saturating_duration_since(at) >= RANKED_FOR) {
            self.rank(newest, now);
        }
        loop {
            while let Some((standing, number)) = self.ranked.pop_front() {
                let Some(answer) = self.answers.get(&number) else { continue };
                // One that goes on is not worse than those that come after it.
                let goes_on = matches!(standing, Standing::Stalled(_)) && answer.client.pace.standing(now) > standing;
                if !goes_on {
                    return self.answers.remove(&number);
                }
            }
            if !self.rank(newest, now) {
                return self.answers.remove(&newest);
            }
        }
    }

    /// Orders all answers but the newest. False if there are none.
    fn rank(&mut self, newest: u64, now: Instant) -> bool {
        let others = self.answers.iter().filter(|(number, _)| **number != newest);
        let mut ranked: Vec<_> = others.map(|(number, answer)| (answer.client.pace.standing(now), *number)).collect();
        ranked.sort_unstable();
        (self.ranked, self.ranked_at) = (ranked.into(), Some(now));
        !self.ranked.is_empty()
    }
}

impl ResponseBudget {
    /// A budget of `bytes_max` for the listener of that name in metrics.
    pub(crate) fn new(listener: &'static str, bytes_max: usize) -> Arc<Self> {
        let cut_off = metrics::counter!("crossbook_http_slow_consumers_total", "listener" => listener);
        Arc::new(Self { bytes_max, unread: Mutex::default(), cut_off })
    }

    /// The answer, whose body counts until it is dropped. `client` is cut off if its connection is to be closed.
    pub(crate) async fn hold(self: &Arc<Self>, answer: Response<Body>, client: &Arc<Client>) -> Response<Body> {
        if answer.body().size_hint().lower() < COUNTED_BYTES_MIN {
            return answer;
        }
        let (head, body) = answer.into_parts();
        // The body is whole in memory, so this waits for nothing, and cannot fail.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body = match body.try_into_mut() {
            Ok(own) => {
                let spare = own.capacity() - own.len();
                let own = if spare > own.len() / 8 { Bytes::copy_from_slice(&own) } else { own.freeze() };
                self.count(own, client)
            }
            Err(shared) => shared,
        };
        Response::from_parts(head, body.into())
    }

    fn count(self: &Arc<Self>, content: Bytes, client: &Arc<Client>) -> Bytes {
        let now = Instant::now();
        client.pace.begin(now);
        let answer = Answer { bytes: content.len(), client: Arc::clone(client) };
        let mut unread = self.unread.lock();
        let number = unread.count;
        unread.count += 1;
        unread.bytes += answer.bytes;
        unread.answers.insert(number, answer);
        while unread.bytes > self.bytes_max
            && let Some(given_up) = unread.give_up(number, now)
        {
            unread.bytes -= given_up.bytes;
            given_up.client.cut_off.notify_one();
            self.count_cut_off();
        }
        drop(unread);
        Bytes::from_owner(Counted { content, number, budget: Arc::clone(self) })
    }

    /// Counts a connection that is closed because its client does not read.
    pub(crate) fn count_cut_off(&self) {
        self.cut_off.increment(1);
    }

    /// Bytes that wait to be read.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.unread.lock().bytes
    }
}

/// Content that counts until this is dropped.
struct Counted {
    content: Bytes,
    number: u64,
    budget: Arc<ResponseBudget>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut unread = self.budget.unread.lock();
        if let Some(answer) = unread.answers.remove(&self.number) {
            unread.bytes -= answer.bytes;
            answer.client.pace.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};
    use std::time::{Duration, Instant};

    use http::Request;
    use hyper::body::Incoming;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::sync::watch;
    use tokio::time::sleep;

    use super::*;
    use crate::config::ServerConfig;
    use crate::server::{self, RequestError, Service};

    /// More than the system holds for a client that does not read.
    const ANSWER_BYTES: usize = 4 << 20;
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Answers everything with as many bytes.
    struct Large;

    impl Service for Large {
        const NAME: &'static str = "test";

        fn refuse(&self, error: RequestError) -> Response<Body> {
            panic!("{error}")
        }

        async fn answer(&self, _: IpAddr, _: Request<Incoming>) -> Response<Body> {
            let mut content = String::with_capacity(2 * ANSWER_BYTES);
            content.extend(std::iter::repeat_n('x', ANSWER_BYTES));
            Response::new(Body::from(content))
        }
    }

    struct Served {
        address: SocketAddr,
        budget: Arc<ResponseBudget>,
        stop: watch::Sender<bool>,
        serving: tokio::task::JoinHandle<()>,
    }

    impl Served {
        fn start(write_timeout_ms: u64, bytes_max: usize) -> Self {
            let config = ServerConfig { write_timeout_ms, shutdown_timeout_ms: 100, ..ServerConfig::default() };
            let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
            let (address, (stop, stopped)) = (listener.local_addr().unwrap(), watch::channel(false));
            let budget = ResponseBudget::new("test", bytes_max);
            let serving = server::serve_within(listener, config, Arc::new(Large), stopped, Arc::clone(&budget));
            Self { address, budget, stop, serving: tokio::spawn(serving) }
        }

        /// A connection whose answer has begun to arrive, and is not read.
        async fn asked(&self) -> TcpStream {
            self.asked_with(TcpSocket::new_v4().unwrap()).await
        }

        async fn asked_with(&self, socket: TcpSocket) -> TcpStream {
            let mut stream = socket.connect(self.address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
            stream.peek(&mut [0]).await.unwrap();
            stream
        }

        async fn stop(self) {
            self.stop.send(true).unwrap();
            self.serving.await.unwrap();
        }
    }

    /// Reads to the end, so many bytes at a time with that pause. Returns whether the whole answer came, with one date.
    async fn reads_whole(mut stream: TcpStream, bytes: usize, pause: Duration) -> bool {
        let (mut answer, mut part) = (Vec::new(), vec![0; bytes]);
        while let Ok(read @ 1..) = stream.read(&mut part).await {
            answer.extend_from_slice(&part[..read]);
            sleep(pause).await;
        }
        let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        assert_eq!(head.matches("\r\ndate: ").count(), 1, "{head}");
        answer.len() == end + 4 + ANSWER_BYTES
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_client_that_reads_nothing_is_cut_off_after_a_time_and_one_that_reads_slowly_is_not() {
        let served = Served::start(2_000, usize::MAX);
        // It takes longer for the whole than a client may read nothing.
        let slow = tokio::spawn(reads_whole(served.asked().await, 64 * 1024, Duration::from_millis(50)));
        // One that makes room for the server only when a part of its large buffer is free.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(ANSWER_BYTES as u32 / 4).unwrap();
        let buffered = reads_whole(served.asked_with(socket).await, 64 * 1024, Duration::from_millis(50));
        let buffered = tokio::spawn(buffered);
        let mut unread = Vec::new();
        for _ in 0..10 {
            unread.push(served.asked().await);
        }
        let deadline = Instant::now() + PATIENCE;
        while !served.budget.unread.lock().answers.is_empty() {
            assert!(Instant::now() < deadline, "nobody was cut off");
            sleep(Duration::from_millis(10)).await;
        }
        for stream in unread {
            assert!(!reads_whole(stream, ANSWER_BYTES, Duration::ZERO).await, "its answer was still sent");
        }
        for slow in [slow, buffered] {
            assert!(slow.await.unwrap(), "a client that reads was cut off");
        }
        assert_eq!(served.budget.bytes(), 0);
        served.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_that_is_read_slowly_is_kept_and_those_that_are_not_read_are_given_up() {
        const FIT: usize = 4;
        let served = Served::start(60_000, FIT * ANSWER_BYTES);
        let slow = tokio::spawn(reads_whole(served.asked().await, 64 * 1024, Duration::from_millis(60)));
        let mut unread = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !slow.is_finished() {
            assert!(Instant::now() < deadline, "the one that reads does not end");
            unread.push(served.asked().await);
            assert!(served.budget.bytes() <= FIT * ANSWER_BYTES);
            sleep(Duration::from_millis(700)).await;
        }
        assert!(slow.await.unwrap(), "the oldest, but it reads");
        assert!(unread.len() >= FIT, "{}", unread.len());
        assert!(!reads_whole(unread.swap_remove(0), ANSWER_BYTES, Duration::ZERO).await, "it did not read");
        let newest = unread.pop().unwrap();
        assert!(reads_whole(newest, ANSWER_BYTES, Duration::ZERO).await, "the newest is not given up for the others");
        served.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn answers_that_are_not_read_stay_within_the_budget_and_the_oldest_are_given_up() {
        const FIT: usize = 3;
        let served = Served::start(60_000, FIT * ANSWER_BYTES);
        let mut unread = Vec::new();
        for _ in 0..10 {
            unread.push(served.asked().await);
            assert!(served.budget.bytes() <= FIT * ANSWER_BYTES);
        }
        assert_eq!(served.budget.bytes(), FIT * ANSWER_BYTES);
        let mut whole = Vec::new();
        for stream in unread {
            whole.push(reads_whole(stream, ANSWER_BYTES, Duration::ZERO).await);
        }
        assert_eq!(whole, [false, false, false, false, false, false, false, true, true, true]);
        assert_eq!(served.budget.bytes(), 0);
        served.stop().await;
    }

    #[tokio::test]
    async fn small_answers_and_shared_ones_do_not_count_and_spare_room_is_given_back() {
        let (budget, client) = (ResponseBudget::new("test", usize::MAX), Client::new());
        let page = Bytes::from("x".repeat(10_000));
        let small = budget.hold(Response::new("x".repeat(4_095).into()), &client).await;
        let shared = budget.hold(Response::new(page.clone().into()), &client).await;
        assert_eq!(budget.bytes(), 0);
        let mut text = String::with_capacity(50_000);
        text.push_str(&"x".repeat(10_000));
        let own = budget.hold(Response::new(text.into()), &client).await;
        assert_eq!(budget.bytes(), 10_000);
        assert_eq!(own.body().size_hint().exact(), Some(10_000));
        drop((small, shared, own));
        assert_eq!(budget.bytes(), 0);
    }
}
