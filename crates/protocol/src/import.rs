//! The state of a venue, apart from where it runs, and the pieces in which the partitions of another venue import it.
//!
//! The engine (`crossbook_engine::import`) builds, splits and imports it.

use std::collections::BTreeMap;

use crossbook_types::{
    AccountFees, AccountId, Amount, Asset, AssetId, DiscountCredit, DiscountRates, ExchangeFilters, FeeCredit,
    FeeDiscount, FeeTiers, Fees, HoldId, Market, OrderId, Price, SourceId, SymbolId,
};

use crate::countdown::Countdown;
use crate::counted::Counted;
use crate::event::{MarketImported, OrderImported};
use crate::order_list::ListImported;
use crate::registry::{Account, ApiKey};
use crate::rules::Rules;
use crate::session::MovedSession;
use crate::transfer::Transfer;
use crate::volume::AccountVolume;

/// The whole state of a venue. Two venues with the same inventory continue in the same way, however each is split into
/// partitions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inventory {
    /// Assets, by number.
    pub assets: Vec<Asset>,
    /// Markets, by number.
    pub markets: Vec<Market>,
    /// Accounts, by number.
    pub accounts: Vec<Account>,
    /// API keys, by name. Secrets are as encrypted as they were.
    pub api_keys: Vec<ApiKey>,
    /// Deposits and withdrawals, by account and id.
    pub transfers: Vec<Transfer>,
    /// What everybody has, free and held together, by account and asset; what is nothing is left out.
    pub balances: Vec<Owned>,
    /// What the venue took in fees, by asset; what is nothing is left out.
    pub fees: Vec<Owned>,
    /// A book for each market, by number.
    pub books: Vec<Book>,
    /// What transfers that are not remembered one by one have brought in, by asset; what is nothing is left out.
    pub forgotten: Vec<Owned>,
    /// The countdowns that run, by account and scope.
    pub countdowns: Vec<Countdown>,
    /// What holds for the whole venue.
    pub settings: Settings,
    /// What accounts pay that do not just pay what the markets say, by account.
    pub payers: Vec<Payer>,
}

/// What holds for the whole venue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// How many orders an account may have open in all markets.
    pub exchange_filters: ExchangeFilters,
    /// What accounts pay that have traded much.
    pub fee_tiers: Option<FeeTiers>,
    /// In which asset fees can be paid, and how much less they are then.
    pub fee_discount: Option<FeeDiscount>,
}

/// What an account pays, and what it has traded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payer {
    /// The account.
    pub account: AccountId,
    /// What the operator has set for it.
    pub fees: AccountFees,
    /// What it has traded, if that is counted.
    pub volume: Option<AccountVolume>,
    /// Whether it pays its fees in the asset of the discount.
    pub discounted: bool,
    /// Whether it is frozen.
    pub frozen: bool,
}

/// What an account has of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owned {
    /// The account that it belongs to.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit.
    pub amount: Amount,
}

/// A market as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Book {
    /// Its counters and its last trade.
    pub market: MarketImported,
    /// Its open orders: bids, asks, those that wait for a rise, those that wait for a fall; each in the order in which
    /// they trade or trigger.
    pub orders: Vec<Standing>,
    /// Its open order lists, by number.
    pub lists: Vec<StandingList>,
    /// What was traded in its last minutes, if its filters look at that.
    pub minutes: Vec<Minute>,
    /// Its session, if that is more than open.
    pub session: Option<MovedSession>,
}

/// What was traded in a market in one minute of the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Minute {
    /// Which: minutes since 1970.
    pub minute: u64,
    /// How much, in lots.
    pub lots: u128,
    /// The sum of price x quantity, in ticks and lots.
    pub worth: u128,
}

/// An open order list, and what is held for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandingList {
    /// The list.
    pub list: ListImported,
    /// Its working order, if that is open; it is among the market's orders.
    pub working: Option<OrderId>,
    /// The price of the working order.
    pub near: Option<Price>,
    /// Whether the others are placed, and so among the market's orders. Otherwise they are pending.
    pub released: bool,
    /// Its other open orders.
    pub others: Vec<StandingLeg>,
    /// What is held for these, in the asset that they pay.
    pub held: Amount,
    /// The fee rates that it was accepted with.
    pub fees: Fees,
    /// What is held for its other orders counts for this.
    pub counted: Option<Counted>,
    /// What is held for the fees of these together, if they pay them in the asset of the discount: of those that are
    /// pending, or of a pair.
    pub reserve: Option<FeeReserve>,
}

