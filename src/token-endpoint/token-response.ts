import * as v from 'valibot';
import type { Clock } from '../shared/clock.ts';
import { parseJson } from '../shared/json.ts';
import { rejected, responseInvalid, unreachable } from './endpoint-error.ts';
import { parseRetryAfter } from './retry-delay.ts';

const LONGEST_QUOTE_CHARACTERS = 200;
/** More of an error text is not even looked at. */
const LONGEST_LOOK_CHARACTERS = 2_000;
/** So many characters in a row are not the same by chance. */
const TELLING_CHARACTERS = 12;

/** RFC 6749, section 5.1, as D1 answers it. Unknown fields are ignored, and `null` is as good as absent. */
const tokenResponseSchema = v.object({
  access_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/)),
  token_type: v.nullish(v.pipe(v.string(), v.regex(/^bearer$/i))),
  /** D1 calls it the remaining time: 0 is a token in its last second, and no fault. */
  expires_in: v.nullish(v.pipe(v.number(), v.finite(), v.minValue(0))),
  scope: v.nullish(v.string()),
});

export type TokenResponse = v.InferOutput<typeof tokenResponseSchema>;

/**
 * Checks the response of the token endpoint. It is not oauth4webapi that does: it takes "3600abc" for a number, asks for
 * a `token_type` that D1's schema makes optional, and hands the whole body out as an error's cause.
 *
 * @param assertion What was sent: an endpoint may repeat it in an error text, which is quoted.
 * @throws EndpointError TOKEN_RESPONSE_INVALID, TOKEN_ENDPOINT_REJECTED or TOKEN_ENDPOINT_UNREACHABLE.
 */
export async function readTokenResponse(response: Response, assertion: string, clock: Clock): Promise<TokenResponse> {
  const { status, headers } = response;
  const body = parseJson(await response.text());
  if (status === 429 || status >= 500) {
    const retryAfterMilliseconds = parseRetryAfter(headers.get('retry-after'), clock.now());
    throw unreachable(`is not available: HTTP ${status}${describe(body, assertion)}`, { retryAfterMilliseconds });
  }
  if (status >= 300 && status < 400) throw rejected(`HTTP ${status}, a redirect, which is never followed`, status);
  if (status !== 200) throw rejected(`HTTP ${status}${describe(body, assertion)}`, status);

  const type = headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw responseInvalid('HTTP 200, but not application/json');
  if (body === undefined) throw responseInvalid('HTTP 200, but its body is not JSON');
  const result = v.safeParse(tokenResponseSchema, body);
  if (result.success) return result.output;
  const field = v.getDotPath(result.issues[0]);
  throw responseInvalid(field ? `field ${field} is missing or wrong` : 'its JSON is not an object');
}

/** An OAuth error body (RFC 6749, section 5.2) for a sentence; empty for any other. */
function describe(body: unknown, assertion: string): string {
  if (typeof body !== 'object' || body === null) return '';
  const { error, error_description } = body as Record<string, unknown>;
  const quoted = [error, error_description]
    .filter((part) => typeof part === 'string')
    .map((part) => quote(part, assertion));
  return quoted.length > 0 ? `, ${quoted.join(': ')}` : '';
}

/** At most 200 visible characters, and nothing at all of a text that hands the assertion, or a part of it, back. */
function quote(text: string, assertion: string): string {
  const visible = text.slice(0, LONGEST_LOOK_CHARACTERS).replace(/[^\x20-\x7e]+/g, ' ');
  if (quotes(visible, assertion)) return '(not shown: it repeats the assertion)';
  const safe = visible.replace(/[\w\-.~+/=]{40,}/g, '[…]');
  return safe.length > LONGEST_QUOTE_CHARACTERS ? `${safe.slice(0, LONGEST_QUOTE_CHARACTERS)}…` : safe;
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
