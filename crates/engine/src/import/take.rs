//! How a partition applies a piece.
//!
//! The importer has verified that the pieces fit, and verifies again after all of them are applied. So a piece that
//! does not fit is refused in its answer and may be half applied; such a partition is never opened.

use crossbook_protocol::Transfer;
use crossbook_protocol::event::{Answer, Event, Events, MarketImported, OrderPlaced};
use crossbook_protocol::import::{
    Beside, FeeReserve, Held, Owned, Payer, Piece, Placed, PlacedList, Settings, StandingList,
};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::registry::Change;
use crossbook_protocol::routing::Routing;
use crossbook_protocol::session::MovedSession;
use crossbook_types::{AccountFees, AccountId, Price, RequestNumber, Side, SourceId, SymbolId};

use crate::partition::Partition;

impl Partition {
    /// Whether a venue is being imported, and not all of it is here: nothing else is done until it is.
    #[must_use]
    pub fn is_importing(&self) -> bool {
        self.importing
    }

    /// How many pieces of an import have been applied.
    #[must_use]
    pub fn pieces(&self) -> RequestNumber {
        self.sources.highest(SourceId::IMPORT)
    }

    /// Whether a venue has been imported here completely.
    #[must_use]
    pub fn has_imported(&self) -> bool {
        self.sources.highest(SourceId::IMPORT_END) > RequestNumber(0)
    }

    pub(crate) fn move_in(&mut self, piece: &Piece, source: SourceId, events: &mut Events) -> Result<Answer, Refusal> {
        let taken = self.take(piece, source, events);
        if taken.is_err() {
            // The count of pieces also records whether a venue is being imported
            // ([`crate::dedup::Dedup::is_importing`]). A refused piece must not begin or end that.
            let begins = source == SourceId::IMPORT && !self.importing && !self.has_imported();
            let ends = source == SourceId::IMPORT_END && self.sources.highest(source) == RequestNumber(1);
            if begins || ends {
                self.sources.forget(source);
            }
        }
        taken
    }

    fn take(&mut self, piece: &Piece, source: SourceId, events: &mut Events) -> Result<Answer, Refusal> {
        if source != piece.source() {
            return Err(Refusal::MisfitPiece);
        }
        match piece {
            Piece::Begin { .. } if self.importing || !self.is_empty() => return Err(Refusal::NotEmpty),
            Piece::Begin { .. } => self.importing = true,
            Piece::BeginUnder { .. } if self.importing || !self.is_new() => return Err(Refusal::NotEmpty),
            Piece::BeginUnder { rules, .. } => {
                self.importing = true;
                self.activate(*rules, events);
            }
            Piece::Open if !self.importing || self.is_half_settled() => return Err(Refusal::MisfitPiece),
            Piece::Open => self.importing = false,
            _ if !self.importing => return Err(Refusal::MisfitPiece),
            Piece::Assets(assets) => {
                for asset in assets {
                    self.fits(|partition| partition.registry.move_in(Change::Asset(*asset)))?;
                    events.push(Event::AssetListed(*asset));
                }
            }
            Piece::Markets(markets) => {
                for market in markets {
                    self.fits(|partition| partition.registry.move_in(Change::Market(Box::new(*market))))?;
                    self.adopt_market(*market);
                    events.push(Event::MarketListed(Box::new(*market)));
                }
            }
            Piece::Accounts(accounts) => {
                for account in accounts {
                    let account = Box::new(account.clone());
                    self.fits(|partition| partition.registry.move_in(Change::Account(account.clone())))?;
                    self.adopt_account(account.id);
                    events.push(Event::AccountOpened(account));
                }
            }
            Piece::ApiKeys(keys) => {
                for key in keys {
                    self.fits(|partition| partition.id == Routing::REGISTRY && partition.registry.move_key_in(key))?;
                    events.push(Event::ApiKeyIssued(Box::new(key.clone())));
                }
            }
            Piece::Transfers(transfers) => self.take_transfers(transfers, events)?,
            Piece::Forgotten(sums) => {
                for &Owned { asset, amount, .. } in sums {
                    self.registry.asset(asset).filter(|_| self.id == Routing::REGISTRY).ok_or(Refusal::MisfitPiece)?;
                    self.ledger.move_forgotten_in(asset, amount).map_err(|_| Refusal::MisfitPiece)?;
                }
            }
            Piece::Money(money) => self.take_money(money, events)?,
            Piece::Countdowns(countdowns) => {
                for &countdown in countdowns {
                    let known = self.ledger.has(countdown.account);
                    let taken = if known { self.countdowns.set(countdown) } else { Err(Refusal::UnknownAccount) };
                    taken.map_err(|_| Refusal::MisfitPiece)?;
                    events.push(Event::CountdownSet(countdown));
                }
            }
            Piece::Holds(holds) => self.take_holds(holds)?,
            Piece::Settings(settings) => self.take_settings(settings, events)?,
            Piece::Payers(payers) => self.take_payers(payers, events)?,
            Piece::Beside(beside) => self.take_beside(beside)?,
            Piece::Market(market) => self.take_market(market, events)?,
            Piece::Session(session) => self.take_session(session, events)?,
            Piece::Orders(orders) => self.take_orders(orders, events)?,
            Piece::Lists(lists) => self.take_lists(lists, events)?,
        }
        Ok(Answer::Imported)
    }

