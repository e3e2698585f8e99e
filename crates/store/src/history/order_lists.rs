//! Queries of order lists.

use crossbook_projection::schema::ORDER_LISTS;
use crossbook_types::{AccountId, ClientOrderId, OrderListId};
use crossbook_views::{OrderList, Window};

use super::{History, Value, Which, bounds, number};
use crate::database::Error;
use crate::rows::Fields;

impl History {
    /// An order list of any account.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn order_list(&self, list: OrderListId) -> Result<Option<OrderList>, Error> {
        let values = [list.symbol().0.into(), list.0];
        let condition = "symbol_id = ? AND order_list_id = ?";
        let rows = self.select(&ORDER_LISTS.selection(), ORDER_LISTS.name, condition, values).await?;
        rows.first().map(|row| Fields(row).order_list()).transpose()
    }

    /// The newest order list to which its owner gave that name.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn order_list_named(&self, account: AccountId, name: &ClientOrderId) -> Result<Option<OrderList>, Error> {
        let statement = format!(
            "SELECT {} FROM {} WHERE account_id = ? AND client_order_id = ? ORDER BY order_list_id DESC LIMIT 1",
            ORDER_LISTS.selection(),
            self.along(ORDER_LISTS.name, "order_lists_by_name")
        );
        let values = [number(account.0), Value::Text(name.as_str().into())];
        self.rows(statement, values).await?.first().map(|row| Fields(row).order_list()).transpose()
    }

    /// The first `limit` order lists of an account in all markets, from number `from` on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn order_lists_from(
        &self,
        account: AccountId,
        from: OrderListId,
        limit: usize,
    ) -> Result<Vec<OrderList>, Error> {
        let table = self.along(ORDER_LISTS.name, "order_lists_by_account");
        let condition = "account_id = ? AND order_list_id >= ?";
        let (selection, values) = (ORDER_LISTS.selection(), [account.0, from.0]);
        let rows = self.list(&selection, &table, condition, values, "order_list_id", Which::First, limit).await?;
        rows.iter().map(|row| Fields(row).order_list()).collect()
    }

    /// The order lists of an account in all markets that last changed in a stretch of time, by that time and their
    /// number.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn order_lists(&self, account: AccountId, window: Window) -> Result<Vec<OrderList>, Error> {
        let table = self.along(ORDER_LISTS.name, "order_lists_by_update");
        let condition = "account_id = ? AND updated >= ? AND updated <= ?";
        let (start, end, which) = bounds(window);
        let (selection, values) = (ORDER_LISTS.selection(), [account.0, start, end]);
        let sorted = "updated, order_list_id";
        let rows = self.list(&selection, &table, condition, values, sorted, which, window.limit).await?;
        rows.iter().map(|row| Fields(row).order_list()).collect()
    }
}
