//! A naive order book. Each side is a vector of price levels sorted by price, each level a queue in order of arrival,
//! and a map finds an order. It is simple enough to be obviously right, so where a faster book disagrees, the faster
//! book is wrong.
//!
//! It knows limit orders, immediate-or-cancel orders at any price, cancels and moves. It does not check who owns an
//! order, and misuse of its interface panics.

use std::collections::{HashMap, VecDeque};

use crossbook_types::{OrderId, Price, Quantity, Side};

/// One trade between an arriving order and a resting one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// The arriving order.
    pub taker: OrderId,
    /// The order that rested.
    pub maker: OrderId,
    /// The maker's price.
    pub price: Price,
    /// What changed hands.
    pub quantity: Quantity,
    /// What the maker still offers; zero when it has left the book.
    pub maker_left: Quantity,
}

/// A resting order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resting {
    /// Id of the order.
    pub id: OrderId,
    /// Side of the order.
    pub side: Side,
    /// Limit price of the order.
    pub price: Price,
    /// What is left of it.
    pub quantity: Quantity,
}

/// One price on one side, as a depth listing shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// Price of the level.
    pub price: Price,
    /// What is left of all orders at this price.
    pub quantity: Quantity,
    /// How many orders these are.
    pub orders: usize,
}

/// The orders at one price, first come first.
#[derive(Clone, Debug)]
struct Queue {
    price: Price,
    orders: VecDeque<(OrderId, Quantity)>,
}

/// The price levels of one side, the worst first and the best last: the end of a vector is where changes are cheap.
#[derive(Clone, Debug)]
struct Half {
    side: Side,
    queues: Vec<Queue>,
}

impl Half {
    fn new(side: Side) -> Self {
        Self { side, queues: Vec::new() }
    }

    /// The index of the level at `price`, or where it belongs.
    fn find(&self, price: Price) -> Result<usize, usize> {
        self.queues.binary_search_by(|queue| match self.side {
            Side::Buy => queue.price.cmp(&price),
            Side::Sell => price.cmp(&queue.price),
        })
    }

    fn best(&self) -> Option<Price> {
        self.queues.last().map(|queue| queue.price)
    }

    fn push(&mut self, price: Price, id: OrderId, quantity: Quantity) {
        let index = self.find(price).unwrap_or_else(|index| {
            self.queues.insert(index, Queue { price, orders: VecDeque::new() });
            index
        });
        self.queues[index].orders.push_back((id, quantity));
    }

    /// The indices of the level and of the order in its queue.
    fn locate(&self, price: Price, id: OrderId) -> (usize, usize) {
        let level = self.find(price).expect("a resting order has a level");
        let place = self.queues[level].orders.iter().position(|order| order.0 == id);
        (level, place.expect("a resting order is in its queue"))
    }

    fn remove(&mut self, price: Price, id: OrderId) -> Quantity {
        let (level, place) = self.locate(price, id);
        let removed = self.queues[level].orders.remove(place).expect("it was just found");
        if self.queues[level].orders.is_empty() {
            self.queues.remove(level);
        }
        removed.1
    }
}

