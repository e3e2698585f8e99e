//! What ends a replica.

use crossbook_protocol::Rules;
use crossbook_types::Sequence;

/// Why a replica must not continue. Its process must not run this partition any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// A record is not a command.
    #[error("record {sequence} of the partition's log cannot be decoded: {source}")]
    Command {
        /// The command's place in the log.
        sequence: Sequence,
        /// The underlying error.
        source: crossbook_protocol::wire::Error,
    },
    /// What another worker has published of a command is not what this one has computed.
    #[error(
        "the output of command {sequence} that is published is not the one that this worker has computed: one of the two \
         runs a program that applies the rules in another way, or on a machine that fails. Compare the versions of all \
         workers, and `crossbook audit` the partition before either continues"
    )]
    Diverged {
        /// The command's place in the log.
        sequence: Sequence,
    },
    /// Newer rules were activated than this program knows.
    #[error("command {sequence} activates rules {rules}, and this program knows only rules up to {known}; upgrade it")]
    UnknownRules {
        /// The command's place in the log.
        sequence: Sequence,
        /// What it activates.
        rules: Rules,
        /// What the program knows.
        known: Rules,
    },
    /// The log has a gap, or goes back.
    #[error("the partition's log continues with record {found} after {after}; it is not the log that was read before")]
    Gap {
        /// The last record read.
        after: Sequence,
        /// The one that was read.
        found: Sequence,
    },
    /// `out` has lost entries that were confirmed.
    #[error(
        "the partition's outputs end at {published}, but up to {confirmed} they were confirmed on every replica: the log has forked, which \
         takes two failures at once; restore the store from a backup, or make this shard's master the node that has the entries"
    )]
    Lost {
        /// Where `out` ends.
        published: Sequence,
        /// Up to where it was confirmed.
        confirmed: Sequence,
    },
    /// `out` ends before the state that this replica starts from.
    #[error(
        "the partition's outputs end at {published}, before the snapshot at {snapshot}: the store has lost its end. Restore it from a backup or a \
         replica that has it; `crossbook worker --discard-newer` abandons the missing commands for good"
    )]
    Behind {
        /// Where `out` ends.
        published: Sequence,
        /// The position of the state.
        snapshot: Sequence,
    },
}
