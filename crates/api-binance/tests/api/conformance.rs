//! `docs/compatibility.md` says of every operation, parameter, field, stream and behaviour whether it is done,
//! different or missing, and which test shows it. Here its tables are held against the program, so that they stay true:
//! whoever adds an operation or a field is told which row to change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crossbook_api_binance::openapi;
use crossbook_api_binance::operations::{OPERATIONS, Operation, Weight, by_method, by_route};
use crossbook_api_binance::streams::topic::Topic;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rest_venue::Venue;

const DOCUMENT: &str = "docs/compatibility.md";
const STATES: [&str; 3] = ["done", "different", "missing"];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A row of a table that says which tests show it.
struct Row {
    cells: Vec<String>,
    state: String,
    tests: Vec<String>,
}

impl Row {
    /// What is in code type in a cell.
    fn names(&self, cell: usize) -> Vec<String> {
        names(&self.cells[cell])
    }

    fn is_there(&self) -> bool {
        self.state != "missing"
    }
}

fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of the tables in a section of the document, whose last columns are `state` and `shown by`.
fn rows(section: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(repository().join(DOCUMENT)).unwrap();
    let heading = format!("\n## {section}\n");
    let begin = text.find(&heading).unwrap_or_else(|| panic!("{DOCUMENT} has no section {section}")) + heading.len();
    let end = text[begin..].find("\n## ").map_or(text.len(), |end| begin + end);
    let (mut found, mut is_told) = (Vec::new(), false);
    for line in text[begin..end].lines() {
        if !line.starts_with('|') {
            is_told = false;
        } else if line.ends_with("| state | shown by |") {
            is_told = true;
        } else if is_told && !line.starts_with("| ---") {
            let mut cells: Vec<String> =
                line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
            let (tests, state) = (names(&cells.pop().unwrap()), cells.pop().unwrap());
            found.push(Row { cells, state, tests });
        }
    }
    assert!(!found.is_empty(), "{DOCUMENT} has no table in {section}");
    found
}

