//! The day before a fresh demo, so that charts show something from the beginning: commands in the log, each with the
//! time at which it would have been accepted, applied by the engine, and replayed when the venue starts.
//!
//! Prices follow [`FairPrice`], as in the live simulation. Each trade is a maker's order that one order of the crowd
//! takes completely, so nothing rests in the books at the end.

use std::path::Path;

use crossbook_engine::Partition;
use crossbook_log::{Files, Log as _, Record, files};
use crossbook_node::embedded::source_of_run;
use crossbook_node::new_venue;
use crossbook_protocol::command::{Body, Command, ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::event::{Event, Events};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::{Answer, Routing};
use crossbook_types::{
    AccountId, AssetName, ClientOrderId, Market, OptionalPrice, OrderType, PartitionId, Price, RequestNumber,
    SelfTradePrevention, Sequence, Side, SourceId, TimeInForce, Timestamp, TransferId,
};

use super::arbitrage;
use super::listing::{self, ASSETS, DECIMALS, Error as Listing, MARKETS};
use super::maker::{decimal_value, quantity_of};
use super::price::FairPrice;
use super::random::Random;
use super::traders::{ARBITRAGEUR, CROWD, MAKERS};

/// How long it lasts, in seconds.
const SECONDS: u64 = 86_400;
/// Seconds from one trade of a market to the next, until its last part.
const PACE: u64 = 15;
/// The last part, in which trades are closer together, in seconds; and how close.
const LIVELY: (u64, u64) = (3_600, 3);
/// How strongly the cross market's price follows what the other two imply, for each step.
const CROSS_PULL: f64 = 0.9;
/// How far from what a market is worth a trade is, as a fraction, on average.
const SPREAD: f64 = 0.000_05;
/// Orders are taken a little apart from one another, in microseconds.
const APART: u64 = 1_000;

/// Why there is no day before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be written.
    #[error("the demo's log cannot be written: {0}")]
    Log(#[from] crossbook_log::Error),
    /// What is listed cannot be.
    #[error(transparent)]
    Listing(#[from] Listing),
}

/// Writes the day that ended at `now` into the log in `folder`, which must be fresh. Tells how many commands there are.
///
/// # Errors
/// When the log cannot be written.
pub fn write(folder: &Path, options: files::Options, seed: u64, now: Timestamp) -> Result<Sequence, Error> {
    let (log, _) = Files::open(folder, options)?;
    let start = Timestamp(now.0.saturating_sub(SECONDS * 1_000_000));
    let mut past = Past {
        partition: Partition::new(PartitionId(0), Routing::single(), seed),
        log,
        source: source_of_run(Sequence(0)),
        time: start,
        events: Events::new(),
        bytes: Vec::new(),
    };
    past.take(new_venue::first_command())?;
    let traders = past.found()?;
    past.trade(&traders, &mut Random::new(seed ^ SECONDS), start)?;
    Ok(past.log.sync()?)
}

/// Who trades.
struct Traders {
    makers: Vec<AccountId>,
    crowd: AccountId,
}

struct Past {
    partition: Partition,
    log: Files,
    source: SourceId,
    time: Timestamp,
    events: Events,
    bytes: Vec<u8>,
}

impl Past {
    /// Takes a command as the venue would have.
    fn take(&mut self, body: Body) -> Result<Answer, Error> {
        let sequence = self.log.tail().next();
        self.bytes.clear();
        let number = RequestNumber(sequence.0);
        crossbook_protocol::wire::encode_command(self.source, number, None, &body, &mut self.bytes);
        let record = Record { sequence, time: self.time, payload: &self.bytes };
        match self.log.append(record) {
            Err(crossbook_log::Error::BatchFull { .. }) => {
                self.log.sync()?;
                self.log.append(record)?;
            }
            other => other?,
        }
        self.events.clear();
        self.partition.apply(&Command::new(sequence, self.time, self.source, number, body), &mut self.events);
        let answer = self.events.all().iter().rev().find_map(|event| match event {
            Event::Answered { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        match answer {
            Some(Answer::Refused(refusal)) => Err(Listing::Refused(refusal).into()),
            Some(answer) => Ok(answer),
            None => Err(Listing::Answer.into()),
        }
    }

    /// Lists what there is, and opens and funds the accounts of the simulated traders.
    fn found(&mut self) -> Result<Traders, Error> {
        for (name, _) in ASSETS {
            let name = AssetName::new_checked(name).map_err(|_| Listing::Description(name))?;
            self.take(Body::ListAsset(ListAsset { name, decimals: DECIMALS }))?;
        }
        for market in &MARKETS {
            let asset = |name: &str| {
                let listed = self.partition.registry().assets().iter().find(|asset| asset.name.as_str() == name);
                listed.copied().ok_or(Listing::Answer)
            };
            let description = listing::describe(market, asset(market.base)?, asset(market.quote)?)?;
            self.take(Body::ListMarket(Box::new(ListMarket { description })))?;
        }
        let labels = MAKERS.iter().map(|&(label, _)| label).chain([CROWD, ARBITRAGEUR]);
        let mut accounts = Vec::new();
        for label in labels {
            let Answer::AccountOpened(account) =
                self.take(Body::OpenAccount(OpenAccount { label: label.to_owned() }))?
            else {
                return Err(Listing::Answer.into());
            };
            for (at, (name, whole)) in ASSETS.into_iter().enumerate() {
                let asset = self.partition.registry().assets().get(at).copied().ok_or(Listing::Answer)?;
                let transfer = TransferId::new_checked(&format!("endowment-{name}"))
                    .map_err(|_| Listing::Description("a transfer"))?;
                let amount = listing::whole_units(&asset, whole);
                self.take(Body::Transfer(TransferRequest { account, asset: asset.id, amount, transfer }))?;
            }
            accounts.push(account);
        }
        let crowd = accounts.get(MAKERS.len()).copied().ok_or(Listing::Answer)?;
        accounts.truncate(MAKERS.len());
        Ok(Traders { makers: accounts, crowd })
    }

    fn trade(&mut self, traders: &Traders, random: &mut Random, start: Timestamp) -> Result<(), Error> {
        let markets: Vec<Market> = self.partition.registry().markets().to_vec();
        let mut prices: Vec<FairPrice> =
            MARKETS.iter().map(|market| FairPrice::new(market.start, random.fork())).collect();
        let position = |symbol: &str| MARKETS.iter().position(|market| market.symbol == symbol);
        let (mut second, lively_from) = (0, SECONDS - LIVELY.0);
        loop {
            let step = if second < lively_from { PACE } else { LIVELY.1 };
            second += step;
            if second >= SECONDS {
                return Ok(());
            }
            // In steps that the price's own jumps and pulls are made for.
            for price in &mut prices {
                (0..step).for_each(|_| price.advance(1.0));
            }
            if let (Some(cross), Some(base), Some(quote)) =
                (position("ETHBTC"), position("ETHUSDT"), position("BTCUSDT"))
            {
                let implied = arbitrage::implied(prices[base].value(), prices[quote].value());
                prices[cross].pull(implied, CROSS_PULL);
            }
            for ((market, listing), price) in markets.iter().zip(&MARKETS).zip(&prices) {
                let moment = start.0 + second * 1_000_000 - random.next() % (step * 900_000);
                self.time = Timestamp(moment.max(self.time.0 + APART));
                let side = if random.chance(0.5) { Side::Buy } else { Side::Sell };
                let sign = if side == Side::Buy { 1.0 } else { -1.0 };
                let value = price.value() * (1.0 + sign * SPREAD + SPREAD * random.normal());
                let ticks = value / decimal_value(market.price_decimal(Price(1)));
                let at = Price(ticks.round().max(1.0) as u64);
                let notional = listing.notional * (1.1 * random.normal() - 0.5).exp();
                let Some(quantity) = quantity_of(market, at, notional) else { continue };
                let maker = traders.makers[(random.next() % traders.makers.len() as u64) as usize];
                let order = |account, side, time_in_force, name: &str| {
                    Body::Place(NewOrder {
                        account,
                        terms: OrderTerms {
                            symbol: market.id,
                            client_order_id: ClientOrderId::new_checked(name).unwrap_or_default(),
                            side,
                            order_type: OrderType::Limit,
                            time_in_force,
                            price: Some(at),
                            size: Size::Base(quantity),
                            stop_price: OptionalPrice::NONE,
                            self_trade_prevention: SelfTradePrevention::ExpireTaker,
                            instructions: None,
                        },
                    })
                };
                let name = self.log.tail().0;
                self.take(order(maker, side.opposite(), TimeInForce::Gtc, &format!("past-{name}-m")))?;
                self.time = Timestamp(self.time.0 + APART);
                self.take(order(traders.crowd, side, TimeInForce::Ioc, &format!("past-{name}-t")))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_day_of_trades_is_written_and_is_the_same_again() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let read = |name: &str| {
            let path = folder.path().join(name);
            let end = write(&path, files::Options::default(), 7, now).unwrap();
            let mut partition = Partition::new(PartitionId(0), Routing::single(), 0);
            let mut trades: BTreeMap<u32, (u64, u64, u64)> = BTreeMap::new();
            let mut reader = crossbook_log::FileReader::open(&path, Sequence(1));
            while let Some(record) = crossbook_log::Reader::next(&mut reader, crossbook_log::Until::End).unwrap() {
                let command =
                    crossbook_protocol::wire::decode_command(record.sequence, record.time, record.payload).unwrap();
                let mut events = Events::new();
                partition.apply(&command, &mut events);
                for event in events.all() {
                    if let Event::Traded(trade) = event {
                        let seen = trades.entry(trade.symbol.0).or_insert((0, command.time.0, 0));
                        (seen.0, seen.2) = (seen.0 + 1, command.time.0);
                    }
                }
            }
            assert_eq!(partition.sequence(), end);
            assert!(partition.time() < now && partition.time().0 > now.0 - 60_000_000);
            (crossbook_engine::state_hash(&partition.state()), trades)
        };
        let (hash, trades) = read("one");
        assert_eq!((hash, trades.clone()), read("two"));
        assert_eq!(trades.len(), MARKETS.len());
        for (count, first, last) in trades.into_values() {
            assert!(count > 6_000, "{count}");
            assert!(last - first > 86_000_000_000, "from {first} to {last}");
        }
    }
}
