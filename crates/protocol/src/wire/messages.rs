//! The form of commands, events and messages between partitions in bytes.

use super::Error;
use super::codec::{Reader, Sink, Wire, wire_enum, wire_struct};
use crate::command::Operated;
use crate::command::{
    Body, ChangeMarket, FeePayout, IssueApiKey, ListAsset, ListMarket, OpenAccount, RevokeApiKey, SetAccountFees,
    SetTradeGroup, TransferRequest,
};
use crate::countdown::{Countdown, CountdownScope, SetCountdown};
use crate::counted::{Counted, Incoming, Second};
use crate::event::{
    Answer, Cause, CloseReason, DepthChanged, Discounted, Event, Half, LastTrade, MarketImported, OrderAmended,
    OrderClosed, OrderImported, OrderPlaced, Party, PreventedMatch, Prevention, Trade, VenueAccount,
};
use crate::import::{
    Beside, Book, FeeReserve, Held, Inventory, Minute, Owned, Payer, Piece, Placed, PlacedList, Settings, Standing,
    StandingLeg, StandingList,
};
use crate::operator::{Acted, Note};
use crate::order::{
    AmendOrder, CancelAll, CancelOrder, Instructions, Membership, NewOrder, OrderDiscount, OrderTerms, ReplaceOrder,
    Size, Target,
};
use crate::order_list::{CancelList, ListImported, ListPlaced, ListTarget, NewList};
use crate::peer::{Admitted, AdmittedList, ListFunding, Origin, PeerMessage, Replacing, Settlement};
use crate::refusal::Refusal;
use crate::registry::{Account, ApiKey, Change, Credential, Permissions};
use crate::rules::Rules;
use crate::session::{
    AuctionPrice, ExternalPrice, MovedSession, Phase, Reference, Session, SessionChange, SessionRequest, WindowPart,
};
use crate::transfer::Transfer;
use crate::volume::AccountVolume;