/// An open order of a list that is not its working order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandingLeg {
    /// The order.
    pub order: OrderImported,
    /// What it needs of what is held.
    pub need: Amount,
}

/// An open order, and what is held for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The order.
    pub order: OrderImported,
    /// How much is held for it, in the asset that it pays.
    pub held: Amount,
    /// The fee rates that it was accepted with.
    pub fees: Fees,
    /// What it was charged beyond its exact fee.
    pub fee_credit: FeeCredit,
    /// What the hold counts for, if it does.
    pub counted: Option<Counted>,
    /// What is held for its fees beside that, if it pays them in the asset of the discount.
    pub reserve: Option<FeeReserve>,
}

/// What is held for the fees of an open order in the asset of the discount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeeReserve {
    /// The asset.
    pub asset: AssetId,
    /// How much is held.
    pub held: Amount,
    /// What the order is charged in it.
    pub rates: DiscountRates,
    /// What it was charged beyond its exact fee in it.
    pub credit: DiscountCredit,
}

impl Inventory {
    /// How many orders are open.
    #[must_use]
    pub fn orders(&self) -> usize {
        let pending = |list: &StandingList| if list.released { 0 } else { list.others.len() };
        self.books.iter().map(|book| book.orders.len() + book.lists.iter().map(pending).sum::<usize>()).sum()
    }

    /// What clients have of each asset, all together.
    #[must_use]
    pub fn clients(&self) -> BTreeMap<AssetId, Amount> {
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for owned in &self.balances {
            let sum = sums.entry(owned.asset).or_default();
            *sum = sum.plus(owned.amount);
        }
        sums
    }

    /// All differences to another venue that its clients could observe; empty if there are none. Depth updates are
    /// counted on after an import, so their numbers are not compared.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut differ = |what: String| found.push(what);
        let mut compare = |what: &str, same: bool, here: usize, there: usize| {
            if !same {
                differ(format!("{what} are not the same: {here} here, {there} there"));
            }
        };
        compare("assets", self.assets == other.assets, self.assets.len(), other.assets.len());
        compare("markets", self.markets == other.markets, self.markets.len(), other.markets.len());
        compare("accounts", self.accounts == other.accounts, self.accounts.len(), other.accounts.len());
        compare("API keys", self.api_keys == other.api_keys, self.api_keys.len(), other.api_keys.len());
        compare("transfers", self.transfers == other.transfers, self.transfers.len(), other.transfers.len());
        compare("forgotten transfers", self.forgotten == other.forgotten, self.forgotten.len(), other.forgotten.len());
        let countdowns = (self.countdowns.len(), other.countdowns.len());
        compare("countdowns", self.countdowns == other.countdowns, countdowns.0, countdowns.1);
        compare("settings of the venue", self.settings == other.settings, 1, 1);
        compare("fees of accounts", self.payers == other.payers, self.payers.len(), other.payers.len());
        compare("fees", self.fees == other.fees, self.fees.len(), other.fees.len());
        compare("books", self.books.len() == other.books.len(), self.books.len(), other.books.len());
        for (here, there) in self.books.iter().zip(&other.books) {
            let symbol = here.market.symbol;
            let there_market = MarketImported { depth_update: here.market.depth_update, ..there.market };
            if here.market != there_market {
                differ(format!("market {symbol} stands elsewhere: {:?} here, {:?} there", here.market, there.market));
            }
            if here.minutes != there.minutes {
                differ(format!("market {symbol} has traded something else in its last minutes"));
            }
            if here.session != there.session {
                let (here, there) = (&here.session, &there.session);
                differ(format!("the session of market {symbol} is another: {here:?} here, {there:?} there"));
            }
            if here.orders != there.orders {
                let at = here.orders.iter().zip(&there.orders).position(|(here, there)| here != there);
                let at = at.unwrap_or_else(|| here.orders.len().min(there.orders.len()));
                let id = |orders: &[Standing]| {
                    orders.get(at).map_or_else(|| "none".to_owned(), |standing| standing.order.placed.order.to_string())
                };
                differ(format!(
                    "open orders of market {symbol} differ from place {at} on: order {} here, {} there",
                    id(&here.orders),
                    id(&there.orders)
                ));
            }
        }
        for (here, there) in self.books.iter().zip(&other.books).filter(|(here, there)| here.lists != there.lists) {
            let (symbol, lists) = (here.market.symbol, (here.lists.len(), there.lists.len()));
            found.push(format!("order lists of market {symbol} differ: {} here, {} there", lists.0, lists.1));
        }
        let of = |inventory: &Self| -> BTreeMap<(AccountId, AssetId), Amount> {
            inventory.balances.iter().map(|owned| ((owned.account, owned.asset), owned.amount)).collect()
        };
        let (here, there) = (of(self), of(other));
        for (key, amount) in &here {
            let other = there.get(key).copied().unwrap_or_default();
            if other != *amount {
                found.push(format!("account {} has {} of asset {} here, {} there", key.0, amount.0, key.1, other.0));
            }
        }
        for (key, amount) in there.iter().filter(|(key, _)| !here.contains_key(key)) {
            found.push(format!("account {} has nothing of asset {} here, {} there", key.0, key.1, amount.0));
        }
        found
    }
}

