// How far the venue's clock is ahead of this one.

/** An answer that took longer says too little about when the venue wrote it. */
const TRIP_MILLIS_MAX = 1_000;

/** Milliseconds by which the venue's clock is ahead; null where the measurement is worth nothing. */
export function clockOffset(asked: number, answered: number, serverTime: number): number | null {
  const trip = answered - asked;
  return trip < 0 || trip > TRIP_MILLIS_MAX ? null : serverTime - (asked + answered) / 2;
}
