//! Messages as they go over the wire. A message to a thousand subscribers is framed once and shared, and so are several that follow each
//! other on one stream: what each connection then has to do for all of them is to hand the same bytes to the system.

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// The longest head of a frame that a server sends.
const HEAD_BYTES_MAX: usize = 10;

/// Whole text messages, one or more, ready for the wire. Clones share the bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frames {
    bytes: Bytes,
    messages: usize,
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
        Self { bytes: bytes.into(), messages }
    }

    /// The bytes of all of these, in this order, and without a copy if it is only one.
    #[must_use]
    pub fn join(all: &[Self]) -> Bytes {
        match all {
            [one] => one.bytes.clone(),
            _ => all.iter().map(|frames| &*frames.bytes).collect::<Vec<_>>().concat().into(),
        }
    }

    /// How many messages.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// How many bytes go over the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The messages, read back as a client reads them.
    #[cfg(test)]
    pub fn texts(&self) -> Vec<String> {
        let mut cursor = std::io::Cursor::new(&self.bytes);
        let mut texts = Vec::new();
        while let Some((head, length)) = FrameHeader::parse(&mut cursor).unwrap() {
            assert!(head.is_final && head.mask.is_none() && head.opcode == OpCode::Data(Data::Text));
            let (begin, length) = (usize::try_from(cursor.position()).unwrap(), usize::try_from(length).unwrap());
            texts.push(String::from_utf8(self.bytes[begin..begin + length].to_vec()).unwrap());
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
        assert_eq!(Frames::join(std::slice::from_ref(&one)).as_ptr(), one.bytes.as_ptr());
        let joined = Frames { bytes: Frames::join(&[one, two]), messages: 3 };
        assert_eq!(joined.texts(), ["one", "two", "three"]);
        assert!(Frames::join(&[]).is_empty());
    }
}
