import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, Agent as HttpsAgent } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../sandbox/certificates.ts';
import { createTokenReader, type TokenReaderOptions } from '../../src/reader/reader.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { type Behaviour, httpResponse, startHostileServer } from '../support/hostile-server.ts';
import { failureOf } from './open-consumer.ts';

// What the reader's fetch makes of a server's good and bad manners, over TLS of its own.

const NOW = 1_800_000_000;
const record = JSON.stringify({
  access_token: 'token',
  token_type: 'Bearer',
  expires_in: 900,
  expires_at: NOW + 900,
  obtained_at: NOW,
  issuer_id: 'ISSUER0001',
  key_id: 'key',
  correlation_id: 'c',
  schema_version: 1,
});

let authority: CertificateAuthority;
let issued: IssuedCertificate;
beforeAll(async () => {
  authority = await createCertificateAuthority({ commonName: 'Test CA', clock: systemClock });
  issued = await authority.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] });
});

const closing: (() => unknown)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  for (const close of closing.splice(0)) await close();
});

/** Sleeps end when the test says so; what has slept enough is awake. */
class Alarm {
  readonly #sleepers = new Map<() => void, number>();
  readonly clock = {
    now: () => NOW * 1000,
    sleep: (milliseconds: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        const wake = () => {
          this.#sleepers.delete(wake);
          resolve();
        };
        this.#sleepers.set(wake, milliseconds);
        signal?.addEventListener('abort', wake);
      }),
  };
  ring(milliseconds: number): number {
    const due = [...this.#sleepers].filter(([, length]) => length === milliseconds);
    for (const [wake] of due) wake();
    return due.length;
  }
  get lengths(): number[] {
    return [...this.#sleepers.values()];
  }
}

function readerOf(origin: string, options: Partial<TokenReaderOptions> = {}) {
  const agent = new HttpsAgent({ ca: authority.certificatePem, keepAlive: true });
  closing.push(() => agent.destroy());
  return createTokenReader({
    secretId: 'd1/access-token',
    secretsManager: { send: async () => ({ SecretString: record }) },
    allowedOrigins: [origin],
    clock: { ...systemClock, now: () => NOW * 1000 },
    ...(!options.clientCertificateSecretId && { agent }),
    ...options,
  });
}

function fetchFrom(origin: string, options: Partial<TokenReaderOptions> = {}) {
  const { fetch } = readerOf(origin, options);
  return (init: RequestInit = {}, path = '/') => fetch(`${origin}${path}`, init);
}

async function listen(listener: RequestListener) {
  const first = Promise.withResolvers<void>();
  const server = createServer({ cert: issued.certificatePem, key: issued.privateKeyPem }, (request, response) => {
    first.resolve();
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `https://localhost:${(server.address() as AddressInfo).port}`, arrived: first.promise };
}

async function serve(listener: RequestListener, options: Partial<TokenReaderOptions> = {}) {
  return fetchFrom((await listen(listener)).origin, options);
}

async function hostile(behaviour: Behaviour, options: Partial<TokenReaderOptions> = {}) {
  const server = await startHostileServer({ cert: issued.certificatePem, key: issued.privateKeyPem }, behaviour);
  closing.unshift(() => server.close());
  return { server, send: fetchFrom(server.origin, options) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a request', () => {
  const echo: RequestListener = async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] });
    response.end(JSON.stringify({ method: request.method, headers: request.headers, body }));
  };

  it.each<[string, RequestInit['body'], string, string]>([
    ['a text', 'text', 'text/plain;charset=UTF-8', 'text'],
    ['a form', new URLSearchParams({ a: 'b' }), 'application/x-www-form-urlencoded;charset=UTF-8', 'a=b'],
    ['a blob', new Blob(['text'], { type: 'text/csv' }), 'text/csv', 'text'],
  ])('sends %s with its type and length', async (_name, body, type, text) => {
    const send = await serve(echo);
    const seen = (await (await send({ method: 'POST', body: body ?? null })).json()) as Record<string, never>;
    expect(seen).toMatchObject({
      method: 'POST',
      body: text,
      headers: { 'content-type': type, 'content-length': String(text.length), 'accept-encoding': 'identity' },
    });
  });

  it('streams a body, and all headers of the answer come back', async () => {
    const send = await serve(echo);
    const body = new Blob(['x'.repeat(100_000)]).stream();
    const response = await send({ method: 'POST', body, duplex: 'half' });
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    const seen = (await response.json()) as { body: string; headers: Record<string, string> };
    expect(seen.body).toHaveLength(100_000);
    expect(seen.headers['transfer-encoding']).toBe('chunked');
  });

  it('sends a body that an iterator makes', async () => {
    const send = await serve(echo);
    const body = (async function* () {
      yield new TextEncoder().encode('one ');
      yield new TextEncoder().encode('two');
    })();
    const response = await send({ method: 'POST', body, duplex: 'half' });
    expect(await response.json()).toMatchObject({ body: 'one two' });
  });

  it('hands on what the stream of its body fails with', async () => {
    const send = await serve(echo);
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('my own')) });
    expect((await failureOf(send({ method: 'POST', body, duplex: 'half' }))).message).toBe('my own');
  });

  it.each([204, 304])('answered with %i has no body, and leaves its connection to the next', async (status) => {
    const { send, server } = await hostile((socket) => socket.write(`HTTP/1.1 ${status} Whatever\r\n\r\n`));
    for (let request = 0; request < 3; request += 1) {
      const response = await send();
      expect([response.status, response.body]).toEqual([status, null]);
      await turn();
    }
    expect(server.handshakes).toBe(1);
  });

  it('whose answer nobody reads leaves its connection to the next, when the answer is short', async () => {
    const { send, server } = await hostile((socket) => socket.write(httpResponse(200, {}, 'short')));
    for (let request = 0; request < 3; request += 1) {
      expect((await send()).status).toBe(200);
      for (let turns = 0; turns < 20; turns += 1) await turn();
    }
    expect(server.handshakes).toBe(1);
  });

  it('is never one of more than 256 at a time to one origin', async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const certificate = await authority.issue({ commonName: 'client', usage: 'client' });
    const secret = JSON.stringify({
      certificate: certificate.certificatePem,
      private_key: certificate.privateKeyPem,
      ca_bundle: authority.certificatePem,
    });
    const send = await serve(
      (_request, response) => {
        open += 1;
        most = Math.max(most, open);
        waiting.push(() => {
          open -= 1;
          response.end('done');
        });
      },
      {
        // On a busy machine so many handshakes take longer than one may.
        clock: new Alarm().clock,
        clientCertificateSecretId: 'd1/client-certificate',
        secretsManager: {
          send: async (command) => {
            const { SecretId } = (command as { input: { SecretId: string } }).input;
            return { SecretString: SecretId === 'd1/client-certificate' ? secret : record };
          },
        },
      },
    );
    const all = Array.from({ length: 300 }, async () => (await send()).text());
    while (waiting.length < 256) await turn();
    for (let turns = 0; turns < 100; turns += 1) await turn();
    expect(most).toBe(256);
    let answered = 0;
    const finished = Promise.all(all).then((texts) => {
      answered = texts.length;
    });
    while (answered === 0) {
      for (const answer of waiting.splice(0)) answer();
      await turn();
    }
    await finished;
    expect(most).toBe(256);
  });
});

