// Which page is shown: what follows `#/` in the address.

const PAGES = ["overview", "markets", "accounts", "venue", "audit", "log"] as const;
export type Page = (typeof PAGES)[number];

class Route {
  page = $state<Page>("overview");
  /** What the page is about: a market or an account. */
  of = $state("");

  constructor() {
    this.read();
    addEventListener("hashchange", () => this.read());
  }

  private read(): void {
    const [page = "", of = ""] = location.hash.replace(/^#\/?/, "").split("/");
    this.page = PAGES.find((known) => known === page) ?? "overview";
    try {
      this.of = decodeURIComponent(of);
    } catch {
      this.of = "";
    }
  }
}

export const route = new Route();
export const to = (page: Page, of = ""): string => `#/${page}${of ? `/${encodeURIComponent(of)}` : ""}`;
