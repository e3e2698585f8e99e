//! Traces of orders: when one was received, checked, through each partition, and answered. Plain data; a [`Tracer`]
//! decides which orders are traced, and exports what came of them.
//!
//! Without a tracer nothing is measured or stored: each place where something would be looks at one option.

use std::sync::Arc;
use std::time::Instant;

use crossbook_node::Hops;
use crossbook_node::hops::{Followed, Hop};
use crossbook_protocol::event::{Answer, Half};
use crossbook_types::{Market, OrderId, RequestNumber, SymbolName};
use parking_lot::Mutex;

use crate::pending::Reply;

/// The trace of a client that an order is a part of: the header `traceparent` of W3C's Trace Context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parent {
    /// The trace.
    pub trace: [u8; 16],
    /// The client's span.
    pub span: [u8; 8],
    /// Whether the client records its spans.
    pub sampled: bool,
}

impl Parent {
    /// What the header says; `None` if it is not well-formed, as if there were none.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let mut parts = header.split(|&byte| byte == b'-');
        let version = hex::<1>(parts.next()?)?;
        let (trace, span) = (hex::<16>(parts.next()?)?, hex::<8>(parts.next()?)?);
        let [flags] = hex::<1>(parts.next()?)?;
        // Later versions may say more.
        let ends = parts.next().is_none() || version != [0];
        (version != [0xff] && ends && trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

/// Bytes in lower-case hexadecimal, exactly so many.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_lower && ::hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Chooses the orders that are traced, and takes their traces.
pub trait Tracer: Send + Sync + 'static {
    /// Whether the next order is traced.
    fn samples(&self) -> bool;

    /// Takes the trace of an order that is answered. Never waits.
    fn take(&self, trace: OrderTrace);
}

/// An order that was traced.
#[derive(Clone, Debug)]
pub struct OrderTrace {
    /// The operation of the API.
    pub operation: &'static str,
    /// Over what it came.
    pub transport: &'static str,
    /// The trace of the client that it is a part of.
    pub parent: Option<Parent>,
    /// When the request began to be read.
    pub received: Instant,
    /// When it was checked and sent to its partition; `None`: it was refused before.
    pub checked: Option<Instant>,
    /// Its way through the partitions.
    pub hops: Vec<Hop>,
    /// When its outcome was there; `None`: there was none in time.
    pub replied: Option<Instant>,
    /// When the answer was written.
    pub answered: Instant,
    /// The market, if there is such a one.
    pub symbol: Option<SymbolName>,
    /// The order that was placed; of a list, the first one.
    pub order: Option<OrderId>,
    /// The code of the error that it was answered with.
    pub error: Option<i32>,
}

/// An order that is being traced. Shared by those who carry out its request; dropped with it if nobody waits for the
/// answer.
#[derive(Debug)]
pub struct Trace {
    hops: Arc<Hops>,
    so_far: Mutex<OrderTrace>,
}

impl Trace {
    /// The order is for this market.
    pub(crate) fn is_for(&self, market: &Market) {
        self.so_far.lock().symbol = Some(market.symbol);
    }

    /// The order is checked, and sent under this number. Its way is followed until the result is dropped.
    pub(crate) fn sends(&self, number: RequestNumber) -> Followed {
        self.so_far.lock().checked = Some(Instant::now());
        self.hops.follow(number)
    }

    /// The outcome is there.
    pub(crate) fn is_replied(&self, reply: &Reply, followed: &Followed) {
        let mut so_far = self.so_far.lock();
        so_far.hops = followed.take();
        so_far.replied = Some(Instant::now());
        so_far.order = match &reply.outcome {
            Ok(Answer::Placed { order, .. } | Answer::Replaced { placed: Half::Done(order), .. }) => Some(*order),
            Ok(Answer::ListPlaced { list, .. }) => Some(list.first()),
            _ => None,
        };
    }
}

/// The traces of a gateway.
#[derive(Default)]
pub struct Traces {
    tracer: Option<Arc<dyn Tracer>>,
    hops: Arc<Hops>,
}

impl Traces {
    /// Traces the orders that `tracer` chooses; none without one.
    #[must_use]
    pub fn new(tracer: Option<Arc<dyn Tracer>>) -> Self {
        Self { tracer, hops: Arc::default() }
    }

    /// Where the partitions note the way of orders that are traced.
    #[must_use]
    pub fn hops(&self) -> &Arc<Hops> {
        &self.hops
    }

    /// Begins the trace of an order that was received, if it is traced. `parent` is asked only then. An order of a
    /// client that does not record its own spans is not traced: its trace would begin in the middle.
    #[inline]
    #[must_use]
    pub fn begin(
        &self,
        (operation, transport): (&'static str, &'static str),
        received: Instant,
        parent: impl FnOnce() -> Option<Parent>,
    ) -> Option<Arc<Trace>> {
        let tracer = self.tracer.as_ref()?;
        if !tracer.samples() {
            return None;
        }
        let parent = parent();
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        let so_far = OrderTrace {
            operation,
            transport,
            parent,
            received,
            checked: None,
            hops: Vec::new(),
            replied: None,
            answered: received,
            symbol: None,
            order: None,
            error: None,
        };
        Some(Arc::new(Trace { hops: Arc::clone(&self.hops), so_far: Mutex::new(so_far) }))
    }

    /// The answer to a traced order is written; with an error, if it has one.
    pub fn end(&self, trace: &Trace, error: Option<i32>) {
        let Some(tracer) = &self.tracer else { return };
        tracer.take(OrderTrace { answered: Instant::now(), error, ..trace.so_far.lock().clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_w3c_defines_it() {
        let parent = Parent::parse(HEADER.as_bytes()).unwrap();
        assert_eq!((parent.trace[0], parent.trace[15], parent.span[7]), (0x4b, 0x36, 0xb7));
        assert!(parent.sampled);
        let sampled = |header: &str| Parent::parse(header.as_bytes()).map(|parent| parent.sampled);
        assert_eq!(sampled(&HEADER.replace("-01", "-00")), Some(false));
        assert_eq!(sampled(&HEADER.replace("-01", "-ff")), Some(true), "other flags are not ours");
        assert_eq!(sampled(&format!("cc{}-what-comes-later", &HEADER[2..])), Some(true), "a later version");
        for other in [
            String::new(),
            HEADER[..54].to_owned(),
            format!("{HEADER}-more"),
            format!("ff{}", &HEADER[2..]),
            HEADER.to_uppercase(),
            HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            HEADER.replace("00f067aa0ba902b7", &"0".repeat(16)),
            HEADER.replace('-', " "),
        ] {
            assert_eq!(sampled(&other), None, "{other}");
        }
    }

    /// Traces every order, and keeps nothing.
    struct All;

    impl Tracer for All {
        fn samples(&self) -> bool {
            true
        }

        fn take(&self, _: OrderTrace) {}
    }

    #[test]
    fn nothing_is_begun_without_a_tracer_or_for_a_client_that_does_not_record() {
        let begin = |traces: &Traces, header: Option<String>| {
            let parent = || header.and_then(|header| Parent::parse(header.as_bytes()));
            traces.begin(("order.place", "rest"), Instant::now(), parent).is_some()
        };
        assert!(!begin(&Traces::default(), Some(HEADER.to_owned())));
        let all = Traces::new(Some(Arc::new(All)));
        assert!(begin(&all, None) && begin(&all, Some(HEADER.to_owned())));
        assert!(!begin(&all, Some(HEADER.replace("-01", "-00"))));
        assert!(begin(&all, Some("not one".to_owned())), "as if there were none");
    }
}
