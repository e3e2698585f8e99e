import { afterEach, describe, expect, test, vi } from "vitest";

import { cancelOrders } from "../../src/accounts";
import { acting } from "../../src/action.svelte";
import { all } from "../../src/api";
import { OperatorLog, key, outcome } from "../../src/log";
import { haltAll } from "../../src/markets";
import { session } from "../../src/session.svelte";
import type { LogEntry, Market } from "../../src/types";

/** A venue that answers so; what it was asked. */
function answers(answer: (method: string, path: string) => unknown): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string, { method }: RequestInit) => {
    asked.push(`${method} ${path.replace("/admin/v1/", "")}`);
    return Promise.resolve(Response.json(answer(method ?? "GET", path)));
  });
  return asked;
}
afterEach(() => vi.unstubAllGlobals());

const entry = (sequence: number, action = "POST assets"): LogEntry => ({
  time: sequence,
  operator: "ann",
  action,
  reason: "",
  refused: null,
  partition: 0,
  sequence,
});

describe("the operator log", () => {
  test("has no gap, however much was done between two looks", async () => {
    let end = 10;
    const log = new OperatorLog((before) => {
      const from = before === null ? end : Number(before);
      const entries = Array.from({ length: Math.min(4, from) }, (_, at) => entry(from - at));
      return Promise.resolve({ entries, next: from > 4 ? String(from - 4) : null });
    });
    const sequences = ({ entries }: { entries: LogEntry[] }) => entries.map(({ sequence }) => sequence);
    expect(sequences(await log.refresh())).toEqual([10, 9, 8, 7]);
    expect(sequences(await log.older())).toEqual([10, 9, 8, 7, 6, 5, 4, 3]);
    end = 25;
    expect(sequences(await log.refresh())).toEqual(Array.from({ length: 23 }, (_, at) => 25 - at));
    const { entries, next } = await log.older();
    expect([entries.length, new Set(entries.map(key)).size, next]).toEqual([25, 25, null]);
    expect((await log.older()).entries.length).toBe(25);
  });
  test("says done only of what no other partition decides", () => {
    const told = (action: string) => outcome(entry(1, action));
    expect(told("POST accounts/1001/deposits {}")).toBe("done");
    expect(told('PATCH markets/BTCUSDT {"status":"HALT"}')).toBe("done");
    for (const path of ["session/end", "session/auction", "breaker", "price-range", "reference", "reference/price"])
      expect(told(`PUT markets/BTCUSDT/${path}`)).toBe("asked");
    expect(told("POST accounts/1001/cancel-orders")).toBe("asked");
    expect(outcome({ ...entry(1, "PUT markets/BTCUSDT/breaker"), refused: "no such market" })).toBe("no such market");
  });
});

describe("actions", () => {
  const market = (symbol: string) => ({ symbol, status: "TRADING" }) as Market;
  test("halt the markets that trade when they are done", async () => {
    const asked = answers((method) => (method === "GET" ? { markets: [market("A"), market("B")], next: null } : {}));
    await haltAll([market("A")], () => {}).run({}, "why");
    expect(asked).toEqual(["GET markets?limit=1000&from=0", "PATCH markets/A", "PATCH markets/B"]);
  });
  test("refuse a list that is too long", async () => {
    answers(() => ({ markets: [market("A")], next: 1 }));
    await expect(all("markets", 3)).rejects.toThrow("more than 3 markets");
  });
  test("say which orders were not cancelled", async () => {
    answers(() => ({ symbols: ["A"], refused: [{ symbol: "B", code: -1008, msg: "busy" }] }));
    await expect(cancelOrders(1001, 2, () => {}).run({}, "why")).rejects.toThrow("B: busy");
  });
  test("end with the session", () => {
    acting.open(cancelOrders(1001, 2, () => {}));
    session.leave();
    expect(acting.action).toBeUndefined();
  });
});
