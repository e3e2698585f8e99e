// Candles between the venue and the chart: older ones when they are asked for, the newest with every trade, and those
// of periods without a trade, which the venue does not send.

import * as rest from "../api/rest";
import type { KlineEvent, KlineRow } from "../api/types";
import { of, toNumber } from "../decimal";
import type { CandleListener } from "../state/feed.svelte";
import { type Interval, type Trade, candleStart, nextStart } from "../state/market";

export interface Candle {
  timestamp: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  turnover: number;
  [key: string]: unknown;
}

const PAGE = 1_000;
const FILLED_MAX = 2_000;
/** The chart computes its indicators anew with every change, so changes are taken together. */
const EVERY_MILLIS = 250;

const ofRow = (row: KlineRow): Candle => ({
  timestamp: row[0],
  open: Number(row[1]),
  high: Number(row[2]),
  low: Number(row[3]),
  close: Number(row[4]),
  volume: Number(row[5]),
  turnover: Number(row[7]),
});

export class Candles implements CandleListener {
  private last: Candle | null = null;
  private pending = new Map<number, Candle>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private put: ((candle: Candle) => void) | null = null;
  private stop = new AbortController();

  constructor(
    private readonly symbol: string,
    private readonly interval: Interval,
    private readonly changed: { count(candles: number): void; restart(): void },
  ) {}

  /** The newest candles. */
  async newest(): Promise<Candle[]> {
    const { signal } = this.stop;
    const rows = await rest.insist(() => rest.klines(this.symbol, this.interval, PAGE, undefined, signal), signal);
    const candles = this.filled(rows.map(ofRow));
    this.last = candles.at(-1) ?? null;
    this.changed.count(candles.length);
    return candles;
  }

  /** Those before that time; none if there are none. */
  async before(time: number): Promise<Candle[]> {
    const { signal } = this.stop;
    try {
      const rows = await rest.klines(this.symbol, this.interval, PAGE, time - 1, signal);
      return this.filled(
        rows.map(ofRow).filter(({ timestamp }) => timestamp < time),
        time,
      );
    } catch {
      return []; // Older ones than memory has, on a venue without a history.
    }
  }

  follow(put: (candle: Candle) => void): void {
    this.put = put;
  }

  end(): void {
    this.stop.abort();
    clearTimeout(this.timer);
    this.put = null;
  }

  kline(k: KlineEvent["k"]): void {
    this.take({
      timestamp: k.t,
      open: Number(k.o),
      high: Number(k.h),
      low: Number(k.l),
      close: Number(k.c),
      volume: Number(k.v),
      turnover: Number(k.q),
    });
  }

  /** Between two messages about a candle, it moves with the trades. */
  trade(trade: Trade): void {
    const price = toNumber(trade.price);
    const quantity = toNumber(trade.quantity);
    const timestamp = candleStart(this.interval, trade.time);
    const { last } = this;
    if (last && timestamp < last.timestamp) return;
    if (last?.timestamp === timestamp) {
      this.take({
        ...last,
        close: price,
        high: Math.max(last.high, price),
        low: Math.min(last.low, price),
        volume: last.volume + quantity,
        turnover: last.turnover + quantity * price,
      });
    } else {
      this.take({
        timestamp,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: quantity,
        turnover: price * quantity,
      });
    }
  }

  restart(): void {
    this.changed.restart();
  }

  private take(candle: Candle): void {
    const { last } = this;
    if (last && candle.timestamp < last.timestamp) return;
    if (last) for (const still of this.between(last, candle.timestamp)) this.queue(still);
    this.last = candle;
    this.queue(candle);
    if (!last) this.changed.count(1);
  }

  private queue(candle: Candle): void {
    this.pending.set(candle.timestamp, candle);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const pending = [...this.pending.values()];
      this.pending.clear();
      for (const one of pending) this.put?.(one);
    }, EVERY_MILLIS);
  }

  private *between(last: Candle, until: number): Iterable<Candle> {
    let time = nextStart(this.interval, last.timestamp);
    for (let count = 0; time < until && count < FILLED_MAX; count += 1) {
      yield still(time, last.close);
      time = nextStart(this.interval, time);
    }
  }

  private filled(candles: Candle[], until?: number): Candle[] {
    const all: Candle[] = [];
    for (const candle of candles) {
      const last = all.at(-1);
      if (last) all.push(...this.between(last, candle.timestamp));
      all.push(candle);
    }
    const last = all.at(-1);
    if (last && until !== undefined) all.push(...this.between(last, until));
    return all;
  }
}

const still = (timestamp: number, price: number): Candle => ({
  timestamp,
  open: price,
  high: price,
  low: price,
  close: price,
  volume: 0,
  turnover: 0,
});

export const parsePrice = (text: string): number => toNumber(of(text));