/// Names an inventory, so that pieces of two are not mixed: a hash of all of it.
pub type ExportId = [u8; 32];

/// A part of an inventory, as one partition takes it over. The kinds come in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// The first in logs of older programs: a venue moves in, if nothing is here yet.
    Begin {
        /// The export that it belongs to.
        export: ExportId,
        /// How many pieces this partition gets, this one included.
        pieces: u64,
    },
    /// The first: a venue moves in, if nothing is here yet but activated rules. It comes in under these rules, if they
    /// are newer.
    BeginUnder {
        /// The export that it belongs to.
        export: ExportId,
        /// How many pieces this partition gets, this one included.
        pieces: u64,
        /// The newest rules that the importing program knows.
        rules: Rules,
    },
    /// Assets, by number.
    Assets(Vec<Asset>),
    /// Markets, by number.
    Markets(Vec<Market>),
    /// Accounts with their keys.
    Accounts(Vec<Account>),
    /// API keys; only partition 0 keeps them.
    ApiKeys(Vec<ApiKey>),
    /// Deposits and withdrawals of this partition's accounts.
    Transfers(Vec<Transfer>),
    /// What this partition's accounts have, free and held together; and, in partition 0, the venue's fees.
    Money(Vec<Owned>),
    /// What of that is held for open orders, in the order in which the holds are numbered.
    Holds(Vec<Held>),
    /// Where a market of this partition stood.
    Market(MarketImported),
    /// Open orders of a market of this partition, in the order in which they trade or trigger.
    Orders(Vec<Placed>),
    /// Open order lists of a market of this partition, with the orders that are pending in them. The others
    /// come before.
    Lists(Vec<PlacedList>),
    /// What transfers that are not remembered one by one have brought in. Partition 0 takes it, before
    /// [`Piece::Money`].
    Forgotten(Vec<Owned>),
    /// Countdowns that run. The account's partition takes them.
    Countdowns(Vec<Countdown>),
    /// What holds for the whole venue.
    Settings(Settings),
    /// What some holds and markets have beside them.
    Beside(Beside),
    /// What accounts pay; behind the accounts and the settings.
    Payers(Vec<Payer>),
    /// The session of a market of this partition, before its orders.
    Session(MovedSession),
    /// The last, from [`SourceId::IMPORT_END`]: every partition has all of its pieces.
    Open,
}

/// What only some holds and markets have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Beside {
    /// The holds of this partition that count for something; behind the holds.
    Counted(Vec<(HoldId, AccountId, Counted)>),
    /// What was traded in the last minutes of a market of this partition; behind the market.
    Minutes {
        /// The market.
        symbol: SymbolId,
        /// Oldest first.
        minutes: Vec<Minute>,
    },
}

/// Funds held for an open order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The number that the hold gets.
    pub hold: HoldId,
    /// Whose funds.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
}

/// An open order, as its market's partition takes it over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The order.
    pub order: OrderImported,
    /// What holds its funds, in its account's partition.
    pub hold: HoldId,
    /// Of an order that waits for its stop price: how much is held for it.
    pub budget: Amount,
    /// The fee rates that it was accepted with.
    pub fees: Fees,
    /// What it was charged beyond its exact fee.
    pub fee_credit: FeeCredit,
    /// What is held for its fees in the asset of the discount, and where, in its account's partition.
    pub reserve: Option<(HoldId, FeeReserve)>,
}

/// An open order list, as its market's partition takes it over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlacedList {
    /// The list.
    pub list: StandingList,
    /// What holds the funds of its orders but the working one, in its account's partition.
    pub hold: HoldId,
    /// What holds [`StandingList::reserve`] there, if there is something.
    pub reserve_hold: Option<HoldId>,
}

impl Piece {
    /// The source that sends it.
    #[must_use]
    pub fn source(&self) -> SourceId {
        if matches!(self, Self::Open) { SourceId::IMPORT_END } else { SourceId::IMPORT }
    }
}
