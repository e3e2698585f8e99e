// What is open on the screen.

import type { Order } from "../api/types";

export type Dialog = "logIn" | "settings" | "help" | "alerts" | "markets" | "cancelAll" | "confirm" | null;
export type PhoneTab = "chart" | "book" | "trades" | "trade" | "orders";
export type AccountTab = "openOrders" | "orderHistory" | "fills" | "balances";
export const ACCOUNT_TABS: AccountTab[] = ["openOrders", "orderHistory", "fills", "balances"];

class Screen {
  dialog = $state<Dialog>(null);
  phoneTab = $state<PhoneTab>("chart");
  sideTab = $state<"book" | "trades">("book");
  accountTab = $state<AccountTab>("openOrders");
  chartTab = $state<"chart" | "depth">("chart");
  /** The order that is being changed. */
  edited = $state.raw<Order | null>(null);
  search = $state("");
}

export const screen = new Screen();
