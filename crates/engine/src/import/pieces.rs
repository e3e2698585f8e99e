//! Splits an inventory into pieces for the partitions of another venue.

use crossbook_ledger::hold_of_empty;
use crossbook_protocol::Transfer;
use crossbook_protocol::counted::Counted;
use crossbook_protocol::event::OrderPlaced;
use crossbook_protocol::import::{Beside, Book, ExportId, Held, Inventory, Owned, Piece, Placed, PlacedList, Settings};
use crossbook_protocol::registry::{ApiKey, Credential};
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_types::{AccountId, Amount, AssetId, HoldId, Market, PartitionId};
use std::collections::BTreeMap;

/// Maximum number of entries of a piece. One has some hundred bytes, and so have its events, so a thousand pieces still
/// fit in one round trip.
const ENTRIES_MAX: usize = 64;
/// Maximum number of bytes of API keys in a piece, unless one alone is larger: a key may have a long list of addresses.
const KEY_BYTES_MAX: usize = 1 << 16;

/// The pieces of each partition, by number, without [`Piece::Open`], which is sent when every partition has all of
/// these.
#[must_use]
pub fn pieces(inventory: &Inventory, routing: &Routing, export: ExportId) -> Vec<Vec<Piece>> {
    let mut routing = routing.clone();
    inventory.markets.iter().for_each(|market| routing.adopt(market));
    let mut all: Vec<Vec<Piece>> = routing.all().map(|partition| registry_for(inventory, partition)).collect();
    for partition in routing.all() {
        money_for(inventory, &routing, partition, &mut all[usize::from(partition.0)]);
    }
    let mut holds = Holds::of(&routing);
    let placed: Vec<_> = inventory
        .books
        .iter()
        .zip(&inventory.markets)
        .map(|(book, market)| holds.place(book, market, &routing))
        .collect();
    for (pieces, (holds, counted)) in all.iter_mut().zip(holds.holds.iter().zip(&holds.counted)) {
        cut(holds, Piece::Holds, pieces);
        cut(counted, |counted| Piece::Beside(Beside::Counted(counted)), pieces);
    }
    for (book, (orders, lists)) in inventory.books.iter().zip(&placed) {
        let symbol = book.market.symbol;
        let pieces = &mut all[usize::from(routing.of_symbol(symbol).0)];
        pieces.push(Piece::Market(book.market));
        let minutes = |minutes| Piece::Beside(Beside::Minutes { symbol, minutes });
        // As many as a market has fit in one.
        pieces.extend((!book.minutes.is_empty()).then(|| minutes(book.minutes.clone())));
        pieces.extend(book.session.clone().map(Piece::Session));
        cut(orders, Piece::Orders, pieces);
        cut(lists, Piece::Lists, pieces);
    }
    for pieces in &mut all {
        let count = pieces.len() as u64 + 1;
        pieces.insert(0, Piece::BeginUnder { export, pieces: count, rules: Rules::NEWEST });
    }
    all
}

/// What is held for open orders, by the partition of their account. Holds are numbered as they are placed, so this
/// decides which number each order's has.
struct Holds {
    holds: Vec<Vec<Held>>,
    /// What they count for.
    counted: Vec<Vec<(HoldId, AccountId, Counted)>>,
}

impl Holds {
    fn of(routing: &Routing) -> Self {
        Self {
            holds: routing.all().map(|_| Vec::new()).collect(),
            counted: routing.all().map(|_| Vec::new()).collect(),
        }
    }

    fn hold(&mut self, routing: &Routing, account: AccountId, asset: AssetId, amount: Amount) -> HoldId {
        let holds = &mut self.holds[usize::from(routing.of_account(account).0)];
        let count = u32::try_from(holds.len()).expect("a venue holds for fewer than 2^32 orders");
        let hold = hold_of_empty(count);
        holds.push(Held { hold, account, asset, amount });
        hold
    }

    fn count(&mut self, routing: &Routing, account: AccountId, hold: HoldId, counted: Option<Counted>) {
        let all = &mut self.counted[usize::from(routing.of_account(account).0)];
        all.extend(counted.map(|counted| (hold, account, counted)));
    }

