//! One connection to one server: requests are pipelined and answered in order; scripts are called by their hash.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, Cmd, ConnectionInfo, ServerErrorKind, Value};

use crate::topology::Topology;
use crate::{Error, Options, reply};

/// The scripts of this module. Each is atomic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    Append,
    Checkpoint,
    Claim,
    Counts,
    Depth,
    Ends,
    Lease,
    Mark,
    Trim,
}

/// In the order of [`Script`].
const SOURCES: [&str; 9] = [
    include_str!("lua/append.lua"),
    include_str!("lua/checkpoint.lua"),
    include_str!("lua/claim.lua"),
    include_str!("lua/counts.lua"),
    include_str!("lua/depth.lua"),
    include_str!("lua/ends.lua"),
    include_str!("lua/lease.lua"),
    include_str!("lua/mark.lua"),
    include_str!("lua/trim.lua"),
];

/// A buffer that a large request has made larger than this is not kept.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

pub(crate) struct Connection {
    inner: redis::Connection,
    /// What all connections know; an answer that makes its map doubtful makes it forget the map.
    topology: Arc<Topology>,
    server: String,
    /// The scripts' hashes, once they are loaded.
    hashes: Vec<String>,
    command: Cmd,
    request: Vec<u8>,
    /// Answers that the request will have.
    due: usize,
    reply_timeout: Duration,
    /// The timeout that is set.
    read_timeout: Duration,
}

impl Connection {
    /// Connects to this server.
    pub(crate) fn open(options: &Options, topology: &Arc<Topology>, info: &ConnectionInfo) -> Result<Self, Error> {
        let (server, reply_timeout) = (info.addr().to_string(), options.reply_timeout());
        let connect = || -> redis::RedisResult<redis::Connection> {
            let inner = Client::open(info.clone())?.get_connection_with_timeout(options.connect_timeout())?;
            inner.set_write_timeout(Some(reply_timeout))?;
            inner.set_read_timeout(Some(reply_timeout))?;
            Ok(inner)
        };
        let inner = match connect() {
            Ok(inner) => inner,
            Err(source) => return Err(Error::Lost { server, source }),
        };
        Ok(Self {
            inner,
            topology: Arc::clone(topology),
            server,
            hashes: Vec::new(),
            command: Cmd::new(),
            request: Vec::new(),
            due: 0,
            reply_timeout,
            read_timeout: reply_timeout,
        })
    }

