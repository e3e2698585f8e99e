// The page: which market is looked at, and where its data comes from. Everything is asked of the public API, as any
// client would; there is no other way in.

import * as api from "./api.js";
import { Book } from "./book.js";
import { Chart } from "./chart.js";
import { digitsOf, marketIn } from "./format.js";
import { Headline, Ladder, MarketList, Tape } from "./panels.js";
import { Stream } from "./stream.js";

const INTERVALS = [
  ["1s", 1_000], ["1m", 60_000], ["5m", 300_000], ["15m", 900_000], ["1h", 3_600_000], ["4h", 14_400_000],
  ["1d", 86_400_000],
];
const CANDLES = 1_000;
// A young market has few minutes but many seconds.
const MINUTES_MIN = 40;
const TICKERS = "!miniTicker@arr";
const RETRY_MILLIS = 2_000;
const MARKETS_EVERY_MILLIS = 10_000;
const SNAPSHOT_TRIES_MAX = 10;

const byId = (id) => document.getElementById(id);
const stream = new Stream(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/stream`);
const chart = new Chart(byId("chart"), byId("legend"));
const headline = new Headline(byId("headline"));
const ladder = new Ladder({
  asks: byId("asks"), bids: byId("bids"), spread: byId("spread"), grouping: byId("grouping"),
});
const tape = new Tape(byId("trades"));
const list = new MarketList(byId("markets"), (symbol) => choose(symbol));

const state = { markets: new Map(), tickers: new Map(), market: null, interval: null, chosen: stored("interval") };
let book = new Book();
let visit = new AbortController(); // Ends what was asked for a market that is no longer looked at.

function stored(key) {
  try {
    return localStorage.getItem(`crossbook.${key}`);
  } catch {
    return null; // Storage may be switched off; then nothing is remembered.
  }
}

function store(key, value) {
  try {
    localStorage.setItem(`crossbook.${key}`, value);
  } catch {
    /* see above */
  }
}

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** Tries until it works, or until nobody wants it any more. */
async function insist(task, signal) {
  for (;;) {
    try {
      return await task();
    } catch (error) {
      if (signal?.aborted) throw error;
      await pause(RETRY_MILLIS);
      if (signal?.aborted) throw error;
    }
  }
}

// Markets.

function marketOf(entry) {
  const filter = (type) => entry.filters.find(({ filterType }) => filterType === type);
  return {
    symbol: entry.symbol,
    base: entry.baseAsset,
    quote: entry.quoteAsset,
    status: entry.status,
    priceDigits: digitsOf(filter("PRICE_FILTER").tickSize),
    quantityDigits: digitsOf(filter("LOT_SIZE").stepSize),
    hint: 0,
  };
}

function tickerOf({ last, open, high, low, volume, turnover }) {
  const [l, o] = [Number(last), Number(open)];
  return {
    last: l, open: o, high: Number(high), low: Number(low), volume: Number(volume), turnover: Number(turnover),
    change: o ? (l / o - 1) * 100 : 0,
  };
}

function takeTicker(symbol, ticker) {
  state.tickers.set(symbol, ticker);
  list.update(symbol, ticker);
  if (symbol !== state.market?.symbol) return;
  headline.statistics(ticker);
  // Trades of this market are followed one by one; the ticker is a second behind them.
  if (headline.price) list.last(symbol, headline.price);
}

function takeLast(price) {
  headline.last(price);
  list.last(state.market.symbol, price);
}

/** Takes the markets as they are now. One that is known stays the same object, which the panels hold. */
function takeMarkets({ symbols }) {
  const known = state.markets;
  const updated = (entry) => Object.assign(known.get(entry.symbol) ?? {}, marketOf(entry));
  state.markets = new Map(symbols.map((entry) => [entry.symbol, updated(entry)]));
  if (state.market) headline.status();
}

async function loadMarkets() {
  const [info, tickers] = await Promise.all([api.exchangeInfo(), api.tickers()]);
  takeMarkets(info);
  list.show([...state.markets.values()]);
  for (const t of tickers) {
    const ticker = {
      last: t.lastPrice, open: t.openPrice, high: t.highPrice, low: t.lowPrice, volume: t.volume,
      turnover: t.quoteVolume,
    };
    takeTicker(t.symbol, tickerOf(ticker));
  }
  list.select(state.market?.symbol);
}

/** Asks again which markets there are and whether they are open; no stream tells. */
async function refreshMarkets() {
  const before = state.markets.size;
  takeMarkets(await api.exchangeInfo());
  if (state.markets.size !== before) {
    list.show([...state.markets.values()]);
    list.select(state.market?.symbol);
  }
  for (const [symbol, ticker] of state.tickers) takeTicker(symbol, ticker);
}

// The market that is looked at.

function streams() {
  const names = [TICKERS];
  if (state.market) {
    const name = state.market.symbol.toLowerCase();
    names.push(`${name}@depth@100ms`, `${name}@trade`, `${name}@kline_${state.interval}`);
  }
  return names;
}

async function choose(symbol) {
  const market = state.markets.get(symbol);
  if (!market || market === state.market) return;
  visit.abort();
  visit = new AbortController();
  market.hint = state.tickers.get(symbol)?.last ?? 0;
  state.market = market;
  state.interval = state.chosen ?? "1m";
  store("symbol", symbol);
  history.replaceState(null, "", `#${encodeURIComponent(symbol)}`);
  list.select(symbol);
  headline.show(market);
  ladder.show(market);
  tape.show(market);
  for (const id of ["book-price", "tape-price"]) byId(id).textContent = `Price (${market.quote})`;
  for (const id of ["book-quantity", "tape-quantity"]) byId(id).textContent = `Qty (${market.base})`;
  const ticker = state.tickers.get(symbol);
  if (ticker?.last) {
    headline.statistics(ticker);
    takeLast(ticker.last);
  }
  await refresh();
}