wire_enum! {
    Body {
        0 => ListAsset(request),
        1 => ListMarket(request),
        2 => ChangeMarket(request),
        3 => OpenAccount(request),
        4 => IssueApiKey(request),
        5 => RevokeApiKey(request),
        6 => Transfer(request),
        7 => Place(order),
        8 => Cancel(request),
        9 => CancelAll(request),
        10 => Peer(message),
        11 => Import(piece),
        12 => ReportVenue { partition },
        13 => PayOutFees(request),
        14 => ActivateRules(rules),
        15 => Amend(request),
        16 => SetCountdown(request),
        17 => EndCountdown(countdown),
        18 => Replace(request),
        19 => PlaceList(list),
        20 => CancelList(request),
        27 => SetTradeGroup(request),
        30 => SetExchangeFilters(filters),
        31 => SetAccountFees(request),
        32 => SetFeeTiers(tiers),
        35 => Session(request),
        36 => DelistMarket { symbol },
        40 => SetFeeDiscount(discount),
        41 => SetDiscountUse { account, on },
        62 => Operated(operated),
        63 => SetFrozen { account, on },
    }

    Size { 0 => Base(quantity), 1 => Quote(amount) }

    Target { 0 => Order(order), 1 => Client(name), 2 => Both(order, name) }

    ListTarget { 0 => List(list), 1 => Client(name), 2 => Both(list, name) }

    PeerMessage {
        0 => Registry(change),
        1 => Admit(admitted),
        2 => Cancel { request, origin },
        3 => CancelAll { request, origin },
        4 => Settle(settlement),
        5 => Release { account, hold },
        6 => Continue,
        7 => Amend { request, origin },
        8 => Reduce { account, hold, amount },
        9 => CancelOrders { account, symbol },
        10 => Replace(replacing),
        11 => Shift { account, from, to, amount },
        12 => AdmitList(admitted),
        13 => CancelList { request, origin },
        14 => SettleInto { settlement, into },
        24 => Session { request, origin },
        27 => PayFee { account, hold, amount },
        40 => CountOrders { account, limit, from },
        41 => OrdersCounted { account, limit, holds, next },
        61 => CancelFrozen { account },
    }

    CountdownScope { 0 => Account, 1 => Symbol(symbol), 2 => Session(session) }

    Change {
        0 => Asset(asset), 1 => Market(market), 2 => Account(account), 3 => Rules(rules), 34 => ExchangeFilters(filters),
        35 => AccountFees { account, fees }, 36 => FeeTiers(tiers), 60 => FeeDiscount(discount),
        61 => DiscountUse { account, on }, 81 => Frozen { account, on },
    }

    SessionChange {
        0 => SetBreaker(breaker), 1 => End, 2 => Pass { until }, 3 => OpenAuction { seconds }, 4 => SetPriceRange(range),
        5 => SetReference(calculation), 6 => SetReferencePrice(price),
    }

    Phase { 0 => Open, 1 => Paused, 2 => Collecting, 3 => Matching }

    Rules { 1 => V1, 2 => V2, 3 => V3, 4 => V4 }

    Credential { 0 => Hmac { sealed }, 1 => Ed25519 { public }, 2 => Rsa { public } }

    Event {
        0 => AssetListed(asset),
        1 => MarketListed(market),
        2 => MarketChanged(market),
        3 => AccountOpened(account),
        4 => ApiKeyIssued(key),
        5 => ApiKeyRevoked { account, key },
        6 => Transferred(transfer),
        7 => OrderPlaced(placed),
        8 => OrderTriggered { symbol, order, account },
        9 => Traded(trade),
        10 => OrderClosed(closed),
        11 => DepthChanged(changed),
        12 => BalanceChanged { account, asset, free, held },
        13 => Answered { source, number, answer },
        14 => MarketImported(market),
        15 => OrderImported(order),
        16 => MoneyImported { account, asset, amount },
        17 => TransferImported(transfer),
        18 => MatchPrevented(prevented),
        19 => OrderRefused { order, reason },
        20 => FeesPaidOut(transfer),
        21 => CancelAllBegun { symbol, account, cancel_id, source, number },
        22 => RulesActivated(rules),
        23 => OrderAmended(amended),
        24 => CountdownSet(countdown),
        25 => CountdownEnded { account, scope, passed },
        26 => ListPlaced(placed),
        27 => OrderReleased { symbol, order, account, quantity },
        28 => ListChanged { symbol, list, account, status },
        29 => ListImported(list),
        32 => TrailingBegun { symbol, order, account },
        33 => OrderPegged { symbol, order, account, price },
        37 => TradeGroupSet { account, group },
        41 => ExchangeFiltersChanged(filters),
        42 => AccountFeesChanged { account, fees },
        43 => FeeTiersChanged(tiers),
        44 => FeeTierReached { account, fees },
        45 => SessionChanged(session),
        46 => AuctionPriced(price),
        50 => FeeDiscountChanged(discount),
        51 => DiscountUseChanged { account, on },
        52 => OrderDiscounted { symbol, order, account, asset, held, rates },
        53 => ReferenceImported { symbol, buckets },
        73 => OperatorActed(acted),
        74 => FrozenChanged { account, on },
    }

    CloseReason {
        0 => Filled, 1 => Canceled { cancel_id }, 2 => Expired, 3 => SelfTradePrevented, 4 => Unaffordable,
        5 => Amended, 6 => OcoTrigger, 7 => WorkingEnded, 8 => Unplaceable, 46 => ByVenue, 47 => OutOfRange,
    }

    Answer {
        0 => AssetListed(asset),
        1 => MarketListed(symbol),
        2 => MarketChanged(symbol),
        3 => AccountOpened(account),
        4 => ApiKeyIssued(key),
        5 => ApiKeyRevoked(key),
        6 => Transferred(transfer),
        7 => Placed { symbol, order },
        8 => Canceled { symbol, order },
        9 => CanceledAll { symbol, count },
        10 => Refused(refusal),
        11 => Imported,
        12 => VenueAccounts(accounts),
        13 => RulesActive(rules),
        14 => Amended { symbol, order },
        15 => CountdownSet { until },
        16 => Replaced { symbol, canceled, placed },
        17 => ListPlaced { symbol, list },
        18 => ListCanceled { symbol, list },
        22 => TradeGroupSet(account),
        24 => ExchangeFiltersSet,
        25 => FeesSet,
        26 => SessionChanged(session),
        47 => FrozenSet,
    }

    Half { 0 => Done(order), 1 => Refused(refusal), 2 => NotTried }

    Refusal {
        0 => UnknownAccount,
        1 => UnknownAsset,
        2 => UnknownSymbol,
        3 => UnknownApiKey,
        4 => UnknownOrder,
        5 => AssetExists,
        6 => MarketExists,
        7 => ApiKeyExists,
        8 => AssetDecimals,
        9 => LabelTooLong,
        10 => TooManyApiKeys,
        11 => Market(error),
        12 => MarketClosed(status),
        13 => Filter(filter),
        14 => MalformedOrder,
        15 => InsufficientBalance,
        16 => DuplicateClientOrderId,
        17 => WouldTake,
        18 => WouldTrigger,
        19 => BookFull,
        20 => TransferAmount,
        21 => TransferConflict,
        22 => NotTheRegistry,
        23 => CancelRestricted,
        24 => Importing,
        25 => NotEmpty,
        26 => MisfitPiece,
        27 => SelfTradeMode,
        28 => OtherPartition,
        29 => EmptyBook,
        30 => ThinBook,
        31 => NumbersUsedUp,
        32 => CancelingAll,
        33 => Late,
        34 => Skipped,
        35 => RulesTooOld,
        36 => AmendIncrease,
        37 => AmendNothing,
        38 => AmendNotAllowed,
        39 => Unsupported(feature),
        40 => IcebergTooLarge,
        41 => NoCountdown,
        42 => TooManyCountdowns,
        43 => ListPrices,
        44 => NoOrderLists,
        45 => AmendUnpaid,
        50 => PegType,
        51 => PegPrice,
        52 => ThinForPeg,
        56 => TradeGroupFull,
        60 => FeeTiers,
        70 => NoSuchPhase,
        71 => BreakerRange,
        72 => NotInAuction,
        73 => AuctionMatching,
        74 => AuctionTooLong,
        75 => NotAStatusToSet(status),
        80 => ListWithoutPrice,
        85 => FeeDiscount,
        86 => PriceRange,
        87 => ReferenceCalculation,
        88 => ReferencePrice,
        106 => AccountFrozen,
    }

    Piece {
        0 => Begin { export, pieces },
        1 => Assets(assets),
        2 => Markets(markets),
        3 => Accounts(accounts),
        4 => ApiKeys(keys),
        5 => Transfers(transfers),
        6 => Money(money),
        7 => Holds(holds),
        8 => Market(market),
        9 => Orders(orders),
        10 => Open,
        11 => Forgotten(sums),
        12 => BeginUnder { export, pieces, rules },
        13 => Countdowns(countdowns),
        14 => Lists(lists),
        20 => Settings(settings),
        21 => Beside(beside),
        22 => Payers(payers),
        23 => Session(session),
    }

    Beside { 0 => Counted(holds), 1 => Minutes { symbol, minutes } }
}