    /// The orders and lists of a market, with their holds.
    fn place(&mut self, book: &Book, market: &Market, routing: &Routing) -> (Vec<Placed>, Vec<PlacedList>) {
        let mut shared = BTreeMap::new();
        let mut lists = Vec::with_capacity(book.lists.len());
        for list in &book.lists {
            let Some(first) = list.others.first() else { continue };
            let account = list.list.placed.account;
            let hold = self.hold(routing, account, market.pays(first.order.placed.terms.side), list.held);
            let reserve =
                list.reserve.map(|reserve| (self.hold(routing, account, reserve.asset, reserve.held), reserve));
            shared.extend(list.others.iter().map(|leg| (leg.order.placed.order, (hold, reserve))));
            self.count(routing, account, hold, list.counted);
            lists.push(PlacedList { list: list.clone(), hold, reserve_hold: reserve.map(|(hold, _)| hold) });
        }
        let mut orders = Vec::with_capacity(book.orders.len());
        for standing in &book.orders {
            let OrderPlaced { order, account, ref terms } = standing.order.placed;
            let of_list = shared.get(&order).copied();
            let hold = match of_list {
                Some((hold, _)) => hold,
                None => self.hold(routing, account, market.pays(terms.side), standing.held),
            };
            self.count(routing, account, hold, standing.counted.filter(|_| of_list.is_none()));
            let own =
                standing.reserve.map(|reserve| (self.hold(routing, account, reserve.asset, reserve.held), reserve));
            orders.push(Placed {
                order: standing.order.clone(),
                hold,
                budget: standing.held,
                fees: standing.fees,
                fee_credit: standing.fee_credit,
                reserve: own.or(of_list.and_then(|(_, reserve)| reserve)),
            });
        }
        (orders, lists)
    }
}

/// What a partition's accounts have: transfers, balances and countdowns.
fn money_for(inventory: &Inventory, routing: &Routing, partition: PartitionId, pieces: &mut Vec<Piece>) {
    let own = |account| routing.of_account(account) == partition;
    let here = |transfer: &&Transfer| match transfer.account {
        AccountId::FEES => partition == Routing::REGISTRY,
        account => own(account),
    };
    let transfers: Vec<_> = inventory.transfers.iter().filter(here).cloned().collect();
    cut(&transfers, Piece::Transfers, pieces);
    if partition == Routing::REGISTRY {
        cut(&inventory.forgotten, Piece::Forgotten, pieces);
    }
    let fees = inventory.fees.iter().filter(|_| partition == Routing::REGISTRY);
    let money: Vec<Owned> = inventory.balances.iter().filter(|owned| own(owned.account)).chain(fees).copied().collect();
    cut(&money, Piece::Money, pieces);
    let countdowns = inventory.countdowns.iter().filter(|countdown| own(countdown.account));
    cut(&countdowns.copied().collect::<Vec<_>>(), Piece::Countdowns, pieces);
}

/// Assets, markets and accounts, which every partition knows, and API keys, which only partition 0 does.
fn registry_for(inventory: &Inventory, partition: PartitionId) -> Vec<Piece> {
    let mut pieces = Vec::new();
    cut(&inventory.assets, Piece::Assets, &mut pieces);
    cut(&inventory.markets, Piece::Markets, &mut pieces);
    cut(&inventory.accounts, Piece::Accounts, &mut pieces);
    if inventory.settings != Settings::default() {
        pieces.push(Piece::Settings(inventory.settings.clone()));
    }
    cut(&inventory.payers, Piece::Payers, &mut pieces);
    if partition != Routing::REGISTRY {
        return pieces;
    }
    let (mut keys, mut bytes) = (Vec::new(), 0);
    for key in &inventory.api_keys {
        let more = bytes_of(key);
        if !keys.is_empty() && (bytes + more > KEY_BYTES_MAX || keys.len() == ENTRIES_MAX) {
            pieces.push(Piece::ApiKeys(std::mem::take(&mut keys)));
            bytes = 0;
        }
        bytes += more;
        keys.push(key.clone());
    }
    cut(&keys, Piece::ApiKeys, &mut pieces);
    pieces
}

/// What of a key's size differs from key to key.
fn bytes_of(key: &ApiKey) -> usize {
    let credential = match &key.credential {
        Credential::Hmac { sealed: bytes }
        | Credential::Ed25519 { public: bytes }
        | Credential::Rsa { public: bytes } => bytes.len(),
    };
    credential + key.allowed_ips.iter().map(String::len).sum::<usize>()
}

fn cut<T: Clone>(entries: &[T], piece: impl Fn(Vec<T>) -> Piece, into: &mut Vec<Piece>) {
    into.extend(entries.chunks(ENTRIES_MAX).map(|entries| piece(entries.to_vec())));
}
