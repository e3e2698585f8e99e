// The account that is logged in: its orders, lists, fills and balances, live from the user data stream, and everything
// that it asks the venue to do.

import { type Signer, forgetPair } from "../api/keys";
import { NoAnswer, Refusal } from "../api/rest";
import { Session } from "../api/session";
import type { SocketState } from "../api/socket";
import type {
  Account,
  Commission,
  ExecutionReport,
  ListStatus,
  Order,
  OrderList,
  OwnTrade,
  UserEvent,
} from "../api/types";
import { type Decimal, ZERO, max, of } from "../decimal";
import { feed } from "./feed.svelte";

export interface Holding {
  free: Decimal;
  locked: Decimal;
}

/** Rates of an account in a market, with special rates and taxes. */
export interface FeeRates {
  maker: Decimal;
  taker: Decimal;
}

export type Past = "orders" | "fills";

const OPEN = new Set(["NEW", "PARTIALLY_FILLED", "PENDING_NEW"]);
const PAST_MAX = 500;
export const isOpen = (order: Order): boolean => OPEN.has(order.status);

/** Whoever is told of what happens to orders. */
export interface AccountListener {
  report(report: ExecutionReport): void;
  deposit(asset: string, amount: Decimal): void;
  denied(refusal: Refusal): void;
}

class AccountState {
  name = $state<string | null>(null);
  publicKey: string | null = null;
  /** Counts log-ins. */
  visitor = 0;
  connection = $state<SocketState>("off");
  isLoaded = $state(false);
  uid = $state<number | null>(null);
  canTrade = $state(true);
  balances = $state.raw(new Map<string, Holding>());
  orders = $state.raw(new Map<string, Order>());
  lists = $state.raw(new Map<number, OrderList>());
  /** Ended orders and fills of the market that is looked at, newest first. */
  past = $state.raw<Order[]>([]);
  fills = $state.raw<OwnTrade[]>([]);
  pastOf = $state<string | null>(null);
  fees = $state.raw(new Map<string, FeeRates>());
  /** Milliseconds from a request to its answer, of the last one. */
  latency = $state<number | null>(null);
  listener: AccountListener | null = null;

  private buffered: UserEvent[] | null = null;
  private visit = 0;
  private readonly session = new Session(
    {
      state: (state) => (this.connection = state),
      ready: () => void this.load(),
      event: (event) => (this.buffered ? this.buffered.push(event) : this.apply(event)),
      denied: (refusal) => {
        this.listener?.denied(refusal);
        this.end();
      },
      latency: (millis) => (this.latency = millis),
      late: () => void feed.measureClock().catch(() => {}),
    },
    feed.now,
  );

  readonly isIn: boolean = $derived(this.name !== null);
  readonly open: Order[] = $derived(
    [...this.orders.values()].filter(isOpen).sort((a, b) => b.time - a.time || b.orderId - a.orderId),
  );

  /** `publicKey` is that of a key pair that was made in this browser. */
  logIn(name: string, signer: Signer, publicKey: string | null = null): void {
    this.name = name;
    this.visitor += 1;
    this.publicKey = publicKey;
    this.buffered = [];
    this.session.start(signer);
  }

  /** Ends the session, and forgets its key pair in this browser; one that it did not use stays. */
  async logOut(): Promise<void> {
    const { publicKey } = this;
    this.end();
    if (publicKey !== null) await forgetPair(publicKey);
  }

  /** Ends the session, and forgets whatever is known of the account. A key pair that is kept stays. */
  end(): void {
    this.session.stop();
    this.visit += 1;
    this.name = null;
    this.publicKey = null;
    this.uid = null;
    this.isLoaded = false;
    this.latency = null;
    this.buffered = null;
    this.balances = new Map();
    this.orders = new Map();
    this.lists = new Map();
    this.past = [];
    this.fills = [];
    this.pastOf = null;
    this.fees = new Map();
  }

  call<T>(method: string, params: Record<string, string | number | boolean> = {}): Promise<T> {
    return this.session.call<T>(method, params);
  }

  ping(): Promise<void> {
    return this.session.ping();
  }

  free(asset: string): Decimal {
    return this.balances.get(asset)?.free ?? ZERO;
  }

  /** What has happened to an order of which no answer came; null where the venue does not know it. */
  async find(symbol: string, name: string, isList: boolean): Promise<Order | OrderList | null> {
    try {
      if (isList) return await this.call<OrderList>("orderList.status", { origClientOrderId: name });
      return await this.call<Order>("order.status", { symbol, origClientOrderId: name });
    } catch (error) {
      if (error instanceof Refusal && error.code === UNKNOWN) return null;
      throw error;
    }
  }

