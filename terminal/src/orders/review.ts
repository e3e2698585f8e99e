// Looks at a draft before it is sent: what it breaks of the market's filters, what it costs at the most, and the fee.
// The venue has the last word.

import { type Book, walk } from "../book";
import { type Decimal, ZERO, digitsOf, isMultiple, max, min, mul, mulUp, of, parse, plain } from "../decimal";
import type { FeeRates } from "../state/account.svelte";
import { type Market, bound, filterOf } from "../state/market";
import type { Side } from "../api/types";
import {
  type Draft,
  type Leg,
  hasPair,
  hasPending,
  hasPrice,
  hasStop,
  hasWorking,
  isFromWorking,
  isList,
  pairSide,
} from "./draft";

export type Where = "main" | "pending" | "take" | "stop";
export type Field = "price" | "stopPrice" | "trail" | "quantity" | "iceberg" | "pegOffset" | "balance" | "market";

/** What is wrong: the key of a text, with what to put into it. */
export interface Problem {
  where: Where;
  field: Field;
  text: string;
  values: Record<string, string>;
}

export interface Review {
  problems: Problem[];
  /** What it holds or pays at the most, of `spends`. Null: nobody can say. */
  cost: Decimal | null;
  spends: string;
  /** What it brings at the least, after fees, of `brings`. Null: nobody can say. */
  result: Decimal | null;
  brings: string;
  /** The most that the fee comes to, of `brings`. */
  fee: Decimal | null;
  /** Price at which it would trade at the worst, if it took from the book as it is now. */
  worst: Decimal | null;
  /** Whether the book, as it is now, holds less than a market order asks for. */
  isShort: boolean;
  /** Whether cost or result depend on a book that may move. */
  isEstimate: boolean;
}

export interface Context {
  market: Market;
  book: Book;
  /** Whether the book is that of the venue now. */
  isCurrent: boolean;
  last: Decimal;
  free: (asset: string) => Decimal;
  fees: FeeRates | undefined;
  openOrders: number;
  openAlgos: number;
}

class Checker {
  readonly problems: Problem[] = [];

  constructor(private readonly context: Context) {}

  say(where: Where, field: Field, text: string, values: Record<string, string> = {}): void {
    this.problems.push({ where, field, text, values });
  }

  /** A number that must be there, and be positive. */
  private positive(where: Where, field: Field, text: string): Decimal | null {
    if (text.trim() === "") {
      this.say(where, field, "needed");
      return null;
    }
    const value = parse(text);
    if (value === null || value <= ZERO) {
      this.say(where, field, "notANumber");
      return null;
    }
    return value;
  }

  price(where: Where, field: "price" | "stopPrice", text: string, side: Side): Decimal | null {
    const { market } = this.context;
    const value = this.positive(where, field, text);
    if (value === null) return null;
    const [least, most] = [bound(market, "PRICE_FILTER", "minPrice"), bound(market, "PRICE_FILTER", "maxPrice")];
    if (!isMultiple(value, market.tick)) this.say(where, field, "notATick", { step: plain(market.tick) });
    else if (value < least) this.say(where, field, "tooLow", { bound: plain(least) });
    else if (most > ZERO && value > most) this.say(where, field, "tooHigh", { bound: plain(most) });
    else if (field === "price") this.band(where, value, side);
    return value;
  }

  /** The band around the last price; the venue may take an average of minutes instead. */
  private band(where: Where, value: Decimal, side: Side): void {
    const { market, last } = this.context;
    if (last <= ZERO) return;
    const bySide = filterOf(market, "PERCENT_PRICE_BY_SIDE");
    const type = bySide ? "PERCENT_PRICE_BY_SIDE" : "PERCENT_PRICE";
    const prefix = bySide ? (side === "BUY" ? "bidMultiplier" : "askMultiplier") : "multiplier";
    const [up, down] = [bound(market, type, `${prefix}Up`), bound(market, type, `${prefix}Down`)];
    const [high, low] = [mul(last, up), mul(last, down)];
    if (up > ZERO && value > high) this.say(where, "price", "tooFarAbove", { bound: shortened(high, market) });
    else if (value < low) this.say(where, "price", "tooFarBelow", { bound: shortened(low, market) });
  }

