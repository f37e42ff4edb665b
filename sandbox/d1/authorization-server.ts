import { createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { MIMEType } from 'node:util';
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
  SignJWT,
} from 'jose';
import { type Clock, nowSeconds } from '../../src/clock.ts';

/** RFC 7523 section 2.1. */
const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** One byte more than this is refused; the server never keeps more than that one byte. */
export const MAXIMUM_BODY_BYTES = 64 * 1024;
const MAXIMUM_ASSERTION_LIFETIME_SECONDS = 15 * 60;
const ISSUED_AT_LEEWAY_SECONDS = 60;
const SCOPE = 'issuer.read';

/** What the TLS handshake said about the caller. */
export interface Handshake {
  /** The client certificate's subject, for reading: `O=Example Bank, CN=TLSMA-ECC/ISSUER0001/PPR`. */
  clientSubject: string;
  clientCommonName: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  protocol: string;
  /** The cipher suite's IANA name. */
  cipher: string;
}

export interface D1Request {
  method: string;
  /** Without the query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** At most `MAXIMUM_BODY_BYTES` + 1 bytes of what was sent. */
  body: Buffer;
  handshake: Handshake;
}

export interface D1Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  /** For the call log: `ok`, or the error code. */
  outcome: string;
  /** For the call log: whom the request turned out to be about. Never a token, never an assertion. */
  about?: { issuerId?: string; keyId?: string };
}

export interface ProvisionedKey {
  /** Ten characters of `[A-Za-z0-9_-]`. */
  issuerId: string;
  keyId: string;
  /** SubjectPublicKeyInfo in DER, as `kms:GetPublicKey` returns it; the curve must be P-256. */
  publicKey: Uint8Array;
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

/** A broken rule. The message goes to the caller: it names the rule, what came and what is expected. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, description: string, headers: Record<string, string> = {}) {
    super(description);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/**
 * The token endpoint as the D1 documentation describes it, stricter where strictness finds a mistake in a client: every
 * rule of RFC 7523 section 3 and of the D1 assertion table is enforced, and the answer tells which one was broken.
 * Errors are those of RFC 6749 section 5.2 and RFC 7523 section 3.1.
 */
export function createAuthorizationServer(options: {
  clock: Pick<Clock, 'now'>;
  /** What `aud` must be when an assertion has one; also the `iss` of access tokens. */
  audience: string;
  tokenLifetimeSeconds: number;
}): AuthorizationServer {
  const { clock, audience, tokenLifetimeSeconds } = options;
  const tokenKeys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const keys = new Map<string, { issuerId: string; publicKey: KeyObject }>();
  /** `jti` of an assertion that was accepted, under its issuer -> its `exp`: nobody can use it again before that. */
  const usedAssertions = new Map<string, number>();
  /** `jti` of an access token that was not revoked. */
  const accessTokens = new Map<string, { issuerId: string; expiresAt: number }>();

  const hasIssuer = (issuerId: string) => [...keys.values()].some((key) => key.issuerId === issuerId);

  async function verifyAssertion(assertion: string): Promise<{ issuerId: string; keyId: string; claims: JWTPayload }> {
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

  async function issueAccessToken(issuerId: string): Promise<string> {
    const now = nowSeconds(clock);
    const expiresAt = now + tokenLifetimeSeconds;
    const jti = randomUUID();
    for (const [known, token] of accessTokens) if (token.expiresAt <= now) accessTokens.delete(known);
    accessTokens.set(jti, { issuerId, expiresAt });
    return await new SignJWT({ iss: audience, sub: issuerId, iat: now, exp: expiresAt, jti, scope: SCOPE })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .sign(tokenKeys.privateKey);
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

    revokeAccessTokens(issuerId) {
      for (const [jti, token] of accessTokens) if (token.issuerId === issuerId) accessTokens.delete(jti);
    },

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
        const { issuerId, keyId, claims } = await verifyAssertion(assertion);
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
            access_token: await issueAccessToken(issuerId),
            expires_in: tokenLifetimeSeconds,
            token_type: 'Bearer',
            scope: SCOPE,
          }),
          outcome: 'ok',
          about: { issuerId, keyId },
        };
      }),
  };
}

