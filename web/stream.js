// One WebSocket connection for everything the page shows. It comes back by itself, and tells when it does, because
// after a gap whoever follows a stream must start again from a snapshot.

const RETRY_MILLIS_MIN = 500;
const RETRY_MILLIS_MAX = 10_000;
// The venue pings every 20 seconds and browsers answer by themselves, unseen. What is seen is data: market statistics
// come every second where there is trade. Silence for this long is taken for a dead connection and checked.
const SILENCE_MILLIS_MAX = 60_000;

export class Stream extends EventTarget {
  #socket = null;
  #streams = new Set();
  #retry = RETRY_MILLIS_MIN;
  #id = 0;
  #waiting = new Map();
  #heard = 0;
  #watch = null;

  constructor(url) {
    super();
    this.url = url;
  }

  /** Opens the connection and keeps it open. */
  start() {
    this.#connect();
    this.#watch = setInterval(() => {
      const open = this.#socket?.readyState === WebSocket.OPEN;
      if (open && this.#streams.size > 0 && performance.now() - this.#heard > SILENCE_MILLIS_MAX) this.#socket.close();
    }, 5_000);
    addEventListener("online", () => this.#connect());
  }

  /** Follows these streams and no others. Resolves when the venue has confirmed what is new. */
  async follow(names) {
    const wanted = new Set(names);
    const gone = [...this.#streams].filter((name) => !wanted.has(name));
    const fresh = [...wanted].filter((name) => !this.#streams.has(name));
    this.#streams = wanted;
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (gone.length) this.#ask("UNSUBSCRIBE", gone);
    if (fresh.length) await this.#ask("SUBSCRIBE", fresh);
  }

  #connect() {
    if (this.#socket && this.#socket.readyState <= WebSocket.OPEN) return;
    this.#tell("state", "connecting");
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.onopen = async () => {
      this.#heard = performance.now();
      try {
        if (this.#streams.size) await this.#ask("SUBSCRIBE", [...this.#streams]);
      } catch {
        return; // The connection was lost meanwhile; `onclose` goes on from there.
      }
      this.#retry = RETRY_MILLIS_MIN;
      this.#tell("state", "live");
      this.#tell("restart");
    };
    socket.onmessage = ({ data }) => {
      this.#heard = performance.now();
      const message = JSON.parse(data);
      if (message.stream) {
        if (this.#streams.has(message.stream)) this.#tell("data", message);
      } else if (this.#waiting.has(message.id)) {
        const { resolve, reject } = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.error) reject(new Error(message.error.msg));
        else resolve();
      }
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      for (const { reject } of this.#waiting.values()) reject(new Error("connection lost"));
      this.#waiting.clear();
      this.#tell("state", "lost");
      // Some randomness, so that all pages do not come back in the same moment.
      const delay = this.#retry * (0.7 + 0.6 * Math.random());
      this.#retry = Math.min(this.#retry * 2, RETRY_MILLIS_MAX);
      setTimeout(() => this.#connect(), delay);
    };
  }

  #ask(method, params) {
    const id = ++this.#id;
    this.#socket.send(JSON.stringify({ method, params, id }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
