// Exact decimals. Prices, quantities and amounts are integers of 10^-18, so that sums and products of what the venue
// sends lose nothing; floats are only for pixels.

export type Decimal = bigint;

const DIGITS = 18;
const ONE = 10n ** BigInt(DIGITS);

export const ZERO: Decimal = 0n;

/** A decimal such as "0.0100"; null where the text is none, or is more exact than can be. */
export function parse(text: string): Decimal | null {
  const found = /^(-?)(\d+)(?:\.(\d*))?$|^(-?)\.(\d+)$/.exec(text.trim());
  if (!found) return null;
  const fraction = (found[3] ?? found[5] ?? "").replace(/0+$/, "");
  if (fraction.length > DIGITS) return null;
  const value = BigInt(found[2] ?? "0") * ONE + BigInt(fraction.padEnd(DIGITS, "0") || "0");
  return (found[1] ?? found[4]) === "-" ? -value : value;
}

/** What the venue sent; zero where it sent nothing. */
export function of(text: string | undefined | null): Decimal {
  return (text ? parse(text) : null) ?? ZERO;
}

/** A float as a decimal of so many digits: what somebody pointed at, not what somebody owns. */
export function ofPixels(value: number, digits: number): Decimal {
  return Number.isFinite(value) ? of(value.toFixed(Math.min(digits, DIGITS))) : ZERO;
}

export const toNumber = (value: Decimal): number => Number(value) / 1e18;

/** Product, rounded towards zero. */
export const mul = (a: Decimal, b: Decimal): Decimal => (a * b) / ONE;

/** Product of numbers that are not negative, rounded up. */
export const mulUp = (a: Decimal, b: Decimal): Decimal => (a * b + ONE - 1n) / ONE;

/** Quotient, rounded towards zero; zero where the divisor is. */
export const div = (a: Decimal, b: Decimal): Decimal => (b === ZERO ? ZERO : (a * ONE) / b);

/** The largest multiple of `step` that is not above `value`. */
export function floorTo(value: Decimal, step: Decimal): Decimal {
  if (step <= ZERO) return value;
  const rest = ((value % step) + step) % step;
  return value - rest;
}

/** The smallest multiple of `step` that is not below `value`. */
export function ceilTo(value: Decimal, step: Decimal): Decimal {
  const floor = floorTo(value, step);
  return floor === value ? value : floor + step;
}

/** The nearest multiple of `step`. */
export const roundTo = (value: Decimal, step: Decimal): Decimal => floorTo(value + step / 2n, step);

export const isMultiple = (value: Decimal, step: Decimal): boolean => step <= ZERO || value % step === ZERO;
export const max = (a: Decimal, b: Decimal): Decimal => (a > b ? a : b);
export const min = (a: Decimal, b: Decimal): Decimal => (a < b ? a : b);
export const abs = (a: Decimal): Decimal => (a < ZERO ? -a : a);

/** So many hundredths of a decimal. */
export const percentOf = (value: Decimal, percent: number): Decimal =>
  (value * BigInt(Math.round(percent * 100))) / 10_000n;

/** Digits after the point that matter in a step such as "0.01000000". */
export function digitsOf(step: Decimal): number {
  let [digits, rest] = [DIGITS, step];
  while (digits > 0 && rest % 10n === 0n) {
    rest /= 10n;
    digits -= 1;
  }
  return rest === 0n ? 0 : digits;
}

/** As the API takes it: no separators, no zeros at the end. */
export function plain(value: Decimal): string {
  const text = fixed(value, DIGITS).replace(/\.?0+$/, "");
  return text === "-0" ? "0" : text;
}

/** With so many digits after the point, rounded towards zero. */
export function fixed(value: Decimal, digits: number): string {
  const size = value < ZERO ? -value : value;
  const whole = (size / ONE).toString();
  const fraction = (size % ONE).toString().padStart(DIGITS, "0").slice(0, digits);
  return `${value < ZERO ? "-" : ""}${whole}${digits > 0 ? `.${fraction}` : ""}`;
}

/** The same with separated thousands, to be read. */
export function shown(value: Decimal, digits: number): string {
  const [whole = "", fraction] = fixed(value, digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
