import * as v from 'valibot';
import { parseJson } from '../shared/json.ts';
import { responseInvalid } from './endpoint-error.ts';
import type { TokenResponse } from './token-response.ts';

/** D1's tokens live 15 minutes. A promise of more than a day is a unit mistaken, and would never be refreshed. */
const LONGEST_LIFETIME_SECONDS = 86_400;

const jwtTimesSchema = v.object({
  exp: v.pipe(v.number(), v.finite()),
  iat: v.optional(v.pipe(v.number(), v.finite())),
});

/**
 * How long an access token lives, in seconds from when its request was sent. Never "for ever": without `expires_in` it
 * is the token's own `exp`, if it is a JWT, or else the configured default.
 *
 * @param sentAt Milliseconds since 1970 UTC.
 * @throws EndpointError TOKEN_RESPONSE_INVALID when the token's own `exp` is over.
 */
export function tokenLifetime(response: TokenResponse, sentAt: number, defaultSeconds: number): number {
  const lifetime = response.expires_in ?? ownLifetime(response.access_token, sentAt / 1000) ?? defaultSeconds;
  if (lifetime <= 0) throw responseInvalid('the access token has expired already');
  return Math.min(lifetime, LONGEST_LIFETIME_SECONDS);
}

function ownLifetime(accessToken: string, now: number): number | undefined {
  const parts = accessToken.split('.');
  const claims = parts.length === 3 && parseJson(Buffer.from(parts[1] ?? '', 'base64url').toString());
  const times = v.safeParse(jwtTimesSchema, claims);
  if (!times.success) return undefined;
  const { exp, iat } = times.output;
  // By D1's own clock alone where it says `iat`, and by ours: the more cautious of the two.
  return Math.min(exp - now, iat === undefined ? Number.POSITIVE_INFINITY : exp - iat);
}
