// The log lines of a process as a page has them: the last ones, and what follows.

import type { LogLine, LogLines } from "./types";

/** So many lines stay on the page. */
const KEPT = 2_000;
/** So many pages are asked for at a time, at most. */
const PAGES = 4;

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
    for (let pages = 0; pages < PAGES; pages++) {
      const after = this.process === undefined ? undefined : this.next;
      const page = await this.page(after);
      if (this.process !== undefined && page.process !== this.process) {
        // The next page is the last lines of whichever process answers.
        [this.lines, this.isOther, this.process] = [[], true, undefined];
        continue;
      }
      this.process = page.process;
      this.lines = [...this.lines, ...page.lines].slice(-KEPT);
      this.next = page.next;
      if (after === undefined || page.lines.length < 1_000) break;
    }
    return this.lines;
  }
}
