// What operators do with the venue as a whole.

import { type Action, given, newId } from "./action.svelte";
import { ask } from "./api";
import { t } from "./i18n/locale.svelte";
import type { Tier, VenueBalance } from "./types";

export const payOut = (balance: VenueBalance, partitions: number[], again: () => void): Action => ({
  title: t("payOutIn", { asset: balance.asset }),
  text: t("payOutText"),
  least: "admin",
  button: t("payOut"),
  isDangerous: true,
  needsReason: true,
  fields: [
    { name: "amount", label: t("amount"), value: balance.fees },
    { name: "transferId", label: t("id"), value: newId() },
    ...(partitions.length > 1
      ? [{ name: "partition", label: t("partition"), options: partitions.map(String), value: String(partitions[0]) }]
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
  title: t("ordersInAll"),
  text: t("zeroOff"),
  least: "desk",
  button: t("change"),
  fields: [
    { name: "maxNumOrders", label: t("orders"), value: String(filters.maxNumOrders) },
    { name: "maxNumAlgoOrders", label: t("stopOrders"), value: String(filters.maxNumAlgoOrders) },
    { name: "maxNumIcebergOrders", label: t("icebergOrders"), value: String(filters.maxNumIcebergOrders) },
    { name: "maxNumOrderLists", label: t("orderLists"), value: String(filters.maxNumOrderLists) },
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
  title: t("feesByVolume"),
  text: t("tiersText"),
  least: "desk",
  button: t("setTiers"),
  fields: [
    { name: "asset", label: t("assetOfVolumes"), value: asset ?? "", isOptional: true },
    {
      name: "tiers",
      label: t("tiers"),
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
  title: t("activate", { rules: newest }),
  text: t("activateText"),
  least: "admin",
  button: t("activate", { rules: newest }),
  isDangerous: true,
  word: "ACTIVATE",
  needsReason: true,
  run: (_, reason) => ask("POST", "rules", { rules: newest }, reason),
  again,
});
