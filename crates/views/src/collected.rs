//! The fees that a market has collected on the day of its last trade, by UTC. Earlier days are in the history.

use crossbook_protocol::event::Trade;
use crossbook_protocol::volume::day_of;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{Amount, AssetId, Timestamp};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    day: u32,
    /// At most three: the two assets of the market, and the one in which fees are less.
    fees: Vec<(AssetId, Amount)>,
}

impl Collected {
    /// The day, since the Unix epoch.
    #[must_use]
    pub fn day(&self) -> u32 {
        self.day
    }

    /// By asset, in the order in which they were first collected.
    #[must_use]
    pub fn fees(&self) -> &[(AssetId, Amount)] {
        &self.fees
    }

    /// Counts what both sides of a trade paid, in the assets that they received unless the trade says otherwise.
    pub(crate) fn record(&mut self, trade: &Trade, [taker, maker]: [AssetId; 2], time: Timestamp) {
        let day = day_of(time);
        if day != self.day {
            self.day = day;
            self.fees.clear();
        }
        self.add(trade.other_fee_asset(true).unwrap_or(taker), trade.taker.fee);
        self.add(trade.other_fee_asset(false).unwrap_or(maker), trade.maker.fee);
    }

    fn add(&mut self, asset: AssetId, fee: Amount) {
        if fee.is_zero() {
            return;
        }
        match self.fees.iter_mut().find(|(known, _)| *known == asset) {
            Some((_, sum)) => *sum = sum.plus(fee),
            None => self.fees.push((asset, fee)),
        }
    }
}

wire_struct! {
    plain Collected { 0: day, 1: fees }
}

#[cfg(test)]
mod tests {
    use crossbook_protocol::event::{Discounted, Party};
    use crossbook_types::{AccountId, OrderId, Price, Quantity, Side, SymbolId, TradeId};

    use super::*;

    const NOON: u64 = 43_200_000_000;

    fn trade(fees: [i128; 2], discount: Option<Discounted>) -> Trade {
        let party = |fee| Party { order: OrderId(1), account: AccountId(1_001), fee: Amount(fee) };
        Trade {
            symbol: SymbolId(0),
            trade: TradeId(1),
            price: Price(1),
            quantity: Quantity(1),
            quote: Amount(1),
            taker_side: Side::Buy,
            taker: party(fees[0]),
            maker: party(fees[1]),
            discount,
        }
    }

    #[test]
    fn fees_are_summed_by_asset_and_begin_anew_each_day() {
        let mut collected = Collected::default();
        let received = [AssetId(0), AssetId(1)];
        collected.record(&trade([3, 5], None), received, Timestamp(NOON));
        collected.record(&trade([4, 0], None), received, Timestamp(2 * NOON - 1));
        assert_eq!((collected.day(), collected.fees()), (0, &[(AssetId(0), Amount(7)), (AssetId(1), Amount(5))][..]));
        let discount = Discounted { asset: AssetId(9), taker: false, maker: true };
        collected.record(&trade([1, 2], Some(discount)), received, Timestamp(2 * NOON));
        assert_eq!((collected.day(), collected.fees()), (1, &[(AssetId(0), Amount(1)), (AssetId(9), Amount(2))][..]));
    }
}
