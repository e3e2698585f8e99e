// Keys for everything that a trader does often. They are off while somebody types or a window is open.

import { account } from "./state/account.svelte";
import { feed } from "./state/feed.svelte";
import { INTERVALS, type Interval } from "./state/market";
import { appearance, preferences } from "./state/preferences.svelte";
import { ACCOUNT_TABS, screen } from "./state/screen.svelte";
import { cancel, logOut, ticket } from "./state/trading.svelte";
import type { Key } from "./i18n/en";

/** As the overlay shows them. */
export const SHORTCUTS: [string[], Key][] = [
  [["?"], "key_help"],
  [["/"], "key_search"],
  [["B"], "key_buy"],
  [["S"], "key_sell"],
  [["L"], "key_limit"],
  [["M"], "key_market"],
  [["O"], "key_stop"],
  [["P"], "key_price"],
  [["Q"], "key_quantity"],
  [["["], "key_bid"],
  [["]"], "key_ask"],
  [["X"], "key_cancelLast"],
  [["Shift", "X"], "key_cancelAll"],
  [["D"], "key_depth"],
  [[",", "."], "key_interval"],
  [["G", "Shift G"], "key_grouping"],
  [["1", "–", "4"], "key_tabs"],
  [["F"], "key_favourite"],
  [["T"], "key_theme"],
  [["K"], "key_logIn"],
  [["Esc"], "key_close"],
];

const focus = (key: string) => {
  screen.phoneTab = "trade";
  requestAnimationFrame(() => {
    const field = document.querySelector<HTMLInputElement>(`[data-key="${key}"]`);
    field?.focus();
    field?.select?.();
  });
};

function side(wanted: "BUY" | "SELL"): void {
  const { kind } = ticket.draft;
  if (kind !== "OPO" && kind !== "OPOCO") ticket.draft.side = wanted;
  screen.phoneTab = "trade";
}

function interval(step: number): void {
  const names = Object.keys(INTERVALS) as Interval[];
  const next = names[names.indexOf(feed.interval) + step];
  if (next) void feed.setInterval(next);
}

function actions(regroup: (direction: number) => void): Record<string, () => void> {
  const { book, market } = feed;
  return {
    "?": () => (screen.dialog = "help"),
    "/": () => (screen.dialog = "markets"),
    b: () => side("BUY"),
    s: () => side("SELL"),
    l: () => ticket.setKind("LIMIT"),
    m: () => ticket.setKind("MARKET"),
    o: () => ticket.setKind("STOP_LOSS_LIMIT"),
    p: () => focus("price"),
    q: () => focus("quantity"),
    "[": () => feed.isCurrent && book.bestBid !== null && ticket.takePrice(book.bestBid),
    "]": () => feed.isCurrent && book.bestAsk !== null && ticket.takePrice(book.bestAsk),
    x: () => {
      const newest = account.open.find((order) => order.symbol === market?.symbol);
      if (newest) void cancel(newest);
    },
    X: () => {
      if (account.open.some((order) => order.symbol === market?.symbol)) screen.dialog = "cancelAll";
    },
    d: () => (screen.chartTab = screen.chartTab === "chart" ? "depth" : "chart"),
    ",": () => interval(-1),
    ".": () => interval(1),
    g: () => regroup(-1),
    G: () => regroup(1),
    f: () => market && preferences.toggleFavourite(market.symbol),
    t: () => preferences.set("theme", appearance.theme === "dark" ? "light" : "dark"),
    k: () => (account.isIn ? void logOut() : (screen.dialog = "logIn")),
    ...Object.fromEntries(ACCOUNT_TABS.map((tab, at) => [String(at + 1), () => (screen.accountTab = tab)])),
  };
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.matches("input:not([type=checkbox]), select, textarea") || target.isContentEditable);

export function keyboard(event: KeyboardEvent, regroup: (direction: number) => void): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && isTyping(event.target)) (event.target as HTMLElement).blur();
  if (event.key === "Escape")
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.removeAttribute("open");
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const action = actions(regroup)[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
