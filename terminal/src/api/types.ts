// What the API sends, as far as the terminal reads it. Prices, quantities and amounts are decimal strings.

export type Side = "BUY" | "SELL";
export type SelfTradeMode = "NONE" | "EXPIRE_TAKER" | "EXPIRE_MAKER" | "EXPIRE_BOTH" | "DECREMENT" | "TRANSFER";
export type TimeInForce = "GTC" | "IOC" | "FOK";
export type OrderType =
  "LIMIT" | "MARKET" | "LIMIT_MAKER" | "STOP_LOSS" | "STOP_LOSS_LIMIT" | "TAKE_PROFIT" | "TAKE_PROFIT_LIMIT";

export interface Filter {
  filterType: string;
  [field: string]: string | number | boolean;
}

export interface MarketInfo {
  symbol: string;
  status: string;
  baseAsset: string;
  quoteAsset: string;
  baseAssetPrecision: number;
  quoteAssetPrecision: number;
  orderTypes: OrderType[];
  icebergAllowed: boolean;
  ocoAllowed: boolean;
  otoAllowed: boolean;
  opoAllowed: boolean;
  quoteOrderQtyMarketAllowed: boolean;
  allowTrailingStop: boolean;
  cancelReplaceAllowed: boolean;
  amendAllowed: boolean;
  pegInstructionsAllowed: boolean;
  defaultSelfTradePreventionMode: SelfTradeMode;
  allowedSelfTradePreventionModes: SelfTradeMode[];
  filters: Filter[];
}

export interface ExchangeInfo {
  serverTime: number;
  symbols: MarketInfo[];
}

export interface Ticker24 {
  symbol: string;
  lastPrice: string;
  openPrice: string;
  highPrice: string;
  lowPrice: string;
  volume: string;
  quoteVolume: string;
}

/** The mini ticker of the stream. */
export interface MiniTicker {
  s: string;
  c: string;
  o: string;
  h: string;
  l: string;
  v: string;
  q: string;
}

export interface DepthSnapshot {
  lastUpdateId: number;
  bids: [string, string][];
  asks: [string, string][];
}

export interface DepthUpdate {
  e: "depthUpdate";
  s: string;
  U: number;
  u: number;
  b: [string, string][];
  a: [string, string][];
}

export interface PublicTrade {
  id: number;
  price: string;
  qty: string;
  time: number;
  isBuyerMaker: boolean;
}

export interface TradeEvent {
  e: "trade";
  s: string;
  t: number;
  p: string;
  q: string;
  T: number;
  m: boolean;
}

/** Open time, open, high, low, close, volume, close time, quote volume, and more. */
export type KlineRow = [number, string, string, string, string, string, number, string, ...unknown[]];

export interface KlineEvent {
  e: "kline";
  s: string;
  k: { t: number; i: string; o: string; h: string; l: string; c: string; v: string; q: string };
}

export interface StatusEvent {
  e: "symbolStatus";
  s: string;
  S: string;
  u: number;
}

export type MarketEvent = DepthUpdate | TradeEvent | KlineEvent | StatusEvent;

export interface Balance {
  asset: string;
  free: string;
  locked: string;
}

export interface Account {
  uid: number;
  updateTime: number;
  canTrade: boolean;
  balances: Balance[];
}

export interface Rates {
  maker: string;
  taker: string;
  buyer: string;
  seller: string;
}

export interface Commission {
  symbol: string;
  standardCommission: Rates;
  specialCommission: Rates;
  taxCommission: Rates;
}

export interface Order {
  symbol: string;
  orderId: number;
  orderListId: number;
  clientOrderId: string;
  price: string;
  origQty: string;
  executedQty: string;
  origQuoteOrderQty: string;
  cummulativeQuoteQty: string;
  status: string;
  timeInForce: TimeInForce;
  type: OrderType;
  side: Side;
  stopPrice?: string;
  trailingDelta?: number;
  icebergQty?: string;
  pegPriceType?: string;
  time: number;
  updateTime: number;
  isWorking: boolean;
  preventedQuantity?: string;
  selfTradePreventionMode?: SelfTradeMode;
  expiryReason?: string;
}

export interface OwnTrade {
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

export interface OrderList {
  orderListId: number;
  contingencyType: string;
  listStatusType: string;
  listOrderStatus: string;
  listClientOrderId: string;
  transactionTime: number;
  symbol: string;
  orders: { symbol: string; orderId: number; clientOrderId: string }[];
}

export interface ExecutionReport {
  e: "executionReport";
  E: number;
  s: string;
  c: string;
  S: Side;
  o: OrderType;
  f: TimeInForce;
  q: string;
  p: string;
  P: string;
  F: string;
  g: number;
  C: string;
  x: string;
  X: string;
  r: string;
  i: number;
  l: string;
  z: string;
  L: string;
  n: string;
  N: string | null;
  T: number;
  t: number;
  w: boolean;
  m: boolean;
  O: number;
  Z: string;
  Y: string;
  Q: string;
  d?: number;
  gP?: string;
  A?: string;
  V?: SelfTradeMode;
  eR?: string;
}

export interface AccountPosition {
  e: "outboundAccountPosition";
  E: number;
  u: number;
  B: { a: string; f: string; l: string }[];
}

export interface BalanceUpdate {
  e: "balanceUpdate";
  E: number;
  a: string;
  d: string;
  T: number;
}

export interface ListStatus {
  e: "listStatus";
  E: number;
  s: string;
  g: number;
  c: string;
  l: string;
  L: string;
  C: string;
  T: number;
  O: { s: string; i: number; c: string }[];
}

export interface StreamTerminated {
  e: "eventStreamTerminated";
  E: number;
}

export type UserEvent = ExecutionReport | AccountPosition | BalanceUpdate | ListStatus | StreamTerminated;
