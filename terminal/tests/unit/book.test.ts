import { expect, test } from "vitest";

import { Book, walk } from "../../src/book";
import { mul, of, plain } from "../../src/decimal";
import type { DepthUpdate } from "../../src/api/types";

type Levels = [string, string][];
const snapshot = (lastUpdateId: number, bids: Levels = [], asks: Levels = []) => ({ lastUpdateId, bids, asks });
const change = (U: number, u: number, b: Levels = [], a: Levels = []): DepthUpdate => ({
  e: "depthUpdate",
  s: "BTCUSDT",
  U,
  u,
  b,
  a,
});
const shown = (book: Book, side: "bids" | "asks", count: number, step: string) =>
  book[side].levels(count, of(step)).map(({ price, quantity, total }) => [price, quantity, total].map(plain));

test("changes that came before the snapshot are applied once", () => {
  const book = new Book();
  expect(book.apply(change(5, 6, [["100.0", "1"]]))).toBe(true);
  expect(
    book.apply(
      change(7, 8, [
        ["100.0", "3"],
        ["99.0", "2"],
      ]),
    ),
  ).toBe(true);
  expect(book.ready).toBe(false);
  expect(
    book.load(
      snapshot(
        6,
        [
          ["100.0", "1"],
          ["98.0", "4"],
        ],
        [["101.0", "5"]],
      ),
    ),
  ).toBe(true);
  expect(shown(book, "bids", 10, "1")).toEqual([
    ["100", "3", "3"],
    ["99", "2", "5"],
    ["98", "4", "9"],
  ]);
  expect(shown(book, "asks", 10, "1")).toEqual([["101", "5", "5"]]);
});

test("a snapshot from before the first change at hand is refused", () => {
  const book = new Book();
  book.apply(change(10, 12));
  expect(book.load(snapshot(8))).toBe(false);
  expect(book.ready).toBe(false);
  expect(book.load(snapshot(9)), "the changes are still there for the next try").toBe(true);
});

test("a gap is noticed, a repetition is not one", () => {
  const book = new Book();
  book.load(snapshot(10, [["1", "1"]]));
  expect(book.apply(change(9, 10, [["1", "9"]]))).toBe(true);
  expect(shown(book, "bids", 1, "1")).toEqual([["1", "1", "1"]]);
  expect(book.apply(change(11, 12))).toBe(true);
  expect(book.apply(change(14, 14))).toBe(false);
});

test("quantity zero deletes, and groups add up towards the outside", () => {
  const book = new Book();
  const bids: Levels = [
    ["100.07", "1"],
    ["100.02", "2"],
    ["99.99", "4"],
  ];
  book.load(
    snapshot(1, bids, [
      ["100.11", "1"],
      ["100.19", "2"],
      ["100.21", "4"],
    ]),
  );
  expect(shown(book, "bids", 9, "0.1")).toEqual([
    ["100", "3", "3"],
    ["99.9", "4", "7"],
  ]);
  expect(shown(book, "asks", 9, "0.1")).toEqual([
    ["100.2", "3", "3"],
    ["100.3", "4", "7"],
  ]);
  book.apply(change(2, 2, [["100.07", "0"]], []));
  expect(shown(book, "bids", 1, "0.01")).toEqual([["100.02", "2", "2"]]);
});

test("levels keep their order in whichever order they come", () => {
  const book = new Book();
  book.load(snapshot(1));
  const prices = Array.from({ length: 500 }, (_, at) => ((at * 7919) % 500) + 1);
  book.apply(
    change(
      2,
      2,
      prices.map((price) => [String(price), "1"]),
    ),
  );
  const rows = shown(book, "bids", 500, "1");
  expect(rows.map(([price]) => Number(price))).toEqual(Array.from({ length: 500 }, (_, at) => 500 - at));
  expect(rows.at(-1)?.[2]).toBe("500");
});

test("a taker walks the book level by level", () => {
  const book = new Book();
  book.load(
    snapshot(
      1,
      [],
      [
        ["10", "1"],
        ["11", "2"],
        ["12", "5"],
      ],
    ),
  );
  const all = walk(book.asks, { quantity: of("2") }, mul);
  expect([all.quantity, all.amount, all.worst].map(plain)).toEqual(["2", "21", "11"]);
  const spent = walk(book.asks, { amount: of("21") }, mul);
  expect([spent.quantity, spent.amount, spent.worst].map(plain)).toEqual(["2", "21", "11"]);
});
