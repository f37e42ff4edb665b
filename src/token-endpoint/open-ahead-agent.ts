import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { LONGEST_IDLE_MILLISECONDS } from '../shared/d1.ts';
import { VerifiedAgent, type VerifiedAgentSettings } from '../shared/verified-agent.ts';

/** An agent for one origin that can begin the next connection before there is a request for it: while KMS signs. */
export class OpenAheadAgent extends VerifiedAgent {
  readonly #origin: URL;
  readonly #now: () => number;
  #ahead: { readonly socket: Duplex | undefined; readonly since: number } | undefined;

  constructor(origin: URL, settings: Omit<VerifiedAgentSettings, 'maxSockets'>) {
    super({ ...settings, maxSockets: 1 });
    this.#origin = origin;
    this.#now = () => settings.clock.now();
  }

  /** Starts the handshake, unless a connection is open that was used a short while ago. Never fails: a request will. */
  openAhead(): void {
    this.dropIdle();
    const idle = Object.values(this.freeSockets).some((sockets) => sockets?.some((socket) => !socket.destroyed));
    if (this.#ahead && this.#now() - this.#ahead.since > LONGEST_IDLE_MILLISECONDS) this.#ahead.socket?.destroy();
    if (idle || this.#ahead?.socket?.destroyed === false) return;
    const { hostname, port } = this.#origin;
    const host = hostname.replace(/^\[|\]$/g, '');
    const options = { ...this.options, host, port: port || 443, servername: isIP(host) ? '' : host };
    this.#ahead = { socket: super.createConnection(options), since: this.#now() };
  }

  override createConnection(...[options]: Parameters<VerifiedAgent['createConnection']>): Duplex | undefined {
    const ahead = this.#ahead?.socket;
    this.#ahead = undefined;
    return ahead && !ahead.destroyed ? ahead : super.createConnection(options);
  }

  override destroy(): void {
    this.#ahead?.socket?.destroy();
    this.#ahead = undefined;
    super.destroy();
  }
}
