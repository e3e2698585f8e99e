// What operators do with accounts.

import { type Action, newId } from "./action.svelte";
import { ask } from "./api";
import { decimal } from "./format";
import type { AccountFees, Asset, Rates } from "./types";

export const openAccount = (done: (id: number) => void): Action => ({
  title: "Open an account",
  least: "support",
  button: "Open",
  fields: [{ name: "label", label: "Label", isOptional: true, hint: "a text of yours, at most 200 bytes" }],
  run: async ({ label }, reason) => {
    const { accountId } = await ask<{ accountId: number }>("POST", "accounts", { label }, reason);
    done(accountId);
  },
});

type Way = "deposits" | "withdrawals" | "adjustments";
const WAYS: Record<Way, [string, string, string]> = {
  deposits: ["Deposit", "Credit", "Brings money in from outside."],
  withdrawals: ["Withdrawal", "Debit", "Takes free money out."],
  adjustments: ["Adjustment", "Adjust", "Corrects a balance. Below zero takes money away."],
};

export function moveMoney(way: Way, account: number, assets: Asset[], again: () => void): Action {
  const [title, button, text] = WAYS[way];
  const names = assets.map(({ asset }) => asset);
  return {
    title: `${title} of account ${account}`,
    text: `${text} One id takes effect once: after an error, repeat it with the same id.`,
    least: "admin",
    button,
    isDangerous: way !== "deposits",
    needsReason: way === "adjustments",
    fields: [
      { name: "asset", label: "Asset", options: names, value: names[0] ?? "" },
      { name: "amount", label: "Amount" },
      { name: "transferId", label: "Id", value: newId(), hint: "yours, such as the number of the wire" },
    ],
    run: (values, reason) => {
      const body = way === "adjustments" ? { ...values, reason } : values;
      return ask("POST", `accounts/${account}/${way}`, body, reason);
    },
    again,
  };
}

const pair = (rates: Rates | null): string => (rates ? `${decimal(rates.maker)}, ${decimal(rates.taker)}` : "");

function rates(text: string): Rates | undefined {
  if (!text.trim()) return undefined;
  const [maker = "", taker = maker] = text.split(",").map((part) => part.trim());
  return { maker, taker };
}

export const setFees = (account: number, fees: AccountFees, again: () => void): Action => ({
  title: `Fees of account ${account}`,
  text: "Maker and taker rate, such as 0.0005, 0.001. They hold for orders that are placed afterwards.",
  least: "desk",
  button: "Set fees",
  fields: [
    { name: "standard", label: "Standard, instead of the markets'", value: pair(fees.standard), isOptional: true },
    { name: "special", label: "Special, on top", value: pair(fees.special), isOptional: true },
    { name: "tax", label: "Tax, on top of both", value: pair(fees.tax), isOptional: true },
  ],
  run: ({ standard = "", special = "", tax = "" }, reason) =>
    ask(
      "PUT",
      `accounts/${account}/fees`,
      { standard: rates(standard), special: rates(special), tax: rates(tax) },
      reason,
    ),
  again,
});

export const setGroup = (account: number, group: number, again: () => void): Action => ({
  title: `Trade group of account ${account}`,
  text: "Orders of accounts of one group prevent each other as if they were of one account.",
  least: "desk",
  button: "Set group",
  fields: [{ name: "tradeGroupId", label: "Number", value: String(group), hint: "-1: no group" }],
  run: ({ tradeGroupId }, reason) =>
    ask("PATCH", `accounts/${account}`, { tradeGroupId: Number(tradeGroupId) }, reason),
  again,
});

export const setDiscountUse = (account: number, isOn: boolean, again: () => void): Action => ({
  title: `${isOn ? "Pay" : "Do not pay"} fees of account ${account} in the discount asset`,
  least: "support",
  button: isOn ? "Pay in the discount asset" : "Pay ordinary fees",
  run: (_, reason) => ask("PUT", `accounts/${account}/fee-discount`, { enabled: isOn }, reason),
  again,
});

export const cancelOrders = (account: number, open: number, again: () => void): Action => ({
  title: `Cancel all orders of account ${account}`,
  text: `It has ${open} open orders. All of them end, in all markets.`,
  least: "support",
  button: "Cancel all orders",
  isDangerous: true,
  needsReason: true,
  run: async (_, reason) => {
    const path = `accounts/${account}/cancel-orders`;
    const { refused } = await ask<{ refused: { symbol: string; msg: string }[] }>("POST", path, undefined, reason);
    const told = refused.map(({ symbol, msg }) => `${symbol}: ${msg}`);
    if (told.length > 0) throw new Error(`Not all were cancelled. ${told.join(" ")}`);
  },
  again,
});

export const issueKey = (account: number, again: () => void): Action => ({
  title: `Issue an API key for account ${account}`,
  text: "Without a public key, a secret is made, which is shown once.",
  least: "admin",
  button: "Issue",
  fields: [
    { name: "permissions", label: "Permissions", options: ["READ", "TRADE"], isMany: true, value: "READ,TRADE" },
    { name: "allowedIps", label: "Addresses or networks", isOptional: true, hint: "with commas between; empty: all" },
    { name: "publicKey", label: "Public key (PEM)", isOptional: true, isLong: true },
  ],
  run: ({ permissions = "", allowedIps = "", publicKey = "" }, reason) => {
    const list = (text: string) =>
      text
        .split(",")
        .map((part) => part.trim())
        .filter(Boolean);
    const body = {
      permissions: list(permissions),
      allowedIps: list(allowedIps),
      ...(publicKey.trim() ? { publicKey } : {}),
    };
    return ask("POST", `accounts/${account}/api-keys`, body, reason);
  },
  told: (answer) => {
    const { apiKey, secretKey } = answer as { apiKey: string; secretKey?: string };
    return [["API key", apiKey], ...(secretKey ? [["Secret, shown only now", secretKey] as [string, string]] : [])];
  },
  again,
});

export const revokeKey = (account: number, key: string, again: () => void): Action => ({
  title: "Revoke an API key",
  text: `The key ${key.slice(0, 8)}… of account ${account} is refused from now on, and its streams end.`,
  least: "support",
  button: "Revoke",
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `accounts/${account}/api-keys/${key}`, undefined, reason),
  again,
});
