// The panels around the chart. Each has one element, is given data, and touches nothing but what changed.

import { compact, direction, fixed, percent, quantity, time } from "./format.js";

function cells(className, texts) {
  const row = document.createElement("div");
  row.className = className;
  for (const text of texts) {
    const cell = document.createElement("span");
    cell.textContent = text;
    row.append(cell);
  }
  return row;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The list of markets; choosing one calls `choose(symbol)`. */
export class MarketList {
  #rows = new Map();

  constructor(element, choose) {
    this.element = element;
    this.choose = choose;
  }

  show(markets) {
    this.#rows.clear();
    this.element.replaceChildren(
      ...markets.map((market) => {
        const row = document.createElement("button");
        row.type = "button";
        row.className = "columns";
        row.setAttribute("role", "option");
        const name = document.createElement("span");
        const [base, quote] = [document.createElement("span"), document.createElement("span")];
        base.className = "base";
        base.textContent = market.base;
        quote.className = "quote";
        quote.textContent = ` / ${market.quote}`;
        name.append(base, quote);
        const [last, change] = [document.createElement("span"), document.createElement("span")];
        row.append(name, last, change);
        row.addEventListener("click", () => this.choose(market.symbol));
        this.#rows.set(market.symbol, { row, last, change, market });
        return row;
      }),
    );
  }

  select(symbol) {
    for (const [name, { row }] of this.#rows) row.setAttribute("aria-selected", String(name === symbol));
  }

  last(symbol, price) {
    const row = this.#rows.get(symbol);
    if (row) setText(row.last, price ? fixed(price, row.market.priceDigits) : "–");
  }

  update(symbol, ticker) {
    const row = this.#rows.get(symbol);
    if (!row) return;
    const open = row.market.status === "TRADING";
    this.last(symbol, ticker.last);
    const change = ticker.last ? percent(ticker.change) : "–";
    setText(row.change, open ? change : row.market.status.toLowerCase().replaceAll("_", " "));
    row.change.className = open ? direction(ticker.change) : "closed";
  }
}

/** Last price and the statistics of 24 hours. */
export class Headline {
  #last = 0;

  constructor(element) {
    this.fields = {};
    for (const node of element.querySelectorAll("[data-field]")) this.fields[node.dataset.field] = node;
  }

  show(market) {
    this.market = market;
    this.#last = 0;
    this.fields.symbol.textContent = `${market.base}/${market.quote}`;
    for (const name of ["last", "change", "high", "low", "volume", "turnover"]) this.fields[name].textContent = "–";
    this.fields.last.className = "last";
    this.status();
  }

  /** The price of the last trade; 0 before one is known. */
  get price() {
    return this.#last;
  }

  /** Says that the market takes no orders, if so. */
  status() {
    const { fields, market } = this;
    fields.status.hidden = market.status === "TRADING";
    setText(fields.status, market.status.toLowerCase().replaceAll("_", " "));
  }

  last(price) {
    setText(this.fields.last, fixed(price, this.market.priceDigits));
    if (this.#last && price !== this.#last) this.fields.last.className = `last ${direction(price - this.#last)}`;
    this.#last = price;
    document.title = `${fixed(price, this.market.priceDigits)} ${this.market.base}/${this.market.quote} · Crossbook`;
  }

  statistics(ticker) {
    if (!ticker.last) return;
    const { fields, market } = this;
    const change = ticker.last - ticker.open;
    const sign = change > 0 ? "+" : change < 0 ? "−" : "";
    setText(fields.change, `${sign}${fixed(Math.abs(change), market.priceDigits)}  ${percent(ticker.change)}`);
    fields.change.className = direction(ticker.change);
    setText(fields.high, fixed(ticker.high, market.priceDigits));
    setText(fields.low, fixed(ticker.low, market.priceDigits));
    setText(fields.volume, `${compact(ticker.volume)} ${market.base}`);
    setText(fields.turnover, `${compact(ticker.turnover)} ${market.quote}`);
  }
}

const ROW_HEIGHT = 20;

/** Both sides of the book, best prices in the middle, with bars for the depth. */
export class Ladder {
  constructor({ asks, bids, spread, grouping }) {
    Object.assign(this, { asks, bids, grouping });
    this.mid = spread.querySelector('[data-field="mid"]');
    this.spread = spread.querySelector('[data-field="spread"]');
  }

  show(market) {
    this.market = market;
    this.asks.replaceChildren();
    this.bids.replaceChildren();
    this.mid.textContent = "–";
    this.spread.textContent = "";
    const tick = 10 ** -market.priceDigits;
    const multiples = [1, 10, 100, 1000].map((factor) => factor * tick);
    const steps = multiples.filter((step) => step < market.hint / 20 || step === tick);
    this.grouping.replaceChildren(
      ...steps.map((step) => {
        const option = document.createElement("option");
        option.value = String(step);
        option.textContent = step < 1 ? step.toFixed(market.priceDigits).replace(/0+$/, "") : String(Math.round(step));
        return option;
      }),
    );
  }

  render(book) {
    const step = Number(this.grouping.value) || 10 ** -this.market.priceDigits;
    // Rows are stretched by a fraction of a pixel so that they fill the side and leave no gap under the head.
    const room = (element) => {
      const rows = Math.max(1, Math.floor(element.clientHeight / ROW_HEIGHT));
      element.style.setProperty("--ladder-row", `${element.clientHeight / rows}px`);
      return rows;
    };
    const asks = book.asks(room(this.asks), step);
    const bids = book.bids(room(this.bids), step);
    const deepest = Math.max(asks.at(-1)?.[2] ?? 0, bids.at(-1)?.[2] ?? 0);
    this.#fill(this.asks, asks.toReversed(), deepest);
    this.#fill(this.bids, bids, deepest);
    const [bid] = book.bids(1, 10 ** -this.market.priceDigits);
    const [ask] = book.asks(1, 10 ** -this.market.priceDigits);
    if (bid && ask) {
      const mid = (bid[0] + ask[0]) / 2;
      setText(this.mid, fixed(mid, this.market.priceDigits));
      const wide = ask[0] - bid[0];
      setText(this.spread, `spread ${fixed(wide, this.market.priceDigits)}  (${fixed((wide / mid) * 10_000, 1)} bp)`);
    }
  }

  #fill(side, rows, deepest) {
    while (side.childElementCount < rows.length) side.append(cells("columns", ["", "", ""]));
    while (side.childElementCount > rows.length) side.lastElementChild.remove();
    rows.forEach(([price, amount, total], at) => {
      const row = side.children[at];
      setText(row.children[0], fixed(price, this.market.priceDigits));
      setText(row.children[1], quantity(amount, this.market.quantityDigits));
      setText(row.children[2], quantity(total, this.market.quantityDigits));
      row.style.setProperty("--depth", deepest ? (total / deepest).toFixed(3) : "0");
    });
  }
}

const TAPE_ROWS = 60;

/** The last trades, newest first. */
export class Tape {
  #newest = 0;

  constructor(element) {
    this.element = element;
  }

  show(market) {
    this.market = market;
    this.#newest = 0;
    this.element.replaceChildren();
  }

  /** Takes trades in order, oldest first; those it has already are skipped. */
  add(trades, fresh = true) {
    const rows = [];
    for (const trade of trades) {
      if (trade.id <= this.#newest) continue;
      this.#newest = trade.id;
      const { priceDigits, quantityDigits } = this.market;
      const texts = [fixed(trade.price, priceDigits), quantity(trade.quantity, quantityDigits), time(trade.time)];
      const row = cells(fresh ? "columns fresh" : "columns", texts);
      row.firstElementChild.className = trade.sell ? "down" : "up";
      rows.unshift(row);
    }
    // Whoever has scrolled down reads the past; what they read must not move.
    const { element } = this;
    const before = element.scrollTop > 0 ? element.scrollHeight : null;
    element.prepend(...rows.slice(0, TAPE_ROWS));
    while (element.childElementCount > TAPE_ROWS) element.lastElementChild.remove();
    if (before !== null) element.scrollTop += element.scrollHeight - before;
  }
}
