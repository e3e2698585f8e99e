//! Encoded WebSocket frames. A message to a thousand subscribers is framed once and shared, and so are consecutive
//! messages of one stream: each connection then only writes the same bytes to its socket.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::send_budget::{Held, SendBudget};

/// The longest head of a frame that a server sends.
const HEAD_BYTES_MAX: usize = 10;
/// Messages are framed together up to so many bytes, so that a connection can read from its client between two writes.
pub const TOGETHER_BYTES_MAX: usize = 64 * 1024;

/// Whole text messages, one or more, ready for the wire. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Frames(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: Bytes,
    messages: usize,
    /// Its part of the bytes that may wait, of all connections together, once it has waited anywhere.
    held: OnceLock<Held>,
}

impl Frames {
    /// These messages, in this order.
    #[must_use]
    pub fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T, IntoIter: Clone>) -> Self {
        let texts = texts.into_iter();
        let room = texts.clone().map(|text| text.as_ref().len() + HEAD_BYTES_MAX).sum();
        let (mut bytes, mut messages) = (Vec::with_capacity(room), 0);
        for text in texts {
            let text = text.as_ref().as_bytes();
            let head = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
            // Writing into memory does not fail.
            let _ = head.format(text.len() as u64, &mut bytes);
            bytes.extend_from_slice(text);
            messages += 1;
        }
        Self(Arc::new(Shared { bytes: bytes.into(), messages, held: OnceLock::new() }))
    }

    /// These messages, in this order, in as many parts as they need to be [`TOGETHER_BYTES_MAX`] long at most, or a
    /// single message.
    #[must_use]
    pub fn parts_of(texts: &[String]) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut rest = texts;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|text| {
                bytes += text.len() + HEAD_BYTES_MAX;
                bytes <= TOGETHER_BYTES_MAX
            });
            let (part, later) = rest.split_at(fit.count().max(1));
            parts.push(Self::of(part));
            rest = later;
        }
        parts
    }

    /// The bytes of all of these, in this order, and without a copy if it is only one.
    #[must_use]
    pub fn join(all: &[Self]) -> Bytes {
        match all {
            [one] => one.0.bytes.clone(),
            _ => all.iter().map(|frames| &*frames.0.bytes).collect::<Vec<_>>().concat().into(),
        }
    }

    /// How many messages.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.0.messages
    }

    /// How many bytes go over the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes.len()
    }

    /// Counts it on the budget for as long as it lives; once, however many wait for it.
    pub(super) fn hold(&self, budget: &Arc<SendBudget>) {
        self.0.held.get_or_init(|| budget.hold(self.bytes()));
    }

    /// The messages, read back as a client reads them.
    #[cfg(test)]
    pub fn texts(&self) -> Vec<String> {
        let mut cursor = std::io::Cursor::new(&self.0.bytes);
        let mut texts = Vec::new();
        while let Some((head, length)) = FrameHeader::parse(&mut cursor).unwrap() {
            assert!(head.is_final && head.mask.is_none() && head.opcode == OpCode::Data(Data::Text));
            let (begin, length) = (usize::try_from(cursor.position()).unwrap(), usize::try_from(length).unwrap());
            texts.push(String::from_utf8(self.0.bytes[begin..begin + length].to_vec()).unwrap());
            cursor.set_position((begin + length) as u64);
        }
        texts
    }
}

impl From<String> for Frames {
    fn from(text: String) -> Self {
        Self::of([text.as_str()])
    }
}

impl From<&str> for Frames {
    fn from(text: &str) -> Self {
        Self::of([text])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_what_a_client_reads_at_every_length_of_head() {
        let texts = [0, 1, 125, 126, 65_535, 65_536].map(|length| "x".repeat(length));
        let frames = Frames::of(&texts);
        assert_eq!((frames.messages(), frames.texts()), (6, texts.to_vec()));
        let heads = [2, 2, 2, 4, 4, 10];
        let bytes: usize = texts.iter().zip(heads).map(|(text, head)| text.len() + head).sum();
        assert_eq!(frames.bytes(), bytes);
    }

    #[test]
    fn one_is_shared_and_several_are_joined_in_order() {
        let (one, two) = (Frames::from("one"), Frames::of(["two", "three"]));
        assert_eq!(Frames::join(std::slice::from_ref(&one)).as_ptr(), one.0.bytes.as_ptr());
        let both: Vec<u8> = [&*one.0.bytes, &*two.0.bytes].concat();
        assert_eq!(Frames::join(&[one, two]), both);
        assert!(Frames::join(&[]).is_empty());
    }

    #[test]
    fn many_messages_are_framed_in_parts_and_none_is_cut() {
        let texts: Vec<String> = (0..1_000).map(|at| format!("{at:>200}")).chain(["x".repeat(100_000)]).collect();
        let parts = Frames::parts_of(&texts);
        assert!(parts.iter().all(|part| part.bytes() <= TOGETHER_BYTES_MAX || part.messages() == 1));
        assert!((4..8).contains(&parts.len()), "{}", parts.len());
        assert_eq!(parts.iter().flat_map(Frames::texts).collect::<Vec<_>>(), texts);
        assert!(Frames::parts_of(&[]).is_empty());
    }
}
