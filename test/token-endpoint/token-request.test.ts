import type { Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type CertificateAuthority,
  type CertificateRequest,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { BrokerError } from '../../src/errors.ts';
import type { ClientCertificate } from '../../src/shared/client-certificate.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { OpenAheadAgent } from '../../src/token-endpoint/open-ahead-agent.ts';
import { sendAssertion } from '../../src/token-endpoint/token-request.ts';
import { readTokenResponse } from '../../src/token-endpoint/token-response.ts';
import {
  type Behaviour,
  type HostileServer,
  httpResponse,
  startHostileServer,
  startTcpServer,
} from '../support/hostile-server.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';
import { WatchedClock } from './watched-clock.ts';

const timeouts = { connectTimeoutMilliseconds: 3_000, exchangeTimeoutMilliseconds: 8_000 };
const json = { 'content-type': 'application/json' };
const token = '{"access_token":"a-token","expires_in":900}';
/** What the request carries and no error may show. */
const assertion = 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJJU1NVRVIwMDAxIn0.dGhlLXNpZ25hdHVyZS1vZi1hbi1hc3NlcnRpb24';

let serverAuthority: CertificateAuthority;
let clientAuthority: CertificateAuthority;
let serverCertificate: IssuedCertificate;
let clientCertificate: IssuedCertificate;
let clock: WatchedClock;
let toClose: { close(): unknown }[];

const forServer = (names: Partial<CertificateRequest>) =>
  serverAuthority.issue({ commonName: 'localhost', usage: 'server', ...names });

beforeAll(async () => {
  [serverAuthority, clientAuthority] = await Promise.all([
    createCertificateAuthority({ commonName: 'Server CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Client CA', clock: systemClock }),
  ]);
  [serverCertificate, clientCertificate] = await Promise.all([
    forServer({ dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }),
    clientAuthority.issue({ commonName: 'TLSMA-ECC/ISSUER0001/PPR', usage: 'client' }),
  ]);
});

beforeEach(() => {
  clock = new WatchedClock();
  toClose = [];
});

afterEach(async () => {
  for (const each of toClose.reverse()) await each.close();
});

const tlsOf = (issued: IssuedCertificate): TlsOptions => ({ cert: issued.certificatePem, key: issued.privateKeyPem });

async function serve(behaviour: Behaviour = answerWell, tls: TlsOptions = tlsOf(serverCertificate)) {
  const server = await startHostileServer(tls, behaviour);
  toClose.push(server);
  return server;
}

const answerWell: Behaviour = (socket) => socket.write(httpResponse(200, json, token));

function connect(origin: string, changes: Partial<ClientCertificate> = {}) {
  const clientCertificateOfIssuer: ClientCertificate = {
    certificate: clientCertificate.certificatePem,
    privateKey: clientCertificate.privateKeyPem,
    caBundle: serverAuthority.certificatePem,
    subject: 'CN=TLSMA-ECC/ISSUER0001/PPR',
    notAfter: clientCertificate.notAfter.getTime(),
    ...changes,
  };
  const { connectTimeoutMilliseconds } = timeouts;
  const agent = new OpenAheadAgent(new URL(origin), {
    clientCertificate: clientCertificateOfIssuer,
    connectTimeoutMilliseconds,
    clock,
  });
  const connection = { agent, open: () => agent.openAhead(), close: () => agent.destroy() };
  toClose.push(connection);
  return connection;
}

type Connection = ReturnType<typeof connect>;

const post = ({ agent }: Connection, { url }: { url: string }, signal?: AbortSignal) =>
  sendAssertion({ url, assertion, correlationId: 'story-1', agent, timeouts, clock, signal });

/** How an exchange with the server ends, which must be in an error that shows nothing. */
async function failure(server: HostileServer, connection = connect(server.origin)): Promise<BrokerError> {
  return failureOf(
    post(connection, server).then((response) => readTokenResponse(response, 'an.assertion.sent', clock.now())),
  );
}

async function failureOf(work: Promise<unknown>): Promise<BrokerError> {
  const error = await work.then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BrokerError)) throw new Error(`not a BrokerError: ${error}`);
  expect(leakIn(everythingPrintedOf(error), [assertion, clientCertificate.privateKeyPem])).toBeUndefined();
  expect(error).not.toHaveProperty('cause');
  return error;
}

