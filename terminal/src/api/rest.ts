// The public REST API, as any client uses it.

import type { DepthSnapshot, ExchangeInfo, KlineRow, PublicTrade, Ticker24 } from "./types";

/** What the venue said when it refused. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    message: string,
    readonly data?: unknown,
  ) {
    super(message);
  }
}

/** No answer came. What was asked may have been done. */
export class NoAnswer extends Error {}

// Until then nothing is asked again, because the venue said that it is too much.
let patience = 0;

export const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

async function get<T>(
  path: string,
  parameters: Record<string, string | number> = {},
  signal?: AbortSignal,
): Promise<T> {
  const wait = patience - performance.now();
  if (wait > 0) await pause(wait);
  const query = new URLSearchParams(Object.entries(parameters).map(([key, value]) => [key, String(value)])).toString();
  const response = await fetch(`${path}${query ? `?${query}` : ""}`, signal ? { signal } : {});
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as T;
  if (response.status === 429 || response.status === 418) {
    const seconds = Number(response.headers.get("Retry-After") ?? 5);
    patience = performance.now() + Math.min(60, Math.max(1, seconds)) * 1_000;
  }
  const { code, msg } = (body ?? {}) as { code?: number; msg?: string };
  throw new Refusal(response.status, code ?? 0, msg ?? `HTTP ${response.status}`);
}

export const exchangeInfo = (signal?: AbortSignal) => get<ExchangeInfo>("/api/v3/exchangeInfo", {}, signal);
export const tickers = (signal?: AbortSignal) => get<Ticker24[]>("/api/v3/ticker/24hr", {}, signal);
export const depth = (symbol: string, signal?: AbortSignal) =>
  get<DepthSnapshot>("/api/v3/depth", { symbol, limit: 1000 }, signal);
export const trades = (symbol: string, signal?: AbortSignal) =>
  get<PublicTrade[]>("/api/v3/trades", { symbol, limit: 80 }, signal);
export const klines = (symbol: string, interval: string, limit: number, endTime?: number, signal?: AbortSignal) =>
  get<KlineRow[]>(
    "/api/v3/uiKlines",
    { symbol, interval, limit, ...(endTime === undefined ? {} : { endTime }) },
    signal,
  );
export const serverTime = () => get<{ serverTime: number }>("/api/v3/time");

export interface DemoAccount {
  name: string;
  apiKey: string;
  secret: string;
}

/** The accounts that a demo gives away; none anywhere else. */
export const demoAccounts = () => get<{ accounts: DemoAccount[] }>("/demo.json");

const RETRY_MILLIS = 2_000;

/** Tries until it works, or until nobody wants it any more. */
export async function insist<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
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
