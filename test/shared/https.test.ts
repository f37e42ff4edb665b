import { Readable } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { collect, type HttpsAnswer, type HttpsRequest, httpsRequest } from '../../src/shared/https.ts';
import { HttpsFailure } from '../../src/shared/https-failure.ts';
import { VerifiedAgent } from '../../src/shared/verified-agent.ts';
import { type Behaviour, httpResponse, startHostileServer } from '../support/hostile-server.ts';
import { WatchedClock } from '../token-endpoint/watched-clock.ts';

const plain = { 'content-type': 'text/plain' };

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let serverCertificate: IssuedCertificate;
let clock: WatchedClock;
let toClose: { close(): unknown }[];

beforeAll(async () => {
  [authority, stranger] = await Promise.all([
    createCertificateAuthority({ commonName: 'Server CA', clock: systemClock }),
    createCertificateAuthority({ commonName: 'Stranger', clock: systemClock }),
  ]);
  serverCertificate = await authority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
});

beforeEach(() => {
  clock = new WatchedClock();
  toClose = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  for (const each of toClose.reverse()) await each.close();
});

async function serve(behaviour: Behaviour, tls: TlsOptions = {}) {
  const { certificatePem: cert, privateKeyPem: key } = serverCertificate;
  const server = await startHostileServer({ cert, key, ...tls }, behaviour);
  toClose.push(server);
  return server;
}

async function agentFor(trusted = authority, maxSockets = 256) {
  const issued = await authority.issue({ commonName: 'TLSMA-ECC/ISSUER0001/PPR', usage: 'client' });
  const agent = new VerifiedAgent({
    clientCertificate: {
      certificate: issued.certificatePem,
      privateKey: issued.privateKeyPem,
      caBundle: trusted.certificatePem,
      subject: 'CN=TLSMA-ECC/ISSUER0001/PPR',
      notAfter: issued.notAfter.getTime(),
    },
    connectTimeoutMilliseconds: 3_000,
    maxSockets,
    clock,
  });
  toClose.push({ close: () => agent.destroy() });
  return agent;
}

async function ask(server: { url: string }, changes: Partial<HttpsRequest> = {}): Promise<HttpsAnswer> {
  const agent = changes.agent ?? (await agentFor());
  return httpsRequest({ url: server.url, method: 'GET', headers: {}, agent, clock, ...changes });
}

const textOf = async (answer: HttpsAnswer) => (await collect(answer, 1_000)).toString();

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
}

