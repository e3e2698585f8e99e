//! The binary form of commands, events and states.
//!
//! Everything is encoded by serde in the postcard format (a published, stable specification: little varints, enum
//! variants by number) behind one byte that names the version of the vocabulary. What has been written must be readable
//! for ever, so the vocabulary changes in one way only: new variants go to the end of their enum; anything else is a
//! new [`VERSION`], and the decoder of the old one stays. `tests` hold the bytes of each version fast.
//!
//! | version | what it brought |
//! | --- | --- |
//! | 1 | |
//! | 2 | a cancel has a restriction; a state knows of each order whether any of it has traded |
//! | 3 | a command has a deadline; the [`Rules`] of a command: those of version 3 are [`Rules::V2`], those of versions 1 and 2 [`Rules::V1`]; prevented matches, refused orders and modes of self-trade prevention; the venue's own accounts |
//!
//! States need no decoder of an old version: what cannot be read is made again from the log. Inventories, which an
//! export holds, do: see [`decode_export`].
//!
//! Sequence and time of a command are not in its bytes: the log's record has them.

use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::import::Inventory;
use crate::peer::Outgoing;
use crate::{Body, Cause, Command, Event, Rules};

mod frozen;
mod version_1;
mod version_2;

use frozen::Upgrade as _;

/// The version of the vocabulary that is written.
pub const VERSION: u8 = 3;

/// The bit of the version by which the operator has marked a command in its log as passed over; see
/// [`Command::skipped`]. No version has it.
pub const SKIPPED: u8 = 0x80;

/// Why bytes cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// They were written in a version that is not known, or not of this kind of value.
    #[error(
        "written in version {0}, this program writes version {VERSION}; use the program that wrote it, or a newer one"
    )]
    Version(u8),
    /// They are not what they should be.
    #[error("malformed or incomplete")]
    Malformed,
    /// There is more than belongs there.
    #[error("followed by bytes that do not belong there")]
    Trailing,
}

/// A command without what the record around it says.
#[derive(Serialize)]
struct CommandRef<'a> {
    source: SourceId,
    number: RequestNumber,
    deadline: Option<Timestamp>,
    body: &'a Body,
}

#[derive(Deserialize)]
struct CommandOwned {
    source: SourceId,
    number: RequestNumber,
    deadline: Option<Timestamp>,
    body: Body,
}

/// Appends a command's bytes to `out`. `deadline` is when its sender no longer wants it; see [`Command::deadline`].
pub fn encode_command(
    source: SourceId,
    number: RequestNumber,
    deadline: Option<Timestamp>,
    body: &Body,
    out: &mut Vec<u8>,
) {
    encode(&CommandRef { source, number, deadline, body }, out);
}

/// Reads a command from its record.
///
/// # Errors
/// When the bytes are not exactly one command of a known version.
pub fn decode_command(sequence: Sequence, time: Timestamp, bytes: &[u8]) -> Result<Command, Error> {
    let (&version, rest) = bytes.split_first().ok_or(Error::Malformed)?;
    let skipped = version & SKIPPED != 0;
    let old = |source, number, body| Command {
        sequence,
        time,
        source,
        number,
        rules: Rules::V1,
        deadline: None,
        skipped,
        body,
    };
    Ok(match version & !SKIPPED {
        1 => {
            let version_2::Command::<version_1::Body> { source, number, body } = read(rest)?;
            old(source, number, body.upgrade())
        }
        2 => {
            let version_2::Command::<version_2::Body> { source, number, body } = read(rest)?;
            old(source, number, body.upgrade())
        }
        VERSION => {
            let CommandOwned { source, number, deadline, body } = read(rest)?;
            Command { sequence, time, source, number, rules: Rules::V2, deadline, skipped, body }
        }
        version => return Err(Error::Version(version)),
    })
}

/// Appends the bytes of one command's events to `out`.
pub fn encode_events(cause: Cause, events: &[Event], out: &mut Vec<u8>) {
    encode(&(cause, events), out);
}

