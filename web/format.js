// Numbers as a trader reads them. What the venue sends are exact decimal strings; here they are only shown.

/** Digits after the point that matter in a step such as "0.01000000". */
export function digitsOf(step) {
  const fraction = step.split(".")[1] ?? "";
  return fraction.replace(/0+$/, "").length;
}

const formats = new Map();

/** A number with so many digits after the point and separated thousands. */
export function fixed(value, digits) {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

const short = new Intl.NumberFormat("en", { notation: "compact", minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** A large number in short: 12.34M. */
export function compact(value) {
  return short.format(value);
}

/** A quantity in at most six significant places, so that columns stay narrow. */
export function quantity(value, digits) {
  if (value >= 10000) return compact(value);
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(value, 1))) + 1);
  return fixed(value, Math.max(0, Math.min(digits, 6 - whole)));
}

/** A change in percent with its sign. */
export function percent(value) {
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return `${sign}${fixed(Math.abs(value), 2)}%`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The time of day, in the reader's zone. */
export function time(millis) {
  return clock.format(millis);
}

/** "up", "down" or "", for colours. */
export function direction(value) {
  return value > 0 ? "up" : value < 0 ? "down" : "";
}

/** The market that the fragment of an address names; browsers percent-encode what is not ASCII in it. */
export function marketIn(fragment) {
  const name = fragment.slice(1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
