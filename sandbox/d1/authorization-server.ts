import { createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { type Clock, nowSeconds } from '../../src/shared/clock.ts';
import { type IssuerKey, invalidGrant, verifyAssertion } from './assertion-rules.ts';
import { answerOrRefuse, type D1Answer, type D1Request, Refusal, shown } from './http.ts';
import { readAssertion } from './token-request.ts';

const SCOPE = 'issuer.read';

export interface ProvisionedKey {
  /** Ten characters of `[A-Za-z0-9_-]`. */
  issuerId: string;
  keyId: string;
  /** SubjectPublicKeyInfo in DER, as `kms:GetPublicKey` returns it; the curve must be P-256. */
  publicKey: Uint8Array;
}

/**
 * What D1 may do with a token that it gave before. Its documentation settles neither: it calls `expires_in` the
 * remaining time in seconds, so the token may be an older one, and does not say that the token before lives on.
 */
export interface TokenHabits {
  /**
   * Seconds, 0 or more: while the issuer's last living token has more than this left, a request gets that same token
   * again, and `expires_in` is the whole seconds left of it: with 0 here, that is 0 in its last second. Left out: every
   * request gets a new token.
   */
  readonly tokenReuseUntilSeconds?: number;
  /** Default false. When true, a new token ends the tokens that the issuer got before it. */
  readonly oneTokenAtATime?: boolean;
}

export type AccessTokenCheck = { live: true; issuerId: string } | { live: false; reason: string };

export interface AuthorizationServer {
  /** The key that signs access tokens, for whoever verifies them. */
  readonly tokenPublicKey: KeyObject;
  /**
   * Onboards an issuer, or gives it one more key: both stay valid, which is what a key replacement needs.
   * @throws {TypeError} when the identifier, the key or its owner breaks a rule
   */
  provisionIssuer(key: ProvisionedKey): void;
  /** Forgets the issuer and its keys. Access tokens it holds are not revoked by this. */
  removeIssuer(issuerId: string): void;
  hasIssuer(issuerId: string): boolean;
  /** Every access token that the issuer got up to now stops working. */
  revokeAccessTokens(issuerId: string): void;
  checkAccessToken(token: string): Promise<AccessTokenCheck>;
  /** `POST /oauth2/token`: a request in, an answer out. */
  answerTokenRequest(request: D1Request): Promise<D1Answer>;
}

/**
 * The token endpoint as the D1 documentation describes it, stricter where strictness finds a mistake in a client: every
 * rule of RFC 7523 section 3 and of the D1 assertion table is enforced, and the answer tells which one was broken.
 * Errors are those of RFC 6749 section 5.2 and RFC 7523 section 3.1.
 */
export function createAuthorizationServer(
  options: TokenHabits & {
    clock: Pick<Clock, 'now'>;
    /** What `aud` must be when an assertion has one; also the `iss` of access tokens. */
    audience: string;
    tokenLifetimeSeconds: number;
  },
): AuthorizationServer {
  const { clock, audience, tokenLifetimeSeconds } = options;
  const { tokenReuseUntilSeconds = Number.POSITIVE_INFINITY, oneTokenAtATime = false } = options;
  const tokenKeys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const keys = new Map<string, IssuerKey>();
  /** `jti` of an assertion that was accepted, under its issuer -> its `exp`: nobody can use it again before that. */
  const usedAssertions = new Map<string, number>();
  /** `jti` of an access token that was not revoked, oldest first. */
  const accessTokens = new Map<string, { issuerId: string; expiresAt: number; signed: Promise<string> }>();

  const hasIssuer = (issuerId: string) => [...keys.values()].some((key) => key.issuerId === issuerId);

  /** Synchronous from look-up to note, so that two requests at the same time can't both win. */
  function useOnce(issuerId: string, claims: JWTPayload): void {
    const now = nowSeconds(clock);
    for (const [used, expiresAt] of usedAssertions) if (expiresAt <= now) usedAssertions.delete(used);
    if (claims.jti === undefined) return;
    const name = `${issuerId} ${claims.jti}`;
    if (usedAssertions.has(name)) {
      throw invalidGrant(`claim jti ${shown(claims.jti)} was used before; each assertion is good for one request`);
    }
    usedAssertions.set(name, claims.exp ?? now);
  }

  function revokeAccessTokens(issuerId: string): void {
    for (const [jti, token] of accessTokens) if (token.issuerId === issuerId) accessTokens.delete(jti);
  }

  /** Synchronous from look-up to note, so that two requests at the same time get the same token when one is reused. */
  async function giveAccessToken(issuerId: string): Promise<{ access_token: string; expires_in: number }> {
    const now = nowSeconds(clock);
    for (const [known, token] of accessTokens) if (token.expiresAt <= now) accessTokens.delete(known);
    const last = [...accessTokens.values()].findLast((token) => token.issuerId === issuerId);
    // To the millisecond: rounded to seconds first, a token would count as longer or shorter than it lives.
    const secondsLeft = last ? last.expiresAt - clock.now() / 1000 : 0;
    if (last && secondsLeft > tokenReuseUntilSeconds) {
      return { access_token: await last.signed, expires_in: Math.floor(secondsLeft) };
    }
    if (oneTokenAtATime) revokeAccessTokens(issuerId);
    const expiresAt = now + tokenLifetimeSeconds;
    const jti = randomUUID();
    const signed = new SignJWT({ iss: audience, sub: issuerId, iat: now, exp: expiresAt, jti, scope: SCOPE })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .sign(tokenKeys.privateKey);
    accessTokens.set(jti, { issuerId, expiresAt, signed });
    return { access_token: await signed, expires_in: tokenLifetimeSeconds };
  }

  return {
    tokenPublicKey: tokenKeys.publicKey,

    provisionIssuer({ issuerId, keyId, publicKey }) {
      if (!/^[A-Za-z0-9_-]{10}$/.test(issuerId)) {
        throw new TypeError(`issuerId ${shown(issuerId)} must be ten characters of A-Z a-z 0-9 _ -`);
      }
      if (keyId === '') throw new TypeError('keyId must not be empty');
      const owner = keys.get(keyId)?.issuerId ?? issuerId;
      if (owner !== issuerId) throw new TypeError(`keyId ${shown(keyId)} is already a key of ${owner}`);
      const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
      if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
        throw new TypeError('publicKey must be an elliptic curve key on P-256');
      }
      keys.set(keyId, { issuerId, publicKey: key });
    },

    removeIssuer(issuerId) {
      for (const [keyId, key] of keys) if (key.issuerId === issuerId) keys.delete(keyId);
    },

    hasIssuer,

    revokeAccessTokens,

    async checkAccessToken(token) {
      try {
        const { payload } = await jwtVerify(token, tokenKeys.publicKey, {
          algorithms: ['ES256'],
          typ: 'at+jwt',
          issuer: audience,
          currentDate: new Date(clock.now()),
        });
        const known = accessTokens.get(payload.jti ?? '');
        return known ? { live: true, issuerId: known.issuerId } : { live: false, reason: 'access token was revoked' };
      } catch (error) {
        const expired = error instanceof errors.JWTExpired;
        return { live: false, reason: expired ? 'access token expired' : 'access token was not issued here' };
      }
    },

    answerTokenRequest: (request) =>
      answerOrRefuse(request, async () => {
        if (request.method !== 'POST') {
          throw new Refusal(405, 'method_not_allowed', `method is ${request.method}; only POST is accepted`, {
            allow: 'POST',
          });
        }
        const assertion = readAssertion(request);
        const { issuerId, keyId, claims } = await verifyAssertion(assertion, { keys, audience, clock });
        const { clientCommonName } = request.handshake;
        if (!clientCommonName.split('/').includes(issuerId)) {
          throw new Refusal(
            403,
            'forbidden',
            `client certificate has the Common Name ${shown(clientCommonName)}; it must carry the issuer ${issuerId}`,
          );
        }
        useOnce(issuerId, claims);
        return {
          status: 200,
          headers: {},
          body: JSON.stringify({
            ...(await giveAccessToken(issuerId)),
            token_type: 'Bearer',
            scope: SCOPE,
          }),
          outcome: 'ok',
          about: { issuerId, keyId },
        };
      }),
  };
}
