//! The admin API as an OpenAPI document.

use http::Method;
use serde_json::{Map, Value, json};

use crate::roles;

/// What its bodies and answers are made of.
const SCHEMAS: &str = include_str!("openapi.json");

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// An operation of the admin API.
struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    /// The schema of its body, if it has one.
    body: Option<&'static str>,
    /// The schema of its answer.
    answer: &'static str,
}

const fn operation(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Option<&'static str>,
    answer: &'static str,
) -> Operation {
    Operation { method, path, id, summary, body, answer }
}

const OPERATIONS: &[Operation] = &[
    operation("get", "/admin/v1/operator", "getOperator", "Who asks, and as what.", None, "Operator"),
    operation("get", "/admin/v1/assets", "listAssets", "The listed assets.", None, "Assets"),
    operation(
        "post",
        "/admin/v1/assets",
        "createAsset",
        "Lists an asset; it can be repeated.",
        Some("NewAsset"),
        "Asset",
    ),
    operation("get", "/admin/v1/markets", "listMarkets", "The markets.", None, "Markets"),
    operation("post", "/admin/v1/markets", "createMarket", "Opens a market.", Some("NewMarket"), "Market"),
    operation(
        "patch",
        "/admin/v1/markets/{symbol}",
        "changeMarket",
        "Changes a market's status, filters or fees.",
        Some("MarketChange"),
        "Market",
    ),
    operation(
        "delete",
        "/admin/v1/markets/{symbol}",
        "delistMarket",
        "Delists a market for good: its open orders end, and its symbol is free.",
        None,
        "Market",
    ),
    operation(
        "get",
        "/admin/v1/markets/{symbol}/session",
        "getSession",
        "The trading session of a market: its phase, its circuit breaker, its execution rule and its reference price.",
        None,
        "Session",
    ),
    operation(
        "post",
        "/admin/v1/markets/{symbol}/session/end",
        "endPhase",
        "Ends the phase that the session is in, before its time.",
        None,
        "Session",
    ),
    operation(
        "post",
        "/admin/v1/markets/{symbol}/session/auction",
        "openAuction",
        "Collects orders for an auction from now on.",
        Some("NewAuction"),
        "Session",
    ),
    operation(
        "put",
        "/admin/v1/markets/{symbol}/breaker",
        "setBreaker",
        "Gives a market a circuit breaker.",
        Some("Breaker"),
        "Session",
    ),
    operation(
        "delete",
        "/admin/v1/markets/{symbol}/breaker",
        "removeBreaker",
        "Takes a market's circuit breaker away.",
        None,
        "Session",
    ),
    operation(
        "put",
        "/admin/v1/markets/{symbol}/price-range",
        "setPriceRange",
        "Gives a market an execution rule: within which multiples of the reference price orders may trade.",
        Some("PriceRange"),
        "Session",
    ),
    operation(
        "delete",
        "/admin/v1/markets/{symbol}/price-range",
        "removePriceRange",
        "Takes a market's execution rule away.",
        None,
        "Session",
    ),
    operation(
        "put",
        "/admin/v1/markets/{symbol}/reference",
        "setReference",
        "Gives a market a reference price, which is calculated in this way.",
        Some("Reference"),
        "Session",
    ),
    operation(
        "delete",
        "/admin/v1/markets/{symbol}/reference",
        "removeReference",
        "Takes a market's reference price away.",
        None,
        "Session",
    ),
    operation(
        "put",
        "/admin/v1/markets/{symbol}/reference/price",
        "setReferencePrice",
        "Sets the reference price of a market that is calculated elsewhere.",
        Some("NewReferencePrice"),
        "Session",
    ),
    operation(
        "delete",
        "/admin/v1/markets/{symbol}/reference/price",
        "removeReferencePrice",
        "Says that a reference price that is calculated elsewhere is none now.",
        None,
        "Session",
    ),
    operation("get", "/admin/v1/accounts", "listAccounts", "The accounts.", None, "Accounts"),
    operation(
        "post",
        "/admin/v1/accounts",
        "createAccount",
        "Opens an account; each call opens another.",
        Some("NewAccount"),
        "OpenedAccount",
    ),
    operation(
        "get",
        "/admin/v1/accounts/{accountId}",
        "getAccount",
        "An account with balances, open orders and keys.",
        None,
        "AccountDetails",
    ),
    operation(
        "get",
        "/admin/v1/accounts/{accountId}/fees",
        "getAccountFees",
        "What an account pays beside or instead of the markets' fees.",
        None,
        "AccountFees",
    ),
    operation(
        "put",
        "/admin/v1/accounts/{accountId}/fees",
        "setAccountFees",
        "Sets all of that; it holds for orders placed afterwards.",
        Some("NewAccountFees"),
        "AccountFees",
    ),
    operation(
        "patch",
        "/admin/v1/accounts/{accountId}",
        "changeAccount",
        "Puts an account into a trade group, or takes it out of one.",
        Some("AccountChange"),
        "AccountEntry",
    ),
    operation(
        "post",
        "/admin/v1/accounts/{accountId}/api-keys",
        "createApiKey",
        "Issues an API key.",
        Some("NewApiKey"),
        "IssuedApiKey",
    ),
    operation(
        "delete",
        "/admin/v1/accounts/{accountId}/api-keys/{apiKey}",
        "deleteApiKey",
        "Revokes an API key at once.",
        None,
        "RevokedApiKey",
    ),
    operation(
        "post",
        "/admin/v1/accounts/{accountId}/deposits",
        "createDeposit",
        "Brings money in; once for each transferId.",
        Some("NewTransfer"),
        "Transfer",
    ),
    operation(
        "post",
        "/admin/v1/accounts/{accountId}/withdrawals",
        "createWithdrawal",
        "Takes free money out; once for each transferId.",
        Some("NewTransfer"),
        "Transfer",
    ),
    operation(
        "get",
        "/admin/v1/accounts/{accountId}/orders",
        "getAccountOrders",
        "The last orders of an account in a market, by their last change.",
        None,
        "AccountOrders",
    ),
    operation(
        "get",
        "/admin/v1/accounts/{accountId}/trades",
        "getAccountTrades",
        "The last trades of an account in a market.",
        None,
        "AccountTrades",
    ),
    operation(
        "post",
        "/admin/v1/accounts/{accountId}/adjustments",
        "createAdjustment",
        "Corrects a balance, up or down, for a reason; once for each transferId.",
        Some("NewAdjustment"),
        "Transfer",
    ),
    operation(
        "put",
        "/admin/v1/accounts/{accountId}/frozen",
        "setFrozen",
        "Freezes an account, which cancels its open orders, or lets it go on.",
        Some("Freeze"),
        "AccountEntry",
    ),
    operation(
        "post",
        "/admin/v1/accounts/{accountId}/cancel-orders",
        "cancelOrders",
        "Cancels all open orders of an account.",
        None,
        "CanceledOrders",
    ),
    operation(
        "get",
        "/admin/v1/accounts/{accountId}/ledger",
        "getLedger",
        "What has changed the balances of an account, the newest first.",
        None,
        "Ledger",
    ),
    operation("get", "/admin/v1/revenue", "getRevenue", "Collected fees by day and asset.", None, "Revenue"),
    operation("get", "/admin/v1/log", "getLog", "The last log lines of this process.", None, "LogLines"),
    operation(
        "get",
        "/admin/v1/operator-log",
        "getOperatorLog",
        "What operators have done, the newest first.",
        None,
        "OperatorLog",
    ),
    operation(
        "get",
        "/admin/v1/venue/balances",
        "getVenueBalances",
        "Collected fees, the world outside, and what is between partitions.",
        None,
        "VenueBalances",
    ),
    operation(
        "post",
        "/admin/v1/venue/withdrawals",
        "createVenueWithdrawal",
        "Pays collected fees out; once for each transferId.",
        Some("NewPayout"),
        "Payout",
    ),
    operation(
        "get",
        "/admin/v1/fee-tiers",
        "getFeeTiers",
        "What accounts pay that have traded much.",
        None,
        "FeeTiers",
    ),
    operation(
        "put",
        "/admin/v1/fee-tiers",
        "setFeeTiers",
        "Sets all of that; without tiers, fees do not depend on volumes.",
        Some("NewFeeTiers"),
        "FeeTiers",
    ),
    operation(
        "get",
        "/admin/v1/fee-discount",
        "getFeeDiscount",
        "In which asset fees can be paid, and how much less they are then.",
        None,
        "FeeDiscount",
    ),
    operation(
        "put",
        "/admin/v1/fee-discount",
        "setFeeDiscount",
        "Sets all of that; without rates there is no discount.",
        Some("NewFeeDiscount"),
        "FeeDiscount",
    ),
    operation(
        "get",
        "/admin/v1/accounts/{accountId}/fee-discount",
        "getDiscountUse",
        "Whether an account pays its fees in that asset.",
        None,
        "DiscountUse",
    ),
    operation(
        "put",
        "/admin/v1/accounts/{accountId}/fee-discount",
        "setDiscountUse",
        "Sets that; it holds for orders placed afterwards.",
        Some("NewDiscountUse"),
        "DiscountUse",
    ),
    operation(
        "get",
        "/admin/v1/exchange-filters",
        "getExchangeFilters",
        "How many orders an account may have open in all markets.",
        None,
        "ExchangeFilters",
    ),
    operation(
        "patch",
        "/admin/v1/exchange-filters",
        "changeExchangeFilters",
        "Changes how many orders an account may have open in all markets.",
        Some("ExchangeFiltersChange"),
        "ExchangeFilters",
    ),
    operation("get", "/admin/v1/rules", "getRules", "The rules that commands are applied under.", None, "ActiveRules"),
    operation(
        "post",
        "/admin/v1/rules",
        "activateRules",
        "Activates newer rules; there is no way back.",
        Some("NewRules"),
        "ActiveRules",
    ),
    operation("get", "/admin/v1/audit", "audit", "Audits the running venue.", None, "Audit"),
];

