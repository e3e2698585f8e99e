//! Why a replica cannot continue.

use crossbook_protocol::{Rules, wire};
use crossbook_types::{PartitionId, RequestNumber, Sequence};

/// The log is not the one that was applied, or asks for what this program does not know. Nothing must be answered from
/// it any more.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The record cannot be decoded.
    #[error("command {sequence} cannot be decoded: {source}")]
    Command {
        /// The command's place in the log.
        sequence: Sequence,
        /// The underlying error.
        source: wire::Error,
    },
    /// A record is missing.
    #[error("after command {after} came {found}")]
    Gap {
        /// The last command before.
        after: Sequence,
        /// The next one found.
        found: Sequence,
    },
    /// Another partition has received more messages than the log produces.
    #[error(
        "partition {to} has received {received} messages from it, but its whole log, up to command {end}, produces only {sent}: commands are \
         missing at its end. Restore the store from a backup or a replica that has them; there is no way to go on without them, for what \
         they moved has arrived"
    )]
    Behind {
        /// Where its log ends.
        end: Sequence,
        /// The partition that has received more.
        to: PartitionId,
        /// How much.
        received: RequestNumber,
        /// How much there is.
        sent: RequestNumber,
    },
    /// Other processes have computed something else.
    #[error(
        "another process has computed other effects of the commands up to {sequence} than this one: the two run programs that compute \
         differently, or one's memory is damaged. Compare the versions of all processes, and audit the cluster before this one is started \
         again"
    )]
    Diverged {
        /// The checkpoint.
        sequence: Sequence,
    },
    /// The log activates rules of a newer program.
    #[error("command {sequence} activates rules {rules}, and this program knows only rules up to {known}; upgrade it")]
    UnknownRules {
        /// The command's place in the log.
        sequence: Sequence,
        /// The rules that are active from there on.
        rules: Rules,
        /// The newest rules that the program knows.
        known: Rules,
    },
}
