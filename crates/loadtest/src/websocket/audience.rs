//! Subscribers of market streams, who count what they hear.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::open;

/// What one subscriber has heard.
#[derive(Debug, Default)]
struct Ear {
    messages: AtomicU64,
    bytes: AtomicU64,
    /// The venue has ended the connection.
    lost: AtomicBool,
}

/// What all of them have heard so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Messages, over all subscribers.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages of the subscriber that heard the least, of those that are still there.
    pub least: u64,
    /// And of the one that heard the most.
    pub most: u64,
    /// Subscribers that the venue has cut off.
    pub lost: usize,
}

/// Subscribers of the same streams, each on a connection of its own. They read on a thread of their own, all together, so that they take
/// as little as they can from whoever places orders.
#[derive(Debug)]
pub struct Audience {
    ears: Arc<[Ear]>,
    leave: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Audience {
    /// Connects `count` subscribers to these streams, and returns when all are.
    ///
    /// # Errors
    /// When not all can connect.
    pub fn gather(address: SocketAddr, streams: &[String], count: usize) -> io::Result<Self> {
        let ears: Arc<[Ear]> = (0..count).map(|_| Ear::default()).collect();
        let (leave, left) = watch::channel(false);
        let (connected, told) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let path = format!("/stream?streams={}", streams.join("/"));
        let listening = Arc::clone(&ears);
        let thread = std::thread::Builder::new().name("audience".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let mut sockets = Vec::with_capacity(count);
                for _ in 0..count {
                    match open(address, &path).await {
                        Ok(socket) => sockets.push(socket),
                        Err(error) => {
                            let _ = connected.send(Err(error));
                            return;
                        }
                    }
                }
                for (at, socket) in sockets.into_iter().enumerate() {
                    tokio::spawn(listen(socket, Arc::clone(&listening), at));
                }
                let _ = connected.send(Ok(()));
                let mut left = left;
                // An audience that nobody holds any more leaves as well. Its tasks end with the runtime.
                let _ = left.wait_for(|left| *left).await;
            });
        })?;
        let audience = Self { ears, leave, thread: Some(thread) };
        told.recv().unwrap_or_else(|_| Err(io::Error::other("the subscribers have ended")))?;
        Ok(audience)
    }

    /// What they have heard since they came.
    #[must_use]
    pub fn received(&self) -> Received {
        let mut all = Received { least: u64::MAX, ..Received::default() };
        for ear in self.ears.iter() {
            let messages = ear.messages.load(Relaxed);
            all.messages += messages;
            all.bytes += ear.bytes.load(Relaxed);
            if ear.lost.load(Relaxed) {
                all.lost += 1;
            } else {
                all.least = all.least.min(messages);
                all.most = all.most.max(messages);
            }
        }
        all.least = all.least.min(all.most);
        all
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        let _ = self.leave.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Counts until the connection ends.
async fn listen(mut socket: WebSocketStream<TcpStream>, ears: Arc<[Ear]>, at: usize) {
    let ear = &ears[at];
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            ear.messages.fetch_add(1, Relaxed);
            ear.bytes.fetch_add(text.len() as u64, Relaxed);
        }
    }
    ear.lost.store(true, Relaxed);
}
