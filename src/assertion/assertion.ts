import { type Clock, nowSeconds } from '../shared/clock.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../shared/d1.ts';
import type { Random } from '../shared/random.ts';
import type { Sign } from './kms-signer.ts';

export interface AssertionSettings {
  readonly issuerId: string;
  /** `sub`: the D1 page asks for the same value as `iss`. */
  readonly subject: string;
  /** `kid`: selects the public key that was provisioned at D1. */
  readonly keyId: string;
  readonly audience?: string | undefined;
  /** From `iat` to `exp`, 120-840 seconds. */
  readonly assertionLifetimeSeconds: number;
}

/**
 * A new assertion (RFC 7523, section 3), good for one attempt: header, claims and signature in compact serialisation.
 *
 * @throws BrokerError SIGNING_FAILED or SIGNATURE_MALFORMED.
 */
export async function createAssertion(
  { settings, sign, clock, random }: { settings: AssertionSettings; sign: Sign; clock: Clock; random: Random },
  signal: AbortSignal,
): Promise<string> {
  const input = signingInput(settings, nowSeconds(clock), random.uuid());
  const signature = await sign(input, signal);
  return `${input}.${signature.toString('base64url')}`;
}

/**
 * The part of the JWT that gets signed: header and claims, each base64url without padding (RFC 7515, section 7.1).
 * No `nbf`: it would only add a way to fail on clock skew.
 *
 * @param now Seconds since 1970 UTC.
 * @param jti Never used before: D1 may refuse to see it twice (RFC 7523, section 3).
 */
export function signingInput(settings: AssertionSettings, now: number, jti: string): string {
  const header = { alg: 'ES256', typ: 'JWT', kid: settings.keyId };
  // Begun in the past, so that a clock that is ahead of D1's does no harm, whichever of the two D1 looks at.
  const issuedAt = now - CLOCK_TOLERANCE_SECONDS;
  const claims = {
    iss: settings.issuerId,
    sub: settings.subject,
    aud: settings.audience,
    iat: issuedAt,
    exp: issuedAt + settings.assertionLifetimeSeconds,
    jti,
  };
  return `${encode(header)}.${encode(claims)}`;
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
