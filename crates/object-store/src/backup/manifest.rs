//! The manifest of a backup: JSON with a checksum.

use crossbook_types::Sequence;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// Counts the versions of the manifest. A program refuses those that it does not know.
const FORMAT: u32 = 1;

/// What belongs to a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of this manifest.
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// When the run began that wrote it, in milliseconds since the Unix epoch.
    pub begun_at: u64,
    /// The identity of the log, in hexadecimal digits.
    pub log: String,
    /// The last record in it. What was acknowledged before the run began is at or before it.
    pub last: Sequence,
    /// The time of that, in microseconds since the Unix epoch; manifests of older programs do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<u64>,
    /// The record that the log began with: those from there to the first segment are lost, because nothing had trimmed
    /// them. Manifests of older programs do not have it, nor does that of an empty log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Sequence>,
    /// The segments of the log, each of which continues the one before.
    pub segments: Vec<Segment>,
    /// The newest snapshot, at that record.
    pub snapshot: Option<(Sequence, Stored)>,
    /// The skipped records in the segments, in order. Manifests of older programs do not have them: any record of their
    /// segments may have been skipped since.
    #[serde(default)]
    pub marks: Option<Vec<Sequence>>,
    /// Objects of the backup before that are not in this one. The next run removes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<String>,
}

/// A segment of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Its first record.
    pub first: Sequence,
    /// Its last record, as far as it was copied.
    pub last: Sequence,
    /// Whether nothing will be added to it any more.
    pub finished: bool,
    /// Where it is.
    pub stored: Stored,
}

/// An object of the backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// What it is called.
    pub object: String,
    /// Size of the object.
    pub bytes: u64,
    /// The SHA-256 of all of them, in hexadecimal digits.
    pub sha256: String,
}

/// How a manifest is written down. The checksum is of the text as it stands.
#[derive(Serialize, Deserialize)]
struct Signed {
    manifest: Box<RawValue>,
    sha256: String,
}

impl Manifest {
    /// The manifest of a first backup, which has nothing in it yet.
    pub(super) fn new(log: String, begun_at: u64) -> Self {
        let program = concat!("crossbook ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            format: FORMAT,
            program,
            begun_at,
            log,
            last: Sequence(0),
            last_time: None,
            began: None,
            segments: Vec::new(),
            snapshot: None,
            marks: Some(Vec::new()),
            superseded: Vec::new(),
        }
    }

    /// All objects that it names.
    pub fn objects(&self) -> impl Iterator<Item = &Stored> {
        self.segments.iter().map(|segment| &segment.stored).chain(self.snapshot.as_ref().map(|(_, stored)| stored))
    }

    /// The first record that is in it; one past the last if there is none.
    #[must_use]
    pub fn first(&self) -> Sequence {
        self.segments.first().map_or(self.last.next(), |segment| segment.first)
    }

    /// The first and the last record that the log had lost at its beginning, if it had lost any.
    #[must_use]
    pub fn missing(&self) -> Option<(Sequence, Sequence)> {
        let first = self.first();
        self.began.filter(|began| *began < first).map(|began| (began, Sequence(first.0 - 1)))
    }

    /// The manifest as JSON with its checksum.
    pub(super) fn encode(&self) -> Vec<u8> {
        // Of strings and numbers, which have a form in JSON.
        let manifest = serde_json::value::to_raw_value(self).expect("a manifest is JSON");
        let sha256 = hex::encode(Sha256::digest(manifest.get()));
        serde_json::to_vec(&Signed { manifest, sha256 }).expect("a manifest is JSON")
    }

