import type { KeyObject } from 'node:crypto';
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, type ProtectedHeaderParameters } from 'jose';
import { type Clock, nowSeconds } from '../../src/shared/clock.ts';
import { Refusal, shown } from './http.ts';

const MAXIMUM_ASSERTION_LIFETIME_SECONDS = 15 * 60;
const ISSUED_AT_LEEWAY_SECONDS = 60;

/** A public key that an issuer was provisioned with. */
export interface IssuerKey {
  readonly issuerId: string;
  readonly publicKey: KeyObject;
}

/**
 * Holds an assertion against RFC 7523 section 3 and the D1 assertion table.
 *
 * @param keys Provisioned keys by kid.
 * @throws Refusal invalid_grant, naming the broken rule.
 */
export async function verifyAssertion(
  assertion: string,
  { keys, audience, clock }: { keys: ReadonlyMap<string, IssuerKey>; audience: string; clock: Pick<Clock, 'now'> },
): Promise<{ issuerId: string; keyId: string; claims: JWTPayload }> {
  const header = protectedHeader(assertion);
  if (header.alg !== 'ES256') throw invalidGrant(`header alg is ${shown(header.alg)}; only 'ES256' is accepted`);
  if (header.typ !== 'JWT') throw invalidGrant(`header typ is ${shown(header.typ)}; it must be 'JWT'`);
  if (header.kid === undefined) throw invalidGrant('header kid is missing; it must name a provisioned public key');
  const key = keys.get(header.kid);
  if (key === undefined) throw invalidGrant(`header kid ${shown(header.kid)} names no provisioned public key`);
  const signatureBytes = Buffer.from(assertion.slice(assertion.lastIndexOf('.') + 1), 'base64url').byteLength;
  if (signatureBytes !== 64) {
    throw invalidGrant(
      `signature has ${signatureBytes} bytes; ES256 needs R and S of 32 bytes each, not DER (RFC 7518 section 3.4)`,
    );
  }

  const now = nowSeconds(clock);
  const claims = await jwtVerify(assertion, key.publicKey, {
    algorithms: ['ES256'],
    currentDate: new Date(clock.now()),
    requiredClaims: ['iss', 'sub', 'exp'],
  }).then(
    (verified) => verified.payload,
    (error: unknown) => {
      throw invalidGrant(brokenJwtRule(error, header.kid, now));
    },
  );
  // jose leaves the type of these to its caller.
  const { iss, sub, aud, jti, iat, exp = 0 } = claims;
  if (iss !== key.issuerId) {
    throw invalidGrant(`claim iss is ${shown(iss)}; the key ${shown(header.kid)} belongs to another issuer`);
  }
  if (sub !== iss) throw invalidGrant(`claim sub is ${shown(sub)}; it must be the same as iss, ${shown(iss)}`);
  if (exp > now + MAXIMUM_ASSERTION_LIFETIME_SECONDS) {
    throw invalidGrant(
      `claim exp is ${exp - now} seconds ahead; at most ${MAXIMUM_ASSERTION_LIFETIME_SECONDS} are allowed`,
    );
  }
  if (iat !== undefined && iat > now + ISSUED_AT_LEEWAY_SECONDS) {
    throw invalidGrant(
      `claim iat is ${iat - now} seconds in the future; at most ${ISSUED_AT_LEEWAY_SECONDS} are tolerated`,
    );
  }
  if (aud !== undefined && !(Array.isArray(aud) ? aud : [aud]).includes(audience)) {
    throw invalidGrant(`claim aud is ${shown(Array.isArray(aud) ? aud.join(' ') : aud)}; it must be '${audience}'`);
  }
  if (jti !== undefined && (typeof jti !== 'string' || jti === '')) {
    throw invalidGrant(`claim jti is ${shown(jti)}; it must be a text that is not empty`);
  }
  return { issuerId: key.issuerId, keyId: header.kid, claims };
}

export const invalidGrant = (description: string) => new Refusal(400, 'invalid_grant', description);

function protectedHeader(assertion: string): ProtectedHeaderParameters {
  try {
    if (assertion.split('.').length === 3) return decodeProtectedHeader(assertion);
  } catch {
    // jose's own error may quote what it could not read.
  }
  throw invalidGrant('assertion is not a signed JWT in compact form: header, claims and signature with dots between');
}

/** jose's errors carry the whole claims set, so only what is needed is taken out of them. */
function brokenJwtRule(error: unknown, keyId: unknown, now: number): string {
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return `signature does not verify with the public key ${shown(keyId)}`;
  }
  if (error instanceof errors.JWTExpired) {
    const expiresAt = error.payload.exp ?? now;
    return `claim exp is ${now - expiresAt} seconds in the past; it must be in the future`;
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return `claim ${error.claim} is missing; iss, sub and exp are required`;
    if (error.claim === 'nbf' && error.reason === 'check_failed') return 'claim nbf is in the future; leave it out';
    return `claim ${error.claim} is ${shown(error.payload[error.claim])}; it must be a number of seconds since 1970`;
  }
  return 'assertion can not be read as a JWT: its claims must be a JSON object, and crit must not ask for extensions';
}
