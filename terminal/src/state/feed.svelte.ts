// The market data that is looked at: markets, and book, trades and candles of one. Everything is asked of the public
// API, as any client would; there is no other way in.

import * as rest from "../api/rest";
import type { SocketState } from "../api/socket";
import { MarketStream } from "../api/stream";
import type { ExchangeInfo, KlineEvent, MarketEvent, MiniTicker, StatusEvent } from "../api/types";
import { Book } from "../book";
import { clockOffset } from "../clock";
import { type Decimal, ZERO, of } from "../decimal";
import { type Direction, direction, marketIn } from "../format";
import {
  type Interval,
  type Market,
  type Ticker,
  type Trade,
  isInterval,
  marketOf,
  tickerOf,
  tickerOfMini,
} from "./market";
import { preferences } from "./preferences.svelte";

const TICKERS = "!miniTicker@arr";
const MARKETS_EVERY_MILLIS = 10_000;
const CLOCK_EVERY_MILLIS = 60_000;
/** After so many snapshots that were too old, they are asked for less often. */
const SNAPSHOT_TRIES_QUICK = 10;
const TRADES_MAX = 120;
/** Book and trades are shown eight times a second at most; more often nobody reads them. */
const SHOWN_EVERY_MILLIS = 125;

/** Whoever shows candles. */
export interface CandleListener {
  kline(event: KlineEvent["k"]): void;
  trade(trade: Trade): void;
  /** What it shows may have gaps. */
  restart(): void;
}

class Feed {
  connection = $state<SocketState>("connecting");
  isLoaded = $state(false);
  markets = $state.raw<Market[]>([]);
  tickers = $state.raw(new Map<string, Ticker>());
  market = $state.raw<Market | null>(null);
  interval = $state<Interval>("1m");
  book = new Book();
  /** Counts the states of the book, for whoever shows it. */
  bookVersion = $state(0);
  trades = $state.raw<Trade[]>([]);
  tradesKnown = $state(false);
  last = $state.raw<Decimal>(ZERO);
  lastDirection = $state<Direction>("");
  /** Until when a status holds, by symbol. */
  statusUntil = $state.raw(new Map<string, number>());
  /** Milliseconds by which the venue's clock is ahead of this one. */
  clockOffset = $state(0);
  candles: CandleListener | null = null;
  onPrice: ((symbol: string, price: Decimal) => void) | null = null;

  /** Whether the connection was lost since the book was begun. */
  private isBehind = $state(false);
  private visit = new AbortController(); // Ends what was asked for a market that is no longer looked at.
  private shownAt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Trades that are not shown yet, newest first. */
  private fresh: Trade[] = [];
  private readonly stream = new MarketStream(
    (name, data) => this.take(name, data),
    (state) => {
      this.connection = state;
      if (state !== "live") this.isBehind = true;
    },
    () => void this.restart(),
  );

  /** Whether the book is that of the venue, as far as anybody can know. */
  get isCurrent(): boolean {
    void this.bookVersion;
    return this.connection === "live" && !this.isBehind && this.book.ready;
  }

  get ticker(): Ticker | undefined {
    return this.market ? this.tickers.get(this.market.symbol) : undefined;
  }

  now = (): number => Math.round(Date.now() + this.clockOffset);

  start(): void {
    const wanted = preferences.value.interval;
    if (isInterval(wanted)) this.interval = wanted;
    addEventListener("hashchange", () => void this.choose(marketIn(location.hash)));
    // No stream tells of new markets. What fails is asked again; the stream tells whether the venue is there.
    setInterval(() => document.hidden || this.refreshMarkets().catch(() => {}), MARKETS_EVERY_MILLIS);
    setInterval(() => document.hidden || this.measureClock().catch(() => {}), CLOCK_EVERY_MILLIS);
    void this.stream.follow([TICKERS]);
    this.stream.start();
  }

  async choose(symbol: string): Promise<void> {
    const market = this.markets.find((known) => known.symbol === symbol);
    if (!market || market.symbol === this.market?.symbol) return;
    this.visit.abort();
    this.visit = new AbortController();
    this.market = market;
    this.trades = [];
    this.fresh = [];
    this.tradesKnown = false;
    this.last = this.tickers.get(symbol)?.last ?? ZERO;
    this.lastDirection = "";
    preferences.set("symbol", symbol);
    history.replaceState(null, "", `#${encodeURIComponent(symbol)}`);
    await this.refresh();
  }

  async setInterval(interval: Interval): Promise<void> {
    if (interval === this.interval) return;
    this.interval = interval;
    preferences.set("interval", interval);
    // Where the connection is lost, everything is loaded again when it is back.
    await this.stream.follow(this.streams()).catch(() => {});
  }

  private streams(): string[] {
    const names = [TICKERS];
    if (this.market) {
      const name = this.market.symbol.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
      names.push(`${name}@depth@100ms`, `${name}@trade`, `${name}@kline_${this.interval}`, `${name}@symbolStatus`);
    }
    return names;
  }

  /** After a gap nothing that was shown can be trusted. */
  private async restart(): Promise<void> {
    this.measureClock().catch(() => {});
    await rest.insist(() => this.loadMarkets());
    if (this.market) {
      this.candles?.restart();
      return this.refresh();
    }
    await this.chooseFirst();
  }

  private async chooseFirst(): Promise<void> {
    const wanted = [marketIn(location.hash), preferences.value.symbol, this.markets[0]?.symbol];
    const symbol = wanted.find((name) => this.markets.some((known) => known.symbol === name));
    if (symbol) await this.choose(symbol);
  }

