// What operators do with markets.

import { type Action, type Field, type Values, given } from "./action.svelte";
import { all, ask, part } from "./api";
import { type Key, t } from "./i18n/locale.svelte";
import type { Asset, Market, Reference, Session } from "./types";

/** Rules that every market has, with the names of the API, and hints. */
const NUMBERS: [Key, Key?][] = [
  ["minPrice"],
  ["maxPrice"],
  ["minQty"],
  ["maxQty"],
  ["marketMaxQty"],
  ["minNotional", "inQuote"],
  ["maxNotional", "inQuote"],
  ["multiplierUp", "multipleOrOff"],
  ["multiplierDown", "multipleOrOff"],
  ["askMultiplierUp", "multiple"],
  ["askMultiplierDown", "multiple"],
  ["maxPosition", "inBase"],
];
const WHOLE: [Key, Key?][] = [
  ["maxNumOrders"],
  ["maxNumAlgoOrders"],
  ["maxNumIcebergOrders"],
  ["icebergParts", "zeroNoIcebergs"],
  ["maxNumOrderAmends", "zeroNone"],
  ["maxNumOrderLists", "zeroNone"],
  ["avgPriceMins", "zeroLastPrice"],
];
const field = ([name, hint]: [Key, Key?]): Field => ({
  name,
  label: t(name),
  ...(hint ? { hint: t(hint) } : {}),
  isOptional: true,
});

function rules(values: Values): Record<string, unknown> {
  const whole = new Set<string>(WHOLE.map(([name]) => name));
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
    title: t("listMarket"),
    text: t("emptyIsDefault"),
    least: "admin",
    button: t("list"),
    fields: [
      { name: "symbol", label: t("symbol"), hint: t("suchAsSymbol") },
      { name: "baseAsset", label: t("baseAsset"), options: names, value: names[0] ?? "" },
      { name: "quoteAsset", label: t("quoteAsset"), options: names, value: names.at(-1) ?? "" },
      { name: "tickSize", label: t("stepOfPrices"), value: "0.01" },
      { name: "stepSize", label: t("stepOfQuantities"), value: "0.00001" },
      { name: "makerFee", label: t("feeOfMakers"), hint: t("rateHint"), isOptional: true },
      { name: "takerFee", label: t("feeOfTakers"), hint: t("rateHint"), isOptional: true },
      { name: "minNotional", label: t("smallestWorth"), isOptional: true },
      { name: "status", label: t("statusOf"), options: ["TRADING", "BREAK", "HALT"], value: "TRADING" },
    ],
    run: (values, reason) => ask("POST", "markets", rules(values), reason),
    again,
  };
}

export const listAsset = (again: () => void): Action => ({
  title: t("listAsset"),
  text: t("neverChange"),
  least: "admin",
  button: t("list"),
  fields: [
    { name: "asset", label: t("name"), hint: t("capitals") },
    { name: "decimals", label: t("decimals"), value: "8", hint: "0–18" },
  ],
  run: ({ asset, decimals }, reason) => ask("POST", "assets", { asset, decimals: Number(decimals) }, reason),
  again,
});

