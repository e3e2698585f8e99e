//! What the gateways of a venue count together: sums by window, and who is banned.
//!
//! A window of a counter is a hash, `{venue:p0}:limits:COUNTER:BEGIN`, with a sum for each client; it vanishes some
//! time after its end. Bans are a stream, `{venue:p0}:limits:bans`. All of it lies with partition 0. An exchange is one
//! round trip and one step of the server. Nothing waits for replicas: a failover may forget what was counted last.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crossbook_types::{PartitionId, SourceId};
use redis::Value;

use crate::connection::{Connection, Script};
use crate::{Error, Keys, Servers, reply};

/// All of it lies with this partition.
const HOME: PartitionId = PartitionId(0);
/// A window is kept for so much longer than it lasts.
const WINDOW_KEPT: Duration = Duration::from_mins(1);
/// The number of the last batch is kept for so long; afterwards a batch that is sent again counts again.
const NUMBER_KEPT: Duration = Duration::from_hours(24);

/// What was counted of a client in a window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountLine {
    /// What was counted; the same for all lines of a counter.
    pub counter: &'static str,
    /// How long the counter's windows are.
    pub length: Duration,
    /// When the window began, in seconds since 1970.
    pub begin: u64,
    /// Of whom.
    pub client: String,
    /// What to add to the sum.
    pub add: i64,
    /// What to subtract from it then, to zero at least, if this gateway gives the credits.
    pub credit: u64,
}

/// A ban.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBan {
    /// Who is banned.
    pub client: String,
    /// Until when, in microseconds since 1970.
    pub until: u64,
    /// How often the client has been banned.
    pub bans: u32,
}

/// What a gateway sends.
#[derive(Clone, Debug)]
pub struct CountBatch<'a> {
    /// Higher than all earlier ones of this gateway. A batch that is sent again has the same.
    pub number: u64,
    /// What it has counted.
    pub lines: &'a [CountLine],
    /// Whom it has banned.
    pub bans: &'a [StoredBan],
    /// How long it gives the credits, if no other gateway does.
    pub credit_lease: Duration,
}

/// What it hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Whether it gives the credits.
    pub gives_credits: bool,
    /// The sum of each line; `None` where the window has too many clients.
    pub sums: Vec<Option<i64>>,
    /// Whom other gateways have banned since it last heard.
    pub bans: Vec<StoredBan>,
    /// Whether there are more.
    pub more_bans: bool,
}

/// Bounds of what the store has of counts.
#[derive(Clone, Copy, Debug)]
pub struct CountBounds {
    /// The most clients in a window, and the most bans.
    pub clients_max: usize,
    /// The most bans in an answer.
    pub bans_read_max: usize,
    /// How long bans are kept: as long as the longest.
    pub bans_kept: Duration,
}

/// A gateway's part in the counts of its venue. The connection is made when it is needed.
pub struct SharedCounts {
    servers: Servers,
    connection: Option<Connection>,
    gateway: SourceId,
    bounds: CountBounds,
    /// The last ban that was heard of, by its id.
    heard: Option<String>,
}

impl SharedCounts {
    /// The counts as this run of a gateway shares them.
    #[must_use]
    pub fn new(servers: Servers, gateway: SourceId, bounds: CountBounds) -> Self {
        Self { servers, connection: None, gateway, bounds, heard: None }
    }

