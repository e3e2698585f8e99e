//! Counts requests by the error that they got. An overloaded venue refuses most requests, so counting must cost next to
//! nothing.

use std::collections::HashMap;

use metrics::Counter;
use parking_lot::RwLock;

use super::Operation;
use crate::error::ApiError;

/// Counts requests that got an error, by operation and code. Each counter is looked up once, and not by name and labels
/// for each request; there are as many as operations have errors.
#[derive(Default)]
pub struct Rejections(RwLock<HashMap<(&'static str, i32), Counters>>);

struct Counters {
    requests: Counter,
    orders: Option<Counter>,
}

impl std::fmt::Debug for Rejections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rejections").finish_non_exhaustive()
    }
}

impl Rejections {
    /// Counts a request that got an error.
    pub fn count(&self, operation: &'static Operation, error: &ApiError) {
        let key = (operation.name, error.code);
        if let Some(counters) = self.0.read().get(&key) {
            counters.increment();
            return;
        }
        self.0.write().entry(key).or_insert_with(|| Counters::of(operation, error.code)).increment();
    }
}

impl Counters {
    fn of(operation: &'static Operation, code: i32) -> Self {
        let code = code.to_string();
        let orders =
            operation.is_order().then(|| metrics::counter!("crossbook_orders_rejected_total", "code" => code.clone()));
        let requests =
            metrics::counter!("crossbook_requests_rejected_total", "operation" => operation.name, "code" => code);
        Self { requests, orders }
    }

    fn increment(&self) {
        self.requests.increment(1);
        if let Some(orders) = &self.orders {
            orders.increment(1);
        }
    }
}
