// A copy of a market's order book: a snapshot, and the changes since.
//
// Changes are numbered without gaps. Those that arrive before the snapshot are kept; when it comes, what it already has
// is dropped, and the first change that counts must reach over the snapshot's number. A gap later on means that a
// change was missed: then nothing here can be trusted and the copy must be made anew.

const WAITING_MAX = 2_000;

export class Book {
  #bids = new Map();
  #asks = new Map();
  #waiting = [];
  #last = null;

  /** Whether it shows a true book. */
  get ready() {
    return this.#last !== null;
  }

  /** Forgets everything; changes are kept again until the next snapshot. */
  reset() {
    this.#bids.clear();
    this.#asks.clear();
    this.#waiting = [];
    this.#last = null;
  }

  /**
   * Takes a snapshot ({lastUpdateId, bids, asks}). False if it is older than the changes at hand and another is needed.
   */
  load(snapshot) {
    const waiting = this.#waiting.filter((change) => change.u > snapshot.lastUpdateId);
    if (waiting.length && waiting[0].U > snapshot.lastUpdateId + 1) return false;
    this.reset();
    for (const [price, quantity] of snapshot.bids) this.#bids.set(price, Number(quantity));
    for (const [price, quantity] of snapshot.asks) this.#asks.set(price, Number(quantity));
    this.#last = snapshot.lastUpdateId;
    return waiting.every((change) => this.apply(change));
  }

  /** Takes a change ({U, u, b, a}). False if one is missing before it. */
  apply(change) {
    if (this.#last === null) {
      this.#waiting.push(change);
      if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
      return true;
    }
    if (change.u <= this.#last) return true;
    if (change.U > this.#last + 1) return false;
    for (const [price, quantity] of change.b) put(this.#bids, price, Number(quantity));
    for (const [price, quantity] of change.a) put(this.#asks, price, Number(quantity));
    this.#last = change.u;
    return true;
  }

  /** The best `count` bids in groups of `step`, as [price, quantity, total up to here]. */
  bids(count, step) {
    return ladder(this.#bids, count, (price) => Math.floor(price / step + 1e-9) * step, (a, b) => b - a);
  }

  /** The best `count` asks, likewise. */
  asks(count, step) {
    return ladder(this.#asks, count, (price) => Math.ceil(price / step - 1e-9) * step, (a, b) => a - b);
  }
}

function put(side, price, quantity) {
  if (quantity === 0) side.delete(price);
  else side.set(price, quantity);
}

function ladder(side, count, group, order) {
  const levels = [...side].map(([price, quantity]) => [Number(price), quantity]).sort((a, b) => order(a[0], b[0]));
  const rows = [];
  let total = 0;
  for (const [exact, quantity] of levels) {
    const price = group(exact);
    const row = rows.at(-1);
    // Groups of the same price differ by no more than rounding.
    if (row && Math.abs(row[0] - price) < 1e-9 * price) {
      row[1] += quantity;
    } else {
      if (rows.length === count) break;
      rows.push([price, quantity, 0]);
    }
    total += quantity;
    rows.at(-1)[2] = total;
  }
  return rows;
}
