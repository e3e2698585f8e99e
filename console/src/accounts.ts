// What operators do with accounts.

import { type Action, newId } from "./action.svelte";
import { ask } from "./api";
import { decimal } from "./format";
import { t } from "./i18n/locale.svelte";
import type { AccountFees, Asset, Rates } from "./types";

export const openAccount = (done: (id: number) => void): Action => ({
  title: t("openAccount"),
  least: "support",
  button: t("open"),
  fields: [{ name: "label", label: t("label"), isOptional: true, hint: t("labelHint") }],
  run: async ({ label }, reason) => {
    const { accountId } = await ask<{ accountId: number }>("POST", "accounts", { label }, reason);
    done(accountId);
  },
});

type Way = "deposits" | "withdrawals" | "adjustments";

export function moveMoney(way: Way, account: number, assets: Asset[], again: () => void): Action {
  const names = assets.map(({ asset }) => asset);
  return {
    title: t(`${way}Title`, { account }),
    text: t(`${way}Text`),
    least: "admin",
    button: t(`${way}Button`),
    isDangerous: way !== "deposits",
    needsReason: way === "adjustments",
    fields: [
      { name: "asset", label: t("asset"), options: names, value: names[0] ?? "" },
      { name: "amount", label: t("amount") },
      { name: "transferId", label: t("id"), value: newId(), hint: t("idHint") },
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
  title: t("feesOfAccount", { account }),
  text: t("feesOfAccountText"),
  least: "desk",
  button: t("setFees"),
  fields: [
    { name: "standard", label: t("standard"), value: pair(fees.standard), isOptional: true },
    { name: "special", label: t("special"), value: pair(fees.special), isOptional: true },
    { name: "tax", label: t("tax"), value: pair(fees.tax), isOptional: true },
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
  title: t("groupOf", { account }),
  text: t("groupText"),
  least: "desk",
  button: t("setGroup"),
  fields: [{ name: "tradeGroupId", label: t("number"), value: String(group), hint: t("noGroup") }],
  run: ({ tradeGroupId }, reason) =>
    ask("PATCH", `accounts/${account}`, { tradeGroupId: Number(tradeGroupId) }, reason),
  again,
});

export const setDiscountUse = (account: number, isOn: boolean, again: () => void): Action => ({
  title: t(isOn ? "payTitle" : "doNotPayTitle", { account }),
  least: "support",
  button: t(isOn ? "pay" : "doNotPay"),
  run: (_, reason) => ask("PUT", `accounts/${account}/fee-discount`, { enabled: isOn }, reason),
  again,
});

export const setFrozen = (account: number, isFrozen: boolean, again: () => void): Action => ({
  title: t(isFrozen ? "freezeOf" : "unfreezeOf", { account }),
  text: t(isFrozen ? "freezeText" : "unfreezeText"),
  least: "support",
  button: t(isFrozen ? "freeze" : "unfreeze"),
  isDangerous: isFrozen,
  needsReason: true,
  run: (_, reason) => ask("PUT", `accounts/${account}/frozen`, { frozen: isFrozen }, reason),
  again,
});

export const cancelOrders = (account: number, open: number, again: () => void): Action => ({
  title: t("cancelOrdersOf", { account }),
  text: t("cancelOrdersText", { count: open }),
  least: "support",
  button: t("cancelOrders"),
  isDangerous: true,
  needsReason: true,
  run: async (_, reason) => {
    const path = `accounts/${account}/cancel-orders`;
    const { refused } = await ask<{ refused: { symbol: string; msg: string }[] }>("POST", path, undefined, reason);
    const told = refused.map(({ symbol, msg }) => `${symbol}: ${msg}`);
    if (told.length > 0) throw new Error(t("notAllCanceled", { what: told.join(" ") }));
  },
  again,
});

export const issueKey = (account: number, again: () => void): Action => ({
  title: t("issueKeyFor", { account }),
  text: t("issueKeyText"),
  least: "admin",
  button: t("issue"),
  fields: [
    { name: "permissions", label: t("permissions"), options: ["READ", "TRADE"], isMany: true, value: "READ,TRADE" },
    { name: "allowedIps", label: t("addressesField"), isOptional: true, hint: t("addressesHint") },
    { name: "publicKey", label: t("publicKey"), isOptional: true, isLong: true },
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
    return [[t("apiKey"), apiKey], ...(secretKey ? [[t("secretOnce"), secretKey] as [string, string]] : [])];
  },
  again,
});

export const revokeKey = (account: number, key: string, again: () => void): Action => ({
  title: t("revokeTitle"),
  text: t("revokeText", { key: key.slice(0, 8), account }),
  least: "support",
  button: t("revoke"),
  isDangerous: true,
  run: (_, reason) => ask("DELETE", `accounts/${account}/api-keys/${key}`, undefined, reason),
  again,
});