  quantity(where: Where, text: string, isMarket: boolean): Decimal | null {
    const { market } = this.context;
    const value = this.positive(where, "quantity", text);
    if (value === null) return null;
    const least = bound(market, "LOT_SIZE", "minQty");
    let most = bound(market, "LOT_SIZE", "maxQty");
    const marketMost = bound(market, "MARKET_LOT_SIZE", "maxQty");
    if (isMarket && marketMost > ZERO) most = min(most, marketMost);
    if (!isMultiple(value, market.step)) this.say(where, "quantity", "notAStep", { step: plain(market.step) });
    else if (value < least) this.say(where, "quantity", "tooLow", { bound: plain(least) });
    else if (most > ZERO && value > most) this.say(where, "quantity", "tooHigh", { bound: plain(most) });
    return value;
  }

  notional(where: Where, amount: Decimal, isMarket: boolean): void {
    const { market } = this.context;
    const type = filterOf(market, "NOTIONAL") ? "NOTIONAL" : "MIN_NOTIONAL";
    const filter = filterOf(market, type);
    if (!filter || (isMarket && filter["applyMinToMarket"] === false)) return;
    const [least, most] = [bound(market, type, "minNotional"), bound(market, type, "maxNotional")];
    if (amount < least) this.say(where, "quantity", "worthTooLittle", { bound: `${plain(least)} ${market.quote}` });
    else if (!isMarket && most > ZERO && amount > most) {
      this.say(where, "quantity", "worthTooMuch", { bound: `${plain(most)} ${market.quote}` });
    }
  }

  /** Everything about a leg but its quantity; its price, if it has one. */
  leg(where: Where, leg: Leg, side: Side, quantity: Decimal | null): Decimal | null {
    let price: Decimal | null = null;
    if (hasPrice(leg.type)) {
      if (leg.peg === "") price = this.price(where, "price", leg.price, side);
      else if (leg.pegOffset !== "" && !/^\d{1,3}$/.test(leg.pegOffset)) this.say(where, "pegOffset", "notANumber");
    }
    if (hasStop(leg.type)) {
      const isTrailing = leg.trail !== "";
      if (!isTrailing || leg.stopPrice !== "") this.price(where, "stopPrice", leg.stopPrice, side);
      if (isTrailing) this.trail(where, leg.trail);
    }
    if (hasPrice(leg.type) && leg.iceberg !== "") this.iceberg(where, leg, quantity);
    if (quantity !== null && price !== null) this.notional(where, mul(price, quantity), false);
    return price;
  }

  private trail(where: Where, text: string): void {
    const { market } = this.context;
    const value = parse(text);
    if (value === null || value <= ZERO) return this.say(where, "trail", "notANumber");
    const points = mul(value, of("100"));
    const type = "TRAILING_DELTA";
    const names = ["minTrailingAboveDelta", "minTrailingBelowDelta"].map((name) => bound(market, type, name));
    const least = names.reduce((a, b) => min(a, b));
    const most = max(bound(market, type, "maxTrailingAboveDelta"), bound(market, type, "maxTrailingBelowDelta"));
    if (points < least) this.say(where, "trail", "tooLow", { bound: `${Number(plain(least)) / 100} %` });
    else if (most > ZERO && points > most) {
      this.say(where, "trail", "tooHigh", { bound: `${Number(plain(most)) / 100} %` });
    }
  }

