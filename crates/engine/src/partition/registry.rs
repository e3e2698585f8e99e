//! Changes of the registry: partition 0 makes them, and the other partitions follow.

use crossbook_protocol::command::{Body, SetAccountFees, SetTradeGroup};
use crossbook_protocol::event::{Answer, Event, Events};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::registry::Change;
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_types::{AccountId, ExchangeFilters, FeeDiscount, FeeTiers, Market, MarketStatus};

use super::Partition;
use crate::matching::Matcher;

impl Partition {
    pub(super) fn change_registry(&mut self, body: &Body, events: &mut Events) -> Result<Answer, Refusal> {
        if self.id != Routing::REGISTRY {
            return Err(Refusal::NotTheRegistry);
        }
        let time = self.time;
        match body {
            Body::ListAsset(request) => {
                let (asset, fresh) = self.registry.list_asset(request)?;
                if fresh {
                    events.push(Event::AssetListed(asset));
                    self.spread(Change::Asset(asset));
                }
                Ok(Answer::AssetListed(asset.id))
            }
            Body::ListMarket(_) | Body::ChangeMarket(_) | Body::DelistMarket { .. } => {
                self.change_markets(body, events)
            }
            Body::OpenAccount(request) => {
                let account = self.registry.open_account(request, time)?;
                let id = account.id;
                events.push(Event::AccountOpened(Box::new(account.clone())));
                self.adopt_account(id);
                self.spread(Change::Account(Box::new(account)));
                Ok(Answer::AccountOpened(id))
            }
            Body::SetTradeGroup(request) => self.set_trade_group(request, events),
            Body::IssueApiKey(request) => {
                let key = self.registry.issue_api_key(request, time)?;
                let name = key.key;
                events.push(Event::ApiKeyIssued(Box::new(key)));
                Ok(Answer::ApiKeyIssued(name))
            }
            Body::ActivateRules(rules) => Ok(self.activate_everywhere(*rules, events)),
            Body::SetExchangeFilters(_)
            | Body::SetAccountFees(_)
            | Body::SetFeeTiers(_)
            | Body::SetFeeDiscount(_)
            | Body::SetDiscountUse { .. }
            | Body::SetFrozen { .. } => self.change_settings(body, events),
            Body::RevokeApiKey(request) => {
                self.registry.revoke_api_key(request)?;
                events.push(Event::ApiKeyRevoked { account: request.account, key: request.key });
                Ok(Answer::ApiKeyRevoked(request.key))
            }
            Body::Transfer(_)
            | Body::Place(_)
            | Body::Cancel(_)
            | Body::CancelAll(_)
            | Body::Amend(_)
            | Body::Replace(_)
            | Body::PlaceList(_)
            | Body::CancelList(_)
            | Body::Peer(_)
            | Body::ReportVenue { .. }
            | Body::PayOutFees(_)
            | Body::SetCountdown(_)
            | Body::EndCountdown(_)
            | Body::Session(_)
            | Body::Operated(_)
            | Body::Import(_) => {
                unreachable!("`run` handles these itself")
            }
        }
    }

    /// Changes what holds for the whole venue or for an account, which older rules do not know.
    fn change_settings(&mut self, body: &Body, events: &mut Events) -> Result<Answer, Refusal> {
        match body {
            _ if self.rules < Rules::V4 => Err(Refusal::RulesTooOld),
            &Body::SetExchangeFilters(filters) => Ok(self.set_exchange_filters(filters, events)),
            Body::SetAccountFees(request) => self.set_account_fees(request, events),
            Body::SetFeeTiers(tiers) => self.set_fee_tiers(tiers, events),
            Body::SetFeeDiscount(discount) => self.set_fee_discount(discount, events),
            &Body::SetDiscountUse { account, on } => self.set_discount_use(account, on, events),
            &Body::SetFrozen { account, on } => self.set_frozen(account, on, events),
            _ => unreachable!("`change_registry` handles the others itself"),
        }
    }

    fn set_exchange_filters(&mut self, filters: ExchangeFilters, events: &mut Events) -> Answer {
        self.registry.set_exchange_filters(filters);
        self.note_limit(None);
        events.push(Event::ExchangeFiltersChanged(filters));
        self.spread(Change::ExchangeFilters(filters));
        Answer::ExchangeFiltersSet
    }

    fn set_account_fees(&mut self, request: &SetAccountFees, events: &mut Events) -> Result<Answer, Refusal> {
        self.registry.set_account_fees(request)?;
        let &SetAccountFees { account, fees } = request;
        events.push(Event::AccountFeesChanged { account, fees });
        self.spread(Change::AccountFees { account, fees });
        Ok(Answer::FeesSet)
    }

    fn set_fee_tiers(&mut self, tiers: &FeeTiers, events: &mut Events) -> Result<Answer, Refusal> {
        self.registry.set_fee_tiers(tiers)?;
        self.adopt_fee_tiers();
        let tiers = Box::new(tiers.clone());
        events.push(Event::FeeTiersChanged(tiers.clone()));
        self.spread(Change::FeeTiers(tiers));
        Ok(Answer::FeesSet)
    }

    fn set_fee_discount(&mut self, discount: &FeeDiscount, events: &mut Events) -> Result<Answer, Refusal> {
        self.registry.set_fee_discount(discount)?;
        let discount = Box::new(discount.clone());
        events.push(Event::FeeDiscountChanged(discount.clone()));
        self.spread(Change::FeeDiscount(discount));
        Ok(Answer::FeesSet)
    }

