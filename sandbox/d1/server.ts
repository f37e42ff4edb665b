import { type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Clock } from '../../src/shared/clock.ts';
import type { CallLog } from '../calls.ts';
import type { IssuedCertificate } from '../certificates.ts';
import { createAuthorizationServer, type ProvisionedKey, type TokenHabits } from './authorization-server.ts';
import { answerBankingRequest } from './banking-api.ts';
import {
  answerOrRefuse,
  correlationId,
  type D1Answer,
  type D1Request,
  type Handshake,
  MAXIMUM_BODY_BYTES,
  Refusal,
} from './http.ts';

/**
 * The one place where faults go in. It stands between the request, read to its end, and the answer:
 * - return what `next()` gives: nothing is wrong;
 * - return another answer, without or after `next()`: an outage, garbage, an answer that came too late;
 * - write to `response`, or destroy its socket, and return undefined: the answer is cut off or never comes. After
 *   `next()` the request has had its effect all the same, a used `jti` for one.
 */
export type Intercept = (
  request: D1Request,
  next: () => Promise<D1Answer>,
  response: ServerResponse,
) => Promise<D1Answer | undefined>;

export interface D1ServerOptions extends TokenHabits {
  clock: Pick<Clock, 'now'>;
  /** Must be good for `localhost`. */
  serverCertificate: Pick<IssuedCertificate, 'certificatePem' | 'privateKeyPem'>;
  /** The authority that client certificates come from: not the one that the server's comes from, as at D1. */
  clientCertificateAuthorityPem: string;
  /**
   * Hears of every request once; its `requestId` is the caller's correlation id, or a random one when there is none.
   * A handshake that failed is no request: it is in `refusedHandshakes`.
   */
  calls: Pick<CallLog, 'record'>;
  /** Default 0: a free port of 127.0.0.1, whichever it is. */
  port?: number;
  intercept?: Intercept;
  /** Default 900, as in the D1 documentation. */
  tokenLifetimeSeconds?: number;
  /** Default `https://api.d1.thalescloud.io`, which a public client sends in every environment. */
  audience?: string;
}

export interface D1Server {
  /** What a client is configured with: `https://localhost:PORT/authz/v1`. */
  readonly baseUrl: string;
  readonly origin: string;
  readonly tokenPublicKey: KeyObject;
  /** TLS handshakes completed so far: with keep-alive, fewer than requests. */
  readonly connections: number;
  readonly lastHandshake: Handshake | undefined;
  /** Why TLS handshakes failed, oldest first: the code of OpenSSL or Node, such as `CERT_HAS_EXPIRED`. */
  readonly refusedHandshakes: readonly string[];
  provisionIssuer(key: ProvisionedKey): void;
  removeIssuer(issuerId: string): void;
  revokeAccessTokens(issuerId: string): void;
  /** From the next handshake on; connections that are open stay open. */
  trustClientAuthority(certificatePem: string): void;
  distrustClientAuthority(certificatePem: string): void;
  useServerCertificate(certificate: Pick<IssuedCertificate, 'certificatePem' | 'privateKeyPem'>): void;
  /** Ends at once, keep-alive connections and handshakes under way included. */
  close(): Promise<void>;
}

/**
 * Thales D1 on this machine: one TLS host with `POST /authz/v1/oauth2/token` and `GET /banking/v1/issuers/{issuerId}`,
 * reached only with a client certificate, over TLS 1.2 or 1.3.
 */