    /// The manifest of that text; else what is wrong with it.
    pub(super) fn decode(text: &[u8]) -> Result<Self, String> {
        let signed: Signed = serde_json::from_slice(text).map_err(|error| format!("it is no manifest ({error})"))?;
        if hex::encode(Sha256::digest(signed.manifest.get())) != signed.sha256 {
            return Err("its checksum does not fit".to_owned());
        }
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } =
            serde_json::from_str(signed.manifest.get()).map_err(|error| format!("it names no format ({error})"))?;
        if format != FORMAT {
            return Err(format!("it has format {format}, this program reads format {FORMAT}"));
        }
        let manifest: Self = serde_json::from_str(signed.manifest.get()).map_err(|error| error.to_string())?;
        manifest.check().map(|()| manifest)
    }

    /// Whether the segments make a log.
    fn check(&self) -> Result<(), String> {
        let mut next = None;
        for segment in &self.segments {
            if next.is_some_and(|next| next != segment.first) || segment.last < segment.first {
                return Err(format!("the segment at record {} does not continue the one before", segment.first));
            }
            next = Some(segment.last.next());
        }
        if next.is_some_and(|next| next != self.last.next()) {
            return Err("its last segment does not end where it ends".to_owned());
        }
        match &self.snapshot {
            Some((at, _)) if *at > self.last => Err("its snapshot is of later than its log".to_owned()),
            snapshot
                if self.first() > Sequence(1) && snapshot.as_ref().is_none_or(|(at, _)| at.next() < self.first()) =>
            {
                Err("its log has lost its beginning, and no snapshot stands for it".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let stored = |object: &str| Stored { object: object.to_owned(), bytes: 7, sha256: "ab".repeat(32) };
        let segment = |first, last| Segment {
            first: Sequence(first),
            last: Sequence(last),
            finished: last < 20,
            stored: stored(&format!("log/{first}")),
        };
        Manifest {
            segments: vec![segment(1, 9), segment(10, 25)],
            last: Sequence(25),
            snapshot: Some((Sequence(12), stored("snapshots/12"))),
            ..Manifest::new("00ff".to_owned(), 1_700_000_000_000)
        }
    }

    #[test]
    fn it_reads_back_and_every_changed_or_missing_byte_is_noticed() {
        let text = manifest().encode();
        assert_eq!(Manifest::decode(&text), Ok(manifest()));
        assert_eq!(manifest().objects().count(), 3);
        for at in 0..text.len() {
            let mut bad = text.clone();
            bad[at] ^= 1;
            assert_ne!(Manifest::decode(&bad), Ok(manifest()), "byte {at}");
            assert!(Manifest::decode(&bad).is_err() || bad[at] == b'"', "byte {at}");
            assert!(Manifest::decode(&text[..at]).is_err(), "length {at}");
        }
    }

    #[test]
    fn it_knows_what_the_log_had_lost_before_its_first_segment() {
        let begun = |began| Manifest { began, ..manifest() };
        assert_eq!((begun(None).missing(), begun(Some(Sequence(1))).missing()), (None, None));
        let mut lost = begun(Some(Sequence(1)));
        lost.segments.remove(0);
        assert_eq!(lost.missing(), Some((Sequence(1), Sequence(9))));
        assert_eq!(Manifest::decode(&lost.encode()), Ok(lost));
        let text = String::from_utf8(begun(None).encode()).unwrap();
        assert!(!text.contains("began\""), "as older programs wrote it: {text}");
    }

    #[test]
    fn one_that_would_not_open_is_refused() {
        let refused = |change: fn(&mut Manifest)| {
            let mut changed = manifest();
            change(&mut changed);
            Manifest::decode(&changed.encode()).unwrap_err()
        };
        assert!(refused(|changed| changed.format = 2).contains("format 2, this program reads format 1"));
        assert!(refused(|changed| changed.segments[1].first = Sequence(11)).contains("does not continue"));
        assert!(refused(|changed| changed.last = Sequence(26)).contains("does not end where it ends"));
        assert!(refused(|changed| drop(changed.segments.remove(1))).contains("does not end where it ends"));
        assert!(refused(|changed| changed.snapshot.as_mut().unwrap().0 = Sequence(26)).contains("of later"));
        assert!(
            refused(|changed| {
                changed.segments.remove(0);
                changed.snapshot = None
            })
            .contains("lost its beginning")
        );
        assert!(
            refused(|changed| {
                changed.segments.remove(0);
                changed.snapshot.as_mut().unwrap().0 = Sequence(8);
            })
            .contains("lost its beginning")
        );
    }
}
