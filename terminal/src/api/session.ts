// A session of the WebSocket API: one connection, logged on with a key, for orders and for what happens to them.

import type { Signer } from "./keys";
import { Refusal } from "./rest";
import { ReconnectingSocket, type SocketState } from "./socket";
import type { UserEvent } from "./types";

export interface SessionHooks {
  state(state: SocketState): void;
  /** Logged on, and events flow: everything must be loaded again. */
  ready(): void;
  event(event: UserEvent): void;
  /** The key does not open the account, or not any more. */
  denied(refusal: Refusal): void;
  latency(millis: number): void;
  /** The venue found a time wrong. */
  late(): void;
}

type Params = Record<string, string | number | boolean>;

export class Session {
  private readonly socket: ReconnectingSocket;
  private signer: Signer | null = null;

  constructor(
    private readonly hooks: SessionHooks,
    private readonly now: () => number,
  ) {
    this.socket = new ReconnectingSocket("/ws-api/v3", {
      open: () => this.logon(),
      message: (message) =>
        this.take(message as { id?: null; event?: UserEvent; error?: { code: number; msg: string } }),
      state: (state) => {
        hooks.state(state);
        if (state === "live") hooks.ready();
      },
      probe: () => this.ping(),
    });
  }

  start(signer: Signer): void {
    this.signer = signer;
    this.socket.start();
  }

  /** Logs out and forgets the key. */
  stop(): void {
    this.signer = null;
    if (this.socket.isOpen) this.socket.ask("session.logout", {}).catch(() => {});
    this.socket.stop();
  }

  /** A request of the account. The session signs for it. */
  async call<T>(method: string, params: Params = {}): Promise<T> {
    const began = performance.now();
    const result = await this.socket.ask<T>(method, { ...params, timestamp: this.now() }).catch((error: unknown) => {
      this.tellLate(error);
      throw error;
    });
    this.hooks.latency(performance.now() - began);
    return result;
  }

  async ping(): Promise<void> {
    const began = performance.now();
    await this.socket.ask("ping", {});
    this.hooks.latency(performance.now() - began);
  }

  private async logon(): Promise<void> {
    const signer = this.signer;
    if (!signer) throw new Error("logged out");
    try {
      const params: Params = { apiKey: signer.apiKey, timestamp: this.now() };
      const signature = await signer.sign(`apiKey=${signer.apiKey}&timestamp=${params["timestamp"]}`);
      await this.socket.ask("session.logon", { ...params, signature });
      await this.socket.ask("userDataStream.subscribe", {});
    } catch (error) {
      this.tellLate(error);
      if (error instanceof Refusal && DENIED.includes(error.code)) this.hooks.denied(error);
      throw error;
    }
  }

  private tellLate(error: unknown): void {
    if (error instanceof Refusal && error.code === LATE) this.hooks.late();
  }

  private take(message: { id?: null; event?: UserEvent; error?: { code: number; msg: string } }): void {
    if (message.event) this.hooks.event(message.event);
    else if (message.error && DENIED.includes(message.error.code)) {
      this.hooks.denied(new Refusal(401, message.error.code, message.error.msg));
    }
  }
}

// Timestamp outside of the window.
const LATE = -1021;
// Key unknown, revoked, malformed or without permission, or a wrong signature.
const DENIED = [-2015, -2014, -1022, -1002];