/// The id of the operation at a path, which is relative to `/admin/v1/`; `None` if there is none.
pub(crate) fn operation_at(method: &Method, path: &str) -> Option<&'static str> {
    let is_at = |operation: &&Operation| {
        let template = operation.path.strip_prefix("/admin/v1/").unwrap_or_default();
        let mut given = path.split('/');
        let fits =
            template.split('/').all(|part| given.next().is_some_and(|given| given == part || part.starts_with('{')));
        fits && given.next().is_none() && method.as_str().eq_ignore_ascii_case(operation.method)
    };
    OPERATIONS.iter().find(is_at).map(|operation| operation.id)
}

/// Whether an operation changes nothing.
#[cfg(test)]
pub(crate) fn reads(id: &str) -> bool {
    OPERATIONS.iter().any(|operation| operation.id == id && operation.method == "get")
}

/// The ids of all operations.
#[cfg(test)]
pub(crate) fn operation_ids() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|operation| operation.id)
}

/// The admin API as an OpenAPI 3.1 document.
///
/// # Panics
/// When the file of schemas is not JSON, which a test would have seen.
#[must_use]
pub fn document() -> Value {
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("a schema file of the program is JSON");
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crossbook admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For the operator of a venue. Decimals are strings. What is answered with 200 is on disk.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The address that the document came from." }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "The token of an operator: the venue's CROSSBOOK_ADMIN_TOKEN, or one from the file that \
                    CROSSBOOK_ADMIN_TOKEN_FILE names. x-least-role says which role an operation takes.",
            } },
            "schemas": schemas,
        },
    })
}

