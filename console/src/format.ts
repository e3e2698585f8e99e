// Numbers and times as an operator reads them.

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const dated = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export const dateTime = (millis: number): string => dated.format(millis);

export const count = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? "–" : value >= 10_000 ? short.format(value) : plain.format(value);

export function seconds(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value < 0.001) return `${plain.format(value * 1e6)} µs`;
  if (value < 1) return `${plain.format(value * 1e3)} ms`;
  if (value < 120) return `${plain.format(value)} s`;
  if (value < 7_200) return `${plain.format(value / 60)} min`;
  if (value < 172_800) return `${plain.format(value / 3_600)} h`;
  return `${plain.format(value / 86_400)} d`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
export function bytes(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < UNITS.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${plain.format(size)} ${UNITS[unit]}`;
}

/** A decimal without zeros at its end. */
export const decimal = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/** A decimal with the other sign. */
export const negated = (text: string): string =>
  text.startsWith("-") ? text.slice(1) : Number(text) === 0 ? text : `-${text}`;

/** A rate as percent, exactly: 0.00125 is 0.125 %. */
export function percent(rate: string): string {
  const [whole = "0", fraction = ""] = decimal(rate).split(".");
  const digits = `${whole}${fraction.padEnd(2, "0")}`;
  const at = digits.length - Math.max(fraction.length, 2) + 2;
  const text = `${digits.slice(0, at).replace(/^(-?)0+(?=\d)/, "$1")}.${digits.slice(at)}`;
  return `${decimal(text.endsWith(".") ? text.slice(0, -1) : text)} %`;
}

/** The sum of two decimals, exactly. */
export function added(one: string, other: string): string {
  const places = Math.max(...[one, other].map((text) => (text.split(".")[1] ?? "").length));
  const units = (text: string): bigint => {
    const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
    const size = BigInt(whole + fraction.padEnd(places, "0"));
    return text.startsWith("-") ? -size : size;
  };
  const total = units(one) + units(other);
  const digits = (total < 0n ? -total : total).toString().padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  return `${total < 0n ? "-" : ""}${whole}${places > 0 ? `.${digits.slice(-places)}` : ""}`;
}
