//! Assets, markets, accounts and API keys. Partition 0 has the original and sends each change to every other partition,
//! so that all of them can check an order by themselves.

use crossbook_protocol::command::{ChangeMarket, ListAsset, ListMarket, OpenAccount, SetAccountFees, SetTradeGroup};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::registry::{ACCOUNTS_PER_TRADE_GROUP_MAX, Account, Change, DECIMALS_MAX, LABEL_BYTES_MAX};
use crossbook_protocol::rules::Rules;
use crossbook_protocol::wire;
use crossbook_protocol::wire::codec::{Reader, Sink, Wire, wire_struct};
use std::collections::{BTreeMap, BTreeSet};

use crossbook_types::{
    AccountFees, AccountId, Asset, AssetId, AssetName, ExchangeFilters, FeeDiscount, FeeParts, FeeTiers, Fees, Market,
    MarketStatus, SymbolId, SymbolName, Timestamp, TradeGroupId,
};

use crate::limits::NUMBERS_END;

mod discount;
mod keys;

use keys::ApiKeys;

/// The most accounts of a venue: ledgers count them with 32 bits.
const ACCOUNTS_MAX: usize = if cfg!(test) { 8 } else { u32::MAX as usize };

/// Assets, markets, accounts and API keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registry {
    assets: Vec<Asset>,
    markets: Vec<Market>,
    accounts: Accounts,
    api_keys: ApiKeys,
    exchange_filters: ExchangeFilters,
    /// Of accounts that pay something else than the markets' fees.
    account_fees: BTreeMap<AccountId, AccountFees>,
    fee_tiers: Option<Box<FeeTiers>>,
    fee_discount: Option<Box<FeeDiscount>>,
    /// The accounts that pay their fees in its asset.
    discount_users: BTreeSet<AccountId>,
    /// The accounts that place no orders, and out of which nothing is paid.
    frozen: BTreeSet<AccountId>,
}

/// Accounts, and the trade group of each that is in one, so that the orders of others cost no look at it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Accounts {
    by_id: BTreeMap<AccountId, Account>,
    /// Follows from the accounts, so it is not stored.
    groups: BTreeMap<AccountId, TradeGroupId>,
}

impl Accounts {
    /// Adds an account, or takes over how it is now; how it was before.
    fn insert(&mut self, account: Account) -> Option<Account> {
        match account.trade_group {
            Some(group) => self.groups.insert(account.id, group),
            None => self.groups.remove(&account.id),
        };
        self.by_id.insert(account.id, account)
    }
}

/// As the accounts by number.
impl Wire for Accounts {
    fn write<S: Sink>(&self, out: &mut S) {
        self.by_id.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, wire::Error> {
        let by_id = BTreeMap::<AccountId, Account>::read(from)?;
        let groups = by_id.iter().filter_map(|(&id, account)| Some((id, account.trade_group?))).collect();
        Ok(Self { by_id, groups })
    }
}

impl Registry {
    /// All assets, by number.
    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// All markets, by number.
    #[must_use]
    pub fn markets(&self) -> &[Market] {
        &self.markets
    }

    /// All accounts, by number.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.by_id.values()
    }

    /// The market of that number.
    #[must_use]
    #[inline]
    pub fn market(&self, symbol: SymbolId) -> Option<&Market> {
        self.markets.get(symbol.0 as usize)
    }

    /// The asset of that number.
    #[must_use]
    #[inline]
    pub fn asset(&self, asset: AssetId) -> Option<&Asset> {
        self.assets.get(asset.0 as usize)
    }

    /// How many orders an account may have open in all markets.
    #[must_use]
    #[inline]
    pub fn exchange_filters(&self) -> ExchangeFilters {
        self.exchange_filters
    }

    /// What accounts pay for which the operator has set that.
    #[must_use]
    pub fn account_fees(&self) -> &BTreeMap<AccountId, AccountFees> {
        &self.account_fees
    }

    /// What accounts pay that have traded much; `None` if that makes no difference.
    #[must_use]
    #[inline]
    pub fn fee_tiers(&self) -> Option<&FeeTiers> {
        self.fee_tiers.as_deref()
    }

    /// The rates of a new order of an account, where those that the operator has set nothing for pay `usual`.
    #[inline]
    pub(crate) fn fees_of(&self, account: AccountId, usual: Fees) -> Fees {
        if self.account_fees.is_empty() { usual } else { self.own_fees_of(account, usual) }
    }

