// The operator log as a page has it: every entry that it has seen, without a gap between them.

import { t } from "./i18n/locale.svelte";
import type { LogEntry } from "./types";

export interface LogPage {
  entries: LogEntry[];
  next: string | null;
}

export const key = ({ time, partition, sequence }: LogEntry): string => `${time} ${partition} ${sequence}`;

/** What is passed on to the partitions of markets, which may refuse it yet. */
const PASSED_ON = /^\w+ (markets\/[^/ ]+\/(session|breaker|price-range|reference)|accounts\/\d+\/cancel-orders)\b/;

/** What came of it, as far as the log tells. */
export const outcome = ({ action, refused }: LogEntry): string =>
  refused ?? t(PASSED_ON.test(action) ? "outcomeAsked" : "outcomeDone");

export class OperatorLog {
  private readonly seen = new Map<string, LogEntry>();
  /** What leads to the entries before all that were seen. */
  private next: string | null = null;

  /** `page` loads the entries before a place, or the newest. */
  constructor(private readonly page: (before: string | null) => Promise<LogPage>) {}

  /** Loads what is new, back to what was seen before. */
  async refresh(): Promise<LogPage> {
    const isFirst = this.seen.size === 0;
    const fresh: LogEntry[] = [];
    let before: string | null = null;
    do {
      const page: LogPage = await this.page(before);
      fresh.push(...page.entries);
      before = page.next;
    } while (!isFirst && before !== null && !fresh.some((entry) => this.seen.has(key(entry))));
    if (isFirst) this.next = before;
    return this.add(fresh);
  }

  /** Loads older entries. */
  async older(): Promise<LogPage> {
    if (this.next === null) return this.add([]);
    const page = await this.page(this.next);
    this.next = page.next;
    return this.add(page.entries);
  }

  /** All that was seen with these, the newest first. */
  private add(more: LogEntry[]): LogPage {
    for (const entry of more) this.seen.set(key(entry), entry);
    const entries = [...this.seen.values()].sort(
      (a, b) => b.time - a.time || b.partition - a.partition || b.sequence - a.sequence,
    );
    return { entries, next: this.next };
  }
}