    /// Adds a batch, once even if it is sent again, and gives the sums.
    ///
    /// # Errors
    /// When the server does not answer: the batch may have been added.
    pub fn exchange(&mut self, batch: &CountBatch<'_>) -> Result<Counted, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.servers.connect_to_master(HOME)?,
        };
        let counted = self.exchange_on(&mut connection, batch)?;
        self.connection = Some(connection);
        Ok(counted)
    }

    fn exchange_on(&mut self, connection: &mut Connection, batch: &CountBatch<'_>) -> Result<Counted, Error> {
        let mut windows: BTreeMap<(&str, u64), (Duration, Vec<usize>)> = BTreeMap::new();
        for (at, line) in batch.lines.iter().enumerate() {
            windows.entry((line.counter, line.begin)).or_insert((line.length, Vec::new())).1.push(at);
        }
        let venue = &self.servers.options().venue;
        let key = |name: fmt::Arguments<'_>| Keys::limits(venue, name);
        let bans = key(format_args!("bans"));
        let mut keys =
            vec![key(format_args!("gateway:{}", self.gateway.0)), key(format_args!("credits")), bans.clone()];
        keys.extend(windows.keys().map(|(counter, begin)| key(format_args!("{counter}:{begin}"))));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let CountBounds { clients_max, bans_read_max, bans_kept } = self.bounds;
        connection.script(Script::Counts, &keys, |command| {
            command.arg(self.gateway.0).arg(batch.number).arg(millis(NUMBER_KEPT)).arg(millis(batch.credit_lease));
            command.arg(millis(bans_kept)).arg(clients_max).arg(clients_max).arg(batch.bans.len());
            for ban in batch.bans {
                command.arg(&ban.client).arg(ban.until).arg(ban.bans);
            }
            for (length, lines) in windows.values() {
                command.arg(millis(*length + WINDOW_KEPT)).arg(lines.len());
                for line in lines.iter().filter_map(|&at| batch.lines.get(at)) {
                    command.arg(&line.client).arg(line.add).arg(line.credit);
                }
            }
            command
        });
        let after = self.heard.as_ref().map_or("-".to_owned(), |heard| format!("({heard}"));
        connection
            .command(|command| command.arg("XRANGE").arg(&bans).arg(after).arg("+").arg("COUNT").arg(bans_read_max));
        let answers: [Value; 2] =
            connection.exchange(Duration::ZERO)?.try_into().map_err(|_| connection.unclear("a request"))?;
        let [counted, bans] = answers;
        let order = windows.into_values().flat_map(|(_, lines)| lines);
        let (gives_credits, sums) =
            sums(&counted, order, batch.lines.len()).ok_or_else(|| connection.unclear("what was counted"))?;
        let bans = read_bans(bans, self.gateway).ok_or_else(|| connection.unclear("bans"))?;
        let more_bans = bans.len() >= bans_read_max;
        if let Some((last, _)) = bans.last() {
            self.heard = Some(last.clone());
        }
        let bans = bans.into_iter().filter_map(|(_, ban)| ban).collect();
        Ok(Counted { gives_credits, sums, bans, more_bans })
    }
}

impl fmt::Debug for SharedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCounts").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Parses the answer of the script; `order` has the lines in the order of their sums.
fn sums(answer: &Value, order: impl Iterator<Item = usize>, lines: usize) -> Option<(bool, Vec<Option<i64>>)> {
    let Value::Array(values) = answer else { return None };
    let (gives, values) = values.split_first()?;
    if values.len() != lines {
        return None;
    }
    let mut sums = vec![None; lines];
    for (line, value) in order.zip(values) {
        *sums.get_mut(line)? = match value {
            Value::Int(sum) => Some(*sum),
            Value::Nil => None,
            _ => return None,
        };
    }
    Some((reply::number(gives)? == 1, sums))
}

/// Parses bans and their ids; of those of `own` only the ids.
fn read_bans(answer: Value, own: SourceId) -> Option<Vec<(String, Option<StoredBan>)>> {
    let ban = |entry| {
        let Value::Array(parts) = entry else { return None };
        let [id, Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else { return None };
        let [_, gateway, _, client, _, until, _, bans] = <[Value; 8]>::try_from(fields).ok()?;
        let client = reply::text(&client)?.to_owned();
        let (until, bans) = (reply::number(&until)?, u32::try_from(reply::number(&bans)?).ok()?);
        let ban = StoredBan { client, until, bans };
        Some((reply::text(&id)?.to_owned(), (reply::number(&gateway)? != own.0).then_some(ban)))
    };
    reply::entries(answer)?.into_iter().map(ban).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn sums_are_those_of_their_lines() {
        let answer = |values: &[Value]| Value::Array([&[Value::Int(1)], values].concat());
        let read = sums(&answer(&[Value::Int(7), Value::Nil, Value::Int(-2)]), [2, 0, 1].into_iter(), 3);
        assert_eq!(read, Some((true, vec![None, Some(-2), Some(7)])));
        assert_eq!(sums(&answer(&[Value::Int(7)]), [0, 1].into_iter(), 2), None);
        assert_eq!(sums(&answer(&[bulk("x")]), [0].into_iter(), 1), None);
        assert_eq!(sums(&Value::Array(Vec::new()), [].into_iter(), 0), None);
    }

    #[test]
    fn bans_of_another_form_are_none() {
        let entry = |gateway: &str, until: &str| {
            let fields = ["g", gateway, "a", "10.0.0.1", "u", until, "n", "2"].map(bulk);
            Value::Array(vec![Value::Array(vec![bulk("5-1"), Value::Array(fields.to_vec())])])
        };
        let ban = StoredBan { client: "10.0.0.1".to_owned(), until: 99, bans: 2 };
        assert_eq!(read_bans(entry("8", "99"), SourceId(7)), Some(vec![("5-1".to_owned(), Some(ban))]));
        assert_eq!(read_bans(entry("7", "99"), SourceId(7)), Some(vec![("5-1".to_owned(), None)]));
        assert_eq!(read_bans(entry("8", "soon"), SourceId(7)), None);
        assert_eq!(read_bans(Value::Array(vec![Value::Array(vec![bulk("5-1")])]), SourceId(7)), None);
        assert_eq!(read_bans(Value::Nil, SourceId(7)), None);
    }
}