    #[cold]
    fn own_fees_of(&self, account: AccountId, usual: Fees) -> Fees {
        self.account_fees.get(&account).map_or(usual, |own| own.parts(usual).total())
    }

    /// The parts of the rates of a new order of an account, where those that the operator has set nothing for pay
    /// `usual`.
    pub(crate) fn fee_parts_of(&self, account: AccountId, usual: Fees) -> FeeParts {
        self.account_fees.get(&account).copied().unwrap_or_default().parts(usual)
    }

    /// Sets what accounts pay that have traded much.
    pub(crate) fn set_fee_tiers(&mut self, tiers: &FeeTiers) -> Result<(), Refusal> {
        if !tiers.is_sound() {
            return Err(Refusal::FeeTiers);
        }
        self.asset(tiers.asset).ok_or(Refusal::UnknownAsset)?;
        for market in &self.markets {
            self.check_all_fees(market, tiers.highest())?;
        }
        self.take_fee_tiers(tiers.clone());
        Ok(())
    }

    pub(crate) fn take_fee_tiers(&mut self, tiers: FeeTiers) {
        self.fee_tiers = (!tiers.tiers.is_empty()).then(|| Box::new(tiers));
    }

    /// The highest rates of the tiers.
    fn highest_tier(&self) -> Fees {
        self.fee_tiers().map(FeeTiers::highest).unwrap_or_default()
    }

    /// Sets what an account pays.
    pub(crate) fn set_account_fees(&mut self, request: &SetAccountFees) -> Result<(), Refusal> {
        let &SetAccountFees { account, fees } = request;
        if !self.has_account(account) {
            return Err(Refusal::UnknownAccount);
        }
        for market in &self.markets {
            check_account_fees(market, &fees, self.highest_tier())?;
        }
        self.take_account_fees(account, fees);
        Ok(())
    }

    fn take_account_fees(&mut self, account: AccountId, fees: AccountFees) {
        if fees == AccountFees::default() {
            self.account_fees.remove(&account);
        } else {
            self.account_fees.insert(account, fees);
        }
    }

    /// Whether every account would receive something in a market, those of the highest tier, too.
    fn check_all_fees(&self, market: &Market, highest: Fees) -> Result<(), Refusal> {
        check_account_fees(market, &AccountFees::default(), highest)?;
        self.account_fees.values().try_for_each(|fees| check_account_fees(market, fees, highest))
    }

    pub(crate) fn set_exchange_filters(&mut self, filters: ExchangeFilters) {
        self.exchange_filters = filters;
    }

    /// Whether there is such an account.
    #[must_use]
    pub fn has_account(&self, account: AccountId) -> bool {
        self.accounts.by_id.contains_key(&account)
    }

    /// The trade group that an account is in.
    #[inline]
    pub(crate) fn trade_group(&self, account: AccountId) -> Option<TradeGroupId> {
        if self.accounts.groups.is_empty() { None } else { self.accounts.groups.get(&account).copied() }
    }

    /// The accounts that are frozen, by number.
    pub fn frozen(&self) -> impl Iterator<Item = AccountId> {
        self.frozen.iter().copied()
    }

    /// Refuses what a frozen account must not do.
    #[inline]
    pub(crate) fn check_frozen(&self, account: AccountId) -> Result<(), Refusal> {
        if self.frozen.is_empty() { Ok(()) } else { self.check_if_frozen(account) }
    }

    #[cold]
    fn check_if_frozen(&self, account: AccountId) -> Result<(), Refusal> {
        if self.frozen.contains(&account) { Err(Refusal::AccountFrozen) } else { Ok(()) }
    }

    /// Freezes an account, or lets it go on. Whether it was otherwise before.
    pub(crate) fn set_frozen(&mut self, account: AccountId, on: bool) -> Result<bool, Refusal> {
        if !self.has_account(account) {
            return Err(Refusal::UnknownAccount);
        }
        Ok(self.take_frozen(account, on))
    }

    fn take_frozen(&mut self, account: AccountId, on: bool) -> bool {
        if on { self.frozen.insert(account) } else { self.frozen.remove(&account) }
    }