/// Reads one command's events.
///
/// # Errors
/// When the bytes are not exactly that, of a known version.
pub fn decode_events(bytes: &[u8]) -> Result<(Cause, Vec<Event>), Error> {
    match bytes.split_first() {
        // Nothing in the events of version 1 is different from those of version 2.
        Some((1 | 2, rest)) => {
            let (cause, events): (Cause, Vec<version_2::events::Event>) = read(rest)?;
            Ok((cause, events.upgrade()))
        }
        _ => decode(bytes),
    }
}

/// What a partition of a cluster tells of one command: its events, and what ties them to other partitions.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Published {
    /// The command.
    pub cause: Cause,
    /// Who sent it, a gateway or another partition.
    pub source: SourceId,
    /// As which of its commands.
    pub number: RequestNumber,
    /// The messages that the command left for other partitions: for each of them the number of the last.
    pub sent: Vec<(PartitionId, RequestNumber)>,
    /// What happened.
    pub events: Vec<Event>,
}

#[derive(Serialize)]
struct PublishedRef<'a> {
    cause: Cause,
    source: SourceId,
    number: RequestNumber,
    sent: &'a [(PartitionId, RequestNumber)],
    events: &'a [Event],
}

/// Appends the bytes of what a partition tells of `command` to `out`. `outgoing` are the messages that the command
/// left, in order.
pub fn encode_published(command: &Command, outgoing: &[Outgoing], events: &[Event], out: &mut Vec<u8>) {
    let &Command { sequence, time, source, number, .. } = command;
    let mut sent: Vec<(PartitionId, RequestNumber)> = Vec::new();
    for message in outgoing {
        match sent.iter_mut().find(|(to, _)| *to == message.to) {
            Some((_, last)) => *last = message.number,
            None => sent.push((message.to, message.number)),
        }
    }
    encode(&PublishedRef { cause: Cause { sequence, time }, source, number, sent: &sent, events }, out);
}

/// Reads what a partition tells of one command.
///
/// # Errors
/// When the bytes are not exactly that, of a known version.
pub fn decode_published(bytes: &[u8]) -> Result<Published, Error> {
    match bytes.split_first() {
        Some((2, rest)) => read::<version_2::events::Published>(rest).map(version_2::events::Published::upgrade),
        _ => decode(bytes),
    }
}

/// Reads a value that ends in an inventory: `(head, inventory)`, or a struct whose last field the inventory is. An
/// export is kept for longer than a version lasts.
///
/// # Errors
/// When the bytes are not exactly that, of a known version.
pub fn decode_export<H: DeserializeOwned>(bytes: &[u8]) -> Result<(H, Inventory), Error> {
    match bytes.split_first() {
        Some((2, rest)) => {
            let (head, inventory): (H, version_2::import::Inventory) = read(rest)?;
            Ok((head, inventory.upgrade()))
        }
        _ => decode(bytes),
    }
}

/// Appends the bytes of any value of the vocabulary to `out`.
pub fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    out.push(VERSION);
    postcard::serialize_with_flavor(value, Append(out)).expect("memory takes any value");
}

/// Reads a value of the vocabulary.
///
/// # Errors
/// When the bytes are not exactly that, of the version that is written.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => read(rest),
        Some((&version, _)) => Err(Error::Version(version)),
        None => Err(Error::Malformed),
    }
}

/// Reads a value from what follows the version.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(Error::Trailing),
        Err(_) => Err(Error::Malformed),
    }
}

/// SHA-256 over the canonical form of a value: two values share it when, and practically only when, they are equal.
#[must_use]
pub fn hash<T: Serialize>(value: &T) -> [u8; 32] {
    let hash = Hashing { hasher: Sha256::new(), buffer: Vec::with_capacity(Hashing::BUFFER) };
    postcard::serialize_with_flavor(value, hash).expect("a hasher takes any value")
}

/// Writes at the end of a vector that is used again and again.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Hashes instead of writing.
struct Hashing {
    hasher: Sha256,
    buffer: Vec<u8>,
}

impl Hashing {
    const BUFFER: usize = 8_192;

    fn flush_full(&mut self) {
        if self.buffer.len() >= Self::BUFFER {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }
}

impl Flavor for Hashing {
    type Output = [u8; 32];

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.buffer.push(byte);
        self.flush_full();
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.flush_full();
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<[u8; 32]> {
        self.hasher.update(&self.buffer);
        Ok(self.hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests;
