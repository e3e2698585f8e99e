// What the reader chose, kept in this browser. None of it is a secret, so a log-out leaves it.

import { read, write } from "./storage";

export type Theme = "system" | "dark" | "light";
export type SortBy = "name" | "last" | "change" | "volume";

export interface PriceAlert {
  id: number;
  symbol: string;
  price: string;
  /** Whether it waits for the price to rise to it. */
  isAbove: boolean;
}

/** A line that somebody drew on a chart. */
export interface Drawing {
  name: string;
  points: { timestamp?: number; value?: number }[];
}

export interface Layout {
  markets: boolean;
  book: boolean;
  tape: boolean;
  account: boolean;
  bookWidth: number;
  ticketWidth: number;
  accountHeight: number;
}

interface Kept {
  theme: Theme;
  locale: string;
  favourites: string[];
  sort: { by: SortBy; isDown: boolean };
  interval: string | null;
  grouping: Record<string, string>;
  indicators: string[];
  isLogScale: boolean;
  drawings: Record<string, Drawing[]>;
  alerts: PriceAlert[];
  notify: boolean;
  confirm: boolean;
  symbol: string | null;
  layout: Layout;
  layouts: Record<string, Layout>;
}

export const LAYOUTS: Record<string, Layout> = {
  standard: {
    markets: true,
    book: true,
    tape: true,
    account: true,
    bookWidth: 288,
    ticketWidth: 312,
    accountHeight: 250,
  },
  chart: {
    markets: false,
    book: false,
    tape: false,
    account: true,
    bookWidth: 288,
    ticketWidth: 312,
    accountHeight: 190,
  },
  orders: {
    markets: false,
    book: true,
    tape: true,
    account: true,
    bookWidth: 320,
    ticketWidth: 312,
    accountHeight: 420,
  },
};

const browserLocale = navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";

const DEFAULTS: Kept = {
  theme: "system",
  locale: browserLocale,
  favourites: [],
  sort: { by: "volume", isDown: true },
  interval: null,
  grouping: {},
  indicators: ["MA", "VOL"],
  isLogScale: false,
  drawings: {},
  alerts: [],
  notify: false,
  confirm: true,
  symbol: null,
  layout: LAYOUTS["standard"]!,
  layouts: {},
};

const KEY = "terminal";

class Preferences {
  value = $state<Kept>({ ...structuredClone(DEFAULTS), ...read<Partial<Kept>>(KEY, {}) });

  set<K extends keyof Kept>(key: K, value: Kept[K]): void {
    this.value[key] = value;
    write(KEY, $state.snapshot(this.value));
  }

  toggleFavourite(symbol: string): void {
    const now = this.value.favourites;
    this.set("favourites", now.includes(symbol) ? now.filter((name) => name !== symbol) : [...now, symbol]);
  }

  setLayout(change: Partial<Layout>): void {
    this.set("layout", { ...$state.snapshot(this.value.layout), ...change });
  }
}

export const preferences = new Preferences();

const light = matchMedia("(prefers-color-scheme: light)");

class Appearance {
  private systemIsLight = $state(light.matches);
  readonly theme: "dark" | "light" = $derived.by(() => {
    const { theme } = preferences.value;
    return theme === "system" ? (this.systemIsLight ? "light" : "dark") : theme;
  });

  constructor() {
    light.addEventListener("change", ({ matches }) => (this.systemIsLight = matches));
  }
}

export const appearance = new Appearance();
