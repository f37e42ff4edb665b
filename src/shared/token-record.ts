import { LATEST_EPOCH_SECONDS } from './d1.ts';
import { parseJson } from './json.ts';

/**
 * The JSON in the token secret: a public contract, read by Lambdas in any language. Names are those of RFC 6749, section
 * 5.1, first. Unknown fields are kept: additions don't bump `schema_version`. token-record.schema.json says the same.
 */
export interface TokenRecord {
  /** Goes into `Authorization: Bearer`. Visible ASCII. Never log it. */
  readonly access_token: string;
  /** `Bearer` (RFC 6750). */
  readonly token_type: string;
  /** What the token is good for, separated by spaces; absent when D1 did not say. */
  readonly scope?: string | undefined;
  /** Seconds that the token had left when they were counted: here as D1 gave it. */
  readonly expires_in: number;
  /** Seconds since 1970 UTC, counted from before the request was sent: never optimistic. */
  readonly expires_at: number;
  /**
   * Seconds since 1970 UTC: when the token first came from D1. It orders tokens: a later one has a larger value, also
   * where a clock went back. Not the beginning of its life: `expires_at - obtained_at` says nothing.
   */
  readonly obtained_at: number;
  /** Seconds since 1970 UTC: when the budget of forced writes is whole again. Absent before the first forced write. */
  readonly forced_writes_settled_at?: number | undefined;
  /** The D1 issuer that the token belongs to. */
  readonly issuer_id: string;
  /** The `kid` of the key that signed the assertion. */
  readonly key_id: string;
  /** The `x-correlation-id` of the token request: what Thales support asks for. */
  readonly correlation_id: string;
  readonly schema_version: 1;
}

type Rule = (value: unknown) => boolean;

const isText: Rule = (value) => typeof value === 'string' && value.length > 0;
const isEpochSeconds: Rule = (value) => Number.isInteger(value) && isBetween(value, 0, LATEST_EPOCH_SECONDS);
const isBetween = (value: unknown, least: number, most: number) =>
  typeof value === 'number' && value >= least && value <= most;
const orAbsent =
  (rule: Rule): Rule =>
  (value) =>
    value === undefined || rule(value);

const rules: Readonly<Record<keyof TokenRecord, Rule>> = {
  access_token: (value) => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value),
  token_type: isText,
  scope: orAbsent((value) => typeof value === 'string'),
  expires_in: (value) => isBetween(value, Number.MIN_VALUE, Number.MAX_VALUE),
  expires_at: isEpochSeconds,
  obtained_at: isEpochSeconds,
  forced_writes_settled_at: orAbsent(isEpochSeconds),
  issuer_id: isText,
  key_id: isText,
  correlation_id: isText,
  schema_version: (value) => value === 1,
};

export const tokenRecordFields = Object.keys(rules) as readonly (keyof TokenRecord)[];

/**
 * Reads a secret's text as a token record.
 *
 * @param countedAt When its `expires_in` was counted, in seconds since 1970 UTC: for what the secret holds, `obtained_at`.
 * @returns The record, or why it is none: a field's name at most, never a value.
 */
export function parseTokenRecord(
  secretText: string,
  countedAt: (record: TokenRecord) => number = ({ obtained_at }) => obtained_at,
): { record: TokenRecord } | { why: string } {
  const value = parseJson(secretText);
  if (value === undefined) return { why: 'it is not JSON' };
  if (typeof value !== 'object' || value === null) return { why: 'it is not a JSON object' };
  const record = value as TokenRecord;
  const broken =
    tokenRecordFields.find((field) => !rules[field](record[field])) ?? livesTooLong(record, countedAt(record));
  return broken ? { why: `field ${broken} is missing or not as the schema says` } : { record };
}

/** A second of rounding: the record's instants are whole, and what D1 says need not be. */
const livesTooLong = ({ expires_at, expires_in }: TokenRecord, countedAt: number): keyof TokenRecord | undefined =>
  expires_at > countedAt + expires_in + 1 ? 'expires_at' : undefined;

/** Whether two records hold the same access token. */
export const sameToken = (one: TokenRecord, other: TokenRecord): boolean => one.access_token === other.access_token;

/** Seconds until the token dies; zero or less when it has. */
export const secondsLeft = (record: TokenRecord, now: number): number => record.expires_at - now;
