// The answers of the admin API, as far as the console reads them.

export type Role = "viewer" | "support" | "desk" | "admin";
export const ROLES: Role[] = ["viewer", "support", "desk", "admin"];

export interface Asset {
  asset: string;
  assetId: number;
  decimals: number;
}
export type Filter = { filterType: string } & Record<string, string | number | boolean>;
export interface Market {
  symbol: string;
  status: string;
  baseAsset: string;
  quoteAsset: string;
  makerFee: string;
  takerFee: string;
  filters: Filter[];
}
export interface Breaker {
  moveBp: number;
  windowSeconds: number;
  pauseSeconds: number;
  auctionSeconds: number;
}
/** An execution rule: multiples of the reference price; one that is not there bounds nothing. */
export interface PriceRange {
  bidLimitMultUp?: string;
  bidLimitMultDown?: string;
  askLimitMultUp?: string;
  askLimitMultDown?: string;
}
export type Reference =
  | { calculationType: "ARITHMETIC_MEAN"; bucketCount: number; bucketWidthMs: number }
  | { calculationType: "EXTERNAL"; externalCalculationId: number; price: string | null; since: number | null };
export interface Session {
  symbol: string;
  status: string;
  phase: string;
  until: number | null;
  breaker: Breaker | null;
  priceRange: PriceRange | null;
  reference: Reference | null;
}
export interface AccountEntry {
  accountId: number;
  label: string;
  opened: number;
  tradeGroupId: number;
  frozen: boolean;
}
export interface Order {
  symbol: string;
  orderId: number;
  clientOrderId: string;
  side: string;
  type: string;
  status: string;
  price: string;
  origQty: string;
  executedQty: string;
  time: number;
  updateTime: number;
}
export interface ApiKey {
  apiKey: string;
  type: string;
  permissions: string[];
  allowedIps: string[];
  issued: number;
  /** `null`: not that the venue knows. */
  lastUsed: number | null;
  lastAddress: string | null;
}
export interface Account extends AccountEntry {
  balances: { asset: string; free: string; locked: string }[];
  openOrders: Order[];
  apiKeys: ApiKey[];
}
export interface Trade {
  symbol: string;
  id: number;
  orderId: number;
  price: string;
  qty: string;
  quoteQty: string;
  commission: string;
  commissionAsset: string;
  time: number;
  isBuyer: boolean;
  isMaker: boolean;
}
export interface Rates {
  maker: string;
  taker: string;
}
export interface AccountFees {
  standard: Rates | null;
  special: Rates;
  tax: Rates;
}
export interface VenueBalance {
  asset: string;
  fees: string;
  external: string;
  clearing: string;
}
export interface VenueBalances {
  balances: VenueBalance[];
  partitions?: { partition: number; balances: VenueBalance[] }[];
}
export interface AuditStand {
  sequence: number;
  stateHash: string;
  violations: string[];
}
export interface Audit extends Partial<AuditStand> {
  ok: boolean;
  assets: Record<string, { sum: string }>;
  partitions?: AuditStand[];
}
export interface LogEntry {
  time: number;
  operator: string;
  action: string;
  reason: string;
  refused: string | null;
  partition: number;
  sequence: number;
}
export interface LedgerEntry {
  time: number;
  asset: string;
  amount: string;
  kind: string;
  symbol: string | null;
  tradeId: number | null;
  transferId: string | null;
  partition: number;
  sequence: number;
}
export interface Ledger {
  entries: LedgerEntry[];
  next: string | null;
  current: boolean;
}
export interface RevenueByDay {
  days: { day: number; fees: { asset: string; collected: string }[] }[];
  current: boolean;
}
export interface LogLine {
  number: number;
  time: number;
  level: string;
  target: string;
  text: string;
}
export interface LogLines {
  process: number;
  lines: LogLine[];
  next: number;
  oldest: number | null;
}
export interface Tier {
  volume: string;
  maker: string;
  taker: string;
}
