//! The roles of operators: each of them against each operation of the admin API.

use crossbook_api_admin::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest_venue::{ROLES, Venue};

/// What the OpenAPI document says: method, path with something in the place of each parameter, the id, and the least
/// role.
async fn operations(venue: &Venue) -> Vec<(Method, String, String, Role)> {
    let document = venue.operator(Method::GET, "openapi.json", None).await.body;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/admin/v1/").unwrap();
        let path = path.replace("{accountId}", "999999").replace("{symbol}", "NOSUCH").replace("{apiKey}", "NOSUCH");
        assert!(!path.contains('{'), "{path} has a parameter that this test does not know");
        for (method, operation) in methods.as_object().unwrap() {
            let least = operation["x-least-role"].as_str().unwrap_or_else(|| panic!("{path} has no least role"));
            let id = operation["operationId"].as_str().unwrap().to_owned();
            operations.push((method.to_uppercase().parse().unwrap(), path.clone(), id, least.parse().unwrap()));
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_do_what_its_operations_take_and_nothing_else() {
    let venue = Venue::start().await;
    let mut refused = 0;
    for (method, path, id, least) in operations(&venue).await {
        for (role, token) in ROLES {
            let may = role >= least;
            // What may be done is asked in a form that is refused, or harmless.
            let body = (method != Method::GET).then(|| json!({"nonsense": 1}));
            let reply = venue.operator_with(token, method.clone(), &path, body).await;
            assert_eq!(reply.status != 403, may, "{role} {id}: {reply:?}");
            if !may {
                refused += 1;
                assert_eq!(reply.body["code"], -1002, "{reply:?}");
                let said = format!("This takes the role {least}; you have the role {role}.");
                assert!(reply.text().contains(&said), "{role} {id}: {reply:?}");
            }
        }
    }
    assert!(refused > 30, "only {refused} were refused");
    assert_eq!(venue.operator(Method::GET, "accounts", None).await.body["accounts"].as_array().unwrap().len(), 2);
    venue.audit().await;
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_told_who_it_is() {
    let venue = Venue::start().await;
    for (role, token) in ROLES {
        let told = venue.operator_with(token, Method::GET, "operator", None).await.body;
        assert_eq!(told, json!({"operator": role.name(), "role": role.name()}));
    }
    // A role is looked at before a body is, and before it is said whether there is such a thing.
    let (_, viewer) = ROLES[0];
    let reply = venue.operator_with(viewer, Method::DELETE, "markets/NOSUCH", None).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    let reply = venue.operator_with(viewer, Method::GET, "nothing", None).await;
    assert_eq!(reply.status, 404, "{reply:?}");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_do_their_work() {
    let venue = Venue::start().await;
    let [(_, viewer), (_, support), (_, desk), (_, admin)] = ROLES;
    let ask = async |token: &str, method: Method, path: &str, body: Value| {
        venue.operator_with(token, method, path, Some(body)).await.status
    };
    let open = json!({"label": "new"});
    assert_eq!(ask(viewer, Method::POST, "accounts", open.clone()).await, 403);
    assert_eq!(ask(support, Method::POST, "accounts", open).await, 200);
    let halt = json!({"status": "HALT"});
    assert_eq!(ask(support, Method::PATCH, "markets/BTCUSDT", halt.clone()).await, 403);
    assert_eq!(ask(desk, Method::PATCH, "markets/BTCUSDT", halt).await, 200);
    let deposit = json!({"asset": "BTC", "amount": "1", "transferId": "by-role"});
    let path = format!("accounts/{}/deposits", venue.alice.account);
    assert_eq!(ask(desk, Method::POST, &path, deposit.clone()).await, 403);
    assert_eq!(ask(admin, Method::POST, &path, deposit).await, 200);
    venue.audit().await;
    venue.stop().await;
}