    fn asset_named(&self, name: AssetName) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.name == name)
    }

    fn market_named(&self, symbol: SymbolName) -> Option<&Market> {
        self.markets.iter().find(|market| market.symbol == symbol && market.status != MarketStatus::Delisted)
    }

    /// Lists an asset. Listing it again the same way changes nothing and gives the same answer.
    pub(crate) fn list_asset(&mut self, request: &ListAsset) -> Result<(Asset, bool), Refusal> {
        if request.decimals > DECIMALS_MAX {
            return Err(Refusal::AssetDecimals);
        }
        if let Some(asset) = self.asset_named(request.name) {
            return if asset.decimals == request.decimals { Ok((*asset, false)) } else { Err(Refusal::AssetExists) };
        }
        let asset = Asset { id: AssetId(number(self.assets.len())?), name: request.name, decimals: request.decimals };
        self.assets.push(asset);
        Ok((asset, true))
    }

    /// Opens a market.
    pub(crate) fn list_market(&mut self, request: &ListMarket, rules: Rules) -> Result<Market, Refusal> {
        let mut description = request.description;
        check_status(description.status)?;
        if self.market_named(description.symbol).is_some() {
            return Err(Refusal::MarketExists);
        }
        for asset in [description.base, description.quote] {
            if self.asset(asset.id) != Some(&asset) {
                return Err(Refusal::UnknownAsset);
            }
        }
        if rules < Rules::V4 && !description.filters.relative.is_usual() {
            return Err(Refusal::RulesTooOld);
        }
        description.id = SymbolId(number(self.markets.len())?);
        let market = Market::new_checked(description).map_err(Refusal::Market)?;
        if rules >= Rules::V2 {
            self.check_all_fees(&market, self.highest_tier())?;
        }
        self.markets.push(market);
        Ok(market)
    }

    /// Changes a market.
    pub(crate) fn change_market(&mut self, request: &ChangeMarket, rules: Rules) -> Result<Market, Refusal> {
        let market = self.listed(request.symbol)?;
        request.status.map_or(Ok(()), check_status)?;
        if rules < Rules::V4 && request.filters.is_some_and(|filters| !filters.relative.is_usual()) {
            return Err(Refusal::RulesTooOld);
        }
        let market = market
            .changed(
                request.filters.unwrap_or(market.filters),
                request.fees.unwrap_or(market.fees),
                request.status.unwrap_or(market.status),
            )
            .map_err(Refusal::Market)?
            .with_self_trade(request.self_trade.unwrap_or(market.self_trade));
        // The status of a market that was listed under the first rules can always be changed.
        if rules >= Rules::V2 && (request.filters.is_some() || request.fees.is_some()) {
            self.check_all_fees(&market, self.highest_tier())?;
        }
        self.markets[request.symbol.0 as usize] = market;
        Ok(market)
    }

    /// The market of that number, if it is not delisted.
    pub(crate) fn listed(&self, symbol: SymbolId) -> Result<&Market, Refusal> {
        let market = self.market(symbol).filter(|market| market.status != MarketStatus::Delisted);
        market.ok_or(Refusal::UnknownSymbol)
    }

    /// Ends a market. Its number stays its own. One that has ended may end again: some of its orders may be left, as
    /// the operator has passed over a command that was to end them.
    pub(crate) fn delist_market(&mut self, symbol: SymbolId) -> Result<Market, Refusal> {
        let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?.with_status(MarketStatus::Delisted);
        self.markets[symbol.0 as usize] = market;
        Ok(market)
    }

    /// Opens an account.
    pub(crate) fn open_account(&mut self, request: &OpenAccount, time: Timestamp) -> Result<Account, Refusal> {
        if request.label.len() > LABEL_BYTES_MAX {
            return Err(Refusal::LabelTooLong);
        }
        let id = self.accounts.by_id.last_key_value().map_or(AccountId::FIRST_CLIENT, |(last, _)| last.next());
        if self.accounts.by_id.len() >= ACCOUNTS_MAX || id.0 >= NUMBERS_END {
            return Err(Refusal::NumbersUsedUp);
        }
        let account = Account { id, label: request.label.clone(), opened: time, trade_group: None };
        self.accounts.insert(account.clone());
        Ok(account)
    }

    /// Puts an account into a trade group, or takes it out of one: how it is then, and whether that is new.
    pub(crate) fn set_trade_group(
        &mut self,
        request: &SetTradeGroup,
        rules: Rules,
    ) -> Result<(Account, bool), Refusal> {
        let &SetTradeGroup { account, group } = request;
        if rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        let mut account = self.accounts.by_id.get(&account).ok_or(Refusal::UnknownAccount)?.clone();
        if account.trade_group == group {
            return Ok((account, false));
        }
        let there = self.accounts.groups.values().filter(|&&other| Some(other) == group).count();
        if there >= ACCOUNTS_PER_TRADE_GROUP_MAX {
            return Err(Refusal::TradeGroupFull);
        }
        account.trade_group = group;
        self.accounts.insert(account.clone());
        Ok((account, true))
    }

    /// Takes over a change that partition 0 made. Whether it brought something that was not there.
    ///
    /// # Panics
    /// When changes arrive out of order, which the transport between partitions rules out.
    pub(crate) fn follow(&mut self, change: Change) -> bool {
        match change {
            Change::Asset(asset) => {
                assert_eq!(asset.id.0, count(self.assets.len()), "asset listings out of order");
                self.assets.push(asset);
                true
            }
            Change::Market(market) => {
                let at = market.id.0 as usize;
                if at < self.markets.len() {
                    self.markets[at] = *market;
                    false
                } else {
                    assert_eq!(at, self.markets.len(), "market listings out of order");
                    self.markets.push(*market);
                    true
                }
            }
            Change::ExchangeFilters(filters) => {
                self.exchange_filters = filters;
                false
            }
            Change::AccountFees { account, fees } => {
                self.take_account_fees(account, fees);
                false
            }
            Change::FeeTiers(tiers) => {
                self.take_fee_tiers(*tiers);
                false
            }
            Change::FeeDiscount(discount) => {
                self.take_fee_discount(*discount);
                false
            }
            Change::DiscountUse { account, on } => {
                self.take_discount_use(account, on);
                false
            }
            Change::Frozen { account, on } => {
                self.take_frozen(account, on);
                false
            }
            Change::Account(account) => self.accounts.insert(*account).is_none(),
            Change::Rules(_) => false,
        }
    }
}