export const setStatus = (symbol: string, status: string, again: () => void): Action => ({
  title: t(status === "TRADING" ? "resumeTitle" : "changeTitle", { symbol, status }),
  text: t(status === "TRADING" ? "resumeText" : "haltText"),
  least: "desk",
  button: status === "TRADING" ? t("resume") : status === "HALT" ? t("halt") : status,
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
  if (refused.length > 0) throw new Error(t("notAllChanged", { what: refused.join(" ") }));
}

export function haltAll(markets: Market[], again: () => void): Action {
  const trading = (markets: Market[]) =>
    markets.filter(({ status }) => status === "TRADING").map(({ symbol }) => symbol);
  const { length } = trading(markets);
  return {
    title: t("haltVenue"),
    text: t(length === 1 ? "haltVenueOne" : "haltVenueMany", { count: length }),
    least: "desk",
    button: t("haltAll"),
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
    title: t("resumeVenue"),
    text: t(symbols.length === 1 ? "resumeVenueOne" : "resumeVenueMany", { count: symbols.length }),
    least: "desk",
    button: t("resumeAll"),
    word: "RESUME",
    run: (_, reason) => change(symbols, "TRADING", reason),
    again,
  };
}

export const changeFees = (market: Market, again: () => void): Action => ({
  title: t("feesOf", { of: market.symbol }),
  text: t("ratesAfterwards"),
  least: "desk",
  button: t("changeFees"),
  fields: [
    { name: "makerFee", label: t("makers"), value: market.makerFee, hint: t("rateHint") },
    { name: "takerFee", label: t("takers"), value: market.takerFee, hint: t("rateHint") },
  ],
  run: (values, reason) => ask("PATCH", `markets/${part(market.symbol)}`, values, reason),
  again,
});

export const changeFilters = (market: Market, again: () => void): Action => ({
  title: t("filtersOf", { symbol: market.symbol }),
  text: t("emptyStays"),
  least: "desk",
  button: t("changeFilters"),
  fields: [...NUMBERS, ...WHOLE].map(field),
  run: (values, reason) => ask("PATCH", `markets/${part(market.symbol)}`, rules(values), reason),
  again,
});

export const delist = (symbol: string, again: () => void, done: () => void): Action => ({
  title: t("delistTitle", { symbol }),
  text: t("delistText"),
  least: "admin",
  button: t("delist"),
  isDangerous: true,
  word: symbol,
  needsReason: true,
  run: (_, reason) => ask("DELETE", `markets/${part(symbol)}`, undefined, reason),
  again,
  done,
});

export const setBreaker = (symbol: string, session: Session | undefined, again: () => void): Action => ({
  title: t("breakerOf", { symbol }),
  text: t("breakerText"),
  least: "desk",
  button: t("setBreaker"),
  fields: [
    { name: "moveBp", label: t("move"), value: String(session?.breaker?.moveBp ?? 500), hint: t("hundredths") },
    { name: "windowSeconds", label: t("within"), value: String(session?.breaker?.windowSeconds ?? 60), hint: t("seconds") },
    { name: "pauseSeconds", label: t("pause"), value: String(session?.breaker?.pauseSeconds ?? 300), hint: t("seconds") },
    {
      name: "auctionSeconds",
      label: t("auction"),
      value: String(session?.breaker?.auctionSeconds ?? 0),
      hint: t("auctionHint"),
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
  title: t("removeBreakerOf", { symbol }),
  least: "desk",
  button: t("removeBreaker"),
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `markets/${part(symbol)}/breaker`, undefined, reason),
  again,
});

export const openAuction = (symbol: string, again: () => void): Action => ({
  title: t("auctionIn", { symbol }),
  text: t("auctionText"),
  least: "desk",
  button: t("openAuction"),
  fields: [{ name: "seconds", label: t("secondsField"), isOptional: true, hint: t("untilEnded") }],
  run: ({ seconds }, reason) =>
    ask("POST", `markets/${part(symbol)}/session/auction`, seconds ? { seconds: Number(seconds) } : {}, reason),
  again,
});

export const endPhase = (symbol: string, again: () => void): Action => ({
  title: t("endPhaseOf", { symbol }),
  text: t("endPhaseText"),
  least: "desk",
  button: t("endPhase"),
  run: (_, reason) => ask("POST", `markets/${part(symbol)}/session/end`, undefined, reason),
  again,
});

/** The bounds of an execution rule, with the names of the API. */
export const RANGE = ["bidLimitMultUp", "bidLimitMultDown", "askLimitMultUp", "askLimitMultDown"] as const;

export const setPriceRange = (symbol: string, session: Session | undefined, again: () => void): Action => ({
  title: t("ruleOf", { symbol }),
  text: t("ruleText"),
  least: "desk",
  button: t("setRule"),
  fields: RANGE.map((name) => ({
    name,
    label: t(name),
    value: session?.priceRange?.[name] ?? "",
    hint: t(name.endsWith("Up") ? "upHint" : "downHint"),
    isOptional: true,
  })),
  run: (values, reason) => ask("PUT", `markets/${part(symbol)}/price-range`, given(values), reason),
  again,
});

export const removePriceRange = (symbol: string, again: () => void): Action => ({
  title: t("removeRuleOf", { symbol }),
  least: "desk",
  button: t("removeRule"),
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `markets/${part(symbol)}/price-range`, undefined, reason),
  again,
});

const reference = (symbol: string): string => `markets/${part(symbol)}/reference`;

export function setMeanReference(symbol: string, now: Reference | null, again: () => void): Action {
  const mean = now?.calculationType === "ARITHMETIC_MEAN" ? now : { bucketCount: 60, bucketWidthMs: 1_000 };
  return {
    title: t("meanTitle", { symbol }),
    text: t("meanText"),
    least: "desk",
    button: t("setMean"),
    fields: [
      { name: "bucketCount", label: t("buckets"), value: String(mean.bucketCount), hint: t("bucketsHint") },
      { name: "bucketWidthMs", label: t("bucketWidth"), value: String(mean.bucketWidthMs), hint: t("milliseconds") },
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
  title: t("sentTitle", { symbol }),
  text: t("sentText"),
  least: "desk",
  button: t("setSent"),
  fields: [{ name: "externalCalculationId", label: t("calculationNumber"), value: "1" }],
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
  title: t("removeReferenceOf", { symbol }),
  text: t("removeReferenceText"),
  least: "desk",
  button: t("removeReference"),
  isDangerous: true,
  run: (_, reason) => ask("DELETE", reference(symbol), undefined, reason),
  again,
});

export const setReferencePrice = (symbol: string, price: string | null, again: () => void): Action => ({
  title: t("setPriceOf", { symbol }),
  least: "desk",
  button: t("setPrice"),
  fields: [{ name: "price", label: t("price"), value: price ?? "", hint: t("inQuote") }],
  run: ({ price }, reason) => ask("PUT", `${reference(symbol)}/price`, { price }, reason),
  again,
});

export const removeReferencePrice = (symbol: string, again: () => void): Action => ({
  title: t("withdrawPriceOf", { symbol }),
  text: t("withdrawPriceText"),
  least: "desk",
  button: t("withdrawPrice"),
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `${reference(symbol)}/price`, undefined, reason),
  again,
});