describe('a connection to the token endpoint', () => {
  it('shows the client certificate, asks for no compression, and says how long its body is', async () => {
    const peers: unknown[] = [];
    const server = await serve(
      (socket, ...rest) => {
        peers.push(socket.authorized, socket.getPeerCertificate().subject.CN, socket.getProtocol());
        answerWell(socket, ...rest);
      },
      { ...tlsOf(serverCertificate), requestCert: true, ca: clientAuthority.certificatePem },
    );
    const response = await post(connect(server.origin), server);
    expect(response.body).toBe(token);
    expect(peers).toEqual([true, 'TLSMA-ECC/ISSUER0001/PPR', 'TLSv1.3']);
    const [head, body] = String(server.requests[0]).split('\r\n\r\n');
    expect(head).toMatch(/^POST \/oauth2\/token HTTP\/1\.1\r\n/);
    expect(head).toMatch(/^accept-encoding: identity$/m);
    expect(head).toMatch(new RegExp(`^content-length: ${body?.length}$`, 'm'));
    const grant = encodeURIComponent('urn:ietf:params:oauth:grant-type:jwt-bearer');
    expect(body).toBe(`grant_type=${grant}&assertion=${assertion}`);
  });

  it('is kept alive: two exchanges, one handshake', async () => {
    const server = await serve();
    const connection = connect(server.origin);
    for (let count = 0; count < 2; count += 1) {
      connection.open();
      expect((await post(connection, server)).status).toBe(200);
    }
    expect(server.handshakes).toBe(1);
    expect(server.requests).toHaveLength(2);
  });

  it('is trusted for 30 s of idleness on the clock, and no longer', async () => {
    const server = await serve();
    const connection = connect(server.origin);
    connection.open();
    await post(connection, server);
    clock.advance(30_000);
    connection.open();
    await post(connection, server);
    expect(server.handshakes).toBe(1);
    clock.advance(30_001);
    connection.open();
    await post(connection, server);
    expect(server.handshakes).toBe(2);
  });

  it('is opened ahead of the request, once, and then used for it', async () => {
    const server = await serve();
    const connection = connect(server.origin);
    connection.open();
    await server.reached('handshakes', 1);
    expect(server.requests).toHaveLength(0);
    await post(connection, server);
    expect(server.handshakes).toBe(1);
  });

  it('is not closed under a request by somebody who opens it as well', async () => {
    let answer = () => {};
    const server = await serve((socket) => {
      answer = () => void socket.write(httpResponse(200, json, token));
    });
    const connection = connect(server.origin);
    connection.open();
    const response = post(connection, server);
    await server.reached('requests', 1);
    connection.open();
    answer();
    await expect(response).resolves.toMatchObject({ status: 200 });
  });

  it('is replaced when the server has dropped it meanwhile, whether it was used or only opened', async () => {
    const server = await serve();
    const bystander = connect(server.origin);
    const connection = connect(server.origin);
    for (const used of [false, true]) {
      const before = server.handshakes;
      connection.open();
      await server.reached('handshakes', before + 1);
      if (used) await post(connection, server);
      server.dropAll();
      await server.allClosed();
      // By the time that another exchange is over, this process has heard of the end of the first connection.
      await post(bystander, server);
      connection.open();
      await expect(post(connection, server)).resolves.toMatchObject({ status: 200 });
      connection.close();
      bystander.close();
      await server.allClosed();
    }
  });

  it('speaks TLS 1.2 where 1.3 is not to be had', async () => {
    const protocols: unknown[] = [];
    const server = await serve(
      (socket, ...rest) => {
        protocols.push(socket.getProtocol());
        answerWell(socket, ...rest);
      },
      { ...tlsOf(serverCertificate), maxVersion: 'TLSv1.2' },
    );
    await post(connect(server.origin), server);
    expect(protocols).toEqual(['TLSv1.2']);
  });

  it('reaches a server by its address, when the certificate names it', async () => {
    const server = await serve();
    const connection = connect(`https://127.0.0.1:${server.port}`);
    connection.open();
    await server.reached('handshakes', 1);
    await post(connection, { url: `https://127.0.0.1:${server.port}/oauth2/token` });
    expect(server.handshakes).toBe(1);
  });

  it('leaves nothing behind when it is closed: no socket, no timer', async () => {
    const server = await serve();
    const connection = connect(server.origin);
    connection.open();
    await post(connection, server);
    expect(await clock.sleepers()).toBe(0);
    connection.close();
    await server.allClosed();

    const ahead = connect(server.origin);
    ahead.open();
    await server.reached('handshakes', 2);
    ahead.close();
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });
});

