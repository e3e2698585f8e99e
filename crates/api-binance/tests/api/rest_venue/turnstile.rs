//! A command port that can be set to refuse orders as overload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbook_gateway::command_port::Soon;
use crossbook_gateway::{CommandPort, Subject};
use crossbook_node::embedded::AuditReport;
use crossbook_node::{NotAccepted, Request};
use crossbook_types::SourceId;

pub struct Turnstile {
    pub inner: Box<dyn CommandPort>,
    pub shut: Arc<AtomicBool>,
    /// Orders that were refused because it was shut.
    pub turned_away: Arc<AtomicU64>,
}

impl CommandPort for Turnstile {
    fn source(&self) -> SourceId {
        self.inner.source()
    }

    fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        self.inner.submit(request)
    }

    fn refuses_orders(&self) -> bool {
        self.shut.load(Ordering::Relaxed)
    }

    fn refused_order(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    fn audit(&self) -> Soon<'_, Vec<AuditReport>> {
        self.inner.audit()
    }

    fn queued(&self) -> usize {
        self.inner.queued()
    }

    fn is_stopping(&self) -> bool {
        self.inner.is_stopping()
    }

    fn caught_up(&self, subject: Subject) -> Option<Soon<'_>> {
        self.inner.caught_up(subject)
    }
}