    fn fits(&mut self, taken: impl FnOnce(&mut Self) -> bool) -> Result<(), Refusal> {
        if taken(self) { Ok(()) } else { Err(Refusal::MisfitPiece) }
    }

    /// Whether nothing has ever been here.
    fn is_empty(&self) -> bool {
        self.is_new() && self.outbox.sent().iter().all(|sent| *sent == RequestNumber(0))
    }

    /// Whether nothing has ever been here but activated rules. A partition with nothing to list and no money can have
    /// sent no other messages than those that spread them.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.registry.is_empty() && self.ledger.is_empty() && !self.has_imported()
    }

    /// Whether something is left in the clearing account where there is no other partition that could make up for it.
    fn is_half_settled(&self) -> bool {
        self.routing().partitions() == 1 && self.ledger.in_transit()
    }

    fn take_beside(&mut self, beside: &Beside) -> Result<(), Refusal> {
        match beside {
            Beside::Counted(holds) => {
                for &(hold, account, counted) in holds {
                    self.ledger.count(account, hold, counted).map_err(|_| Refusal::MisfitPiece)?;
                }
                Ok(())
            }
            Beside::Minutes { symbol, minutes } => {
                let matcher = self.matchers.get_mut(symbol.0 as usize).and_then(Option::as_mut);
                let matcher = matcher.ok_or(Refusal::MisfitPiece)?;
                matcher.restore_minutes(minutes.clone()).map_err(|_| Refusal::MisfitPiece)
            }
        }
    }

    fn take_settings(&mut self, settings: &Settings, events: &mut Events) -> Result<(), Refusal> {
        let Settings { exchange_filters, fee_tiers, fee_discount } = settings;
        if !exchange_filters.is_off() {
            self.registry.set_exchange_filters(*exchange_filters);
            self.note_limit(None);
            events.push(Event::ExchangeFiltersChanged(*exchange_filters));
        }
        if let Some(tiers) = fee_tiers {
            self.registry.set_fee_tiers(tiers).map_err(|_| Refusal::MisfitPiece)?;
            self.adopt_fee_tiers();
            events.push(Event::FeeTiersChanged(Box::new(tiers.clone())));
        }
        if let Some(discount) = fee_discount {
            self.registry.set_fee_discount(discount).map_err(|_| Refusal::MisfitPiece)?;
            events.push(Event::FeeDiscountChanged(Box::new(discount.clone())));
        }
        Ok(())
    }

    /// What accounts pay, and what those of this partition have traded.
    fn take_payers(&mut self, payers: &[Payer], events: &mut Events) -> Result<(), Refusal> {
        for Payer { account, fees, volume, discounted, frozen } in payers {
            let (account, fees) = (*account, *fees);
            if fees != AccountFees::default() {
                self.fits(|partition| partition.registry.move_in(Change::AccountFees { account, fees }))?;
                events.push(Event::AccountFeesChanged { account, fees });
            }
            if *discounted {
                self.fits(|partition| partition.registry.set_discount_use(account, true) == Ok(true))?;
                events.push(Event::DiscountUseChanged { account, on: true });
            }
            if *frozen {
                self.fits(|partition| partition.registry.set_frozen(account, true) == Ok(true))?;
                events.push(Event::FrozenChanged { account, on: true });
            }
            let own = self.routing().of_account(account) == self.id;
            if let Some(volume) = volume.as_ref().filter(|_| own) {
                self.ledger.move_volume_in(account, volume.clone()).map_err(|_| Refusal::MisfitPiece)?;
                if volume.fees.is_some() {
                    events.push(Event::FeeTierReached { account, fees: volume.fees });
                }
            }
        }
        Ok(())
    }

    fn take_session(&mut self, moved: &MovedSession, events: &mut Events) -> Result<(), Refusal> {
        let matcher = self.matchers.get_mut(moved.session.symbol.0 as usize).and_then(Option::as_mut);
        let taken = matcher.ok_or(Refusal::MisfitPiece)?.move_session_in(moved);
        taken.map_err(|_| Refusal::MisfitPiece)?;
        events.push(Event::SessionChanged(moved.session));
        if !moved.buckets.is_empty() {
            let (symbol, buckets) = (moved.session.symbol, moved.buckets.clone());
            events.push(Event::ReferenceImported { symbol, buckets });
        }
        Ok(())
    }

    fn take_transfers(&mut self, transfers: &[Transfer], events: &mut Events) -> Result<(), Refusal> {
        for transfer in transfers {
            self.registry.asset(transfer.asset).ok_or(Refusal::MisfitPiece)?;
            self.ledger.move_transfer_in(transfer.clone()).map_err(|_| Refusal::MisfitPiece)?;
            events.push(Event::TransferImported(Box::new(transfer.clone())));
        }
        Ok(())
    }

    fn take_money(&mut self, money: &[Owned], events: &mut Events) -> Result<(), Refusal> {
        for &Owned { account, asset, amount } in money {
            self.registry.asset(asset).ok_or(Refusal::MisfitPiece)?;
            if account == AccountId::FEES && self.id != Routing::REGISTRY {
                return Err(Refusal::MisfitPiece);
            }
            self.ledger.move_in(account, asset, amount).map_err(|_| Refusal::MisfitPiece)?;
            events.push(Event::MoneyImported { account, asset, amount });
        }
        Ok(())
    }

    fn take_holds(&mut self, holds: &[Held]) -> Result<(), Refusal> {
        for &Held { hold, account, asset, amount } in holds {
            self.registry.asset(asset).filter(|_| !amount.is_negative()).ok_or(Refusal::MisfitPiece)?;
            let placed = self.ledger.hold(account, asset, amount).map_err(|_| Refusal::MisfitPiece)?;
            if placed != hold {
                return Err(Refusal::MisfitPiece);
            }
        }
        Ok(())
    }

    fn take_market(&mut self, market: &MarketImported, events: &mut Events) -> Result<(), Refusal> {
        let Some(Some(matcher)) = self.matchers.get_mut(market.symbol.0 as usize) else {
            return Err(Refusal::MisfitPiece);
        };
        if !matcher.move_in(market, self.rules) {
            return Err(Refusal::MisfitPiece);
        }
        events.push(Event::MarketImported(Box::new(*market)));
        Ok(())
    }

    fn take_orders(&mut self, orders: &[Placed], events: &mut Events) -> Result<(), Refusal> {
        let mut level = None;
        for placed in orders {
            let symbol = placed.order.placed.terms.symbol;
            if !self.registry.has_account(placed.order.placed.account) {
                return Err(Refusal::MisfitPiece);
            }
            let Some(Some(matcher)) = self.matchers.get_mut(symbol.0 as usize) else {
                return Err(Refusal::MisfitPiece);
            };
            let rests_at = matcher.move_order_in(placed).map_err(|_| Refusal::MisfitPiece)?;
            events.push(Event::OrderImported(Box::new(placed.order.clone())));
            if let Some((_, reserve)) = &placed.reserve {
                self.tell_reserve(&placed.order.placed, reserve, events)?;
            }
            let now = rests_at.map(|(side, price)| (symbol, side, price));
            if now != level {
                self.publish_depth(level, events);
                level = now;
            }
        }
        self.publish_depth(level, events);
        Ok(())
    }

    /// Tells what is held for the fees of an order that was taken in.
    fn tell_reserve(&self, order: &OrderPlaced, reserve: &FeeReserve, events: &mut Events) -> Result<(), Refusal> {
        let &FeeReserve { asset, held, rates, .. } = reserve;
        let &OrderPlaced { order, account, ref terms } = order;
        self.registry.asset(asset).ok_or(Refusal::MisfitPiece)?;
        events.push(Event::OrderDiscounted { symbol: terms.symbol, order, account, asset, held, rates });
        Ok(())
    }

    fn take_lists(&mut self, lists: &[PlacedList], events: &mut Events) -> Result<(), Refusal> {
        for placed in lists {
            let StandingList { list, released, others, reserve, .. } = &placed.list;
            let known = self.registry.has_account(list.placed.account);
            let matcher = self.matchers.get_mut(list.placed.symbol.0 as usize).filter(|_| known);
            let Some(Some(matcher)) = matcher else { return Err(Refusal::MisfitPiece) };
            matcher.move_list_in(placed).map_err(|_| Refusal::MisfitPiece)?;
            for leg in others.iter().filter(|_| !released) {
                events.push(Event::OrderImported(Box::new(leg.order.clone())));
                if let Some(reserve) = reserve {
                    self.tell_reserve(&leg.order.placed, reserve, events)?;
                }
            }
            events.push(Event::ListImported(Box::new(list.clone())));
        }
        Ok(())
    }

    /// Publishes the depth at a price, once all orders of a piece that rest there do.
    fn publish_depth(&mut self, level: Option<(SymbolId, Side, Price)>, events: &mut Events) {
        let Some((symbol, side, price)) = level else { return };
        if let Some(Some(matcher)) = self.matchers.get_mut(symbol.0 as usize) {
            matcher.publish_depth(side, price, events);
        }
    }
}
