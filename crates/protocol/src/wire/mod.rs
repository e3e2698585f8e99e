//! The binary form of commands, events and states.
//!
//! A record begins with a byte that is its version; the values that follow are written by [`codec`] and described by
//! [`values`] and [`messages`]: each struct by its numbered fields, each enum by its numbered variants. Every written
//! record must stay readable. A new variant or a new optional field needs no new version, and a version that does not
//! know it refuses it by name. Other changes are a new [`VERSION`]; the descriptions contain the differences of the old
//! ones. `tests` pin the bytes of each version.
//!
//! | version | changes |
//! | --- | --- |
//! | 1 | |
//! | 2 | a cancel has a restriction; a venue can be imported |
//! | 3 | a command has a deadline; prevented matches, refused orders and modes of self-trade prevention; the venue's own accounts; fee credits |
//! | 4 | structs have a mask of optional fields; the rules of a command are those that are active in the partition's state |
//!
//! A command of version 1 or 2 is applied under [`Rules::V1`], one of version 3 under [`Rules::V2`]; see
//! [`Command::rules`].
//!
//! Sequence and time of a command are not in its bytes: the log's record has them.

use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use sha2::{Digest, Sha256};

use crate::peer::Outgoing;
use crate::{Body, Cause, Command, Deadline, Event, Rules};

pub mod codec;
mod messages;
mod values;

use codec::{Reader, Sink, Wire, wire_struct, write_list};

/// The version that is written.
pub const VERSION: u8 = 4;

/// The bit of the version by which the operator has marked a command in its log as skipped; see [`Command::skipped`].
/// No version has it.
pub const SKIPPED: u8 = 0x80;

/// The bit of a command's optional field 4, [`Deadline::market`]; 0 to 3 are source, number, deadline and body.
const AT_MARKET: u64 = 1 << 4;

/// Why bytes cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// They were written in a version that is not known.
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
    /// A struct has a field that a newer program has written.
    #[error("field {number} of {of} is not known to this program; upgrade it")]
    UnknownField {
        /// Which struct.
        of: &'static str,
        /// The number of the field.
        number: u32,
    },
    /// An enum is of a variant that a newer program has written.
    #[error("variant {number} of {of} is not known to this program; upgrade it")]
    UnknownVariant {
        /// Which enum.
        of: &'static str,
        /// The number of the variant.
        number: u32,
    },
}

/// Appends a command's bytes to `out`. `deadline` is when its sender no longer wants it; see [`Command::deadline`].
pub fn encode_command(
    source: SourceId,
    number: RequestNumber,
    deadline: Option<Deadline>,
    body: &Body,
    out: &mut Vec<u8>,
) {
    let at_market = deadline.and_then(|deadline| deadline.market);
    let mask = if at_market.is_some() { AT_MARKET } else { 0 };
    out.push(VERSION);
    mask.write(out);
    source.write(out);
    number.write(out);
    deadline.map(|deadline| deadline.own).write(out);
    body.write(out);
    if let Some(at_market) = at_market {
        at_market.write(out);
    }
}

/// Reads a command from its record.
///
/// # Errors
/// When the bytes are not exactly one command of a known version.
pub fn decode_command(sequence: Sequence, time: Timestamp, bytes: &[u8]) -> Result<Command, Error> {
    let (&version, rest) = bytes.split_first().ok_or(Error::Malformed)?;
    let skipped = version & SKIPPED != 0;
    let version = version & !SKIPPED;
    let rules = match version {
        1 | 2 => Some(Rules::V1),
        3 => Some(Rules::V2),
        VERSION => None,
        _ => return Err(Error::Version(version)),
    };
    let mut from = Reader::new(version, rest);
    let mask = from.mask(AT_MARKET, "Command")?;
    let (source, number) = Wire::read(&mut from)?;
    let mut deadline: Option<Deadline> =
        if version >= 3 { Option::read(&mut from)?.map(Timestamp::into) } else { None };
    let body = Wire::read(&mut from)?;
    if mask & AT_MARKET != 0 {
        deadline.as_mut().ok_or(Error::Malformed)?.market = Some(Wire::read(&mut from)?);
    }
    from.end()?;
    Ok(Command { sequence, time, source, number, rules, deadline, skipped, body })
}

/// Appends the bytes of one command's events to `out`.
pub fn encode_events(cause: Cause, events: &[Event], out: &mut Vec<u8>) {
    out.push(VERSION);
    cause.write(out);
    write_list(events, out);
}

/// Reads one command's events.
///
/// # Errors
/// When the bytes are not exactly that, of a known version.
pub fn decode_events(bytes: &[u8]) -> Result<(Cause, Vec<Event>), Error> {
    decode(bytes)
}

/// What a partition of a cluster publishes of one command: its events, and what ties them to other partitions.
#[derive(Clone, PartialEq, Eq, Debug)]
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

wire_struct! {
    Published { 0: cause, 1: source, 2: number, 3: sent, 4: events }
}

/// Appends the bytes of what a partition publishes of `command` to `out`. `outgoing` are the messages that the command
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
    // As a `Published` is written, without making one.
    out.push(VERSION);
    0u64.write(out);
    Cause { sequence, time }.write(out);
    source.write(out);
    number.write(out);
    sent.write(out);
    write_list(events, out);
}

/// Reads what a partition publishes of one command.
///
/// # Errors
/// When the bytes are not exactly that, of a known version.
pub fn decode_published(bytes: &[u8]) -> Result<Published, Error> {
    decode(bytes)
}

/// Appends the bytes of any value to `out`.
pub fn encode<T: Wire>(value: &T, out: &mut Vec<u8>) {
    out.push(VERSION);
    value.write(out);
}

/// Reads a value.
///
/// # Errors
/// When the bytes are not exactly that, of a known version.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, Error> {
    match bytes.split_first() {
        Some((&version @ 1..=VERSION, rest)) => {
            let mut from = Reader::new(version, rest);
            let value = T::read(&mut from)?;
            from.end()?;
            Ok(value)
        }
        Some((&version, _)) => Err(Error::Version(version)),
        None => Err(Error::Malformed),
    }
}

/// SHA-256 over the canonical form of a value: two values share it when, and practically only when, they are equal. An
/// optional field that came later does not change the hash of a value that has it not.
#[must_use]
pub fn hash<T: Wire>(value: &T) -> [u8; 32] {
    let mut hashing = Hashing { hasher: Sha256::new(), buffer: Vec::with_capacity(Hashing::BUFFER) };
    value.write(&mut hashing);
    hashing.hasher.update(&hashing.buffer);
    hashing.hasher.finalize().into()
}

/// Hashes instead of writing.
struct Hashing {
    hasher: Sha256,
    buffer: Vec<u8>,
}

impl Hashing {
    const BUFFER: usize = 8_192;

    #[inline]
    fn flush_full(&mut self) {
        if self.buffer.len() >= Self::BUFFER {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }
}

impl Sink for Hashing {
    const MASKED: bool = false;

    #[inline]
    fn push(&mut self, byte: u8) {
        self.buffer.push(byte);
        self.flush_full();
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.flush_full();
    }
}

#[cfg(test)]
mod tests;
