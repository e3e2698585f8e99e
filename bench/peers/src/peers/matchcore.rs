//! matchcore: maps of prices and slabs. It gives orders ids of its own: the number of the command that brought them.

use crossbook_oracle::workload::{self, Op, Tally};
use crossbook_types::Side;
use matchcore::{
    CancelCmd, Command, CommandKind, CommandMeta, CommandOutcome, CommandReport, LimitOrder, MarketOrder, NewOrder,
    OrderBook, OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy, SequenceNumber, SubmitCmd, TimeInForce,
    Timestamp,
};

use crate::engine::Engine;

/// The book.
pub struct Matchcore {
    book: OrderBook,
    number: u64,
    /// By our id, theirs, and the other way round.
    theirs: Vec<u64>,
    ours: Vec<u32>,
}

impl Matchcore {
    /// An empty book for a workload of so many commands.
    pub fn new(commands: usize) -> Self {
        let (theirs, ours) = (vec![0; commands + 1], vec![0; commands + 1]);
        Self { book: OrderBook::new("BTCUSDT"), number: 0, theirs, ours }
    }
}

impl Engine for Matchcore {
    #[inline]
    fn apply(&mut self, _: usize, command: &workload::Command, tally: &mut Tally) {
        let number = self.number;
        self.number += 1;
        let (side, quantity) = (
            match command.side {
                Side::Buy => matchcore::Side::Buy,
                Side::Sell => matchcore::Side::Sell,
            },
            Quantity(command.qty.into()),
        );
        let order = match command.op {
            Op::Cancel => {
                let order_id = OrderId(self.theirs[command.id as usize]);
                let cancel = CancelCmd { order_id, order_kind: OrderKind::Limit };
                self.execute(number, CommandKind::Cancel(cancel));
                return;
            }
            Op::Ioc => NewOrder::Market(MarketOrder::new(quantity, side, false)),
            Op::Limit | Op::Move => NewOrder::Limit(LimitOrder::new(
                Price(command.price.into()),
                QuantityPolicy::Standard { quantity },
                OrderFlags::new(side, false, TimeInForce::Gtc),
            )),
        };
        let outcome = self.execute(number, CommandKind::Submit(SubmitCmd { order }));
        let CommandOutcome::Applied(CommandReport::Submit(effects)) = outcome else { return };
        let target = effects.target_order();
        let theirs = target.order_id().0;
        self.theirs[command.id as usize] = theirs;
        self.ours[theirs as usize] = command.id;
        for trade in target.match_result().map_or(&[][..], |result| result.trades()) {
            let maker = self.ours[trade.maker_order_id().0 as usize];
            tally.trade(command.id, maker, trade.price().0 as u32, trade.quantity().0 as u32);
        }
    }
}

impl Matchcore {
    #[inline]
    fn execute(&mut self, number: u64, kind: CommandKind) -> CommandOutcome {
        let meta = CommandMeta { sequence_number: SequenceNumber(number), timestamp: Timestamp(number) };
        self.book.execute(&Command { meta, kind })
    }
}