/** What every D1 API does around its own rules: the correlation id, no caching, errors as JSON. */
export async function answerOrRefuse(request: D1Request, answer: () => Promise<D1Answer>): Promise<D1Answer> {
  const id = request.headers['x-correlation-id'];
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    pragma: 'no-cache',
  };
  try {
    if (correlationId(request) !== undefined) headers['x-correlation-id'] = String(id);
    else if (id !== undefined) {
      throw invalidRequest(`header x-correlation-id is ${shown(id)}; it must be 1 to 64 characters of A-Z a-z 0-9 _ -`);
    }
    const given = await answer();
    return { ...given, headers: { ...headers, ...given.headers } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return {
      status: error.status,
      headers: { ...headers, ...error.headers },
      body: JSON.stringify({ error: error.code, error_description: error.message }),
      outcome: error.code,
    };
  }
}

/** The caller's correlation id, if there is one and it is well-formed. */
export function correlationId(request: Pick<D1Request, 'headers'>): string | undefined {
  const id = request.headers['x-correlation-id'];
  return typeof id === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined;
}

const invalidRequest = (description: string) => new Refusal(400, 'invalid_request', description);
const invalidGrant = (description: string) => new Refusal(400, 'invalid_grant', description);

/**
 * What came, for an error description: one line of the characters that RFC 6749 section 5.2 allows. Anything long, and
 * anything that could be a part of a JWT put in the wrong place, is only measured.
 */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string')
    return value === null ? 'null' : `of type ${Array.isArray(value) ? 'array' : typeof value}`;
  if (value.length > 64 || value.startsWith('eyJ')) return `a text of ${value.length} characters`;
  return `'${value.replaceAll(/[^\x20-\x7e]|["\\]/g, '?')}'`;
}

function readAssertion(request: D1Request): string {
  if (request.body.byteLength > MAXIMUM_BODY_BYTES) {
    throw new Refusal(413, 'invalid_request', `body is too large; at most ${MAXIMUM_BODY_BYTES} bytes are accepted`);
  }
  const parameters = readParameters(request);
  const grantType = parameters.get('grant_type');
  if (grantType === undefined) throw invalidRequest(`parameter grant_type is missing; it must be '${GRANT_TYPE}'`);
  if (grantType !== GRANT_TYPE) {
    throw new Refusal(
      400,
      'unsupported_grant_type',
      `parameter grant_type is ${shown(grantType)}; it must be '${GRANT_TYPE}'`,
    );
  }
  const assertion = parameters.get('assertion');
  if (assertion === undefined) throw invalidRequest('parameter assertion is missing; it must be one signed JWT');
  return assertion;
}

/** RFC 6749 section 3.2: a parameter without a value counts as left out, and none may come twice. */
function readParameters(request: D1Request): Map<string, string> {
  const type = mediaType(request.headers['content-type']);
  const text = utf8(request.body);
  const pairs = type === 'application/json' ? jsonMembers(text) : new URLSearchParams(text);
  const parameters = new Map<string, string>();
  for (const [parameter, value] of pairs) {
    if (parameters.has(parameter)) {
      throw invalidRequest(`parameter ${shown(parameter)} was sent more than once; once is allowed`);
    }
    parameters.set(parameter, value);
  }
  for (const [parameter, value] of parameters) if (value === '') parameters.delete(parameter);
  return parameters;
}

function mediaType(header: string | undefined): string {
  const accepted = `'application/x-www-form-urlencoded' or 'application/json'`;
  const refused = () => invalidRequest(`header content-type is ${shown(header)}; it must be ${accepted}`);
  let type: MIMEType;
  try {
    type = new MIMEType(header ?? '');
  } catch {
    throw refused();
  }
  if (type.essence !== 'application/x-www-form-urlencoded' && type.essence !== 'application/json') throw refused();
  const charset = type.params.get('charset');
  if (charset !== null && charset.toLowerCase() !== 'utf-8') {
    throw invalidRequest(`header content-type has charset ${shown(charset)}; it must be 'utf-8'`);
  }
  return type.essence;
}

function utf8(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw invalidRequest('body is not UTF-8 text');
  }
}

function* jsonMembers(text: string): Iterable<[string, string]> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw invalidRequest('body is not JSON, although the content-type says so');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidRequest(`body is JSON ${shown(body)}; it must be an object`);
  }
  for (const [member, value] of Object.entries(body)) {
    if (typeof value === 'string') yield [member, value];
    else if (member === 'grant_type' || member === 'assertion') {
      throw invalidRequest(`parameter ${member} is ${shown(value)}; it must be one text`);
    }
  }
}

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