/// The parameters in the query of an operation.
fn query_of(operation: &str) -> Vec<Value> {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1_000, "default": 100 });
    let limit = ("limit", "Entries of the page.", false, limit);
    let from = json!({ "type": "integer", "format": "int64", "minimum": 0, "default": 0 });
    let number = || json!({ "type": "integer", "format": "int64", "minimum": 0 });
    let text = || json!({ "type": "string" });
    let mut found = Vec::new();
    match operation {
        "getOperatorLog" | "getLedger" => {
            found.extend([limit, ("before", "`next` of the page before.", false, text())])
        }
        "getAccountOrders" | "getAccountTrades" => {
            found.extend([limit, ("symbol", "Name of the market.", true, text())]);
        }
        "getRevenue" => found.extend([
            ("startTime", "The first day has this time, in milliseconds.", false, number()),
            ("endTime", "The last day has this time; at most 366 days.", false, number()),
        ]),
        "getLog" => {
            let level = json!({ "type": "string", "enum": ["error", "warn", "info", "debug", "trace"] });
            found.extend([
                limit,
                ("after", "`next` of the answer before.", false, number()),
                ("level", "No lines with less weight than this.", false, level),
            ]);
        }
        _ if operation.starts_with("list") => {
            found.extend([limit, ("from", "Number of the first entry.", false, from)])
        }
        _ => {}
    }
    if operation == "listAccounts" {
        found.push(("search", "A part of the label, in any case, or the number.", false, text()));
    }
    let mut parameters = Vec::with_capacity(found.len());
    for (name, words, required, schema) in found {
        let parameter =
            json!({ "name": name, "in": "query", "required": required, "description": words, "schema": schema });
        parameters.push(parameter);
    }
    parameters
}

