import { expect, test } from "vitest";

import * as d from "../../src/decimal";

test("decimals are read exactly or not at all", () => {
  expect(d.plain(d.of("0.10000000"))).toBe("0.1");
  expect(d.plain(d.of("123456789012345678.000000000000000001"))).toBe("123456789012345678.000000000000000001");
  expect(d.plain(d.of(".5"))).toBe("0.5");
  expect(d.plain(d.of("-3.20"))).toBe("-3.2");
  for (const text of ["", ".", "1e5", "1,5", "0.0000000000000000001", "NaN", "--1"]) expect(d.parse(text)).toBeNull();
});

test("products and quotients round to the side that is safe", () => {
  const [a, b] = [d.of("0.000000000000000003"), d.of("0.5")];
  expect(d.plain(d.mul(a, b))).toBe("0.000000000000000001");
  expect(d.plain(d.mulUp(a, b))).toBe("0.000000000000000002");
  expect(d.plain(d.div(d.of("1"), d.of("3")))).toBe("0.333333333333333333");
  expect(d.div(d.of("1"), d.ZERO)).toBe(d.ZERO);
  // Floats would make 0.30000000000000004 of this.
  expect(d.plain(d.of("0.1") + d.of("0.2"))).toBe("0.3");
});

test("steps", () => {
  expect(d.plain(d.floorTo(d.of("100.07"), d.of("0.05")))).toBe("100.05");
  expect(d.plain(d.ceilTo(d.of("100.07"), d.of("0.05")))).toBe("100.1");
  expect(d.plain(d.ceilTo(d.of("100.05"), d.of("0.05")))).toBe("100.05");
  expect(d.plain(d.roundTo(d.of("100.076"), d.of("0.01")))).toBe("100.08");
  expect(d.digitsOf(d.of("0.01000000"))).toBe(2);
  expect(d.digitsOf(d.of("10"))).toBe(0);
  expect(d.isMultiple(d.of("0.003"), d.of("0.001"))).toBe(true);
  expect(d.isMultiple(d.of("0.0035"), d.of("0.001"))).toBe(false);
});

test("what is shown is cut, not rounded up to more than there is", () => {
  expect(d.shown(d.of("1234567.899"), 2)).toBe("1,234,567.89");
  expect(d.shown(d.of("999"), 0)).toBe("999");
  expect(d.plain(d.percentOf(d.of("0.001"), 25))).toBe("0.00025");
});
