//! What operators have done, the newest first.

use crossbook_gateway::Gateway;
use crossbook_types::{PartitionId, Sequence, Timestamp};
use crossbook_views::operator_log::{Entry, Place};
use serde_json::{Value, json};

use crate::error::AdminError;

/// Entries of a page that does not say.
const PAGE_DEFAULT: usize = 100;
/// The most entries of a page.
const PAGE_MAX: usize = 1_000;

/// A page of the operator log.
pub(super) async fn page(gateway: &Gateway, query: Option<&str>) -> Result<Value, AdminError> {
    let (mut before, mut limit) = (None, PAGE_DEFAULT);
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("limit", value) => {
                let given = value.parse::<usize>().ok().filter(|&limit| limit > 0);
                let given = given.ok_or_else(|| AdminError::invalid("limit must be a whole number from 1."))?;
                limit = given.min(PAGE_MAX);
            }
            ("before", value) => {
                let read = place(value);
                before = Some(read.ok_or_else(|| AdminError::invalid("before must be the `next` of another page."))?);
            }
            (name, _) => {
                return Err(AdminError::invalid(format!(
                    "There is no parameter {name:?}; there are before and limit."
                )));
            }
        }
    }
    let entries = gateway.operator_log(before, limit).await?;
    let next = entries
        .last()
        .filter(|_| entries.len() == limit)
        .map(|(partition, entry)| format!("{}.{}.{}", entry.time.0, partition, entry.sequence.0));
    Ok(json!({ "entries": entries.iter().map(shown).collect::<Vec<_>>(), "next": next }))
}

fn shown((partition, entry): &(PartitionId, Entry)) -> Value {
    json!({
        "time": entry.time.millis(),
        "operator": entry.note.operator(),
        "action": entry.note.action(),
        "reason": entry.note.reason(),
        "refused": entry.refused,
        "partition": partition,
        "sequence": entry.sequence,
    })
}

/// The place that the `next` of a page names.
fn place(text: &str) -> Option<Place> {
    let mut parts = text.split('.').map(|part| part.parse::<u64>().ok());
    let place = Place {
        time: Timestamp(parts.next()??),
        partition: PartitionId(u16::try_from(parts.next()??).ok()?),
        sequence: Sequence(parts.next()??),
    };
    parts.next().is_none().then_some(place)
}
