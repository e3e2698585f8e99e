//! The standard workload as commands of a venue: its ids become the orders of several hundred accounts, a move becomes
//! a cancel and a new order.

mod partition;

use std::io::Write as _;

use crossbook_protocol::command::{Body, ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::order::{CancelOrder, NewOrder, OrderTerms, Size, Target};
use crossbook_protocol::{Answer, Event, Events, Refusal};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, AssetName, ClientOrderId, FeeRate, Fees, OptionalPrice, OrderId, OrderType,
    Price, Quantity, SelfTradePrevention, Side, SymbolId, TimeInForce, TransferId, market,
};

use crate::sample::{btcusdt, decimal};
use crate::workload::{self, IOC_BUY_PRICE, IOC_SELL_PRICE, Op, Tally, Workload};

pub use partition::FedPartition;

/// How many accounts share the work.
pub const ACCOUNTS: u64 = 400;
/// The market of a workload: tick 0.01, lot 0.00001.
pub const SYMBOL: SymbolId = SymbolId(0);

/// Turns a workload's commands into those of a venue that knows nothing else.
#[derive(Debug)]
pub struct Feed {
    placed: u64,
    cancel_id: ClientOrderId,
    /// By the workload's id, the number of the order that now stands for it.
    order_of: Vec<u64>,
    /// By the order's number, the workload's id.
    id_of: Vec<u32>,
}

impl Feed {
    /// A feed of that workload, with room for all of it.
    ///
    /// # Panics
    /// Never: the one name in it is a valid one.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        let size = workload.commands.len() + 1;
        Self { placed: 0, cancel_id: name("cancel"), order_of: vec![0; size], id_of: vec![0; size] }
    }

    /// What comes first: two assets, a market with fees of 0.1 %, and funded accounts.
    ///
    /// # Panics
    /// Never: what is listed is valid.
    #[must_use]
    pub fn opening() -> Vec<Body> {
        let assets = [(0, "BTC"), (1, "USDT")].map(|(id, name)| {
            let name = AssetName::new_checked(name).expect("a valid name");
            Asset { id: AssetId(id), name, decimals: 8 }
        });
        let mut bodies: Vec<_> =
            assets.iter().map(|asset| Body::ListAsset(ListAsset { name: asset.name, decimals: 8 })).collect();
        bodies.push(Body::ListMarket(Box::new(ListMarket { description: description(assets) })));
        bodies.extend((0..ACCOUNTS).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
        for account in (0..ACCOUNTS).map(account_of) {
            for (asset, transfer) in [(AssetId(0), "base"), (AssetId(1), "quote")] {
                let transfer = TransferId::new_checked(transfer).expect("a valid name");
                bodies.push(Body::Transfer(TransferRequest { account, asset, amount: Amount(1 << 70), transfer }));
            }
        }
        bodies
    }

    /// Adds what a command of the workload asks.
    pub fn translate(&mut self, command: &workload::Command, out: &mut Vec<Body>) {
        if matches!(command.op, Op::Cancel | Op::Move) {
            let order = OrderId(self.order_of[command.id as usize]);
            out.push(Body::Cancel(CancelOrder {
                account: account_of(u64::from(command.id)),
                symbol: SYMBOL,
                target: Target::Order(order),
                cancel_id: self.cancel_id,
                restriction: None,
            }));
        }
        if command.op != Op::Cancel {
            self.placed += 1;
            self.order_of[command.id as usize] = self.placed;
            self.id_of[self.placed as usize] = command.id;
            out.push(Body::Place(order(command)));
        }
    }

    /// Adds the trades to a tally.
    ///
    /// # Panics
    /// When a request was refused: none of a workload is, but for a cancel that aims at nothing.
    pub fn tally(&self, events: &Events, tally: &mut Tally) {
        for event in events.all() {
            match event {
                Event::Traded(trade) => {
                    let id = |order: OrderId| self.id_of[order.0 as usize];
                    let narrow = |number: u64| u32::try_from(number).expect("workload numbers have 32 bits");
                    let (price, quantity) = (narrow(trade.price.0), narrow(trade.quantity.0));
                    tally.trade(id(trade.taker.order), id(trade.maker.order), price, quantity);
                }
                Event::Answered { answer: Answer::Refused(Refusal::UnknownOrder), .. } => {}
                Event::Answered { answer: Answer::Refused(refusal), .. } => panic!("refused: {refusal}"),
                _ => {}
            }
        }
    }
}

fn name(text: &str) -> ClientOrderId {
    ClientOrderId::new_checked(text).expect("a valid name")
}

/// A market in which nothing is out of bounds.
fn description([base, quote]: [Asset; 2]) -> market::Description {
    let rate = FeeRate::from_decimal(decimal("0.001")).expect("a valid rate");
    market::Description { id: SYMBOL, base, quote, fees: Fees { maker: rate, taker: rate }, ..btcusdt() }
}

fn account_of(id: u64) -> AccountId {
    AccountId(AccountId::FIRST_CLIENT.0 + id % ACCOUNTS)
}

fn order(command: &workload::Command) -> NewOrder {
    let mut text = [0u8; 16];
    let mut rest = &mut text[..];
    write!(rest, "w{}", command.id).expect("a number of 32 bits has at most ten digits");
    let length = 16 - rest.len();
    let client_order_id = name(std::str::from_utf8(&text[..length]).expect("digits"));
    // An order at any price is a market order or, every other one, a limit order that no price is beyond.
    let at_market = command.op == Op::Ioc && command.id.is_multiple_of(2);
    let price = match (command.op, command.side) {
        (Op::Ioc, Side::Buy) => IOC_BUY_PRICE,
        (Op::Ioc, Side::Sell) => IOC_SELL_PRICE,
        _ => command.price,
    };
    NewOrder {
        account: account_of(u64::from(command.id)),
        terms: OrderTerms {
            symbol: SYMBOL,
            client_order_id,
            side: command.side,
            order_type: if at_market { OrderType::Market } else { OrderType::Limit },
            time_in_force: if command.op == Op::Ioc && !at_market { TimeInForce::Ioc } else { TimeInForce::Gtc },
            price: (!at_market).then_some(Price(price.into())),
            size: Size::Base(Quantity(command.qty.into())),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    }
}
