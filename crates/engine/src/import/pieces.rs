//! Splits an inventory into pieces for the partitions of another venue.

use crossbook_ledger::hold_of_empty;
use crossbook_protocol::Transfer;
use crossbook_protocol::event::OrderPlaced;
use crossbook_protocol::import::{Beside, ExportId, Held, Inventory, Owned, Piece, Placed, PlacedList, Settings};
use crossbook_protocol::registry::{ApiKey, Credential};
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_types::{AccountId, PartitionId, SymbolId};
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
    // Holds are numbered as they are placed, so this decides which number each order's has.
    let mut holds: Vec<Vec<Held>> = routing.all().map(|_| Vec::new()).collect();
    let mut counted: Vec<Vec<_>> = routing.all().map(|_| Vec::new()).collect();
    let mut placed: Vec<(SymbolId, Vec<Placed>, Vec<PlacedList>)> = Vec::with_capacity(inventory.books.len());
    for (book, market) in inventory.books.iter().zip(&inventory.markets) {
        let mut hold = |account, asset, amount| {
            let holds = &mut holds[usize::from(routing.of_account(account).0)];
            let count = u32::try_from(holds.len()).expect("a venue holds for fewer than 2^32 orders");
            let hold = hold_of_empty(count);
            holds.push(Held { hold, account, asset, amount });
            hold
        };
        let mut shared = BTreeMap::new();
        let mut lists = Vec::with_capacity(book.lists.len());
        for list in &book.lists {
            let Some(first) = list.others.first() else { continue };
            let pays = market.pays(first.order.placed.terms.side);
            let hold = hold(list.list.placed.account, pays, list.held);
            shared.extend(list.others.iter().map(|leg| (leg.order.placed.order, hold)));
            let account = list.list.placed.account;
            counted[usize::from(routing.of_account(account).0)]
                .extend(list.counted.map(|counted| (hold, account, counted)));
            lists.push(PlacedList { list: list.clone(), hold });
        }
        let mut orders = Vec::with_capacity(book.orders.len());
        for standing in &book.orders {
            let OrderPlaced { order, account, ref terms } = standing.order.placed;
            let of_list = shared.get(&order).copied();
            let hold_of_order = of_list.unwrap_or_else(|| hold(account, market.pays(terms.side), standing.held));
            let owner = usize::from(routing.of_account(account).0);
            let counts = standing.counted.filter(|_| of_list.is_none());
            counted[owner].extend(counts.map(|counted| (hold_of_order, account, counted)));
            let reserve = standing.reserve.map(|reserve| (hold(account, reserve.asset, reserve.held), reserve));
            orders.push(Placed {
                order: standing.order.clone(),
                hold: hold_of_order,
                budget: standing.held,
                fees: standing.fees,
                fee_credit: standing.fee_credit,
                reserve,
            });
        }
        placed.push((market.id, orders, lists));
    }
    for (pieces, (holds, counted)) in all.iter_mut().zip(holds.iter().zip(&counted)) {
        cut(holds, Piece::Holds, pieces);
        cut(counted, |counted| Piece::Beside(Beside::Counted(counted)), pieces);
    }
    for (book, (symbol, orders, lists)) in inventory.books.iter().zip(&placed) {
        let pieces = &mut all[usize::from(routing.of_symbol(*symbol).0)];
        pieces.push(Piece::Market(book.market));
        let minutes = |minutes| Piece::Beside(Beside::Minutes { symbol: *symbol, minutes });
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
