//! The asset in which fees are less, and who pays in it.

use crossbook_protocol::refusal::Refusal;
use crossbook_types::{AccountId, AssetId, DiscountRates, FeeDiscount};

use super::Registry;

impl Registry {
    /// In which asset fees can be paid, and how much less they are then; `None` if they cannot.
    #[must_use]
    pub fn fee_discount(&self) -> Option<&FeeDiscount> {
        self.fee_discount.as_deref()
    }

    /// The accounts that pay their fees in that asset, by number.
    pub fn discount_users(&self) -> impl Iterator<Item = AccountId> {
        self.discount_users.iter().copied()
    }

    /// Whether every account pays what it pays at another registry, and may do what it may there.
    pub(crate) fn pays_as(&self, other: &Self) -> bool {
        self.account_fees == other.account_fees
            && self.discount_users == other.discount_users
            && self.frozen == other.frozen
    }

    /// Whether an account pays its fees so, where that is possible.
    #[inline]
    pub(crate) fn pays_discounted(&self, account: AccountId) -> bool {
        self.fee_discount.is_some() && self.discount_users.contains(&account)
    }

    /// Sets in which asset fees can be paid.
    pub(crate) fn set_fee_discount(&mut self, discount: &FeeDiscount) -> Result<(), Refusal> {
        if !discount.is_sound() {
            return Err(Refusal::FeeDiscount);
        }
        self.check_named(discount)?;
        self.take_fee_discount(discount.clone());
        Ok(())
    }

    fn check_named(&self, discount: &FeeDiscount) -> Result<(), Refusal> {
        let mut assets = std::iter::once(discount.asset).chain(discount.rates.iter().map(|&(asset, _)| asset));
        if !assets.all(|asset| self.asset(asset).is_some()) {
            return Err(Refusal::UnknownAsset);
        }
        let asset = self.asset(discount.asset).ok_or(Refusal::UnknownAsset)?;
        let told = |&(quote, rate): &(AssetId, u64)| {
            self.asset(quote).is_some_and(|quote| DiscountRates::can_be_told(rate, quote.decimals, asset.decimals))
        };
        if !discount.rates.iter().all(told) {
            return Err(Refusal::FeeDiscount);
        }
        let known = discount.except.iter().all(|&symbol| self.market(symbol).is_some());
        if known { Ok(()) } else { Err(Refusal::UnknownSymbol) }
    }

    pub(super) fn take_fee_discount(&mut self, discount: FeeDiscount) {
        self.fee_discount = (!discount.is_off()).then(|| Box::new(discount));
    }

    /// Sets whether an account pays its fees in that asset. Whether it did otherwise before.
    pub(crate) fn set_discount_use(&mut self, account: AccountId, on: bool) -> Result<bool, Refusal> {
        if !self.has_account(account) {
            return Err(Refusal::UnknownAccount);
        }
        Ok(self.take_discount_use(account, on))
    }

    pub(super) fn take_discount_use(&mut self, account: AccountId, on: bool) -> bool {
        if on { self.discount_users.insert(account) } else { self.discount_users.remove(&account) }
    }

    pub(super) fn is_discount_sound(&self) -> bool {
        let named = |discount: &FeeDiscount| discount.is_sound() && self.check_named(discount).is_ok();
        self.fee_discount().is_none_or(named) && self.discount_users.iter().all(|&account| self.has_account(account))
    }
}
