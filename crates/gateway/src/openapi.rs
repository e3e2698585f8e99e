//! The description of the REST API for machines, drawn from the table of operations, and a page to read it in a browser.

use serde_json::{Map, Value, json};

use crate::auth::Security;
use crate::operations::{Kind, OPERATIONS, Operation, Parameter, SIGNED, Weight};

/// A page that shows `/openapi.json`; it needs nothing else.
pub const BROWSER: &str = include_str!("openapi/browser.html");

/// The description as an OpenAPI 3.1 document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in &OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.verb.as_str().to_ascii_lowercase()] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crossbook",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An API compatible with the Binance Spot API; not affiliated with or endorsed by Binance. \
                Parameters go in the query or in a form body. Signed operations carry the header X-MBX-APIKEY and \
                a signature over query and body as sent.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "apiKey": { "type": "apiKey", "in": "header", "name": "X-MBX-APIKEY" } },
            "schemas": { "Error": {
                "type": "object",
                "required": ["code", "msg"],
                "properties": { "code": { "type": "integer" }, "msg": { "type": "string" } },
            }},
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let signed = operation.security != Security::Public;
    let parameters = operation.parameters.iter().chain(if signed { SIGNED } else { &[] });
    let weight = match operation.weight {
        Weight::Fixed(weight) => json!(weight),
        Weight::Varies(_, words) => json!(words),
    };
    let permission = match operation.security {
        Security::Public => "none",
        Security::Read => "READ",
        Security::Trade => "TRADE",
    };
    let error = json!({
        "description": "What is wrong: a code and a text.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    let mut described = json!({
        "operationId": format!("{} {}", operation.verb.as_str(), operation.path),
        "summary": operation.summary,
        "x-weight": weight,
        "x-permission": permission,
        "parameters": parameters.map(parameter).collect::<Vec<_>>(),
        "responses": {
            "200": { "description": "Done.", "content": { "application/json": {} } },
            "400": error, "401": error, "418": error, "429": error, "500": error, "503": error, "504": error,
        },
    });
    if operation.over_websocket {
        described["x-websocket-method"] = json!(operation.name);
    }
    if signed {
        described["security"] = json!([{ "apiKey": [] }]);
    }
    described
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Symbol => json!({ "type": "string", "examples": ["BTCUSDT"] }),
        Kind::Names => json!({ "type": "string", "description": "A JSON array of names." }),
        Kind::Decimal => json!({ "type": "string", "format": "decimal", "examples": ["0.01"] }),
        Kind::Integer => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        Kind::Time => json!({ "type": "integer", "format": "int64", "description": "Milli- or microseconds." }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::ClientOrderId => json!({ "type": "string", "maxLength": 36 }),
        Kind::Text => json!({ "type": "string" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
    };
    json!({ "name": parameter.name, "in": "query", "required": parameter.required, "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_with_its_parameters() {
        let document = document();
        for operation in &OPERATIONS {
            let described = &document["paths"][operation.path][operation.verb.as_str().to_ascii_lowercase()];
            let signed = if operation.security == Security::Public { 0 } else { SIGNED.len() };
            let parameters = described["parameters"].as_array().unwrap();
            assert_eq!(parameters.len(), operation.parameters.len() + signed, "{}", operation.path);
        }
        assert_eq!(document["paths"]["/api/v3/order"].as_object().unwrap().len(), 3);
    }

    #[test]
    fn no_two_operations_share_a_place_or_a_name() {
        for (at, one) in OPERATIONS.iter().enumerate() {
            for other in &OPERATIONS[at + 1..] {
                assert!((one.verb, one.path) != (other.verb, other.path) && one.name != other.name);
            }
        }
    }

    #[test]
    fn the_browser_page_needs_nothing_from_elsewhere() {
        assert!(!BROWSER.contains("http://") && !BROWSER.contains("https://") && BROWSER.contains("openapi.json"));
    }
}
