import { secondsLeft, type TokenRecord } from '../token-store/token-record.ts';

/** A forced refresh does not replace a token younger than this: a thousand callers that saw a 401 cause one exchange. */
const YOUNG_SECONDS = 60;

export type Reason = 'fresh' | 'due' | 'expired' | 'missing' | 'foreign' | 'forced' | 'too_short' | 'young';

/** How a command judges a token: what to do about it, and why. */
export type Judge = (record: TokenRecord) => { readonly good: boolean; readonly reason: Reason };

/**
 * A tick refreshes a token that has entered the refresh window. The window is at most half of the token's own life, or a
 * short-lived token would be refreshed by every tick.
 *
 * @param now Seconds since 1970 UTC.
 */
export function judgeForTick(now: number, refreshWindowSeconds: number): Judge {
  return (record) => {
    const left = secondsLeft(record, now);
    if (left <= 0) return { good: false, reason: 'expired' };
    const window = Math.min(refreshWindowSeconds, record.expires_in / 2);
    return left <= window ? { good: false, reason: 'due' } : { good: true, reason: 'fresh' };
  };
}

/**
 * A caller takes any token that lives long enough for it; with `force`, only one that was obtained a moment ago. A young
 * token is the best there is, whatever was asked for.
 *
 * @param now Seconds since 1970 UTC.
 */
export function judgeForCaller(now: number, wish: { minRemainingSeconds: number; force: boolean }): Judge {
  return (record) => {
    const left = secondsLeft(record, now);
    if (left <= 0) return { good: false, reason: 'expired' };
    const young = now - record.obtained_at < Math.min(YOUNG_SECONDS, record.expires_in / 2);
    if (young) return { good: true, reason: 'young' };
    if (wish.force) return { good: false, reason: 'forced' };
    return left < wish.minRemainingSeconds ? { good: false, reason: 'too_short' } : { good: true, reason: 'fresh' };
  };
}
