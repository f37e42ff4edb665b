import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { type Agent, request } from 'node:https';
import type { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from './clock.ts';
import { HttpsFailure, type HttpsFailureKind, httpsFailure } from './https-failure.ts';

/** No server needs more than one or two 1xx responses; a flood of them would keep a request alive for ever. */
const MOST_INFORMATIONAL_RESPONSES = 8;
/** Node's own limit, which NODE_OPTIONS cannot move here. */
const LARGEST_HEADERS_BYTES = 16 * 1024;

export interface HttpsRequest {
  /** Absolute, https. */
  readonly url: string;
  readonly method: string;
  /** Without `accept-encoding` no compression is asked for. */
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is sent as it comes; its own errors reach the caller as they are. */
  readonly body?: string | Uint8Array | Readable | null | undefined;
  readonly agent: Agent;
  /** Ends the request at any time, also while the body is read; what is thrown then is its reason. */
  readonly signal?: AbortSignal | null | undefined;
  /** From the call to the last byte of the answer, the connection included. Absent: no limit. */
  readonly timeoutMilliseconds?: number | undefined;
  readonly clock: Clock;
}

export interface HttpsAnswer {
  /** 200-599. */
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingHttpHeaders;
  /** `TLSv1.3`, say. */
  readonly tlsVersion: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /**
   * The next piece of the body, `undefined` after the last.
   *
   * @throws HttpsFailure, or the reason of the request's signal.
   */
  next(): Promise<Buffer | undefined>;
  /** The rest of the body is not wanted: the connection is closed. */
  leave(): void;
}

/**
 * One https request. The server is verified whatever NODE_TLS_REJECT_UNAUTHORIZED says, no redirect is followed, and no
 * number of 1xx responses or switch of protocols keeps it from an end.
 *
 * @returns The head of the answer; the body is still to be read or left.
 * @throws HttpsFailure, the reason of the signal, or the error of the body's stream.
 */
export async function httpsRequest({
  url,
  method,
  headers,
  body,
  agent,
  signal,
  timeoutMilliseconds,
  clock,
}: HttpsRequest): Promise<HttpsAnswer> {
  if (signal?.aborted) throw signal.reason;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const outgoing = request(url, {
    agent,
    method,
    headers: {
      'accept-encoding': 'identity',
      ...headers,
      ...(bytes instanceof Uint8Array && { 'content-length': String(bytes.byteLength) }),
    },
    rejectUnauthorized: true,
    maxHeaderSize: LARGEST_HEADERS_BYTES,
  });
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    /** Why we ended it ourselves: what Node reports after that is noise. */
    let ended: { readonly why: unknown } | undefined;
    let incoming: IncomingMessage | undefined;
    const reasonOf = (thrown: unknown) =>
      ended
        ? ended.why
        : httpsFailure(thrown, { answered: incoming !== undefined, reusedSocket: outgoing.reusedSocket });
    const end = (why: unknown) => {
      ended ??= { why };
      settle();
      reject(ended.why);
      outgoing.destroy();
    };
    // The request holds the signal as long as it lives, and so whatever the signal depends on.
    const abort = () => end(signal?.reason);
    const settle = () => {
      over.abort();
      signal?.removeEventListener('abort', abort);
    };
    signal?.addEventListener('abort', abort);
    if (timeoutMilliseconds !== undefined) {
      void clock.sleep(timeoutMilliseconds, over.signal).then(() => {
        if (!over.signal.aborted) end(failed('TIMED_OUT'));
      });
    }
    const failed = (kind: HttpsFailureKind, code: string = kind) =>
      new HttpsFailure(kind, code, { answered: incoming !== undefined, reusedSocket: outgoing.reusedSocket });

    let informational = 0;
    outgoing.on('information', () => {
      informational += 1;
      if (informational > MOST_INFORMATIONAL_RESPONSES) end(failed('FLOOD'));
    });
    // Without a listener Node drops the connection and says nothing, and the request would wait for its timeout.
    outgoing.on('upgrade', (_incoming, socket) => {
      socket.destroy();
      end(failed('UPGRADED'));
    });
    outgoing.on('error', (error) => {
      // Of an answer that is no HTTP the request hears first; the answer only breaks off.
      ended ??= { why: reasonOf(error) };
      settle();
      reject(ended.why);
    });
    outgoing.on('response', (response) => {
      incoming = response;
      const status = response.statusCode ?? 0;
      // Three digits are all that HTTP's parser asks for; these are what a status can be (RFC 9110, section 15).
      if (status < 200 || status > 599) return end(failed('STATUS_INVALID', `HTTP_${status}`));
      // Heard from the start, or an answer that breaks before it is read would look like one that has ended.
      response.on('error', settle).on('close', settle);
      const chunks: AsyncIterator<Buffer> = response[Symbol.asyncIterator]();
      resolve({
        status,
        statusText: response.statusMessage ?? '',
        headers: response.headers,
        tlsVersion: (response.socket instanceof TLSSocket && response.socket.getProtocol()) || 'unknown',
        rawHeaders: response.rawHeaders,
        async next() {
          try {
            const { done, value } = await chunks.next();
            if (ended) throw ended.why;
            return done ? undefined : value;
          } catch (error) {
            throw reasonOf(error);
          }
        },
        leave() {
          settle();
          response.destroy();
        },
      });
    });
    if (bytes === null || bytes === undefined || bytes instanceof Uint8Array) outgoing.end(bytes ?? undefined);
    else {
      outgoing.on('close', () => bytes.destroy());
      bytes.on('error', end).pipe(outgoing);
    }
  });
}

/**
 * Reads an answer to its end.
 *
 * @param largestBytes More is not read.
 * @throws HttpsFailure `TOO_LARGE`, `COMPRESSED`, or as `next` does.
 */
export async function collect(answer: HttpsAnswer, largestBytes: number): Promise<Buffer> {
  const refuse = (kind: HttpsFailureKind) => {
    answer.leave();
    return new HttpsFailure(kind, kind, { answered: true, reusedSocket: false });
  };
  const encoding = answer.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw refuse('COMPRESSED');
  const chunks: Buffer[] = [];
  let size = 0;
  for (let chunk = await answer.next(); chunk !== undefined; chunk = await answer.next()) {
    size += chunk.byteLength;
    if (size > largestBytes) throw refuse('TOO_LARGE');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