fn code(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// The file that has a test of that name: `module::test` here, `engine/module::test` among those of the engine,
/// `test_file.py::test` among those of clients, or the path of a file and the test in it.
fn file_of(test: &str) -> Option<String> {
    let (file, name) = test.split_once("::")?;
    let (file, before) = match file.strip_suffix(".py") {
        Some(_) => (format!("tests/clients/{file}"), "def "),
        None if file.starts_with("engine/") => (format!("crates/engine/tests/{file}.rs"), "fn "),
        None if file.contains('/') => (file.to_owned(), "fn "),
        None => (format!("crates/api-binance/tests/api/{file}.rs"), "fn "),
    };
    let text = std::fs::read_to_string(repository().join(file)).ok()?;
    text.contains(&format!("{before}{name}(")).then_some(text)
}

#[test]
fn every_row_has_a_state_and_names_tests_that_exist() {
    for section in ["Operations", "Parameters", "Answers", "Streams", "Events", "Behaviour", "Errors"] {
        for row in rows(section) {
            let what = format!("{DOCUMENT}, {section}: {}", row.cells.join(" | "));
            assert!(STATES.contains(&row.state.as_str()), "{what}: the state is one of {STATES:?}, not {}", row.state);
            assert!(!row.tests.is_empty(), "{what}: name a test that shows it");
            for test in &row.tests {
                assert!(file_of(test).is_some(), "{what}: there is no test {test}");
            }
        }
    }
}

#[test]
fn every_error_is_shown_where_its_code_is_named() {
    for row in rows("Errors") {
        let codes: Vec<&str> = row.cells[0].split(", ").collect();
        for text in row.tests.iter().filter_map(|test| file_of(test)) {
            assert!(codes.iter().any(|code| text.contains(code)), "{DOCUMENT}: no {codes:?} in {:?}", row.tests);
        }
    }
}

/// The row of an operation, up to its state.
fn described(operation: &Operation) -> String {
    let method = if operation.over_websocket { code([operation.name]) } else { "none".to_owned() };
    let parameters = code(operation.parameters.iter().map(|parameter| parameter.name));
    let (verb, path) = (operation.verb.as_str(), operation.path);
    format!("| `{verb} {path}` | {method} | (weight) | {parameters} | done |")
}

#[test]
fn every_operation_has_a_row_with_its_parameters() {
    let rows = rows("Operations");
    for operation in &OPERATIONS {
        let place = format!("{} {}", operation.verb.as_str(), operation.path);
        let row = rows.iter().find(|row| row.names(0) == [place.as_str()]);
        let row = row.filter(|row| row.is_there());
        let row = row.unwrap_or_else(|| panic!("{DOCUMENT} has no row for {place}; add {}", described(operation)));
        let method: Vec<String> = operation.over_websocket.then(|| operation.name.to_owned()).into_iter().collect();
        let sent: BTreeSet<String> = operation.parameters.iter().map(|parameter| parameter.name.to_owned()).collect();
        let told = (row.names(1), BTreeSet::from_iter(row.names(3)));
        assert_eq!(told, (method, sent), "{}", described(operation));
        if let Weight::Fixed(weight) = operation.weight {
            let is_told = row.cells[2].split_whitespace().any(|word| word == weight.to_string());
            assert!(is_told, "{DOCUMENT}: {place} weighs {weight}, not {}", row.cells[2]);
        }
    }
    let known: BTreeSet<String> = rows.iter().filter_map(|row| row.names(0).pop()).collect();
    assert!(known.len() >= OPERATIONS.len());
}

#[test]
fn what_is_missing_is_not_there() {
    for row in rows("Operations").iter().filter(|row| !row.is_there()) {
        for place in row.names(0) {
            let (verb, path) = place.split_once(' ').unwrap();
            assert!(by_route(verb, path).is_err(), "{place} is there; change its row in {DOCUMENT}");
        }
        for method in row.names(1) {
            assert!(by_method(&method).is_none(), "{method} is there; change its row in {DOCUMENT}");
        }
    }
    for row in rows("Parameters") {
        for name in row.names(0) {
            let (_, operation) = by_method(&name).unwrap_or_else(|| panic!("there is no operation {name}"));
            for parameter in row.names(1) {
                let known = operation.parameters.iter().any(|known| known.name == parameter);
                assert_eq!(known, row.is_there(), "{name} {parameter}: change its row in {DOCUMENT}");
            }
        }
    }
    for row in rows("Streams") {
        for name in row.names(0).iter().filter(|name| !name.starts_with('<')) {
            assert_eq!(Topic::parse(name).is_some(), row.is_there(), "{name}: change its row in {DOCUMENT}");
        }
    }
}

/// Compares the tables of a section, which have a schema and its fields in each row, with a description.
fn fields_are_told(section: &str, document: &Value) {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    for row in rows(section) {
        let schema = row.names(0).pop().unwrap();
        if row.is_there() {
            told.entry(schema).or_default().extend(row.names(1));
        } else {
            missing.extend(row.names(1).into_iter().map(|field| (schema.clone(), field)));
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut known = BTreeMap::new();
    for (name, schema) in schemas {
        let Some(properties) = schema["properties"].as_object() else { continue };
        let fields: BTreeSet<String> = properties.keys().cloned().collect();
        let row = format!("| `{name}` | {} | done |", code(&fields));
        assert_eq!(told.get(name), Some(&fields), "{DOCUMENT}, {section}: the row is {row}");
        known.insert(name.clone(), fields);
    }
    for name in told.keys() {
        assert!(known.contains_key(name), "{DOCUMENT}, {section}: nothing is called {name}");
    }
    for (schema, field) in missing {
        let is_there = known.get(&schema).is_some_and(|fields| fields.contains(&field));
        assert!(!is_there, "{DOCUMENT}, {section}: {schema} has {field}; change its row");
    }
}

#[test]
fn every_field_of_an_answer_has_a_row() {
    fields_are_told("Answers", &openapi::document(true));
}

#[test]
fn every_field_of_an_event_has_a_row() {
    fields_are_told("Events", &openapi::stream_document(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amounts_have_at_least_eight_decimals() {
    let venue = Venue::start().await;
    for (asset, decimals) in [("WEI", 18), ("YEN", 0)] {
        venue.operator_does("assets", json!({"asset": asset, "decimals": decimals})).await;
        let deposit = json!({"asset": asset, "amount": "7", "transferId": asset});
        venue.operator_does(&format!("accounts/{}/deposits", venue.alice.account), deposit).await;
    }
    for (asset, free) in [("WEI", "7.000000000000000000"), ("YEN", "7.00000000"), ("BTC", "10.00000000")] {
        assert_eq!(venue.alice.balance(asset).await.0, free);
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bare_quote_in_a_query_is_refused() {
    let venue = Venue::start().await;
    for (symbols, status) in [("%5B%22BTCUSDT%22%5D", "200"), ("[\"BTCUSDT\"]", "400")] {
        let mut connection = TcpStream::connect(venue.http).await.unwrap();
        let request =
            format!("GET /api/v3/ticker/price?symbols={symbols} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(answer.ends_with("\r\n\r\n"), status == "400", "{answer}");
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_markets_are_spot_markets() {
    let venue = Venue::start().await;
    for (permissions, markets) in [("SPOT", 1), ("MARGIN", 0), ("%5B%22MARGIN%22,%22SPOT%22%5D", 1)] {
        let info = venue.get(&format!("/api/v3/exchangeInfo?permissions={permissions}")).await.body;
        assert_eq!(info["symbols"].as_array().unwrap().len(), markets, "{permissions}");
    }
    venue.stop().await;
}
