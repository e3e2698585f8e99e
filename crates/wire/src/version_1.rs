//! The vocabulary of version 1, as far as it differs from that of today: a cancel had no restriction.

use crossbook_engine::command::{
    Body as Today, CancelAll, CancelOrder, ChangeMarket, IssueApiKey, ListAsset, ListMarket, NewOrder, OpenAccount,
    RevokeApiKey, Target, TransferRequest,
};
use crossbook_engine::peer::{Admitted, Origin, PeerMessage, Settlement};
use crossbook_engine::registry::Change;
use crossbook_types::{AccountId, ClientOrderId, HoldId, SymbolId};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) enum Body {
    ListAsset(ListAsset),
    ListMarket(Box<ListMarket>),
    ChangeMarket(Box<ChangeMarket>),
    OpenAccount(OpenAccount),
    IssueApiKey(Box<IssueApiKey>),
    RevokeApiKey(RevokeApiKey),
    Transfer(TransferRequest),
    Place(NewOrder),
    Cancel(Cancel),
    CancelAll(CancelAll),
    Peer(Peer),
}

#[derive(Deserialize)]
pub(crate) struct Cancel {
    account: AccountId,
    symbol: SymbolId,
    target: Target,
    cancel_id: ClientOrderId,
}

#[derive(Deserialize)]
pub(crate) enum Peer {
    Registry(Change),
    Admit(Admitted),
    Cancel { request: Cancel, origin: Origin },
    CancelAll { request: CancelAll, origin: Origin },
    Settle(Settlement),
    Release { account: AccountId, hold: HoldId },
}

impl From<Body> for Today {
    fn from(body: Body) -> Self {
        match body {
            Body::ListAsset(request) => Self::ListAsset(request),
            Body::ListMarket(request) => Self::ListMarket(request),
            Body::ChangeMarket(request) => Self::ChangeMarket(request),
            Body::OpenAccount(request) => Self::OpenAccount(request),
            Body::IssueApiKey(request) => Self::IssueApiKey(request),
            Body::RevokeApiKey(request) => Self::RevokeApiKey(request),
            Body::Transfer(request) => Self::Transfer(request),
            Body::Place(order) => Self::Place(order),
            Body::Cancel(request) => Self::Cancel(request.into()),
            Body::CancelAll(request) => Self::CancelAll(request),
            Body::Peer(message) => Self::Peer(message.into()),
        }
    }
}

impl From<Cancel> for CancelOrder {
    fn from(Cancel { account, symbol, target, cancel_id }: Cancel) -> Self {
        Self { account, symbol, target, cancel_id, restriction: None }
    }
}

impl From<Peer> for PeerMessage {
    fn from(message: Peer) -> Self {
        match message {
            Peer::Registry(change) => Self::Registry(change),
            Peer::Admit(admitted) => Self::Admit(admitted),
            Peer::Cancel { request, origin } => Self::Cancel { request: request.into(), origin },
            Peer::CancelAll { request, origin } => Self::CancelAll { request, origin },
            Peer::Settle(settlement) => Self::Settle(settlement),
            Peer::Release { account, hold } => Self::Release { account, hold },
        }
    }
}
