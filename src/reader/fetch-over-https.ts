import type { Agent } from 'node:https';
import { Readable } from 'node:stream';
import { type HttpsAnswer, httpsRequest } from '../shared/https.ts';
import { HttpsFailure } from '../shared/https-failure.ts';
import type { Settings } from './options.ts';
import { isRepeatable } from './request.ts';

/** What is read before anybody asks: a short body whose reader never comes leaves its connection to the next request. */
const READ_AHEAD_BYTES = 16 * 1024;

/**
 * The answer to one request over node:https, because Node's built-in fetch can't be given a client certificate. It follows
 * no redirect and asks for no compression; the rest is as the Fetch standard has it.
 *
 * @throws HttpsFailure; the reason of the signal; the error of a body's stream. While the body is read, as `asFetchError`.
 */
export async function fetchOverHttps(
  url: string,
  { signal, ...init }: RequestInit,
  agent: Agent,
  { clock, requestTimeoutMilliseconds: timeoutMilliseconds }: Settings,
): Promise<Response> {
  // Brings headers and body into their standard form: content type of a form, length of a text. Without the signal: an
  // abort reaches a Request only as long as somebody holds the Request.
  const outgoing = new Request(url, { ...init, redirect: 'manual' });
  const body =
    outgoing.body && (isRepeatable(init.body) ? await outgoing.arrayBuffer() : Readable.fromWeb(outgoing.body));
  const answer = await httpsRequest({
    url,
    method: outgoing.method,
    headers: { accept: '*/*', 'accept-encoding': 'identity', ...Object.fromEntries(outgoing.headers) },
    body: body instanceof ArrayBuffer ? new Uint8Array(body) : body,
    agent,
    signal,
    timeoutMilliseconds,
    clock,
  });
  const response = responseFrom(answer, outgoing.method, timeoutMilliseconds);
  Object.defineProperty(response, 'url', { value: outgoing.url });
  return response;
}

function responseFrom(answer: HttpsAnswer, method: string, timeoutMilliseconds: number | undefined): Response {
  const { status, rawHeaders } = answer;
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(String(rawHeaders[index]), String(rawHeaders[index + 1]));
  }
  const isEmpty = method === 'HEAD' || [204, 205, 304].includes(status);
  // Read to the end that comes at once: the connection is kept.
  if (isEmpty) answer.next().catch(() => {});
  return new Response(isEmpty ? null : bodyOf(answer, timeoutMilliseconds), {
    status,
    statusText: answer.statusText,
    headers,
  });
}

function bodyOf(answer: HttpsAnswer, timeoutMilliseconds: number | undefined): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const chunk = await answer.next();
          if (chunk === undefined) controller.close();
          else controller.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
        } catch (error) {
          controller.error(asFetchError(error, timeoutMilliseconds));
        }
      },
      cancel: () => answer.leave(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD_BYTES }),
  );
}

/** As fetch reports it, but with the code in sight and nothing else of a foreign error. */
export function asFetchError(thrown: unknown, timeoutMilliseconds: number | undefined): unknown {
  if (!(thrown instanceof HttpsFailure)) return thrown;
  if (thrown.kind === 'TIMED_OUT') return timedOut(timeoutMilliseconds);
  if (thrown.ofProxy) return fetchError(thrown.code, 'of the egress proxy');
  const hungUp = thrown.kind === 'NETWORK' && thrown.certificateRefused && !thrown.reusedSocket;
  return fetchError(thrown.code, hungUp ? 'no answer, as when D1 refuses a client certificate' : undefined);
}

/** @param hint What the code does not say. */
export const fetchError = (code: string, hint?: string): TypeError =>
  Object.assign(new TypeError(`fetch failed: ${code}${hint === undefined ? '' : ` (${hint})`}`), { code });

/** What `AbortSignal.timeout` would have aborted with. */
export const timedOut = (milliseconds: number | undefined) =>
  new DOMException(`The request was not over within ${milliseconds} ms.`, 'TimeoutError');
