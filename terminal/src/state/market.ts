// A market as the terminal uses it: its steps and filters as exact decimals.

import { type Decimal, ZERO, digitsOf, of } from "../decimal";
import type { Filter, MarketInfo, MiniTicker, Ticker24 } from "../api/types";

export interface Market {
  symbol: string;
  base: string;
  quote: string;
  status: string;
  tick: Decimal;
  step: Decimal;
  priceDigits: number;
  quantityDigits: number;
  baseDigits: number;
  quoteDigits: number;
  info: MarketInfo;
}

export interface Ticker {
  last: Decimal;
  open: Decimal;
  high: Decimal;
  low: Decimal;
  volume: Decimal;
  turnover: Decimal;
  /** In percent. */
  change: number;
}

export interface Trade {
  id: number;
  price: Decimal;
  quantity: Decimal;
  time: number;
  isSell: boolean;
}

export function filterOf(market: Market, type: string): Filter | undefined {
  return market.info.filters.find(({ filterType }) => filterType === type);
}

/** A value of a filter; zero where it has none, which means no bound. */
export function bound(market: Market, type: string, field: string): Decimal {
  const value = filterOf(market, type)?.[field];
  return typeof value === "string" || typeof value === "number" ? of(String(value)) : ZERO;
}

export function marketOf(info: MarketInfo): Market {
  const value = (type: string, field: string) =>
    of(String(info.filters.find(({ filterType }) => filterType === type)?.[field] ?? "0"));
  const [tick, step] = [value("PRICE_FILTER", "tickSize"), value("LOT_SIZE", "stepSize")];
  return {
    symbol: info.symbol,
    base: info.baseAsset,
    quote: info.quoteAsset,
    status: info.status,
    tick,
    step,
    priceDigits: digitsOf(tick),
    quantityDigits: digitsOf(step),
    baseDigits: info.baseAssetPrecision,
    quoteDigits: info.quoteAssetPrecision,
    info,
  };
}

function ticker(last: string, open: string, high: string, low: string, volume: string, turnover: string): Ticker {
  const [now, then] = [of(last), of(open)];
  const change = then > ZERO ? Number(((now - then) * 1_000_000n) / then) / 10_000 : 0;
  return { last: now, open: then, high: of(high), low: of(low), volume: of(volume), turnover: of(turnover), change };
}

export const tickerOf = (t: Ticker24): Ticker =>
  ticker(t.lastPrice, t.openPrice, t.highPrice, t.lowPrice, t.volume, t.quoteVolume);
export const tickerOfMini = (t: MiniTicker): Ticker => ticker(t.c, t.o, t.h, t.l, t.v, t.q);

/** Steps by which prices may be grouped: from the tick up to about a hundredth of the price. */
export function groupings(market: Market, price: Decimal): Decimal[] {
  const steps: Decimal[] = [];
  for (let step = market.tick; steps.length < 7; step *= 10n) {
    steps.push(step);
    if (price > ZERO && step * 5n <= price / 50n) steps.push(step * 5n);
    if (price <= ZERO || step * 10n > price / 50n) break;
  }
  return steps;
}

export const INTERVALS = {
  "1s": ["second", 1, 1_000],
  "1m": ["minute", 1, 60_000],
  "3m": ["minute", 3, 180_000],
  "5m": ["minute", 5, 300_000],
  "15m": ["minute", 15, 900_000],
  "30m": ["minute", 30, 1_800_000],
  "1h": ["hour", 1, 3_600_000],
  "2h": ["hour", 2, 7_200_000],
  "4h": ["hour", 4, 14_400_000],
  "6h": ["hour", 6, 21_600_000],
  "8h": ["hour", 8, 28_800_000],
  "12h": ["hour", 12, 43_200_000],
  "1d": ["day", 1, 86_400_000],
  "3d": ["day", 3, 259_200_000],
  "1w": ["week", 1, 604_800_000],
  "1M": ["month", 1, 0],
} as const;

export type Interval = keyof typeof INTERVALS;
export const isInterval = (name: string | null): name is Interval => name !== null && name in INTERVALS;

const EPOCH_MONDAY = 4 * 86_400_000;

/** When the candle begins in which that time is, in UTC. */
export function candleStart(interval: Interval, time: number): number {
  if (interval === "1M") {
    const date = new Date(time);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  }
  const length = INTERVALS[interval][2];
  return interval === "1w"
    ? Math.floor((time - EPOCH_MONDAY) / length) * length + EPOCH_MONDAY
    : time - (time % length);
}

/** When the candle after it begins. */
export function nextStart(interval: Interval, start: number): number {
  if (interval !== "1M") return start + INTERVALS[interval][2];
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
