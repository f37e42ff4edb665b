import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../src/shared/clock.ts';
import type { Fault } from './rule.ts';

export interface FaultyRoute {
  /** The D1 base URL to configure instead of the real one: the same host and path, another port. */
  readonly baseUrl: string;
  close(): Promise<void>;
}

/**
 * The network between the broker and D1: a TCP relay that can break before a byte of TLS is understood.
 *
 * @param faultOf Asked for each connection: the `connection` of `createFaults`.
 * @param ownPort A free one unless told.
 * @throws Error of Node, such as EADDRINUSE, when it cannot listen.
 */
export async function startFaultyRoute(
  baseUrl: string,
  faultOf: () => Fault | undefined,
  clock: Pick<Clock, 'sleep'> = systemClock,
  ownPort = 0,
): Promise<FaultyRoute> {
  const destination = new URL(baseUrl);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    keep(near);
    const fault = faultOf();
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'refuse') return void near.resetAndDestroy();
    if (fault?.kind === 'reset') return void near.once('data', () => near.destroy());
    if (fault?.kind === 'garbage') return void near.once('data', () => near.end('220 mail.example ESMTP ready\r\n'));
    const relay = () => {
      const far = keep(connect(Number(destination.port), '127.0.0.1'));
      near.pipe(far).pipe(near);
      near.once('close', () => far.destroy());
      far.once('close', () => near.destroy());
    };
    if (fault?.kind === 'delay') void clock.sleep(fault.milliseconds ?? 0).then(relay);
    else relay();
  });
  function keep(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
  }
  server.listen(ownPort, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an AddressInfo, never a pipe's name.
  const { port } = server.address() as AddressInfo;
  const routed = new URL(destination);
  routed.port = String(port);
  return {
    baseUrl: routed.href,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
