//! One persistent HTTP/1.1 connection with one request in flight at a time. It understands what the venue sends, a
//! status line, headers with a content length, a body, and refuses everything else.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer taken, head and body, in bytes.
pub const MAX_RESPONSE: usize = 4 << 20;
/// The first size of the buffer for answers, in bytes; enough for an answer to an order.
const BUFFER: usize = 16 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The connection ended before the whole answer had come.
    #[error("the venue closed the connection before it had answered")]
    Closed,
    /// The answer is not HTTP/1.1 with a content length.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
    /// The answer is longer than [`MAX_RESPONSE`].
    #[error("the answer is longer than {MAX_RESPONSE} bytes")]
    TooLong,
}

/// An answer, borrowed from its connection until the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Body of the response.
    pub body: &'a [u8],
    /// Whether the venue will close the connection now.
    pub closes: bool,
}

impl Response<'_> {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.status, 200..300)
    }

    /// The number in `{"code":-1013,...}`, which is how the venue names an error.
    #[must_use]
    pub fn error_code(&self) -> Option<i32> {
        const KEY: &[u8] = b"\"code\":";
        let at = self.body.windows(KEY.len()).position(|window| window == KEY)?;
        let number = self.body[at + KEY.len()..].trim_ascii_start();
        let end = number.iter().position(|byte| !matches!(byte, b'-' | b'0'..=b'9')).unwrap_or(number.len());
        std::str::from_utf8(&number[..end]).ok()?.parse().ok()
    }
}

/// The head of an answer, and where it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Head {
    status: u16,
    length: usize,
    content_length: usize,
    closes: bool,
}

/// A connection to the venue.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes read; the answer is at the front.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the venue cannot be reached.
    pub async fn open(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends a request, as bytes, and waits for the answer.
    ///
    /// # Errors
    /// When the network fails or the answer is not one. The connection is of no use after that, nor after this future
    /// was dropped half way.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Response<'_>, Error> {
        // One request, one answer: whatever else is here came unasked.
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            self.read_some().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        let end =
            head.length.checked_add(head.content_length).filter(|&end| end <= MAX_RESPONSE).ok_or(Error::TooLong)?;
        while self.buffer.len() < end {
            self.read_some().await?;
        }
        Ok(Response { status: head.status, body: &self.buffer[head.length..end], closes: head.closes })
    }

    async fn read_some(&mut self) -> Result<(), Error> {
        if self.buffer.len() >= MAX_RESPONSE {
            return Err(Error::TooLong);
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::Closed),
            _ => Ok(()),
        }
    }
}

/// Parses the head of an answer; `None` while it is not all there.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Error> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let mut lines = bytes[..end].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let status = lines.next().and_then(parse_status).ok_or(Error::Malformed("no HTTP/1.1 status line"))?;
    let mut content_length = None;
    let mut closes = false;
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(Error::Malformed("a header line without a colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            content_length = Some(length.ok_or(Error::Malformed("a content length that is no number"))?);
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    let content_length = match (content_length, status) {
        (Some(length), _) => length,
        (None, 204 | 304) => 0,
        (None, _) => return Err(Error::Malformed("no content length")),
    };
    Ok(Some(Head { status, length: end + 4, content_length, closes }))
}

fn parse_status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    // An interim answer would be followed by another, and the venue sends none.
    (200..600).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_once_it_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        let whole = bytes.len() - 2;
        for cut in 0..whole {
            assert!(matches!(parse_head(&bytes[..cut]), Ok(None)), "cut at {cut}");
        }
        let head = Head { status: 200, length: whole, content_length: 2, closes: false };
        assert_eq!(parse_head(bytes).unwrap(), Some(head));
    }

    #[test]
    fn a_closing_connection_and_an_empty_answer_are_understood() {
        let head = parse_head(b"HTTP/1.1 204 No Content\r\nConnection: Close\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.content_length, head.closes), (204, 0, true));
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        for bytes in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert!(matches!(parse_head(bytes), Err(Error::Malformed(_))), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn the_error_code_is_found() {
        let code = |body: &[u8]| Response { status: 400, body, closes: false }.error_code();
        assert_eq!(code(br#"{"code":-1013,"msg":"Filter failure: LOT_SIZE"}"#), Some(-1013));
        assert_eq!(code(br#"{"msg": "x", "code": -2010}"#), Some(-2010));
        assert_eq!(code(b"{}"), None);
        assert_eq!(code(b"{\"code\":"), None);
        assert_eq!(code(b"{\"code\":99999999999}"), None);
    }
}
