//! Subscribers of market streams that count their messages.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::heads::Heads;

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1024;
/// The longest answer to the request for the streams.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

thread_local! {
    /// What was read last; all subscribers of a thread share it.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

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
    /// Bytes of these messages.
    pub bytes: u64,
    /// Messages of the subscriber that heard the least, of those that are still there.
    pub least: u64,
    /// And of the one that heard the most.
    pub most: u64,
    /// Subscribers that the venue has cut off.
    pub lost: usize,
}

/// Subscribers of the same streams, each on a connection of its own. They read on a thread of their own, all together,
/// so that they take as little as they can from whoever places orders.
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
                    match subscribe(address, &path).await {
                        Ok(socket) => sockets.push(socket),
                        Err(error) => {
                            let _ = connected.send(Err(error));
                            return;
                        }
                    }
                }
                for (at, (socket, heads)) in sockets.into_iter().enumerate() {
                    tokio::spawn(listen(socket, heads, Arc::clone(&listening), at));
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

/// Connects and asks for streams. Messages may follow the answer at once.
async fn subscribe(address: SocketAddr, path: &str) -> io::Result<(TcpStream, Heads)> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let key = generate_key();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let end = loop {
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if answer.len() > ANSWER_BYTES_MAX || socket.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no answer to the request for streams"));
        }
    };
    let head = String::from_utf8_lossy(&answer[..end]);
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(&derive_accept_key(key.as_bytes())) {
        return Err(io::Error::other(format!("no streams: {}", head.lines().next().unwrap_or_default())));
    }
    let mut heads = Heads::default();
    heads.take(&answer[end..])?;
    Ok((socket, heads))
}

/// Counts until the connection ends.
async fn listen(mut socket: TcpStream, mut heads: Heads, ears: Arc<[Ear]>, at: usize) {
    let ear = &ears[at];
    // However it ends, it has ended.
    let _ = hear(&mut socket, &mut heads, ear).await;
    ear.lost.store(true, Relaxed);
}

async fn hear(socket: &mut TcpStream, heads: &mut Heads, ear: &Ear) -> io::Result<()> {
    loop {
        ear.messages.store(heads.messages, Relaxed);
        ear.bytes.store(heads.bytes, Relaxed);
        if heads.closed {
            return Ok(());
        }
        if !heads.answer.is_empty() {
            socket.write_all(&std::mem::take(&mut heads.answer)).await?;
        }
        socket.readable().await?;
        let read = READ.with_borrow_mut(|buffer| match socket.try_read(buffer) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Ok(read) => heads.take(&buffer[..read]),
            Err(error) => Err(error),
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => other?,
        }
    }
}
