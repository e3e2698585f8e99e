// Which page is shown: what follows `#/` in the address.

const PAGES = ["overview", "markets", "accounts", "venue", "revenue", "audit", "log", "lines"] as const;
export type Page = (typeof PAGES)[number];

class Route {
  page = $state<Page>("overview");
  /** What the page is about: a market or an account. */
  of = $state("");
  /** Which part of that. */
  part = $state("");

  constructor() {
    this.read();
    addEventListener("hashchange", () => this.read());
  }

  private read(): void {
    const [page = "", of = "", part = ""] = location.hash.replace(/^#\/?/, "").split("/");
    this.page = PAGES.find((known) => known === page) ?? "overview";
    this.part = part;
    try {
      this.of = decodeURIComponent(of);
    } catch {
      this.of = "";
    }
  }
}

export const route = new Route();
export const to = (page: Page, of = "", part = ""): string =>
  `#/${page}${of ? `/${encodeURIComponent(of)}` : ""}${part ? `/${part}` : ""}`;