wire_struct! {
    ListAsset { 0: name, 1: decimals }
    ListMarket { 0: description }
    ChangeMarket { 0: symbol, 1: filters, 2: fees, 3: status, 4: self_trade (since 3, else None) }
    OpenAccount { 0: label }
    IssueApiKey { 0: account, 1: key, 2: permissions, 3: credential, 4: allowed_ips }
    RevokeApiKey { 0: account, 1: key }
    TransferRequest { 0: account, 1: asset, 2: amount, 3: transfer }
    SetAccountFees { 0: account, 1: fees }
    FeePayout { 0: partition, 1: asset, 2: amount, 3: transfer }
    NewOrder as {
        account,
        terms: OrderTerms {
            symbol, client_order_id, side, order_type, time_in_force, price, size, stop_price, self_trade_prevention,
            instructions,
        },
    } {
        0: account, 1: symbol, 2: client_order_id, 3: side, 4: order_type, 5: time_in_force, 6: price, 7: size,
        8: stop_price, 9: self_trade_prevention; optional 10: instructions,
    }
    Instructions as { strategy_id, strategy_type, iceberg, list, trailing, peg, trade_group, discount } {
        ; optional 0: strategy_id, 1: strategy_type, 2: iceberg, 3: list, 12: trailing, 13: peg, 23: trade_group,
        60: discount,
    }
    plain OrderDiscount { 0: asset, 1: hold, 2: held, 3: rates }
    plain Membership { 0: list, 1: pending }
    NewList { 0: account, 1: symbol, 2: client_order_id, 3: kind, 4: orders }
    CancelList { 0: account, 1: symbol, 2: target, 3: cancel_id }
    ListImported { 0: placed, 1: names, 2: placed_at, 3: updated }
    ListPlaced { 0: symbol, 1: list, 2: account, 3: kind, 4: client_order_id, 5: orders }
    OrderTerms {
        0: symbol, 1: client_order_id, 2: side, 3: order_type, 4: time_in_force, 5: price, 6: size, 7: stop_price,
        8: self_trade_prevention; optional 9: instructions,
    }
    CancelOrder { 0: account, 1: symbol, 2: target, 3: cancel_id, 4: restriction (since 2, else None) }
    CancelAll { 0: account, 1: symbol, 2: cancel_id }
    ReplaceOrder { 0: order, 1: target, 2: cancel_id, 3: restriction, 4: allow_failure }
    AmendOrder { 0: account, 1: symbol, 2: target, 3: quantity, 4: placed, 5: client_order_id }

    SetCountdown { 0: account, 1: scope, 2: after_millis }
    Countdown { 0: account, 1: scope, 2: until }

    SessionRequest { 0: symbol, 1: change }
    Session { 0: symbol, 1: phase, 2: until, 3: breaker; optional 4: price_range, 5: reference }
    plain Reference { 0: calculation, 1: external }
    plain ExternalPrice { 0: price, 1: since }
    AuctionPrice { 0: symbol, 1: price, 2: quantity }
    MovedSession { 0: session, 1: before, 2: parts; optional 3: buckets }
    plain WindowPart { 0: number, 1: low, 2: high, 3: last }

    plain Origin { 0: source, 1: number }
    Admitted { 0: order, 1: hold, 2: budget, 3: fees, 4: origin }
    Replacing { 0: request, 1: hold, 2: budget, 3: need, 4: whole, 5: fees, 6: origin }
    AdmittedList { 0: list, 1: funding, 2: origin }
    ListFunding { 0: working, 1: hold, 2: held, 3: fees; optional 60: working_discount, 61: discount }
    Settlement {
        0: account, 1: hold, 2: symbol, 3: pay_asset, 4: pay, 5: improvement, 6: receive_asset, 7: receive, 8: fee;
        optional 29: transfer,
    }

    Permissions { 0: read, 1: trade }
    Account { 0: id, 1: label, 2: opened; optional 23: trade_group }
    SetTradeGroup { 0: account, 1: group }
    ApiKey { 0: key, 1: account, 2: permissions, 3: credential, 4: allowed_ips, 5: issued }

    plain Cause { 0: sequence, 1: time }
    Transfer { 0: account, 1: asset, 2: amount, 3: transfer, 4: time }
    OrderPlaced as {
        order,
        account,
        terms: OrderTerms {
            symbol, client_order_id, side, order_type, time_in_force, price, size, stop_price, self_trade_prevention,
            instructions,
        },
    } {
        0: order, 1: symbol, 2: account, 3: client_order_id, 4: side, 5: order_type, 6: time_in_force, 7: price,
        8: size, 9: stop_price, 10: self_trade_prevention; optional 11: instructions,
    }
    Trade { 0: symbol, 1: trade, 2: price, 3: quantity, 4: quote, 5: taker_side, 6: taker, 7: maker; optional 60: discount }
    plain Discounted { 0: asset, 1: taker, 2: maker }
    plain Party { 0: order, 1: account, 2: fee }
    PreventedMatch {
        0: symbol, 1: id, 2: account, 3: taker_side, 4: taker, 5: maker, 6: mode, 7: price, 8: quantity, 9: quote,
        10: taker_prevented, 11: maker_prevented; optional 32: counterparty, 33: group,
    }
    OrderClosed { 0: symbol, 1: order, 2: account, 3: reason }
    OrderAmended {
        0: symbol, 1: order, 2: account, 3: count, 4: quantity, 5: quantity_before, 6: client_order_id,
        7: client_order_id_before,
    }
    DepthChanged { 0: symbol, 1: side, 2: price, 3: quantity, 4: update }
    VenueAccount { 0: asset, 1: external, 2: fees, 3: clearing }

    MarketImported {
        0: symbol, 1: next_order, 2: last, 3: aggregate_trades, 4: depth_update,
        5: next_prevented (since 3, else crossbook_types::PreventedMatchId::FIRST),
    }
    LastTrade { 0: trade, 1: price, 2: quantity, 3: quote, 4: taker_side, 5: time }
    OrderImported {
        0: placed, 1: executed, 2: executed_quote, 3: placed_at, 4: updated, 5: working_since;
        optional 6: amendments, 7: shown, 17: trailing_since, 18: extreme, 19: pegged, 28: prevention,
    }
    plain Prevention { 0: quantity, 1: id }

    Held { 0: hold, 1: account, 2: asset, 3: amount }
    Placed {
        0: order, 1: hold, 2: budget, 3: fees,
        // Each fee was rounded by itself.
        4: fee_credit (since 3, else crossbook_types::FeeCredit::NONE);
        optional 60: reserve,
    }
    plain FeeReserve { 0: asset, 1: held, 2: rates, 3: credit }
    Inventory {
        0: assets, 1: markets, 2: accounts, 3: api_keys, 4: transfers, 5: balances, 6: fees, 7: books;
        optional 8: forgotten, 9: countdowns, 40: settings, 41: payers,
    }
    Settings as { exchange_filters, fee_tiers, fee_discount } {
        ; optional 0: exchange_filters, 1: fee_tiers, 60: fee_discount,
    }
    Payer { 0: account, 1: fees, 2: volume; optional 60: discounted, 61: frozen }
    AccountVolume { 0: days, 1: rated, 2: fees }
    Owned { 0: account, 1: asset, 2: amount }
    Book { 0: market, 1: orders; optional 2: lists, 40: minutes, 42: session }
    plain Minute { 0: minute, 1: lots, 2: worth }
    Standing {
        0: order, 1: held, 2: fees, 3: fee_credit (since 3, else crossbook_types::FeeCredit::NONE);
        optional 40: counted, 60: reserve,
    }

    plain Incoming { 0: symbol, 1: amount, 2: lot, 3: held_per_hundred }
    Counted { 0: order, 1: algo, 2: iceberg, 3: incoming; optional 4: second, 5: list }
    Second { 0: algo, 1: iceberg }
    StandingList {
        0: list, 1: working, 2: near, 3: released, 4: others, 5: held, 6: fees;
        optional 7: counted, 60: reserve,
    }
    StandingLeg { 0: order, 1: need }
    PlacedList { 0: list, 1: hold; optional 60: reserve_hold }
}

wire_struct! {
    Note { 0: operator, 1: action, 2: reason }
    Acted { 0: note, 1: refused }
}

impl Wire for Operated {
    fn write<S: Sink>(&self, out: &mut S) {
        if S::MASKED {
            0u64.write(out);
        }
        self.note.write(out);
        self.body.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        from.mask(0, "Operated")?;
        // One within another could go on until the stack is used up.
        from.enter_once()?;
        let read = Self { note: Wire::read(from)?, body: Wire::read(from)? };
        if Self::may_hold(&read.body) { Ok(read) } else { Err(Error::Malformed) }
    }
}
