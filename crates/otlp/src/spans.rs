//! The spans of an order, in the messages of OpenTelemetry.
//!
//! ```text
//! order.place                       the request, from its receipt to its answer
//!   check                           read, authenticated, checked against the market
//!   partition                       one for each partition that the order passes
//!     partition.queue ...           a stage in it; see crossbook_node::hops::Stage
//!   publish                         from there to who waits for the answer: the read model is updated first
//!   answer                          the answer is written
//! ```
//!
//! They say which market, partition and order it was about, and nothing of accounts, amounts or keys.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbook_gateway::traces::OrderTrace;
use crossbook_node::hops::{Hop, Stage};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::ids::random;

/// Flags of a span: the trace is recorded, and it is known whether the parent is another process's.
const RECORDED: u32 = 0x101;
/// The parent is another process's.
const REMOTE_PARENT: u32 = 0x200;
/// Codes of errors that the venue causes, and no client.
const FAULTS: [i32; 4] = [-1001, -1007, -1008, -1016];

/// Who sends spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// What the process is for: serve, or gateway.
    pub role: &'static str,
    /// The version of the program.
    pub version: &'static str,
}

/// The time of day of moments that were measured by another clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeOfDay {
    now: Instant,
    unix: Duration,
}

impl TimeOfDay {
    pub(crate) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now: Instant::now(), unix }
    }

    fn unix_nanos(self, at: Instant) -> u64 {
        let (later, earlier) = (at.saturating_duration_since(self.now), self.now.saturating_duration_since(at));
        let unix = self.unix.saturating_add(later).saturating_sub(earlier);
        u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How many spans a trace has.
pub(crate) fn count(trace: &OrderTrace) -> usize {
    let of_gateway = [trace.checked.is_some(), publish(trace).is_some(), trace.replied.is_some()];
    let of_gateway = of_gateway.into_iter().filter(|is| *is).count();
    1 + of_gateway + by_partition(trace).count() + trace.hops.len()
}

/// The hops, each partition's together.
fn by_partition(trace: &OrderTrace) -> impl Iterator<Item = &[Hop]> {
    trace.hops.chunk_by(|a, b| (a.partition, a.sequence) == (b.partition, b.sequence))
}

/// From the last partition to whoever waits.
fn publish(trace: &OrderTrace) -> Option<(Instant, Instant)> {
    Some((trace.hops.last()?.ended, trace.replied?))
}

/// The spans of a trace, the first of which is that of the request.
pub(crate) fn of(trace: &OrderTrace, time: TimeOfDay) -> Vec<Span> {
    let id = trace.parent.map_or_else(random, |parent| parent.trace);
    let span = |name: &str, parent: &[u8], (began, ended): (Instant, Instant), attributes| Span {
        trace_id: id.to_vec(),
        span_id: random::<8>().to_vec(),
        parent_span_id: parent.to_vec(),
        flags: RECORDED,
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: time.unix_nanos(began),
        end_time_unix_nano: time.unix_nanos(ended),
        attributes,
        ..Span::default()
    };
    let parent = trace.parent.map_or_else(Vec::new, |parent| parent.span.to_vec());
    let mut root = span(trace.operation, &parent, (trace.received, trace.answered), of_request(trace));
    root.kind = SpanKind::Server.into();
    root.flags |= if trace.parent.is_some() { REMOTE_PARENT } else { 0 };
    if trace.error.is_some_and(|code| FAULTS.contains(&code)) {
        root.status = Some(Status { code: StatusCode::Error.into(), ..Status::default() });
    }
    let root_id = root.span_id.clone();
    let mut spans = Vec::with_capacity(count(trace));
    spans.push(root);
    spans.extend(trace.checked.map(|checked| span("check", &root_id, (trace.received, checked), Vec::new())));
    for hops in by_partition(trace) {
        let (Some(first), Some(last)) = (hops.first(), hops.last()) else { continue };
        let whole = span("partition", &root_id, (first.began, last.ended), of_hop(first));
        let within = |hop: &Hop| span(name(hop.stage), &whole.span_id, (hop.began, hop.ended), of_hop(hop));
        let stages: Vec<Span> = hops.iter().map(within).collect();
        spans.push(whole);
        spans.extend(stages);
    }
    spans.extend(publish(trace).map(|times| span("publish", &root_id, times, Vec::new())));
    spans.extend(trace.replied.map(|replied| span("answer", &root_id, (replied, trace.answered), Vec::new())));
    spans
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Queue => "partition.queue",
        Stage::Append => "partition.append",
        Stage::Confirm => "partition.confirm",
        Stage::Deliver => "partition.deliver",
        Stage::Apply => "partition.apply",
        Stage::Sync => "partition.sync",
    }
}

/// What a request was about, and where it was answered.
fn of_request(trace: &OrderTrace) -> Vec<KeyValue> {
    let mut attributes = vec![text("crossbook.transport", trace.transport)];
    attributes.extend(trace.symbol.map(|symbol| text("crossbook.symbol", symbol.as_str())));
    attributes.extend(trace.order.map(|order| number("crossbook.order_id", order.0)));
    attributes.extend(trace.hops.last().into_iter().flat_map(of_hop));
    attributes.extend(trace.error.map(|code| attribute("crossbook.error_code", Value::IntValue(code.into()))));
    attributes
}

