//! The vocabulary of version 2: commands here, [`events`] and what is [`import`] beside.
//!
//! Field by field and variant by variant in the order in which version 2 wrote them.

pub(crate) mod events;
pub(crate) mod import;

use crate::{command, peer, registry};
use crossbook_types::{
    self as types, AccountId, Amount, ApiKeyId, AssetId, AssetName, CancelRestriction, ClientOrderId, Decimal, FeeRate,
    HoldId, MarketStatus, OrderId, OrderType, Price, Quantity, RequestNumber, SelfTradePrevention, SelfTradeRules,
    Side, SourceId, SymbolId, SymbolName, TimeInForce, Timestamp, TransferId,
};
use serde::Deserialize;

use crate::wire::frozen::{Upgrade, frozen_enums, frozen_structs};

/// A command without what the record around it says.
#[derive(Deserialize)]
pub(crate) struct Command<B> {
    pub(crate) source: SourceId,
    pub(crate) number: RequestNumber,
    pub(crate) body: B,
}

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
        Import(piece: Box<import::Piece>),
    }

    enum Size => command::Size {
        Base(quantity: Quantity),
        Quote(amount: Amount),
    }

    enum PeerMessage => peer::PeerMessage {
        Registry(change: Change),
        Admit(admitted: Admitted),
        Cancel { request: CancelOrder, origin: Origin },
        CancelAll { request: CancelAll, origin: Origin },
        Settle(settlement: Settlement),
        Release { account: AccountId, hold: HoldId },
    }

    enum Change => registry::Change {
        Asset(asset: Asset),
        Market(market: Box<Market>),
        Account(account: Box<Account>),
    }

    enum Credential => registry::Credential {
        Hmac { sealed: Vec<u8> },
        Ed25519 { public: Vec<u8> },
        Rsa { public: Vec<u8> },
    }
}

frozen_structs! {
    struct ListAsset => command::ListAsset { name: AssetName, decimals: u8 }

    struct ListMarket => command::ListMarket { description: Description }

    struct ChangeMarket => command::ChangeMarket {
        symbol: SymbolId,
        filters: Option<Filters>,
        fees: Option<Fees>,
        status: Option<MarketStatus>;
        self_trade = None,
    }

    struct OpenAccount => command::OpenAccount { label: String }

    struct IssueApiKey => command::IssueApiKey {
        account: AccountId,
        key: ApiKeyId,
        permissions: Permissions,
        credential: Credential,
        allowed_ips: Vec<String>,
    }

    struct RevokeApiKey => command::RevokeApiKey { account: AccountId, key: ApiKeyId }

    struct TransferRequest => command::TransferRequest {
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        transfer: TransferId,
    }

    struct NewOrder => command::NewOrder {
        account: AccountId,
        symbol: SymbolId,
        client_order_id: ClientOrderId,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        price: Option<Price>,
        size: Size,
        stop_price: Option<Price>,
        self_trade_prevention: SelfTradePrevention,
    }

    struct CancelOrder => command::CancelOrder {
        account: AccountId,
        symbol: SymbolId,
        target: Target,
        cancel_id: ClientOrderId,
        restriction: Option<CancelRestriction>,
    }

    struct CancelAll => command::CancelAll { account: AccountId, symbol: SymbolId, cancel_id: ClientOrderId }

    struct Origin => peer::Origin { source: SourceId, number: RequestNumber }

    struct Admitted => peer::Admitted {
        order: NewOrder,
        hold: HoldId,
        budget: Amount,
        fees: Fees,
        origin: Origin,
    }

    struct Settlement => peer::Settlement {
        account: AccountId,
        hold: HoldId,
        symbol: SymbolId,
        pay_asset: AssetId,
        pay: Amount,
        improvement: Amount,
        receive_asset: AssetId,
        receive: Amount,
        fee: Amount,
    }

    struct Permissions => registry::Permissions { read: bool, trade: bool }

    struct Account => registry::Account { id: AccountId, label: String, opened: Timestamp }

    struct ApiKey => registry::ApiKey {
        key: ApiKeyId,
        account: AccountId,
        permissions: Permissions,
        credential: Credential,
        allowed_ips: Vec<String>,
        issued: Timestamp,
    }

    struct Asset => types::Asset { id: AssetId, name: AssetName, decimals: u8 }

    struct Fees => types::Fees { maker: FeeRate, taker: FeeRate }

    struct Filters => types::Filters {
        price_min: Price,
        price_max: Price,
        quantity_min: Quantity,
        quantity_max: Quantity,
        market_quantity_max: Quantity,
        notional_min: Amount,
        notional_max: Amount,
        band_up_percent: u32,
        band_down_percent: u32,
        orders_max: u32,
        algo_orders_max: u32,
    }

    struct Description => types::market::Description {
        id: SymbolId,
        symbol: SymbolName,
        base: Asset,
        quote: Asset,
        tick_size: Decimal,
        step_size: Decimal,
        filters: Filters,
        fees: Fees,
        status: MarketStatus;
        self_trade = SelfTradeRules::ALL,
    }
}

#[derive(Deserialize)]
pub(crate) enum Target {
    Order(OrderId),
    Client(ClientOrderId),
    Both(OrderId, ClientOrderId),
}

impl Upgrade for Target {
    type Today = command::Target;

    fn upgrade(self) -> command::Target {
        match self {
            Self::Order(order) => command::Target::Order(order),
            Self::Client(name) => command::Target::Client(name),
            Self::Both(order, name) => command::Target::Both(order, name),
        }
    }
}

/// A market, which is its description and what follows from it.
#[derive(Deserialize)]
pub(crate) struct Market {
    description: Description,
    base_per_lot: i128,
    quote_per_tick_lot: i128,
    largest: (Price, Quantity),
}

impl Upgrade for Market {
    type Today = types::Market;

    fn upgrade(self) -> types::Market {
        types::Market::from_record(self.description.upgrade(), self.base_per_lot, self.quote_per_tick_lot, self.largest)
    }
}
