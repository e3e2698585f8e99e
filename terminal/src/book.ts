// A book kept from the stream of changes: snapshot and changes may arrive in any order, and a gap is noticed.

import { type Decimal, ZERO, ceilTo, floorTo, of } from "./decimal";
import type { DepthSnapshot, DepthUpdate } from "./api/types";

/** A price with what is there, and with what is there up to it. */
export interface Level {
  price: Decimal;
  quantity: Decimal;
  total: Decimal;
}

// Changes that come before the snapshot; those beyond are dropped, which a gap then shows.
const WAITING_MAX = 1_000;

/** One side: prices in order, best first. */
class Side {
  readonly prices: Decimal[] = [];
  readonly quantities = new Map<Decimal, Decimal>();

  constructor(private readonly isBid: boolean) {}

  put(price: Decimal, quantity: Decimal): void {
    const known = this.quantities.has(price);
    if (quantity === ZERO) {
      if (!known) return;
      this.quantities.delete(price);
      this.prices.splice(this.at(price), 1);
      return;
    }
    this.quantities.set(price, quantity);
    if (!known) this.prices.splice(this.at(price), 0, price);
  }

  /** Where that price is, or would be. */
  private at(price: Decimal): number {
    let [low, high] = [0, this.prices.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.prices[middle]!;
      if (this.isBid ? other > price : other < price) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The best `count` groups. */
  levels(count: number, step: Decimal): Level[] {
    const rows: Level[] = [];
    let total = ZERO;
    for (const exact of this.prices) {
      const price = this.isBid ? floorTo(exact, step) : ceilTo(exact, step);
      const quantity = this.quantities.get(exact) ?? ZERO;
      let row = rows.at(-1);
      if (row?.price !== price) {
        if (rows.length === count) break;
        row = { price, quantity: ZERO, total };
        rows.push(row);
      }
      total += quantity;
      row.quantity += quantity;
      row.total = total;
    }
    return rows;
  }
}

export class Book {
  readonly bids = new Side(true);
  readonly asks = new Side(false);
  private last: number | null = null;
  private waiting: DepthUpdate[] = [];

  get ready(): boolean {
    return this.last !== null;
  }

  /** Takes a snapshot; false if it is older than the changes that came, so that a newer one is needed. */
  load({ lastUpdateId, bids, asks }: DepthSnapshot): boolean {
    const first = this.waiting.find(({ u }) => u > lastUpdateId);
    if (first && first.U > lastUpdateId + 1) return false;
    for (const [price, quantity] of bids) this.bids.put(of(price), of(quantity));
    for (const [price, quantity] of asks) this.asks.put(of(price), of(quantity));
    this.last = lastUpdateId;
    const waiting = this.waiting;
    this.waiting = [];
    return waiting.every((change) => this.apply(change));
  }

  /** Takes a change; false if one before it is missing, after which nothing here can be trusted. */
  apply(change: DepthUpdate): boolean {
    if (this.last === null) {
      this.waiting.push(change);
      if (this.waiting.length > WAITING_MAX) this.waiting.shift();
      return true;
    }
    if (change.u <= this.last) return true;
    if (change.U > this.last + 1) return false;
    for (const [price, quantity] of change.b) this.bids.put(of(price), of(quantity));
    for (const [price, quantity] of change.a) this.asks.put(of(price), of(quantity));
    this.last = change.u;
    return true;
  }

  get bestBid(): Decimal | null {
    return this.bids.prices[0] ?? null;
  }

  get bestAsk(): Decimal | null {
    return this.asks.prices[0] ?? null;
  }
}

/** What a taker pays or gets for a quantity as the book is now. */
export interface Walk {
  quantity: Decimal;
  amount: Decimal;
  worst: Decimal;
  /** Whether the side holds all that was asked for. */
  isAll: boolean;
}

/** Takes from the best levels until `quantity`, or the `amount` of the quote asset, is used up. */
export function walk(side: Side, limit: { quantity?: Decimal; amount?: Decimal }, product: Product): Walk {
  const taken: Walk = { quantity: ZERO, amount: ZERO, worst: ZERO, isAll: false };
  for (const price of side.prices) {
    let quantity = side.quantities.get(price) ?? ZERO;
    if (limit.quantity !== undefined && taken.quantity + quantity >= limit.quantity) {
      quantity = limit.quantity - taken.quantity;
      taken.isAll = true;
    }
    if (limit.amount !== undefined) {
      const rest = limit.amount - taken.amount;
      if (product(price, quantity) >= rest) {
        quantity = (rest * 10n ** 18n) / price;
        taken.isAll = true;
      }
    }
    if (quantity <= ZERO) break;
    taken.quantity += quantity;
    taken.amount += product(price, quantity);
    taken.worst = price;
  }
  return taken;
}

type Product = (price: Decimal, quantity: Decimal) => Decimal;