  /** Loads everything again. Events that come meanwhile are applied afterwards. */
  private async load(): Promise<void> {
    this.visit += 1;
    const { visit } = this;
    this.buffered = [];
    try {
      const [account, open, lists] = await Promise.all([
        this.call<Account>("account.status", { omitZeroBalances: true }),
        this.call<Order[]>("openOrders.status"),
        this.call<OrderList[]>("openOrderLists.status"),
      ]);
      if (visit !== this.visit) return;
      this.uid = account.uid;
      this.canTrade = account.canTrade;
      this.balances = new Map(
        account.balances.map(({ asset, free, locked }) => [asset, { free: of(free), locked: of(locked) }]),
      );
      this.orders = new Map(open.map((order) => [keyOf(order), order]));
      this.lists = new Map(lists.map((list) => [list.orderListId, list]));
      const events = this.buffered ?? [];
      this.buffered = null;
      for (const event of events) {
        if (event.e !== "outboundAccountPosition" || event.u >= account.updateTime) this.apply(event);
      }
      this.isLoaded = true;
      this.fees = new Map();
      this.pastOf = null;
      if (feed.market) await this.look(feed.market.symbol);
    } catch {
      // The connection is lost; it loads again when it is back. A refusal for now (too many requests) is tried again.
      if (visit === this.visit && this.isIn) setTimeout(() => visit === this.visit && void this.load(), 3_000);
    }
  }

  /** Loads what belongs to one market: fees, ended orders and fills. */
  async look(symbol: string): Promise<void> {
    if (!this.isLoaded || this.pastOf === symbol) return;
    this.pastOf = symbol;
    this.past = [];
    this.fills = [];
    try {
      const [commission, orders, fills] = await Promise.all([
        this.fees.has(symbol) ? null : this.call<Commission>("account.commission", { symbol }),
        this.call<Order[]>("allOrders", { symbol, limit: PAST_MAX }),
        this.call<OwnTrade[]>("myTrades", { symbol, limit: PAST_MAX }),
      ]);
      if (this.pastOf !== symbol) return;
      if (commission) this.fees = new Map(this.fees).set(symbol, ratesOf(commission));
      const known = new Set(this.past.map(({ orderId }) => orderId));
      const ended = orders.filter((order) => !isOpen(order) && !known.has(order.orderId));
      this.past = [...this.past, ...ended.reverse()].sort(byUpdate).slice(0, PAST_MAX);
      const had = new Set(this.fills.map(({ id, orderId }) => `${id}/${orderId}`));
      const others = fills.reverse().filter(({ id, orderId }) => !had.has(`${id}/${orderId}`));
      this.fills = [...this.fills, ...others].sort((a, b) => b.time - a.time || b.id - a.id).slice(0, PAST_MAX);
    } catch {
      if (this.pastOf !== symbol) return;
      this.pastOf = null;
      const { visit } = this;
      const isWanted = () => visit === this.visit && this.pastOf === null && feed.market?.symbol === symbol;
      setTimeout(() => isWanted() && void this.look(symbol), 3_000);
    }
  }

  /** Loads what is before the oldest that is shown; false if there is nothing more. */
  async older(what: Past): Promise<boolean> {
    const symbol = this.pastOf;
    if (!symbol) return false;
    if (what === "fills") {
      const oldest = this.fills.at(-1);
      if (!oldest) return false;
      const endTime = oldest.time;
      const fills = await this.call<OwnTrade[]>("myTrades", {
        symbol,
        endTime,
        startTime: endTime - DAY,
        limit: PAST_MAX,
      });
      const known = new Set(this.fills.map(({ id, orderId }) => `${id}/${orderId}`));
      const fresh = fills.reverse().filter(({ id, orderId }) => !known.has(`${id}/${orderId}`));
      this.fills = [...this.fills, ...fresh];
      return fresh.length > 0;
    }
    const oldest = this.past.at(-1);
    if (!oldest) return false;
    const endTime = oldest.updateTime;
    const orders = await this.call<Order[]>("allOrders", {
      symbol,
      endTime,
      startTime: endTime - DAY,
      limit: PAST_MAX,
    });
    const known = new Set(this.past.map(({ orderId }) => orderId));
    const fresh = orders.reverse().filter((order) => !isOpen(order) && !known.has(order.orderId));
    this.past = [...this.past, ...fresh];
    return fresh.length > 0;
  }

