// An order, or a list of orders, as somebody fills it in: texts, as typed. What it asks of the venue is `request`.

import type { OrderType, SelfTradeMode, Side, TimeInForce } from "../api/types";

export const LISTS = ["OCO", "OTO", "OTOCO", "OPO", "OPOCO"] as const;
export const SINGLES = [
  "LIMIT",
  "MARKET",
  "LIMIT_MAKER",
  "STOP_LOSS_LIMIT",
  "STOP_LOSS",
  "TAKE_PROFIT_LIMIT",
  "TAKE_PROFIT",
] as const satisfies readonly OrderType[];

export type ListKind = (typeof LISTS)[number];
export type Kind = OrderType | ListKind;
export const isList = (kind: Kind): kind is ListKind => (LISTS as readonly string[]).includes(kind);

export const PEGS = ["", "PRIMARY_PEG", "MARKET_PEG"] as const;
export type Peg = (typeof PEGS)[number];

/** One order, without side and quantity. */
export interface Leg {
  type: OrderType;
  price: string;
  stopPrice: string;
  /** In percent; empty: it does not trail. */
  trail: string;
  timeInForce: TimeInForce;
  iceberg: string;
  peg: Peg;
  /** Price levels behind the one that it is pegged to. */
  pegOffset: string;
}

export interface Draft {
  kind: Kind;
  side: Side;
  /** Of the base asset, or of the quote asset for a market order by amount. */
  quantity: string;
  isByAmount: boolean;
  /** The order itself, or the working order of a list. */
  main: Leg;
  /** The pending order of OTO and OPO. */
  pending: Leg;
  pendingSide: Side;
  pendingQuantity: string;
  /** The two of a pair: the one that waits for a better price, and the one that limits the loss. */
  take: Leg;
  stop: Leg;
  selfTrade: SelfTradeMode | "";
}

export const leg = (type: OrderType): Leg => ({
  type,
  price: "",
  stopPrice: "",
  trail: "",
  timeInForce: "GTC",
  iceberg: "",
  peg: "",
  pegOffset: "",
});

export const emptyDraft = (): Draft => ({
  kind: "LIMIT",
  side: "BUY",
  quantity: "",
  isByAmount: false,
  main: leg("LIMIT"),
  pending: leg("LIMIT"),
  pendingSide: "SELL",
  pendingQuantity: "",
  take: leg("LIMIT_MAKER"),
  stop: leg("STOP_LOSS"),
  selfTrade: "",
});

/** Whether one of the fields that are not always shown counts. */
export const hasRare = (draft: Draft): boolean =>
  draft.selfTrade !== "" ||
  [draft.main, draft.pending, draft.take, draft.stop].some(
    (one) => one.trail !== "" || one.timeInForce !== "GTC" || one.iceberg !== "" || one.peg !== "",
  );

/** Forgets the fields that are not always shown, so that none of them counts without being seen. */
export function resetRare(draft: Draft): void {
  for (const one of [draft.main, draft.pending, draft.take, draft.stop]) {
    Object.assign(one, { trail: "", timeInForce: "GTC", iceberg: "", peg: "", pegOffset: "" } satisfies Partial<Leg>);
  }
  draft.selfTrade = "";
}

export const hasPrice = (type: OrderType): boolean => !["MARKET", "STOP_LOSS", "TAKE_PROFIT"].includes(type);
export const hasStop = (type: OrderType): boolean => type.startsWith("STOP_LOSS") || type.startsWith("TAKE_PROFIT");
export const hasTimeInForce = (type: OrderType): boolean => hasPrice(type) && type !== "LIMIT_MAKER";
export const hasWorking = (kind: Kind): boolean => isList(kind) && kind !== "OCO";
export const hasPair = (kind: Kind): boolean => kind === "OCO" || kind === "OTOCO" || kind === "OPOCO";
export const hasPending = (kind: Kind): boolean => kind === "OTO" || kind === "OPO";
/** Whether what the pending orders sell is what the working order bought. */
export const isFromWorking = (kind: Kind): boolean => kind === "OPO" || kind === "OPOCO";

/** The side of the pair of a list. */
export function pairSide(draft: Draft): Side {
  if (draft.kind === "OCO") return draft.side;
  if (draft.kind === "OPOCO") return "SELL";
  return draft.side === "BUY" ? "SELL" : "BUY";
}

export interface Request {
  method: string;
  params: Record<string, string | number>;
  /** The name by which its outcome can be found if no answer comes. */
  name: string;
}

/** A name for an order, which the venue has not seen. */
export function newName(prefix = "web"): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `${prefix}-${[...bytes].map((byte) => byte.toString(36).padStart(2, "0")).join("")}`;
}

type Params = Record<string, string | number>;

