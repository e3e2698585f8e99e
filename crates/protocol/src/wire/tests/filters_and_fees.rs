//! Samples of filters, fees and tiers.

use super::*;

pub(super) fn exchange_filters() -> ExchangeFilters {
    ExchangeFilters { orders_max: 200, algo_orders_max: 0, iceberg_orders_max: 7, order_lists_max: 8 }
}

/// Filters with all that looks beyond the order.
pub(super) fn relative() -> Filters {
    Filters {
        relative: RelativeFilters {
            percent_price: Band { up_percent: 300, down_percent: 30 },
            sell_band: Some(Band { up_percent: 400, down_percent: 40 }),
            average_minutes: 5,
            notional: NotionalFilter::Least,
            market_below_min: true,
            market_max: true,
            position_max: Amount(78),
        },
        ..filters()
    }
}

pub(super) fn account_fees() -> AccountFees {
    AccountFees { standard: Some(fees()), special: Fees::default(), tax: fees() }
}

pub(super) fn fee_tiers() -> FeeTiers {
    FeeTiers { asset: AssetId(1), tiers: vec![FeeTier { volume_min: Amount(83), fees: fees() }] }
}

pub(super) fn fee_discount() -> FeeDiscount {
    FeeDiscount {
        asset: AssetId(2),
        basis_points: 2_500,
        rates: vec![(AssetId(0), 90), (AssetId(1), 91)],
        except: vec![SymbolId(92)],
    }
}

fn discount_rates() -> DiscountRates {
    DiscountRates { maker: 93, taker: 94, worth: 96, scale: 15 }
}

pub(super) fn settings() -> Settings {
    Settings { exchange_filters: exchange_filters(), fee_tiers: Some(fee_tiers()), ..Settings::default() }
}

pub(super) fn payer() -> Payer {
    let volume = AccountVolume { days: vec![(84, Amount(85))], rated: Some(86), fees: Some(fees()) };
    Payer { account: AccountId(1001), fees: account_fees(), volume: Some(volume), discounted: false, frozen: false }
}

pub(super) fn counted() -> Counted {
    let incoming =
        Incoming { symbol: SymbolId(2), amount: Amount(79), lot: Amount(80), held_per_hundred: Amount(8_100) };
    Counted { order: true, algo: true, iceberg: false, incoming: Some(incoming), second: None, list: false }
}

fn note() -> Note {
    Note::new("ann", "POST assets", "why")
}

/// Commands of filters that look beyond the order.
pub(super) fn commands_of_filters() -> Vec<Body> {
    vec![
        Body::SetExchangeFilters(exchange_filters()),
        Body::Peer(PeerMessage::Registry(Change::ExchangeFilters(exchange_filters()))),
        Body::ChangeMarket(Box::new(ChangeMarket {
            symbol: SymbolId(2),
            filters: Some(relative()),
            fees: None,
            status: None,
            self_trade: None,
        })),
        Body::Import(Box::new(Piece::Settings(settings()))),
        Body::Import(Box::new(Piece::Beside(Beside::Counted(vec![(HoldId(82), AccountId(1001), counted())])))),
        Body::Import(Box::new(Piece::Beside(Beside::Minutes {
            symbol: SymbolId(2),
            minutes: vec![Minute { minute: 87, lots: 88, worth: 89 }],
        }))),
        Body::SetAccountFees(SetAccountFees { account: AccountId(1001), fees: account_fees() }),
        Body::Peer(PeerMessage::Registry(Change::AccountFees { account: AccountId(1001), fees: account_fees() })),
        Body::Import(Box::new(Piece::Payers(vec![payer()]))),
        Body::SetFeeTiers(Box::new(fee_tiers())),
        Body::Peer(PeerMessage::Registry(Change::FeeTiers(Box::new(fee_tiers())))),
        Body::SetFeeDiscount(Box::new(fee_discount())),
        Body::SetDiscountUse { account: AccountId(1001), on: true },
        Body::Peer(PeerMessage::Registry(Change::FeeDiscount(Box::new(fee_discount())))),
        Body::Peer(PeerMessage::Registry(Change::DiscountUse { account: AccountId(1001), on: false })),
        Body::Peer(PeerMessage::PayFee { account: AccountId(1001), hold: HoldId(97), amount: Amount(98) }),
        instructed(Instructions { discount: Some(order_discount()), ..Instructions::default() }),
        Body::Import(Box::new(Piece::Settings(Settings { fee_discount: Some(fee_discount()), ..settings() }))),
        Body::Import(Box::new(Piece::Payers(vec![Payer { discounted: true, ..payer() }]))),
        Body::Import(Box::new(Piece::Orders(vec![Placed {
            reserve: Some((HoldId(97), fee_reserve())),
            ..moved_order()
        }]))),
        Body::Peer(PeerMessage::CountOrders {
            account: AccountId(1001),
            limit: Some(SymbolId(2)),
            from: (SymbolId(2), OrderId(97)),
        }),
        Body::Peer(PeerMessage::OrdersCounted {
            account: AccountId(1001),
            limit: None,
            holds: vec![(HoldId(82), counted())],
            next: Some((SymbolId(2), OrderId(98))),
        }),
        Body::Operated(Box::new(Operated { note: note(), body: transfer_request() })),
        admitted_list(ListFunding { working_discount: Some(order_discount()), ..list_funding() }),
        admitted_list(ListFunding { discount: Some(order_discount()), ..list_funding() }),
        Body::Import(Box::new(Piece::Lists(vec![PlacedList {
            list: StandingList { reserve: Some(fee_reserve()), ..standing_list() },
            reserve_hold: Some(HoldId(97)),
            ..placed_list()
        }]))),
        Body::SetFrozen { account: AccountId(1001), on: true },
        Body::Peer(PeerMessage::Registry(Change::Frozen { account: AccountId(1001), on: false })),
        Body::Peer(PeerMessage::CancelFrozen { account: AccountId(1001) }),
        Body::Import(Box::new(Piece::Payers(vec![Payer { frozen: true, ..payer() }]))),
    ]
}