describe('an abort', () => {
  it('while it waits arrives as the reason of the signal', async () => {
    const send = await serve(() => {});
    const leaving = new AbortController();
    const left = failureOf(send({ signal: leaving.signal }));
    await turn();
    leaving.abort(new Error('my own reason'));
    expect((await left).message).toBe('my own reason');
  });

  it.each([0, 40_000])('while the body is read, after %i bytes, arrives as the reason of the signal', async (bytes) => {
    const send = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100000' });
      response.write('x'.repeat(bytes));
      response.flushHeaders();
    });
    const leaving = new AbortController();
    const response = await send({ signal: leaving.signal });
    const left = failureOf(response.text());
    await turn();
    leaving.abort(new Error('my own reason'));
    expect((await left).message).toBe('my own reason');
  });

  it.each<[string, RequestListener, (response: Promise<Response>) => Promise<unknown>]>([
    ['waits for an answer', () => {}, (response) => response],
    [
      'reads the body',
      (_request, response) => void response.writeHead(200).write('half'),
      async (response) => (await response).text(),
    ],
  ])(
    'is heard after a garbage collection by who %s, though nobody but the reader held the Request',
    async (_name, listener, use) => {
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as () => void;
      const { origin, arrived } = await listen(listener);
      const { fetch } = readerOf(origin, { requestTimeoutMilliseconds: false });
      const leaving = new AbortController();
      const left = failureOf(use(fetch(new Request(`${origin}/`, { signal: leaving.signal }))));
      await arrived;
      for (let round = 0; round < 8; round += 1) {
        collect();
        await turn();
      }
      leaving.abort(new Error('my own reason'));
      expect((await left).message).toBe('my own reason');
    },
  );
});

