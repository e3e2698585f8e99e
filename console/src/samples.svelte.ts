// Readings of the metrics, one a second, and the figures of the overview.

import { text } from "./api";
import { t } from "./i18n/locale.svelte";
import { type Metrics, parse, quantile, rate, sum } from "./metrics";

/** How many readings are kept. */
const KEPT = 300;
/** Quantiles are of so many readings, so that a quiet second does not leave a gap. */
const SPAN = 10;
const EVERY_MILLIS = 1_000;

interface Reading {
  at: number;
  metrics: Metrics;
}

/** The figures of one second. */
export interface Figures {
  at: number;
  accepted?: number;
  rejected?: number;
  trades?: number;
  p50?: number;
  p99?: number;
  p999?: number;
  queue?: number;
  historyCommands?: number;
  historySeconds?: number;
  diskFree?: number;
  diskSize?: number;
  memory?: number;
  cpu?: number;
  connections?: number;
  websockets?: number;
  syncP99?: number;
}

const isOrder = ({ operation }: Record<string, string>): boolean => operation === "order.place";

class Samples {
  figures = $state.raw<Figures[]>([]);
  /** Refusals within the last minute, by code. */
  refusals = $state.raw<{ code: string; count: number }[]>([]);
  latest = $state.raw<Metrics>(new Map());
  error = $state("");
  private readings: Reading[] = [];

  /** Reads until the result is called. */
  start(): () => void {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const go = async (): Promise<void> => {
      try {
        this.take({ at: Date.now() / 1_000, metrics: parse(await text("/metrics")) });
        this.error = "";
      } catch {
        this.error = t("silent");
      }
      if (!isOver) timer = setTimeout(() => void go(), EVERY_MILLIS);
    };
    void go();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  private take(reading: Reading): void {
    const before = this.readings.at(-1);
    this.readings = [...this.readings, reading].slice(-KEPT);
    this.latest = reading.metrics;
    if (!before) return;
    const earlier = this.readings[Math.max(0, this.readings.length - 1 - SPAN)] ?? before;
    const [then, now, seconds] = [before.metrics, reading.metrics, reading.at - before.at];
    const latency = (share: number) => quantile(earlier.metrics, now, share, "crossbook_request_seconds", isOrder);
    const figures: Figures = { at: reading.at };
    const set = (name: keyof Figures, value: number | undefined) => {
      if (value !== undefined && Number.isFinite(value)) figures[name] = value;
    };
    set("accepted", rate(then, now, seconds, "crossbook_orders_accepted_total"));
    set("rejected", rate(then, now, seconds, "crossbook_requests_rejected_total") ?? 0);
    set("trades", rate(then, now, seconds, "crossbook_trades_total"));
    set("p50", latency(0.5));
    set("p99", latency(0.99));
    set("p999", latency(0.999));
    set("queue", sum(now, "crossbook_queue_depth"));
    set("historyCommands", sum(now, "crossbook_history_lag_commands"));
    set("historySeconds", sum(now, "crossbook_history_lag_seconds"));
    set("diskFree", sum(now, "crossbook_log_disk_free_bytes"));
    set("diskSize", sum(now, "crossbook_log_disk_size_bytes"));
    set("memory", sum(now, "process_resident_memory_bytes"));
    set("cpu", rate(then, now, seconds, "process_cpu_seconds_total"));
    set("connections", sum(now, "crossbook_connections"));
    set("websockets", sum(now, "crossbook_websocket_connections") ?? 0);
    set("syncP99", quantile(earlier.metrics, now, 0.99, "crossbook_log_sync_seconds"));
    this.figures = [...this.figures, figures].slice(-KEPT);
    this.countRefusals();
  }

  private countRefusals(): void {
    const [first, last] = [this.readings[Math.max(0, this.readings.length - 61)], this.readings.at(-1)];
    if (!first || !last) return;
    const name = "crossbook_requests_rejected_total";
    const codes = new Set((last.metrics.get(name) ?? []).map(({ labels }) => labels["code"] ?? ""));
    const of = (code: string) => (labels: Record<string, string>) => labels["code"] === code;
    const counted = [...codes].map((code) => ({
      code,
      count: (sum(last.metrics, name, of(code)) ?? 0) - (sum(first.metrics, name, of(code)) ?? 0),
    }));
    this.refusals = counted.filter(({ count }) => count > 0).sort((one, other) => other.count - one.count);
  }
}

export const samples = new Samples();