/// The book of one market.
#[derive(Clone, Debug)]
pub struct Book {
    bids: Half,
    asks: Half,
    /// Only ever looked up, never walked: its order is not the same from run to run.
    places: HashMap<OrderId, (Side, Price)>,
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self { bids: Half::new(Side::Buy), asks: Half::new(Side::Sell), places: HashMap::new() }
    }

    /// Trades a limit order against the other side as far as its price allows, then rests what is left, and returns
    /// that.
    ///
    /// # Panics
    /// When `quantity` is zero or an order with this id rests already.
    pub fn limit(
        &mut self,
        id: OrderId,
        side: Side,
        price: Price,
        quantity: Quantity,
        on_fill: &mut impl FnMut(Fill),
    ) -> Quantity {
        self.assert_acceptable(id, quantity);
        let left = self.take(id, side, Some(price), quantity, on_fill);
        if !left.is_zero() {
            self.half_mut(side).push(price, id, left);
            self.places.insert(id, (side, price));
        }
        left
    }

    /// Trades an order against the other side at whatever price there is, and returns what found no match, which does
    /// not rest.
    ///
    /// # Panics
    /// When `quantity` is zero or an order with this id rests already.
    pub fn ioc(&mut self, id: OrderId, side: Side, quantity: Quantity, on_fill: &mut impl FnMut(Fill)) -> Quantity {
        self.assert_acceptable(id, quantity);
        self.take(id, side, None, quantity, on_fill)
    }

    /// Takes an order out and returns it as it was, or `None` when it does not rest here.
    pub fn cancel(&mut self, id: OrderId) -> Option<Resting> {
        let (side, price) = self.places.remove(&id)?;
        let quantity = self.half_mut(side).remove(price, id);
        Some(Resting { id, side, price, quantity })
    }

    /// Gives an order a new price and the last place in the queue there. Where the new price crosses, it trades first,
    /// as a taker. Returns what rests afterwards, or `None` when the order does not rest here.
    pub fn move_to(&mut self, id: OrderId, price: Price, on_fill: &mut impl FnMut(Fill)) -> Option<Quantity> {
        let order = self.cancel(id)?;
        Some(self.limit(id, order.side, price, order.quantity, on_fill))
    }

    /// The highest bid or the lowest ask.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Price> {
        self.half(side).best()
    }

    /// A resting order.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<Resting> {
        let &(side, price) = self.places.get(&id)?;
        let half = self.half(side);
        let (level, place) = half.locate(price, id);
        Some(Resting { id, side, price, quantity: half.queues[level].orders[place].1 })
    }

    /// Whether an order rests.
    #[must_use]
    pub fn contains(&self, id: OrderId) -> bool {
        self.places.contains_key(&id)
    }

    /// How many orders rest.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no order rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The price levels of one side, the best first.
    pub fn depth(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.half(side).queues.iter().rev().map(|queue| Level {
            price: queue.price,
            quantity: queue.orders.iter().fold(Quantity::ZERO, |sum, order| sum.plus(order.1)),
            orders: queue.orders.len(),
        })
    }

    /// The orders of one side in the order in which they would trade.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = Resting> + '_ {
        self.half(side).queues.iter().rev().flat_map(move |queue| {
            queue.orders.iter().map(move |&(id, quantity)| Resting { id, side, price: queue.price, quantity })
        })
    }

    fn assert_acceptable(&self, id: OrderId, quantity: Quantity) {
        assert!(!quantity.is_zero(), "order {id:?} has no quantity");
        assert!(!self.places.contains_key(&id), "order {id:?} rests already");
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Trades with the best of the other side, the oldest first, until the order is done or the price is too bad.
    fn take(
        &mut self,
        taker: OrderId,
        side: Side,
        limit: Option<Price>,
        quantity: Quantity,
        on_fill: &mut impl FnMut(Fill),
    ) -> Quantity {
        let mut left = quantity;
        while !left.is_zero() {
            let makers = self.half_mut(side.opposite());
            let Some(queue) = makers.queues.last_mut() else { break };
            let acceptable = match (limit, side) {
                (None, _) => true,
                (Some(limit), Side::Buy) => queue.price <= limit,
                (Some(limit), Side::Sell) => queue.price >= limit,
            };
            if !acceptable {
                break;
            }
            let price = queue.price;
            let (maker, offered) = queue.orders.front_mut().expect("a level has orders");
            let maker = *maker;
            let traded = left.min(*offered);
            *offered = offered.minus(traded);
            let maker_left = *offered;
            left = left.minus(traded);
            if maker_left.is_zero() {
                queue.orders.pop_front();
                if queue.orders.is_empty() {
                    makers.queues.pop();
                }
                self.places.remove(&maker);
            }
            on_fill(Fill { taker, maker, price, quantity: traded, maker_left });
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(fill: Fill) {
        panic!("unexpected {fill:?}");
    }

    fn book(orders: &[(u64, Side, u64, u64)]) -> Book {
        let mut book = Book::new();
        for &(id, side, price, quantity) in orders {
            book.limit(OrderId(id), side, Price(price), Quantity(quantity), &mut none);
        }
        book
    }

    fn fill(taker: u64, maker: u64, price: u64, quantity: u64, maker_left: u64) -> Fill {
        Fill {
            taker: OrderId(taker),
            maker: OrderId(maker),
            price: Price(price),
            quantity: Quantity(quantity),
            maker_left: Quantity(maker_left),
        }
    }

    fn priority(book: &Book, side: Side) -> Vec<(u64, u64, u64)> {
        book.orders(side).map(|order| (order.price.0, order.id.0, order.quantity.0)).collect()
    }

    #[test]
    fn better_prices_trade_first_and_older_orders_first_at_one_price() {
        let mut book = book(&[(1, Side::Sell, 101, 5), (2, Side::Sell, 100, 3), (3, Side::Sell, 100, 4)]);
        let mut fills = Vec::new();
        let left = book.limit(OrderId(4), Side::Buy, Price(101), Quantity(8), &mut |fill| fills.push(fill));
        assert_eq!(left, Quantity::ZERO);
        assert_eq!(fills, [fill(4, 2, 100, 3, 0), fill(4, 3, 100, 4, 0), fill(4, 1, 101, 1, 4)]);
        assert_eq!(priority(&book, Side::Sell), [(101, 1, 4)]);
        assert_eq!(book.best(Side::Buy), None);
        assert_eq!(book.len(), 1);
    }

    #[test]
    fn a_limit_stops_at_its_price_and_rests_there() {
        let mut book = book(&[(1, Side::Buy, 100, 2), (2, Side::Buy, 99, 2)]);
        let mut fills = Vec::new();
        let left = book.limit(OrderId(3), Side::Sell, Price(100), Quantity(5), &mut |fill| fills.push(fill));
        assert_eq!(left, Quantity(3));
        assert_eq!(fills, [fill(3, 1, 100, 2, 0)]);
        assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (Some(Price(99)), Some(Price(100))));
    }

    #[test]
    fn an_ioc_takes_any_price_and_never_rests() {
        let mut book = book(&[(1, Side::Buy, 100, 2), (2, Side::Buy, 1, 2)]);
        let mut fills = Vec::new();
        let left = book.ioc(OrderId(3), Side::Sell, Quantity(5), &mut |fill| fills.push(fill));
        assert_eq!(left, Quantity(1));
        assert_eq!(fills, [fill(3, 1, 100, 2, 0), fill(3, 2, 1, 2, 0)]);
        assert!(book.is_empty());
    }

    #[test]
    fn a_cancelled_order_is_gone_and_can_be_cancelled_once() {
        let mut book = book(&[(1, Side::Buy, 100, 2), (2, Side::Buy, 100, 3)]);
        let order = Resting { id: OrderId(1), side: Side::Buy, price: Price(100), quantity: Quantity(2) };
        assert_eq!(book.order(OrderId(1)), Some(order));
        assert_eq!(book.cancel(OrderId(1)), Some(order));
        assert_eq!(book.cancel(OrderId(1)), None);
        assert_eq!(book.order(OrderId(1)), None);
        let depth: Vec<_> = book.depth(Side::Buy).collect();
        assert_eq!(depth, [Level { price: Price(100), quantity: Quantity(3), orders: 1 }]);
    }

    #[test]
    fn a_moved_order_is_last_in_its_queue_even_at_its_own_price() {
        let mut book = book(&[(1, Side::Buy, 100, 2), (2, Side::Buy, 100, 3), (3, Side::Buy, 98, 1)]);
        assert_eq!(book.move_to(OrderId(1), Price(100), &mut none), Some(Quantity(2)));
        assert_eq!(book.move_to(OrderId(3), Price(100), &mut none), Some(Quantity(1)));
        assert_eq!(priority(&book, Side::Buy), [(100, 2, 3), (100, 1, 2), (100, 3, 1)]);
        assert_eq!(book.move_to(OrderId(9), Price(100), &mut none), None);
    }

    #[test]
    fn a_move_across_the_book_trades_as_a_taker_and_rests_the_rest() {
        let mut book = book(&[(1, Side::Buy, 100, 5), (2, Side::Sell, 102, 3)]);
        let mut fills = Vec::new();
        let left = book.move_to(OrderId(1), Price(103), &mut |fill| fills.push(fill));
        assert_eq!(left, Some(Quantity(2)));
        assert_eq!(fills, [fill(1, 2, 102, 3, 0)]);
        assert_eq!(priority(&book, Side::Buy), [(103, 1, 2)]);
        assert_eq!(book.best(Side::Sell), None);
    }

    #[test]
    fn depth_lists_the_best_first_on_both_sides() {
        let book = book(&[
            (1, Side::Buy, 98, 5),
            (2, Side::Buy, 99, 3),
            (3, Side::Buy, 98, 1),
            (4, Side::Sell, 101, 1),
            (5, Side::Sell, 100, 2),
        ]);
        let depth = |side| -> Vec<_> { book.depth(side).map(|l| (l.price.0, l.quantity.0, l.orders)).collect() };
        assert_eq!(depth(Side::Buy), [(99, 3, 1), (98, 6, 2)]);
        assert_eq!(depth(Side::Sell), [(100, 2, 1), (101, 1, 1)]);
    }

    #[test]
    #[should_panic(expected = "rests already")]
    fn an_id_rests_once() {
        let mut book = book(&[(1, Side::Buy, 98, 5)]);
        book.limit(OrderId(1), Side::Buy, Price(97), Quantity(1), &mut none);
    }
}
