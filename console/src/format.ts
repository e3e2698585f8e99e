// Numbers and times as an operator reads them. Decimals and dates are the terminal's.

import { type Decimal, ZERO, of, parse, plain } from "../../terminal/src/decimal";

export { dateTime } from "../../terminal/src/format";

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const round = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? "–" : value >= 10_000 ? short.format(value) : round.format(value);

const figures = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
/** An amount beside a chart, in three digits. */
export const roughly = (value: number): string => figures.format(value);

export function seconds(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value < 0.001) return `${round.format(value * 1e6)} µs`;
  if (value < 1) return `${round.format(value * 1e3)} ms`;
  if (value < 120) return `${round.format(value)} s`;
  if (value < 7_200) return `${round.format(value / 60)} min`;
  if (value < 172_800) return `${round.format(value / 3_600)} h`;
  return `${round.format(value / 86_400)} d`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
export function bytes(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < UNITS.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${round.format(size)} ${UNITS[unit]}`;
}

/** A decimal without zeros at its end; another text as it is. */
export function decimal(text: string): string {
  const value = parse(text);
  return value === null ? text : plain(value);
}

/** The sum of decimals, exactly. */
export const added = (...texts: string[]): string =>
  plain(texts.reduce<Decimal>((sum, text) => sum + of(text), ZERO));

/** A decimal with the other sign. */
export const negated = (text: string): string => plain(-of(text));

/** A rate as percent, exactly: 0.00125 is 0.125 %. */
export const percent = (rate: string): string => `${plain(of(rate) * 100n)} %`;

/** A day by UTC. */
export const day = (millis: number): string => new Date(millis).toISOString().slice(0, 10);
