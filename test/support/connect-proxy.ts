import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { TLSSocket, type TlsOptions } from 'node:tls';

export interface ConnectProxy {
  readonly url: URL;
  /** What was to be reached, `HOST:PORT`, and with which headers. */
  readonly asked: readonly { readonly target: string; readonly headers: IncomingHttpHeaders }[];
  /** Resolves when no client is connected any more. */
  allClosed(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A proxy that does what a test wants of it, where test/proxy has a real one.
 *
 * @param tls It listens with TLS.
 * @param inspects It ends the client's TLS itself, with this certificate, and goes no further.
 * @param credentials `user:password` that it asks for.
 * @param says Instead of `HTTP/1.1 200 OK` and a tunnel: these bytes, and then it waits, or hangs up at once when there are none.
 */
export async function startConnectProxy({
  tls,
  inspects,
  says,
  credentials,
}: {
  tls?: TlsOptions;
  inspects?: TlsOptions;
  says?: string;
  credentials?: string;
} = {}): Promise<ConnectProxy> {
  const asked: { target: string; headers: IncomingHttpHeaders }[] = [];
  const sockets = new Set<Socket>();
  let wake = Promise.withResolvers<void>();
  const watch = (socket: Socket) => {
    sockets.add(socket);
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket);
        wake.resolve();
        wake = Promise.withResolvers();
      });
  };
  const server = tls ? createTlsServer(tls) : createServer();
  server.on(tls ? 'secureConnection' : 'connection', watch);
  server.on('connect', ({ url = '', headers }: IncomingMessage, near: Socket) => {
    asked.push({ target: url, headers });
    const basic = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    if (basic && headers['proxy-authorization'] !== basic) {
      return void near.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    }
    if (says === '') return void near.destroy();
    if (says !== undefined) {
      // An http server's sockets may be half open; who has left is not waited for.
      near.resume().on('end', () => near.destroy());
      return void near.write(says);
    }
    if (inspects) {
      near.write('HTTP/1.1 200 OK\r\n\r\n');
      return void new TLSSocket(near, { isServer: true, ...inspects }).on('error', () => near.destroy());
    }
    const far = connect(Number(url.slice(url.lastIndexOf(':') + 1)), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 OK\r\n\r\n');
      near.pipe(far).pipe(near);
    });
    for (const socket of [near, far]) {
      socket.on('error', () => {}).on('close', () => [near, far].map((one) => one.destroy()));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`${tls ? 'https' : 'http'}://localhost:${port}`),
    asked,
    async allClosed() {
      while (sockets.size > 0) await wake.promise;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