describe('an https request', () => {
  it('sends what it is given, asks for no compression, and gives the answer as it came', async () => {
    const server = await serve((socket) => socket.write(httpResponse(207, { ...plain, 'x-a': '1' }, 'an answer')));
    const answer = await ask(server, { method: 'POST', headers: { 'x-mine': 'yes' }, body: 'a body: é' });
    expect(answer).toMatchObject({ status: 207, statusText: 'Whatever', headers: { 'x-a': '1' } });
    expect(answer.rawHeaders).toContain('x-a');
    expect(await textOf(answer)).toBe('an answer');
    const [head, body] = String(server.requests[0]).split('\r\n\r\n');
    expect(head).toMatch(/^POST \/oauth2\/token HTTP\/1\.1\r\n/);
    expect(head).toMatch(/^x-mine: yes$/m);
    expect(head).toMatch(/^accept-encoding: identity$/m);
    expect(head).toMatch(/^content-length: 10$/m);
    expect(Buffer.from(String(body), 'latin1').toString()).toBe('a body: é');
    expect(await clock.sleepers()).toBe(0);
  });

  it('sends a stream as it comes', async () => {
    const server = await serve((socket) => socket.write(httpResponse(200, plain, 'thanks')));
    const answer = await ask(server, {
      method: 'PUT',
      headers: { 'content-length': '6' },
      body: Readable.from(['abc', 'def']),
    });
    expect(await textOf(answer)).toBe('thanks');
    expect(server.requests[0]).toMatch(/\r\n\r\nabcdef$/);
  });

  it('ends with what ended the stream of its body', async () => {
    const server = await serve(() => {});
    const body = new Readable({ read: () => {} });
    const failing = failureOf(ask(server, { method: 'PUT', headers: {}, body }));
    await server.reached('handshakes', 1);
    body.destroy(new Error('the disk is gone'));
    expect(await failing).toMatchObject({ message: 'the disk is gone' });
    await server.allClosed();
  });

  it('follows no redirect', async () => {
    const server = await serve((socket) => socket.write(httpResponse(307, { location: 'https://elsewhere.example/' })));
    expect((await ask(server)).status).toBe(307);
    expect(server.requests).toHaveLength(1);
  });

  it('closes the connection of an answer that is left before its end', async () => {
    const server = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'));
    (await ask(server, { timeoutMilliseconds: 1_000 })).leave();
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('uses no connection that was idle for more than 30 s on the clock', async () => {
    const server = await serve((socket) => socket.write(httpResponse(200, plain, 'x')));
    const agent = await agentFor();
    for (const [pause, handshakes] of [
      [0, 1],
      [30_000, 1],
      [30_001, 2],
    ] as const) {
      clock.advance(pause);
      agent.dropIdle();
      await textOf(await ask(server, { agent }));
      await new Promise(setImmediate);
      expect(server.handshakes).toBe(handshakes);
    }
  });
});

describe('an https request that is ended by its caller', () => {
  const reason = new Error('the reason of the caller');

  it('ends with the reason, before the answer', async () => {
    const server = await serve(() => {});
    const caller = new AbortController();
    const failing = failureOf(ask(server, { signal: caller.signal, timeoutMilliseconds: 1_000 }));
    await server.reached('requests', 1);
    caller.abort(reason);
    expect(await failing).toBe(reason);
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('ends with the reason, while the body is read', async () => {
    const server = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'));
    const caller = new AbortController();
    const answer = await ask(server, { signal: caller.signal });
    expect(String(await answer.next())).toBe('{');
    const failing = failureOf(answer.next());
    caller.abort(reason);
    expect(await failing).toBe(reason);
    expect(await failureOf(answer.next())).toBe(reason);
    await server.allClosed();
  });

  it('is not begun when it was ended before', async () => {
    const server = await serve(() => {});
    expect(await failureOf(ask(server, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.handshakes).toBe(0);
  });

  it('leaves no listener on the signal', async () => {
    const server = await serve((socket) => socket.write(httpResponse(200, plain, 'x')));
    const { signal } = new AbortController();
    const remove = vi.spyOn(signal, 'removeEventListener');
    await textOf(await ask(server, { signal }));
    await new Promise(setImmediate);
    expect(remove).toHaveBeenCalled();
  });
});

describe('an https request that takes too long', () => {
  it.each<[string, Behaviour, boolean]>([
    ['before the answer', () => {}, false],
    ['while the body is read', (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'), true],
  ])('ends when its time is over: %s', async (_name, behaviour, answered) => {
    const server = await serve(behaviour);
    const failing = failureOf(ask(server, { timeoutMilliseconds: 8_000 }).then((answer) => collect(answer, 100)));
    await server.reached('requests', 1);
    clock.advance(7_999);
    await new Promise((resolve) => setTimeout(resolve, 20));
    clock.advance(1);
    expect(await failing).toMatchObject({ kind: 'TIMED_OUT', answered });
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('may take for ever when it has no limit', async () => {
    let answer = () => {};
    const server = await serve((socket) => {
      answer = () => void socket.write(httpResponse(200, plain, 'at last'));
    });
    const asking = ask(server).then(textOf);
    await server.reached('requests', 1);
    clock.advance(86_400_000);
    answer();
    expect(await asking).toBe('at last');
  });
});

describe('an https request whose answer is none', () => {
  const informational = (count: number) => 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(count);

  it('gets over 8 informational responses, and not over 9', async () => {
    const server = await serve((socket, _request, nth) => {
      socket.write(Buffer.concat([Buffer.from(informational(7 + nth)), httpResponse(200, plain, 'after all')]));
    });
    expect(await textOf(await ask(server))).toBe('after all');
    expect(await failureOf(ask(server))).toMatchObject({ kind: 'FLOOD', answered: false });
  });

  it.each<[string, string | Buffer, object]>([
    [
      'a switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      { kind: 'UPGRADED' },
    ],
    ['a status that is none', 'HTTP/1.1 666 Whatever\r\ncontent-length: 0\r\n\r\n', { kind: 'STATUS_INVALID' }],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', { kind: 'NOT_HTTP', code: 'HPE_INVALID_CONSTANT' }],
    ['headers of 20 kB', httpResponse(200, { 'x-long': 'x'.repeat(20_000) }), { kind: 'HEADERS_TOO_LARGE' }],
    ['compressed', httpResponse(200, { 'content-encoding': 'gzip' }, 'x'), { kind: 'COMPRESSED', answered: true }],
    ['too large', httpResponse(200, plain, 'x'.repeat(101)), { kind: 'TOO_LARGE', answered: true }],
    [
      'cut',
      'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{',
      { kind: 'NETWORK', code: 'ECONNRESET', answered: true, certificateRefused: false },
    ],
  ])('%s', async (_name, answer, expected) => {
    const server = await serve((socket) => socket.end(answer));
    const failure = await failureOf(ask(server).then((head) => collect(head, 100)));
    expect(failure).toBeInstanceOf(HttpsFailure);
    expect(failure).toMatchObject(expected);
    await server.allClosed();
    expect(await clock.sleepers()).toBe(0);
  });

  it('says that a connection was cut before it answered, and whether it had been of use before', async () => {
    const server = await serve((socket, _request, nth) => {
      if (nth === 2) socket.destroy();
      else socket.write(httpResponse(200, plain, 'x'));
    });
    const agent = await agentFor();
    await textOf(await ask(server, { agent }));
    await new Promise(setImmediate);
    const cut = { kind: 'NETWORK', code: 'ECONNRESET', answered: false, reusedSocket: true, certificateRefused: true };
    expect(await failureOf(ask(server, { agent }))).toMatchObject(cut);
  });
});

describe('a server that is not to be trusted', () => {
  it.each(['0', '1', undefined])('is not, with NODE_TLS_REJECT_UNAUTHORIZED=%s', async (value) => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', value);
    // Node warns of it at the first connection; here it is meant.
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const server = await serve((socket) => socket.write(httpResponse(200, plain, 'x')));
    const failure = await failureOf(ask(server, { agent: await agentFor(stranger) }));
    expect(failure).toMatchObject({ kind: 'UNTRUSTED', untrusted: true, certificateRefused: false });
    expect(server.requests).toHaveLength(0);
  });

  it('gets no connection ahead of a request either', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const server = await serve(() => {});
    const agent = await agentFor(stranger);
    // As the broker opens one while KMS signs: no request has a say in it.
    const socket = agent.createConnection({ ...agent.options, host: 'localhost', port: server.port });
    const outcome = await new Promise((resolve) =>
      socket?.on('error', resolve).on('secureConnect', () => resolve('it is open')),
    );
    socket?.destroy();
    expect(outcome).toMatchObject({ code: expect.stringMatching(/^(SELF_SIGNED|UNABLE_TO)/) });
  });
});
