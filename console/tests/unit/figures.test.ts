import { describe, expect, test } from "vitest";

import { added, bytes, day, decimal, negated, percent, seconds } from "../../src/format";
import { type Key, en } from "../../src/i18n/en";
import { LOCALES } from "../../src/i18n/locale.svelte";
import { Tail } from "../../src/lines";
import { parse, quantile, rate, sum } from "../../src/metrics";

const TEXT = `# HELP crossbook_trades_total Trades.
# TYPE crossbook_trades_total counter
crossbook_trades_total 10
crossbook_requests_rejected_total{operation="order.place",code="-2010"} 3
crossbook_requests_rejected_total{operation="a \\"b\\" \\\\ {c}",code="-1013"} 4
crossbook_history_lag_commands NaN
t_seconds_bucket{operation="x",le="0.1"} 0
t_seconds_bucket{operation="x",le="0.2"} 90
t_seconds_bucket{operation="x",le="+Inf"} 100
`;

describe("metrics", () => {
  const metrics = parse(TEXT);
  test("are read with their labels", () => {
    expect(sum(metrics, "crossbook_trades_total")).toBe(10);
    expect(sum(metrics, "crossbook_requests_rejected_total")).toBe(7);
    expect(sum(metrics, "crossbook_requests_rejected_total", ({ code }) => code === "-2010")).toBe(3);
    expect(metrics.get("crossbook_requests_rejected_total")?.[1]?.labels["operation"]).toBe('a "b" \\ {c}');
    expect(sum(metrics, "nothing")).toBeUndefined();
  });
  test("grow each second, and begin anew with the process", () => {
    const later = parse("crossbook_trades_total 30");
    expect(rate(metrics, later, 2, "crossbook_trades_total")).toBe(10);
    expect(rate(later, metrics, 2, "crossbook_trades_total")).toBe(5);
    expect(rate(metrics, later, 2, "nothing")).toBeUndefined();
  });
  test("have quantiles between the bounds", () => {
    const none = parse("");
    expect(quantile(none, metrics, 0.45, "t_seconds")).toBeCloseTo(0.15);
    expect(quantile(none, metrics, 0.99, "t_seconds")).toBe(0.2);
    expect(quantile(metrics, metrics, 0.5, "t_seconds")).toBeUndefined();
  });
});

describe("log lines", () => {
  const line = (number: number) => ({ number, time: 0, level: "INFO", target: "of", text: `line ${number}` });
  test("are followed, and begin anew with another process", async () => {
    let [process, end] = [1, 3];
    const tail = new Tail((after = 0) => {
      const lines = Array.from({ length: Math.min(1_000, end - after) }, (_, at) => line(after + at + 1));
      return Promise.resolve({ process, lines, next: lines.at(-1)?.number ?? end, oldest: 1 });
    });
    const numbers = (lines: { number: number }[]) => lines.map(({ number }) => number);
    expect(numbers(await tail.refresh())).toEqual([1, 2, 3]);
    end = 5;
    expect(numbers(await tail.refresh())).toEqual([1, 2, 3, 4, 5]);
    end = 4_000;
    const all = numbers(await tail.refresh());
    expect([all.length, all[0], all.at(-1)]).toEqual([2_000, 2_001, 4_000]);
    expect(tail.isOther).toBe(false);
    [process, end] = [2, 2];
    expect(numbers(await tail.refresh())).toEqual([1, 2]);
    expect(tail.isOther).toBe(true);
  });
});

describe("texts", () => {
  test("say the same in every language", () => {
    const values = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const { texts } of Object.values(LOCALES)) {
      expect(Object.keys(texts)).toEqual(Object.keys(en));
      for (const [key, text] of Object.entries(en)) expect([key, values(texts[key as Key])]).toEqual([key, values(text)]);
    }
  });
});

describe("numbers", () => {
  test("are exact", () => {
    expect(added("0.1", "0.20")).toBe("0.3");
    expect(added("-100000000000000000.00000001", "0.00000001")).toBe("-100000000000000000");
    expect(added("1", "-3")).toBe("-2");
    expect(negated("-20.5")).toBe("20.5");
    expect(negated("20.5")).toBe("-20.5");
    expect(negated("0.00")).toBe("0");
    expect(decimal("10.500")).toBe("10.5");
    expect(decimal("100")).toBe("100");
    expect(decimal("NONE")).toBe("NONE");
    expect(day(1_795_382_334_000)).toBe("2026-11-22");
  });
  test("are read as percent", () => {
    expect(percent("0.00100000")).toBe("0.1 %");
    expect(percent("0.00125")).toBe("0.125 %");
    expect(percent("0")).toBe("0 %");
    expect(percent("0.5")).toBe("50 %");
    expect(percent("0.00000001")).toBe("0.000001 %");
  });
  test("have units", () => {
    expect(seconds(0.0000123)).toBe("12.3 µs");
    expect(seconds(0.25)).toBe("250 ms");
    expect(seconds(7_200)).toBe("2 h");
    expect(bytes(1_536)).toBe("1.5 KiB");
    expect(bytes(undefined)).toBe("–");
  });
});
