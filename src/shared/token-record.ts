import * as v from 'valibot';
import { parseJson } from './json.ts';

/** Seconds since 1970 UTC before the year 2100: a value in milliseconds does not pass for one in seconds. */
const epochSeconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4_102_444_800));
const visibleAscii = v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/));
const text = v.pipe(v.string(), v.minLength(1));

/**
 * The JSON in the token secret: a public contract, read by Lambdas in any language. Names are those of RFC 6749, section
 * 5.1, first. Unknown fields are kept: additions don't bump `schema_version`.
 */
export const tokenRecordSchema = v.pipe(
  v.looseObject({
    access_token: visibleAscii,
    token_type: text,
    scope: v.optional(v.string()),
    /** Seconds, as received. */
    expires_in: v.pipe(v.number(), v.finite(), v.gtValue(0)),
    /** Seconds since 1970 UTC, counted from before the request was sent: never optimistic. */
    expires_at: epochSeconds,
    /**
     * Seconds since 1970 UTC: when the token first came from D1. It orders tokens: a later one has a larger value, also
     * where a clock went back. Not the beginning of its life: `expires_at - obtained_at` says nothing.
     */
    obtained_at: epochSeconds,
    /** Seconds since 1970 UTC: when the budget of forced writes is whole again. Absent before the first forced write. */
    forced_writes_settled_at: v.optional(epochSeconds),
    issuer_id: text,
    key_id: text,
    correlation_id: text,
    schema_version: v.literal(1),
  }),
  v.forward(
    v.check(({ expires_at, obtained_at, expires_in }) => expires_at <= obtained_at + expires_in + 1),
    ['expires_at'],
  ),
);

export type TokenRecord = v.InferOutput<typeof tokenRecordSchema>;

/**
 * Reads a secret's text as a token record.
 *
 * @returns The record, or why it is none: a field's name at most, never a value.
 */
export function parseTokenRecord(secretText: string): { record: TokenRecord } | { why: string } {
  const value = parseJson(secretText);
  if (value === undefined) return { why: 'it is not JSON' };
  const result = v.safeParse(tokenRecordSchema, value);
  if (result.success) return { record: result.output };
  const field = v.getDotPath(result.issues[0]);
  return { why: field ? `field ${field} is missing or not as the schema says` : 'it is not a JSON object' };
}

/** Whether two records hold the same access token. */
export const sameToken = (one: TokenRecord, other: TokenRecord): boolean => one.access_token === other.access_token;

/** Seconds until the token dies; zero or less when it has. */
export const secondsLeft = (record: TokenRecord, now: number): number => record.expires_at - now;
