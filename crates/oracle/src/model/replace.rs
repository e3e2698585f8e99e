//! Orders of the naive exchange that are replaced: one is cancelled, then another placed.

use crossbook_protocol::event::Half;
use crossbook_protocol::order::ReplaceOrder;
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{CancelRestriction, OrderId, Side};

use super::Model;

impl Model {
    pub(super) fn replace(&mut self, request: &ReplaceOrder) -> Result<Answer, Refusal> {
        let mut request = request.clone();
        request.order = self.in_group(&request.order);
        let order = &request.order;
        let symbol = order.terms.symbol;
        if symbol.0 as usize >= self.books.len() {
            return Err(Refusal::UnknownSymbol);
        }
        self.count_open(order.account, symbol, order.terms.side == Side::Buy);
        self.check_form(order)?;
        self.check_account(order)?;
        if !self.accounts.contains(&order.account) {
            return Err(Refusal::UnknownAccount);
        }
        // What the new order pays is looked at first.
        let pays = self.books[symbol.0 as usize].pays(order.terms.side);
        self.post(order.account, pays, 0, 0);
        self.rate(order.account);
        let most = self.worst_cost(order).0;
        let paid = most.min(self.free(order.account, pays));
        self.discount.replacing = self.reserve_for(order, paid, most, true);
        self.discount.replaced = 0;
        let (canceled, placed) = self.halves(&request, most - paid);
        Ok(Answer::Replaced { symbol, canceled, placed })
    }

    /// Both halves of a replacement whose new order lacks so much of what it pays.
    fn halves(&mut self, request: &ReplaceOrder, lacks: i128) -> (Half, Half) {
        let order = &request.order;
        self.pass_time(order.terms.symbol);
        if let Err(refusal) = self.check_limits(order, false) {
            return (Half::Refused(refusal), Half::Refused(refusal));
        }
        let canceled = match self.cancel_first(request, lacks) {
            Ok(id) => Half::Done(OrderId(id)),
            Err(refusal) => Half::Refused(refusal),
        };
        if matches!(canceled, Half::Refused(_)) && !request.allow_failure {
            return (canceled, Half::NotTried);
        }
        let placed = match self.place_as(order, false) {
            Ok(Answer::Placed { order, .. }) => Half::Done(order),
            Ok(answer) => panic!("a placed order is answered {answer:?}"),
            Err(refusal) => Half::Refused(refusal),
        };
        (canceled, placed)
    }

    fn cancel_first(&mut self, request: &ReplaceOrder, lacks: i128) -> Result<u64, Refusal> {
        let symbol = request.order.terms.symbol;
        let order = self.meant(request.order.account, symbol, request.target).ok_or(Refusal::UnknownOrder)?;
        let (id, new) = (order.id, !order.traded);
        match request.restriction {
            Some(CancelRestriction::OnlyNew) if !new => return Err(Refusal::CancelRestricted),
            Some(CancelRestriction::OnlyPartiallyFilled) if new => return Err(Refusal::CancelRestricted),
            _ => {}
        }
        let order = order.clone();
        self.leave_reserve(&request.order, &order, lacks);
        self.cancel_one(symbol, id, request.cancel_id);
        self.forget_reached(symbol);
        Ok(id)
    }
}