impl Registry {
    /// Whether everything is found under its own number or name, and markets trade assets that are listed. What was
    /// read from bytes need not be so.
    pub(crate) fn is_sound(&self) -> bool {
        let counted = |ids: &mut dyn Iterator<Item = u32>| (0..).zip(ids).all(|(at, id)| id == at);
        counted(&mut self.assets.iter().map(|asset| asset.id.0))
            && counted(&mut self.markets.iter().map(|market| market.id.0))
            && self
                .markets
                .iter()
                .flat_map(|market| [market.base, market.quote])
                .all(|own| self.asset(own.id) == Some(&own))
            && self.account_fees.keys().all(|account| self.has_account(*account))
            && self.fee_tiers().is_none_or(|tiers| tiers.is_sound() && self.asset(tiers.asset).is_some())
            && self.is_discount_sound()
            && self.frozen.iter().all(|&account| self.has_account(account))
            && self.accounts.by_id.iter().all(|(id, account)| *id == account.id)
            && self.api_keys.by_name.iter().all(|(name, key)| *name == key.key)
    }

    /// Whether it has nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.assets.is_empty() && self.accounts.by_id.is_empty() && self.exchange_filters.is_off()
    }

    /// Takes over what another venue had. False if it does not come next, or is here already; nothing changes then.
    pub(crate) fn move_in(&mut self, change: Change) -> bool {
        let fits = match &change {
            Change::Asset(asset) => {
                asset.id.0 == count(self.assets.len())
                    && asset.decimals <= DECIMALS_MAX
                    && self.asset_named(asset.name).is_none()
            }
            Change::Market(market) => {
                market.id.0 == count(self.markets.len())
                    && (self.market_named(market.symbol).is_none() || market.status == MarketStatus::Delisted)
                    && [market.base, market.quote].iter().all(|asset| self.asset(asset.id) == Some(asset))
            }
            Change::Account(account) => {
                !account.id.is_system() && account.id.0 < NUMBERS_END && !self.has_account(account.id)
            }
            Change::AccountFees { account, fees } => {
                self.has_account(*account)
                    && !self.account_fees.contains_key(account)
                    && *fees != AccountFees::default()
            }
            Change::FeeTiers(_)
            | Change::FeeDiscount(_)
            | Change::DiscountUse { .. }
            | Change::Frozen { .. }
            | Change::ExchangeFilters(_)
            | Change::Rules(_) => false,
        };
        if fits {
            self.follow(change);
        }
        fits
    }
}

fn check_account_fees(market: &Market, fees: &AccountFees, highest: Fees) -> Result<(), Refusal> {
    market.check_other_fees(fees.parts(market.fees.max(highest)).total()).map_err(Refusal::Market)
}

/// Whether an operator gives a market that status.
fn check_status(status: MarketStatus) -> Result<(), Refusal> {
    match status {
        MarketStatus::AuctionMatch | MarketStatus::Delisted => Err(Refusal::NotAStatusToSet(status)),
        MarketStatus::Trading | MarketStatus::Halt | MarketStatus::Break | MarketStatus::CancelOnly => Ok(()),
    }
}

