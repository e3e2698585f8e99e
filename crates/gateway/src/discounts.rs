//! The asset in which fees can be paid and are less then, as accounts see it.

use crossbook_protocol::Answer;
use crossbook_protocol::command::Body;
use crossbook_types::{AccountId, Asset, Market};

use crate::auth::Security;
use crate::command_port::Subject;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::orders::Sender;

/// In which asset fees can be paid, and how much less they are then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiscountOf {
    /// The asset.
    pub asset: Asset,
    /// By how many hundredths of a percent the standard part of a fee is lower.
    pub basis_points: u32,
    /// Whether the account pays its fees so.
    pub for_account: bool,
    /// Whether that is possible in the market.
    pub for_market: bool,
}

impl Gateway {
    /// In which asset an account can pay its fees in a market, and whether it does.
    #[must_use]
    pub fn discount(&self, account: AccountId, market: &Market) -> Option<DiscountOf> {
        let views = self.read_model.of_account(account).read();
        let registry = views.registry();
        let discount = registry.fee_discount()?;
        Some(DiscountOf {
            asset: *registry.asset(discount.asset)?,
            basis_points: discount.basis_points,
            for_account: registry.uses_discount(account),
            for_market: discount.rate_in(market.id, market.quote.id).is_some(),
        })
    }

    /// Whether an account pays its fees so, where that is possible.
    ///
    /// # Errors
    /// When a partition does not answer.
    pub async fn uses_discount(&self, account: AccountId) -> Result<bool, Error> {
        self.caught_up(Subject::Account(account)).await?;
        Ok(self.read_model.of_account(account).read().registry().uses_discount(account))
    }

    /// Sets whether the sender's account pays its fees so, with the orders that it places from now on. When this
    /// returns, the account's partition knows.
    ///
    /// # Errors
    /// As [`Gateway::submit`], and without the permission to trade. [`Error::OutcomeUnknown`] if it is done and the
    /// account's partition does not say in time that it knows.
    pub async fn use_discount(&self, sender: &Sender<'_>, on: bool) -> Result<(), Error> {
        sender.identity.require(Security::Trade)?;
        let account = sender.identity.account;
        let body = Body::SetDiscountUse { account, on };
        match self.submit(body, sender.deadline).await?.outcome {
            Ok(Answer::FeesSet) => {}
            _ => return Err(Error::Internal),
        }
        if self.read_model.of_account(account).read().registry().uses_discount(account) == on {
            return Ok(());
        }
        // Either that partition is behind, or somebody has set it anew since.
        self.known_to_partition_of(account).await
    }
}
