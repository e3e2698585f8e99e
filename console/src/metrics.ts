// Metrics in the text format of Prometheus, and what is computed of them.

export interface Sample {
  labels: Record<string, string>;
  value: number;
}
export type Metrics = Map<string, Sample[]>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

export function parse(text: string): Metrics {
  const found: Metrics = new Map();
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    const match = LINE.exec(line);
    if (!match) continue;
    const [, name = "", labels = "", number = ""] = match;
    const value = number === "+Inf" ? Infinity : number === "-Inf" ? -Infinity : Number(number);
    const sample: Sample = { labels: {}, value };
    for (const [, key = "", text = ""] of labels.matchAll(LABEL)) {
      sample.labels[key] = text.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
    }
    const samples = found.get(name);
    if (samples) samples.push(sample);
    else found.set(name, [sample]);
  }
  return found;
}

type Chosen = (labels: Record<string, string>) => boolean;
const every: Chosen = () => true;

/** The sum of a metric over the chosen labels; `undefined` if it is not there. */
export function sum(metrics: Metrics, name: string, chosen: Chosen = every): number | undefined {
  const samples = (metrics.get(name) ?? []).filter(({ labels }) => chosen(labels));
  return samples.length === 0 ? undefined : samples.reduce((total, { value }) => total + value, 0);
}

/** By how much a counter grew each second. One that began anew counts from zero. */
export function rate(
  before: Metrics,
  after: Metrics,
  seconds: number,
  name: string,
  chosen: Chosen = every,
): number | undefined {
  const now = sum(after, name, chosen);
  if (now === undefined || seconds <= 0) return undefined;
  const then = sum(before, name, chosen) ?? 0;
  return (now < then ? now : now - then) / seconds;
}

/** A quantile of what a histogram has counted between two readings, as Prometheus computes it. */
export function quantile(
  before: Metrics,
  after: Metrics,
  share: number,
  name: string,
  chosen: Chosen = every,
): number | undefined {
  const counts = new Map<number, number>();
  const add = (metrics: Metrics, sign: number) => {
    for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
      if (!chosen(labels)) continue;
      const bound = labels["le"] === "+Inf" ? Infinity : Number(labels["le"]);
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  };
  add(after, 1);
  add(before, -1);
  const bounds = [...counts].sort(([one], [other]) => one - other);
  const total = bounds.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = share * total;
  let [low, below] = [0, 0];
  for (const [bound, count] of bounds) {
    if (count >= rank) {
      if (bound === Infinity) return low;
      return count === below ? bound : low + ((bound - low) * (rank - below)) / (count - below);
    }
    [low, below] = [bound, count];
  }
  return low;
}
