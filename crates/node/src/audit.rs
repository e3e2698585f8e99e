//! The audit of a whole log: replay it and account for every sequence number.
//!
//! There are two independent checks. [`Partition::audit`] computes the sums from the state, at the end and every
//! [`FULL_EVERY`] commands. [`Conservation`] knows only the events (balances, trades, fees, transfers) and checks after
//! every command that they sum to zero per asset.
//!
//! Neither can know of commands that are missing at the end of the log. A snapshot beside it can: its commands were
//! durable. So the log must reach at least as far, and its replay must pass through the snapshot's state. That is a
//! [`Proof`].

use std::collections::BTreeMap;

use crossbook_engine::Partition;
use crossbook_log::{Reader, Until};
use crossbook_protocol::{Cause, Event, Events, Routing};
use crossbook_types::{AccountId, Amount, AssetId, PartitionId, Sequence, SymbolId};

use crate::follower::Follower;
use crate::panic::naming;
use crate::recovery::{Error, Progress};
use crate::snapshot::{self, Image, Saved};

/// After how many commands everything is added up from nothing.
pub const FULL_EVERY: u64 = 100_000;
/// How many findings are listed; further ones do not change the verdict.
pub const FINDINGS_MAX: usize = 100;
/// After how many commands progress is reported.
const PROGRESS_EVERY: u64 = 8_192;

/// What a replay found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The last command.
    pub sequence: Sequence,
    /// See [`crossbook_engine::state_hash`].
    pub state_hash: [u8; 32],
    /// Per asset: its name, its sum over all accounts, and what clients have of it.
    pub assets: BTreeMap<String, Totals>,
    /// Number of trades in the log.
    pub trades: u64,
    /// The snapshot that was compared with the state at its command, if there was one.
    pub snapshot: Option<Sequence>,
    /// Commands at the end of the log that a snapshot proves to be missing.
    pub missing: u64,
    /// What is wrong; empty if nothing is.
    pub findings: Vec<String>,
}

/// What there is of an asset, in its smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Over all accounts, the venue's own included: zero, or something is wrong.
    pub sum: Amount,
    /// What clients have.
    pub clients: Amount,
    /// What the venue took in fees.
    pub fees: Amount,
    /// Digits after the point.
    pub decimals: u8,
}

/// What the snapshots beside a log prove about it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proof {
    /// Commands up to here were durable once: a snapshot has this name. Its name is enough, for it got it when it was
    /// whole.
    pub durable: Sequence,
    /// The newest good snapshot, and the hash of its partition. See [`crossbook_engine::state_hash`].
    pub snapshot: Option<(Sequence, [u8; 32])>,
    /// Snapshots that are whole but cannot be understood, and why.
    pub unreadable: Vec<String>,
}

impl Proof {
    /// Reads what the snapshots prove. `F` is what followed the partition into them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read<F: Follower>(snapshots: &impl Saved) -> Result<Self, snapshot::Error> {
        let named = snapshots.list()?;
        let mut proof = Self { durable: named.first().copied().unwrap_or_default(), ..Self::default() };
        for sequence in named {
            let bytes = match snapshots.load(sequence) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    tracing::warn!(%sequence, "snapshot is damaged; looking at the one before");
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%sequence, %error, "snapshot cannot be read; looking at the one before");
                    continue;
                }
            };
            let image: Result<Image<F::Saved>, _> = snapshot::decode(&bytes);
            match image {
                Ok(image) => {
                    proof.snapshot = Some((sequence, crossbook_engine::state_hash(&image.partition)));
                    break;
                }
                Err(error) => proof.unreadable.push(format!("snapshot {sequence} cannot be decoded: {error}")),
            }
        }
        Ok(proof)
    }
}

/// Money according to the events.
#[derive(Clone, Debug, Default)]
pub struct Conservation {
    balances: BTreeMap<(AccountId, AssetId), Amount>,
    markets: BTreeMap<SymbolId, (AssetId, AssetId)>,
    totals: BTreeMap<AssetId, Totals>,
    external: BTreeMap<AssetId, Amount>,
    clearing: BTreeMap<AssetId, Amount>,
    touched: Vec<AssetId>,
}

