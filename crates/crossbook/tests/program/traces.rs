//! Traces of orders, as a collector gets them: the real binary, and a receiver of OTLP over HTTP that reads what is
//! sent with OpenTelemetry's own messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbook_servers::redis::RedisServer;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::venue::{Trader, Venue, eventually};

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=100";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// What a collector has received.
#[derive(Default)]
struct Received {
    connections: AtomicUsize,
    requests: Mutex<Vec<ExportTraceServiceRequest>>,
}

/// A collector.
struct Collector {
    endpoint: String,
    received: Arc<Received>,
}

impl Collector {
    /// Listens. One that does not answer takes connections, and nothing comes of them.
    async fn listen(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let received = Arc::<Received>::default();
        let all = Arc::clone(&received);
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                all.connections.fetch_add(1, Ordering::SeqCst);
                if answers {
                    tokio::spawn(serve(connection, Arc::clone(&all)));
                } else {
                    silent.push(connection);
                }
            }
        });
        Self { endpoint, received }
    }

    /// The spans so far.
    fn spans(&self) -> Vec<Span> {
        let requests = self.received.requests.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans of the trace of an order, the first of which is that of its request.
    async fn trace_of(&self, order: &Value) -> Vec<Span> {
        let id = order["orderId"].as_i64().unwrap();
        self.trace(|root| number(root, "order_id") == Some(id)).await
    }

    /// The spans of the trace whose request has a span like that.
    async fn trace(&self, is_it: impl Fn(&Span) -> bool) -> Vec<Span> {
        eventually("the trace arrives", async || {
            let spans = self.spans();
            let root = spans.iter().find(|span| span.kind == i32::from(SpanKind::Server) && is_it(span))?;
            let others = spans.iter().filter(|span| span.trace_id == root.trace_id && span.span_id != root.span_id);
            Some([root].into_iter().chain(others).cloned().collect())
        })
        .await
    }
}

/// Takes requests of a connection until it ends.
async fn serve(mut connection: TcpStream, received: Arc<Received>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                break bytes.drain(..end + 4).collect::<Vec<u8>>();
            }
            if connection.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        while bytes.len() < length {
            connection.read_buf(&mut bytes).await.ok()?;
        }
        let body: Vec<u8> = bytes.drain(..length).collect();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        received.requests.lock().unwrap().push(request);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Any> {
    let key = format!("crossbook.{name}");
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn number(span: &Span, name: &str) -> Option<i64> {
    match attribute(&span.attributes, name)? {
        Any::IntValue(number) => Some(*number),
        other => panic!("{name}: {other:?}"),
    }
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    match attribute(&span.attributes, name)? {
        Any::StringValue(text) => Some(text),
        other => panic!("{name}: {other:?}"),
    }
}

/// The names of the spans below one, by the time at which they began.
fn below<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    let mut below: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == parent.span_id).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    below
}

fn names<'a>(spans: &[&'a Span]) -> Vec<&'a str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// A trace is a tree in time: each span but the first has a parent, is within it, and they do not go back.
fn is_whole(spans: &[Span]) {
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (span.span_id.as_slice(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "ids are no one else's");
    for span in spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    }
    for span in &spans[1..] {
        let parent = by_id[span.parent_span_id.as_slice()];
        assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{parent:?} {span:?}");
        assert!(parent.end_time_unix_nano >= span.end_time_unix_nano, "{parent:?} {span:?}");
    }
}

/// A venue in one process that traces one order in so many.
async fn serve_tracing(data: &Path, endpoint: &str, one_in: &str) -> Venue {
    let settings = [
        ("CROSSBOOK_TRACES__SAMPLE_ONE_IN", one_in),
        ("CROSSBOOK_TRACES__ENDPOINT", endpoint),
        ("CROSSBOOK_TRACES__BATCH_DELAY_MS", "10"),
        ("CROSSBOOK_TRACES__BATCH_TRACES_MAX", "4"),
        ("CROSSBOOK_TRACES__QUEUE_TRACES_MAX", "16"),
        ("CROSSBOOK_TRACES__EXPORT_TIMEOUT_MS", "300"),
    ];
    let venue = Venue::serve_with(data, &settings).await;
    venue.list_market().await;
    venue
}

/// An order with that header.
async fn order_of(venue: &Venue, trader: &Trader, parameters: &str, traceparent: Option<&str>) -> Value {
    let mut request = trader.request(&venue.client, &venue.http, Method::POST, "order", parameters);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    request.send().await.unwrap().json().await.unwrap()
}

/// A counter of the venue.
async fn counter(venue: &Venue, name: &str) -> u64 {
    let text = venue.client.get(format!("http://{}/metrics", venue.admin)).send().await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    value.trim().parse().unwrap()
}