describe('the timeout of a request', () => {
  it.each<[string, RequestListener]>([
    ['without an answer', () => {}],
    ['in the middle of the body', (_request, response) => void response.writeHead(200).write('half')],
  ])('is 30 s, %s', async (_name, listener) => {
    const alarm = new Alarm();
    const send = await serve(listener, { clock: alarm.clock });
    const late = failureOf(send().then((response) => response.text()));
    while (alarm.lengths.every((length) => length !== 30_000)) await turn();
    for (let turns = 0; turns < 50; turns += 1) await turn();
    while (alarm.ring(30_000) === 0) await turn();
    expect(await late).toMatchObject({ name: 'TimeoutError' });
    expect((await late).message).toContain('30000 ms');
  });

  it('can be another one, and does not outlive the request', async () => {
    const alarm = new Alarm();
    const send = await serve((_request, response) => response.end('ok'), {
      clock: alarm.clock,
      requestTimeoutMilliseconds: 500,
    });
    expect(await (await send()).text()).toBe('ok');
    while (alarm.lengths.length > 0) await turn();
    expect(alarm.ring(500)).toBe(0);
  });

  it('can be turned off', async () => {
    const alarm = new Alarm();
    const arrived = Promise.withResolvers<() => void>();
    const send = await serve((_request, response) => arrived.resolve(() => response.end('late')), {
      clock: alarm.clock,
      requestTimeoutMilliseconds: false,
    });
    const answer = send().then((response) => response.text());
    const finish = await arrived.promise;
    expect(alarm.lengths).toEqual([]);
    finish();
    expect(await answer).toBe('late');
  });

  it('holds for a fetch that is not ours, which gets it with its signal', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const signals: AbortSignal[] = [];
    const send = fetchFrom('https://api.example', {
      agent: undefined,
      fetch: (_url: string, init: RequestInit) =>
        new Promise<Response>((_resolve, reject) => {
          const { signal } = init;
          if (!signal) throw new Error('no signal');
          signals.push(signal);
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    });
    const late = failureOf(send());
    while (signals.length === 0) await turn();
    vi.advanceTimersByTime(29_999);
    expect(signals[0]?.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await late).toMatchObject({ name: 'TimeoutError' });
    const leaving = new AbortController();
    const left = failureOf(send({ signal: leaving.signal }));
    while (signals.length === 1) await turn();
    leaving.abort(new Error('my own reason'));
    expect((await left).message).toBe('my own reason');
  });
});

describe('a connection', () => {
  it('that is cut while the body is read is a TypeError, with its code', async () => {
    const send = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half');
      setImmediate(() => response.destroy());
    });
    const response = await send();
    const error = await failureOf(response.text());
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: 'fetch failed: ECONNRESET', code: 'ECONNRESET' });
  });

  it('that could not be made is told by its code', async () => {
    const error = await failureOf(fetchFrom('https://127.0.0.1:1')());
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: 'fetch failed: ECONNREFUSED', code: 'ECONNREFUSED' });
  });

  it('to something that is not HTTP is told by its code', async () => {
    const send = await serve((request) => void request.socket.end('this is not HTTP\r\n\r\n'));
    expect((await failureOf(send())).message).toMatch(/^fetch failed: (HPE_|ECONN)/);
  });

  it('verifies the server whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const agent = new HttpsAgent();
    closing.push(() => agent.destroy());
    const send = await serve((_request, response) => response.end('no'), { agent });
    expect((await failureOf(send())).message).toMatch(/^fetch failed: (SELF_SIGNED|UNABLE_TO)/);
  });
});

