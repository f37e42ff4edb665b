import * as v from 'valibot';
import { parseJson } from '../shared/json.ts';
import type { TokenRecord } from '../shared/token-record.ts';
import { rejected, responseInvalid, unreachable } from './endpoint-error.ts';
import { parseRetryAfter } from './retry-delay.ts';

/** Where OAuth servers give their reason at the end of a long text, it is still seen. */
const LONGEST_QUOTE_CHARACTERS = 600;
/** More of an error text, from its beginning and from its end, is not even looked at. */
const LONGEST_LOOK_CHARACTERS = 2_000;
/** So many characters in a row are not the same by chance. */
const TELLING_CHARACTERS = 12;
/** D1's tokens live 15 minutes. A promise of more than a day is a unit mistaken, and would never be refreshed. */
const LONGEST_LIFETIME_SECONDS = 86_400;
/** RFC 9110, section 15.5.9; RFC 8470, section 5.2; RFC 6585, section 4: come back later. */
const COME_BACK_LATER: ReadonlySet<number> = new Set([408, 425, 429]);

/** What came back over the wire. */
export interface HttpResponse {
  readonly status: number;
  readonly contentType?: string | undefined;
  readonly retryAfter?: string | undefined;
  readonly body: string;
}

/** RFC 6749, section 5.1, as D1 answers it. Unknown fields are ignored, and `null` is as good as absent. */
const tokenResponseSchema = v.object({
  access_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/)),
  token_type: v.nullish(v.pipe(v.string(), v.regex(/^bearer$/i))),
  /** D1 calls it the remaining time: 0 is a token in its last second, and no fault. */
  expires_in: v.nullish(v.pipe(v.number(), v.finite(), v.minValue(0))),
  scope: v.nullish(v.string()),
});

export type TokenResponse = v.InferOutput<typeof tokenResponseSchema>;

const jwtTimesSchema = v.object({
  exp: v.pipe(v.number(), v.finite()),
  iat: v.optional(v.pipe(v.number(), v.finite())),
});

/**
 * Checks the response of the token endpoint.
 *
 * @param assertion What was sent: an endpoint may repeat it in an error text, which is quoted.
 * @param now Milliseconds since 1970 UTC.
 * @throws EndpointError TOKEN_RESPONSE_INVALID, TOKEN_ENDPOINT_REJECTED or TOKEN_ENDPOINT_UNREACHABLE.
 */
export function readTokenResponse(response: HttpResponse, assertion: string, now: number): TokenResponse {
  const { status, contentType, retryAfter } = response;
  const body = parseJson(response.body);
  if (COME_BACK_LATER.has(status) || status >= 500) {
    const retryAfterMilliseconds = parseRetryAfter(retryAfter, now);
    throw unreachable(`is not available: HTTP ${status}${describe(body, assertion)}`, { retryAfterMilliseconds });
  }
  if (status >= 300 && status < 400) throw rejected(`HTTP ${status}, a redirect, which is never followed`, status);
  if (status !== 200) throw rejected(`HTTP ${status}${describe(body, assertion)}`, status);

  if (contentType?.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    throw responseInvalid('HTTP 200, but not application/json');
  }
  if (body === undefined) throw responseInvalid('HTTP 200, but its body is not JSON');
  const result = v.safeParse(tokenResponseSchema, body);
  if (result.success) return result.output;
  const field = v.getDotPath(result.issues[0]);
  throw responseInvalid(field ? `field ${field} is missing or wrong` : 'its JSON is not an object');
}

export interface RecordFacts {
  readonly issuerId: string;
  readonly keyId: string;
  readonly correlationId: string;
  /** Milliseconds since 1970 UTC, from just before the request was sent. */
  readonly sentAt: number;
  /** The life of a token that says nothing about it. */
  readonly defaultExpiresInSeconds: number;
}

/**
 * The record of an obtained token.
 *
 * @returns `undefined` when it has no life left: D1 calls `expires_in` what remains, and nothing remains of a token that it
 * repeats in its last second.
 * @throws EndpointError TOKEN_RESPONSE_INVALID when the token's own `exp` is over.
 */
export function toTokenRecord(response: TokenResponse, facts: RecordFacts): TokenRecord | undefined {
  if (response.expires_in === 0) return undefined;
  const { issuerId, keyId, correlationId, sentAt, defaultExpiresInSeconds } = facts;
  const obtainedAt = Math.floor(sentAt / 1000);
  const expiresAt = Math.floor(sentAt / 1000 + tokenLifetime(response, sentAt, defaultExpiresInSeconds));
  return {
    access_token: response.access_token,
    token_type: 'Bearer',
    ...(response.scope && { scope: response.scope }),
    expires_in: response.expires_in ?? expiresAt - obtainedAt,
    expires_at: expiresAt,
    obtained_at: obtainedAt,
    issuer_id: issuerId,
    key_id: keyId,
    correlation_id: correlationId,
    schema_version: 1,
  };
}

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

/** An OAuth error body (RFC 6749, section 5.2) for a sentence, without the full stop; empty for any other. */
function describe(body: unknown, assertion: string): string {
  if (typeof body !== 'object' || body === null) return '';
  const { error, error_description } = body as Record<string, unknown>;
  const quoted = [error, error_description]
    .filter((part) => typeof part === 'string')
    .map((part) => quote(part, assertion));
  return quoted.length > 0 ? `, ${quoted.join(': ').replace(/[.\s]+$/, '')}` : '';
}

/** Up to 600 visible characters, and nothing at all of a text that hands the assertion, or a part of it, back. */
function quote(text: string, assertion: string): string {
  const looked = headAndTail(text, LONGEST_LOOK_CHARACTERS);
  const visible = looked.replace(/[^\x20-\x7e…]+/g, ' ');
  if (quotes(visible, assertion)) return '(not shown: it repeats the assertion)';
  return headAndTail(visible.replace(/[\w\-.~+/=]{40,}/g, '[…]'), LONGEST_QUOTE_CHARACTERS);
}

/** Beginning and end of a text, together at most that long: what went wrong is said in one of them. */
function headAndTail(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const gap = ' … ';
  const half = (characters - gap.length) / 2;
  return text.slice(0, Math.ceil(half)) + gap + text.slice(-Math.floor(half));
}

/** Whether a text has a run of the assertion's characters in common with it, however it was wrapped or spaced. */
function quotes(text: string, assertion: string): boolean {
  const run = text.replace(/[^\w-]+/g, '');
  const own = assertion.replaceAll('.', '');
  for (let start = 0; start + TELLING_CHARACTERS <= run.length; start += 1) {
    if (own.includes(run.slice(start, start + TELLING_CHARACTERS))) return true;
  }
  return false;
}
