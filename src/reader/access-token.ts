import { parseTokenRecord, type TokenRecord } from '../shared/token-record.ts';

/**
 * A token record as callers get it: frozen, nested values included, so that no caller can change another's. `expires_in`
 * is the token's whole life, not what is left of it; `expires_at` is counted on the broker's clock.
 */
export type AccessToken = Readonly<TokenRecord>;

/**
 * Reads text as a token record.
 *
 * @returns The frozen record, or why it is none: a field's name at most, never a value.
 */
export function readAccessToken(text: string): { token: AccessToken } | { why: string } {
  const result = parseTokenRecord(text);
  return 'why' in result ? result : { token: deepFreeze(result.record) };
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}
