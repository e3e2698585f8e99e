// What a trader does: place, cancel, change. Each outcome is told in words, also if no answer came.

import { NoAnswer, Refusal, depth, pause } from "../api/rest";
import type { ExecutionReport, Order, Side } from "../api/types";
import { type Decimal, ZERO, abs, div, of, plain, shown } from "../decimal";
import { amount } from "../format";
import type { Key } from "../i18n/en";
import { refusal, t } from "../i18n/locale.svelte";
import { type Scene, crosses, immovable as fixedBy, movedPrice, plan, restOf } from "../orders/change";
import { type Draft, emptyDraft, hasPrice, hasStop, isList, ordersOf, request, resetRare } from "../orders/draft";
import { outcome } from "../orders/outcome";
import { account, keyOf } from "./account.svelte";
import { feed } from "./feed.svelte";
import type { Market } from "./market";
import { notices } from "./notices.svelte";
import { preferences } from "./preferences.svelte";
import { screen } from "./screen.svelte";

export { movedPrice, restOf, shownPrice } from "../orders/change";

/** The draft in the order form. */
class Ticket {
  draft = $state<Draft>(emptyDraft());
  /** Whether nobody knows yet what became of the last order. */
  isSending = $state(false);

  /** Takes a price that somebody pointed at. */
  takePrice(price: Decimal): void {
    const text = plain(price);
    const { draft } = this;
    if (draft.kind === "OCO") draft.take[hasStop(draft.take.type) ? "stopPrice" : "price"] = text;
    else if (hasPrice(draft.main.type)) draft.main.price = text;
    else if (hasStop(draft.main.type)) draft.main.stopPrice = text;
    else {
      this.setKind("LIMIT");
      draft.main.price = text;
    }
  }

  setKind(kind: Draft["kind"]): void {
    const { draft } = this;
    if (kind !== draft.kind) resetRare(draft);
    draft.kind = kind;
    if (kind !== "MARKET") draft.isByAmount = false;
    if (!isList(kind)) draft.main.type = kind;
    else if (kind !== "OCO" && draft.main.type !== "LIMIT" && draft.main.type !== "LIMIT_MAKER")
      draft.main.type = "LIMIT";
    if (kind === "OPO" || kind === "OPOCO") draft.side = "BUY";
  }

  /** For another market: prices and quantities of the old one mean nothing there. */
  clear(): void {
    const { kind, side } = this.draft;
    this.draft = emptyDraft();
    this.setKind(kind);
    this.draft.side = kind === "OPO" || kind === "OPOCO" ? "BUY" : side;
  }
}

export const ticket = new Ticket();

/** Tells of a failure; true if nobody knows the outcome. */
function tellFailure(error: unknown, title = t("refused"), unknown = t("unknownChange")): boolean {
  if (error instanceof NoAnswer) {
    notices.say("bad", unknown);
    return true;
  }
  if (error instanceof Refusal) {
    const halves = halvesOf(error);
    notices.say("bad", title, halves ?? `${refusal(error.code, error.message)} (${error.code}: ${error.message})`);
  } else {
    notices.say("bad", title, String(error));
  }
  return false;
}

interface Halves {
  cancelResult?: string;
  newOrderResult?: string;
  cancelResponse?: { code?: number; msg?: string } | null;
  newOrderResponse?: { code?: number; msg?: string } | null;
}

/** Whether a replacement cancelled the old order and then placed none. */
function isGone({ code, data }: Refusal): boolean {
  const { cancelResult, newOrderResult } = (data ?? {}) as Halves;
  return code === -2021 && cancelResult === "SUCCESS" && newOrderResult !== "SUCCESS";
}

/** Of a replacement, why each half failed. */
function halvesOf(error: Refusal): string | null {
  const { code, data } = error;
  if (code !== -2021 && code !== -2022) return null;
  const { cancelResponse, newOrderResponse } = (data ?? {}) as Halves;
  const failed = [cancelResponse, newOrderResponse].filter((half) => half?.code !== undefined && half.code < 0);
  const said = failed.map((half) => `${refusal(half!.code!, half!.msg ?? "")} (${half!.code}: ${half!.msg})`);
  return (isGone(error) ? said : [refusal(code, ""), ...said]).join(" ");
}

/** Places what the draft says; true if the venue took it. Where no answer comes, it lasts until that is known. */
export async function submit(draft: Draft, market: Market): Promise<boolean> {
  const asked = request(draft, market.symbol);
  try {
    await account.call(asked.method, asked.params);
    if (isList(draft.kind)) notices.say("good", t("listPlaced"), describe(draft, market));
    return true;
  } catch (error) {
    const isUnknown = tellFailure(error, t("refused"), t("unknownOutcome"));
    return isUnknown && (await lookFor(market.symbol, asked.name, isList(draft.kind)));
  }
}

