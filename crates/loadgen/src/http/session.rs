//! One client that sends single requests and reads the answers. It connects on demand.

use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{Connection, Error};
use super::request::{Credentials, Outgoing, Prepared, Template};
use super::run::unix_milliseconds;

/// A client of the venue. A connection that failed, or that the venue closed, is made anew for the next question.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    timeout: Duration,
    template: Template,
    buffer: Vec<u8>,
    connection: Option<Connection>,
}

impl Session {
    /// A client with that key, if any, for whom an answer may take `timeout`. Nothing is connected yet.
    #[must_use]
    pub fn new(address: SocketAddr, credentials: Option<Credentials>, timeout: Duration) -> Self {
        let template = Template::new(&address.to_string(), credentials);
        Self { address, timeout, template, buffer: Vec::new(), connection: None }
    }

    /// Sends what `write` writes, and waits for the answer. Whether the venue carried out a request that has none is
    /// not known.
    ///
    /// # Errors
    /// When there is no answer in time, or none at all.
    pub async fn ask(&mut self, write: impl FnOnce(Outgoing<'_>) -> Prepared) -> Result<Answer, Error> {
        let Prepared(()) = write(self.template.outgoing(&mut self.buffer, unix_milliseconds()));
        // Kept only between two questions: one that is given up half way leaves none.
        let (kept, address, buffer) = (self.connection.take(), self.address, &self.buffer);
        let exchange = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(address).await?,
            };
            let response = connection.exchange(buffer).await?;
            let closes = response.closes;
            let code = if response.is_success() { None } else { response.error_code() };
            let answer = Answer { status: response.status, code, body: response.body.to_vec() };
            Ok((answer, (!closes).then_some(connection)))
        };
        let too_late = || Err(Error::Io(std::io::ErrorKind::TimedOut.into()));
        let (answer, connection) = tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| too_late())?;
        self.connection = connection;
        Ok(answer)
    }
}

/// An answer that can be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The code in the body of a refusal; -1013, for instance.
    pub code: Option<i32>,
    /// Body of the response.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.status, 200..300)
    }
}
