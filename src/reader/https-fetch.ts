import type { IncomingMessage } from 'node:http';
import { type Agent, request } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

/**
 * A fetch over node:https, because Node's built-in one can't be given a client certificate. It follows no redirect and
 * asks for no compression; the rest is as the Fetch standard has it.
 *
 * @throws TypeError with Node's or OpenSSL's `code` when the network or TLS fails; the signal's reason when it aborts.
 */
export async function httpsFetch(agent: Agent, url: string, init: RequestInit): Promise<Response> {
  // Brings headers and body into their standard form: content type of a form, length of a text.
  const outgoing = new Request(url, { ...init, redirect: 'manual' });
  const streamed = init.body instanceof ReadableStreamClass || isAsyncIterable(init.body);
  const body = outgoing.body && (streamed ? outgoing.body : new Uint8Array(await outgoing.arrayBuffer()));
  const incoming = await send(agent, outgoing, body);
  const headers = new Headers();
  for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
    headers.append(String(incoming.rawHeaders[index]), String(incoming.rawHeaders[index + 1]));
  }
  const { statusCode: status = 0, statusMessage: statusText = '' } = incoming;
  const empty = outgoing.method === 'HEAD' || [204, 205, 304].includes(status);
  if (empty) incoming.resume();
  const response = new Response(empty ? null : (Readable.toWeb(incoming) as ResponseBody), {
    status,
    statusText,
    headers,
  });
  Object.defineProperty(response, 'url', { value: outgoing.url });
  return response;
}

type ResponseBody = ConstructorParameters<typeof Response>[0];

const ReadableStreamClass = globalThis.ReadableStream;
const isAsyncIterable = (body: unknown) => typeof body === 'object' && body !== null && Symbol.asyncIterator in body;

function send(agent: Agent, { url, method, headers, signal }: Request, body: ReadableStream | Uint8Array | null) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(url, {
      agent,
      method,
      headers: {
        accept: '*/*',
        'accept-encoding': 'identity',
        ...Object.fromEntries(headers),
        ...(body instanceof Uint8Array && { 'content-length': body.byteLength }),
      },
      signal,
    });
    const fail = (error: NodeJS.ErrnoException) => reject(signal.aborted ? signal.reason : networkError(error.code));
    outgoing.on('error', fail);
    outgoing.on('response', resolve);
    if (body === null || body instanceof Uint8Array) outgoing.end(body ?? undefined);
    else pipeline(Readable.fromWeb(body), outgoing).catch(fail);
  });
}

/** As fetch reports it, but with the code in sight and nothing else of a foreign error. */
function networkError(code: unknown): TypeError {
  const known = typeof code === 'string' && /^\w{1,80}$/.test(code) ? code : 'UNKNOWN';
  return Object.assign(new TypeError(`fetch failed: ${known}`), { code: known });
}
