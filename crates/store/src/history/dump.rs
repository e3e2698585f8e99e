//! Dumps of the tables, for callers that compare them with a record of their own: every order of a market with its
//! outcome, and what an account has.

use crossbook_projection::batch::Value;
use crossbook_types::{AccountId, Amount, OrderId, OrderStatus, Quantity, Side, SymbolId};

use super::{History, Which, number};
use crate::database::Error;
use crate::rows::Fields;

/// An order, as far as it takes to account for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Id of the order.
    pub order: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// Its state.
    pub status: OrderStatus,
    /// What of it has traded, in lots.
    pub executed: Quantity,
    /// And for how much, in smallest units of the quote asset.
    pub executed_quote: Amount,
}

/// What an account has of an asset, in smallest units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The asset's name.
    pub asset: String,
    /// What it can use.
    pub free: Amount,
    /// What is held for its orders.
    pub held: Amount,
}

impl History {
    /// The number of the market with that name.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn market_named(&self, symbol: &str) -> Result<Option<SymbolId>, Error> {
        let statement = "SELECT symbol_id FROM markets WHERE symbol = ?".to_owned();
        let rows = self.rows(statement, [Value::Text(symbol.into())]).await?;
        rows.first().map(|row| Fields(row).symbol()).transpose()
    }

    /// The first `limit` orders of a market from order id `from` on, of all accounts.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn orders_of_market(&self, symbol: SymbolId, from: OrderId, limit: usize) -> Result<Vec<Counted>, Error> {
        const SELECTION: &str =
            "order_id, account_id, side, status, executed, CAST(executed_quote AS CHAR(41)) AS executed_quote";
        let (condition, values) = ("symbol_id = ? AND order_id >= ?", [symbol.0.into(), from.0]);
        let rows = self.list(SELECTION, "orders", condition, values, "order_id", Which::First, limit).await?;
        let counted = |fields: Fields<'_>| {
            Ok(Counted {
                order: OrderId(fields.number("order_id")?),
                account: AccountId(fields.number("account_id")?),
                side: fields.name("side", Side::from_name)?,
                status: fields.name("status", OrderStatus::from_name)?,
                executed: Quantity(fields.number("executed")?),
                executed_quote: fields.amount("executed_quote")?,
            })
        };
        rows.iter().map(|row| counted(Fields(row))).collect()
    }

    /// What an account has, by the assets' names.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn holdings(&self, account: AccountId) -> Result<Vec<Holding>, Error> {
        let statement = "SELECT assets.name AS name, CAST(balances.free AS CHAR(41)) AS free, CAST(balances.held AS \
                         CHAR(41)) AS held FROM balances JOIN assets ON assets.asset_id = balances.asset_id WHERE \
                         balances.account_id = ? ORDER BY name";
        let rows = self.rows(statement.to_owned(), [number(account.0)]).await?;
        let holding = |fields: Fields<'_>| {
            let (free, held) = (fields.amount("free")?, fields.amount("held")?);
            Ok(Holding { asset: fields.text("name")?, free, held })
        };
        rows.iter().map(|row| holding(Fields(row))).collect()
    }
}