/// The number of the next asset or market, if there is one.
fn number(length: usize) -> Result<u32, Refusal> {
    u32::try_from(length).ok().filter(|&number| number < u32::MAX).ok_or(Refusal::NumbersUsedUp)
}

/// A count as an id's number.
fn count(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than 2^32 assets and markets")
}

wire_struct! {
    Registry { 0: assets, 1: markets, 2: accounts, 3: api_keys; optional 40: exchange_filters, 41: account_fees, 42: fee_tiers, 60: fee_discount, 61: discount_users, 62: frozen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_under_another_number_or_name_is_not_sound() {
        let mut sound = Registry::default();
        let asset = ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 };
        sound.list_asset(&asset).unwrap();
        let account = sound.open_account(&OpenAccount { label: String::new() }, Timestamp(1)).unwrap();
        assert!(sound.is_sound());
        let other = Asset { id: AssetId(5), name: asset.name, decimals: 8 };
        assert!(!Registry { assets: vec![other], ..sound.clone() }.is_sound());
        let by_id = BTreeMap::from([(account.id.next(), account)]);
        let misplaced = Accounts { by_id, groups: BTreeMap::new() };
        assert!(!Registry { accounts: misplaced, ..sound }.is_sound());
    }

    #[test]
    fn what_there_is_no_number_for_is_refused() {
        assert_eq!(number(u32::MAX as usize - 1), Ok(u32::MAX - 1));
        assert_eq!(number(u32::MAX as usize), Err(Refusal::NumbersUsedUp));
        assert_eq!(number(1 << 40), Err(Refusal::NumbersUsedUp));
        let mut registry = Registry::default();
        let request = OpenAccount { label: String::new() };
        for _ in 0..ACCOUNTS_MAX {
            registry.open_account(&request, Timestamp(1)).unwrap();
        }
        assert_eq!(registry.open_account(&request, Timestamp(1)), Err(Refusal::NumbersUsedUp));
        // Whatever moves in, its account with the highest number leaves one for the next.
        let mut registry = Registry::default();
        let account = |id| {
            let (id, label) = (AccountId(id), String::new());
            Change::Account(Box::new(Account { id, label, opened: Timestamp(1), trade_group: None }))
        };
        assert!(!registry.move_in(account(u64::MAX)) && !registry.move_in(account(NUMBERS_END)));
        assert!(registry.move_in(account(NUMBERS_END - 1)));
        assert_eq!(registry.open_account(&request, Timestamp(1)), Err(Refusal::NumbersUsedUp));
    }

    #[test]
    fn a_trade_group_has_a_bounded_number_of_accounts() {
        let mut registry = Registry::default();
        let account = |id| Account { id: AccountId(id), label: String::new(), opened: Timestamp(1), trade_group: None };
        let accounts = 2_000..=2_000 + ACCOUNTS_PER_TRADE_GROUP_MAX as u64;
        accounts.clone().for_each(|id| assert!(registry.follow(Change::Account(Box::new(account(id))))));
        let (group, last) = (TradeGroupId::new_checked(7), AccountId(*accounts.end()));
        let set = |registry: &mut Registry, account, group| {
            registry.set_trade_group(&SetTradeGroup { account, group }, Rules::V4).map(|(_, is_new)| is_new)
        };
        for id in *accounts.start()..*accounts.end() {
            assert_eq!(set(&mut registry, AccountId(id), group), Ok(true));
            assert_eq!(set(&mut registry, AccountId(id), group), Ok(false), "it is there already");
        }
        assert_eq!(set(&mut registry, last, group), Err(Refusal::TradeGroupFull));
        assert_eq!(set(&mut registry, last, TradeGroupId::new_checked(8)), Ok(true));
        let mut bytes = Vec::new();
        wire::encode(&registry, &mut bytes);
        assert_eq!(wire::decode(&bytes), Ok(registry.clone()));
        assert_eq!(set(&mut registry, AccountId(2_000), None), Ok(true));
        assert_eq!(registry.trade_group(AccountId(2_000)), None);
        assert_eq!(set(&mut registry, last, group), Ok(true));
        assert_eq!(registry.trade_group(last), group);
        assert_eq!(set(&mut registry, AccountId(1), None), Err(Refusal::UnknownAccount));
        let request = SetTradeGroup { account: last, group: None };
        assert_eq!(registry.set_trade_group(&request, Rules::V3), Err(Refusal::RulesTooOld));
    }
}
