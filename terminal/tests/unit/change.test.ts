import { expect, test } from "vitest";

import type { Order } from "../../src/api/types";
import { of } from "../../src/decimal";
import { type Scene, plan } from "../../src/orders/change";

const scene: Scene = { last: of("100"), bestBid: of("99"), bestAsk: of("101") };

function order(change: Partial<Order> = {}): Order {
  return {
    symbol: "BTCUSDT",
    orderId: 7,
    orderListId: -1,
    clientOrderId: "mine",
    price: "95",
    origQty: "2",
    executedQty: "0",
    origQuoteOrderQty: "0",
    cummulativeQuoteQty: "0",
    status: "NEW",
    timeInForce: "GTC",
    type: "LIMIT",
    side: "BUY",
    time: 1,
    updateTime: 1,
    isWorking: true,
    ...change,
  };
}
const planned = (seen: Order, price: string, quantity = seen.origQty, now: Order | undefined = seen) =>
  plan(seen, now, of(price), of(quantity), scene);
const refusal = (...values: Parameters<typeof planned>) => {
  const found = planned(...values);
  return found.does === "refuse" ? found.text : found.does;
};
const asked = (...values: Parameters<typeof planned>) => {
  const found = planned(...values);
  return found.does === "ask" ? found.params : found;
};

test("a new order that the venue would refuse is refused before the old one is cancelled", () => {
  const waiting = (type: Order["type"], side: Order["side"]) =>
    order({ type, side, stopPrice: "90", isWorking: false });
  expect(refusal(waiting("STOP_LOSS_LIMIT", "SELL"), "100")).toBe("wouldTrigger");
  expect(refusal(waiting("STOP_LOSS_LIMIT", "SELL"), "99.99")).toBe("ask");
  expect(refusal(waiting("TAKE_PROFIT", "BUY"), "100")).toBe("wouldTrigger");
  expect(refusal(waiting("STOP_LOSS", "BUY"), "99")).toBe("wouldTrigger");
  expect(refusal(waiting("STOP_LOSS", "BUY"), "101")).toBe("ask");
  expect(refusal(order({ type: "LIMIT_MAKER" }), "101")).toBe("wouldTake");
  expect(refusal(order({ type: "LIMIT_MAKER" }), "100.99")).toBe("ask");
  expect(refusal(order({ type: "LIMIT_MAKER", side: "SELL", price: "110" }), "99")).toBe("wouldTake");
  expect(refusal(order(), "101")).toBe("ask");
});

test("an order that was triggered is replaced by a limit order", () => {
  const params = asked(order({ type: "STOP_LOSS_LIMIT", stopPrice: "98", trailingDelta: 100 }), "96");
  expect(params).toMatchObject({ type: "LIMIT", price: "96", timeInForce: "GTC" });
  expect(params).not.toHaveProperty("stopPrice");
  expect(params).not.toHaveProperty("trailingDelta");
});

test("the limit of a waiting order keeps its distance", () => {
  const seen = order({ type: "STOP_LOSS_LIMIT", side: "SELL", stopPrice: "90", price: "89", isWorking: false });
  expect(asked(seen, "92")).toMatchObject({ type: "STOP_LOSS_LIMIT", price: "91", stopPrice: "92" });
});

test("orders of lists and pegged ones can only be made smaller", () => {
  const part = order({ orderListId: 3 });
  expect(refusal(part, "96")).toBe("notDraggable");
  expect(refusal(part, "95", "3")).toBe("notDraggable");
  expect(planned(part, "95", "1")).toMatchObject({ method: "order.amend.keepPriority", params: { newQty: "1" } });
  expect(refusal(order({ pegPriceType: "PRIMARY_PEG" }), "96")).toBe("peggedStays");
});

test("a replacement is of the size that is left of the order as it is now", () => {
  expect(plan(order(), undefined, of("96"), of("2"), scene)).toEqual({ does: "refuse", text: "goneMeanwhile" });
  expect(refusal(order(), "96", "2", order({ executedQty: "0.5" }))).toBe("changedMeanwhile");
  expect(refusal(order({ isWorking: false, stopPrice: "90" }), "96", "2", order())).toBe("changedMeanwhile");
  expect(asked(order(), "96")).toMatchObject({ quantity: "2", cancelRestrictions: "ONLY_NEW" });
  const partly = order({ executedQty: "0.5", preventedQuantity: "0.2", selfTradePreventionMode: "DECREMENT" });
  expect(asked(partly, "96")).toMatchObject({ quantity: "1.3", selfTradePreventionMode: "DECREMENT" });
  expect(asked(partly, "96")).not.toHaveProperty("cancelRestrictions");
  expect(refusal(partly, "96", "0.7")).toBe("nothingLeft");
  expect(refusal(partly, "95")).toBe("nothing");
});
