/** The life of an assertion begins this much in the past, so that an issuer clock ahead of D1's does no harm. */
const ISSUED_AT_LEEWAY_SECONDS = 30;

export interface AssertionSettings {
  readonly issuerId: string;
  /** `sub`: the D1 page asks for the same value as `iss`. */
  readonly subject: string;
  /** `kid`: selects the public key that was provisioned at D1. */
  readonly keyId: string;
  readonly audience?: string | undefined;
  /** 30-900 seconds; D1 refuses more than 15 minutes. */
  readonly assertionLifetimeSeconds: number;
}

export interface JwtClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | undefined;
  /** Seconds since 1970 UTC. */
  readonly iat: number;
  /** Seconds since 1970 UTC. */
  readonly exp: number;
  readonly jti: string;
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
  const claims: JwtClaims = {
    iss: settings.issuerId,
    sub: settings.subject,
    aud: settings.audience,
    iat: now - ISSUED_AT_LEEWAY_SECONDS,
    exp: now + settings.assertionLifetimeSeconds,
    jti,
  };
  return `${encode(header)}.${encode(claims)}`;
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
