import * as v from 'valibot';
import type { Clock } from '../clock.ts';
import { parseJson } from '../json.ts';
import { rejected, responseInvalid, unreachable } from './endpoint-error.ts';
import { parseRetryAfter } from './retry-delay.ts';

const LONGEST_QUOTE_CHARACTERS = 200;

/** RFC 6749, section 5.1, as D1 answers it. Unknown fields are ignored. */
const tokenResponseSchema = v.object({
  access_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/)),
  token_type: v.optional(v.pipe(v.string(), v.regex(/^bearer$/i)), 'Bearer'),
  expires_in: v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0))),
  scope: v.optional(v.string()),
});

export type TokenResponse = v.InferOutput<typeof tokenResponseSchema>;

/**
 * Checks the response of the token endpoint. It is not oauth4webapi that does: it takes "3600abc" for a number, asks for
 * a `token_type` that D1's schema makes optional, and hands the whole body out as an error's cause.
 *
 * @throws EndpointError TOKEN_RESPONSE_INVALID, TOKEN_ENDPOINT_REJECTED or TOKEN_ENDPOINT_UNREACHABLE.
 */
export async function readTokenResponse(response: Response, clock: Clock): Promise<TokenResponse> {
  const { status, headers } = response;
  const body = parseJson(await response.text());
  if (status === 429 || status >= 500) {
    const retryAfterMilliseconds = parseRetryAfter(headers.get('retry-after'), clock.now());
    throw unreachable(`is not available: HTTP ${status}${describe(body)}`, { retryAfterMilliseconds });
  }
  if (status >= 300 && status < 400) throw rejected(`HTTP ${status}, a redirect, which is never followed`, status);
  if (status !== 200) throw rejected(`HTTP ${status}${describe(body)}`, status);

  const type = headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw responseInvalid('HTTP 200, but not application/json');
  if (body === undefined) throw responseInvalid('HTTP 200, but its body is not JSON');
  const result = v.safeParse(tokenResponseSchema, body);
  if (result.success) return result.output;
  const field = v.getDotPath(result.issues[0]);
  throw responseInvalid(field ? `field ${field} is missing or wrong` : 'its JSON is not an object');
}

/** An OAuth error body (RFC 6749, section 5.2) for a sentence; empty for any other. */
function describe(body: unknown): string {
  if (typeof body !== 'object' || body === null) return '';
  const { error, error_description } = body as Record<string, unknown>;
  const quoted = [error, error_description].filter((part) => typeof part === 'string').map(quote);
  return quoted.length > 0 ? `, ${quoted.join(': ')}` : '';
}

/** At most 200 visible characters. Long runs without a space go first: an endpoint may quote the assertion back. */
function quote(text: string): string {
  const visible = text.replace(/[^\x20-\x7e]+/g, ' ').replace(/[\w\-.~+/=]{40,}/g, '[…]');
  return visible.length > LONGEST_QUOTE_CHARACTERS ? `${visible.slice(0, LONGEST_QUOTE_CHARACTERS)}…` : visible;
}
