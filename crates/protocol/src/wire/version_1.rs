//! The vocabulary of version 1, as far as it differs from that of version 2: a cancel had no restriction, and no venue
//! moved in.

use crate::{command, peer};
use crossbook_types::{AccountId, ClientOrderId, HoldId, SymbolId};
use serde::Deserialize;

use crate::wire::frozen::{Upgrade, frozen_enums, frozen_structs};
use crate::wire::version_2::{
    Admitted, CancelAll, Change, ChangeMarket, IssueApiKey, ListAsset, ListMarket, NewOrder, OpenAccount, Origin,
    RevokeApiKey, Settlement, Target, TransferRequest,
};

frozen_enums! {
    enum Body => command::Body {
        ListAsset(request: ListAsset),
        ListMarket(request: Box<ListMarket>),
        ChangeMarket(request: Box<ChangeMarket>),
        OpenAccount(request: OpenAccount),
        IssueApiKey(request: Box<IssueApiKey>),
        RevokeApiKey(request: RevokeApiKey),
        Transfer(request: TransferRequest),
        Place(order: NewOrder),
        Cancel(request: CancelOrder),
        CancelAll(request: CancelAll),
        Peer(message: PeerMessage),
    }

    enum PeerMessage => peer::PeerMessage {
        Registry(change: Change),
        Admit(admitted: Admitted),
        Cancel { request: CancelOrder, origin: Origin },
        CancelAll { request: CancelAll, origin: Origin },
        Settle(settlement: Settlement),
        Release { account: AccountId, hold: HoldId },
    }
}

frozen_structs! {
    struct CancelOrder => command::CancelOrder {
        account: AccountId,
        symbol: SymbolId,
        target: Target,
        cancel_id: ClientOrderId;
        restriction = None,
    }
}
