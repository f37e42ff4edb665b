const FIRST_CEILING_MILLISECONDS = 200;
const HIGHEST_CEILING_MILLISECONDS = 5_000;

/**
 * How long to wait before the next attempt: full jitter below a ceiling that doubles, and never less than the server
 * asked for.
 *
 * @param attempt The attempt that failed, 1 for the first.
 * @param retryAfterMilliseconds What the server asked for, if it did.
 * @param fraction Random, 0 included, 1 excluded.
 */
export function retryDelayMilliseconds(
  attempt: number,
  retryAfterMilliseconds: number | undefined,
  fraction: number,
): number {
  const ceiling = Math.min(HIGHEST_CEILING_MILLISECONDS, FIRST_CEILING_MILLISECONDS * 2 ** (attempt - 1));
  return Math.round((retryAfterMilliseconds ?? 0) + fraction * ceiling);
}

/**
 * Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, section 10.2.3).
 *
 * @param nowMilliseconds Milliseconds since 1970 UTC.
 * @returns Milliseconds from now, never negative; `undefined` when the header is absent or means nothing.
 */
export function parseRetryAfter(header: string | undefined, nowMilliseconds: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  // Only the IMF-fixdate form: Date.parse alone would take a bare "-5" for a date.
  const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMilliseconds);
}
