import { once } from 'node:events';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { IssuedCertificate } from '../sandbox/certificates.ts';
import { until } from './until.ts';

export interface Relay {
  readonly port: number;
  /** Ends every connection, as a server does with those that idle. */
  hangUp(): void;
  close(): Promise<void>;
}

/**
 * Stands before a server on loopback and makes its connections as slow, or as private, as those to the real one.
 *
 * @param handshakeRoundTripMilliseconds What the TCP handshake takes, and then the TLS handshake, which is one round trip
 * in TLS 1.3: the client's first flight waits for the first and half of the second, the server's for the other half.
 * From then on bytes pass without delay.
 * @param certificate When it is given, the relay speaks TLS to its clients, and TCP to the server.
 */
export async function startRelay(
  targetPort: number,
  {
    handshakeRoundTripMilliseconds = 0,
    certificate,
  }: {
    handshakeRoundTripMilliseconds?: number;
    certificate?: Pick<IssuedCertificate, 'certificatePem' | 'privateKeyPem'>;
  },
): Promise<Relay> {
  const sockets = new Set<Socket>();
  const serve = (near: Socket) => {
    const far = connect({ port: targetPort, host: '127.0.0.1' });
    const openAt = performance.now() + handshakeRoundTripMilliseconds;
    const half = handshakeRoundTripMilliseconds / 2;
    let flights = 0;
    forward(near, far, () => {
      flights += 1;
      return flights === 1 ? Math.max(openAt, performance.now()) + half : 0;
    });
    forward(far, near, () => (flights === 1 ? performance.now() + half : 0));
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
  };
  const server = certificate
    ? createTlsServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem }, serve)
    : createTcpServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const hangUp = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    hangUp,
    async close() {
      server.close();
      hangUp();
      await once(server, 'close');
    },
  };
}

/** In order, each chunk at its own moment. */
function forward(from: Socket, to: Socket, dueAt: () => number): void {
  let before = Promise.resolve();
  from.on('data', (chunk) => {
    const due = until(dueAt());
    before = before.then(() => due).then(() => void to.write(chunk));
  });
  from.on('end', () => void before.then(() => to.end()));
}