    fn set_discount_use(&mut self, account: AccountId, on: bool, events: &mut Events) -> Result<Answer, Refusal> {
        if self.registry.set_discount_use(account, on)? {
            events.push(Event::DiscountUseChanged { account, on });
            self.spread(Change::DiscountUse { account, on });
        }
        Ok(Answer::FeesSet)
    }

    fn activate_everywhere(&mut self, rules: Rules, events: &mut Events) -> Answer {
        if rules > self.active_rules {
            self.activate(rules, events);
            self.spread(Change::Rules(rules));
        }
        Answer::RulesActive(self.active_rules)
    }

    fn set_trade_group(&mut self, request: &SetTradeGroup, events: &mut Events) -> Result<Answer, Refusal> {
        let (account, is_new) = self.registry.set_trade_group(request, self.rules)?;
        if is_new {
            events.push(Event::TradeGroupSet { account: account.id, group: account.trade_group });
            self.spread(Change::Account(Box::new(account)));
        }
        Ok(Answer::TradeGroupSet(request.account))
    }

    /// Later commands are applied under these rules. This cannot be undone.
    pub(crate) fn activate(&mut self, rules: Rules, events: &mut Events) {
        if rules > self.active_rules {
            self.active_rules = rules;
            events.push(Event::RulesActivated(rules));
        }
    }

    /// Ends the first orders of a market that is delisted, if it is this partition's.
    fn end_orders(&mut self, market: &Market, events: &mut Events) {
        if market.status != MarketStatus::Delisted || self.elsewhere(market.id).is_some() {
            return;
        }
        if let (Some(matcher), mut accounts) = self.market(market.id) {
            matcher.begin_ending(&mut accounts, events);
        }
    }

    /// Lists, changes or delists a market.
    fn change_markets(&mut self, body: &Body, events: &mut Events) -> Result<Answer, Refusal> {
        let (market, is_new) = match body {
            Body::ListMarket(request) => (self.registry.list_market(request, self.rules)?, true),
            Body::ChangeMarket(request) => (self.registry.change_market(request, self.rules)?, false),
            Body::DelistMarket { .. } if self.rules < Rules::V4 => return Err(Refusal::RulesTooOld),
            Body::DelistMarket { symbol } => (self.registry.delist_market(*symbol)?, false),
            _ => unreachable!("not about a market"),
        };
        let told = Box::new(market);
        events.push(if is_new { Event::MarketListed(told) } else { Event::MarketChanged(told) });
        self.adopt_market(market);
        self.end_orders(&market, events);
        self.spread(Change::Market(Box::new(market)));
        Ok(if is_new { Answer::MarketListed(market.id) } else { Answer::MarketChanged(market.id) })
    }

    pub(super) fn spread(&mut self, change: Change) {
        if self.outbox.routing().partitions() > 1 {
            self.outbox.post_to_others(&PeerMessage::Registry(change));
        }
    }

    /// Opens a market's matcher, or updates its rules, if the market is this partition's.
    pub(crate) fn adopt_market(&mut self, market: Market) {
        self.note_limit(Some(market.id));
        let at = market.id.0 as usize;
        if self.matchers.len() <= at {
            self.matchers.resize_with(at + 1, || None);
        }
        if !self.outbox.adopt(&market) {
            return;
        }
        match &mut self.matchers[at] {
            Some(matcher) => {
                matcher.change(market);
                self.note_work(market.id);
            }
            empty => *empty = Some(Box::new(Matcher::new(market, self.hash_seed))),
        }
    }

    pub(crate) fn adopt_account(&mut self, account: AccountId) {
        if self.outbox.routing().of_account(account) == self.id {
            self.ledger.open(account);
        }
    }

    /// Counts the volumes of this partition's accounts as the tiers of fees ask for.
    pub(crate) fn adopt_fee_tiers(&mut self) {
        self.ledger.count_volumes_in(self.registry.fee_tiers().map(|tiers| tiers.asset));
    }

    /// Applies a change of partition 0, and publishes it, so that the events of this partition are complete in
    /// themselves.
    pub(super) fn follow(&mut self, change: Change, events: &mut Events) {
        if let Change::Rules(rules) = change {
            return self.activate(rules, events);
        }
        let new = self.registry.follow(change.clone());
        match change {
            Change::Rules(_) => {}
            Change::ExchangeFilters(filters) => {
                self.note_limit(None);
                events.push(Event::ExchangeFiltersChanged(filters));
            }
            Change::AccountFees { account, fees } => events.push(Event::AccountFeesChanged { account, fees }),
            Change::FeeTiers(tiers) => {
                self.adopt_fee_tiers();
                events.push(Event::FeeTiersChanged(tiers));
            }
            Change::FeeDiscount(discount) => events.push(Event::FeeDiscountChanged(discount)),
            Change::DiscountUse { account, on } => events.push(Event::DiscountUseChanged { account, on }),
            Change::Frozen { account, on } => self.adopt_frozen(account, on, events),
            Change::Asset(asset) => events.push(Event::AssetListed(asset)),
            Change::Market(market) => {
                self.adopt_market(*market);
                let changed = *market;
                events.push(if new { Event::MarketListed(market) } else { Event::MarketChanged(market) });
                self.end_orders(&changed, events);
            }
            Change::Account(account) if new => {
                self.adopt_account(account.id);
                events.push(Event::AccountOpened(account));
            }
            Change::Account(account) => {
                events.push(Event::TradeGroupSet { account: account.id, group: account.trade_group });
            }
        }
    }
}
