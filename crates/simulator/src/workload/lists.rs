//! Order lists that clients ask for: mostly well formed, with prices near each other, so that their orders run.

use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_protocol::order_list::{CancelList, ListTarget, NewList};
use crossbook_types::{
    AccountId, ClientOrderId, ListKind, OrderListId, OrderType, Price, Quantity, SelfTradePrevention, Side, SymbolId,
    TimeInForce,
};

use super::{Workload, client_name, instructions, symbol};
use crate::dice::Dice;

/// A list that a client knows of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnList {
    /// Market of the list.
    pub symbol: SymbolId,
    /// Its number.
    pub list: OrderListId,
    /// The client's name for it.
    pub name: ClientOrderId,
}

/// What the orders of a list have in common.
struct Shape {
    symbol: SymbolId,
    quantity: Quantity,
    self_trade_prevention: SelfTradePrevention,
}

impl Workload {
    /// A new list.
    pub(super) fn list(&mut self, account: AccountId, dice: &mut Dice) -> NewList {
        let kind = dice.pick(ListKind::ALL);
        let symbol = symbol(dice);
        let shape = Shape {
            symbol,
            quantity: Quantity(dice.between(1, 9)),
            self_trade_prevention: dice.pick(SelfTradePrevention::ALL),
        };
        let side = dice.pick(&[Side::Buy, Side::Sell]);
        let (working_side, others_side) = match (kind.pays_on(), dice.one_in(60)) {
            (true, false) => (Side::Buy, Side::Sell),
            _ => (side, if kind.has_working_order() && dice.one_in(2) { side.opposite() } else { side }),
        };
        let middle = dice.between(96, 103);
        let mut orders = Vec::new();
        if kind.has_working_order() {
            let order_type = if dice.one_in(5) { OrderType::LimitMaker } else { OrderType::Limit };
            let limit = middle + dice.below(5) - 2;
            orders.push(self.leg(&shape, working_side, order_type, [limit, 0], dice));
        }
        if kind.has_pair() {
            orders.extend(self.pair(&shape, others_side, middle, dice));
        } else {
            let order_type = dice.pick(OrderType::ALL);
            let prices = [middle + dice.below(7) - 3, middle + dice.below(7) - 3];
            orders.push(self.leg(&shape, others_side, order_type, prices, dice));
        }
        if kind.pays_on() && !dice.one_in(60) {
            orders[1..].iter_mut().for_each(|order| order.size = Size::Base(Quantity(0)));
        }
        if dice.one_in(80) {
            orders.pop();
        }
        NewList { account, symbol, client_order_id: self.name(dice), kind, orders }
    }

    /// A stop-loss order and the other one of a pair, now and then on the wrong sides.
    fn pair(&mut self, shape: &Shape, side: Side, middle: u64, dice: &mut Dice) -> [OrderTerms; 2] {
        let stop_type = dice.pick(&[OrderType::StopLoss, OrderType::StopLossLimit]);
        let other_type = dice.pick(&[OrderType::LimitMaker, OrderType::TakeProfit, OrderType::TakeProfitLimit]);
        let (low, high) = (middle - dice.between(1, 3), middle + dice.between(1, 3));
        let (stop, other) = if (side == Side::Sell) != dice.one_in(40) { (low, high) } else { (high, low) };
        let around = |price: u64, dice: &mut Dice| price + dice.below(3) - 1;
        let stop = self.leg(shape, side, stop_type, [around(stop, dice), stop], dice);
        let limit = if other_type == OrderType::LimitMaker { other } else { around(other, dice) };
        [stop, self.leg(shape, side, other_type, [limit, other], dice)]
    }

    fn leg(
        &mut self,
        shape: &Shape,
        side: Side,
        order_type: OrderType,
        [limit, stop]: [u64; 2],
        dice: &mut Dice,
    ) -> OrderTerms {
        let &Shape { symbol, quantity, self_trade_prevention } = shape;
        let timed = order_type.has_limit_price() && order_type != OrderType::LimitMaker;
        let time_in_force = match dice.below(8) {
            0 if timed => TimeInForce::Ioc,
            1 if timed => TimeInForce::Fok,
            _ => TimeInForce::Gtc,
        };
        let asked = instructions(order_type, time_in_force, dice);
        // These need not name one.
        let names_limit = order_type.has_limit_price() && (asked.peg.is_none() || dice.one_in(4));
        let names_stop = order_type.is_conditional() && (asked.trailing.is_none() || dice.one_in(2));
        OrderTerms {
            symbol,
            client_order_id: self.name(dice),
            side,
            order_type,
            time_in_force,
            price: names_limit.then_some(Price(limit)),
            size: Size::Base(quantity),
            stop_price: names_stop.then_some(Price(stop)).into(),
            self_trade_prevention,
            instructions: asked.boxed(),
        }
    }
}

/// A list of a client, mostly one that it knows.
pub(super) fn cancel_list(account: AccountId, lists: &[OwnList], dice: &mut Dice) -> CancelList {
    let symbol = symbol(dice);
    let nothing = OwnList { symbol, list: OrderListId(dice.below(1 << 20)), name: client_name("nothing") };
    let own = if lists.is_empty() || dice.one_in(10) { nothing } else { dice.pick(lists) };
    let target = match dice.below(4) {
        0 => ListTarget::List(own.list),
        1 => ListTarget::Client(own.name),
        2 => ListTarget::Both(own.list, own.name),
        _ => ListTarget::Both(own.list, nothing.name),
    };
    CancelList { account, symbol: own.symbol, target, cancel_id: client_name("list") }
}
