// Numbers and times as a trader reads them.

import { type Decimal, ZERO, digitsOf, shown, toNumber } from "./decimal";

const short = new Intl.NumberFormat("en", {
  notation: "compact",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** A large number in short: 12.34M. */
export const compact = (value: Decimal): string => short.format(toNumber(value));

/** A quantity in at most six or seven places, so that columns stay narrow. */
export function quantity(value: Decimal, digits: number): string {
  const size = toNumber(value);
  if (size >= 100_000) return compact(value);
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(size, 1))) + 1);
  return shown(value, Math.max(0, Math.min(digits, 7 - whole)));
}

/** An amount with all digits that it has, and at least so many. */
export const amount = (value: Decimal, least = 2): string => shown(value, Math.max(least, digitsOf(value)));

/** An amount cut to so many digits. */
export const about = (value: Decimal, digits: number): string => shown(value, Math.min(digits, 8));

/** A change in percent with its sign. */
export function percent(value: number): string {
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return `${sign}${Math.abs(value).toFixed(2)}%`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** The time of day, in the reader's zone. */
export const time = (millis: number): string => clock.format(millis);

/** Date and time, in the reader's zone. */
export const dateTime = (millis: number): string => dated.format(millis);

export type Direction = "up" | "down" | "";

/** For colours. */
export function direction(value: number | Decimal): Direction {
  return value > 0 ? "up" : value < 0 ? "down" : "";
}

/** The market that the fragment of an address names; browsers percent-encode what is not ASCII in it. */
export function marketIn(fragment: string): string {
  const name = fragment.slice(1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A share of a whole as a number from 0 to 1. */
export const share = (part: Decimal, whole: Decimal): number =>
  whole > ZERO ? Number((part * 1000n) / whole) / 1000 : 0;
