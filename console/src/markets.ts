// What operators do with markets.

import { type Action, type Field, type Values, given } from "./action.svelte";
import { all, ask, part } from "./api";
import type { Asset, Market, Reference, Session } from "./types";

/** Rules that every market has, with the names of the API. */
const NUMBERS: [string, string, string][] = [
  ["minPrice", "Lowest price", ""],
  ["maxPrice", "Highest price", ""],
  ["minQty", "Smallest quantity", ""],
  ["maxQty", "Largest quantity", ""],
  ["marketMaxQty", "Largest quantity of a market order", ""],
  ["minNotional", "Smallest worth of an order", "in the quote asset"],
  ["maxNotional", "Largest worth of an order", "in the quote asset"],
  ["multiplierUp", "Highest bid", "as a multiple of the reference price; 0: no bound"],
  ["multiplierDown", "Lowest bid", "as a multiple of the reference price; 0: no bound"],
  ["askMultiplierUp", "Highest offer", "as a multiple of the reference price"],
  ["askMultiplierDown", "Lowest offer", "as a multiple of the reference price"],
  ["maxPosition", "Largest position of an account", "in the base asset; 0: no bound"],
];
const WHOLE: [string, string, string][] = [
  ["maxNumOrders", "Open orders of an account", ""],
  ["maxNumAlgoOrders", "Open stop orders of an account", ""],
  ["maxNumIcebergOrders", "Open iceberg orders of an account", ""],
  ["icebergParts", "Parts of an iceberg order", "0: no iceberg orders"],
  ["maxNumOrderAmends", "Amendments of an order", "0: none"],
  ["maxNumOrderLists", "Open order lists of an account", "0: none"],
  ["avgPriceMins", "Minutes of the reference price", "0: the last price"],
];
const field = ([name, label, hint]: [string, string, string]): Field => ({ name, label, hint, isOptional: true });

function rules(values: Values): Record<string, unknown> {
  const whole = new Set(WHOLE.map(([name]) => name));
  return Object.fromEntries(
    Object.entries(given(values)).map(([name, value]) => [
      name,
      whole.has(name) && /^\d+$/.test(value) ? Number(value) : value,
    ]),
  );
}

export function listMarket(assets: Asset[], again: () => void): Action {
  const names = assets.map(({ asset }) => asset);
  return {
    title: "List a market",
    text: "What you leave empty has the value that docs/admin-api.md names.",
    least: "admin",
    button: "List",
    fields: [
      { name: "symbol", label: "Symbol", hint: "such as BTCUSDT" },
      { name: "baseAsset", label: "Base asset", options: names, value: names[0] ?? "" },
      { name: "quoteAsset", label: "Quote asset", options: names, value: names.at(-1) ?? "" },
      { name: "tickSize", label: "Step of prices", value: "0.01" },
      { name: "stepSize", label: "Step of quantities", value: "0.00001" },
      { name: "makerFee", label: "Fee of makers", hint: "0.001 is 0.1 %", isOptional: true },
      { name: "takerFee", label: "Fee of takers", hint: "0.001 is 0.1 %", isOptional: true },
      { name: "minNotional", label: "Smallest worth of an order", isOptional: true },
      { name: "status", label: "Status", options: ["TRADING", "BREAK", "HALT"], value: "TRADING" },
    ],
    run: (values, reason) => ask("POST", "markets", rules(values), reason),
    again,
  };
}

export const listAsset = (again: () => void): Action => ({
  title: "List an asset",
  text: "Name and decimals never change.",
  least: "admin",
  button: "List",
  fields: [
    { name: "asset", label: "Name", hint: "capitals and digits" },
    { name: "decimals", label: "Decimals", value: "8", hint: "0 to 18" },
  ],
  run: ({ asset, decimals }, reason) => ask("POST", "assets", { asset, decimals: Number(decimals) }, reason),
  again,
});

export const setStatus = (symbol: string, status: string, again: () => void): Action => ({
  title: `${status === "TRADING" ? "Resume" : "Change"} ${symbol}: ${status}`,
  text:
    status === "TRADING"
      ? "The market takes orders again, unless its session says otherwise."
      : "The market accepts cancels, and no new orders.",
  least: "desk",
  button: status === "TRADING" ? "Resume" : status === "HALT" ? "Halt" : status,
  isDangerous: status !== "TRADING",
  run: (_, reason) => ask("PATCH", `markets/${part(symbol)}`, { status }, reason),
  again,
});

