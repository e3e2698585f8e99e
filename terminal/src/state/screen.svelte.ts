// What is open on the screen.

import type { Order } from "../api/types";

/** What somebody is asked before it is done. */
export interface Question {
  title: string;
  text: string;
  yes: string;
  answer: (yes: boolean) => void;
}

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
  question = $state.raw<Question | null>(null);

  /** Asks; whoever closes the window has said no. */
  ask(title: string, text: string, yes: string): Promise<boolean> {
    this.question?.answer(false);
    return new Promise((resolve) => {
      this.question = {
        title,
        text,
        yes,
        answer: (isYes) => {
          this.question = null;
          resolve(isYes);
        },
      };
    });
  }
}

export const screen = new Screen();
