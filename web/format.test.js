import assert from "node:assert/strict";
import { test } from "node:test";
import { marketIn } from "./format.js";

test("the market in the address is found, however it was written", () => {
  assert.equal(marketIn("#BTCUSDT"), "BTCUSDT");
  assert.equal(marketIn("#币安人生USDT"), "币安人生USDT");
  assert.equal(marketIn(`#${encodeURIComponent("币安人生USDT")}`), "币安人生USDT");
  assert.equal(marketIn("#%"), "%");
  assert.equal(marketIn(""), "");
});
