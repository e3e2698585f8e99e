import { expect, test } from "vitest";

import type { MarketInfo } from "../../src/api/types";
import { Book } from "../../src/book";
import { toCsv } from "../../src/csv";
import { ZERO, of, plain } from "../../src/decimal";
import { type Draft, LISTS, emptyDraft, hasRare, ordersOf, request, resetRare } from "../../src/orders/draft";
import { type Context, review } from "../../src/orders/review";
import { candleStart, groupings, marketOf, nextStart } from "../../src/state/market";

const market = marketOf({
  symbol: "BTCUSDT",
  status: "TRADING",
  baseAsset: "BTC",
  quoteAsset: "USDT",
  baseAssetPrecision: 8,
  quoteAssetPrecision: 8,
  allowTrailingStop: true,
  filters: [
    { filterType: "PRICE_FILTER", tickSize: "0.01", minPrice: "0.01", maxPrice: "1000000" },
    { filterType: "LOT_SIZE", stepSize: "0.001", minQty: "0.001", maxQty: "100" },
    { filterType: "MARKET_LOT_SIZE", stepSize: "0.001", minQty: "0.001", maxQty: "50" },
    { filterType: "NOTIONAL", minNotional: "5", maxNotional: "1000000", applyMinToMarket: true },
    {
      filterType: "PERCENT_PRICE_BY_SIDE",
      bidMultiplierUp: "2",
      bidMultiplierDown: "0.5",
      askMultiplierUp: "2",
      askMultiplierDown: "0.5",
    },
    { filterType: "MAX_NUM_ORDERS", maxNumOrders: 3 },
    { filterType: "MAX_NUM_ALGO_ORDERS", maxNumAlgoOrders: 1 },
    { filterType: "ICEBERG_PARTS", limit: 10 },
    {
      filterType: "TRAILING_DELTA",
      minTrailingAboveDelta: 10,
      maxTrailingAboveDelta: 2000,
      minTrailingBelowDelta: 10,
      maxTrailingBelowDelta: 2000,
    },
  ],
} as unknown as MarketInfo);

function context(change: Partial<Context> = {}): Context {
  const book = new Book();
  book.load({
    lastUpdateId: 1,
    bids: [
      ["99", "1"],
      ["98", "5"],
    ],
    asks: [
      ["101", "1"],
      ["102", "5"],
    ],
  });
  return {
    market,
    book,
    isCurrent: true,
    last: of("100"),
    free: () => of("10000"),
    openOrders: 0,
    openAlgos: 0,
    fees: { maker: of("0.001"), taker: of("0.002") },
    ...change,
  };
}

function draft(change: Partial<Draft>, main: Partial<Draft["main"]> = {}): Draft {
  const empty = emptyDraft();
  return { ...empty, ...change, main: { ...empty.main, ...main } };
}
const told = (wanted: Draft, change: Partial<Context> = {}) =>
  review(wanted, context(change)).problems.map(({ where, field, text }) => `${where}.${field}: ${text}`);

test("a limit order at the edges of the filters", () => {
  const limit = (price: string, quantity: string, change: Partial<Draft["main"]> = {}) =>
    told(draft({ quantity }, { price, ...change }));
  expect(limit("100", "1")).toEqual([]);
  expect(limit("100.001", "1")).toEqual(["main.price: notATick"]);
  expect(limit("100", "0.0005")).toContain("main.quantity: notAStep");
  expect(limit("100", "0.049")).toEqual(["main.quantity: worthTooLittle"]);
  expect(limit("100", "0.05")).toEqual([]);
  expect(limit("200.01", "1")).toEqual(["main.price: tooFarAbove"]);
  expect(limit("200", "1")).toEqual([]);
  expect(limit("49.99", "1")).toEqual(["main.price: tooFarBelow"]);
  expect(limit("100", "101")).toContain("main.quantity: tooHigh");
  expect(limit("100", "")).toEqual(["main.quantity: needed"]);
  expect(limit("100", "1", { iceberg: "0.09" })).toEqual(["main.iceberg: tooManyParts"]);
  expect(limit("100", "1", { iceberg: "0.1" })).toEqual([]);
  expect(limit("100", "1", { iceberg: "0.5", timeInForce: "IOC" })).toEqual(["main.iceberg: onlyGtc"]);
});

test("cost, result and fee are exact, and what they are at the most", () => {
  const seen = review(draft({ quantity: "1.5" }, { price: "100.01" }), context());
  expect([seen.cost, seen.fee, seen.result].map((value) => plain(value ?? ZERO))).toEqual([
    "150.015",
    "0.003",
    "1.497",
  ]);
  expect([seen.spends, seen.brings]).toEqual(["USDT", "BTC"]);
  const sale = review(draft({ side: "SELL", quantity: "2" }, { price: "100" }), context());
  expect([sale.cost, sale.result].map((value) => plain(value ?? ZERO))).toEqual(["2", "199.6"]);
});