/** Halts or resumes markets one after the other. One that is refused keeps none of the others from it. */
async function change(symbols: string[], status: string, reason: string): Promise<void> {
  const refused: string[] = [];
  for (const symbol of symbols) {
    try {
      await ask("PATCH", `markets/${part(symbol)}`, { status }, reason);
    } catch (error) {
      refused.push(`${symbol}: ${(error as Error).message}`);
    }
  }
  if (refused.length > 0) throw new Error(`Not all were changed. ${refused.join(" ")}`);
}

export function haltAll(markets: Market[], again: () => void): Action {
  const trading = (markets: Market[]) =>
    markets.filter(({ status }) => status === "TRADING").map(({ symbol }) => symbol);
  const { length } = trading(markets);
  return {
    title: "Halt the venue",
    text: `Of all markets, ${length} ${length === 1 ? "trades" : "trade"}: none takes orders after this, and cancels are accepted.`,
    least: "desk",
    button: "Halt all markets",
    isDangerous: true,
    word: "HALT",
    needsReason: true,
    // Others may trade by now than when the window was opened.
    run: async (_, reason) => change(trading(await all<Market>("markets")), "HALT", reason),
    again,
  };
}

export function resumeAll(markets: Market[], again: () => void): Action {
  const symbols = markets.filter(({ status }) => status === "HALT").map(({ symbol }) => symbol);
  return {
    title: "Resume the venue",
    text: `Of all markets, ${symbols.length} ${symbols.length === 1 ? "is" : "are"} halted. They trade after this.`,
    least: "desk",
    button: "Resume all markets",
    word: "RESUME",
    run: (_, reason) => change(symbols, "TRADING", reason),
    again,
  };
}

export const changeFees = (market: Market, again: () => void): Action => ({
  title: `Fees of ${market.symbol}`,
  text: "New rates hold for orders that are placed afterwards.",
  least: "desk",
  button: "Change fees",
  fields: [
    { name: "makerFee", label: "Makers", value: market.makerFee, hint: "0.001 is 0.1 %" },
    { name: "takerFee", label: "Takers", value: market.takerFee, hint: "0.001 is 0.1 %" },
  ],
  run: (values, reason) => ask("PATCH", `markets/${part(market.symbol)}`, values, reason),
  again,
});

export const changeFilters = (market: Market, again: () => void): Action => ({
  title: `Filters of ${market.symbol}`,
  text: "What you leave empty stays as it is.",
  least: "desk",
  button: "Change filters",
  fields: [...NUMBERS, ...WHOLE].map(field),
  run: (values, reason) => ask("PATCH", `markets/${part(market.symbol)}`, rules(values), reason),
  again,
});

export const delist = (symbol: string, again: () => void, done: () => void): Action => ({
  title: `Delist ${symbol}`,
  text: "The market ends for good: its open orders expire, and its symbol is free for another one.",
  least: "admin",
  button: "Delist",
  isDangerous: true,
  word: symbol,
  needsReason: true,
  run: (_, reason) => ask("DELETE", `markets/${part(symbol)}`, undefined, reason),
  again,
  done,
});

export const setBreaker = (symbol: string, session: Session | undefined, again: () => void): Action => ({
  title: `Circuit breaker of ${symbol}`,
  text: "An order that would trade further than this from the recent prices ends, and the market pauses.",
  least: "desk",
  button: "Set breaker",
  fields: [
    { name: "moveBp", label: "Move", value: String(session?.breaker?.moveBp ?? 500), hint: "hundredths of a percent" },
    { name: "windowSeconds", label: "Within", value: String(session?.breaker?.windowSeconds ?? 60), hint: "seconds" },
    { name: "pauseSeconds", label: "Pause", value: String(session?.breaker?.pauseSeconds ?? 300), hint: "seconds" },
    {
      name: "auctionSeconds",
      label: "Auction",
      value: String(session?.breaker?.auctionSeconds ?? 0),
      hint: "seconds; 0: the market reopens without one",
    },
  ],
  run: (values, reason) =>
    ask(
      "PUT",
      `markets/${part(symbol)}/breaker`,
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])),
      reason,
    ),
  again,
});

export const removeBreaker = (symbol: string, again: () => void): Action => ({
  title: `Remove the circuit breaker of ${symbol}`,
  least: "desk",
  button: "Remove breaker",
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `markets/${part(symbol)}/breaker`, undefined, reason),
  again,
});

export const openAuction = (symbol: string, again: () => void): Action => ({
  title: `Auction in ${symbol}`,
  text: "Orders are collected, and matched at one price when the time is over or you end the phase.",
  least: "desk",
  button: "Open auction",
  fields: [{ name: "seconds", label: "Seconds", isOptional: true, hint: "empty: until you end the phase" }],
  run: ({ seconds }, reason) =>
    ask("POST", `markets/${part(symbol)}/session/auction`, seconds ? { seconds: Number(seconds) } : {}, reason),
  again,
});