/** Each order that the draft asks for, in words, as it is sent. */
export function describeAll(draft: Draft, market: Market): { side: Side; text: string; more: string }[] {
  return ordersOf(request(draft, market.symbol)).map((order) => {
    const size = order.quantity
      ? `${order.quantity} ${order.isByAmount ? market.quote : market.base}`
      : t("asMuchAsBought", { asset: market.base });
    const price = order.price ? ` @ ${order.price} ${market.quote}` : "";
    const pegged = order.peg && t(`peg_${order.peg}` as Key) + (order.pegOffset && ` + ${order.pegOffset}`);
    const parts = [
      t(`type_${order.type}` as Key),
      order.stopPrice && `${t("stopPrice")} ${order.stopPrice} ${market.quote}`,
      order.trail && `${t("trail")} ${order.trail} %`,
      pegged && `${t("peg")}: ${pegged}`,
      order.iceberg && `${t("iceberg")} ${order.iceberg} ${market.base}`,
      order.timeInForce && order.timeInForce !== "GTC" && t(`tif_${order.timeInForce}` as Key),
    ];
    const side = t(order.side === "BUY" ? "buy" : "sell");
    return { side: order.side, text: `${side} ${size}${price}`, more: parts.filter(Boolean).join(" · ") };
  });
}

const describe = (draft: Draft, market: Market): string =>
  describeAll(draft, market)
    .map(({ text }) => text)
    .join(", ");

/** Finds out what happened to an order, or a list, of which no answer came; true if the venue took it. */
async function lookFor(symbol: string, name: string, isList: boolean): Promise<boolean> {
  const { visitor } = account;
  const found = await outcome({
    find: () => account.find(symbol, name, isList),
    isWanted: () => account.isIn && account.visitor === visitor,
    now: () => performance.now(),
    pause,
  });
  if (found === "none") notices.say("bad", t("notFound"));
  else if (found) notices.say("good", t("found"), "origQty" in found ? `${found.origQty} ${symbol}` : symbol);
  return found !== null && found !== "none";
}

export async function cancel(order: Order): Promise<void> {
  try {
    if (order.orderListId >= 0) {
      await account.call("orderList.cancel", { symbol: order.symbol, orderListId: order.orderListId });
    } else {
      await account.call("order.cancel", { symbol: order.symbol, orderId: order.orderId });
    }
  } catch (error) {
    tellFailure(error);
  }
}

/** The orders of a side; those that wait for another order of their list are not yet in the market. */
export const cancellable = (orders: Order[], symbol: string, side: Side): Order[] =>
  orders.filter((order) => order.symbol === symbol && order.side === side && order.status !== "PENDING_NEW");

/** Cancels all open orders of a market, or those of one side. */
export async function cancelAll(symbol: string, side: Side | null): Promise<void> {
  if (side === null) {
    await account.call("openOrders.cancelAll", { symbol }).catch((error: unknown) => void tellFailure(error));
    return;
  }
  const lists = new Set<number>();
  for (const order of cancellable(account.open, symbol, side)) {
    if (order.orderListId >= 0) {
      if (lists.has(order.orderListId)) continue;
      lists.add(order.orderListId);
    }
    await cancel(order);
  }
}

/** Why an order cannot be moved, in words; null if it can. */
export function immovable(order: Order): string | null {
  const why = fixedBy(order);
  return why && t(why);
}

/** Where a market is now; a book that is not kept here is asked for, where it matters. */
async function sceneOf(symbol: string, needsBook: boolean): Promise<Scene> {
  const isHere = feed.market?.symbol === symbol;
  const last = isHere ? feed.last : (feed.tickers.get(symbol)?.last ?? ZERO);
  if (isHere && feed.isCurrent) return { last, bestBid: feed.book.bestBid, bestAsk: feed.book.bestAsk };
  if (!needsBook) return { last, bestBid: null, bestAsk: null };
  const { bids, asks } = await depth(symbol);
  const best = (side: [string, string][]) => (side[0] ? of(side[0][0]) : null);
  return { last, bestBid: best(bids), bestAsk: best(asks) };
}

