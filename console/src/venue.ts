// What operators do with the venue as a whole.

import { type Action, given, newId } from "./action.svelte";
import { ask } from "./api";
import type { Tier, VenueBalance } from "./types";

export const payOut = (balance: VenueBalance, partitions: number[], again: () => void): Action => ({
  title: `Pay out fees in ${balance.asset}`,
  text: "Collected fees leave the venue. One id takes effect once.",
  least: "admin",
  button: "Pay out",
  isDangerous: true,
  needsReason: true,
  fields: [
    { name: "amount", label: "Amount", value: balance.fees },
    { name: "transferId", label: "Id", value: newId() },
    ...(partitions.length > 1
      ? [{ name: "partition", label: "Partition", options: partitions.map(String), value: String(partitions[0]) }]
      : []),
  ],
  run: ({ partition, ...values }, reason) =>
    ask(
      "POST",
      "venue/withdrawals",
      { ...values, asset: balance.asset, ...(partition === undefined ? {} : { partition: Number(partition) }) },
      reason,
    ),
  again,
});

export interface ExchangeFilters {
  maxNumOrders: number;
  maxNumAlgoOrders: number;
  maxNumIcebergOrders: number;
  maxNumOrderLists: number;
}

export const changeFilters = (filters: ExchangeFilters, again: () => void): Action => ({
  title: "Open orders of an account in all markets",
  text: "0 switches a filter off.",
  least: "desk",
  button: "Change",
  fields: [
    { name: "maxNumOrders", label: "Orders", value: String(filters.maxNumOrders) },
    { name: "maxNumAlgoOrders", label: "Stop orders", value: String(filters.maxNumAlgoOrders) },
    { name: "maxNumIcebergOrders", label: "Iceberg orders", value: String(filters.maxNumIcebergOrders) },
    { name: "maxNumOrderLists", label: "Order lists", value: String(filters.maxNumOrderLists) },
  ],
  run: (values, reason) =>
    ask(
      "PATCH",
      "exchange-filters",
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])),
      reason,
    ),
  again,
});

export interface FeeTiers {
  asset: string | null;
  tiers: Tier[];
}

export const setTiers = ({ asset, tiers }: FeeTiers, again: () => void): Action => ({
  title: "Fees by volume",
  text: "One tier on each line, by rising volume: volume, maker, taker. Without any, fees do not depend on volumes.",
  least: "desk",
  button: "Set tiers",
  fields: [
    { name: "asset", label: "Asset of the volumes", value: asset ?? "", isOptional: true },
    {
      name: "tiers",
      label: "Tiers",
      value: tiers.map(({ volume, maker, taker }) => `${volume}, ${maker}, ${taker}`).join("\n"),
      isLong: true,
      isOptional: true,
    },
  ],
  run: (values, reason) => {
    const { asset, tiers = "" } = given(values);
    const lines = tiers.split("\n").filter((line) => line.trim());
    const read = lines.map((line) => {
      const [volume = "", maker = "", taker = ""] = line.split(",").map((part) => part.trim());
      return { volume, maker, taker };
    });
    return ask("PUT", "fee-tiers", { ...(asset ? { asset } : {}), tiers: read }, reason);
  },
  again,
});

export const activateRules = (newest: number, again: () => void): Action => ({
  title: `Activate rules ${newest}`,
  text: "There is no way back. docs/upgrade.md says when to do it.",
  least: "admin",
  button: `Activate rules ${newest}`,
  isDangerous: true,
  word: "ACTIVATE",
  needsReason: true,
  run: (_, reason) => ask("POST", "rules", { rules: newest }, reason),
  again,
});