  async measureClock(): Promise<void> {
    const asked = Date.now();
    const { serverTime } = await rest.serverTime();
    this.clockOffset = clockOffset(asked, Date.now(), serverTime) ?? this.clockOffset;
  }

  private takeMarkets({ symbols }: ExchangeInfo): void {
    this.markets = symbols.map(marketOf);
    this.isLoaded = true;
    const symbol = this.market?.symbol;
    if (symbol) this.market = this.markets.find((market) => market.symbol === symbol) ?? this.market;
  }

  private async loadMarkets(): Promise<void> {
    const [info, tickers] = await Promise.all([rest.exchangeInfo(), rest.tickers()]);
    this.takeMarkets(info);
    this.tickers = new Map(tickers.map((ticker) => [ticker.symbol, tickerOf(ticker)]));
  }

  private async refreshMarkets(): Promise<void> {
    this.takeMarkets(await rest.exchangeInfo());
    if (!this.market) await this.chooseFirst();
  }

  /** Starts everything about the market again from snapshots. Changes that come meanwhile are kept by the book. */
  private async refresh(): Promise<void> {
    const { signal } = this.visit;
    this.book = new Book();
    this.isBehind = false;
    this.bookVersion += 1;
    try {
      await this.stream.follow(this.streams());
      if (signal.aborted) return;
      await Promise.all([this.syncBook(signal), this.loadTrades(signal)]);
    } catch {
      // Either another market is looked at now, or the connection is lost; the stream tells when it is back.
    }
  }

  private async syncBook(signal: AbortSignal): Promise<void> {
    const symbol = this.market?.symbol;
    const mine = this.book;
    if (!symbol) return;
    for (let tries = 0; !signal.aborted && mine === this.book; tries += 1) {
      const snapshot = await rest.insist(() => rest.depth(symbol, signal), signal);
      if (mine !== this.book) return;
      if (mine.load(snapshot)) return this.show();
      await rest.pause(tries < SNAPSHOT_TRIES_QUICK ? 300 : 3_000);
    }
  }

  private async loadTrades(signal: AbortSignal): Promise<void> {
    const symbol = this.market?.symbol;
    if (!symbol) return;
    const before = new Set(this.trades);
    const loaded = await rest.insist(() => rest.trades(symbol, signal), signal);
    this.showTrades();
    const rows = loaded
      .map((trade) => ({
        id: trade.id,
        price: of(trade.price),
        quantity: of(trade.qty),
        time: trade.time,
        isSell: trade.isBuyerMaker,
      }))
      .reverse();
    // What was shown before may have a gap, or be of a venue that has begun anew; only what came meanwhile stays.
    const newest = rows[0]?.id ?? -1;
    const since = this.trades.filter((trade) => !before.has(trade) && trade.id > newest);
    this.trades = [...since, ...rows].slice(0, TRADES_MAX);
    this.tradesKnown = true;
    const last = this.trades[0];
    if (last) this.last = last.price;
  }

  /** Shows what is new, soon. */
  private show(): void {
    if (this.timer !== undefined) return;
    const wait = Math.max(0, this.shownAt + SHOWN_EVERY_MILLIS - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.shownAt = performance.now();
      this.showTrades();
      // A page that nobody sees draws no book.
      if (!document.hidden) this.bookVersion += 1;
    }, wait);
  }

  private showTrades(): void {
    const last = this.fresh[0];
    if (!last) return;
    this.trades = [...this.fresh, ...this.trades].slice(0, TRADES_MAX);
    this.fresh = [];
    if (this.last > ZERO && last.price !== this.last) this.lastDirection = direction(last.price - this.last);
    this.last = last.price;
  }

  private take(name: string, data: unknown): void {
    if (name === TICKERS) return this.takeTickers(data as MiniTicker[]);
    const event = data as MarketEvent;
    if (event.s !== this.market?.symbol) return;
    if (event.e === "depthUpdate") {
      if (this.book.apply(event)) {
        if (this.book.ready) this.show();
      } else {
        this.book = new Book();
        this.bookVersion += 1;
        this.syncBook(this.visit.signal).catch(() => {});
      }
    } else if (event.e === "trade") {
      this.takeTrade({ id: event.t, price: of(event.p), quantity: of(event.q), time: event.T, isSell: event.m });
    } else if (event.e === "kline") {
      if (event.k.i === this.interval) this.candles?.kline(event.k);
    } else if (event.e === "symbolStatus") {
      this.takeStatus(event);
    }
  }

  private takeTickers(list: MiniTicker[]): void {
    const tickers = new Map(this.tickers);
    for (const mini of list) {
      const ticker = tickerOfMini(mini);
      tickers.set(mini.s, ticker);
      this.onPrice?.(mini.s, ticker.last);
    }
    this.tickers = tickers;
  }

  private takeTrade(trade: Trade): void {
    const newest = this.fresh[0] ?? this.trades[0];
    if (newest && trade.id <= newest.id) return;
    this.fresh.unshift(trade);
    this.candles?.trade(trade);
    this.show();
    if (this.market) this.onPrice?.(this.market.symbol, trade.price);
  }

  private takeStatus({ s: symbol, S: status, u: until }: StatusEvent): void {
    const changed = (market: Market) => (market.symbol === symbol ? { ...market, status } : market);
    this.markets = this.markets.map(changed);
    if (this.market) this.market = changed(this.market);
    this.statusUntil = new Map(this.statusUntil).set(symbol, until);
  }
}

export const feed = new Feed();
