import { parseTokenRecord, type TokenRecord } from '../shared/token-record.ts';

/**
 * A D1 access token as callers get it, frozen: no caller can change another's. Names are those of RFC 6749, section 5.1,
 * first. Fields that this release does not know are kept, but the compiler does not: a misspelt name does not compile.
 *
 * @example
 * const { access_token } = await d1.token();
 * const headers = { authorization: `Bearer ${access_token}` };
 */
export interface AccessToken extends Omit<TokenRecord, 'forced_writes_settled_at'> {
  /** Seconds since 1970 UTC: when the broker counted `expires_in`. Absent from a token that was read from the secret. */
  readonly answered_at?: number | undefined;
}

/**
 * Reads the text of the token secret as a token.
 *
 * @returns The frozen token, or why it is none: a field's name at most, never a value.
 */
export function readAccessToken(text: string): { token: AccessToken } | { why: string } {
  const result = parseTokenRecord(text);
  return 'why' in result ? result : { token: deepFreeze<TokenRecord>(result.record) };
}

/**
 * Reads the broker's answer: a token record with `expires_in` counted at `answered_at`. A broker of an earlier release does
 * not say when it counted; then it was `expires_in` before the token's end.
 *
 * @returns Nothing when it is no token.
 */
export function readBrokerAnswer(payload: string): { token: AccessToken; answeredAt: number } | undefined {
  const result = parseTokenRecord(payload, answeredAtOf);
  if ('why' in result) return undefined;
  const { source: _source, ...token } = result.record as TokenRecord & { source?: unknown };
  const answeredAt = answeredAtOf(token);
  return Number.isFinite(answeredAt) ? { token: deepFreeze(token), answeredAt } : undefined;
}

/** Seconds since 1970 UTC; NaN when it says something else. */
function answeredAtOf(answer: TokenRecord & { answered_at?: unknown }): number {
  const { answered_at: answeredAt = answer.expires_at - answer.expires_in } = answer;
  return typeof answeredAt === 'number' ? answeredAt : Number.NaN;
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}
