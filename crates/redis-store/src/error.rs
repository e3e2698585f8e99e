//! The errors of the store, sorted by how to handle them.

use crossbook_cluster::store::{Closing, ErrorKind, StoreError};
use crossbook_types::{PartitionId, Sequence};

/// The errors of the streams. After any of these except [`Error::RecordTooLarge`], [`Error::BatchTooLarge`] and
/// [`Error::TurnTooLarge`] the link must be dropped; [`StoreError::is_transient`] decides whether to connect again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict each other, or an address is none.
    #[error("stream options: {0}")]
    Options(String),

    /// No server that was asked knows a master for the partition. Passes when one is up.
    #[error("no Redis server for partition {partition}: {tried}; check that the servers run and can be reached")]
    Unreachable {
        /// The partition.
        partition: PartitionId,
        /// The servers that were asked, and their errors.
        tried: String,
    },

    /// The connection is lost, or the answer did not come in time. What was asked may have been done or not.
    #[error("lost Redis server {server}: {source}")]
    Lost {
        /// Which server.
        server: String,
        /// What happened.
        source: redis::RedisError,
    },

    /// The server is not, or no longer, the master of this partition. Passes with a new connection.
    #[error("Redis server {server} is not the master of this partition: {said}")]
    Moved {
        /// Which server.
        server: String,
        /// Its answer.
        said: String,
    },

    /// The partition's slot is moving to another server, or has moved. Passes when it has arrived there.
    #[error("Redis server {server} does not have the slot of this partition now: {said}")]
    Elsewhere {
        /// Which server.
        server: String,
        /// Its answer.
        said: String,
    },

    /// The server cannot serve at the moment. This passes by itself, or when the cluster is complete again.
    #[error("Redis server {server} is not ready: {said}")]
    Unready {
        /// Which server.
        server: String,
        /// Its answer.
        said: String,
    },

    /// Too few replicas have acknowledged in time. Nothing of it may be acted upon.
    #[error(
        "not durable: {acknowledged} replicas of Redis server {server} have acknowledged, {online} are online and {needed} are needed; bring a replica back"
    )]
    NotDurable {
        /// The master.
        server: String,
        /// How many acknowledged.
        acknowledged: u32,
        /// How many are connected.
        online: u32,
        /// How many are needed: [`crate::Options::replicas_min`].
        needed: u32,
    },

    /// A command is larger than the options allow. Nothing was appended.
    #[error("a command of {bytes} bytes is larger than record_bytes_max, {limit}")]
    RecordTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },

    /// A batch is larger than the options allow. Nothing was appended.
    #[error(
        "a batch of {records} commands and {bytes} bytes is larger than batch_records_max or batch_bytes_max; append it in parts"
    )]
    BatchTooLarge {
        /// Commands in it.
        records: usize,
        /// Bytes in them.
        bytes: usize,
    },

    /// A turn is larger than the options allow. Nothing was appended.
    #[error(
        "a turn of {records} commands and {bytes} bytes is larger than turn_records_max or turn_bytes_max; append it in several turns"
    )]
    TurnTooLarge {
        /// Commands in it.
        records: usize,
        /// Bytes in them.
        bytes: usize,
    },

    /// What was asked for has been trimmed away.
    #[error("command {asked} is no longer in stream in, which begins at {first}; start from a snapshot at or after it")]
    Trimmed {
        /// The requested value.
        asked: Sequence,
        /// The first command still there.
        first: Sequence,
    },

    /// A command is missing in the middle of the stream, which only an intruder can cause.
    #[error("stream in has a gap: after {expected} was due, {found} came; stop, and restore the servers from a backup")]
    Gap {
        /// The command that should be next.
        expected: Sequence,
        /// The command that is next.
        found: Sequence,
    },

    /// The operator has skipped commands since this connection was made, and its user may have applied them.
    #[error("commands were skipped since this conversation began; start again: they are then applied as refused")]
    Marked,

    /// The venue moves, or has moved, elsewhere.
    #[error(
        "the partition is closed: {0}. Import that file elsewhere; if it was imported nowhere, `crossbook export \
         --cluster --reopen` opens the venue again"
    )]
    Closed(Closing),

    /// The partition is closed in a way that this program does not know.
    #[error("the partition is closed in a way that this program does not know ({0}); use the version that closed it")]
    UnknownClosing(String),

    /// The venue was made with another number of partitions.
    #[error(
        "the venue {venue} was created with {stored} partitions, the configuration has {configured}; the number cannot be changed, correct the configuration or choose another venue name"
    )]
    Partitions {
        /// The venue's name.
        venue: String,
        /// The number it was made with.
        stored: u64,
        /// The number in the configuration.
        configured: u16,
    },

    /// The venue was made with another routing.
    #[error(
        "the venue {venue} was created with another routing of accounts and markets to partitions; configure that routing, or choose another venue name"
    )]
    Routing {
        /// The venue's name.
        venue: String,
        /// The routing it was made with.
        stored: Vec<u8>,
    },

    /// There is no such command.
    #[error("stream in has no command {0}")]
    NoEntry(Sequence),

    /// A mark states that an entry is skipped, but the mark is of another entry, or of a newer version.
    #[error(
        "entry {sequence} of stream in is marked as skipped ({mark}), but the mark is of another entry, or of a newer version; use \
         the version that wrote it, or remove the field {sequence} from the hash of the marks if the store was restored from a backup"
    )]
    ForeignMark {
        /// Which entry.
        sequence: Sequence,
        /// The mark.
        mark: String,
    },

    /// The system gives no random bytes.
    #[error("the system cannot provide random bytes: {0}")]
    Random(std::io::Error),

    /// The server refused for a reason of its own: memory, permissions, a failing disk.
    #[error("Redis server {server} refused: {said}")]
    Refused {
        /// Which server.
        server: String,
        /// Its answer.
        said: String,
    },

    /// The server's answer is not what this program understands.
    #[error(
        "Redis server {server} answered {what} in an unexpected form; check that it is Redis 7 or Valkey, and that the keys are this venue's"
    )]
    Answer {
        /// Which server.
        server: String,
        /// Which answer.
        what: &'static str,
    },
}