/** Starts everything about the market again from snapshots. Changes that come meanwhile are kept by the book. */
async function refresh() {
  const { signal } = visit;
  book = new Book();
  try {
    await stream.follow(streams());
    if (signal.aborted) return;
    await Promise.all([syncBook(signal), loadTrades(signal), loadCandles(signal)]);
  } catch {
    // Either another market is looked at now, or the connection is lost; the stream tells when it is back.
  }
}

async function syncBook(signal) {
  const { symbol } = state.market;
  const mine = book;
  for (let tries = 0; tries < SNAPSHOT_TRIES_MAX && !signal.aborted && mine === book; tries += 1) {
    const snapshot = await insist(() => api.depth(symbol, signal), signal);
    if (mine !== book) return;
    if (book.load(snapshot)) return drawBook();
    await pause(300);
  }
}

async function loadTrades(signal) {
  const trades = await insist(() => api.trades(state.market.symbol, signal), signal);
  const rows = trades.map((t) => (
    { id: t.id, price: Number(t.price), quantity: Number(t.qty), time: t.time, sell: t.isBuyerMaker }
  ));
  tape.add(rows, false);
  if (rows.length) takeLast(rows.at(-1).price);
}

const candleOf = (k) => (
  { time: k[0], open: Number(k[1]), high: Number(k[2]), low: Number(k[3]), close: Number(k[4]), volume: Number(k[5]) }
);

async function loadCandles(signal) {
  const { symbol, priceDigits } = state.market;
  const load = (interval) => insist(() => api.klines(symbol, interval, CANDLES, signal), signal);
  let rows = await load(state.interval);
  if (!state.chosen && state.interval === "1m" && rows.length < MINUTES_MIN) {
    state.interval = "1s";
    rows = await load("1s");
    await stream.follow(streams());
  }
  if (signal.aborted) return;
  markInterval();
  byId("chart-empty").hidden = rows.length > 0;
  chart.show(rows.map(candleOf), millisOf(state.interval), priceDigits);
}

const millisOf = (interval) => INTERVALS.find(([name]) => name === interval)[1];

// What the streams bring.

let bookDrawn = true;

function drawBook() {
  if (!bookDrawn) return;
  bookDrawn = false;
  requestAnimationFrame(() => {
    bookDrawn = true;
    if (book.ready) ladder.render(book);
  });
}

stream.addEventListener("data", ({ detail: { stream: name, data } }) => {
  if (name === TICKERS) {
    for (const t of data) {
      takeTicker(t.s, tickerOf({ last: t.c, open: t.o, high: t.h, low: t.l, volume: t.v, turnover: t.q }));
    }
    return;
  }
  if (data.s !== state.market?.symbol) return;
  if (data.e === "depthUpdate") {
    if (book.apply(data)) drawBook();
    else {
      book = new Book();
      syncBook(visit.signal).catch(() => {});
    }
  } else if (data.e === "trade") {
    const price = Number(data.p);
    tape.add([{ id: data.t, price, quantity: Number(data.q), time: data.T, sell: data.m }]);
    takeLast(price);
  } else if (data.e === "kline" && data.k.i === state.interval) {
    const { k } = data;
    byId("chart-empty").hidden = true;
    chart.update({
      time: k.t, open: Number(k.o), high: Number(k.h), low: Number(k.l), close: Number(k.c), volume: Number(k.v),
    });
  }
});

stream.addEventListener("state", ({ detail }) => {
  const words = { connecting: "connecting", live: "live", lost: "connection lost, trying again" };
  byId("connection").dataset.state = detail;
  byId("connection").lastElementChild.textContent = words[detail];
});

// After a gap nothing that was shown can be trusted.
stream.addEventListener("restart", async () => {
  await insist(loadMarkets);
  if (state.market) await refresh();
  else {
    const wanted = [marketIn(location.hash), stored("symbol"), ...state.markets.keys()];
    const symbol = wanted.find((name) => state.markets.has(name));
    if (symbol) await choose(symbol);
  }
});

// Controls.

function markInterval() {
  for (const button of byId("intervals").children) {
    button.setAttribute("aria-pressed", String(button.textContent === state.interval));
  }
}

for (const [name] of INTERVALS) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", async () => {
    if (!state.market || state.interval === name) return;
    state.chosen = state.interval = name;
    store("interval", name);
    markInterval();
    try {
      await stream.follow(streams());
      await loadCandles(visit.signal);
    } catch {
      // The connection is lost; when it is back, everything is loaded again.
    }
  });
  byId("intervals").append(button);
}

byId("grouping").addEventListener("change", drawBook);
addEventListener("resize", drawBook);
addEventListener("hashchange", () => choose(marketIn(location.hash)));
// What fails here is asked again in a moment; the stream tells whether the venue is there.
setInterval(() => document.hidden || refreshMarkets().catch(() => {}), MARKETS_EVERY_MILLIS);
stream.follow([TICKERS]);
stream.start();