/** Fields of a leg; `prefix` is empty for a single order, and else the first word of each name. */
function legParams(leg: Leg, prefix: string, withTrail = true): Params {
  const params: Params = {};
  const named = (name: string) => (prefix ? prefix + name : name.charAt(0).toLowerCase() + name.slice(1));
  const put = (name: string, value: string | number) => {
    if (value !== "") params[named(name)] = value;
  };
  put("Type", leg.type);
  const isPegged = hasPrice(leg.type) && leg.peg !== "";
  if (hasPrice(leg.type) && !isPegged) put("Price", leg.price);
  if (hasTimeInForce(leg.type)) put("TimeInForce", leg.timeInForce);
  if (hasStop(leg.type)) {
    put("StopPrice", leg.stopPrice);
    // A hundredth of a percent is the unit.
    if (withTrail && leg.trail !== "") put("TrailingDelta", Math.round(Number(leg.trail) * 100));
  }
  if (hasPrice(leg.type) && leg.iceberg !== "") put("IcebergQty", leg.iceberg);
  if (isPegged) {
    put("PegPriceType", leg.peg);
    if (leg.pegOffset !== "" && leg.pegOffset !== "0") {
      put("PegOffsetType", "PRICE_LEVEL");
      put("PegOffsetValue", Number(leg.pegOffset));
    }
  }
  return params;
}

/** Above and below of a pair: a sale takes its profit above, a purchase below. */
function pairParams(draft: Draft, prefix: string): Params {
  const [above, below] = pairSide(draft) === "SELL" ? [draft.take, draft.stop] : [draft.stop, draft.take];
  const [high, low] = prefix ? [`${prefix}Above`, `${prefix}Below`] : ["above", "below"];
  return { ...legParams(above, high), ...legParams(below, low) };
}

/** An order as the venue is asked for it, to be confirmed. */
export interface Asked {
  side: Side;
  type: OrderType;
  /** Empty: as much as the working order brings. */
  quantity: string;
  isByAmount: boolean;
  price: string;
  stopPrice: string;
  /** In percent. */
  trail: string;
  timeInForce: string;
  iceberg: string;
  peg: string;
  pegOffset: string;
}

/** The orders that a request asks for, read from what is sent. */
export function ordersOf({ params }: Pick<Request, "params">): Asked[] {
  const text = (...names: string[]) => {
    const found = names.find((name) => params[name] !== undefined);
    return found === undefined ? "" : String(params[found]);
  };
  const orders: Asked[] = [];
  for (const prefix of ["", "working", "pending", "above", "below", "pendingAbove", "pendingBelow"]) {
    const named = (name: string) => (prefix ? prefix + name : name.charAt(0).toLowerCase() + name.slice(1));
    const get = (name: string) => text(named(name));
    if (!get("Type")) continue;
    const group = prefix.startsWith("pending") ? "pending" : prefix === "working" ? "working" : "";
    const size = group ? `${group}Quantity` : "quantity";
    const trail = get("TrailingDelta");
    orders.push({
      side: text(group ? `${group}Side` : "side") as Side,
      type: get("Type") as OrderType,
      quantity: text(size, ...(group ? [] : ["quoteOrderQty"])),
      isByAmount: !group && params["quoteOrderQty"] !== undefined,
      price: get("Price"),
      stopPrice: get("StopPrice"),
      trail: trail && String(Number(trail) / 100),
      timeInForce: get("TimeInForce"),
      iceberg: get("IcebergQty"),
      peg: get("PegPriceType"),
      pegOffset: get("PegOffsetValue"),
    });
  }
  return orders;
}

export function request(draft: Draft, symbol: string): Request {
  const name = newName();
  const common: Params = { symbol, newOrderRespType: "RESULT" };
  if (draft.selfTrade) common["selfTradePreventionMode"] = draft.selfTrade;
  if (!isList(draft.kind)) {
    const size = draft.kind === "MARKET" && draft.isByAmount ? "quoteOrderQty" : "quantity";
    const params = { ...common, side: draft.side, ...legParams(draft.main, ""), [size]: draft.quantity };
    return { method: "order.place", params: { ...params, newClientOrderId: name }, name };
  }
  const method = `orderList.place.${draft.kind.toLowerCase()}`;
  const params: Params = { ...common, listClientOrderId: name };
  if (draft.kind === "OCO") {
    return {
      method,
      params: { ...params, side: draft.side, quantity: draft.quantity, ...pairParams(draft, "") },
      name,
    };
  }
  const workingSide = isFromWorking(draft.kind) ? "BUY" : draft.side;
  Object.assign(params, { workingSide, workingQuantity: draft.quantity }, legParams(draft.main, "working", false));
  if (hasPair(draft.kind)) {
    Object.assign(params, { pendingSide: pairSide(draft) }, pairParams(draft, "pending"));
    if (draft.kind === "OTOCO") params["pendingQuantity"] = draft.pendingQuantity || draft.quantity;
  } else {
    const isOpo = draft.kind === "OPO";
    Object.assign(params, { pendingSide: isOpo ? "SELL" : draft.pendingSide }, legParams(draft.pending, "pending"));
    if (!isOpo) params["pendingQuantity"] = draft.pendingQuantity || draft.quantity;
  }
  return { method, params, name };
}
