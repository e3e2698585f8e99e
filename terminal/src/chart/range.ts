// Which prices the chart shows: those of its candles, and those of own orders and alerts that are not far from them.

import type { AxisCreateRangeParams, AxisRange } from "klinecharts";

/** How far beyond the candles a price may be, as a part of the price. */
const REACH = 0.005;
const ROOM = 0.04;

export function rangeWith(marks: number[], isLog: boolean): (params: AxisCreateRangeParams) => AxisRange {
  return ({ defaultRange }) => {
    let { from, to } = defaultRange;
    const reach = Math.max(defaultRange.range, Math.abs(to) * REACH);
    const near = marks.filter((mark) => mark > from - reach && mark < to + reach);
    const room = (Math.max(to, ...near) - Math.min(from, ...near)) * ROOM;
    for (const mark of near) {
      if (mark < from) from = mark - room;
      if (mark > to) to = mark + room;
    }
    const real = (value: number) => (isLog ? Math.log10(Math.max(value, Number.MIN_VALUE)) : value);
    return {
      ...defaultRange,
      from,
      to,
      range: to - from,
      realFrom: real(from),
      realTo: real(to),
      realRange: real(to) - real(from),
      displayFrom: from,
      displayTo: to,
      displayRange: to - from,
    };
  };
}
