//! Whether an order of the naive exchange could be filled whole, and how much is looked at to see that.

use crossbook_types::{SelfTradePrevention, SymbolId};

use super::{Model, Order, other};

impl Model {
    /// How many price levels and orders are looked at to see whether an order would be filled whole: if it must not
    /// meet its own account's orders, all of these, then the price levels within its limit until there is enough, and
    /// of a level that has an order which would end it, if enough is there, the orders before that.
    pub(super) fn looks(&self, symbol: SymbolId, order: &Order) -> u32 {
        let book = &self.books[symbol.0 as usize];
        let own = |open: &&Order| open.is_of(order.account, order.group);
        // All of its account, and those of its group that rest.
        let of_account = book.orders.iter().filter(|open| open.account == order.account).count();
        let of_group = |open: &&Order| order.group.is_some() && open.group == order.group && !open.waits;
        let mut looks = match order.mode {
            SelfTradePrevention::None => 0,
            _ => (of_account + book.orders.iter().filter(of_group).count()) as u32,
        };
        let mut left = order.lots();
        for price in self.within(symbol, order) {
            let queue = book.queue(other(order.side), price);
            let there: u64 = queue.iter().map(Order::lots).sum();
            let seen: u64 = queue.iter().map(Order::shown).sum();
            let before = match (order.mode, queue.iter().position(|maker| own(&maker))) {
                (
                    SelfTradePrevention::ExpireTaker
                    | SelfTradePrevention::ExpireBoth
                    | SelfTradePrevention::Decrement
                    | SelfTradePrevention::Transfer,
                    Some(before),
                ) => before,
                (mode, _) => {
                    looks += 1;
                    let makes_way = match mode {
                        SelfTradePrevention::ExpireMaker => queue.iter().filter(own).map(Order::lots).sum(),
                        _ => 0,
                    };
                    left = left.saturating_sub(there - makes_way);
                    if left == 0 {
                        break;
                    }
                    continue;
                }
            };
            if seen >= left {
                for maker in &queue[..before] {
                    looks += 1;
                    left = left.saturating_sub(maker.shown());
                    if left == 0 {
                        break;
                    }
                }
            }
            break;
        }
        looks
    }

    /// The prices that an order may trade at, the best first.
    fn within(&self, symbol: SymbolId, order: &Order) -> Vec<u64> {
        let fences = self.fences(symbol, order.side);
        let inside = |price: u64| fences.forbid(order.side, price).is_none();
        let prices = self.books[symbol.0 as usize].prices(other(order.side)).into_iter();
        prices.filter(|&price| order.reaches(price)).take_while(|&price| inside(price)).collect()
    }

    pub(super) fn could_fill(&self, symbol: SymbolId, order: &Order) -> bool {
        let book = &self.books[symbol.0 as usize];
        let mut found = 0;
        for price in self.within(symbol, order) {
            let queue = book.queue(other(order.side), price);
            // Where it meets one of its account, what others hide is behind that.
            let own = |maker: &Order| maker.is_of(order.account, order.group);
            let meets = queue.iter().any(own)
                && !matches!(order.mode, SelfTradePrevention::None | SelfTradePrevention::ExpireMaker);
            for maker in queue {
                if found >= order.lots() {
                    return true;
                }
                match order.mode {
                    _ if !own(&maker) && meets => found += maker.shown(),
                    _ if !own(&maker) => found += maker.lots(),
                    SelfTradePrevention::None => found += maker.lots(),
                    SelfTradePrevention::ExpireMaker => {}
                    SelfTradePrevention::ExpireTaker
                    | SelfTradePrevention::ExpireBoth
                    | SelfTradePrevention::Decrement
                    | SelfTradePrevention::Transfer => return false,
                }
            }
        }
        found >= order.lots()
    }
}
