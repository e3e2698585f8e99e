//! What the worlds have covered. A simulator that never reaches what it should test finds nothing, so every kind of
//! command, order, answer and fault is counted, and a run of many seeds must have seen each.

use std::collections::BTreeMap;

use crossbook_protocol::event::{CloseReason, Half};
use crossbook_protocol::order::Size;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Body, Event};

/// How often each thing came up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// It came up.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// It came up so many times.
    pub fn add(&mut self, what: &str, times: u64) {
        match self.0.get_mut(what) {
            Some(count) => *count += times,
            None if times > 0 => {
                self.0.insert(what.to_owned(), times);
            }
            None => {}
        }
    }

    /// How often it came up.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, &count)| (what.as_str(), count))
    }

    /// Adds what another world has been through.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(what, count)| self.add(what, count));
    }

    /// A command took effect.
    pub fn command(&mut self, body: &Body) {
        self.count(match body {
            Body::ListAsset(_) => "command ListAsset",
            Body::ListMarket(_) => "command ListMarket",
            Body::ChangeMarket(_) => "command ChangeMarket",
            Body::OpenAccount(_) => "command OpenAccount",
            Body::IssueApiKey(_) => "command IssueApiKey",
            Body::RevokeApiKey(_) => "command RevokeApiKey",
            Body::Transfer(_) => "command Transfer",
            Body::Place(_) => "command Place",
            Body::Cancel(_) => "command Cancel",
            Body::CancelAll(_) => "command CancelAll",
            Body::Amend(_) => "command Amend",
            Body::Replace(_) => "command Replace",
            Body::Peer(PeerMessage::Continue) => "command Continue",
            Body::Peer(_) => "command Peer",
            Body::Import(_) => "command Import",
            Body::ReportVenue { .. } => "command ReportVenue",
            Body::PayOutFees(_) => "command PayOutFees",
            Body::ActivateRules(_) => "command ActivateRules",
            Body::SetCountdown(_) => "command SetCountdown",
            Body::EndCountdown(_) => "command EndCountdown",
            Body::SetExchangeFilters(_) => "command SetExchangeFilters",
            Body::SetAccountFees(_) => "command SetAccountFees",
            Body::SetFeeTiers(_) => "command SetFeeTiers",
            Body::SetFeeDiscount(_) => "command SetFeeDiscount",
            Body::SetDiscountUse { .. } => "command SetDiscountUse",
            Body::PlaceList(_) => "command PlaceList",
            Body::CancelList(_) => "command CancelList",
            Body::Session(_) => "command Session",
            Body::DelistMarket { .. } => "command DelistMarket",
            Body::SetTradeGroup(_) => "command SetTradeGroup",
            Body::Operated(_) => "command Operated",
            Body::SetFrozen { .. } => "command SetFrozen",
        });
    }

    /// Something was published.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::OrderPlaced(placed) => {
                let (kind, time) = (placed.terms.order_type.as_str(), placed.terms.time_in_force.as_str());
                let worth = if matches!(placed.terms.size, Size::Quote(_)) { " by worth" } else { "" };
                self.count(&format!("order {kind} {time}{worth}"));
                if placed.terms.iceberg().is_some() {
                    self.count("order with a hidden part");
                }
            }
            Event::Traded(trade) if trade.discount.is_some() => self.count("fee in another asset"),
            Event::OrderTriggered { .. } => self.count("triggered"),
            Event::OrderAmended(_) => self.count("amended"),
            Event::OrderReleased { .. } => self.count("released"),
            Event::ListPlaced(placed) => self.count(&format!("list {}", placed.kind.as_str())),
            Event::OrderPegged { .. } => self.count("order pegged"),
            Event::TrailingBegun { .. } => self.count("trailing begun"),
            Event::CancelAllBegun { .. } => self.count("cancel of all begun"),
            Event::RulesActivated(_) => self.count("rules activated"),
            Event::CountdownSet(_) => self.count("countdown set"),
            Event::CountdownEnded { passed: true, .. } => self.count("countdown passed"),
            Event::CountdownEnded { passed: false, .. } => self.count("countdown taken back"),
            Event::AuctionPriced(_) => self.count("auction priced"),
            Event::SessionChanged(session) => self.count(&format!("session {:?}", session.phase)),
            Event::Traded(_) => self.count("traded"),
            Event::MatchPrevented(prevented) => {
                self.count("match prevented");
                if prevented.mode.decrements() {
                    self.count("match decremented");
                }
                if prevented.counterparty.is_some() {
                    self.count("match within a trade group");
                }
                if prevented.is_transfer() {
                    self.count("transferred within a trade group");
                }
            }
            Event::FeesPaidOut(_) => self.count("fees paid out"),
            Event::OrderClosed(closed) => self.count(match closed.reason {
                CloseReason::Filled => "closed Filled",
                CloseReason::Canceled { .. } => "closed Canceled",
                CloseReason::Expired => "closed Expired",
                CloseReason::SelfTradePrevented => "closed SelfTradePrevented",
                CloseReason::Unaffordable => "closed Unaffordable",
                CloseReason::Amended => "closed Amended",
                CloseReason::OcoTrigger => "closed OcoTrigger",
                CloseReason::WorkingEnded => "closed WorkingEnded",
                CloseReason::Unplaceable => "closed Unplaceable",
                CloseReason::ByVenue => "closed ByVenue",
                CloseReason::OutOfRange => "closed OutOfRange",
            }),
            Event::Answered { answer: Answer::Replaced { canceled, placed, .. }, .. } => {
                let half = |half: &Half| match half {
                    Half::Done(_) => "done",
                    Half::Refused(_) => "refused",
                    Half::NotTried => "not tried",
                };
                self.count(&format!("replaced: {}, {}", half(canceled), half(placed)));
            }
            Event::Answered { answer: Answer::Refused(refusal), .. } => self.count(&format!("refused {refusal:?}")),
            _ => {}
        }
    }

    /// What has occurred less often than it must in a run of so many seeds of both kinds of world; empty if nothing
    /// has.
    #[must_use]
    pub fn missing(&self, seeds: u64) -> Vec<String> {
        let too_few = |&(what, per_hundred): &(&str, u64)| {
            let (least, count) = (per_hundred * seeds / 100, self.of(what));
            (count < least).then(|| format!("{what}: {count} times, {least} are the least"))
        };
        LEAST.iter().filter_map(too_few).collect()
    }
}

