//! The paths at which a connection changes to WebSocket.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::Response;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::app::App;
use crate::error::{self, ApiError};
use crate::streams::hub::listen_keys;
use crate::streams::socket::Upgrade;
use crate::streams::topic::Topic;
use crate::time_unit::TimeUnit;
use crate::ws_api;

/// Changes a request's connection to WebSocket, if there is something to talk to at its path: streams at `/ws`,
/// `/ws/<stream>` and `/stream?streams=<stream>/<stream>`, the API at `/ws-api/v3`.
pub fn upgrade(app: &Arc<App>, ip: IpAddr, request: Request<Incoming>) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let upgrade = match Upgrade::asked_by(request) {
        Ok(upgrade) => upgrade,
        Err(refused) => return error::respond(&refused),
    };
    let path = path.trim_end_matches('/');
    let unit = match TimeUnit::parse(query_value(&query, "timeUnit").as_deref()) {
        Ok(unit) => unit,
        Err(refused) => return error::respond(&refused),
    };
    if path == "/ws-api/v3" {
        if query_value(&query, "responseFormat").is_some_and(|format| format == "sbe") {
            return error::respond(&ApiError::bad_request(-1155, "SBE is not enabled."));
        }
        let said = query_value(&query, "returnRateLimits").and_then(|text| text.parse().ok());
        return ws_api::open(app, ip, upgrade, said, unit);
    }
    match path.strip_prefix("/ws") {
        Some("") => return app.connections().open(ip, upgrade, &[], false, unit),
        Some(rest) if rest.starts_with('/') => {
            return app.connections().open(ip, upgrade, &names_in(rest), false, unit);
        }
        _ => {}
    }
    if path == "/stream" {
        let names = query_value(&query, "streams").map(|text| names_in(&text)).unwrap_or_default();
        return app.connections().open(ip, upgrade, &names, true, unit);
    }
    let message = "There is no WebSocket at this path; use /ws, /stream or /ws-api/v3.";
    error::respond(&ApiError::with_status(StatusCode::NOT_FOUND, -1020, message))
}

/// The names between slashes, percent-decoded. What is no stream is left out: some clients open `/ws/0` and subscribe
/// later.
fn names_in(text: &str) -> Vec<String> {
    let text = percent_decode_str(text).decode_utf8_lossy();
    let is_stream = |name: &&str| Topic::parse(name).is_some() || listen_keys::is_one(name);
    text.split('/').filter(is_stream).map(str::to_owned).collect()
}

/// The value of a query parameter, as it was sent.
fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_paths_and_queries() {
        let query = "timeUnit=x&streams=btcusdt%40trade%2Fbtcusdt@depth5@100ms/nonsense";
        let names = names_in(&query_value(query, "streams").unwrap());
        assert_eq!(names, ["btcusdt@trade", "btcusdt@depth5@100ms"]);
        assert!(names_in("/0").is_empty());
        assert_eq!(query_value(query, "stream"), None);
    }
}
