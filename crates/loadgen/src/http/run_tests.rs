//! Runs against a small server on a real socket, whose answers each test defines.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use aws_lc_rs::hmac;
use crossbook_types::{Decimal, Side, TimeInForce};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::{Order, ResponseType};

/// What the server does with a request.
enum Answer {
    Bytes(Vec<u8>),
    /// Answers with these bytes after a stall.
    Late(Duration, Vec<u8>),
    Silence,
    HangUp,
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn ok() -> Answer {
    Answer::Bytes(http("200 OK", "{}"))
}

/// Serves every request with `answer`, which is given the count of requests before it and the request's head.
async fn serve(answer: impl Fn(u64, &str) -> Answer + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (served, answer) = (Arc::new(AtomicU64::new(0)), Arc::new(answer));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&count), Arc::clone(&answer)));
        }
    });
    (address, served)
}

async fn converse(mut stream: TcpStream, count: Arc<AtomicU64>, answer: Arc<impl Fn(u64, &str) -> Answer>) {
    let mut read = Vec::new();
    loop {
        while !read.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let bytes = match answer(count.fetch_add(1, SeqCst), std::str::from_utf8(&read).unwrap()) {
            Answer::Bytes(bytes) => bytes,
            Answer::Late(stall, bytes) => {
                sleep(stall).await;
                bytes
            }
            Answer::Silence => Vec::new(),
            Answer::HangUp => return,
        };
        read.clear();
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn plan(address: SocketAddr, pace: Pace, requests: u64) -> Plan {
    Plan { address, pace, requests, duration: Duration::from_secs(60), timeout: Duration::from_secs(20) }
}

fn open(per_second: u64) -> Pace {
    Pace::Open(NonZeroU64::new(per_second).unwrap())
}

type PingFlow = fn(u64, Outgoing<'_>) -> Option<Prepared>;

fn pingers(count: usize) -> Vec<Client<PingFlow>> {
    let flow: PingFlow = |_, outgoing| Some(outgoing.ping());
    (0..count).map(|_| Client { credentials: None, flow }).collect()
}

#[tokio::test]
async fn a_closed_loop_makes_exactly_its_requests() {
    let (address, served) = serve(|_, head| {
        assert!(head.starts_with("GET /api/v3/ping HTTP/1.1\r\n"), "{head}");
        ok()
    })
    .await;
    let report = run(plan(address, Pace::Closed, 1_000), pingers(4)).await.unwrap();
    assert_eq!((report.sent, report.succeeded, report.unsent), (1_000, 1_000, 0));
    assert_eq!((served.load(SeqCst), report.latency.count()), (1_000, 1_000));
    assert_eq!(report.errors, []);
    assert!(report.throughput() > 0.0);
}

#[tokio::test]
async fn orders_are_signed_and_refusals_counted_by_status_and_code() {
    const SECRET: &str = "secret";
    let (address, _) = serve(|_, head| {
        let target = head.split(' ').nth(1).unwrap();
        let (query, signature) = target.split_once('?').unwrap().1.split_once("&signature=").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let genuine = hmac::verify(&key, query.as_bytes(), &hex::decode(signature).unwrap()).is_ok();
        if !genuine || !head.contains("\r\nX-MBX-APIKEY: key\r\n") {
            return Answer::Bytes(http("401 Unauthorized", r#"{"code":-2015,"msg":"key"}"#));
        }
        match head {
            _ if head.starts_with("DELETE ") => Answer::Bytes(http("400 Bad Request", r#"{"code":-2011,"msg":"no"}"#)),
            _ if query.contains("side=BUY") => ok(),
            _ => Answer::Bytes(http("503 Service Unavailable", "busy")),
        }
    })
    .await;
    let flow = |number: u64, outgoing: Outgoing<'_>| {
        let side = if number.is_multiple_of(4) { Side::Sell } else { Side::Buy };
        let order = Order {
            symbol: "BTCUSDT",
            side,
            time_in_force: TimeInForce::Gtc,
            quantity: Decimal::parse("1").unwrap(),
            price: Decimal::parse("10.5").unwrap(),
            response: ResponseType::Ack,
            client_order_id: None,
        };
        Some(if number % 4 == 3 { outgoing.cancel("BTCUSDT", "c-1") } else { outgoing.place(&order) })
    };
    let credentials = Some(Credentials::new("key", SECRET));
    let report = run(plan(address, Pace::Closed, 100), vec![Client { credentials, flow }]).await.unwrap();
    assert_eq!((report.sent, report.succeeded), (100, 50));
    assert_eq!(report.errors_of(ErrorKind::Refused { status: 400, code: Some(-2011) }), 25);
    assert_eq!(report.errors_of(ErrorKind::Refused { status: 503, code: None }), 25);
    assert_eq!(report.errors.len(), 2);
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate() {
    let (address, served) = serve(|_, _| ok()).await;
    let report = run(plan(address, open(2_000), 400), pingers(4)).await.unwrap();
    assert_eq!((report.succeeded, served.load(SeqCst)), (400, 400));
    // Request 399 is due after 199.5 ms, and no request goes out before it is due.
    assert!(report.elapsed >= Duration::from_micros(199_500), "{:?}", report.elapsed);
}

#[tokio::test]
async fn a_stall_shows_in_every_request_that_was_due_meanwhile() {
    let (address, _) = serve(|number, _| match number {
        0 => Answer::Late(Duration::from_millis(200), http("200 OK", "{}")),
        _ => ok(),
    })
    .await;
    let report = run(plan(address, open(1_000), 100), pingers(1)).await.unwrap();
    let summary = report.latency.summary();
    // Request n was due at n ms and could not be answered before 200 ms. A closed loop would show one slow request.
    assert_eq!(summary.count, 100);
    assert!(summary.p50_ns > 145_000_000 && summary.max_ns > 199_000_000, "{summary:?}");
}

#[tokio::test]
async fn what_finds_no_client_in_time_is_counted_as_unsent() {
    let (address, _) = serve(|_, _| Answer::Silence).await;
    let plan = Plan {
        duration: Duration::from_millis(50),
        timeout: Duration::from_millis(60),
        ..plan(address, open(1_000), 1_000_000)
    };
    let report = run(plan, pingers(1)).await.unwrap();
    assert_eq!(report.succeeded, 0);
    assert_eq!(report.errors_of(ErrorKind::Timeout), report.sent);
    // Requests 0 to 50 are due within the 50 ms, the last of them at its very end.
    assert_eq!(report.sent + report.unsent, 51);
    assert!(report.unsent > 0);
}

#[tokio::test]
async fn a_client_connects_again_after_a_hang_up_and_after_a_polite_close() {
    let closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let (address, _) = serve(|number, _| match number % 10 {
        3 => Answer::HangUp,
        7 => Answer::Bytes(closing.to_vec()),
        _ => ok(),
    })
    .await;
    let report = run(plan(address, Pace::Closed, 100), pingers(1)).await.unwrap();
    assert_eq!((report.sent, report.succeeded), (100, 90));
    assert_eq!(report.errors, [ErrorCount { kind: ErrorKind::Disconnected, count: 10 }]);
}

#[tokio::test]
async fn nonsense_is_counted_and_does_not_end_the_run() {
    let (address, _) = serve(|number, _| match number {
        0 => Answer::Bytes(b"220 mail.example ESMTP\r\n\r\n".to_vec()),
        1 => Answer::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", usize::MAX).into_bytes()),
        _ => ok(),
    })
    .await;
    let report = run(plan(address, Pace::Closed, 10), pingers(1)).await.unwrap();
    assert_eq!((report.sent, report.succeeded), (10, 8));
    assert_eq!(report.errors, [ErrorCount { kind: ErrorKind::Malformed, count: 2 }]);
}

#[tokio::test]
async fn a_long_answer_arrives_whole() {
    let (address, _) = serve(|_, _| Answer::Bytes(http("200 OK", &"x".repeat(1 << 20)))).await;
    let mut connection = Connection::open(address).await.unwrap();
    for _ in 0..2 {
        let response = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!((response.status, response.body.len()), (200, 1 << 20));
    }
}

#[tokio::test]
async fn a_flow_can_end_its_part() {
    let (address, served) = serve(|_, _| ok()).await;
    let flow = |number: u64, outgoing: Outgoing<'_>| (number < 7).then(|| outgoing.ping());
    let report = run(plan(address, Pace::Closed, 1_000), vec![Client { credentials: None, flow }]).await.unwrap();
    assert_eq!((report.sent, report.succeeded, served.load(SeqCst)), (7, 7, 7));
}

#[tokio::test]
async fn the_kinds_of_error_are_bounded() {
    let (address, _) =
        serve(|number, _| Answer::Bytes(http("400 Bad Request", &format!("{{\"code\":-{}}}", 1_000 + number)))).await;
    let report = run(plan(address, Pace::Closed, 100), pingers(1)).await.unwrap();
    assert_eq!(report.errors.len(), MAX_ERROR_KINDS + 1);
    assert_eq!(report.errors_of(ErrorKind::Other), 100 - MAX_ERROR_KINDS as u64);
}

#[tokio::test]
async fn a_plan_out_of_bounds_or_without_a_venue_does_not_begin() {
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let plan = plan(gone, Pace::Closed, 1);
    assert!(matches!(run(plan, pingers(0)).await, Err(Error::Clients(0))));
    assert!(matches!(run(Plan { requests: u64::MAX, ..plan }, pingers(1)).await, Err(Error::Requests(u64::MAX))));
    assert!(matches!(run(Plan { timeout: Duration::ZERO, ..plan }, pingers(1)).await, Err(Error::Times(..))));
    assert!(matches!(run(plan, pingers(1)).await, Err(Error::Connect(..))));
}

#[test]
fn what_was_due_when_a_run_was_ended_is_released_besides_one_for_each_client() {
    let (start, rate) = (Instant::now(), NonZeroU64::new(1_000).unwrap());
    let schedule = Schedule::new(start, rate);
    let (stop, due) = (Stop::default(), Arc::new(Semaphore::new(0)));
    while schedule.due_by(Instant::now()) < 20 {
        std::hint::spin_loop();
    }
    stop.stop();
    let pacer = Pacer { schedule, total: 1 << 20, connections: 3, due: Arc::downgrade(&due), stop: stop.clone() };
    pacer.run();
    let due_by_then = schedule.due_by(stop.at().unwrap()) as usize;
    assert!(due_by_then >= 20);
    assert_eq!(due.available_permits(), due_by_then + 3);
}