describe('a server that is not to be trusted', () => {
  it('has a certificate for another name', async () => {
    const server = await serve(answerWell, tlsOf(await forServer({ dnsNames: ['api.d1.example'] })));
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: false });
    expect(error.what).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(server.requests).toHaveLength(0);
  });

  it('has a certificate from an authority that is not in the bundle', async () => {
    const stranger = await createCertificateAuthority({ commonName: 'Stranger', clock: systemClock });
    const server = await serve(
      answerWell,
      tlsOf(await stranger.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] })),
    );
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: false });
    expect(error.remedy).toContain('ca_bundle');
    expect(server.requests).toHaveLength(0);
  });

  it('has a private authority, and there is no bundle: the public roots are what counts', async () => {
    const server = await serve();
    const error = await failure(server, connect(server.origin, { caBundle: undefined }));
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: false });
    expect(server.requests).toHaveLength(0);
  });

  it('has a certificate that expired', async () => {
    const [notBefore, notAfter] = [new Date(Date.now() - 2 * 86_400_000), new Date(Date.now() - 86_400_000)];
    const server = await serve(answerWell, tlsOf(await forServer({ dnsNames: ['localhost'], notBefore, notAfter })));
    expect((await failure(server)).what).toContain('CERT_HAS_EXPIRED');
  });

  it('shows a client certificate', async () => {
    const issued = await serverAuthority.issue({ commonName: 'localhost', usage: 'client', dnsNames: ['localhost'] });
    expect((await failure(await serve(answerWell, tlsOf(issued)))).what).toContain('INVALID_PURPOSE');
  });

  it('speaks TLS 1.1 at most', async () => {
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const server = await serve(answerWell, { ...tlsOf(serverCertificate), ...old });
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true });
    expect(error.what).toContain('did not complete the TLS handshake (ERR_SSL_');
    expect(server.handshakes).toBe(0);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('refuses the client certificate over %s', async (maxVersion) => {
    const server = await serve(answerWell, {
      ...tlsOf(serverCertificate),
      maxVersion,
      requestCert: true,
      rejectUnauthorized: true,
      ca: serverAuthority.certificatePem,
    });
    expect(await failure(server)).toMatchObject({ certificateRefused: true });
    expect(server.requests).toHaveLength(0);
  });
});

describe('a server that ends the handshake with an alert', () => {
  /** A fatal alert in a record of its own (RFC 8446, sections 5.1 and 6). */
  const alert = (code: number) => Buffer.from([21, 3, 3, 0, 2, 2, code]);

  it.each([
    [40, 'handshake_failure', 'HANDSHAKE_FAILURE'],
    [42, 'bad_certificate', 'BAD_CERTIFICATE'],
    [43, 'unsupported_certificate', 'UNSUPPORTED_CERTIFICATE'],
    [44, 'certificate_revoked', 'CERTIFICATE_REVOKED'],
    [45, 'certificate_expired', 'CERTIFICATE_EXPIRED'],
    [46, 'certificate_unknown', 'CERTIFICATE_UNKNOWN'],
    [48, 'unknown_ca', 'UNKNOWN_CA'],
    [49, 'access_denied', 'ACCESS_DENIED'],
    [116, 'certificate_required', 'CERTIFICATE_REQUIRED'],
  ])('%i, %s: it refuses our certificate', async (code, _name, spelt) => {
    const server = await startTcpServer((socket) => socket.once('data', () => socket.end(alert(code))));
    toClose.push(server);
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false, certificateRefused: true });
    expect(error.what).toMatch(new RegExp(`refused the client certificate: ERR_SSL_[\\w/]+_ALERT_${spelt}\\.$`));
    expect(await clock.sleepers()).toBe(0);
  });

  it.each([70, 80])('%i: it cannot talk to us, and our certificate is not why', async (code) => {
    const server = await startTcpServer((socket) => socket.once('data', () => socket.end(alert(code))));
    toClose.push(server);
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true, certificateRefused: false });
    expect(error.what).toContain('did not complete the TLS handshake (ERR_SSL_TLSV1_ALERT_');
  });
});