test("a market order is reckoned from the book", () => {
  const buy = review(draft({ kind: "MARKET", quantity: "2" }, { type: "MARKET" }), context());
  expect([buy.cost, buy.worst].map((value) => plain(value ?? ZERO))).toEqual(["203", "102"]);
  expect(buy.isEstimate).toBe(true);
  const spent = review(draft({ kind: "MARKET", quantity: "203", isByAmount: true }, { type: "MARKET" }), context());
  expect(plain(spent.result ?? ZERO)).toBe("1.996");
  expect(told(draft({ kind: "MARKET", quantity: "4.99", isByAmount: true }, { type: "MARKET" }))).toEqual([
    "main.quantity: worthTooLittle",
  ]);
});

test("what nobody knows is not made up", () => {
  const market = (quantity: string, change: Partial<Draft> = {}, at: Partial<Context> = {}) => {
    const { cost, result, fee, isShort } = review(
      draft({ kind: "MARKET", quantity, ...change }, { type: "MARKET" }),
      context(at),
    );
    return { cost, result, fee, isShort };
  };
  const nothing = { cost: null, result: null, fee: null };
  expect(market("6")).toMatchObject({ cost: of("611"), isShort: false });
  expect(market("6.001")).toEqual({ ...nothing, isShort: true });
  expect(market("611", { isByAmount: true })).toMatchObject({ cost: of("611"), isShort: false });
  expect(market("611.01", { isByAmount: true })).toEqual({ ...nothing, isShort: true });
  expect(market("7", { side: "SELL" })).toEqual({ ...nothing, isShort: true });
  // The book is not that of the venue now.
  expect(market("1", {}, { isCurrent: false })).toEqual({ ...nothing, isShort: false });
  // Nor are the fees known.
  expect(market("1", {}, { fees: undefined })).toEqual({ cost: of("101"), result: null, fee: null, isShort: false });
});

test("balance and counts", () => {
  expect(told(draft({ quantity: "1" }, { price: "100" }), { free: () => of("99.99") })).toEqual([
    "main.balance: notEnough",
  ]);
  expect(told(draft({ quantity: "1" }, { price: "100" }), { openOrders: 3 })).toEqual(["main.market: tooManyOrders"]);
  const stop = draft({ kind: "STOP_LOSS", quantity: "1", side: "SELL" }, { type: "STOP_LOSS", stopPrice: "90" });
  expect(told(stop, { openAlgos: 1 })).toEqual(["main.market: tooManyStops"]);
});

test("stop prices are on their side of the market", () => {
  const stop = (side: "BUY" | "SELL", type: "STOP_LOSS" | "TAKE_PROFIT", stopPrice: string, trail = "") =>
    told(draft({ kind: type, side, quantity: "1" }, { type, stopPrice, trail }));
  expect(stop("SELL", "STOP_LOSS", "90")).toEqual([]);
  expect(stop("SELL", "STOP_LOSS", "100")).toEqual(["main.stopPrice: mustBeBelow"]);
  expect(stop("BUY", "STOP_LOSS", "100")).toEqual(["main.stopPrice: mustBeAbove"]);
  expect(stop("BUY", "TAKE_PROFIT", "110")).toEqual(["main.stopPrice: mustBeBelow"]);
  expect(stop("SELL", "STOP_LOSS", "", "0.05")).toEqual(["main.trail: tooLow"]);
  expect(stop("SELL", "STOP_LOSS", "", "1")).toEqual([]);
});

