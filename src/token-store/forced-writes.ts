import type { TokenRecord } from '../shared/token-record.ts';

/** The budget of forced writes is a leaky bucket: twelve at once, one more every two hours, so 24 in any 24 hours. */
const FORCED_WRITE_COSTS_SECONDS = 7_200;
const FORCED_WRITES_AT_ONCE = 12;

/** Whether the secret's budget has room for another write ahead of the pace. @param now Milliseconds since 1970 UTC. */
export const mayForce = (stored: TokenRecord | undefined, now: number): boolean =>
  settledAt(stored, now) - now / 1000 <= (FORCED_WRITES_AT_ONCE - 1) * FORCED_WRITE_COSTS_SECONDS;

/**
 * The record as it is to be written: it carries the bill of the one that it replaces, so that the compare-and-swap is the
 * counter.
 *
 * @param forced One more is on the bill.
 * @param now Milliseconds since 1970 UTC.
 */
export function billed(
  record: TokenRecord,
  replaced: TokenRecord | undefined,
  forced: boolean,
  now: number,
): TokenRecord {
  const { forced_writes_settled_at: _own, ...rest } = record;
  const settled = settledAt(replaced, now);
  if (!forced) return settled === 0 ? rest : { ...rest, forced_writes_settled_at: settled };
  return { ...rest, forced_writes_settled_at: Math.max(Math.floor(now / 1000), settled) + FORCED_WRITE_COSTS_SECONDS };
}

/** A bill longer than the budget was written by a clock that was ahead: it must not hold for longer than the budget does. */
const settledAt = (record: TokenRecord | undefined, now: number): number =>
  Math.min(
    record?.forced_writes_settled_at ?? 0,
    Math.floor(now / 1000) + FORCED_WRITES_AT_ONCE * FORCED_WRITE_COSTS_SECONDS,
  );
