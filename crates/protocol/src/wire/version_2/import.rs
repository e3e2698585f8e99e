//! A venue that moves, in version 2: its inventory in an export, and the pieces of it in logs.

use crate::import;
use crossbook_types::{AccountId, Amount, AssetId, FeeCredit, HoldId};
use serde::Deserialize;

use super::events::{MarketImported, OrderImported, Transfer};
use super::{Account, ApiKey, Asset, Fees, Market};
use crate::wire::frozen::{Upgrade, frozen_enums, frozen_structs};

frozen_enums! {
    enum Piece => import::Piece {
        Begin { export: [u8; 32], pieces: u64 },
        Assets(assets: Vec<Asset>),
        Markets(markets: Vec<Market>),
        Accounts(accounts: Vec<Account>),
        ApiKeys(keys: Vec<ApiKey>),
        Transfers(transfers: Vec<Transfer>),
        Money(money: Vec<Owned>),
        Holds(holds: Vec<Held>),
        Market(market: MarketImported),
        Orders(orders: Vec<Placed>),
        Open,
    }
}

frozen_structs! {
    struct Held => import::Held { hold: HoldId, account: AccountId, asset: AssetId, amount: Amount }

    struct Placed => import::Placed {
        order: OrderImported,
        hold: HoldId,
        budget: Amount,
        fees: Fees;
        // Each fee was rounded by itself.
        fee_credit = FeeCredit::NONE,
    }

    struct Inventory => import::Inventory {
        assets: Vec<Asset>,
        markets: Vec<Market>,
        accounts: Vec<Account>,
        api_keys: Vec<ApiKey>,
        transfers: Vec<Transfer>,
        balances: Vec<Owned>,
        fees: Vec<Owned>,
        books: Vec<Book>,
    }

    struct Owned => import::Owned { account: AccountId, asset: AssetId, amount: Amount }

    struct Book => import::Book { market: MarketImported, orders: Vec<Standing> }

    struct Standing => import::Standing {
        order: OrderImported,
        held: Amount,
        fees: Fees;
        fee_credit = FeeCredit::NONE,
    }
}
