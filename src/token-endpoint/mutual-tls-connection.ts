import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../shared/clock.ts';
import type { ClientCertificate } from './client-certificate.ts';
import { type EndpointError, responseInvalid, unreachable } from './endpoint-error.ts';
import { networkFailure } from './network-failure.ts';

const LARGEST_RESPONSE_BYTES = 64 * 1024;
/** No server needs more than one or two 1xx responses; a flood of them would keep a request alive for ever. */
const MOST_INFORMATIONAL_RESPONSES = 8;
/** A container may sleep for minutes between invocations, and a connection that died meanwhile looks alive. */
const LONGEST_IDLE_MILLISECONDS = 30_000;

export interface Timeouts {
  /** DNS, TCP and TLS together. */
  readonly connectTimeoutMilliseconds: number;
  /** From the request's first byte to the response's last, the connection included where it is not open yet. */
  readonly exchangeTimeoutMilliseconds: number;
}

/**
 * The way to one origin with one client certificate: TLS 1.2 or later, the server's name verified, kept alive between
 * invocations, and opened ahead of the request, so that the handshake costs no time while KMS signs.
 */
export class MutualTlsConnection {
  readonly certificate: ClientCertificate;
  readonly #agent: OpenAheadAgent;
  readonly #clock: Clock;
  readonly #timeouts: Timeouts;
  #usedAt = 0;

  constructor(origin: URL, certificate: ClientCertificate, timeouts: Timeouts, clock: Clock) {
    this.certificate = certificate;
    this.#clock = clock;
    this.#timeouts = timeouts;
    this.#agent = new OpenAheadAgent(origin, certificate, timeouts.connectTimeoutMilliseconds, clock);
  }

  /** Starts the handshake, unless a connection is open that was used a short while ago. Never fails: a request will. */
  open(): void {
    if (this.#clock.now() - this.#usedAt > LONGEST_IDLE_MILLISECONDS) this.close();
    this.#agent.openAhead();
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * A `fetch` for oauth4webapi: follows no redirect, takes no compressed and no large response.
   *
   * @throws EndpointError TOKEN_ENDPOINT_UNREACHABLE, TOKEN_ENDPOINT_REJECTED or TOKEN_RESPONSE_INVALID.
   */
  readonly fetch = async (
    url: string,
    init: { method: string; headers: Record<string, string>; body: URLSearchParams; signal?: AbortSignal | undefined },
  ): Promise<Response> => {
    const body = init.body.toString();
    const done = new AbortController();
    // From the start: whoever opens the connection while this request is under way must not take it for an idle one.
    this.#usedAt = this.#clock.now();
    try {
      return await new Promise<Response>((resolve, reject) => {
        const outgoing = request(url, {
          agent: this.#agent,
          method: init.method,
          headers: { ...init.headers, 'accept-encoding': 'identity', 'content-length': Buffer.byteLength(body) },
          ...(init.signal && { signal: init.signal }),
        });
        const fail = (error: EndpointError) => {
          reject(error);
          outgoing.destroy();
        };
        let informational = 0;
        outgoing.on('information', () => {
          informational += 1;
          if (informational > MOST_INFORMATIONAL_RESPONSES) fail(responseInvalid('a flood of 1xx responses'));
        });
        // Without a listener Node drops the connection and says nothing, and the request would wait for its timeout.
        outgoing.on('upgrade', (_incoming, socket) => {
          socket.destroy();
          fail(responseInvalid('HTTP 101, a switch to another protocol'));
        });
        outgoing.on('error', (error) => reject(networkFailure(error, false)));
        outgoing.on('response', (incoming) => collect(incoming).then(resolve, fail));
        outgoing.end(body);
        this.#clock.sleep(this.#timeouts.exchangeTimeoutMilliseconds, done.signal).then(() => {
          fail(unreachable(`did not answer within ${this.#timeouts.exchangeTimeoutMilliseconds} ms`));
        });
      });
    } finally {
      done.abort();
      this.#usedAt = this.#clock.now();
    }
  };
}

async function collect(incoming: IncomingMessage): Promise<Response> {
  const status = incoming.statusCode ?? 0;
  // Three digits are all that HTTP's parser asks for; a Response takes these only (RFC 9110, section 15).
  if (status < 200 || status > 599) throw responseInvalid(`its status ${status} is not one of HTTP`);
  const encoding = incoming.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw responseInvalid('it is compressed, though not asked to be');
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      if (size > LARGEST_RESPONSE_BYTES) throw responseInvalid(`it is larger than ${LARGEST_RESPONSE_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw networkFailure(error, true);
  }
  const headers = new Headers();
  for (const name of ['content-type', 'retry-after']) {
    const value = incoming.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  // A Response may not have a body with these (Fetch standard, "null body status").
  const text = status === 204 || status === 205 || status === 304 ? null : Buffer.concat(chunks);
  return new Response(text, { status, headers });
}

/** An agent for one origin that can begin the next connection before there is a request for it. */
class OpenAheadAgent extends Agent {
  readonly #origin: URL;
  readonly #connectTimeoutMilliseconds: number;
  readonly #clock: Clock;
  #ahead: Duplex | undefined;

  constructor(origin: URL, certificate: ClientCertificate, connectTimeoutMilliseconds: number, clock: Clock) {
    super({
      keepAlive: true,
      maxSockets: 1,
      minVersion: 'TLSv1.2',
      cert: certificate.certificate,
      key: certificate.privateKey,
      ...(certificate.caBundle !== undefined && { ca: certificate.caBundle }),
    });
    this.#origin = origin;
    this.#connectTimeoutMilliseconds = connectTimeoutMilliseconds;
    this.#clock = clock;
  }

  openAhead(): void {
    const idle = Object.values(this.freeSockets).some((sockets) => sockets?.some((socket) => !socket.destroyed));
    if (idle || (this.#ahead && !this.#ahead.destroyed)) return;
    const { hostname, port } = this.#origin;
    const host = hostname.replace(/^\[|\]$/g, '');
    this.#ahead = this.#connect({ ...this.options, host, port: port || 443, servername: isIP(host) ? '' : host });
  }

  override createConnection(...[options]: Parameters<Agent['createConnection']>): Duplex | undefined {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead && !ahead.destroyed ? ahead : this.#connect(options);
  }

  override destroy(): void {
    this.#ahead?.destroy();
    this.#ahead = undefined;
    super.destroy();
  }

  #connect(options: Parameters<Agent['createConnection']>[0]): Duplex | undefined {
    const socket = super.createConnection(options) ?? undefined;
    const settled = new AbortController();
    const settle = () => settled.abort();
    socket?.once('secureConnect', settle).once('close', settle);
    // A request that waits inside a failing handshake is told EPROTO; one that is held back here is told the TLS alert.
    socket?.cork();
    socket?.once('secureConnect', () => socket.uncork());
    // Without a listener, a connection that fails while KMS signs would end the process. The request fails by itself.
    socket?.on('error', settle);
    this.#clock.sleep(this.#connectTimeoutMilliseconds, settled.signal).then(() => {
      if (!settled.signal.aborted)
        socket?.destroy(unreachable(`could not be connected to within ${this.#connectTimeoutMilliseconds} ms`));
    });
    return socket;
  }
}
