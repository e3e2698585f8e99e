// What became of an order of which no answer came. "Not found" is believed only when the venue cannot take the request
// any more: it may still be on its way for as long as it is valid.

/** For how long the venue takes a request, where it does not say otherwise. */
const RECV_WINDOW_MILLIS = 5_000;
/** For clocks that differ, and for what the venue had already taken in. */
const MARGIN_MILLIS = 3_000;
const TRY_MILLIS = 1_000;

export interface Inquiry<T> {
  /** Null: the venue does not know it. Throws where nobody answers. */
  find(): Promise<T | null>;
  /** False where the account is left. */
  isWanted(): boolean;
  now(): number;
  pause(millis: number): Promise<void>;
}

/** The order, "none", or null where the account was left before anybody knew. */
export async function outcome<T>({ find, isWanted, now, pause }: Inquiry<T>): Promise<T | "none" | null> {
  const began = now();
  for (;;) {
    await pause(TRY_MILLIS);
    if (!isWanted()) return null;
    const isOver = now() - began > RECV_WINDOW_MILLIS + MARGIN_MILLIS;
    try {
      const found = await find();
      if (!isWanted()) return null;
      if (found !== null) return found;
      if (isOver) return "none";
    } catch {
      // Not connected yet.
    }
  }
}