describe('a server that does not answer properly', () => {
  const chunked = { 'transfer-encoding': 'chunked', ...json };
  const headersOf = (lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  const pourOut = (socket: TLSSocket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(`1000\r\n${'x'.repeat(0x1000)}\r\n`));
    };
    socket.on('drain', more);
    more();
  };

  it.each<[string, (socket: TLSSocket) => void, string]>([
    ['too much, and says so', (s) => s.write(httpResponse(200, json, 'x'.repeat(65_537))), 'larger than 65536 bytes'],
    [
      'without end',
      (s) => {
        s.write(headersOf(['transfer-encoding: chunked', 'content-type: application/json']));
        pourOut(s);
      },
      'larger than 65536 bytes',
    ],
    [
      'headers of 32 kB',
      (s) => s.write(httpResponse(200, { ...json, 'x-long': 'x'.repeat(32_768) }, token)),
      'its headers are too large (HPE_HEADER_OVERFLOW)',
    ],
    ['gzip', (s) => s.write(httpResponse(200, { ...json, 'content-encoding': 'gzip' }, 'x')), 'it is compressed'],
    [
      'gzip that never comes',
      (s) => s.write(headersOf(['content-encoding: gzip', 'content-length: 9'])),
      'it is compressed',
    ],
    [
      '1xx without end',
      (s) => s.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(9)),
      'a flood of 1xx responses',
    ],
    [
      'a switch of protocols',
      (s) => s.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n'),
      'HTTP 101, a switch to another protocol',
    ],
    ['status 999', (s) => s.write(httpResponse(999, json, token)), 'its status is not one of HTTP (HTTP_999)'],
    [
      'status 000',
      (s) => s.write('HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n'),
      'its status is not one of HTTP (HTTP_0)',
    ],
    ['something that is not HTTP', (s) => s.write('SSH-2.0-OpenSSH_9.6\r\n'), 'it is not HTTP (HPE_INVALID_CONSTANT)'],
    ['an HTTP/2 preface', (s) => s.write(Buffer.from('000012040000000000', 'hex')), 'it is not HTTP (HPE_'],
    ['two lengths', (s) => s.write(headersOf(['content-length: 5', 'content-length: 6'])), 'it is not HTTP (HPE_'],
    [
      'a length and chunks',
      (s) => s.write(httpResponse(200, { ...chunked, 'content-length': '5' }, '5\r\nhello\r\n0\r\n\r\n')),
      'it is not HTTP (HPE_',
    ],
    [
      'a chunk of no size',
      (s) => s.write(`${headersOf(['transfer-encoding: chunked'])}zz\r\n`),
      'it is not HTTP (HPE_INVALID_CHUNK_SIZE)',
    ],
    ['a control character in a header', (s) => s.write(headersOf(['x-y: a\u0001b'])), 'it is not HTTP (HPE_'],
  ])('sends %s: it is cut off, and can be tried again', async (_name, answer, why) => {
    const server = await serve((socket) => answer(socket));
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', retryable: true });
    expect(error.what).toContain(why);
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it.each<[string, (socket: TLSSocket) => void, boolean]>([
    ['hangs up instead', (s) => s.destroy(), true],
    ['says good-bye instead', (s) => s.end(), true],
    ['hangs up in the headers', (s) => s.end('HTTP/1.1 200 OK\r\ncontent-'), true],
    [
      'hangs up in the body',
      (s) => s.end(`${headersOf(['content-length: 1000', 'content-type: application/json'])}{`),
      false,
    ],
    ['hangs up in a chunk', (s) => s.end(`${headersOf(['transfer-encoding: chunked'])}ff\r\n{`), false],
    ['hangs up before the last chunk', (s) => s.end(`${headersOf(['transfer-encoding: chunked'])}1\r\n{\r\n`), false],
  ])('%s', async (_name, answer, maybeOurCertificate) => {
    const server = await serve((socket) => answer(socket));
    const error = await failure(server);
    expect(error).toMatchObject({
      code: 'TOKEN_ENDPOINT_UNREACHABLE',
      retryable: true,
      certificateRefused: maybeOurCertificate,
    });
    expect(error.what).toContain(
      maybeOurCertificate
        ? 'hung up without an answer (ECONNRESET), as it may when it refuses a client certificate'
        : 'closed the connection before its answer was complete (ECONNRESET)',
    );
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('may send up to eight 1xx responses, and all of 64 KiB', async () => {
    const body = 'x'.repeat(65_536);
    const server = await serve((socket) =>
      socket.write(Buffer.concat([Buffer.from('HTTP/1.1 103 E\r\n\r\n'.repeat(8)), httpResponse(200, json, body)])),
    );
    const response = await post(connect(server.origin), server);
    expect(response.body).toBe(body);
  });

  it('may say that it did not compress, and need not say how long it is', async () => {
    const server = await serve((socket) =>
      socket.end(`HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-type: application/json\r\n\r\n${token}`),
    );
    const response = await post(connect(server.origin), server);
    expect(readTokenResponse(response, 'an.assertion.sent', clock.now())).toMatchObject({ access_token: 'a-token' });
  });

  it('redirects: that is an answer like any other, and nobody goes there', async () => {
    const elsewhere = await serve();
    const server = await serve((socket) => socket.write(httpResponse(302, { location: elsewhere.url })));
    expect(await failure(server)).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false });
    expect(server.requests).toHaveLength(1);
    expect(elsewhere.handshakes).toBe(0);
  });

  it('answers 204: there is no body to trip over', async () => {
    const server = await serve((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
    expect(await failure(server)).toMatchObject({ code: 'TOKEN_ENDPOINT_REJECTED', retryable: false });
  });

  it('hands over the two headers that count, and no cookie', async () => {
    const server = await serve((socket) =>
      socket.write(httpResponse(503, { ...json, 'retry-after': '5', 'set-cookie': 'a=b' })),
    );
    const response = await post(connect(server.origin), server);
    expect(response).toEqual({ status: 503, contentType: 'application/json', retryAfter: '5', body: '' });
  });
});

describe('a server that keeps us waiting', () => {
  it.each<[string, (socket: TLSSocket) => void]>([
    ['says nothing', () => {}],
    ['begins a status line', (s) => s.write('HTTP/1.')],
    ['sends a header now and then', (s) => s.write('HTTP/1.1 200 OK\r\nx-a: 1\r\n')],
    ['sends a 1xx now and then', (s) => s.write('HTTP/1.1 102 Processing\r\n\r\n')],
    ['begins a body', (s) => s.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{')],
  ])('%s: the exchange ends when its time is over, and not before', async (_name, answer) => {
    const server = await serve((socket) => answer(socket));
    let over = false;
    const failing = failureOf(post(connect(server.origin), server)).finally(() => {
      over = true;
    });
    await server.reached('requests', 1);
    clock.advance(7_999);
    await new Promise(setImmediate);
    expect(over).toBe(false);
    clock.advance(1);
    const error = await failing;
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true, certificateRefused: false });
    expect(error.what).toBe('The token endpoint did not answer within 8000 ms.');
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('accepts connections, and never begins the handshake', async () => {
    const server = await startTcpServer();
    toClose.push(server);
    const connection = connect(server.origin);
    connection.open();
    const failing = failure(server, connection);
    await server.reached('sockets', 1);
    clock.advance(3_000);
    const error = await failing;
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true });
    expect(error.what).toBe('The token endpoint could not be connected to within 3000 ms.');
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('may take all the time of the connection for the handshake, and nothing of it for the request', async () => {
    let answer = () => {};
    const server = await serve((socket) => {
      answer = () => void socket.write(httpResponse(200, json, token));
    });
    const response = post(connect(server.origin), server);
    await server.reached('requests', 1);
    clock.advance(3_000);
    answer();
    await expect(response).resolves.toMatchObject({ status: 200 });
  });

  it('is left at once when the invocation is over', async () => {
    const server = await serve(() => {});
    const invocation = new AbortController();
    const leaving = post(connect(server.origin), server, invocation.signal).catch((thrown: unknown) => thrown);
    await server.reached('requests', 1);
    invocation.abort();
    expect(await leaving).toBe(invocation.signal.reason);
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });
});

describe('no server', () => {
  it('refuses the connection', async () => {
    const server = await serve();
    await server.close();
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true, certificateRefused: false });
    expect(error.what).toBe('The token endpoint refused the connection (ECONNREFUSED).');
    expect(await clock.sleepers()).toBe(0);
  });

  it('speaks plain HTTP', async () => {
    const server = await startTcpServer((socket: Socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    toClose.push(server);
    const error = await failure(server);
    expect(error).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', retryable: true });
    expect(error.what).toContain('did not complete the TLS handshake (ERR_SSL_');
  });

  it('does not end the process when a connection fails that was only opened ahead', async () => {
    const server = await startTcpServer((socket) => socket.destroy());
    toClose.push(server);
    const connection = connect(server.origin);
    // vitest fails a run in which an 'error' event or a rejection finds nobody to hear it.
    connection.open();
    await server.reached('sockets', 1);
    await server.allClosed();
    await expect(failure(server, connection)).resolves.toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE' });
    expect(await clock.sleepers()).toBe(0);
  });

  it('is given up on while KMS still signs: the request then makes a connection of its own', async () => {
    const silent = await startTcpServer();
    toClose.push(silent);
    const connection = connect(silent.origin);
    connection.open();
    await silent.reached('sockets', 1);
    clock.advance(3_000);
    await silent.allClosed();
    expect(await clock.sleepers()).toBe(0);
    const failing = failure(silent, connection);
    await silent.reached('sockets', 2);
    clock.advance(3_000);
    expect((await failing).what).toContain('could not be connected to within 3000 ms');
  });
});