fn describe(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            let (schema, words) = match name {
                "accountId" => {
                    (json!({ "type": "integer", "format": "int64", "minimum": 0 }), "Number of the account.")
                }
                "symbol" => (json!({ "type": "string", "maxLength": 50 }), "Name of the market."),
                _ => (json!({ "type": "string", "minLength": 64, "maxLength": 64 }), "Name of the API key."),
            };
            json!({ "name": name, "in": "path", "required": true, "description": words, "schema": schema })
        })
        .collect();
    parameters.extend(query_of(operation.id));
    if operation.method != "get" {
        let schema = json!({ "type": "string" });
        let words = "Why, in percent-encoded UTF-8 of at most 500 bytes, for the operator log.";
        parameters.push(json!({
            "name": "Crossbook-Reason", "in": "header", "required": false, "description": words, "schema": schema,
        }));
    }
    let content = |schema: &str| json!({ "application/json": { "schema": reference(schema) } });
    let error = |description: &str| json!({ "description": description, "content": content("Error") });
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "x-least-role": roles::least(operation.id).map(roles::Role::name),
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done, and on disk.", "content": content(operation.answer) },
            "400": error("A field is missing or malformed, or the venue refuses what it says."),
            "401": error("No token, or a wrong one."),
            "403": error("The operation takes another role."),
            "404": error("There is no such thing."),
            "503": error("The venue is busy or stopping; nothing was done."),
            "504": error("No outcome in time; it may still take effect."),
        },
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    described
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every name that a `$ref` of the document leads to.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.insert(target.clone());
                }
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn what_is_referred_to_is_there_and_nothing_else() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for target in &found {
            let place = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(place.is_some(), "{target} is not in the document");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/schemas/{name}")), "{name} is of no use");
        }
    }

    #[test]
    fn operation_ids_are_identifiers_and_no_two_operations_share_one() {
        let mut seen = BTreeSet::new();
        for Operation { id, .. } in OPERATIONS {
            assert!(id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric()));
            assert!(seen.insert(id), "{id} twice");
        }
    }
}
