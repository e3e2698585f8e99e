// The market streams: one connection for everything that the page shows.

import { ReconnectingSocket, type SocketState } from "./socket";

export class MarketStream {
  private wanted = new Set<string>();
  private readonly socket: ReconnectingSocket;

  constructor(
    private readonly take: (stream: string, data: unknown) => void,
    state: (state: SocketState) => void,
    restart: () => void,
  ) {
    this.socket = new ReconnectingSocket("/stream", {
      open: async () => {
        if (this.wanted.size > 0) await this.socket.ask("SUBSCRIBE", [...this.wanted]);
      },
      message: (message) => {
        const { stream, data } = message as { stream?: string; data?: unknown };
        if (stream !== undefined && this.wanted.has(stream)) this.take(stream, data);
      },
      state: (now) => {
        state(now);
        if (now === "live") restart();
      },
      probe: () => this.socket.ask("LIST_SUBSCRIPTIONS", []),
    });
  }

  start(): void {
    this.socket.start();
  }

  /** Follows these streams and no others. Resolves when the venue has confirmed what is new. */
  async follow(names: string[]): Promise<void> {
    const wanted = new Set(names);
    const gone = [...this.wanted].filter((name) => !wanted.has(name));
    const fresh = names.filter((name) => !this.wanted.has(name));
    this.wanted = wanted;
    if (!this.socket.isOpen) return;
    if (gone.length > 0) this.socket.ask("UNSUBSCRIBE", gone).catch(() => {});
    if (fresh.length > 0) await this.socket.ask("SUBSCRIBE", fresh);
  }
}
