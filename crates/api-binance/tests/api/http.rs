//! HTTP as browsers and monitors use it: HEAD, OPTIONS, pages of other origins, compression, caches, and what an answer
//! may be.

use std::io::Read as _;

use ::http::HeaderMap;
use crossbook_api_binance::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rest_venue::{Venue, millis};

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn ask(venue: &Venue, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = reqwest::Client::new().request(method, format!("http://{}{path}", venue.http));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_get_without_the_body() {
    let venue = Venue::start().await;
    for path in ["/api/v3/ping", "/api/v3/exchangeInfo", "/healthz", "/readyz", "/docs", "/docs/", "/openapi.json"] {
        let get = ask(&venue, Method::GET, path, &[]).await;
        // Over a bare connection, so that a body would be seen.
        let mut stream = TcpStream::connect(venue.http).await.unwrap();
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: venue\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{path}: {text}");
        let length = format!("content-length: {}", get.body.len());
        assert!(path.contains("exchangeInfo") || head.contains(&length), "{path}: {head}, not {length}");
        assert!(head.contains(get.header("content-type")), "{path}: {head}");
    }
    // Monitors look at the admin address, too.
    for path in ["healthz", "readyz", "metrics"] {
        let url = format!("http://{}/{path}", venue.admin);
        let response = reqwest::Client::new().head(url).send().await.unwrap();
        assert!(response.status() == 200 && response.bytes().await.unwrap().is_empty(), "{path}");
    }
    let missing = ask(&venue, Method::HEAD, "/nothing", &[]).await;
    assert_eq!(missing.status, 404);
    // What changes something is not asked with HEAD.
    let order = ask(&venue, Method::HEAD, "/api/v3/order/test", &[]).await;
    assert_eq!((order.status, order.header("allow")), (405, "POST, OPTIONS"));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_may_ask_if_the_operator_says_so() {
    let page = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let closed = Venue::start().await;
    let answer = ask(&closed, Method::OPTIONS, "/api/v3/order", &page).await;
    assert_eq!((answer.status, answer.header("allow")), (204, "POST, DELETE, GET, HEAD, OPTIONS"));
    assert!(!answer.headers.contains_key("access-control-allow-origin") && !answer.headers.contains_key("vary"));
    closed.stop().await;

    let mut config = Config::default();
    config.server.cors_origins = vec!["https://app.example".into(), "https://other.example".into()];
    let venue = Venue::start_with(config.clone()).await;
    let before = ask(&venue, Method::OPTIONS, "/api/v3/order", &page).await;
    assert_eq!((before.status, before.body.len()), (204, 0));
    assert_eq!(before.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(before.header("access-control-allow-methods"), "POST, DELETE, GET, HEAD, OPTIONS");
    assert!(before.header("access-control-allow-headers").contains("x-mbx-apikey"));
    assert_eq!((before.header("access-control-max-age"), before.header("vary")), ("7200", "origin"));
    for (path, status) in [("/api/v3/time", 200), ("/api/v3/account", 401), ("/api/v3/depth?symbol=NOPE", 400)] {
        let answer = ask(&venue, Method::GET, path, &page[..1]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, "https://app.example"));
        assert!(answer.header("access-control-expose-headers").contains("x-mbx-used-weight-1m"));
    }
    for stranger in ["https://app.example.org", "http://app.example", "null"] {
        let answer = ask(&venue, Method::GET, "/api/v3/time", &[("origin", stranger)]).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{stranger}");
        assert_eq!((answer.status, answer.header("vary")), (200, "origin"));
    }
    venue.stop().await;

    config.server.cors_origins = vec!["*".into()];
    let open = Venue::start_with(config).await;
    assert_eq!(ask(&open, Method::GET, "/api/v3/time", &page[..1]).await.header("access-control-allow-origin"), "*");
    open.stop().await;
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        "gzip" => _ = flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap(),
        "br" => _ = brotli::Decompressor::new(&*answer.body, 4_096).read_to_end(&mut plain).unwrap(),
        other => panic!("{other:?} is no encoding"),
    }
    plain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_are_compressed_for_whoever_takes_that_and_small_ones_are_not() {
    let mut config = Config::default();
    config.server.compression_bytes_min = 1_000;
    let venue = Venue::start_with(config).await;
    let plain = ask(&venue, Method::GET, "/api/v3/exchangeInfo", &[]).await;
    assert!(plain.body.len() > 1_000 && !plain.headers.contains_key("content-encoding"));
    for (accepted, encoding) in [("gzip, deflate, br", "gzip"), ("br", "br"), ("gzip;q=0.1, br;q=0.2", "br")] {
        let answer = ask(&venue, Method::GET, "/api/v3/exchangeInfo", &[("accept-encoding", accepted)]).await;
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), (encoding, "accept-encoding"));
        assert!(answer.body.len() < plain.body.len() / 2 && answer.header("content-type").contains("json"));
        let info: Value = serde_json::from_slice(&decoded(&answer)).unwrap();
        assert_eq!(info["symbols"], plain.json()["symbols"]);
        // An answer of some bytes is what it is.
        let small = ask(&venue, Method::GET, "/api/v3/time", &[("accept-encoding", accepted)]).await;
        assert!(!small.headers.contains_key("content-encoding") && small.json()["serverTime"].is_u64());
    }
    let order =
        format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=10000&timestamp={}", millis());
    let path = format!("/api/v3/order?{order}&signature={}", venue.alice.sign(&order));
    let placed =
        ask(&venue, Method::POST, &path, &[("accept-encoding", "gzip"), ("x-mbx-apikey", &venue.alice.key)]).await;
    assert!(placed.status == 200 && !placed.headers.contains_key("content-encoding"), "{}", placed.status);
    for page in ["/docs", "/openapi.json"] {
        let plain = ask(&venue, Method::GET, page, &[]).await;
        for (accepted, encoding) in [("gzip, br", "br"), ("gzip", "gzip")] {
            let answer = ask(&venue, Method::GET, page, &[("accept-encoding", accepted)]).await;
            assert_eq!((answer.header("content-encoding"), decoded(&answer)), (encoding, plain.body.clone()), "{page}");
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_kept_and_guarded_and_answers_are_neither_kept_nor_guessed_at() {
    let venue = Venue::start().await;
    let page = ask(&venue, Method::GET, "/docs/", &[]).await;
    assert_eq!(page.body, ask(&venue, Method::GET, "/docs", &[]).await.body);
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!((page.header("x-content-type-options"), page.header("x-frame-options")), ("nosniff", "DENY"));
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "script-src 'self' 'sha256-", "base-uri 'none'"] {
        assert!(policy.contains(part) && !policy.contains("unsafe"), "{policy}");
    }
    // Who has it already is told so.
    let opaque = page.header("etag").strip_prefix("W/").expect("the same tag for all encodings, so a weak one");
    let encoded = ask(&venue, Method::GET, "/docs", &[("accept-encoding", "br")]).await;
    assert_eq!((encoded.header("content-encoding"), encoded.header("etag")), ("br", page.header("etag")));
    for tags in [page.header("etag").to_owned(), format!("\"x\", {opaque}"), "*".into()] {
        let again = ask(&venue, Method::GET, "/docs", &[("if-none-match", &tags)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, page.header("etag")), "{tags}");
    }
    assert_eq!(ask(&venue, Method::GET, "/docs", &[("if-none-match", "\"x\"")]).await.status, 200);
    for (method, path, status) in [
        (Method::GET, "/api/v3/time", 200),
        (Method::GET, "/api/v3/account", 401),
        (Method::GET, "/healthz", 200),
        (Method::GET, "/readyz", 200),
        (Method::GET, "/docs/x", 404),
        (Method::POST, "/healthz", 405),
        (Method::DELETE, "/readyz", 405),
        (Method::POST, "/docs", 405),
        (Method::POST, "/nothing", 404),
    ] {
        let answer = ask(&venue, method, path, &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (status, "no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD, OPTIONS" } else { "" }, "{path}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_accepts_only_sbe_is_refused() {
    let venue = Venue::start().await;
    for (accept, status) in [
        ("application/sbe", 406),
        ("Application/SBE; q=1", 406),
        ("application/sbe, text/html", 406),
        ("application/sbe, application/json", 200),
        ("application/sbe;q=1, */*;q=0.1", 200),
        ("text/html", 200),
        ("*/*", 200),
    ] {
        let answer = ask(&venue, Method::GET, "/api/v3/time", &[("accept", accept), ("x-mbx-sbe", "3:0")]).await;
        assert_eq!(answer.status, status, "{accept}");
        if status == 406 {
            assert_eq!(answer.json(), json!({"code": -1155, "msg": "SBE is not enabled."}));
        }
    }
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/ws-api/v3?responseFormat=sbe", venue.http)).await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(response)) = refused else { panic!("{refused:?}") };
    assert_eq!(response.status(), 400);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_transport_shows_the_limits_in_force_on_it() {
    let limits = async |venue: &Venue| {
        let over_http = venue.get("/api/v3/exchangeInfo").await.body["rateLimits"].take();
        let mut socket = tokio_tungstenite::connect_async(format!("ws://{}/ws-api/v3", venue.http)).await.unwrap().0;
        crate::streams::send_text(&mut socket, r#"{"id":1,"method":"exchangeInfo"}"#).await;
        let mut answer = crate::streams::next(&mut socket).await;
        (over_http, answer["result"]["rateLimits"].take(), answer["rateLimits"].take())
    };
    let kinds = |limits: &Value| -> Vec<String> {
        let limits = limits.as_array().unwrap().iter();
        limits.map(|limit| format!("{} {}", limit["rateLimitType"].as_str().unwrap(), limit["limit"])).collect()
    };
    let venue = Venue::start().await;
    let (over_http, over_websocket, used) = limits(&venue).await;
    let common = ["REQUEST_WEIGHT 6000", "ORDERS 100", "ORDERS 200000"];
    assert_eq!(kinds(&over_http), [&common[..], &["RAW_REQUESTS 300000"]].concat());
    assert_eq!(kinds(&over_websocket), [&common[..], &["CONNECTIONS 300"]].concat());
    assert_eq!((&over_websocket[3]["interval"], &over_websocket[3]["intervalNum"]), (&json!("MINUTE"), &json!(5)));
    assert_eq!(kinds(&used), common[..1]);
    let account = venue.alice.get("/api/v3/account", "").await.body;
    assert_eq!((&account["canDeposit"], &account["canWithdraw"]), (&json!(true), &json!(true)));
    venue.stop().await;

    // What is switched off is no limit of nothing.
    let mut config = Config::default();
    (config.limits.orders_10s, config.limits.orders_1d, config.limits.request_weight_1m) = (0, 0, 0);
    let venue = Venue::start_with(config).await;
    let (over_http, over_websocket, used) = limits(&venue).await;
    assert_eq!(
        (kinds(&over_http), kinds(&over_websocket)),
        (vec!["RAW_REQUESTS 300000".into()], vec!["CONNECTIONS 300".into()])
    );
    assert_eq!(used, json!([]));
    venue.stop().await;
}
