// What an operator does: each action is described by its fields, and one window asks for them.

import type { Role } from "./types";

export interface Field {
  name: string;
  label: string;
  /** What it is at first. */
  value?: string;
  hint?: string;
  isOptional?: boolean;
  /** A choice of these; several if `isMany`. */
  options?: string[];
  isMany?: boolean;
  /** A text of several lines. */
  isLong?: boolean;
}

export type Values = Record<string, string>;

export interface Action {
  title: string;
  text?: string;
  fields?: Field[];
  least: Role;
  button: string;
  isDangerous?: boolean;
  /** What has to be typed before it is done. */
  word?: string;
  /** Whether the venue wants to know why. */
  needsReason?: boolean;
  run: (values: Values, reason: string) => Promise<unknown>;
  /** What the operator is shown of the answer; nothing if that is empty. */
  told?: (answer: unknown) => [string, string][];
  /** Loads anew what the page shows; after a failure too, of which a part may have been done. */
  again?: () => void;
  /** Where to go once it is done. */
  done?: () => void;
}

class Acting {
  action = $state.raw<Action>();

  open(action: Action): void {
    this.action = action;
  }

  close(): void {
    this.action = undefined;
  }
}

export const acting = new Acting();

/** The fields that were filled in; empty ones are left out. */
export const given = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));

/** A new id for a transfer, which the operator may change. */
export const newId = (): string => {
  const random = crypto.getRandomValues(new Uint8Array(6));
  return `console-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
};