describe('a connection that the server has closed while it was idle', () => {
  /** Answers the first request on each connection, and hangs up on the second: what a freeze makes of an idle connection. */
  const hangingUp = (seen: string[]): Behaviour => {
    const served = new WeakSet<TLSSocket>();
    return (socket, request) => {
      seen.push(request.slice(0, request.indexOf(' HTTP')));
      if (served.has(socket)) return socket.destroy();
      served.add(socket);
      return socket.write(httpResponse(200, {}, 'ok'));
    };
  };

  it.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])(
    'fails no %s: it is sent once more, on another',
    async (method) => {
      const seen: string[] = [];
      const { send, server } = await hostile(hangingUp(seen));
      await (await send()).text();
      await turn();
      const response = await send({ method, ...(method === 'PUT' && { body: 'text' }) });
      expect(response.status).toBe(200);
      expect(seen).toEqual(['GET /', `${method} /`, `${method} /`]);
      expect(server.handshakes).toBe(2);
    },
  );

  it.each<[string, () => RequestInit]>([
    ['a POST', () => ({ method: 'POST', body: 'text' })],
    ['a PATCH', () => ({ method: 'PATCH', body: 'text' })],
    ['a body that is spent', () => ({ method: 'PUT', body: new Blob(['text']).stream(), duplex: 'half' })],
  ])('fails %s: it may have been done', async (_name, init) => {
    const seen: string[] = [];
    const { send } = await hostile(hangingUp(seen));
    await (await send()).text();
    await turn();
    expect(await failureOf(send(init()))).toBeInstanceOf(TypeError);
    expect(seen).toHaveLength(2);
  });

  it('is told apart from a server that hangs up on everybody: one attempt on a new connection', async () => {
    const { send, server } = await hostile((socket) => socket.destroy());
    expect(await failureOf(send())).toMatchObject({ code: 'ECONNRESET' });
    expect(server.requests).toHaveLength(1);
  });

  it('costs one attempt more, and no third', async () => {
    let hangUp = false;
    const { send, server } = await hostile((socket) =>
      hangUp ? socket.destroy() : socket.write(httpResponse(200, {}, 'ok')),
    );
    await (await send()).text();
    await turn();
    hangUp = true;
    expect(await failureOf(send())).toMatchObject({ code: 'ECONNRESET' });
    expect(server.requests).toHaveLength(3);
  });
});