#[tokio::test]
async fn an_order_is_traced_from_its_receipt_to_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::listen(true).await;
    let venue = serve_tracing(&folder.path().join("venue"), &collector.endpoint, "1").await;
    let alice = venue.open_account("alice").await;

    let order = order_of(&venue, &alice, BUY, None).await;
    let spans = collector.trace_of(&order).await;
    is_whole(&spans);
    let root = &spans[0];
    assert_eq!((root.name.as_str(), root.parent_span_id.len()), ("order.place", 0));
    assert_eq!((text(root, "symbol"), text(root, "transport")), (Some("BTCUSDT"), Some("rest")));
    assert_eq!((number(root, "partition"), number(root, "error_code")), (Some(0), None));
    let parts = below(&spans, root);
    assert_eq!(names(&parts), ["check", "partition", "publish", "answer"]);
    let stages = below(&spans, parts[1]);
    assert_eq!(names(&stages), ["partition.queue", "partition.append", "partition.apply", "partition.sync"]);
    assert_eq!(spans.len(), 9);
    // The place of the order in the log is where the account has it, too: what a client was told comes from there.
    let sequence = number(root, "sequence").unwrap();
    assert!(sequence > 0 && parts[1..2].iter().chain(&stages).all(|span| number(span, "sequence") == Some(sequence)));
    let next = order_of(&venue, &alice, BUY, None).await;
    let next = collector.trace_of(&next).await;
    assert_eq!(number(&next[0], "sequence"), Some(sequence + 1));
    assert_ne!(next[0].trace_id, root.trace_id);

    // Who sends it is a process of this version.
    let request = collector.received.requests.lock().unwrap()[0].clone();
    let resource = request.resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "role"), Some(&Any::StringValue("serve".to_owned())));
    // Nothing of the account, its key or its money goes out.
    let spans = collector.spans();
    let attributes = || spans.iter().flat_map(|span| &span.attributes);
    let keys: BTreeSet<&str> = attributes().map(|attribute| attribute.key.as_str()).collect();
    let known = ["order_id", "partition", "sequence", "symbol", "transport"].map(|name| format!("crossbook.{name}"));
    assert_eq!(keys, known.iter().map(String::as_str).collect());
    let values = format!("{:?}", attributes().map(|attribute| &attribute.value).collect::<Vec<_>>());
    assert!(!values.contains(&alice.key) && !values.contains(&alice.secret), "{values}");
    assert_eq!(counter(&venue, "crossbook_trace_spans_sent_total ").await, 18);
    assert_eq!(counter(&venue, "crossbook_trace_spans_dropped_total ").await, 0);
    assert_eq!(venue.stop().await, Some(0));
}

#[tokio::test]
async fn an_order_goes_on_with_the_trace_of_its_client() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::listen(true).await;
    let venue = serve_tracing(&folder.path().join("venue"), &collector.endpoint, "1").await;
    let alice = venue.open_account("alice").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");

    let order = order_of(&venue, &alice, BUY, Some(&traceparent)).await;
    let spans = collector.trace_of(&order).await;
    is_whole(&spans);
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE));
    assert_eq!(hex::encode(&spans[0].parent_span_id), PARENT);

    // One that does not record is left alone. What is no traceparent is none.
    order_of(&venue, &alice, BUY, Some(&format!("00-{}-{PARENT}-00", TRACE.replace('4', "5")))).await;
    let other = order_of(&venue, &alice, BUY, Some("00-nonsense")).await;
    let other = collector.trace_of(&other).await;
    assert!(other[0].parent_span_id.is_empty());

    // Refused: by its parameters before it is sent, by the partition when it has come there.
    let unchecked = order_of(&venue, &alice, &BUY.replace("100", "100.001"), None).await;
    let spans = collector.trace(|root| number(root, "error_code") == unchecked["code"].as_i64()).await;
    assert_eq!((spans.len(), text(&spans[0], "symbol")), (1, Some("BTCUSDT")), "{unchecked}");
    let unpaid = order_of(&venue, &alice, &BUY.replace("0.1", "100").replace("price=100", "price=50000"), None).await;
    assert_eq!(unpaid["code"], -2010);
    let spans = collector.trace(|root| number(root, "error_code") == Some(-2010)).await;
    is_whole(&spans);
    assert_eq!((spans.len(), number(&spans[0], "order_id")), (9, None));
    let untraced = TRACE.replace('4', "5");
    assert!(collector.spans().iter().all(|span| hex::encode(&span.trace_id) != untraced));
    assert_eq!(venue.stop().await, Some(0));
}

#[tokio::test]
async fn nothing_is_sent_unless_orders_are_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::listen(true).await;
    let venue = serve_tracing(&folder.path().join("venue"), &collector.endpoint, "0").await;
    let alice = venue.open_account("alice").await;
    let order = order_of(&venue, &alice, BUY, Some(&format!("00-{TRACE}-{PARENT}-01"))).await;
    assert_eq!(order["status"], "NEW");
    // A stop sends what waits.
    assert_eq!(venue.stop().await, Some(0));
    assert_eq!(collector.received.connections.load(Ordering::SeqCst), 0);
}

