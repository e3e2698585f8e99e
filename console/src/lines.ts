// The log lines of a process as a page has them: the last ones, and what follows.

import type { LogLine, LogLines } from "./types";

/** So many lines stay on the page. */
const KEPT = 2_000;

export class Tail {
  lines: LogLine[] = [];
  /** Whether the lines of another process have been dropped. */
  isOther = false;
  private process: number | undefined;
  private next = 0;

  /** `page` loads the last lines, or those after a number. */
  constructor(private readonly page: (after: number | undefined) => Promise<LogLines>) {}

  /** Loads what is new. */
  async refresh(): Promise<LogLine[]> {
    let page: LogLines;
    do {
      page = await this.page(this.process === undefined ? undefined : this.next);
      if (this.process !== undefined && page.process !== this.process) {
        [this.lines, this.isOther, this.process] = [[], true, undefined];
        return this.refresh();
      }
      this.process = page.process;
      this.lines = [...this.lines, ...page.lines].slice(-KEPT);
      this.next = page.next;
    } while (page.lines.length >= 1_000);
    return this.lines;
  }
}
