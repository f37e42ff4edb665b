import { once } from 'node:events';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';

/** What a server does with a request: write what it likes, or nothing, or hang up. `nth` is 1 for the first. */
export type Behaviour = (socket: TLSSocket, request: string, nth: number) => void;

export interface HostileServer {
  readonly port: number;
  /** `https://localhost:PORT`. */
  readonly origin: string;
  /** A token endpoint there. */
  readonly url: string;
  /** TLS handshakes completed so far. */
  readonly handshakes: number;
  /** Requests read to their end, as they came. */
  readonly requests: readonly string[];
  /** Resolves once the server has completed that many handshakes, read that many requests, accepted that many sockets. */
  reached(what: 'handshakes' | 'requests' | 'sockets', count: number): Promise<void>;
  /** Resolves when no socket is open: what a client leaves open keeps it waiting. */
  allClosed(): Promise<void>;
  /** Hangs up on everybody, and listens on. */
  dropAll(): void;
  close(): Promise<void>;
}

/** A TLS server that speaks HTTP only as far as a test wants it to. */
export function startHostileServer(tls: TlsOptions, behaviour: Behaviour): Promise<HostileServer> {
  const server = createTlsServer(tls);
  const start = listen(server);
  server.on('secureConnection', (socket) => {
    start.count('handshakes');
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = endOfRequest(text);
      if (end === undefined) return;
      const request = text.slice(0, end);
      text = text.slice(end);
      start.requests.push(request);
      start.count('requests');
      behaviour(socket, request, start.requests.length);
    });
  });
  // Clients that don't get through the handshake are what some tests are about.
  server.on('tlsClientError', () => {});
  return start.listening();
}

/** A TCP server that accepts connections and never says a word, unless `onSocket` does. */
export function startTcpServer(onSocket: (socket: Socket) => void = () => {}): Promise<HostileServer> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
    onSocket(socket);
  });
  return listen(server).listening();
}

/**
 * A hop before a server, such as a proxy or a load balancer: what the server says goes through, and that it has hung up
 * does not. Who waits for the end of a connection waits for ever.
 *
 * @param target The server's port.
 * @param onHungUp Hears of each connection that the server has closed.
 */
export function startHoldingHop(target: () => number, onHungUp: () => void): Promise<HostileServer> {
  return startTcpServer((socket) => {
    const onward = connect(target(), '127.0.0.1');
    onward.on('error', () => {});
    onward.on('close', onHungUp);
    onward.on('data', (chunk) => socket.write(chunk));
    socket.on('data', (chunk) => onward.write(chunk));
    socket.on('close', () => onward.destroy());
  });
}

function listen(server: Server) {
  const counts = { handshakes: 0, requests: 0, sockets: 0 };
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let wake = Promise.withResolvers<void>();
  const changed = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await wake.promise;
  };
  const count = (what: keyof typeof counts) => {
    counts[what] += 1;
    changed();
  };
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      changed();
    });
    count('sockets');
  });
  const dropAll = () => {
    for (const socket of sockets) socket.destroy();
  };

  async function listening(): Promise<HostileServer> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return {
      port,
      origin: `https://localhost:${port}`,
      url: `https://localhost:${port}/oauth2/token`,
      get handshakes() {
        return counts.handshakes;
      },
      requests,
      reached: (what, least) => until(() => counts[what] >= least),
      allClosed: () => until(() => sockets.size === 0),
      dropAll,
      async close() {
        if (!server.listening) return;
        const closed = once(server, 'close');
        server.close();
        dropAll();
        await closed;
      },
    };
  }

  return { count, requests, listening };
}

/** Where a request ends that has a content-length, if it is all there. */
function endOfRequest(text: string): number | undefined {
  const headersEnd = text.indexOf('\r\n\r\n');
  if (headersEnd < 0) return undefined;
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, headersEnd))?.[1] ?? 0);
  const end = headersEnd + 4 + length;
  return text.length >= end ? end : undefined;
}

/** A response that leaves nothing to be desired. */
export function httpResponse(status: number, headers: Record<string, string>, body: string | Buffer = ''): Buffer {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  const head = [`HTTP/1.1 ${status} Whatever`, ...lines.map(([name, value]) => `${name}: ${value}`), '', ''];
  return Buffer.concat([Buffer.from(head.join('\r\n'), 'latin1'), Buffer.from(body)]);
}
