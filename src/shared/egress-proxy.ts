import { request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { HttpsFailure, type HttpsFailureKind, httpsFailure } from './https-failure.ts';
import { goesAround, proxyVariables } from './proxy-variables.ts';

const NOT_ANSWERED = { answered: false, reusedSocket: false } as const;

/** The one guarded way out of a network: a proxy that tunnels (RFC 9110, section 9.3.6), as HTTPS_PROXY and NO_PROXY name it. */
export class EgressProxy {
  /** Host and port, never credentials: what may be told. */
  readonly address: string;
  readonly #url: URL;
  readonly #goesAround: ReturnType<typeof goesAround>;

  /**
   * @param url `http://` or `https://`, with `user:password@` where the proxy asks for it.
   * @param noProxy What is not gone to through it, as NO_PROXY has it.
   */
  constructor(url: URL, noProxy = '') {
    this.#url = url;
    this.address = `${url.hostname}:${portOf(url)}`;
    this.#goesAround = goesAround(noProxy);
  }

  /** Whether the way to a host leads through it. */
  leadsTo(host: string, port: number): boolean {
    return !this.#goesAround(host, port);
  }

  /** @returns What may be told of the way to a URL, when it leads through the proxy. */
  addressTo(url: string): string | undefined {
    const to = new URL(url);
    return this.leadsTo(to.hostname.replace(/^\[|\]$/g, ''), portOf(to)) ? this.address : undefined;
  }

  /** @param credentials `user:password`, instead of those in its URL. */
  tunnel(host: string, port: number, credentials: string | undefined): Tunnel {
    const { hostname, username, password, protocol } = this.#url;
    const own = username === '' ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const user = credentials ?? own;
    const target = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    const proxyHost = hostname.replace(/^\[|\]$/g, '');
    return new Tunnel(protocol === 'https:' ? tlsRequest : plainRequest, {
      host: proxyHost,
      port: portOf(this.#url),
      method: 'CONNECT',
      path: target,
      headers: {
        host: target,
        ...(user !== undefined && { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` }),
      },
      agent: false,
      // For an https:// proxy. Node would look for the Host header's name in its certificate.
      ...{ servername: isIP(proxyHost) ? '' : proxyHost, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    });
  }
}

/**
 * The proxy that an environment names.
 *
 * @param onFault Hears which variable names none, and the rule in words. Its value may hold a password.
 */
export function egressProxyIn(
  environment: Readonly<Record<string, string | undefined>>,
  onFault: (variable: string, rule: string) => void,
): EgressProxy | undefined {
  const { proxy: variable, noProxy } = proxyVariables(environment);
  if (variable === undefined) return undefined;
  const value = environment[variable] ?? '';
  const url = /^https?:\/\/[^\s/?#]+\/?$/.test(value) ? parseUrl(value) : undefined;
  if (url) return new EgressProxy(url, noProxy);
  onFault(variable, 'http:// or https://, a host, and a port where it is not 80 or 443');
  return undefined;
}

/** @returns `undefined` for what is no URL, or has a user name or password that is not percent-encoded. */
function parseUrl(value: string): URL | undefined {
  try {
    const url = new URL(value);
    decodeURIComponent(url.username + url.password);
    return url;
  } catch {
    return undefined;
  }
}

const portOf = ({ port, protocol }: URL) => Number(port || (protocol === 'https:' ? 443 : 80));

/**
 * The bytes between us and a host behind the proxy. It can be written to at once: what is written waits until the proxy has
 * opened it. It fails with an HttpsFailure that says PROXY as long as it is not open, and with what Node says afterwards.
 */
class Tunnel extends Duplex {
  readonly #opening: { destroy(): unknown };
  readonly #opened = Promise.withResolvers<Socket>();
  #socket: Socket | undefined;

  constructor(request: typeof plainRequest, options: RequestOptions) {
    super();
    const refuse = (kind: HttpsFailureKind, code: string) => this.destroy(new HttpsFailure(kind, code, NOT_ANSWERED));
    const outgoing = request(options);
    this.#opening = outgoing;
    outgoing.on('error', (error) => refuse('PROXY_UNREACHABLE', httpsFailure(error, NOT_ANSWERED).code));
    outgoing.on('connect', ({ statusCode }, socket: Socket, head) => {
      socket.on('error', (error) => this.destroy(error)).on('close', () => this.destroy());
      if (statusCode !== 200 || this.destroyed) {
        socket.destroy();
        refuse('PROXY_REFUSED', `HTTP_${statusCode}`);
        return;
      }
      this.#socket = socket;
      if (head.length > 0) this.push(head);
      socket.on('end', () => this.push(null)).on('data', (chunk) => this.push(chunk) || socket.pause());
      this.#opened.resolve(socket);
    });
    outgoing.end();
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    void this.#opened.promise.then((socket) => socket.write(chunk, callback));
  }

  override _final(callback: () => void): void {
    void this.#opened.promise.then((socket) => socket.end(callback));
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#opening.destroy();
    this.#socket?.destroy();
    callback(error);
  }
}

export type { Tunnel };