export const endPhase = (symbol: string, again: () => void): Action => ({
  title: `End the phase of ${symbol}`,
  text: "A market that pauses reopens; one that collects orders matches them.",
  least: "desk",
  button: "End phase",
  run: (_, reason) => ask("POST", `markets/${part(symbol)}/session/end`, undefined, reason),
  again,
});

/** The bounds of an execution rule, with the names of the API. */
export const RANGE = [
  ["bidLimitMultUp", "Highest price of a buy"],
  ["bidLimitMultDown", "Lowest price of a buy"],
  ["askLimitMultUp", "Highest price of a sale"],
  ["askLimitMultDown", "Lowest price of a sale"],
] as const;

export const setPriceRange = (symbol: string, session: Session | undefined, again: () => void): Action => ({
  title: `Execution rule of ${symbol}`,
  text:
    "Multiples of the reference price beyond which orders do not trade; what is left of one ends there. What you " +
    "leave empty bounds nothing.",
  least: "desk",
  button: "Set rule",
  fields: RANGE.map(([name, label]) => ({
    name,
    label,
    value: session?.priceRange?.[name] ?? "",
    hint: name.endsWith("Up") ? "1 to 1000, such as 1.05" : "above 0 and at most 1, such as 0.95",
    isOptional: true,
  })),
  run: (values, reason) => ask("PUT", `markets/${part(symbol)}/price-range`, given(values), reason),
  again,
});

export const removePriceRange = (symbol: string, again: () => void): Action => ({
  title: `Remove the execution rule of ${symbol}`,
  least: "desk",
  button: "Remove rule",
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `markets/${part(symbol)}/price-range`, undefined, reason),
  again,
});

const reference = (symbol: string): string => `markets/${part(symbol)}/reference`;

export function setMeanReference(symbol: string, now: Reference | null, again: () => void): Action {
  const mean = now?.calculationType === "ARITHMETIC_MEAN" ? now : { bucketCount: 60, bucketWidthMs: 1_000 };
  return {
    title: `Reference price of ${symbol}: mean of its trades`,
    text: "It begins without trades, and until there is a price again nothing is bounded by it.",
    least: "desk",
    button: "Mean of trades",
    fields: [
      { name: "bucketCount", label: "Buckets", value: String(mean.bucketCount), hint: "1 to 1,000" },
      { name: "bucketWidthMs", label: "Width of a bucket", value: String(mean.bucketWidthMs), hint: "milliseconds" },
    ],
    run: ({ bucketCount, bucketWidthMs }, reason) =>
      ask(
        "PUT",
        reference(symbol),
        {
          calculationType: "ARITHMETIC_MEAN",
          bucketCount: Number(bucketCount),
          bucketWidthMs: Number(bucketWidthMs),
        },
        reason,
      ),
    again,
  };
}

export const setExternalReference = (symbol: string, again: () => void): Action => ({
  title: `Reference price of ${symbol}: sent by you`,
  text: "Until you set a price, nothing is bounded by it.",
  least: "desk",
  button: "Sent price",
  fields: [{ name: "externalCalculationId", label: "Number of your calculation", value: "1" }],
  run: ({ externalCalculationId }, reason) =>
    ask(
      "PUT",
      reference(symbol),
      { calculationType: "EXTERNAL", externalCalculationId: Number(externalCalculationId) },
      reason,
    ),
  again,
});

export const removeReference = (symbol: string, again: () => void): Action => ({
  title: `Have no reference price of ${symbol}`,
  text: "Filters look at the market's own prices instead, and the execution rule bounds nothing.",
  least: "desk",
  button: "Remove reference",
  isDangerous: true,
  run: (_, reason) => ask("DELETE", reference(symbol), undefined, reason),
  again,
});

export const setReferencePrice = (symbol: string, price: string | null, again: () => void): Action => ({
  title: `Set the reference price of ${symbol}`,
  least: "desk",
  button: "Set price",
  fields: [{ name: "price", label: "Price", value: price ?? "", hint: "in the quote asset" }],
  run: ({ price }, reason) => ask("PUT", `${reference(symbol)}/price`, { price }, reason),
  again,
});

export const removeReferencePrice = (symbol: string, again: () => void): Action => ({
  title: `Withdraw the reference price of ${symbol}`,
  text: "Nothing is bounded by it until you set one again.",
  least: "desk",
  button: "Withdraw price",
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `${reference(symbol)}/price`, undefined, reason),
  again,
});