  private iceberg(where: Where, leg: Leg, quantity: Decimal | null): void {
    const { market } = this.context;
    const visible = this.positive(where, "iceberg", leg.iceberg);
    if (visible === null) return;
    const parts = bound(market, "ICEBERG_PARTS", "limit");
    if (!isMultiple(visible, market.step)) this.say(where, "iceberg", "notAStep", { step: plain(market.step) });
    else if (leg.type !== "LIMIT_MAKER" && leg.timeInForce !== "GTC") this.say(where, "iceberg", "onlyGtc");
    else if (quantity !== null && visible > quantity) this.say(where, "iceberg", "moreThanAll");
    else if (quantity !== null && parts > ZERO && visible * (parts / of("1")) < quantity) {
      this.say(where, "iceberg", "tooManyParts", { bound: plain(parts) });
    }
  }

  counts(orders: number, algos: number): void {
    const { market, openOrders, openAlgos } = this.context;
    const most = Number(plain(bound(market, "MAX_NUM_ORDERS", "maxNumOrders")));
    const mostAlgos = Number(plain(bound(market, "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders")));
    if (most > 0 && openOrders + orders > most) this.say("main", "market", "tooManyOrders", { bound: String(most) });
    else if (mostAlgos > 0 && algos > 0 && openAlgos + algos > mostAlgos) {
      this.say("main", "market", "tooManyStops", { bound: String(mostAlgos) });
    }
  }
}

const shortened = (value: Decimal, market: Market) => plain(value - (value % market.tick));

/** The prices of a pair must be on their sides of the market. */
function checkPair(check: Checker, draft: Draft, last: Decimal): void {
  const side = pairSide(draft);
  const at = (leg: Leg) => parse(hasStop(leg.type) ? leg.stopPrice : leg.price);
  const [take, stop] = [at(draft.take), at(draft.stop)];
  const isSale = side === "SELL";
  const wrong = (value: Decimal | null, isAbove: boolean) =>
    value !== null && value > ZERO && last > ZERO && (isAbove ? value <= last : value >= last);
  if (draft.kind !== "OCO") {
    if (take !== null && stop !== null && take > ZERO && stop > ZERO && (isSale ? take <= stop : take >= stop)) {
      check.say("take", hasStop(draft.take.type) ? "stopPrice" : "price", isSale ? "takeAboveStop" : "takeBelowStop");
    }
    return;
  }
  if (wrong(take, isSale)) {
    check.say("take", hasStop(draft.take.type) ? "stopPrice" : "price", isSale ? "mustBeAbove" : "mustBeBelow");
  }
  if (wrong(stop, !isSale)) check.say("stop", "stopPrice", isSale ? "mustBeBelow" : "mustBeAbove");
}

/** A stop order that would be triggered at once is refused. */
function checkStop(check: Checker, leg: Leg, side: Side, last: Decimal): void {
  if (!hasStop(leg.type) || last <= ZERO || leg.trail !== "") return;
  const stop = parse(leg.stopPrice);
  if (stop === null || stop <= ZERO) return;
  const waitsAbove = leg.type.startsWith("STOP_LOSS") === (side === "BUY");
  if (waitsAbove ? stop <= last : stop >= last) {
    check.say("main", "stopPrice", waitsAbove ? "mustBeAbove" : "mustBeBelow");
  }
}

const LAST_RESORT = of("1.1");

/** What a leg costs at the most per unit of the base asset. */
function priceAtMost(leg: Leg, context: Context): Decimal | null {
  if (hasPrice(leg.type) && leg.peg === "") return parse(leg.price);
  const stop = hasStop(leg.type) ? parse(leg.stopPrice) : null;
  const base = stop ?? (context.isCurrent ? context.book.bestAsk : null) ?? (context.last > ZERO ? context.last : null);
  return base === null ? null : mulUp(base, LAST_RESORT);
}