  private apply(event: UserEvent): void {
    if (event.e === "executionReport") this.applyReport(event);
    else if (event.e === "outboundAccountPosition") {
      const balances = new Map(this.balances);
      for (const { a, f, l } of event.B) balances.set(a, { free: of(f), locked: of(l) });
      this.balances = balances;
    } else if (event.e === "balanceUpdate") {
      const amount = of(event.d);
      if (amount !== ZERO) this.listener?.deposit(event.a, amount);
    } else if (event.e === "listStatus") {
      this.applyList(event);
    } else if (event.e === "eventStreamTerminated") {
      this.listener?.denied(new Refusal(401, -2015, "the key was revoked"));
      this.end();
    }
  }

  private applyReport(report: ExecutionReport): void {
    this.listener?.report(report);
    if (report.X === "REJECTED" || report.i === 0) return;
    const order = orderOf(report);
    const key = keyOf(order);
    const known = this.orders.get(key);
    // Only the report of a prevention tells what was prevented.
    if (known?.preventedQuantity) order.preventedQuantity ??= known.preventedQuantity;
    if (known && known.updateTime > order.updateTime) return;
    const orders = new Map(this.orders);
    if (isOpen(order)) orders.set(key, order);
    else orders.delete(key);
    this.orders = orders;
    if (order.symbol !== this.pastOf) return;
    if (!isOpen(order) && !this.past.some(({ orderId }) => orderId === order.orderId)) {
      this.past = [order, ...this.past].slice(0, PAST_MAX);
    }
    if (report.x === "TRADE") this.fills = [fillOf(report), ...this.fills].slice(0, PAST_MAX);
  }

  private applyList(status: ListStatus): void {
    const lists = new Map(this.lists);
    if (status.L === "EXECUTING") {
      lists.set(status.g, {
        orderListId: status.g,
        contingencyType: status.c,
        listStatusType: status.l,
        listOrderStatus: status.L,
        listClientOrderId: status.C,
        transactionTime: status.T,
        symbol: status.s,
        orders: status.O.map(({ s, i, c }) => ({ symbol: s, orderId: i, clientOrderId: c })),
      });
    } else {
      lists.delete(status.g);
    }
    this.lists = lists;
  }
}

/** There is no such order, or list. */
const UNKNOWN = -2013;
const DAY = 86_400_000;

/** Numbers of orders are unique within a market. */
export const keyOf = (order: { symbol: string; orderId: number }): string => `${order.symbol}/${order.orderId}`;

const byUpdate = (a: Order, b: Order) => b.updateTime - a.updateTime || b.orderId - a.orderId;

function ratesOf(commission: Commission): FeeRates {
  const parts = [commission.standardCommission, commission.specialCommission, commission.taxCommission];
  const sum = (pick: "maker" | "taker" | "buyer" | "seller") =>
    parts.reduce((total, rates) => total + of(rates?.[pick]), ZERO);
  const side = max(sum("buyer"), sum("seller"));
  return { maker: sum("maker") + side, taker: sum("taker") + side };
}

function orderOf(report: ExecutionReport): Order {
  return {
    symbol: report.s,
    orderId: report.i,
    orderListId: report.g,
    // A report of a cancel carries the name of the cancel, and the order's own in C.
    clientOrderId: report.x === "CANCELED" && report.C ? report.C : report.c,
    price: report.p,
    origQty: report.q,
    executedQty: report.z,
    origQuoteOrderQty: report.Q,
    cummulativeQuoteQty: report.Z,
    status: report.X,
    timeInForce: report.f,
    type: report.o,
    side: report.S,
    stopPrice: report.P,
    icebergQty: report.F,
    time: report.O,
    updateTime: report.T,
    isWorking: report.w,
    ...(report.d === undefined ? {} : { trailingDelta: report.d }),
    ...(report.gP === undefined ? {} : { pegPriceType: report.gP }),
    ...(report.A === undefined ? {} : { preventedQuantity: report.A }),
    ...(report.V === undefined ? {} : { selfTradePreventionMode: report.V }),
    ...(report.eR === undefined ? {} : { expiryReason: report.eR }),
  };
}

function fillOf(report: ExecutionReport): OwnTrade {
  return {
    symbol: report.s,
    id: report.t,
    orderId: report.i,
    price: report.L,
    qty: report.l,
    quoteQty: report.Y,
    commission: report.n,
    commissionAsset: report.N ?? "",
    time: report.T,
    isBuyer: report.S === "BUY",
    isMaker: report.m,
  };
}

export const account = new AccountState();
export { NoAnswer, Refusal };
