//! A client's connection to the gateway, in memory: the same code as behind a socket, from the bytes of HTTP on.

use std::future::{Future, pending};
use std::time::Duration;

use crossbook_http::server::{self, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use crate::venue::{CLIENT, Venue};

/// Bytes in flight in one direction.
const BUFFER_BYTES: usize = 1 << 20;
/// Nothing here waits for anything; what takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has `talk` speak with `service` over a connection of its own, and returns when it is done.
///
/// # Panics
/// When that takes too long: an answer is missing.
pub fn with<S: Service, F: Future>(venue: &Venue, service: &S, talk: impl FnOnce(DuplexStream) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing");
    let (client, gateway) = tokio::io::duplex(BUFFER_BYTES);
    let (_running, mut stop) = watch::channel(false);
    runtime.block_on(async {
        let served = async {
            server::connection(gateway, CLIENT, &venue.app.config.server, service, &mut stop).await;
            pending().await
        };
        tokio::select! {
            told = tokio::time::timeout(PATIENCE, talk(client)) => told.expect("an answer is missing"),
            () = served => unreachable!("it is pending"),
        }
    })
}

/// Sends bytes and an end, and gives all that comes back.
pub async fn exchange(mut connection: DuplexStream, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    // A server that has received enough closes the connection.
    if connection.write_all(bytes).await.is_ok() {
        let _ = connection.shutdown().await;
    }
    let _ = connection.read_to_end(&mut answer).await;
    answer
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body of the response.
    pub body: String,
    /// Whether it says that this is JSON.
    pub is_json: bool,
}

impl Answer {
    /// Reads the answer to a request that was the only one on its connection; `None` if there is none.
    ///
    /// # Panics
    /// When what is there is not one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let text = std::str::from_utf8(bytes).expect("answers are text");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let is_json = head.to_ascii_lowercase().contains("\r\ncontent-type: application/json");
        Some(Self { status: status.expect("an answer has a status"), body: body.to_owned(), is_json })
    }
}

/// A request with this head line and these further lines, on a connection that ends with it.
#[must_use]
pub fn request(verb: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text =
        format!("{verb} {target} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Sends a request and reads the answer; see [`Answer::read`].
pub fn ask<S: Service>(venue: &Venue, service: &S, request: &[u8]) -> Option<Answer> {
    // Without an end: whoever asks waits for the answer.
    let answer = with(venue, service, async |mut connection: DuplexStream| {
        let mut answer = Vec::new();
        let _ = connection.write_all(request).await;
        let _ = connection.read_to_end(&mut answer).await;
        answer
    });
    Answer::read(&answer)
}
