//! Where requests enter the venue: the one thing that is different for the gateway when the partitions run elsewhere.
//!
//! In the embedded venue it is the [`Handle`] of the only partition. In a cluster it is what appends to the partitions'
//! logs. Either way a request is given up here, and its outcome comes back with the events, through the
//! [`Publisher`](crate::publisher::Publisher).

use std::pin::Pin;

use crossbook_cluster::gate::LaneState;
use crossbook_node::embedded::AuditReport;
use crossbook_node::{Handle, NotTaken, Request};
use crossbook_types::{AccountId, SourceId};
use tokio::sync::oneshot;

/// Something that may take a while. `Err` if a partition that has to answer does not.
pub type Soon<'a, T = ()> = Pin<Box<dyn Future<Output = Result<T, NotTaken>> + Send + 'a>>;

/// What somebody wants to see whole: with everything that has been told of it to anyone, through whichever gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// An account, its orders and its trades, in all partitions.
    Account(AccountId),
    /// Assets, markets and accounts: what the registry's partition has told of them, every other one has followed.
    Registry,
}

/// The way into the venue.
pub trait Entrance: Send + Sync + 'static {
    /// The source under which requests from here are logged, in whichever partition. It never changes.
    fn source(&self) -> SourceId;

    /// Sends a request to the partition that it belongs to; see [`Routing::home`](crossbook_protocol::Routing::home).
    /// Never waits.
    ///
    /// # Errors
    /// When the partition does not take it; the request has no effect then.
    fn submit(&self, request: Request) -> Result<(), NotTaken>;

    /// Whether a new order would be refused as busy now, whatever it says and whoever sends it. Asked before an order
    /// is read, which costs more than to refuse it. A way that leads to several partitions does not know before.
    fn refuses_orders(&self) -> bool {
        false
    }

    /// Takes note that an order was refused for this reason, and for no other: what comes from somebody who may send
    /// nothing more is no sign of there being too much.
    fn refused_order(&self) {}

    /// Has each partition added up as it stands; by number.
    ///
    /// # Errors
    /// When one cannot be asked.
    fn audit(&self) -> Soon<'_, Vec<AuditReport>>;

    /// Requests that wait for their partition.
    fn queued(&self) -> usize;

    /// How each partition stands as seen from here, by number; none where the partition is in this process, and answers
    /// as long as it lives.
    fn lanes(&self) -> Vec<LaneState> {
        Vec::new()
    }

    /// Whether the venue is stopping.
    fn is_stopping(&self) -> bool;

    /// Waits until the views of all partitions show everything of `subject` that anyone was told before this was
    /// called. `None` if they always do, which costs nothing.
    fn caught_up(&self, subject: Subject) -> Option<Soon<'_>>;
}

/// The embedded venue: one partition, whose publisher folds the views before it answers.
impl Entrance for Handle {
    fn source(&self) -> SourceId {
        Self::source(self)
    }

    fn submit(&self, request: Request) -> Result<(), NotTaken> {
        Self::submit(self, request)
    }

    fn refuses_orders(&self) -> bool {
        Self::refuses_orders(self)
    }

    fn refused_order(&self) {
        Self::refused_order(self);
    }

    fn audit(&self) -> Soon<'_, Vec<AuditReport>> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            Self::audit(self, Box::new(move |report| drop(sender.send(report))))?;
            let report = receiver.await.map_err(|_| NotTaken::Silent)?;
            Ok(vec![report])
        })
    }

    fn queued(&self) -> usize {
        Self::queued(self)
    }

    fn is_stopping(&self) -> bool {
        Self::is_stopping(self)
    }

    fn caught_up(&self, _: Subject) -> Option<Soon<'_>> {
        None
    }
}