describe('a client certificate that D1 refuses, or a CA bundle that D1 has outgrown', () => {
  const OTHER = 'd1/client-certificate';
  let renewed: CertificateAuthority;
  let old: string;
  let fresh: string;
  let outgrown: string;
  beforeAll(async () => {
    renewed = await createCertificateAuthority({ commonName: 'Renewed', clock: systemClock });
    const secretOf = async (from: CertificateAuthority, trusts: CertificateAuthority) => {
      const { certificatePem, privateKeyPem } = await from.issue({ commonName: 'client', usage: 'client' });
      const ca_bundle = trusts.certificatePem;
      return JSON.stringify({ certificate: certificatePem, private_key: privateKeyPem, ca_bundle });
    };
    old = await secretOf(authority, authority);
    fresh = await secretOf(renewed, authority);
    outgrown = await secretOf(renewed, renewed);
  });

  async function refusing(maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
    const { certificatePem: cert, privateKeyPem: key } = issued;
    const tls = { cert, key, maxVersion, requestCert: true, ca: renewed.certificatePem };
    const server = await startHostileServer(tls, (socket) => socket.write(httpResponse(200, {}, 'ok')));
    closing.unshift(() => server.close());
    const world = { secret: old, reads: 0, now: NOW * 1000, warnings: [] as string[] };
    const send = fetchFrom(server.origin, {
      clientCertificateSecretId: OTHER,
      onWarning: ({ code }) => world.warnings.push(code),
      clock: { ...systemClock, now: () => world.now },
      secretsManager: {
        send: async (command) => {
          const { SecretId } = (command as { input: { SecretId: string } }).input;
          if (SecretId !== OTHER) return { SecretString: record };
          world.reads += 1;
          if (world.secret === '') throw Object.assign(new Error('x'), { name: 'AccessDeniedException' });
          return { SecretString: world.secret };
        },
      },
    });
    return { server, world, send };
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is read again, and the request sent again with the new one (%s)',
    async (version) => {
      const { world, send, server } = await refusing(version);
      const failed = await failureOf(send());
      expect(failed).toBeInstanceOf(TypeError);
      // Nothing else was in the secret: looked at once because of it, and no more for a minute.
      expect(world.reads).toBe(2);
      world.secret = fresh;
      await failureOf(send());
      expect(world.reads).toBe(2);
      world.now += 60_000;
      expect(await (await send()).text()).toBe('ok');
      expect(world.reads).toBe(3);
      expect(server.requests).toHaveLength(1);
    },
  );

  it('is read again for a POST too, which is not sent twice where D1 just hung up', async () => {
    const { world, send, server } = await refusing();
    expect((await failureOf(send({ method: 'POST', body: 'text' }))).message).toBe(
      'fetch failed: ECONNRESET (no answer, as when D1 refuses a client certificate)',
    );
    world.secret = fresh;
    world.now += 60_000;
    const post = { method: 'POST', body: 'text' };
    expect(await failureOf(send(post))).toMatchObject({
      code: 'ECONNRESET',
      message:
        'fetch failed: ECONNRESET (not sent again: it may have been carried out; the next request shows the certificate that the secret holds now)',
    });
    expect((await send(post)).status).toBe(200);
    expect(world.reads).toBe(3);
    expect(server.requests).toHaveLength(1);
  });

  it('is read again once for many requests', async () => {
    const { world, send } = await refusing();
    await failureOf(send());
    world.now += 60_000;
    world.secret = fresh;
    const responses = await Promise.all(Array.from({ length: 20 }, () => send()));
    expect(responses.every(({ ok }) => ok)).toBe(true);
    expect(world.reads).toBe(3);
  });

  it('is read again when it is D1 that is not trusted any more', async () => {
    const { world, send } = await refusing();
    world.secret = outgrown;
    expect((await failureOf(send())).message).toMatch(/^fetch failed: (SELF_SIGNED|UNABLE_TO)/);
    world.secret = fresh;
    world.now += 60_000;
    expect((await send()).status).toBe(200);
  });

  it('stays what it is when the secret cannot be read again, and somebody may be told', async () => {
    const { world, send } = await refusing();
    await failureOf(send());
    world.now += 60_000;
    world.secret = '';
    expect(await failureOf(send())).toBeInstanceOf(TypeError);
    expect(world.warnings).toEqual(['CLIENT_CERTIFICATE_UNAVAILABLE']);
  });
});

describe('a server that does not come to an answer', () => {
  it.each<[string, Behaviour]>([
    [
      'switches to another protocol',
      (socket) => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    ],
    ['floods with 1xx', (socket) => socket.write('HTTP/1.1 103 Early\r\n\r\n'.repeat(100))],
  ])('and %s is not waited for', async (_name, behaviour) => {
    const { send } = await hostile(behaviour, { requestTimeoutMilliseconds: false });
    const error = await failureOf(send());
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^fetch failed: (UPGRADED|FLOOD)$/);
  });
});