test("each kind asks for what the API takes", () => {
  const empty = emptyDraft();
  const pair = {
    take: { ...empty.take, price: "120" },
    stop: { ...empty.stop, type: "STOP_LOSS_LIMIT" as const, stopPrice: "90", price: "89" },
  };
  const asked = Object.fromEntries(
    LISTS.map((kind) => {
      const { method, params } = request(
        draft(
          {
            kind,
            quantity: "1",
            side: kind === "OCO" ? "SELL" : "BUY",
            pending: { ...empty.pending, price: "110" },
            ...pair,
          },
          { price: "95" },
        ),
        "BTCUSDT",
      );
      const { symbol: _, newOrderRespType: __, listClientOrderId: ___, ...rest } = params;
      return [method, rest];
    }),
  );
  const [take, stop] = [
    { Type: "LIMIT_MAKER", Price: "120" },
    { Type: "STOP_LOSS_LIMIT", Price: "89", TimeInForce: "GTC", StopPrice: "90" },
  ];
  const named = (prefix: string, leg: object) =>
    Object.fromEntries(Object.entries(leg).map(([name, value]) => [prefix + name, value]));
  const working = {
    workingType: "LIMIT",
    workingPrice: "95",
    workingTimeInForce: "GTC",
    workingSide: "BUY",
    workingQuantity: "1",
  };
  const pending = { pendingType: "LIMIT", pendingPrice: "110", pendingTimeInForce: "GTC", pendingSide: "SELL" };
  const later = { ...named("pendingAbove", take), ...named("pendingBelow", stop), pendingSide: "SELL" };
  expect(asked).toEqual({
    "orderList.place.oco": { side: "SELL", quantity: "1", ...named("above", take), ...named("below", stop) },
    "orderList.place.oto": { ...working, ...pending, pendingQuantity: "1" },
    "orderList.place.otoco": { ...working, ...later, pendingQuantity: "1" },
    "orderList.place.opo": { ...working, ...pending },
    "orderList.place.opoco": { ...working, ...later },
  });
});

test("a pegged order sends no price", () => {
  const { params } = request(draft({ quantity: "1" }, { price: "95", peg: "PRIMARY_PEG", pegOffset: "2" }), "BTCUSDT");
  expect(params).toMatchObject({ pegPriceType: "PRIMARY_PEG", pegOffsetType: "PRICE_LEVEL", pegOffsetValue: 2 });
  expect(params).not.toHaveProperty("price");
});

test("what is confirmed is what is sent", () => {
  const empty = emptyDraft();
  const seen = (wanted: Draft) =>
    ordersOf(request(wanted, "BTCUSDT")).map((order) =>
      Object.fromEntries(Object.entries(order).filter(([, value]) => value !== "" && value !== false)),
    );
  const pegged = draft({ quantity: "1" }, { price: "95", peg: "PRIMARY_PEG", iceberg: "0.5" });
  expect(seen(pegged)).toEqual([
    { side: "BUY", type: "LIMIT", quantity: "1", timeInForce: "GTC", iceberg: "0.5", peg: "PRIMARY_PEG" },
  ]);
  const stops = {
    take: { ...empty.take, price: "120" },
    stop: { ...empty.stop, stopPrice: "90", trail: "1.5" },
  };
  expect(seen(draft({ kind: "OPOCO", quantity: "2", ...stops }, { price: "95" }))).toEqual([
    { side: "BUY", type: "LIMIT", quantity: "2", price: "95", timeInForce: "GTC" },
    { side: "SELL", type: "LIMIT_MAKER", price: "120" },
    { side: "SELL", type: "STOP_LOSS", stopPrice: "90", trail: "1.5" },
  ]);
  expect(seen(draft({ kind: "OCO", side: "SELL", quantity: "2", ...stops }))).toMatchObject([
    { side: "SELL", type: "LIMIT_MAKER", quantity: "2", price: "120" },
    { side: "SELL", type: "STOP_LOSS", quantity: "2" },
  ]);
  expect(hasRare(pegged)).toBe(true);
  resetRare(pegged);
  expect(hasRare(pegged)).toBe(false);
  expect(seen(pegged)).toEqual([{ side: "BUY", type: "LIMIT", quantity: "1", price: "95", timeInForce: "GTC" }]);
});

test("price groups go up from the tick", () => {
  expect(groupings(market, of("100")).map(plain)).toEqual(["0.01", "0.05", "0.1", "0.5", "1"]);
  expect(groupings(market, ZERO).map(plain)).toEqual(["0.01"]);
});

test("candles begin where the venue begins them", () => {
  const time = Date.UTC(2026, 10, 25, 13, 37, 5);
  expect(candleStart("1m", time)).toBe(Date.UTC(2026, 10, 25, 13, 37));
  expect(candleStart("1w", time)).toBe(Date.UTC(2026, 10, 23));
  expect(candleStart("1M", time)).toBe(Date.UTC(2026, 10, 1));
  expect(nextStart("1M", Date.UTC(2026, 11, 1))).toBe(Date.UTC(2027, 0, 1));
});

test("a file for spreadsheets", () => {
  expect(
    toCsv([
      { a: 'x"y', b: "=1+1" },
      { a: "1,5", c: -2 },
      { a: '-1+HYPERLINK("x")', c: "-0.5" },
    ]),
  ).toBe(`a,b,c\r\n"x""y",'=1+1,\r\n"1,5",,-2\r\n"'-1+HYPERLINK(""x"")",,-0.5\r\n`);
});
