// A WebSocket connection that comes back by itself, with requests that are answered by their number. Whoever uses it is
// told when it is back, because after a gap nothing that was known can be trusted.

import { NoAnswer, Refusal } from "./rest";

export type SocketState = "connecting" | "live" | "lost" | "off";

const RETRY_MILLIS_MIN = 500;
const RETRY_MILLIS_MAX = 10_000;
// After so long without a word, a question is asked; without an answer to it the connection is taken for dead.
const SILENCE_MILLIS_MAX = 15_000;
const ANSWER_MILLIS_MAX = 10_000;
const WATCH_MILLIS = 3_000;

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

interface Answer {
  id: number | string | null;
  status?: number;
  result?: unknown;
  error?: { code: number; msg: string; data?: unknown };
}

export interface SocketHooks {
  /** The connection is open; what must be said first is said here. It counts as live when this resolves. */
  open(): Promise<void>;
  /** A message that answers nothing. */
  message(data: unknown): void;
  state(state: SocketState): void;
  /** Asks something harmless. */
  probe(): Promise<unknown>;
}

export class ReconnectingSocket {
  private socket: WebSocket | null = null;
  private retry = RETRY_MILLIS_MIN;
  private number = 0;
  private readonly waiting = new Map<number, Waiting>();
  private heard = 0;
  private watch: ReturnType<typeof setInterval> | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = true;

  constructor(
    private readonly path: string,
    private readonly hooks: SocketHooks,
  ) {
    addEventListener("online", () => this.stopped || this.connect());
  }

  get isOpen(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  start(): void {
    this.stopped = false;
    this.retry = RETRY_MILLIS_MIN;
    this.watch ??= setInterval(() => this.look(), WATCH_MILLIS);
    this.connect();
  }

  /** Ends it, until it is started again. */
  stop(): void {
    this.stopped = true;
    clearInterval(this.watch);
    clearTimeout(this.timer);
    this.watch = undefined;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.fail();
    this.hooks.state("off");
  }

  /** Sends a request; resolves with its result, rejects with a `Refusal`, or with `NoAnswer` if none comes. */
  ask<T>(method: string, params: unknown): Promise<T> {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Refusal(0, 0, "not connected"));
    this.number += 1;
    const id = this.number;
    const answer = new Promise<unknown>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    socket.send(JSON.stringify({ id, method, params }));
    return answer as Promise<T>;
  }

  private connect(): void {
    if (this.stopped || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this.timer);
    this.hooks.state("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    this.socket = socket;
    socket.onopen = async () => {
      this.heard = performance.now();
      try {
        await this.hooks.open();
      } catch {
        if (this.socket === socket) socket.close();
        return;
      }
      if (this.socket !== socket) return;
      this.retry = RETRY_MILLIS_MIN;
      this.hooks.state("live");
    };
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      this.heard = performance.now();
      this.take(JSON.parse(String(data)) as Answer);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.fail();
      this.hooks.state("lost");
      // Some randomness, so that all pages do not come back in the same moment.
      const delay = this.retry * (0.7 + 0.6 * Math.random());
      this.retry = Math.min(this.retry * 2, RETRY_MILLIS_MAX);
      this.timer = setTimeout(() => this.connect(), delay);
    };
  }

  private take(message: Answer): void {
    const waiting = typeof message.id === "number" ? this.waiting.get(message.id) : undefined;
    if (!waiting) return this.hooks.message(message);
    this.waiting.delete(message.id as number);
    if (message.error) {
      const { code, msg, data } = message.error;
      // Of this one outcome nobody knows whether the venue will still act on it.
      const isUnknown = code === -1007 || code === -1006;
      waiting.reject(isUnknown ? new NoAnswer(msg) : new Refusal(message.status ?? 400, code, msg, data));
    } else {
      waiting.resolve(message.result);
    }
  }

  private fail(): void {
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new NoAnswer("the connection was lost"));
  }

  /** Finds out whether a silent connection is alive. */
  private look(): void {
    const socket = this.socket;
    if (!socket || !this.isOpen || performance.now() - this.heard < SILENCE_MILLIS_MAX) return;
    const asked = performance.now();
    this.hooks.probe().catch(() => {});
    setTimeout(() => {
      if (this.socket === socket && this.heard < asked) socket.close();
    }, ANSWER_MILLIS_MAX);
  }
}
