//! When an account's count of orders is credited.

use crate::rest_venue::Venue;

/// Over a whole day, which a test seldom sees the end of.
const DAY: &str = "x-mbx-order-count-1d";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_trade_do_not_count_whether_they_take_make_or_are_triggered() {
    let venue = Venue::start().await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let order = |side: &str, quantity: &str, price: &str| {
        format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}")
    };
    let counted = async |parameters: &str| {
        let reply = alice.order(parameters).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.header(DAY)
    };
    assert_eq!(counted(&order("BUY", "0.1", "9000")).await, 1);
    bob.limit("SELL", "0.3", "10000").await;
    assert_eq!(counted(&order("BUY", "0.1", "10000")).await, 1, "a taker's first fill gives one back");
    let stop = "symbol=BTCUSDT&side=BUY&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.1&price=10100&stopPrice=10050";
    assert_eq!(counted(stop).await, 2);
    // A trade at 10,050 between others triggers it, and it takes what is left at 10,000 by itself.
    let carol = venue.client("carol").await;
    bob.limit("SELL", "0.1", "10050").await;
    carol.limit("BUY", "0.3", "10050").await;
    let open = alice.get("/api/v3/openOrders", "symbol=BTCUSDT").await.body;
    assert_eq!(open.as_array().unwrap().len(), 2, "the stop order rests now: {open}");
    assert_eq!(counted(&order("BUY", "0.1", "9001")).await, 3, "it has not traded");
    bob.limit("SELL", "0.1", "10100").await;
    assert_eq!(counted(&order("BUY", "0.1", "9002")).await, 1, "a maker's first fill gives five back, but no credit");
    // The second stop order finds something to take.
    let stop = stop.replace("10050", "10200").replace("10100", "10210");
    assert_eq!(counted(&stop).await, 2);
    bob.limit("SELL", "0.1", "10200").await;
    bob.limit("SELL", "0.1", "10205").await;
    carol.limit("BUY", "0.1", "10200").await;
    assert_eq!(counted(&order("BUY", "0.1", "9003")).await, 2, "what is triggered and takes gives one back");
    venue.stop().await;
}
