// What a change of an order asks of the venue, and what is refused before anything is asked: a replacement cancels
// first, so that a new order which the venue refuses leaves nothing.

import type { Order, Side } from "../api/types";
import { type Decimal, ZERO, of, plain } from "../decimal";
import type { Key } from "../i18n/en";
import { hasPrice, hasStop, hasTimeInForce, newName } from "./draft";

/** Where the market is. */
export interface Scene {
  last: Decimal;
  bestBid: Decimal | null;
  bestAsk: Decimal | null;
}

export type Plan =
  | { does: "nothing" }
  | { does: "refuse"; text: Key }
  | { does: "ask"; method: string; params: Record<string, string | number> };

/** Which price of an order is moved: that at which it waits, or its limit. */
export const movedPrice = (order: Order): "stopPrice" | "price" =>
  order.stopPrice && of(order.stopPrice) > ZERO && !order.isWorking ? "stopPrice" : "price";

export const shownPrice = (order: Order): Decimal => of(order[movedPrice(order)]);

/** Why an order can only be made smaller; null if it can be moved. */
export function immovable(order: Order): Key | null {
  if (order.orderListId >= 0) return "notDraggable";
  return order.pegPriceType ? "peggedStays" : null;
}

/** Whether an order at that price would trade at once. */
export function crosses(side: Side, price: Decimal, { bestBid, bestAsk }: Scene): boolean {
  return side === "BUY" ? bestAsk !== null && price >= bestAsk : bestBid !== null && price <= bestBid;
}

/** Whether an order that waits at that price would be triggered at once. */
export function triggers(order: Order, stop: Decimal, { last }: Scene): boolean {
  if (last <= ZERO) return false;
  const waitsAbove = order.type.startsWith("STOP_LOSS") === (order.side === "BUY");
  return waitsAbove ? stop <= last : stop >= last;
}

/** What is left of an order. */
export const restOf = (order: Order): Decimal =>
  of(order.origQty) - of(order.executedQty) - of(order.preventedQuantity);

/** `seen` is the order as it was shown; `now` as it is, if it is still open. */
export function plan(seen: Order, now: Order | undefined, price: Decimal, quantity: Decimal, scene: Scene): Plan {
  const refuse = (text: Key): Plan => ({ does: "refuse", text });
  if (!now) return refuse("goneMeanwhile");
  const changed = (["executedQty", "origQty", "preventedQuantity"] as const).some(
    (field) => of(now[field]) !== of(seen[field]),
  );
  if (changed || now.isWorking !== seen.isWorking) return refuse("changedMeanwhile");
  const samePrice = price === shownPrice(seen);
  const all = of(now.origQty);
  if (samePrice && quantity === all) return { does: "nothing" };
  if (all - quantity >= restOf(now)) return refuse("nothingLeft");
  if (samePrice && quantity < all) {
    const { symbol, orderId, clientOrderId } = now;
    const params = { symbol, orderId, newQty: plain(quantity), newClientOrderId: clientOrderId };
    return { does: "ask", method: "order.amend.keepPriority", params };
  }
  const fixed = immovable(now);
  if (fixed) return refuse(fixed);
  if (now.type === "LIMIT_MAKER" && crosses(now.side, price, scene)) return refuse("wouldTake");
  if (movedPrice(now) === "stopPrice" && triggers(now, price, scene)) {
    return refuse("wouldTrigger");
  }
  return { does: "ask", method: "order.cancelReplace", params: replacement(now, price, quantity) };
}

function replacement(order: Order, price: Decimal, quantity: Decimal): Record<string, string | number> {
  const moved = movedPrice(order);
  // One that was triggered rests as a limit order; its trigger is of the past.
  const type = hasStop(order.type) && hasPrice(order.type) && order.isWorking ? "LIMIT" : order.type;
  const params: Record<string, string | number> = {
    symbol: order.symbol,
    side: order.side,
    type,
    cancelReplaceMode: "STOP_ON_FAILURE",
    cancelOrderId: order.orderId,
    newClientOrderId: newName(),
    newOrderRespType: "RESULT",
    // What has been filled, or prevented, stays so; what is left is what is placed.
    quantity: plain(quantity - of(order.executedQty) - of(order.preventedQuantity)),
  };
  if (of(order.executedQty) === ZERO) params["cancelRestrictions"] = "ONLY_NEW";
  if (order.selfTradePreventionMode) params["selfTradePreventionMode"] = order.selfTradePreventionMode;
  if (hasPrice(type)) {
    let limit = of(order.price);
    if (moved === "price") limit = price;
    // The limit keeps its distance from a stop price that moves.
    else if (limit > ZERO) limit += price - of(order.stopPrice);
    params["price"] = plain(limit);
    if (hasTimeInForce(type)) params["timeInForce"] = order.timeInForce;
    if (of(order.icebergQty) > ZERO) params["icebergQty"] = plain(of(order.icebergQty));
  }
  if (hasStop(type)) {
    if (moved === "stopPrice") params["stopPrice"] = plain(price);
    if (order.trailingDelta) params["trailingDelta"] = order.trailingDelta;
  }
  return params;
}