impl Conservation {
    /// Takes the events of the next command. What is wrong after it, if anything.
    pub fn follow(&mut self, cause: Cause, events: &[Event]) -> Option<String> {
        for event in events {
            match event {
                Event::MarketListed(market) => {
                    self.markets.insert(market.id, (market.base.id, market.quote.id));
                }
                Event::Transferred(transfer) => {
                    let external = self.external.entry(transfer.asset).or_default();
                    *external = external.minus(transfer.amount);
                    self.touched.push(transfer.asset);
                }
                Event::Traded(trade) => {
                    let Some(&(base, quote)) = self.markets.get(&trade.symbol) else {
                        return Some(format!("command {}: a trade in a market that was never listed", cause.sequence));
                    };
                    let (buyer, seller) = match trade.taker_side {
                        crossbook_types::Side::Buy => (trade.taker, trade.maker),
                        crossbook_types::Side::Sell => (trade.maker, trade.taker),
                    };
                    for (asset, fee) in [(base, buyer.fee), (quote, seller.fee)] {
                        let totals = self.totals.entry(asset).or_default();
                        totals.fees = totals.fees.plus(fee);
                        self.touched.push(asset);
                    }
                }
                // What is imported comes out of the clearing account, and of the external account into it.
                Event::TransferImported(transfer) => {
                    let external = self.external.entry(transfer.asset).or_default();
                    *external = external.minus(transfer.amount);
                    let clearing = self.clearing.entry(transfer.asset).or_default();
                    *clearing = clearing.plus(transfer.amount);
                    self.touched.push(transfer.asset);
                }
                Event::MoneyImported { account, asset, amount } => {
                    let clearing = self.clearing.entry(*asset).or_default();
                    *clearing = clearing.minus(*amount);
                    if *account == AccountId::FEES {
                        let totals = self.totals.entry(*asset).or_default();
                        totals.fees = totals.fees.plus(*amount);
                    }
                    self.touched.push(*asset);
                }
                Event::BalanceChanged { account, asset, free, held } => {
                    if free.is_negative() || held.is_negative() {
                        return Some(format!("command {}: account {account} has a negative balance", cause.sequence));
                    }
                    let now = free.plus(*held);
                    let before = self.balances.insert((*account, *asset), now).unwrap_or_default();
                    let totals = self.totals.entry(*asset).or_default();
                    totals.clients = totals.clients.plus(now).minus(before);
                    self.touched.push(*asset);
                }
                _ => {}
            }
        }
        let mut wrong = None;
        while let Some(asset) = self.touched.pop() {
            let totals = self.totals.entry(asset).or_default();
            let external = self.external.get(&asset).copied().unwrap_or_default();
            let clearing = self.clearing.get(&asset).copied().unwrap_or_default();
            totals.sum = totals.clients.plus(totals.fees).plus(external).plus(clearing);
            if !totals.sum.is_zero() {
                wrong = Some(format!(
                    "command {}: the sum of asset {asset} is {} instead of 0",
                    cause.sequence, totals.sum.0
                ));
            }
        }
        wrong
    }
}

/// Replays a whole log from its first command and audits it, also against `proof`.
///
/// # Errors
/// When the log cannot be read: it is damaged, or its beginning has been trimmed.
///
/// # Panics
/// When the partition itself finds that an invariant does not hold.
pub fn replay(
    reader: &mut impl Reader,
    until: Until,
    proof: &Proof,
    mut progress: impl FnMut(Progress),
) -> Result<Report, Error> {
    let mut partition = Partition::new(PartitionId(0), Routing::single(), 0);
    let mut conservation = Conservation::default();
    let mut events = Events::new();
    let mut findings = Vec::new();
    let mut trades = 0;
    let mut compared = None;
    let mut note = |finding: String| {
        if findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
    };
    proof.unreadable.iter().cloned().for_each(&mut note);
    while let Some(record) = reader.next(until)? {
        let sequence = record.sequence;
        let command = crossbook_protocol::wire::decode_command(sequence, record.time, record.payload)
            .map_err(|source| Error::Command { sequence, source })?;
        naming(&mut partition, |partition| partition.apply(&command, &mut events));
        for (cause, events) in events.iter() {
            trades += events.iter().filter(|event| matches!(event, Event::Traded(_))).count() as u64;
            conservation.follow(cause, events).map(&mut note);
        }
        events.clear();
        if sequence.0 % FULL_EVERY == 0 {
            partition.audit().violations.into_iter().for_each(&mut note);
        }
        if let Some((at, state_hash)) = proof.snapshot
            && at == sequence
        {
            compared = Some(at);
            if crossbook_engine::state_hash(&partition.state()) != state_hash {
                note(format!("command {at}: the state is not the one that the snapshot there holds"));
            }
        }
        if sequence.0 % PROGRESS_EVERY == 0 {
            progress(Progress { at: sequence, end: None });
        }
    }
    progress(Progress { at: partition.sequence(), end: None });
    let audit = partition.audit();
    audit.violations.into_iter().for_each(&mut note);
    let mut assets = BTreeMap::new();
    for asset in partition.registry().assets() {
        let told = conservation.totals.get(&asset.id).copied().unwrap_or_default();
        let sum = audit.sums.get(&asset.id).copied().unwrap_or_default();
        if sum != told.sum {
            note(format!("the state sums {} to {}, the events to {}", asset.name, sum.0, told.sum.0));
        }
        assets.insert(asset.name.to_string(), Totals { sum, decimals: asset.decimals, ..told });
    }
    for (account, asset, balance) in partition.ledger().balances() {
        let told = conservation.balances.get(&(account, asset)).copied().unwrap_or_default();
        if told != balance.free.plus(balance.held) {
            note(format!("account {account} has {:?} of asset {asset}, the events said {}", balance, told.0));
        }
    }
    let sequence = partition.sequence();
    let missing = proof.durable.0.saturating_sub(sequence.0);
    if missing > 0 {
        note(format!(
            "the log ends at command {sequence}, but the snapshot at {} was made from it: {missing} commands are lost",
            proof.durable
        ));
    }
    let state_hash = crossbook_engine::state_hash(&partition.state());
    Ok(Report { sequence, state_hash, assets, trades, snapshot: compared, missing, findings })
}