fn of_hop(hop: &Hop) -> Vec<KeyValue> {
    vec![number("crossbook.partition", hop.partition.0.into()), number("crossbook.sequence", hop.sequence.0)]
}

/// All that is sent at once.
pub(crate) fn request(spans: Vec<Span>, origin: Origin, instance: &str) -> ExportTraceServiceRequest {
    let attributes = vec![
        text("service.name", "crossbook"),
        text("service.version", origin.version),
        text("service.instance.id", instance),
        text("crossbook.role", origin.role),
    ];
    let scope = InstrumentationScope {
        name: "crossbook".to_owned(),
        version: origin.version.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let resource = Resource { attributes, ..Resource::default() };
    let of_process = ResourceSpans { resource: Some(resource), scope_spans: vec![spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_process] }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use crossbook_gateway::traces::Parent;
    use crossbook_types::{OrderId, PartitionId, Sequence, SymbolName};

    use super::*;

    /// An order that passes two partitions, measured a millisecond apart.
    fn trace(parent: Option<Parent>) -> OrderTrace {
        let begun = Instant::now();
        let at = |step: u64| begun + Duration::from_millis(step);
        let hop = |stage, partition, sequence, step| Hop {
            stage,
            partition: PartitionId(partition),
            sequence: Sequence(sequence),
            began: at(step),
            ended: at(step + 1),
        };
        OrderTrace {
            operation: "order.place",
            transport: "rest",
            parent,
            received: begun,
            checked: Some(at(1)),
            hops: vec![
                hop(Stage::Queue, 2, 10, 1),
                hop(Stage::Append, 2, 10, 2),
                hop(Stage::Apply, 2, 10, 3),
                hop(Stage::Deliver, 5, 20, 4),
                hop(Stage::Apply, 5, 20, 5),
            ],
            replied: Some(at(7)),
            answered: at(8),
            symbol: SymbolName::new_checked("BTCUSDT").ok(),
            order: Some(OrderId(33)),
            error: None,
        }
    }

    /// The spans as names with their parents' names.
    fn tree(spans: &[Span]) -> Vec<(&str, &str)> {
        let parent = |span: &Span| spans.iter().find(|other| other.span_id == span.parent_span_id);
        spans.iter().map(|span| (span.name.as_str(), parent(span).map_or("", |parent| parent.name.as_str()))).collect()
    }

    #[test]
    fn an_order_has_a_span_for_each_part_of_its_way() {
        let trace = trace(None);
        let spans = of(&trace, TimeOfDay::now());
        let expected = [
            ("order.place", ""),
            ("check", "order.place"),
            ("partition", "order.place"),
            ("partition.queue", "partition"),
            ("partition.append", "partition"),
            ("partition.apply", "partition"),
            ("partition", "order.place"),
            ("partition.deliver", "partition"),
            ("partition.apply", "partition"),
            ("publish", "order.place"),
            ("answer", "order.place"),
        ];
        assert_eq!(tree(&spans), expected);
        assert_eq!(spans.len(), count(&trace));
        assert_ne!(spans[2].span_id, spans[6].span_id);
        assert_eq!(spans[7].parent_span_id, spans[6].span_id);
        let times = |span: &Span| (span.end_time_unix_nano - span.start_time_unix_nano) / 1_000_000;
        assert_eq!([0, 1, 2, 6, 9, 10].map(|at: usize| times(&spans[at])), [8, 1, 3, 2, 1, 1]);
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id && span.trace_id.len() == 16));
        let keys: Vec<&str> = spans[0].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        let expected = ["transport", "symbol", "order_id", "partition", "sequence"];
        assert_eq!(keys, expected.map(|name| format!("crossbook.{name}")));
        assert_eq!(spans[0].attributes[4], number("crossbook.sequence", 20), "where it was answered");
    }

    #[test]
    fn an_order_goes_on_with_the_trace_of_its_client() {
        let parent = Parent { trace: [7; 16], span: [9; 8], sampled: true };
        let spans = of(&trace(Some(parent)), TimeOfDay::now());
        assert!(spans.iter().all(|span| span.trace_id == [7; 16]));
        assert_eq!((spans[0].parent_span_id.as_slice(), spans[0].flags), (&[9_u8; 8][..], 0x301));
        assert_eq!(spans[1].flags, 0x101);
    }

    #[test]
    fn an_order_that_is_refused_before_it_is_sent_has_one_span() {
        let sent = trace(None);
        let refused = |code| {
            let (hops, error) = (Vec::new(), Some(code));
            OrderTrace { checked: None, hops, replied: None, order: None, error, ..sent.clone() }
        };
        let spans = of(&refused(-1013), TimeOfDay::now());
        assert_eq!((spans.len(), count(&refused(-1013)), &spans[0].status), (1, 1, &None), "no fault of the venue");
        let status = of(&refused(-1008), TimeOfDay::now())[0].status.clone();
        assert_eq!(status.map(|status| status.code), Some(StatusCode::Error.into()));
    }
}
