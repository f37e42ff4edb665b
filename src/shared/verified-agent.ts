import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ClientCertificate } from './client-certificate.ts';
import type { Clock } from './clock.ts';
import { LONGEST_IDLE_MILLISECONDS } from './d1.ts';
import type { EgressProxy, Tunnel } from './egress-proxy.ts';
import { HttpsFailure } from './https-failure.ts';

export interface VerifiedAgentSettings {
  readonly clientCertificate?: ClientCertificate | undefined;
  /** What connections go through, where it leads to their host. */
  readonly proxy?: EgressProxy | undefined;
  /** DNS, TCP and TLS together, and the proxy's tunnel. */
  readonly connectTimeoutMilliseconds: number;
  /** Connections to one origin at a time. */
  readonly maxSockets: number;
  readonly clock: Clock;
}

/** Connections that show a client certificate: TLS 1.2 or later, the server verified, kept alive for 30 s of idleness. */
export class VerifiedAgent extends Agent {
  readonly proxy: EgressProxy | undefined;
  readonly #proxyCredentials: string | undefined;
  readonly #connectTimeoutMilliseconds: number;
  readonly #clock: Clock;
  readonly #idleSince = new WeakMap<Duplex, number>();

  constructor({ clientCertificate, proxy, connectTimeoutMilliseconds, maxSockets, clock }: VerifiedAgentSettings) {
    super({
      keepAlive: true,
      maxSockets,
      minVersion: 'TLSv1.2',
      // Node would take its word for no from NODE_TLS_REJECT_UNAUTHORIZED.
      rejectUnauthorized: true,
      ...(clientCertificate && {
        cert: clientCertificate.certificate,
        key: clientCertificate.privateKey,
        ...(clientCertificate.caBundle !== undefined && { ca: clientCertificate.caBundle }),
      }),
    });
    this.proxy = proxy;
    this.#proxyCredentials = clientCertificate?.proxyCredentials;
    this.#connectTimeoutMilliseconds = connectTimeoutMilliseconds;
    this.#clock = clock;
  }

  /** Before each request: closes what was idle for too long on the clock, which also runs while Lambda freezes the process. */
  dropIdle(): void {
    const now = this.#clock.now();
    for (const socket of Object.values(this.freeSockets).flatMap((sockets) => sockets ?? [])) {
      if (now - (this.#idleSince.get(socket) ?? now) > LONGEST_IDLE_MILLISECONDS) socket.destroy();
    }
  }

  // Node's name for a socket whose request is over. Its types do not know that the answer counts.
  override keepSocketAlive(socket: Duplex): boolean {
    this.#idleSince.set(socket, this.#clock.now());
    return super.keepSocketAlive(socket) as unknown as boolean;
  }

  override createConnection(...[options]: Parameters<Agent['createConnection']>): Duplex | undefined {
    const tunnel = this.#tunnel(options);
    // Of TLS's options, which Node's types do not know here: the handshake goes on in what they name.
    const through = { socket: tunnel } as Partial<typeof options>;
    const socket = super.createConnection(tunnel ? { ...options, ...through } : options) ?? undefined;
    tunnel?.on('error', (error) => socket?.destroy(error));
    const settled = new AbortController();
    const settle = () => settled.abort();
    socket?.once('secureConnect', settle).once('close', settle);
    // A request that waits inside a failing handshake is told EPROTO; one that is held back here is told the TLS alert.
    socket?.cork();
    socket?.once('secureConnect', () => socket.uncork());
    // With TLS 1.3 the alert that refuses a client certificate comes when the handshake is over for us. Node then reports
    // an error and leaves the socket as it is: a request on it would wait for its timeout.
    socket?.on('error', () => {
      settle();
      socket.destroy();
    });
    void this.#clock.sleep(this.#connectTimeoutMilliseconds, settled.signal).then(() => {
      if (settled.signal.aborted) return;
      const code = 'CONNECT_TIMED_OUT';
      const kind = tunnel?.isOpen === false ? 'PROXY_UNREACHABLE' : code;
      socket?.destroy(new HttpsFailure(kind, code, { answered: false, reusedSocket: false }));
    });
    return socket;
  }

  #tunnel({ host, port }: Parameters<Agent['createConnection']>[0]): Tunnel | undefined {
    const target = [host ?? 'localhost', Number(port ?? 443)] as const;
    return this.proxy?.leadsTo(...target) ? this.proxy.tunnel(...target, this.#proxyCredentials) : undefined;
  }
}