function money(draft: Draft, context: Context, quantity: Decimal | null, review: Review): void {
  const { market, book } = context;
  const side = isFromWorking(draft.kind) ? "BUY" : draft.side;
  const { fees } = context;
  const isBuy = side === "BUY";
  review.spends = isBuy ? market.quote : market.base;
  review.brings = isBuy ? market.base : market.quote;
  const isByAmount = draft.kind === "MARKET" && draft.isByAmount;
  if (quantity === null) return;
  const finish = (gross: Decimal) => {
    if (!fees) return;
    review.fee = mulUp(gross, max(fees.maker, fees.taker));
    review.result = gross - review.fee;
  };
  if (draft.kind === "MARKET") {
    review.isEstimate = true;
    if (!context.isCurrent) return;
    const found = walk(isBuy ? book.asks : book.bids, isByAmount ? { amount: quantity } : { quantity }, mul);
    if (!found.isAll) {
      review.isShort = true;
      return;
    }
    review.worst = found.worst;
    review.cost = isBuy ? (isByAmount ? quantity : found.amount) : found.quantity;
    finish(isBuy ? found.quantity : found.amount);
    return;
  }
  const legs = draft.kind === "OCO" ? [draft.take, draft.stop] : [draft.main];
  const prices = legs.map((leg) => priceAtMost(leg, context));
  if (prices.some((price) => price === null)) return;
  const known = prices as Decimal[];
  const most = known.reduce((a, b) => max(a, b));
  const least = known.reduce((a, b) => min(a, b));
  review.isEstimate = legs.some((leg) => !hasPrice(leg.type) || leg.peg !== "");
  review.cost = isBuy ? mul(most, quantity) : quantity;
  if (isBuy) finish(quantity);
  else if (!review.isEstimate) finish(mul(least, quantity));
}

/** Looks at a draft. */
export function review(draft: Draft, context: Context): Review {
  const { market, last } = context;
  const check = new Checker(context);
  const result: Review = {
    problems: check.problems,
    cost: null,
    spends: market.quote,
    result: null,
    brings: market.base,
    fee: null,
    worst: null,
    isShort: false,
    isEstimate: false,
  };
  const side = isFromWorking(draft.kind) ? "BUY" : draft.side;
  const isByAmount = draft.kind === "MARKET" && draft.isByAmount;
  let quantity: Decimal | null;
  if (isByAmount) {
    quantity = parse(draft.quantity);
    if (draft.quantity.trim() === "") check.say("main", "quantity", "needed");
    else if (quantity === null || quantity <= ZERO) check.say("main", "quantity", "notANumber");
    else if (digitsOf(quantity) > market.quoteDigits) {
      check.say("main", "quantity", "tooManyDigits", { bound: String(market.quoteDigits) });
    } else check.notional("main", quantity, true);
    if (quantity !== null && quantity <= ZERO) quantity = null;
  } else {
    quantity = check.quantity("main", draft.quantity, !isList(draft.kind) && !hasPrice(draft.main.type));
  }
  if (draft.kind !== "OCO") check.leg("main", draft.main, side, isByAmount ? null : quantity);
  if (!isList(draft.kind)) checkStop(check, draft.main, draft.side, last);
  if (hasPair(draft.kind)) {
    check.leg("take", draft.take, pairSide(draft), draft.kind === "OCO" ? quantity : null);
    check.leg("stop", draft.stop, pairSide(draft), draft.kind === "OCO" ? quantity : null);
    checkPair(check, draft, last);
  }
  if (hasPending(draft.kind)) check.leg("pending", draft.pending, draft.pendingSide, null);
  if (hasWorking(draft.kind) && !isFromWorking(draft.kind) && draft.pendingQuantity !== "") {
    check.quantity("pending", draft.pendingQuantity, false);
  }
  const orders = !isList(draft.kind) ? 1 : hasWorking(draft.kind) && hasPair(draft.kind) ? 3 : 2;
  const legs = draft.kind === "OCO" ? [draft.take, draft.stop] : [draft.main];
  check.counts(orders, legs.filter((leg) => hasStop(leg.type)).length);
  money(draft, context, quantity, result);
  if (result.cost !== null && result.cost > context.free(result.spends)) {
    check.say("main", "balance", "notEnough", { asset: result.spends });
  }
  return result;
}
