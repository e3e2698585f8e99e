//! Fees that are paid in an asset in which they are less, as the operator and accounts see it.

use crate::rest_venue::Venue;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_of_a_discount_can_be_set_after_a_market_is_delisted() {
    let venue = Venue::start().await;
    venue.operator_does("rules", json!({"rules": 4})).await;
    let asked = json!({"asset": "BTC", "discount": "0.25", "rates": {"USDT": "0.002"}, "except": ["BTCUSDT"]});
    let set = venue.operator(Method::PUT, "fee-discount", Some(asked)).await;
    assert_eq!((set.status, &set.body["except"]), (200, &json!(["BTCUSDT"])));
    venue.operator(Method::DELETE, "markets/BTCUSDT", None).await;
    let shown = venue.operator(Method::GET, "fee-discount", None).await.body;
    assert_eq!(shown["except"], json!([]));
    let again = venue.operator(Method::PUT, "fee-discount", Some(shown.clone())).await;
    assert_eq!((again.status, again.body), (200, shown));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fees_are_paid_in_the_asset_in_which_they_are_less() {
    let venue = Venue::start().await;
    let early = venue.alice.send(Method::POST, "/sapi/v1/bnbBurn", "spotBNBBurn=true").await;
    assert_eq!((early.status, &early.body["code"]), (400, &json!(-2010)), "{early:?}");
    venue.operator_does("rules", json!({"rules": 4})).await;
    venue.operator_does("assets", json!({"asset": "BNB", "decimals": 8})).await;
    let none = venue.operator(Method::GET, "fee-discount", None).await.body;
    assert_eq!(none, json!({"asset": null, "discount": "0", "rates": {}, "except": []}));
    let commission = venue.alice.get("/api/v3/account/commission", "symbol=BTCUSDT").await.body;
    assert_eq!(commission["discount"]["enabledForSymbol"], false);
    let asked = json!({"asset": "BNB", "discount": "0.25", "rates": {"USDT": "0.002"}});
    let set = venue.operator(Method::PUT, "fee-discount", Some(asked)).await;
    let shown = json!({"asset": "BNB", "discount": "0.2500", "rates": {"USDT": "0.00200000"}, "except": []});
    assert_eq!((set.status, &set.body), (200, &shown));
    assert_eq!(venue.operator(Method::GET, "fee-discount", None).await.body, shown);

    let deposit = json!({"asset": "BNB", "amount": "1", "transferId": "first-BNB"});
    venue.operator_does(&format!("accounts/{}/deposits", venue.alice.account), deposit).await;
    let off = json!({"spotBNBBurn": false, "interestBNBBurn": false});
    let on = json!({"spotBNBBurn": true, "interestBNBBurn": false});
    assert_eq!(venue.alice.get("/sapi/v1/bnbBurn", "").await.body, off);
    let burn = venue.alice.send(Method::POST, "/sapi/v1/bnbBurn", "spotBNBBurn=true").await;
    assert_eq!((burn.status, &burn.body), (200, &on));
    assert_eq!(venue.alice.get("/sapi/v1/bnbBurn", "").await.body, on);
    let path = format!("accounts/{}/fee-discount", venue.alice.account);
    assert_eq!(venue.operator(Method::GET, &path, None).await.body["enabled"], true);
    let commission = venue.alice.get("/api/v3/account/commission", "symbol=BTCUSDT").await.body;
    let expected = json!({
        "enabledForAccount": true, "enabledForSymbol": true, "discountAsset": "BNB", "discount": "0.25000000",
    });
    assert_eq!(commission["discount"], expected);
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=9000";
    let asked = format!("{order}&computeCommissionRates=true");
    let test = venue.alice.send(Method::POST, "/api/v3/order/test", &asked).await.body;
    assert_eq!(test["discount"], expected);

    venue.bob.limit("SELL", "0.1", "20000").await;
    let bought = venue.alice.limit("BUY", "0.1", "20000").await;
    // 2,000 USDT are worth 4 BNB.
    let taker: f64 = commission["standardCommission"]["taker"].as_str().unwrap().parse().unwrap();
    let fee = format!("{:.8}", 4.0 * taker * 0.75);
    assert_eq!(bought["fills"][0]["commissionAsset"], "BNB", "{bought}");
    assert_eq!(bought["fills"][0]["commission"], fee);
    let trades = venue.alice.get("/api/v3/myTrades", "symbol=BTCUSDT").await.body;
    assert_eq!((&trades[0]["commission"], &trades[0]["commissionAsset"]), (&json!(fee), &json!("BNB")));
    let others = venue.bob.get("/api/v3/myTrades", "symbol=BTCUSDT").await.body;
    assert_eq!(others[0]["commissionAsset"], "USDT");
    assert_eq!(venue.alice.balance("BTC").await.0, "10.10000000", "nothing is taken of what is received");
    let (free, locked) = venue.alice.balance("BNB").await;
    let left = format!("{:.8}", 1.0 - 4.0 * taker * 0.75);
    assert_eq!((free, locked.as_str()), (left, "0.00000000"));

    for (path, body, status, text) in [
        ("fee-discount", json!({"asset": "NONE", "rates": {"USDT": "1"}}), 404, "no such asset"),
        ("fee-discount", json!({"rates": {"USDT": "1"}}), 400, "asset must name"),
        ("fee-discount", json!({"asset": "BNB", "discount": "1"}), 400, "discount must be"),
        ("fee-discount", json!({"asset": "BNB", "rates": {"USDT": "0"}}), 400, "rates must be"),
        ("fee-discount", json!({"asset": "BNB", "except": ["NONE"]}), 404, "no such market"),
        ("accounts/99999/fee-discount", json!({"enabled": true}), 404, "account"),
        (&path, json!({}), 400, "enabled"),
    ] {
        let reply = venue.operator(Method::PUT, path, Some(body.clone())).await;
        assert!(reply.status == status && reply.text().contains(text), "{body} {reply:?}");
    }
    let unchanged = venue.alice.send(Method::POST, "/sapi/v1/bnbBurn", "interestBNBBurn=true").await;
    assert_eq!(unchanged.body, on, "there is no interest");
    venue.operator(Method::PUT, &path, Some(json!({"enabled": false}))).await;
    assert_eq!(venue.alice.get("/sapi/v1/bnbBurn", "").await.body, off);
    venue.audit().await;
    venue.stop().await;
}
