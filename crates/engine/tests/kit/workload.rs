//! The standard workload as commands of a partition: its ids become several hundred accounts' orders, a move becomes a
//! cancel and a new order.

use std::io::Write as _;

use crossbook_engine::command::{Body, CancelOrder, NewOrder, OpenAccount, Size, Target, TransferRequest};
use crossbook_engine::{Answer, Command, Event, Events, Partition, Routing};
use crossbook_loadtest::workload::{self, Op, Tally};
use crossbook_types::{
    AccountId, Amount, AssetId, ClientOrderId, OrderId, OrderType, PartitionId, Price, Quantity, RequestNumber,
    SelfTradePrevention, TimeInForce, Timestamp, TransferId,
};

use super::{BTCUSDT, GATEWAY, fees, listings, name, open_filters};

/// How many accounts share the work.
pub const ACCOUNTS: u64 = 400;

/// A partition that is fed a workload.
pub struct Feed {
    pub partition: Partition,
    number: u64,
    placed: u64,
    cancel_id: ClientOrderId,
    /// By the workload's id, the number of the order that now stands for it.
    order_of: Vec<u64>,
    /// By the order's number, the workload's id.
    id_of: Vec<u32>,
}

impl Feed {
    /// A venue with funded accounts, fees of 0.1 %, and room for a workload.
    pub fn new(workload: &workload::Workload) -> Self {
        let size = workload.commands.len() + 1;
        let mut feed = Self {
            partition: Partition::new(PartitionId(0), Routing::single(), 5),
            number: 0,
            placed: 0,
            cancel_id: name("cancel"),
            order_of: vec![0; size],
            id_of: vec![0; size],
        };
        let mut bodies = listings(open_filters(), fees("0.001", "0.001"));
        bodies.extend((0..ACCOUNTS).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
        for account in (0..ACCOUNTS).map(account_of) {
            for asset in [AssetId(0), AssetId(1)] {
                let transfer = TransferId::new_checked(if asset.0 == 0 { "base" } else { "quote" }).unwrap();
                bodies.push(Body::Transfer(TransferRequest { account, asset, amount: Amount(1 << 70), transfer }));
            }
        }
        let mut events = Events::new();
        for body in bodies {
            let command = feed.command(body);
            feed.partition.apply(&command, &mut events);
        }
        let refused = |event: &Event| matches!(event, Event::Answered { answer: Answer::Refused(_), .. });
        assert!(!events.all().iter().any(refused));
        feed
    }

    fn command(&mut self, body: Body) -> Command {
        self.number += 1;
        let number = RequestNumber(self.number);
        let sequence = crossbook_types::Sequence(self.number);
        Command { sequence, time: Timestamp(self.number), source: GATEWAY, number, body }
    }

    /// Adds the commands that a command of the workload means.
    pub fn translate(&mut self, command: &workload::Command, out: &mut Vec<Command>) {
        if matches!(command.op, Op::Cancel | Op::Move) {
            let order = OrderId(self.order_of[command.id as usize]);
            let body = Body::Cancel(CancelOrder {
                account: account_of(u64::from(command.id)),
                symbol: BTCUSDT,
                target: Target::Order(order),
                cancel_id: self.cancel_id,
                restriction: None,
            });
            let command = self.command(body);
            out.push(command);
        }
        if command.op != Op::Cancel {
            self.placed += 1;
            self.order_of[command.id as usize] = self.placed;
            self.id_of[self.placed as usize] = command.id;
            let body = Body::Place(order(command));
            let command = self.command(body);
            out.push(command);
        }
    }

    /// Adds the trades to a tally. Every command must have been accepted.
    pub fn tally(&self, events: &Events, tally: &mut Tally) {
        for event in events.all() {
            match event {
                Event::Traded(trade) => {
                    let id = |order: OrderId| self.id_of[usize::try_from(order.0).unwrap()];
                    let narrow = |number: u64| u32::try_from(number).unwrap();
                    let (price, quantity) = (narrow(trade.price.0), narrow(trade.quantity.0));
                    tally.trade(id(trade.taker.order), id(trade.maker.order), price, quantity);
                }
                Event::Answered { answer: Answer::Refused(refusal), .. } => panic!("refused: {refusal}"),
                _ => {}
            }
        }
    }
}

fn account_of(id: u64) -> AccountId {
    AccountId(AccountId::FIRST_CLIENT.0 + id % ACCOUNTS)
}

fn order(command: &workload::Command) -> NewOrder {
    let mut text = [0u8; 16];
    let mut rest = &mut text[..];
    write!(rest, "w{}", command.id).unwrap();
    let length = 16 - rest.len();
    let client_order_id = ClientOrderId::new_checked(std::str::from_utf8(&text[..length]).unwrap()).unwrap();
    // An order at any price is a market order or, every other one, a limit order that no price is beyond.
    let at_market = command.op == Op::Ioc && command.id.is_multiple_of(2);
    NewOrder {
        account: account_of(u64::from(command.id)),
        symbol: BTCUSDT,
        client_order_id,
        side: command.side,
        order_type: if at_market { OrderType::Market } else { OrderType::Limit },
        time_in_force: if command.op == Op::Ioc && !at_market { TimeInForce::Ioc } else { TimeInForce::Gtc },
        price: (!at_market).then_some(Price(command.price.into())),
        size: Size::Base(Quantity(command.qty.into())),
        stop_price: None,
        self_trade_prevention: SelfTradePrevention::None,
    }
}
