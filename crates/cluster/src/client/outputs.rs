//! What a partition's outputs contain for a gateway besides the events: which of its requests were accepted, and how
//! far partitions have received each other's messages.

use crossbook_protocol::{Event, Events};
use crossbook_types::{Market, PartitionId, RequestNumber, Sequence, SourceId};

use crate::store::StoredOutput;

/// An output that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the output of command {sequence} cannot be decoded: {source}")]
pub struct Unreadable {
    /// The command's place in the log.
    pub sequence: Sequence,
    /// The underlying error.
    pub source: crossbook_protocol::wire::Error,
}

/// What some outputs of one partition say.
#[derive(Debug, Default)]
pub struct Outputs {
    /// What happened, by command.
    pub events: Events,
    /// Requests of this gateway that the partition has taken.
    pub taken: Vec<RequestNumber>,
    /// Messages of other partitions that it has received.
    pub received: Vec<(PartitionId, RequestNumber)>,
    /// By receiver, the last message that it has sent by then.
    pub sent: Vec<(PartitionId, RequestNumber)>,
    /// Markets that were listed.
    pub listed: Vec<Market>,
    /// The last command.
    pub last: Sequence,
}

impl Outputs {
    /// Reads outputs in their order, in place of what was read before; `own` is the source of this gateway's requests.
    ///
    /// # Errors
    /// When one is not an output.
    pub fn read(&mut self, outputs: &[StoredOutput], own: SourceId) -> Result<(), Unreadable> {
        self.events.clear();
        self.taken.clear();
        self.received.clear();
        self.sent.clear();
        self.listed.clear();
        for StoredOutput { sequence, payload } in outputs {
            let sequence = *sequence;
            let told = crossbook_protocol::wire::decode_published(payload)
                .map_err(|source| Unreadable { sequence, source })?;
            for event in &told.events {
                if let Event::MarketListed(market) = event {
                    self.listed.push(Market::clone(market));
                }
            }
            if told.source == own {
                self.taken.push(told.number);
            } else if told.source < SourceId::FIRST_GATEWAY
                && let Ok(from) = u16::try_from(told.source.0)
            {
                self.received.push((PartitionId(from), told.number));
            }
            self.sent.extend(told.sent);
            self.events.add_command(told.cause, told.events);
            self.last = sequence;
        }
        Ok(())
    }
}
