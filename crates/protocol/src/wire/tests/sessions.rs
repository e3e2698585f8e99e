//! Samples of sessions: circuit breakers, auctions, delisting.

use super::*;

pub(super) fn breaker() -> Breaker {
    Breaker { move_bp: 500, window_seconds: 60, pause_seconds: 300, auction_seconds: 0 }
}

pub(super) fn paused() -> Session {
    Session {
        phase: Phase::Paused,
        until: Some(Timestamp(303)),
        breaker: Some(breaker()),
        ..Session::plain(SymbolId(2))
    }
}

fn range() -> PriceRange {
    PriceRange { bid_up: Some(10_500), bid_down: None, ask_up: Some(20_000), ask_down: Some(9_500) }
}

fn mean() -> ReferenceCalculation {
    ReferenceCalculation::ArithmeticMean(Mean { buckets: 10, width_ms: 1_000 })
}

fn referring() -> Session {
    let external = Some(ExternalPrice { price: Some(ReferencePrice(1_500_000)), since: Timestamp(309) });
    let reference = Reference { calculation: ReferenceCalculation::External { id: 3 }, external };
    Session { price_range: Some(range()), reference: Some(reference), ..Session::plain(SymbolId(2)) }
}

fn bucket() -> TradeBucket {
    TradeBucket { number: 310, trades: 2, sum: 311 }
}

pub(super) fn session(change: SessionChange) -> Body {
    Body::Session(SessionRequest { symbol: SymbolId(2), change })
}

pub(super) fn session_commands() -> Vec<Body> {
    vec![
        session(SessionChange::SetBreaker(Some(breaker()))),
        session(SessionChange::SetBreaker(None)),
        session(SessionChange::End),
        Body::DelistMarket { symbol: SymbolId(2) },
        session(SessionChange::SetBreaker(Some(Breaker { auction_seconds: 120, ..breaker() }))),
        session(SessionChange::OpenAuction { seconds: Some(120) }),
        session(SessionChange::OpenAuction { seconds: None }),
        Body::Import(Box::new(Piece::Session(MovedSession {
            session: paused(),
            before: Some(Price(304)),
            parts: vec![WindowPart { number: 305, low: Price(306), high: Price(308), last: Price(307) }],
            buckets: Vec::new(),
        }))),
        Body::Peer(PeerMessage::Session {
            request: SessionRequest { symbol: SymbolId(2), change: SessionChange::Pass { until: Timestamp(303) } },
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }),
        session(SessionChange::SetPriceRange(Some(range()))),
        session(SessionChange::SetPriceRange(None)),
        session(SessionChange::SetReference(Some(mean()))),
        session(SessionChange::SetReference(None)),
        session(SessionChange::SetReferencePrice(Some(ReferencePrice(1_500_000)))),
        session(SessionChange::SetReferencePrice(None)),
        Body::Import(Box::new(Piece::Session(MovedSession {
            session: Session {
                reference: Some(Reference { calculation: mean(), external: None }),
                ..Session::plain(SymbolId(2))
            },
            before: None,
            parts: Vec::new(),
            buckets: vec![bucket()],
        }))),
    ]
}

pub(super) fn session_events() -> Vec<Event> {
    vec![
        Event::SessionChanged(paused()),
        answered(Answer::SessionChanged(Session::plain(SymbolId(2)))),
        answered(Answer::Refused(Refusal::NoSuchPhase)),
        answered(Answer::Refused(Refusal::BreakerRange)),
        Event::SessionChanged(Session { phase: Phase::Collecting, until: None, ..paused() }),
        Event::SessionChanged(Session { phase: Phase::Matching, until: None, ..paused() }),
        Event::AuctionPriced(AuctionPrice { symbol: SymbolId(2), price: Price(78), quantity: Quantity(79) }),
        answered(Answer::Refused(Refusal::NotInAuction)),
        answered(Answer::Refused(Refusal::AuctionMatching)),
        answered(Answer::Refused(Refusal::AuctionTooLong)),
        answered(Answer::Refused(Refusal::NotAStatusToSet(MarketStatus::AuctionMatch))),
        Event::OrderClosed(OrderClosed {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            reason: CloseReason::ByVenue,
        }),
        Event::SessionChanged(referring()),
        Event::ReferenceImported { symbol: SymbolId(2), buckets: vec![bucket()] },
        answered(Answer::Refused(Refusal::PriceRange)),
        answered(Answer::Refused(Refusal::ReferenceCalculation)),
        answered(Answer::Refused(Refusal::ReferencePrice)),
        Event::OrderClosed(OrderClosed {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            reason: CloseReason::OutOfRange,
        }),
    ]
}