/// The most that an order may take where a collector does not answer: far less than what is waited for it, and far more
/// than an order takes.
const UNHURT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_collector_that_does_not_answer_costs_traces_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let silent = Collector::listen(false).await;
    let nobody = format!("http://{}/v1/traces", crate::venue::free_address());
    for (name, endpoint) in [("silent", silent.endpoint.as_str()), ("nobody", &nobody)] {
        let venue = serve_tracing(&folder.path().join(name), endpoint, "1").await;
        let says = venue.says();
        let alice = venue.open_account("alice").await;
        for _ in 0..40 {
            let begun = Instant::now();
            assert_eq!(order_of(&venue, &alice, BUY, None).await["status"], "NEW");
            assert!(begun.elapsed() < UNHURT, "{:?}", begun.elapsed());
        }
        // Each has nine spans; what is lost is counted, and said once.
        eventually("all are lost", async || {
            (counter(&venue, "crossbook_trace_spans_dropped_total ").await == 40 * 9).then_some(())
        })
        .await;
        assert_eq!(counter(&venue, "crossbook_trace_spans_sent_total ").await, 0);
        assert!(says("traces are lost").is_some());
        order_of(&venue, &alice, BUY, None).await;
        assert_eq!(venue.stop().await, Some(0), "{name}");
    }
    assert!(silent.received.connections.load(Ordering::SeqCst) > 0);
}

/// A cluster of two partitions whose market is in the second.
async fn cluster(folder: &Path, redis: &RedisServer, endpoint: &str) -> (Venue, Venue) {
    let snapshots = folder.join("snapshots");
    std::fs::create_dir(&snapshots).unwrap();
    let config = folder.join("cluster.toml");
    let settings = format!(
        "[history]\ndatabase = \"none\"\n[traces]\nsample_one_in = 1\nendpoint = \"{endpoint}\"\nbatch_delay_ms = 10\n\
         [cluster]\npartitions = 2\nmarkets = [\"BTCUSDT=1\"]\n[cluster.redis]\nservers = [\"{}\"]\n\
         replicas_min = 0\n[cluster.snapshots]\naddress = \"file://{}\"\n",
        redis.url(),
        snapshots.canonicalize().unwrap().display()
    );
    std::fs::write(&config, settings).unwrap();
    let worker = Venue::worker(&config).await;
    (Venue::gateway(&config, KEY).await, worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_a_cluster_is_traced_through_both_of_its_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(&folder.path().join("redis")).unwrap();
    let collector = Collector::listen(true).await;
    let (gateway, _worker) = cluster(folder.path(), &redis, &collector.endpoint).await;
    gateway.list_market().await;
    let mut seen = BTreeSet::new();
    for name in ["one", "two", "three", "four"] {
        let trader = gateway.open_account(name).await;
        let order = order_of(&gateway, &trader, BUY, Some(&format!("00-{TRACE}-{PARENT}-01"))).await;
        assert_eq!(order["status"], "NEW", "{order}");
        let id = order["orderId"].as_i64();
        // All of them are of one trace, that of the client.
        let all = collector.trace_of(&order).await;
        let root = all.iter().find(|span| number(span, "order_id") == id).unwrap();
        assert_eq!(hex::encode(&root.parent_span_id), PARENT);
        assert_eq!((text(root, "symbol"), number(root, "partition")), (Some("BTCUSDT"), Some(1)));
        let parts = below(&all, root);
        let partitions: Vec<&Span> = parts.iter().copied().filter(|span| span.name == "partition").collect();
        let stages: Vec<Vec<&str>> = partitions.iter().map(|span| names(&below(&all, span))).collect();
        let numbers: Vec<i64> = partitions.iter().map(|span| number(span, "partition").unwrap()).collect();
        assert_eq!(number(root, "sequence"), number(partitions.last().unwrap(), "sequence"));
        assert_eq!(
            stages[0].first().zip(stages[0].last()),
            Some((&"partition.queue", &"partition.apply")),
            "{stages:?}"
        );
        assert!(stages[0].contains(&"partition.append"), "{stages:?}");
        match numbers.as_slice() {
            [1] => assert_eq!(names(&parts), ["check", "partition", "publish", "answer"]),
            [0, 1] => {
                assert_eq!(names(&parts), ["check", "partition", "partition", "publish", "answer"]);
                assert_eq!(stages[1], ["partition.deliver", "partition.apply"]);
            }
            other => panic!("{other:?}"),
        }
        seen.insert(numbers.len());
    }
    assert_eq!(seen.len(), 2, "accounts of both partitions have traded");
    let requests = collector.received.requests.lock().unwrap().clone();
    let resource = requests[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "role"), Some(&Any::StringValue("gateway".to_owned())));
    assert_eq!(gateway.stop().await, Some(0));
}
