//! Which orders are traced, and where the traces go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Options of traces. What is absent takes its default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// One order of so many is traced, by chance; 0: none.
    pub sample_one_in: u64,
    /// Where spans are sent: the URL of a collector that takes OTLP over HTTP, with its path.
    pub endpoint: String,
    /// Traces that may wait to be sent; more are dropped.
    pub queue_traces_max: usize,
    /// Traces sent in one request.
    pub batch_traces_max: usize,
    /// Milliseconds that a trace waits for others to be sent with.
    pub batch_delay_ms: u64,
    /// Milliseconds after which a request to the collector has failed. A stop waits as long at most.
    pub export_timeout_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sample_one_in: 0,
            endpoint: "http://127.0.0.1:4318/v1/traces".to_owned(),
            queue_traces_max: 2_048,
            batch_traces_max: 128,
            batch_delay_ms: 1_000,
            export_timeout_ms: 5_000,
        }
    }
}

impl Options {
    /// Whether the endpoint can be one. A user, a password or a query with a token in it would be logged, so there is
    /// none.
    #[must_use]
    pub fn has_endpoint(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(&self.endpoint) else { return false };
        let is_server = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        is_server && url.username().is_empty() && url.password().is_none() && url.query().is_none()
    }

    pub(crate) fn batch_delay(&self) -> Duration {
        Duration::from_millis(self.batch_delay_ms)
    }

    pub(crate) fn export_timeout(&self) -> Duration {
        Duration::from_millis(self.export_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_url_of_a_server() {
        let is_one = |endpoint: &str| Options { endpoint: endpoint.to_owned(), ..Options::default() }.has_endpoint();
        assert!(Options::default().has_endpoint());
        assert!(is_one("https://collector.example.com/v1/traces") && is_one("http://[::1]:4318/v1/traces"));
        let others = [
            "",
            "collector:4318",
            "grpc://collector:4317",
            "/v1/traces",
            "http://",
            "http://me:secret@host",
            "http://host/?key=1",
        ];
        for other in others {
            assert!(!is_one(other), "{other}");
        }
    }
}