/** Changes an order: a smaller quantity alone keeps its place; anything else is a new order in its place. */
export async function change(order: Order, price: Decimal, quantity: Decimal): Promise<boolean> {
  try {
    const scene = await sceneOf(order.symbol, order.type === "LIMIT_MAKER");
    const planned = plan(order, account.orders.get(keyOf(order)), price, quantity, scene);
    if (planned.does === "nothing") return true;
    if (planned.does === "refuse") {
      notices.say("bad", t("refused"), t(planned.text));
      return false;
    }
    await account.call(planned.method, planned.params);
    notices.say("good", t("changed"), `${plain(quantity)} @ ${plain(price)}`);
    return true;
  } catch (error) {
    if (error instanceof Refusal && isGone(error)) notices.say("bad", t("oldIsGone"), halvesOf(error) ?? "");
    else tellFailure(error);
    return false;
  }
}

/** Moves an order that was dragged; one that would trade at once is asked about, if orders are. */
export async function move(order: Order, price: Decimal): Promise<boolean> {
  if (preferences.value.confirm && order.isWorking) {
    let isTaker = false;
    try {
      isTaker = crosses(order.side, price, await sceneOf(order.symbol, true));
    } catch (error) {
      tellFailure(error);
      return false;
    }
    const what = `${t(order.side === "BUY" ? "buy" : "sell")} ${plain(restOf(order))} @ ${plain(price)}`;
    if (isTaker && !(await screen.ask(t("moveTitle"), `${what}. ${t("moveTakes")}`, t("moveDo")))) return false;
  }
  return change(order, price, of(order.origQty));
}

/** What happens to orders, in words. */
function tellReport(report: ExecutionReport): void {
  const market = feed.markets.find(({ symbol }) => symbol === report.s);
  const side = t(report.S === "BUY" ? "buy" : "sell");
  const about = keyOf({ symbol: report.s, orderId: report.i });
  const digits = market?.priceDigits ?? 2;
  const price = (text: string) => (of(text) > ZERO ? ` @ ${shown(of(text), digits)}` : "");
  const text = (quantity: string, at: string) =>
    `${side} ${amount(of(quantity), 0)} ${market?.base ?? report.s}${price(at)}`;
  if (report.x === "TRADE") {
    const title = report.X === "FILLED" ? t("orderFilled") : t("orderPartly");
    // What it has come to so far, and at which price on average.
    const price = plain(div(of(report.Z), of(report.z)));
    notices.say("good", title, text(report.z, price), { loud: true, about });
  } else if (report.x === "NEW" && report.g < 0 && !account.orders.has(about)) {
    notices.say("plain", t("placed"), text(report.q, of(report.p) > ZERO ? report.p : report.P), { about });
  } else if (report.x === "CANCELED") {
    notices.say("plain", t("cancelled"), text(report.q, of(report.p) > ZERO ? report.p : report.P), { about });
  } else if (report.x === "EXPIRED" && report.g < 0) {
    notices.say("plain", t("expired"), text(report.q, report.p), { about });
  }
}

/** Prices that somebody wants to be told of. */
const seen = new Map<string, Decimal>();

function watchPrice(symbol: string, price: Decimal): void {
  const before = seen.get(symbol);
  seen.set(symbol, price);
  if (before === undefined || price <= ZERO) return;
  const due = preferences.value.alerts.filter((alert) => {
    const at = of(alert.price);
    return alert.symbol === symbol && (alert.isAbove ? price >= at : price <= at);
  });
  if (due.length === 0) return;
  for (const alert of due)
    notices.say("good", t("alertReached", { market: symbol, price: alert.price }), "", { loud: true });
  preferences.set(
    "alerts",
    preferences.value.alerts.filter((alert) => !due.includes(alert)),
  );
}

export function addAlert(symbol: string, price: Decimal): void {
  const now = seen.get(symbol) ?? feed.last;
  const alerts = preferences.value.alerts;
  const id = alerts.reduce((most, alert) => Math.max(most, alert.id), 0) + 1;
  preferences.set("alerts", [...alerts, { id, symbol, price: plain(price), isAbove: price > now }]);
}

/** Logs out; a key pair that was made here cannot be had again, so that it is asked about. */
export async function logOut(): Promise<void> {
  const isPair = account.publicKey !== null;
  if (isPair && !(await screen.ask(t("logOutTitle"), t("logOutDeletes"), t("logOut")))) return;
  await account.logOut();
}

/** Tells of what happens to the account. */
export function listen(): void {
  account.listener = {
    report: tellReport,
    deposit: (asset, value) => {
      const title = value > ZERO ? t("deposited") : t("withdrawn");
      notices.say("good", title, `${amount(abs(value))} ${asset}`, { loud: true });
    },
    denied: ({ code, message }) => notices.say("bad", t("denied"), `${refusal(code, message)} (${code}: ${message})`),
  };
  feed.onPrice = watchPrice;
}
