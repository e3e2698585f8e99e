//! Accounts and their balances: one slot per account, with a short list of the assets that it ever had.

use std::hash::{BuildHasherDefault, Hasher};

use crossbook_types::{AccountId, Amount, AssetId};
use hashbrown::HashMap;

use crate::{Balance, Inconsistent};

/// Where a balance is. Stays valid for as long as the ledger lives: accounts and holdings are never removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    pub(crate) slot: u32,
    pub(crate) holding: u32,
}

/// What an account has of one asset.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) asset: AssetId,
    pub(crate) free: Amount,
    pub(crate) held: Amount,
    /// Both as last drained; see [`crate::Ledger::drain_changes`].
    pub(crate) told: Balance,
    /// Whether the balance stands in the ledger's list of changes.
    pub(crate) changed: bool,
}

/// All accounts of a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    slots: HashMap<AccountId, u32, CountingHash>,
    accounts: Vec<(AccountId, Vec<Holding>)>,
}

/// Hashes ids that the venue itself assigns, which nobody outside can choose. The low bits, which choose the bucket,
/// are those of the id: consecutive ids go to neighbouring buckets, so that inserting a new one finds its cache line
/// where the previous one left it. The high bits, which distinguish entries of a group, are mixed.
pub type CountingHash = BuildHasherDefault<CountingHasher>;

/// The bits of a hash that are mixed.
const MIXED: u64 = u64::MAX << 48;

/// See [`CountingHash`].
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingHasher(u64);

impl Hasher for CountingHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let number = self.0.rotate_left(5) ^ number;
        self.0 = number ^ (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & MIXED);
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
}

impl Accounts {
    pub(crate) fn open(&mut self, account: AccountId) -> u32 {
        if let Some(slot) = self.slot(account) {
            return slot;
        }
        let slot = u32::try_from(self.accounts.len()).expect("fewer than 2^32 accounts");
        self.slots.insert(account, slot);
        self.accounts.push((account, Vec::new()));
        slot
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    #[inline]
    pub(crate) fn slot(&self, account: AccountId) -> Option<u32> {
        self.slots.get(&account).copied()
    }

    #[inline]
    pub(crate) fn id(&self, slot: u32) -> AccountId {
        self.accounts[slot as usize].0
    }

    /// Where the account's balance of an asset is; made if there is none yet.
    #[inline]
    pub(crate) fn position(&mut self, slot: u32, asset: AssetId) -> Position {
        let holdings = &mut self.accounts[slot as usize].1;
        let holding = match holdings.iter().position(|holding| holding.asset == asset) {
            Some(at) => at,
            None => {
                let (free, held, told) = (Amount::ZERO, Amount::ZERO, Balance::default());
                holdings.push(Holding { asset, free, held, told, changed: false });
                holdings.len() - 1
            }
        };
        Position { slot, holding: u32::try_from(holding).expect("fewer than 2^32 assets") }
    }

    #[inline]
    pub(crate) fn at(&mut self, position: Position) -> &mut Holding {
        &mut self.accounts[position.slot as usize].1[position.holding as usize]
    }

    /// Whose balance is at a position, and of what.
    pub(crate) fn describe(&self, position: Position) -> (AccountId, AssetId) {
        let (account, holdings) = &self.accounts[position.slot as usize];
        (*account, holdings[position.holding as usize].asset)
    }

    pub(crate) fn balance(&self, account: AccountId, asset: AssetId) -> Balance {
        let holdings = self.slot(account).map(|slot| &self.accounts[slot as usize].1);
        let holding = holdings.and_then(|list| list.iter().find(|holding| holding.asset == asset));
        holding.map_or_else(Balance::default, |holding| Balance { free: holding.free, held: holding.held })
    }

    pub(crate) fn balances(&self) -> impl Iterator<Item = (AccountId, AssetId, Balance)> {
        self.canonical()
            .into_iter()
            .flat_map(|(account, balances)| balances.into_iter().map(move |(asset, balance)| (account, asset, balance)))
    }

    /// Accounts by number, each with the assets it has, by number. An asset of which nothing is left is not listed.
    pub(crate) fn canonical(&self) -> Vec<(AccountId, Vec<(AssetId, Balance)>)> {
        let mut accounts: Vec<_> = self
            .accounts
            .iter()
            .map(|(id, holdings)| {
                let mut balances: Vec<_> = holdings
                    .iter()
                    .filter(|holding| !(holding.free.is_zero() && holding.held.is_zero()))
                    .map(|holding| (holding.asset, Balance { free: holding.free, held: holding.held }))
                    .collect();
                balances.sort_unstable_by_key(|&(asset, _)| asset);
                (*id, balances)
            })
            .collect();
        accounts.sort_unstable_by_key(|&(id, _)| id);
        accounts
    }

    pub(crate) fn restore(
        &mut self,
        account: AccountId,
        balances: Vec<(AssetId, Balance)>,
    ) -> Result<(), Inconsistent> {
        if self.slot(account).is_some() {
            return Err(Inconsistent);
        }
        let slot = self.open(account);
        for (asset, balance) in balances {
            let position = self.position(slot, asset);
            let holding = self.at(position);
            (holding.free, holding.held, holding.told) = (balance.free, balance.held, balance);
        }
        Ok(())
    }
}
