use super::*;
use proptest::prelude::*;

/// The same book, obviously: a list of orders, sorted when asked.
#[derive(Default)]
struct Naive {
    orders: Vec<(Side, u64, u64, u64, u32)>,
    arrived: u64,
}

impl Naive {
    fn rest(&mut self, side: Side, price: u64, quantity: u64, name: u32) {
        self.arrived += 1;
        self.orders.push((side, price, self.arrived, quantity, name));
    }

    fn sorted(&self, side: Side) -> Vec<(u64, u64, u32)> {
        let mut list: Vec<_> = self.orders.iter().filter(|order| order.0 == side).collect();
        list.sort_by_key(|&&(_, price, arrived, ..)| {
            (if side == Side::Buy { u64::MAX - price } else { price }, arrived)
        });
        list.into_iter().map(|&(_, price, _, quantity, name)| (price, quantity, name)).collect()
    }
}

fn listing(book: &Book<u32>, side: Side) -> Vec<(u64, u64, u32)> {
    book.orders(side).map(|order| (order.price.0, order.quantity.0, *order.data)).collect()
}

#[test]
fn an_order_that_is_reduced_keeps_its_place() {
    let mut book = Book::new();
    let first = book.rest(Side::Buy, Price(10), Quantity(5), 1);
    book.rest(Side::Buy, Price(10), Quantity(5), 2);
    assert_eq!(book.reduce(first, Quantity(4)), None);
    assert_eq!(book.top(Side::Buy).unwrap().data, &1);
    assert_eq!(book.depth_at(Side::Buy, Price(10)), Quantity(6));
    assert_eq!(book.reduce(first, Quantity(1)), Some(1));
    assert_eq!(book.top(Side::Buy).unwrap().data, &2);
}

#[test]
fn the_ladder_grows_with_the_price_and_keeps_what_it_has() {
    let mut book = Book::new();
    for (name, bits) in (0..42).enumerate() {
        book.rest(Side::Sell, Price(1 << bits), Quantity(1), name);
    }
    book.rest(Side::Sell, Price::MAX, Quantity(1), 99);
    let prices: Vec<u64> = book.depth(Side::Sell).map(|(price, _)| price.0).collect();
    let expected: Vec<u64> = (0..42).map(|bits| 1 << bits).chain([Price::MAX.0]).collect();
    assert_eq!(prices, expected);
    assert_eq!(book.best(Side::Sell), Some(Price(1)));
}

#[test]
#[should_panic(expected = "no more is taken than is left")]
fn no_more_can_be_taken_than_is_left() {
    let mut book = Book::new();
    let slot = book.rest(Side::Buy, Price(10), Quantity(5), ());
    book.reduce(slot, Quantity(6));
}

#[test]
#[should_panic(expected = "an order stands at the slot")]
fn a_removed_order_cannot_be_removed_again() {
    let mut book = Book::new();
    let slot = book.rest(Side::Buy, Price(10), Quantity(5), ());
    book.remove(slot);
    book.remove(slot);
}

/// Prices near and far, so that the trie is both dense and high.
fn price() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..200, 4_000u64..4_200, 260_000u64..270_000, 1u64..Price::MAX.0]
}

proptest! {
    #[test]
    fn agrees_with_the_naive_book(
        steps in prop::collection::vec(
            (0u8..4, any::<bool>(), price(), 1u64..50, any::<prop::sample::Index>()),
            1..300,
        ),
    ) {
        let mut book: Book<u32> = Book::new();
        let mut naive = Naive::default();
        let mut slots: Vec<(u32, Slot)> = Vec::new();
        for (name, (kind, buy, price, quantity, pick)) in (0u32..).zip(steps) {
            let side = if buy { Side::Buy } else { Side::Sell };
            match kind {
                0 | 1 => {
                    slots.push((name, book.rest(side, Price(price), Quantity(quantity), name)));
                    naive.rest(side, price, quantity, name);
                }
                2 if !slots.is_empty() => {
                    let (name, slot) = slots.swap_remove(pick.index(slots.len()));
                    prop_assert_eq!(book.remove(slot), name);
                    naive.orders.retain(|order| order.4 != name);
                }
                _ => if let Some(top) = book.top(side) {
                    let (slot, name) = (top.slot, *top.data);
                    let taken = quantity.min(top.quantity.0);
                    let gone = book.reduce(slot, Quantity(taken)).is_some();
                    let order = naive.orders.iter_mut().find(|order| order.4 == name).unwrap();
                    order.3 -= taken;
                    prop_assert_eq!(gone, order.3 == 0);
                    naive.orders.retain(|order| order.3 > 0);
                    if gone { slots.retain(|&(other, _)| other != name); }
                }
            }
            for &(_, slot) in &slots {
                let order = book.get(slot);
                prop_assert_eq!(book.depth_around(slot), book.depth_at(order.side, order.price));
            }
            for side in [Side::Buy, Side::Sell] {
                let expected = naive.sorted(side);
                prop_assert_eq!(book.best(side).map(|price| price.0), expected.first().map(|order| order.0));
                prop_assert_eq!(book.top(side).map(|top| *top.data), expected.first().map(|order| order.2));
                prop_assert_eq!(listing(&book, side), expected);
            }
            prop_assert_eq!(book.len(), naive.orders.len());
        }
        for side in [Side::Buy, Side::Sell] {
            let levels: Vec<_> = book.depth(side).collect();
            for from in levels.iter().map(|&(price, _)| price.0).chain([0, 130, 4_100, 265_000, Price::MAX.0]) {
                let behind = |price: Price| if side == Side::Buy { price.0 <= from } else { price.0 >= from };
                let expected: Vec<_> = levels.iter().copied().filter(|&(price, _)| behind(price)).collect();
                prop_assert_eq!(book.depth_from(side, Price(from)).collect::<Vec<_>>(), expected);
            }
            for (price, total) in book.depth(side) {
                let at_price = naive.orders.iter().filter(|order| order.0 == side && order.1 == price.0);
                let sum: u64 = at_price.map(|order| order.3).sum();
                prop_assert_eq!(total.0, sum);
                prop_assert_eq!(book.depth_at(side, price), total);
            }
        }
    }
}