fn admitted_list(funding: ListFunding) -> Body {
    let origin = Origin { source: GATEWAY, number: RequestNumber(70) };
    Body::Peer(PeerMessage::AdmitList(Box::new(AdmittedList { list: list(), funding, origin })))
}

fn order_discount() -> OrderDiscount {
    OrderDiscount { asset: AssetId(2), hold: HoldId(97), held: Amount(98), rates: discount_rates() }
}

fn fee_reserve() -> FeeReserve {
    FeeReserve { asset: AssetId(2), held: Amount(98), rates: discount_rates(), credit: DiscountCredit(99) }
}

/// Events of filters that look beyond the order.
pub(super) fn events_of_filters() -> Vec<Event> {
    let refused = |filter| answered(Answer::Refused(Refusal::Filter(filter)));
    vec![
        Event::ExchangeFiltersChanged(exchange_filters()),
        answered(Answer::ExchangeFiltersSet),
        Event::AccountFeesChanged { account: AccountId(1001), fees: account_fees() },
        answered(Answer::FeesSet),
        Event::FeeTiersChanged(Box::new(fee_tiers())),
        Event::FeeTierReached { account: AccountId(1001), fees: Some(fees()) },
        answered(Answer::Refused(Refusal::FeeTiers)),
        refused(Filter::PercentPriceOfBoth),
        refused(Filter::MinNotional),
        refused(Filter::MaxPosition),
        refused(Filter::ExchangeMaxOrders),
        refused(Filter::ExchangeMaxAlgoOrders),
        refused(Filter::ExchangeMaxIcebergOrders),
        refused(Filter::ExchangeMaxOrderLists),
        answered(Answer::Refused(Refusal::Market(market::Error::AverageMinutes))),
        answered(Answer::Refused(Refusal::Market(market::Error::Position))),
        Event::FeeDiscountChanged(Box::new(fee_discount())),
        Event::DiscountUseChanged { account: AccountId(1001), on: true },
        Event::OrderDiscounted {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            asset: AssetId(2),
            held: Amount(98),
            rates: discount_rates(),
        },
        answered(Answer::Refused(Refusal::FeeDiscount)),
        Event::Traded(Trade { discount: Some(Discounted { asset: AssetId(2), taker: true, maker: false }), ..trade() }),
        Event::OperatorActed(Box::new(Acted { note: note(), refused: None })),
        Event::OperatorActed(Box::new(Acted { note: note(), refused: Some(Refusal::UnknownAsset) })),
        Event::FrozenChanged { account: AccountId(1001), on: true },
        answered(Answer::FrozenSet),
        answered(Answer::Refused(Refusal::AccountFrozen)),
    ]
}
