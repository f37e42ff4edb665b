import { TokenReaderError } from './reader-error.ts';

/** What is passed to `fetch`: a URL, or an object that looks like the standard's Request. */
export type FetchInput = string | URL | Request;

/** A request in parts, so that it can be sent to another URL, with another token, by any fetch. */
export interface Outgoing {
  readonly url: URL;
  readonly init: RequestInit & { readonly headers: Headers; readonly method: string };
  /** False when the body can be read only once. */
  readonly repeatable: boolean;
}

/** A Request's signal hears of an abort only as long as the Request is there. The caller may have let go of it. */
const requestOf = new WeakMap<AbortSignal, Request>();

/**
 * Takes the arguments of `fetch` apart (Fetch standard, section 5.6).
 *
 * @throws TokenReaderError REQUEST_INVALID; the URL is not repeated, it may hold anything.
 */
export function takeApart(input: FetchInput, init: RequestInit = {}): Outgoing {
  const request = typeof input === 'string' || input instanceof URL ? undefined : input;
  const text = String(request ? request.url : input);
  if (!URL.canParse(text)) throw requestInvalid('its URL is not absolute');
  const url = new URL(text);
  if (url.username || url.password) throw requestInvalid('its URL holds a user name or a password');
  const method = (init.method ?? request?.method ?? 'GET').toUpperCase();
  const body = init.body ?? request?.body ?? null;
  const headers = new Headers(init.headers ?? request?.headers);
  const signal = init.signal ?? request?.signal;
  if (request && signal) requestOf.set(signal, request);
  return {
    url,
    init: {
      ...(request && { redirect: request.redirect, ...(request.body && { duplex: 'half' }) }),
      ...init,
      method,
      headers,
      body,
      ...(signal && { signal }),
    },
    repeatable: isRepeatable(body),
  };
}

/** Whether a body can be sent again: a stream and an iterator are spent after the first time. */
export function isRepeatable(body: unknown): boolean {
  return (
    body === null ||
    body === undefined ||
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof Blob ||
    body instanceof FormData
  );
}

/**
 * The request that a redirect asks for (Fetch standard, section 4.4, HTTP-redirect fetch).
 *
 * @returns `undefined` when it can't be followed: no usable Location, or a body that can't be sent again.
 */
export function redirected({ url, init, repeatable }: Outgoing, response: Response): Outgoing | undefined {
  const location = response.headers.get('location');
  if (!location || !URL.canParse(location, url.href)) return undefined;
  const target = new URL(location, url);
  if (!/^https?:$/.test(target.protocol) || target.username || target.password) return undefined;
  const { status } = response;
  const becomesGet =
    (status === 303 && !['GET', 'HEAD'].includes(init.method)) ||
    ((status === 301 || status === 302) && init.method === 'POST');
  if (!becomesGet) return repeatable ? { url: target, init, repeatable } : undefined;
  const headers = new Headers(init.headers);
  for (const name of ['content-encoding', 'content-language', 'content-length', 'content-location', 'content-type']) {
    headers.delete(name);
  }
  return { url: target, init: { ...init, method: 'GET', headers, body: null }, repeatable: true };
}

const requestInvalid = (why: string) =>
  new TokenReaderError({
    code: 'REQUEST_INVALID',
    what: `The request cannot be sent: ${why}.`,
    remedy: 'Call fetch as the Fetch standard has it, with an absolute URL.',
    retryable: false,
  });
