//! Counts messages by their frame headers, without reading the payload, so that subscribers use as little CPU as
//! possible of the machine that they share with the venue.

use std::io::{self, Cursor};

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

/// How a client's frames are masked. It has no browser to protect.
const MASK: [u8; 4] = [1, 2, 3, 4];

/// What arrived on one connection, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Number of complete messages.
    pub messages: u64,
    /// Bytes in messages, without the heads.
    pub bytes: u64,
    /// The server has said that it closes.
    pub closed: bool,
    /// What is to be sent back: the answers to pings.
    pub answer: Vec<u8>,
    /// Bytes of a message that are still to come.
    skip: u64,
    /// The beginning of a head, or of a frame that must be read whole.
    begun: Vec<u8>,
}

impl Heads {
    /// Takes in what was read.
    ///
    /// # Errors
    /// When it is no WebSocket.
    pub fn take(&mut self, read: &[u8]) -> io::Result<()> {
        let joined;
        let mut rest = read;
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(read);
            joined = std::mem::take(&mut self.begun);
            rest = &joined;
        }
        while !rest.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
            self.skip -= skipped as u64;
            rest = &rest[skipped..];
            match self.frame(rest)? {
                Some(taken) => rest = &rest[taken..],
                None => {
                    self.begun = rest.to_vec();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes the next head, and what follows it if that matters; `None` if it is not all there. Returns how many bytes
    /// that took.
    fn frame(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let mut cursor = Cursor::new(bytes);
        let Some((head, length)) = FrameHeader::parse(&mut cursor).map_err(io::Error::other)? else { return Ok(None) };
        let begin = usize::try_from(cursor.position()).map_err(io::Error::other)?;
        match head.opcode {
            OpCode::Data(_) => {
                self.messages += u64::from(head.is_final);
                self.bytes += length;
                self.skip = length;
                Ok(Some(begin))
            }
            OpCode::Control(control) => {
                let end = begin + usize::try_from(length).map_err(io::Error::other)?;
                let Some(payload) = bytes.get(begin..end) else { return Ok(None) };
                match control {
                    Control::Close => self.closed = true,
                    Control::Ping => {
                        let mut pong = Frame::pong(payload.to_vec());
                        pong.header_mut().mask = Some(MASK);
                        pong.format(&mut self.answer).map_err(io::Error::other)?;
                    }
                    Control::Pong | Control::Reserved(_) => {}
                }
                Ok(Some(end))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

    use super::*;

    fn sent() -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = |length: usize, last| Frame::message(vec![b'x'; length], OpCode::Data(Data::Text), last);
        let more = Frame::message(vec![b'y'; 7], OpCode::Data(Data::Continue), true);
        let frames = [text(3, true), Frame::ping("hello"), text(70_000, true), text(0, true), text(200, false), more];
        for frame in frames.into_iter().chain([Frame::close(None)]) {
            frame.format(&mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_frames_come() {
        let bytes = sent();
        for piece in [1, 2, 3, 7, 1_000, bytes.len()] {
            let mut heads = Heads::default();
            for part in bytes.chunks(piece) {
                assert!(!heads.closed);
                heads.take(part).unwrap();
            }
            assert_eq!((heads.messages, heads.bytes, heads.closed), (4, 70_210, true), "in pieces of {piece}");
            let (head, length) = FrameHeader::parse(&mut Cursor::new(&heads.answer)).unwrap().unwrap();
            assert_eq!((head.opcode, head.mask, length), (OpCode::Control(Control::Pong), Some(MASK), 5));
            let unmasked: Vec<u8> = heads.answer[6..].iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(unmasked, b"hello");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        // There is no such opcode.
        assert!(Heads::default().take(&[0x83, 0]).is_err());
    }
}
