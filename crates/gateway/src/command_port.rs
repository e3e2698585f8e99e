//! The port through which commands enter the venue. In the embedded venue it is the [`Handle`] of the only partition;
//! in a cluster it appends to the partitions' logs. The outcome of a request comes back with the events, through the
//! [`Publisher`](crate::publisher::Publisher).

use std::pin::Pin;

use crossbook_node::embedded::AuditReport;
use crossbook_node::{Handle, NotAccepted, Request};
use crossbook_types::{AccountId, PartitionId, Sequence, SourceId};
use tokio::sync::oneshot;

/// A future of the port. `Err` if a partition that has to answer does not.
pub type Soon<'a, T = ()> = Pin<Box<dyn Future<Output = Result<T, NotAccepted>> + Send + 'a>>;

/// What a caller wants to read up to date: including everything that any gateway has answered of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// An account, its orders and its trades, in all partitions.
    Account(AccountId),
    /// Assets, markets and accounts: every partition has followed what happened in the registry's partition.
    Registry,
}

/// The state of a partition, as seen from a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: PartitionId,
    /// Whether it has not answered for so long that requests for it are refused at once.
    pub silent: bool,
    /// Requests that wait to be appended to its log.
    pub queued: usize,
    /// Requests that are in its log, and that it has not applied yet.
    pub under_way: usize,
    /// The last command whose events are folded here.
    pub applied: Sequence,
    /// The end of its log when that was last known; never before `applied`.
    pub log_end: Sequence,
}

/// Takes commands for the venue.
pub trait CommandPort: Send + Sync + 'static {
    /// The source under which requests from here are logged, in whichever partition. It never changes.
    fn source(&self) -> SourceId;

    /// Sends a request to the partition that it belongs to; see [`Routing::home`](crossbook_protocol::Routing::home).
    /// Never waits.
    ///
    /// # Errors
    /// When the partition does not take it; the request has no effect then.
    fn submit(&self, request: Request) -> Result<(), NotAccepted>;

    /// Whether any new order would be refused as overload now. Checked before an order is parsed, which costs more than
    /// the refusal. A port to several partitions knows only whether all of them have too many.
    fn refuses_orders(&self) -> bool {
        false
    }

    /// Counts an order that was refused for this reason only: the load of a sender who is over its own limit does not
    /// count.
    fn refused_order(&self) {}

    /// Audits each partition at its present position; by number.
    ///
    /// # Errors
    /// When one cannot be audited.
    fn audit(&self) -> Soon<'_, Vec<AuditReport>>;

    /// Requests that wait for their partition.
    fn queued(&self) -> usize;

    /// The state of each partition as seen from here, by number; empty where the partition runs in this process.
    fn partitions(&self) -> Vec<PartitionStatus> {
        Vec::new()
    }

    /// Whether the venue is stopping.
    fn is_stopping(&self) -> bool;

    /// Waits until the views of all partitions include everything of `subject` that was answered before this call.
    /// `None` if they always do.
    fn caught_up(&self, subject: Subject) -> Option<Soon<'_>>;
}

/// The embedded venue: one partition, whose publisher folds the views before it answers.
impl CommandPort for Handle {
    fn source(&self) -> SourceId {
        Self::source(self)
    }

    fn submit(&self, request: Request) -> Result<(), NotAccepted> {
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
            let report = receiver.await.map_err(|_| NotAccepted::Silent)?;
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