    /// Sees that the server is a master, and loads the scripts.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        self.command(|command| command.arg("ROLE"));
        let [role] = self.answers()?;
        if let Value::ServerError(error) = &role {
            return Err(Error::of_server(&self.server, error));
        }
        match reply::role(&role) {
            Some(Some(_)) => self.load(),
            Some(None) => Err(self.no_master()),
            None => Err(self.unclear("ROLE")),
        }
    }

    fn load(&mut self) -> Result<(), Error> {
        for source in SOURCES {
            self.command(|command| command.arg("SCRIPT").arg("LOAD").arg(source));
        }
        let answers: [Value; SOURCES.len()] = self.answers()?;
        self.hashes.clear();
        for answer in &answers {
            if let Value::ServerError(error) = answer {
                return Err(Error::of_server(&self.server, error));
            }
            let Some(hash) = reply::text(answer) else { return Err(self.unclear("SCRIPT LOAD")) };
            self.hashes.push(hash.to_owned());
        }
        Ok(())
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Adds a command to the request.
    pub(crate) fn command(&mut self, build: impl FnOnce(&mut Cmd) -> &mut Cmd) {
        self.command.clear();
        build(&mut self.command);
        self.command.write_packed_command(&mut self.request);
        self.due += 1;
    }

    /// Adds the call of a script to the request.
    pub(crate) fn script(&mut self, script: Script, keys: &[&str], arguments: impl FnOnce(&mut Cmd) -> &mut Cmd) {
        self.command.clear();
        self.command.arg("EVALSHA").arg(self.hashes.get(script as usize)).arg(keys.len());
        for key in keys {
            self.command.arg(*key);
        }
        arguments(&mut self.command);
        self.command.write_packed_command(&mut self.request);
        self.due += 1;
    }

    /// Sends what was gathered and waits for the answers, none of which is an error. The server itself may take `wait`
    /// for it. Does it all once more if the server has lost the scripts: then none of them did anything.
    pub(crate) fn exchange(&mut self, wait: Duration) -> Result<Vec<Value>, Error> {
        let answers = self.exchange_refusals(wait)?;
        for answer in &answers {
            if let Value::ServerError(error) = answer {
                let error = Error::of_server(&self.server, error);
                if error.doubts_the_map() {
                    self.topology.forget();
                }
                return Err(error);
            }
        }
        Ok(answers)
    }

    /// The same, with the server's refusals of single commands among the answers.
    pub(crate) fn exchange_refusals(&mut self, wait: Duration) -> Result<Vec<Value>, Error> {
        let outcome = self.exchange_once(wait);
        self.request.clear();
        self.request.shrink_to(BUFFER_BYTES_KEPT);
        self.due = 0;
        if let Err(error) = &outcome
            && error.doubts_the_map()
        {
            self.topology.forget();
        }
        outcome
    }

    fn exchange_once(&mut self, wait: Duration) -> Result<Vec<Value>, Error> {
        let mut answers = self.round(wait)?;
        if answers.iter().any(lost_scripts) {
            let (request, due) = (std::mem::take(&mut self.request), std::mem::take(&mut self.due));
            self.load()?;
            (self.request, self.due) = (request, due);
            answers = self.round(wait)?;
        }
        Ok(answers)
    }

    /// Sends what was gathered and gives the answers as they are, errors among them.
    pub(crate) fn answers<const N: usize>(&mut self) -> Result<[Value; N], Error> {
        let answers = self.round(Duration::ZERO);
        self.request.clear();
        self.due = 0;
        answers?.try_into().map_err(|_| self.unclear("a request"))
    }

    /// Sends what was gathered. [`Connection::receive`] gives the answers.
    pub(crate) fn send(&mut self) -> Result<(), Error> {
        let sent = self.inner.send_packed_command(&self.request).map(drop).map_err(|source| self.lost(source));
        self.request.clear();
        self.due = 0;
        sent
    }

    /// The next answer or push of the server, if one comes in time. After an answer that did not, only pushes are
    /// given.
    pub(crate) fn receive(&mut self, timeout: Duration) -> Result<Option<Value>, Error> {
        self.set_timeout(timeout)?;
        match self.inner.recv_response() {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_timeout() => Ok(None),
            Err(source) => Err(self.lost(source)),
        }
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        if timeout != self.read_timeout {
            self.inner.set_read_timeout(Some(timeout)).map_err(|source| self.lost(source))?;
            self.read_timeout = timeout;
        }
        Ok(())
    }

    fn round(&mut self, wait: Duration) -> Result<Vec<Value>, Error> {
        self.set_timeout(self.reply_timeout + wait)?;
        self.inner.send_packed_command(&self.request).map_err(|source| self.lost(source))?;
        let mut answers = Vec::with_capacity(self.due);
        for _ in 0..self.due {
            // It stops at the first failure: answers in flight would be mistaken for others.
            answers.push(self.inner.recv_response().map_err(|source| self.lost(source))?);
        }
        Ok(answers)
    }

    fn lost(&self, source: redis::RedisError) -> Error {
        Error::Lost { server: self.server.clone(), source }
    }

    /// The answer is not as expected.
    pub(crate) fn unclear(&self, what: &'static str) -> Error {
        Error::Answer { server: self.server.clone(), what }
    }

    /// The server has not answered in time.
    pub(crate) fn silent(&self) -> Error {
        self.lost(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
    }

    /// The server is a replica.
    pub(crate) fn no_master(&self) -> Error {
        Error::Moved { server: self.server.clone(), said: "it is a replica".to_owned() }
    }
}

fn lost_scripts(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}
