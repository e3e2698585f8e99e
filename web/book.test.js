// Run with `node --test web`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Book } from "./book.js";

const snapshot = (lastUpdateId, bids = [], asks = []) => ({ lastUpdateId, bids, asks });
const change = (U, u, b = [], a = []) => ({ U, u, b, a });

test("changes that came before the snapshot are applied once", () => {
  const book = new Book();
  assert.ok(book.apply(change(5, 6, [["100.0", "1"]])));
  assert.ok(book.apply(change(7, 8, [["100.0", "3"], ["99.0", "2"]])));
  assert.equal(book.ready, false);
  assert.ok(book.load(snapshot(6, [["100.0", "1"], ["98.0", "4"]], [["101.0", "5"]])));
  assert.deepEqual(book.bids(10, 1), [[100, 3, 3], [99, 2, 5], [98, 4, 9]]);
  assert.deepEqual(book.asks(10, 1), [[101, 5, 5]]);
});

test("a snapshot from before the first change at hand is refused", () => {
  const book = new Book();
  book.apply(change(10, 12));
  assert.equal(book.load(snapshot(8)), false);
  assert.equal(book.ready, false);
  assert.ok(book.load(snapshot(9)), "the changes are still there for the next try");
});

test("a gap is noticed, a repetition is not one", () => {
  const book = new Book();
  book.load(snapshot(10, [["1", "1"]]));
  assert.ok(book.apply(change(9, 10, [["1", "9"]])));
  assert.deepEqual(book.bids(1, 1), [[1, 1, 1]]);
  assert.ok(book.apply(change(11, 12)));
  assert.equal(book.apply(change(14, 14)), false);
});

test("quantity zero deletes, and groups add up towards the outside", () => {
  const book = new Book();
  const bids = [["100.07", "1"], ["100.02", "2"], ["99.99", "4"]];
  book.load(snapshot(1, bids, [["100.11", "1"], ["100.19", "2"], ["100.21", "4"]]));
  const round = (rows) => rows.map(([price, ...rest]) => [Number(price.toFixed(2)), ...rest]);
  assert.deepEqual(round(book.bids(9, 0.1)), [[100, 3, 3], [99.9, 4, 7]]);
  assert.deepEqual(round(book.asks(9, 0.1)), [[100.2, 3, 3], [100.3, 4, 7]]);
  book.apply(change(2, 2, [["100.07", "0"]], []));
  assert.deepEqual(round(book.bids(1, 0.01)), [[100.02, 2, 2]]);
});
