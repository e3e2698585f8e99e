// The public REST API, as any client uses it.

/** What the venue said when it refused. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.msg ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.code;
  }
}

async function get(path, parameters = {}, signal) {
  const query = new URLSearchParams(parameters).toString();
  const response = await fetch(`/api/v3/${path}${query ? `?${query}` : ""}`, { signal });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, body);
  return body;
}

export const exchangeInfo = (signal) => get("exchangeInfo", {}, signal);
export const tickers = (signal) => get("ticker/24hr", {}, signal);
export const depth = (symbol, signal) => get("depth", { symbol, limit: 1000 }, signal);
export const trades = (symbol, signal) => get("trades", { symbol, limit: 60 }, signal);
export const klines = (symbol, interval, limit, signal) => get("klines", { symbol, interval, limit }, signal);
