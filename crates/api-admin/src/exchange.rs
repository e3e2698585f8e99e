//! The filters of the whole venue: how many orders and order lists an account may have open in all markets.

use bytes::Bytes;
use crossbook_protocol::Answer;
use crossbook_protocol::command::Body;
use crossbook_types::ExchangeFilters;
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::request::read;
use super::submit;
use crate::error::AdminError;
use crossbook_gateway::Gateway;

/// New filters; what is absent stays, and 0 switches one off.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewFilters {
    max_num_orders: Option<u32>,
    max_num_algo_orders: Option<u32>,
    max_num_iceberg_orders: Option<u32>,
    max_num_order_lists: Option<u32>,
}

pub(super) fn filters(gateway: &Gateway) -> Value {
    shown(gateway.read_model.registry().exchange_filters())
}

pub(super) async fn change(gateway: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let NewFilters { max_num_orders, max_num_algo_orders, max_num_iceberg_orders, max_num_order_lists } = read(body)?;
    let before = gateway.read_model.registry().exchange_filters();
    let after = ExchangeFilters {
        orders_max: max_num_orders.unwrap_or(before.orders_max),
        algo_orders_max: max_num_algo_orders.unwrap_or(before.algo_orders_max),
        iceberg_orders_max: max_num_iceberg_orders.unwrap_or(before.iceberg_orders_max),
        order_lists_max: max_num_order_lists.unwrap_or(before.order_lists_max),
    };
    match submit(gateway, Body::SetExchangeFilters(after)).await? {
        Answer::ExchangeFiltersSet => Ok(shown(after)),
        _ => Err(AdminError::internal()),
    }
}

fn shown(filters: ExchangeFilters) -> Value {
    json!({
        "maxNumOrders": filters.orders_max,
        "maxNumAlgoOrders": filters.algo_orders_max,
        "maxNumIcebergOrders": filters.iceberg_orders_max,
        "maxNumOrderLists": filters.order_lists_max,
    })
}