export async function startD1Server(options: D1ServerOptions): Promise<D1Server> {
  const { clock, calls } = options;
  const intercept: Intercept = options.intercept ?? ((_request, next) => next());
  const authorizationServer = createAuthorizationServer({
    ...options,
    audience: options.audience ?? 'https://api.d1.thalescloud.io',
    tokenLifetimeSeconds: options.tokenLifetimeSeconds ?? 900,
  });

  let serverCertificate = options.serverCertificate;
  let clientAuthorities = [options.clientCertificateAuthorityPem];
  const secureContext = (): SecureContextOptions => ({
    cert: serverCertificate.certificatePem,
    key: serverCertificate.privateKeyPem,
    ca: clientAuthorities,
    minVersion: 'TLSv1.2',
  });
  const server = createServer(
    // A connection that idles must not close under a test that waits for something else.
    { ...secureContext(), requestCert: true, rejectUnauthorized: true, keepAliveTimeout: 60_000 },
    (request, response) => void serve(request, response),
  );

  let connections = 0;
  let lastHandshake: Handshake | undefined;
  const refusedHandshakes: string[] = [];
  const handshakes = new WeakMap<Socket, Handshake>();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('secureConnection', (socket) => {
    connections += 1;
    lastHandshake = describeHandshake(socket);
    handshakes.set(socket, lastHandshake);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Node's own check of the certificate ends in a bare ECONNRESET; its reason, typed as an Error, is a code.
    refusedHandshakes.push(String(socket.authorizationError ?? error.code ?? error.message));
    socket.destroy();
  });

  const route = (request: D1Request): { operation: string; answer: () => Promise<D1Answer> } => {
    if (request.path === '/authz/v1/oauth2/token') {
      return { operation: 'oauth2/token', answer: () => authorizationServer.answerTokenRequest(request) };
    }
    const issuerId = /^\/banking\/v1\/issuers\/([^/]+)$/.exec(request.path)?.[1];
    if (issuerId !== undefined) {
      return {
        operation: 'banking/issuers',
        answer: () => answerBankingRequest(authorizationServer, request, issuerId),
      };
    }
    const notFound = () => Promise.reject(new Refusal(404, 'not_found', 'no such resource'));
    return { operation: 'unknown', answer: () => answerOrRefuse(request, notFound) };
  };

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = clock.now();
    const handshake = handshakes.get(incoming.socket);
    const body = await readBody(incoming).catch(() => undefined);
    // The caller went away before it had said everything.
    if (body === undefined || handshake === undefined) return void incoming.destroy();
    const request: D1Request = {
      method: incoming.method ?? '',
      path: incoming.url?.split('?', 1)[0] ?? '',
      headers: incoming.headers,
      body,
      handshake,
    };
    const id = correlationId(request);
    const { operation, answer } = route(request);

    // Once for each request: as soon as D1 did it, or a fault kept it from that, or the caller gave up waiting. All of
    // them come before the answer leaves, so that a caller who has the answer finds the call in the log.
    let recorded = false;
    const record = (outcome: string, about: D1Answer['about'] = {}) => {
      if (recorded) return;
      recorded = true;
      calls.record({
        service: 'd1',
        operation,
        at,
        input: {
          ...(id === undefined ? {} : { correlationId: id }),
          ...about,
          clientSubject: handshake.clientSubject,
          tlsProtocol: handshake.protocol,
          tlsCipher: handshake.cipher,
        },
        outcome,
        requestId: id ?? randomUUID(),
      });
    };
    response.once('close', () => record('connection_lost'));
    const next = async () => {
      const given = await answer();
      record(given.outcome, given.about);
      return given;
    };

    const given = await intercept(request, next, response).catch(
      (): D1Answer => ({ status: 500, headers: {}, body: '', outcome: 'server_error' }),
    );
    record(given?.outcome ?? 'connection_lost');
    if (given === undefined || response.destroyed) return;
    response.writeHead(given.status, {
      // Its own clock's, as every server's is.
      date: new Date(clock.now()).toUTCString(),
      ...given.headers,
      'content-length': Buffer.byteLength(given.body),
    });
    response.end(given.body);
  }

  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an AddressInfo, never a pipe's name.
  const { port } = server.address() as AddressInfo;
  const origin = `https://localhost:${port}`;

  return {
    baseUrl: `${origin}/authz/v1`,
    origin,
    tokenPublicKey: authorizationServer.tokenPublicKey,
    get connections() {
      return connections;
    },
    get lastHandshake() {
      return lastHandshake;
    },
    refusedHandshakes,
    provisionIssuer: authorizationServer.provisionIssuer,
    removeIssuer: authorizationServer.removeIssuer,
    revokeAccessTokens: authorizationServer.revokeAccessTokens,
    trustClientAuthority(certificatePem) {
      clientAuthorities = [...clientAuthorities, certificatePem];
      server.setSecureContext(secureContext());
    },
    distrustClientAuthority(certificatePem) {
      clientAuthorities = clientAuthorities.filter((trusted) => trusted !== certificatePem);
      server.setSecureContext(secureContext());
    },
    useServerCertificate(certificate) {
      serverCertificate = certificate;
      server.setSecureContext(secureContext());
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function describeHandshake(socket: TLSSocket): Handshake {
  const certificate = socket.getPeerX509Certificate();
  const commonName = certificate?.toLegacyObject().subject.CN;
  return {
    clientSubject: certificate?.subject.replaceAll('\n', ', ') ?? '',
    // More than one Common Name is no name at all.
    clientCommonName: typeof commonName === 'string' ? commonName : '',
    clientFingerprint: certificate?.fingerprint256 ?? '',
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().standardName,
  };
}

/** Reads to the end, so that the caller can finish sending and hear the answer, and keeps what is needed to judge it. */
async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const kept: Buffer[] = [];
  let room = MAXIMUM_BODY_BYTES + 1;
  for await (const chunk of incoming) {
    if (room > 0) kept.push(Buffer.from(chunk).subarray(0, room));
    room -= chunk.length;
  }
  return Buffer.concat(kept);
}
