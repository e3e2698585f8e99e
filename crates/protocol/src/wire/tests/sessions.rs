//! Samples of sessions: circuit breakers, auctions, delisting.

use super::*;

pub(super) fn breaker() -> Breaker {
    Breaker { move_bp: 500, window_seconds: 60, pause_seconds: 300, auction_seconds: 0 }
}

pub(super) fn paused() -> Session {
    Session { symbol: SymbolId(2), phase: Phase::Paused, until: Some(Timestamp(303)), breaker: Some(breaker()) }
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
        }))),
        Body::Peer(PeerMessage::Session {
            request: SessionRequest { symbol: SymbolId(2), change: SessionChange::Pass { until: Timestamp(303) } },
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }),
    ]
}

pub(super) fn session_events() -> Vec<Event> {
    vec![
        Event::SessionChanged(paused()),
        answered(Answer::SessionChanged(Session {
            symbol: SymbolId(2),
            phase: Phase::Open,
            until: None,
            breaker: None,
        })),
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
    ]
}