/// How often each thing must come up in a hundred seeds, at the very least: a sixth of what is usual.
pub const LEAST: &[(&str, u64)] = &[
    ("amended", 100),
    ("auction priced", 20),
    ("cancel of all begun", 100),
    ("cancelled as its account was frozen", 40),
    ("checkpoint compared", 900),
    ("closed ByVenue", 20),
    ("closed ByVenue in a delisted market", 40),
    ("closed OutOfRange", 20),
    ("circuit breaker closed", 20),
    ("circuit breaker opened", 20),
    ("clean restart", 40),
    ("client waited too long", 70),
    ("closed Amended", 3),
    ("closed Canceled", 500),
    ("closed Expired", 1000),
    ("closed Filled", 2000),
    ("closed OcoTrigger", 50),
    ("closed SelfTradePrevented", 300),
    ("closed Unplaceable", 10),
    ("closed WorkingEnded", 30),
    ("command Amend", 1000),
    ("command Cancel", 1000),
    ("command CancelAll", 200),
    ("command CancelList", 200),
    ("command ChangeMarket", 1000),
    ("command Continue", 500),
    ("command DelistMarket", 7),
    ("command EndCountdown", 150),
    ("command IssueApiKey", 200),
    ("command ListAsset", 100),
    ("command ListMarket", 100),
    ("command OpenAccount", 300),
    ("command Operated", 300),
    ("command PayOutFees", 100),
    ("command Peer", 10000),
    ("command Place", 10000),
    ("command PlaceList", 1000),
    ("command Replace", 500),
    ("command ReportVenue", 30),
    ("command RevokeApiKey", 200),
    ("command SetAccountFees", 100),
    ("command SetCountdown", 800),
    ("command SetDiscountUse", 100),
    ("command SetExchangeFilters", 100),
    ("command SetFeeDiscount", 100),
    ("command SetFeeTiers", 100),
    ("command SetFrozen", 30),
    ("command SetTradeGroup", 100),
    ("command Transfer", 1000),
    ("command repeated without effect", 100),
    ("commands of partition 0", 10000),
    ("commands of partition 1", 6000),
    ("commands of partition 2", 6000),
    ("confirmed already", 10000),
    ("confirmed what was before", 500),
    ("connection broke", 1000),
    ("countdown covers orders elsewhere", 80),
    ("countdown passed", 120),
    ("countdown set", 700),
    ("countdown taken back", 4),
    ("depth snapshot", 500),
    ("failover", 20),
    ("fault answer lost", 40),
    ("fault clock", 40),
    ("fault disk Broken", 10),
    ("fault disk Full", 10),
    ("fault disk PowerCut", 10),
    ("fault disk full", 40),
    ("fault disk of snapshots", 14),
    ("fault disk operation", 40),
    ("fault disk slow", 40),
    ("fault during recovery", 3),
    ("fault gateway cut off from one shard", 8),
    ("fault gateway killed", 10),
    ("fault gateway paused", 10),
    ("fault killed", 40),
    ("fault master isolated", 10),
    ("fault master lost", 10),
    ("fault network cut one way", 10),
    ("fault network late", 100),
    ("fault network lost", 200),
    ("fault network twice", 100),
    ("fault notifications late", 8),
    ("fault notifications lost", 8),
    ("fault notifications twice", 8),
    ("fault partition moved", 8),
    ("fault power cut", 40),
    ("fault replica offline", 10),
    ("fault rot, beside the records", 7),
    ("fault rot, refused", 40),
    ("fault shard clock", 10),
    ("fault snapshot damaged", 30),
    ("fault tables After", 100),
    ("fault tables Before", 100),
    ("fault tables Moved", 600),
    ("fault worker clock", 10),
    ("fault worker cut off from one shard", 8),
    ("fault worker killed", 10),
    ("fault worker paused", 9),
    ("fee in another asset", 90),
    ("fees paid out", 20),
    ("gateway began empty", 50),
    ("gateway began with a snapshot", 50),
    ("gateway delivered messages", 5000),
    ("gateway ended after an append", 5),
    ("gateway overtaken by trimming", 8),
    ("list OCO", 50),
    ("list OPO", 50),
    ("list OPOCO", 50),
    ("list OTO", 50),
    ("list OTOCO", 50),
    ("log kept for the history", 12),
    ("log kept: a snapshot is damaged", 5),
    ("market listed again", 3),
    ("master came back", 2),
    ("match decremented", 20),
    ("match prevented", 150),
    ("match within a trade group", 20),
    ("no room for more messages", 300),
    ("not confirmed in time", 200),
    ("not taken Busy", 500),
    ("not taken Late", 40),
    ("not taken Silent", 300),
    ("order LIMIT FOK", 100),
    ("order LIMIT GTC", 700),
    ("order LIMIT IOC", 200),
    ("order LIMIT_MAKER GTC", 700),
    ("order MARKET GTC", 800),
    ("order MARKET GTC by worth", 400),
    ("order STOP_LOSS GTC", 500),
    ("order STOP_LOSS_LIMIT FOK", 60),
    ("order STOP_LOSS_LIMIT GTC", 300),
    ("order STOP_LOSS_LIMIT IOC", 100),
    ("order TAKE_PROFIT GTC", 500),
    ("order TAKE_PROFIT_LIMIT FOK", 50),
    ("order TAKE_PROFIT_LIMIT GTC", 200),
    ("order TAKE_PROFIT_LIMIT IOC", 100),
    ("order pegged", 200),
    ("order with a hidden part", 200),
    ("partition followed to another shard", 20),
    ("partition refused while it moves", 20),
    ("question answered", 2000),
    ("refused AccountFrozen", 40),
    ("refused AmendIncrease", 20),
    ("refused AmendNotAllowed", 20),
    ("refused AmendNothing", 20),
    ("refused AmendUnpaid", 2),
    ("refused ApiKeyExists", 100),
    ("refused BreakerRange", 10),
    ("refused AssetDecimals", 20),
    ("refused AssetExists", 20),
    ("refused CancelRestricted", 40),
    ("refused DuplicateClientOrderId", 40),
    ("refused Filter(IcebergParts)", 50),
    ("refused Filter(LotSize)", 60),
    ("refused Filter(MarketLotSize)", 20),
    ("refused Filter(MaxAlgoOrders)", 700),
    ("refused Filter(MaxAmends)", 5),
    ("refused Filter(MaxIcebergOrders)", 50),
    ("refused Filter(MaxOrderLists)", 20),
    ("refused Filter(MaxOrders)", 200),
    ("refused Filter(Notional)", 100),
    ("refused Filter(PercentPrice)", 100),
    ("refused Filter(Price)", 200),
    ("refused Filter(ExchangeMaxAlgoOrders)", 10),
    ("refused Filter(ExchangeMaxOrders)", 10),
    ("refused Filter(MaxPosition)", 5),
    ("refused Filter(MinNotional)", 5),
    ("refused Filter(PercentPriceOfBoth)", 20),
    ("refused Filter(TrailingDelta)", 50),
    ("refused IcebergTooLarge", 50),
    ("refused InsufficientBalance", 50),
    ("refused LabelTooLong", 50),
    ("refused Late", 50),
    ("refused ListPrices", 50),
    ("refused MalformedOrder", 100),
    ("refused Market(OrderLimits)", 90),
    ("refused MarketClosed(Break)", 200),
    ("refused MarketClosed(CancelOnly)", 200),
    ("refused MarketClosed(Delisted)", 200),
    ("refused MarketClosed(Halt)", 200),
    ("refused MarketExists", 100),
    ("refused NoCountdown", 80),
    ("refused NoOrderLists", 50),
    ("refused NoSuchPhase", 10),
    ("refused NotInAuction", 20),
    ("refused PegPrice", 50),
    ("refused PegType", 10),
    ("refused PriceRange", 2),
    ("refused ReferenceCalculation", 2),
    ("refused ReferencePrice", 10),
    ("refused SelfTradeMode", 100),
    ("refused ThinForPeg", 100),
    ("refused TooManyCountdowns", 10),
    ("refused TransferAmount", 2),
    ("refused TransferConflict", 7),
    ("refused UnknownAccount", 100),
    ("refused UnknownApiKey", 200),
    ("refused UnknownAsset", 30),
    ("refused UnknownOrder", 1000),
    ("refused UnknownSymbol", 100),
    ("refused Unsupported(Iceberg)", 20),
    ("refused Unsupported(Pegged)", 20),
    ("refused Unsupported(TrailingStop)", 10),
    ("refused WouldTake", 300),
    ("refused WouldTrigger", 1000),
    ("released", 30),
    ("replaced: done, done", 20),
    ("replaced: done, refused", 10),
    ("replaced: refused, done", 20),
    ("replaced: refused, not tried", 50),
    ("replaced: refused, refused", 20),
    ("replicas compared", 600),
    ("session Collecting", 20),
    ("session Paused", 20),
    ("snapshot", 200),
    ("snapshot failed", 25),
    ("snapshot of a copy that was there", 100),
    ("started from a snapshot", 100),
    ("started from the log alone", 20),
    ("the venue ended because its log failed", 40),
    ("torn tail cut", 6),
    ("traded", 1000),
    ("transferred within a trade group", 1),
    ("triggered", 1000),
    ("trailing begun", 100),
    ("trim", 100),
    ("trimmed beside a worker", 250),
    ("views compared", 300),
    ("views restored and compared", 100),
    ("worker delivered messages", 300),
    ("worker overtaken by trimming", 10),
    ("worker went on from a snapshot", 6),
    ("worker snapshot", 250),
    ("worker started from a snapshot", 60),
    ("worker started from the log alone", 70),
];
