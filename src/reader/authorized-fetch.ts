import type { Clock } from '../shared/clock.ts';
import type { AccessToken } from './access-token.ts';
import type { Settings } from './options.ts';
import { TokenReaderError } from './reader-error.ts';
import { type FetchInput, type Outgoing, redirected, takeApart } from './request.ts';
import type { TokenKeeper } from './token-keeper.ts';
import type { Transport } from './transport.ts';

/** As the Fetch standard (section 4.4). */
const MOST_REDIRECTS = 20;
const SHORT_BYTES = 16 * 1024;
/** How long the rest of a short answer may take, before its connection is given up rather than waited for. */
const DISCARD_MILLISECONDS = 250;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What speaks for the caller stays with the origin that it was meant for. */
const PERSONAL_HEADERS = ['authorization', 'proxy-authorization', 'cookie', 'host'];

/**
 * A fetch that carries the token to the allowed origins and to no other. Redirects are followed here, one at a time, so
 * that none takes the token along; a request that D1 answers with 401 is repeated once, with another token, if there is one.
 * No request waits for what another was refused: an endpoint that answers 401 whatever it gets is that endpoint's trouble.
 */
export function createAuthorizedFetch(
  { allowedOrigins, clock }: Settings,
  keeper: TokenKeeper,
  transport: Transport,
): (input: FetchInput, init?: RequestInit) => Promise<Response> {
  return async (input, init) => {
    const request = takeApart(input, init);
    if (!allowedOrigins.has(request.url.origin)) throw originNotAllowed(request.url.origin);
    const { signal } = request.init;
    const token = await (signal ? keeper.token({ signal }) : keeper.token());
    const response = await follow(request, token);
    if (response.refused === undefined) return response.response;

    // Begun in any case: when this request can't be repeated, the next one has the other token.
    const searching = keeper.replacementOf(token, request.repeatable ? { signal } : {});
    const replacement = request.repeatable && (await searching);
    if (!replacement) return response.response;
    await discard(response.response, clock);
    return (await follow(request, replacement)).response;
  };

  async function follow(first: Outgoing, token: AccessToken) {
    const redirect = first.init.redirect ?? 'follow';
    let request = first;
    // Once a stranger has chosen where to go, the way back to D1 is his request too, and not the caller's.
    let allowed = true;
    for (let redirects = 0; ; redirects += 1) {
      allowed &&= allowedOrigins.has(request.url.origin);
      const response = await send(request, allowed ? token : undefined);
      if (!REDIRECTS.has(response.status) || !response.headers.has('location') || redirect === 'manual') {
        return { response, refused: allowed && response.status === 401 ? token : undefined };
      }
      const next = redirect === 'error' || redirects >= MOST_REDIRECTS ? undefined : redirected(request, response);
      if (!next) {
        await discard(response, clock);
        throw new TypeError(
          redirect === 'error'
            ? 'fetch failed: a redirect was answered'
            : 'fetch failed: the redirect cannot be followed',
        );
      }
      // A body is not for strangers either: what was written for D1 goes to D1, or nowhere.
      if (!allowedOrigins.has(next.url.origin) && next.init.body !== null) return { response, refused: undefined };
      await discard(response, clock);
      request = next;
    }
  }

  function send({ url, init }: Outgoing, token: AccessToken | undefined): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!token) for (const name of PERSONAL_HEADERS) headers.delete(name);
    else headers.set('authorization', `Bearer ${token.access_token}`);
    const sender = token ? transport.toD1 : transport.elsewhere;
    return sender(url.href, { ...init, headers, redirect: 'manual' });
  }
}

/** Read to its end, a short answer leaves its connection to the next request. One that breaks or stalls fails nobody. */
async function discard(response: Response, clock: Clock): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const done = new AbortController();
  const drain = async () => {
    while (length <= SHORT_BYTES && !(await reader.read()).done);
  };
  await Promise.race([drain().catch(() => {}), clock.sleep(DISCARD_MILLISECONDS, done.signal)]);
  done.abort();
  reader.cancel().catch(() => {});
}

function originNotAllowed(origin: string): TokenReaderError {
  const shown = origin.length <= 200 ? origin : 'the origin of this URL';
  return new TokenReaderError({
    code: 'ORIGIN_NOT_ALLOWED',
    what: `${shown} is not one of the origins that the token may be sent to.`,
    remedy: 'Call D1, or list the origin in allowedOrigins if it is a D1 host of yours.',
    retryable: false,
  });
}
