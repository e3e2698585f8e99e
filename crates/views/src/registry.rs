//! Assets, markets, accounts and API keys, for queries of clients and the operator: by id and by name.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_protocol::registry::{Account, ApiKey};
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    AccountFees, AccountId, ApiKeyId, Asset, AssetId, AssetName, ExchangeFilters, FeeDiscount, FeeParts, FeeTiers,
    Fees, Market, MarketStatus, SymbolId, SymbolName, TradeGroupId,
};

use crate::error::Error;

/// What exists at the venue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registry {
    assets: Vec<Asset>,
    assets_by_name: BTreeMap<AssetName, AssetId>,
    markets: Vec<Market>,
    markets_by_name: BTreeMap<SymbolName, SymbolId>,
    accounts: BTreeMap<AccountId, Account>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
    api_keys_by_account: BTreeSet<(AccountId, ApiKeyId)>,
    exchange_filters: ExchangeFilters,
    account_fees: BTreeMap<AccountId, AccountFees>,
    fee_tiers: Option<FeeTiers>,
    fee_discount: Option<FeeDiscount>,
    discount_users: BTreeSet<AccountId>,
    frozen: BTreeSet<AccountId>,
    /// The rates of accounts of this partition that have reached a tier.
    tier_fees: BTreeMap<AccountId, Fees>,
}

/// What a snapshot keeps of the registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RegistryState {
    pub(crate) assets: Vec<Asset>,
    pub(crate) markets: Vec<Market>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) exchange_filters: ExchangeFilters,
    pub(crate) account_fees: BTreeMap<AccountId, AccountFees>,
    pub(crate) fee_tiers: Option<FeeTiers>,
    pub(crate) tier_fees: BTreeMap<AccountId, Fees>,
    pub(crate) fee_discount: Option<FeeDiscount>,
    pub(crate) discount_users: BTreeSet<AccountId>,
    pub(crate) frozen: BTreeSet<AccountId>,
}

impl Registry {
    /// All assets, by number.
    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// The asset of that number.
    #[must_use]
    pub fn asset(&self, asset: AssetId) -> Option<&Asset> {
        self.assets.get(asset.0 as usize)
    }

    /// The asset of that name.
    #[must_use]
    pub fn asset_named(&self, name: &str) -> Option<&Asset> {
        self.asset(*self.assets_by_name.get(&AssetName::new_checked(name).ok()?)?)
    }

    /// All markets, by number, those that are delisted included.
    #[must_use]
    pub fn markets(&self) -> &[Market] {
        &self.markets
    }

    /// The market of that number.
    #[must_use]
    pub fn market(&self, symbol: SymbolId) -> Option<&Market> {
        self.markets.get(symbol.0 as usize)
    }

    /// The market of that name that is not delisted.
    #[must_use]
    pub fn market_named(&self, symbol: &str) -> Option<&Market> {
        self.market(*self.markets_by_name.get(&SymbolName::new_checked(symbol).ok()?)?)
    }

    /// All accounts, by number.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The accounts from that number on, by number.
    pub fn accounts_from(&self, first: AccountId) -> impl Iterator<Item = &Account> {
        self.accounts.range(first..).map(|(_, account)| account)
    }

