//! Events of version 2, which version 1 wrote in the same way.

use crate::{Cause, Refusal, event, transfer};
use crossbook_types::{
    AccountId, Amount, ApiKeyId, AssetId, ClientOrderId, OrderId, OrderType, PartitionId, PreventedMatchId, Price,
    Quantity, RequestNumber, SelfTradePrevention, Side, SourceId, SymbolId, TimeInForce, Timestamp, TradeId,
    TransferId,
};
use serde::Deserialize;

use super::{Account, ApiKey, Asset, Market, Size};
use crate::wire::frozen::{Upgrade, frozen_enums, frozen_structs};

frozen_enums! {
    enum Event => event::Event {
        AssetListed(asset: Asset),
        MarketListed(market: Box<Market>),
        MarketChanged(market: Box<Market>),
        AccountOpened(account: Box<Account>),
        ApiKeyIssued(key: Box<ApiKey>),
        ApiKeyRevoked { account: AccountId, key: ApiKeyId },
        Transferred(transfer: Box<Transfer>),
        OrderPlaced(placed: OrderPlaced),
        OrderTriggered { symbol: SymbolId, order: OrderId, account: AccountId },
        Traded(trade: Trade),
        OrderClosed(closed: OrderClosed),
        DepthChanged(changed: DepthChanged),
        BalanceChanged { account: AccountId, asset: AssetId, free: Amount, held: Amount },
        Answered { source: SourceId, number: RequestNumber, answer: Answer },
        MarketImported(market: Box<MarketImported>),
        OrderImported(order: Box<OrderImported>),
        MoneyImported { account: AccountId, asset: AssetId, amount: Amount },
        TransferImported(transfer: Box<Transfer>),
    }

    enum CloseReason => event::CloseReason {
        Filled,
        Canceled { cancel_id: ClientOrderId },
        Expired,
        SelfTradePrevented,
    }

    enum Answer => event::Answer {
        AssetListed(asset: AssetId),
        MarketListed(symbol: SymbolId),
        MarketChanged(symbol: SymbolId),
        AccountOpened(account: AccountId),
        ApiKeyIssued(key: ApiKeyId),
        ApiKeyRevoked(key: ApiKeyId),
        Transferred(transfer: Box<Transfer>),
        Placed { symbol: SymbolId, order: OrderId },
        Canceled { symbol: SymbolId, order: OrderId },
        CanceledAll { symbol: SymbolId, count: u32 },
        Refused(refusal: Refusal),
        Imported,
    }
}

frozen_structs! {
    struct Transfer => transfer::Transfer {
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        transfer: TransferId,
        time: Timestamp,
    }

    struct OrderPlaced => event::OrderPlaced {
        order: OrderId,
        symbol: SymbolId,
        account: AccountId,
        client_order_id: ClientOrderId,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        price: Option<Price>,
        size: Size,
        stop_price: Option<Price>,
        self_trade_prevention: SelfTradePrevention,
    }

    struct Trade => event::Trade {
        symbol: SymbolId,
        trade: TradeId,
        price: Price,
        quantity: Quantity,
        quote: Amount,
        taker_side: Side,
        taker: Party,
        maker: Party,
    }

    struct Party => event::Party { order: OrderId, account: AccountId, fee: Amount }

    struct OrderClosed => event::OrderClosed {
        symbol: SymbolId,
        order: OrderId,
        account: AccountId,
        reason: CloseReason,
    }

    struct DepthChanged => event::DepthChanged {
        symbol: SymbolId,
        side: Side,
        price: Price,
        quantity: Quantity,
        update: u64,
    }

    struct MarketImported => event::MarketImported {
        symbol: SymbolId,
        next_order: OrderId,
        last: Option<LastTrade>,
        aggregate_trades: u64,
        depth_update: u64;
        next_prevented = PreventedMatchId::FIRST,
    }

    struct LastTrade => event::LastTrade {
        trade: TradeId,
        price: Price,
        quantity: Quantity,
        quote: Amount,
        taker_side: Side,
        time: Timestamp,
    }

    struct OrderImported => event::OrderImported {
        placed: OrderPlaced,
        executed: Quantity,
        executed_quote: Amount,
        placed_at: Timestamp,
        updated: Timestamp,
        working_since: Option<Timestamp>,
    }

    /// What a partition of a cluster published of one command.
    struct Published => crate::wire::Published {
        cause: Cause,
        source: SourceId,
        number: RequestNumber,
        sent: Vec<(PartitionId, RequestNumber)>,
        events: Vec<Event>,
    }
}