impl StoreError for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Moved { .. } | Self::Unready { .. } => {
                ErrorKind::Unavailable
            }
            Self::Elsewhere { .. } => ErrorKind::Elsewhere,
            Self::NotDurable { .. } => ErrorKind::NotConfirmed,
            Self::RecordTooLarge { .. } | Self::BatchTooLarge { .. } | Self::TurnTooLarge { .. } => ErrorKind::TooLarge,
            Self::Trimmed { asked, first, .. } => ErrorKind::Trimmed { asked: *asked, first: *first },
            Self::Marked => ErrorKind::Marked,
            Self::Closed(_) => ErrorKind::Closed,
            Self::NoEntry(_) => ErrorKind::Missing,
            _ => ErrorKind::Other,
        }
    }

    fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::Moved { .. }
                | Self::Elsewhere { .. }
                | Self::Unready { .. }
                | Self::NotDurable { .. }
                | Self::Refused { .. }
        )
    }
}

impl Error {
    /// Whether the map of the cluster may be out of date.
    pub(crate) fn doubts_the_map(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::Moved { .. }
                | Self::Elsewhere { .. }
                | Self::Unready { .. }
        )
    }

    /// Why a partition is closed, from the text that is stored of it.
    pub(crate) fn closed(text: &str) -> Self {
        Closing::decode(text).map_or_else(|| Self::UnknownClosing(text.to_owned()), Self::Closed)
    }

    /// Classifies an error of a server.
    pub(crate) fn of_server(server: &str, error: &redis::ServerError) -> Self {
        let (server, said) = (server.to_owned(), said(error));
        match error.code() {
            // UNBLOCKED: the server was made a replica while we waited.
            "READONLY" | "UNBLOCKED" => Self::Moved { server, said },
            // TRYAGAIN: some keys of the partition are still there, others are not.
            // ENDLESS: it may be that the keys are elsewhere. Whoever has applied what is missing finds that out.
            "MOVED" | "ASK" | "TRYAGAIN" | "ENDLESS" => Self::Elsewhere { server, said },
            "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "NOREPLICAS" | "BUSY" => Self::Unready { server, said },
            "MARKED" => Self::Marked,
            "CLOSED" => Self::closed(error.details().unwrap_or_default()),
            // So says a script of the same: that it has met a partition whose slot the server does not have any more,
            // or that the cluster is not whole.
            "ERR" if said.contains("non local key") => Self::Elsewhere { server, said },
            "ERR" if said.contains("the cluster is down") => Self::Unready { server, said },
            _ => Self::Refused { server, said },
        }
    }
}

/// An error of a server, verbatim.
pub(crate) fn said(error: &redis::ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned()
}
