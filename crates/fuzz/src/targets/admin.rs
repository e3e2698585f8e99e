//! The admin API. The input is a request, as for `rest`, without headers: its line with what follows `/admin/v1/`, an
//! empty line, a body. Several requests are separated by a line `---` and sent in order.

use serde_json::Value;

use super::rest::check;
use crate::connection;
use crate::input;
use crate::venue::{TOKEN, Venue};

/// Requests of one input.
const REQUESTS_MAX: usize = 8;

pub(super) fn run(bytes: &[u8]) {
    let venue = Venue::new();
    let authorization = format!("Bearer {TOKEN}");
    for request in input::text(bytes).split("\n---\n").take(REQUESTS_MAX) {
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let (verb, path) = input::halves(head.lines().next().unwrap_or_default(), ' ');
        let target = format!("/admin/v1/{path}");
        let request = connection::request(verb, &target, &[("Authorization", &authorization)], body);
        if let Some(answer) = connection::ask(&venue, &venue.admin, &request) {
            check(&answer);
            if let (200, "audit", Ok(told)) = (answer.status, path, serde_json::from_str::<Value>(&answer.body)) {
                assert_eq!(told["ok"], true, "{told}");
            }
        }
        venue.audit();
    }
}