    /// The account of that number.
    #[must_use]
    pub fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.get(&account)
    }

    /// The API key of that name, if it is valid.
    #[must_use]
    pub fn api_key(&self, key: &str) -> Option<&ApiKey> {
        self.api_keys.get(&ApiKeyId::new_checked(key).ok()?)
    }

    /// The valid API keys of an account, by name.
    pub fn api_keys(&self, account: AccountId) -> impl Iterator<Item = &ApiKey> {
        self.api_keys_by_account
            .range((account, ApiKeyId::default())..)
            .take_while(move |&&(owner, _)| owner == account)
            .filter_map(|(_, key)| self.api_keys.get(key))
    }

    /// How many orders an account may have open in all markets.
    #[must_use]
    pub fn exchange_filters(&self) -> ExchangeFilters {
        self.exchange_filters
    }

    /// What an account pays, beside or instead of the markets' fees.
    #[must_use]
    pub fn account_fees(&self, account: AccountId) -> AccountFees {
        self.account_fees.get(&account).copied().unwrap_or_default()
    }

    pub(crate) fn set_account_fees(&mut self, account: AccountId, fees: AccountFees) {
        if fees == AccountFees::default() {
            self.account_fees.remove(&account);
        } else {
            self.account_fees.insert(account, fees);
        }
    }

    /// What accounts pay that have traded much; `None` if that makes no difference.
    #[must_use]
    pub fn fee_tiers(&self) -> Option<&FeeTiers> {
        self.fee_tiers.as_ref()
    }

    /// What a new order of an account of this partition pays in a market, by part. The account's tier is that of the
    /// day of its last order.
    #[must_use]
    pub fn fee_parts(&self, account: AccountId, market: &Market) -> FeeParts {
        let usual = self.tier_fees.get(&account).copied().unwrap_or(market.fees);
        self.account_fees(account).parts(usual)
    }

    /// In which asset fees can be paid, and how much less they are then; `None` if they cannot.
    #[must_use]
    pub fn fee_discount(&self) -> Option<&FeeDiscount> {
        self.fee_discount.as_ref()
    }

    /// Whether an account pays its fees in that asset, where that is possible.
    #[must_use]
    pub fn uses_discount(&self, account: AccountId) -> bool {
        self.discount_users.contains(&account)
    }

    pub(crate) fn set_fee_discount(&mut self, discount: FeeDiscount) {
        self.fee_discount = (!discount.is_off()).then_some(discount);
    }

    pub(crate) fn set_discount_use(&mut self, account: AccountId, on: bool) {
        if on {
            self.discount_users.insert(account);
        } else {
            self.discount_users.remove(&account);
        }
    }

    pub(crate) fn set_fee_tiers(&mut self, tiers: FeeTiers) {
        self.fee_tiers = (!tiers.tiers.is_empty()).then_some(tiers);
        self.tier_fees.clear();
    }

    pub(crate) fn reach_fee_tier(&mut self, account: AccountId, fees: Option<Fees>) {
        match fees {
            Some(fees) => self.tier_fees.insert(account, fees),
            None => self.tier_fees.remove(&account),
        };
    }

    pub(crate) fn set_exchange_filters(&mut self, filters: ExchangeFilters) {
        self.exchange_filters = filters;
    }

    pub(crate) fn list_asset(&mut self, asset: Asset) {
        assert_eq!(asset.id.0 as usize, self.assets.len(), "asset listings out of order");
        let taken = self.assets_by_name.insert(asset.name, asset.id);
        assert!(taken.is_none(), "two assets of one name");
        self.assets.push(asset);
    }

    pub(crate) fn list_market(&mut self, market: Market) {
        assert_eq!(market.id.0 as usize, self.markets.len(), "market listings out of order");
        if market.status != MarketStatus::Delisted {
            let taken = self.markets_by_name.insert(market.symbol, market.id);
            assert!(taken.is_none(), "two markets of one name");
        }
        self.markets.push(market);
    }

    pub(crate) fn change_market(&mut self, market: Market) {
        let known = self.markets.get_mut(market.id.0 as usize).expect("a market is listed before it changes");
        assert_eq!(known.symbol, market.symbol, "a market keeps its name");
        *known = market;
        if market.status == MarketStatus::Delisted && self.markets_by_name.get(&market.symbol) == Some(&market.id) {
            self.markets_by_name.remove(&market.symbol);
        }
    }

    /// Whether an account is frozen.
    #[must_use]
    pub fn is_frozen(&self, account: AccountId) -> bool {
        self.frozen.contains(&account)
    }

    pub(crate) fn set_frozen(&mut self, account: AccountId, on: bool) {
        if on {
            self.frozen.insert(account);
        } else {
            self.frozen.remove(&account);
        }
    }

    pub(crate) fn open_account(&mut self, account: Account) {
        let known = self.accounts.insert(account.id, account);
        assert!(known.is_none(), "an account opens once");
    }

    pub(crate) fn set_trade_group(&mut self, account: AccountId, group: Option<TradeGroupId>) {
        let known = self.accounts.get_mut(&account).expect("an account is open before it is in a trade group");
        known.trade_group = group;
    }

    pub(crate) fn issue_api_key(&mut self, key: ApiKey) {
        self.api_keys_by_account.insert((key.account, key.key));
        let known = self.api_keys.insert(key.key, key);
        assert!(known.is_none(), "an API key is issued once");
    }

    pub(crate) fn revoke_api_key(&mut self, account: AccountId, key: ApiKeyId) {
        let known = self.api_keys.remove(&key);
        assert!(
            known.is_some_and(|key| key.account == account),
            "only a valid API key is revoked, from its own account"
        );
        self.api_keys_by_account.remove(&(account, key));
    }

    pub(crate) fn state(&self) -> RegistryState {
        RegistryState {
            assets: self.assets.clone(),
            markets: self.markets.clone(),
            accounts: self.accounts.values().cloned().collect(),
            api_keys: self.api_keys.values().cloned().collect(),
            exchange_filters: self.exchange_filters,
            account_fees: self.account_fees.clone(),
            fee_tiers: self.fee_tiers.clone(),
            tier_fees: self.tier_fees.clone(),
            fee_discount: self.fee_discount.clone(),
            discount_users: self.discount_users.clone(),
            frozen: self.frozen.clone(),
        }
    }

    pub(crate) fn restore(state: RegistryState) -> Result<Self, Error> {
        let mut registry = Self::default();
        for (at, asset) in state.assets.iter().enumerate() {
            if asset.id.0 as usize != at || registry.assets_by_name.insert(asset.name, asset.id).is_some() {
                return Err(Error("assets out of order"));
            }
        }
        for (at, market) in state.markets.iter().enumerate() {
            let is_listed = market.status != MarketStatus::Delisted;
            let is_taken = is_listed && registry.markets_by_name.insert(market.symbol, market.id).is_some();
            if market.id.0 as usize != at || is_taken {
                return Err(Error("markets out of order"));
            }
        }
        for account in state.accounts {
            if registry.accounts.insert(account.id, account).is_some() {
                return Err(Error("an account twice"));
            }
        }
        for key in state.api_keys {
            registry.api_keys_by_account.insert((key.account, key.key));
            if registry.api_keys.insert(key.key, key).is_some() {
                return Err(Error("an API key twice"));
            }
        }
        (registry.assets, registry.markets) = (state.assets, state.markets);
        registry.exchange_filters = state.exchange_filters;
        registry.account_fees = state.account_fees;
        (registry.fee_tiers, registry.tier_fees) = (state.fee_tiers, state.tier_fees);
        (registry.fee_discount, registry.discount_users) = (state.fee_discount, state.discount_users);
        registry.frozen = state.frozen;
        Ok(registry)
    }
}

wire_struct! {
    RegistryState { 0: assets, 1: markets, 2: accounts, 3: api_keys; optional 40: exchange_filters, 41: account_fees, 42: fee_tiers, 43: tier_fees, 60: fee_discount, 61: discount_users, 62: frozen }
}
