//! The file of a venue's export: `crossbook export` writes it and `crossbook import` reads it.
//!
//! ```text
//!   "CBEXPORT" | version, 4 bytes | length of the body, 8 bytes | body (wire) | SHA-256 of all before
//! ```
//!
//! Numbers are little-endian. The body is an [`Export`] in the wire form of [`crossbook_protocol::wire`], which begins
//! with a version of its own. The checksum at the end also identifies the export: chunks of two exports are never
//! mixed. It protects against damage, not against forgery; whoever can write the file can write any venue into it.
//!
//! The secrets of API keys are in it as in the log: encrypted under the venue's secret key, which is not in it.

use crossbook_protocol::import::{ExportId, Inventory};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{Sequence, Timestamp};
use sha2::{Digest, Sha256};

/// What every such file begins with.
pub const MAGIC: &[u8; 8] = b"CBEXPORT";
/// The version of the file that is written.
pub const VERSION: u32 = 1;

const HEADER_BYTES: usize = MAGIC.len() + 4 + 8;
const CHECKSUM_BYTES: usize = 32;

/// A venue, and its position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The last command of its log.
    pub sequence: Sequence,
    /// The time of that command.
    pub time: Timestamp,
    /// See [`crossbook_engine::state_hash`].
    pub state_hash: [u8; 32],
    /// All that it has.
    pub inventory: Inventory,
}

/// Why bytes are not an export that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// They begin in another way.
    #[error("this is not a file that `crossbook export` has made")]
    NotAnExport,
    /// They were written by a newer program.
    #[error(
        "the export has version {0}, this program reads version {VERSION}; use the program that made it, or a newer one"
    )]
    Newer(u32),
    /// They are not what was written.
    #[error("the export is damaged or incomplete; copy it again, or export again")]
    Damaged,
    /// They are what was written, but say nothing that this program understands.
    #[error("the export cannot be decoded: {0}")]
    Body(#[from] crossbook_protocol::wire::Error),
}

/// The bytes of an export, and its name.
#[must_use]
pub fn encode(export: &Export) -> (Vec<u8>, ExportId) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    crossbook_protocol::wire::encode(export, &mut bytes);
    let length = (bytes.len() - HEADER_BYTES) as u64;
    bytes[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let name: ExportId = Sha256::digest(&bytes).into();
    bytes.extend_from_slice(&name);
    (bytes, name)
}

/// The export of these bytes, and its name.
///
/// # Errors
/// When they are not exactly one, of a version that this program reads.
pub fn decode(bytes: &[u8]) -> Result<(Export, ExportId), Error> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Error::NotAnExport)?;
    let (version, _) = rest.split_first_chunk::<4>().ok_or(Error::Damaged)?;
    // Told before anything else: a newer file may be laid out in another way.
    match u32::from_le_bytes(*version) {
        VERSION => {}
        0 => return Err(Error::Damaged),
        version => return Err(Error::Newer(version)),
    }
    let end = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|&end| end >= HEADER_BYTES).ok_or(Error::Damaged)?;
    let (body, checksum) = bytes.split_at(end);
    let name: ExportId = Sha256::digest(body).into();
    let length = ((end - HEADER_BYTES) as u64).to_le_bytes();
    if body[HEADER_BYTES - 8..HEADER_BYTES] != length || name != checksum {
        return Err(Error::Damaged);
    }
    Ok((crossbook_protocol::wire::decode(&body[HEADER_BYTES..])?, name))
}

wire_struct! {
    Export { 0: sequence, 1: time, 2: state_hash, 3: inventory }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export() -> Export {
        Export { sequence: Sequence(7), time: Timestamp(9), state_hash: [3; 32], inventory: Inventory::default() }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let (bytes, name) = encode(&export());
        assert_eq!(decode(&bytes), Ok((export(), name)));
        assert_eq!(bytes[..12], *b"CBEXPORT\x01\0\0\0");
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
        assert_eq!(decode(&[&bytes[..], b"x"].concat()), Err(Error::Damaged));
        assert_eq!(decode(b"something else"), Err(Error::NotAnExport));
    }

    #[test]
    fn a_newer_version_is_named() {
        let (mut bytes, _) = encode(&export());
        bytes[8] = 2;
        let refused = decode(&bytes).unwrap_err();
        assert_eq!(refused, Error::Newer(2));
        assert!(refused.to_string().contains("version 2") && refused.to_string().contains("newer"), "{refused}");
    }
}
