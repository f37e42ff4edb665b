import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';
import { D1_ORIGINS, type TokenReaderOptions } from '../../src/reader/reader.ts';
import { type Consumer, failureOf, openConsumer } from './open-consumer.ts';

const D1 = 'https://api.d1.thalescloud.io';

/** What a fetch beneath the reader was asked, and what it is to answer. */
interface Sent {
  readonly url: string;
  readonly method: string;
  readonly authorization: string | null;
  readonly headers: Headers;
  readonly body: string;
}

let consumer: Consumer;
let sent: Sent[];
beforeEach(async () => {
  consumer = await openConsumer();
  sent = [];
});
afterEach(() => consumer.close());

/** A reader above a fetch that notes what it is asked and answers from a list; the last answer stays. */
function readerAbove(answers: readonly (() => Response)[], options: Partial<TokenReaderOptions> = {}) {
  return consumer.reader({
    brokerFunctionName: 'broker',
    lambda: consumer.lambda,
    fetch: async (url: string, init: RequestInit) => {
      const request = new Request(url, init);
      expect(init.redirect).toBe('manual');
      const { headers, method } = request;
      sent.push({ url, method, headers, authorization: headers.get('authorization'), body: await request.text() });
      return (answers[sent.length - 1] ?? answers.at(-1) ?? (() => new Response('ok')))();
    },
    ...options,
  });
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
async function untilSettled(work: Promise<unknown>, act: () => void): Promise<void> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  work.then(settle, settle);
  while (!settled) {
    await turn();
    act();
  }
}
const ok = () => new Response('ok');
const refused = () => new Response('no', { status: 401 });
const to =
  (location: string, status = 302) =>
  () =>
    new Response('', { status, headers: { location } });

describe('fetch', () => {
  it('carries the token over mutual TLS to D1', async () => {
    const { fetch } = consumer.reader(consumer.withD1);
    const response = await fetch(consumer.issuerUrl);
    expect(response.status).toBe(200);
    expect(response.url).toBe(consumer.issuerUrl);
    expect(await response.json()).toMatchObject({ issuerId: ISSUER_ID, status: 'ACTIVE' });
    expect(consumer.reads()).toBe(1);
  });

  it('takes what the standard fetch takes', async () => {
    const { fetch } = readerAbove([ok]);
    await fetch(new URL(`${D1}/a`), { method: 'post', body: 'text', headers: { 'x-correlation-id': 'mine' } });
    await fetch(new Request(`${D1}/b`, { method: 'PUT', body: 'stream', headers: { 'x-mine': '1' } }));
    await fetch(`${D1}/c`, { headers: { authorization: 'Basic something' } });
    const bearer = `Bearer ${(await consumer.stored())['access_token']}`;
    expect(sent.map(({ url, method, body }) => [url, method, body])).toEqual([
      [`${D1}/a`, 'POST', 'text'],
      [`${D1}/b`, 'PUT', 'stream'],
      [`${D1}/c`, 'GET', ''],
    ]);
    expect(sent.map(({ authorization }) => authorization)).toEqual([bearer, bearer, bearer]);
    expect(sent[0]?.headers.get('x-correlation-id')).toBe('mine');
    expect(sent[1]?.headers.get('x-mine')).toBe('1');
  });

  it.each([
    'https://api.d1.thalescloud.io.evil.example/',
    'https://evil.example/',
    'http://api.d1.thalescloud.io/',
    'https://api.d1.thalescloud.io:8443/',
  ])('sends nothing to %s', async (url) => {
    const error = await failureOf(readerAbove([ok]).fetch(url));
    expect(error).toMatchObject({ code: 'ORIGIN_NOT_ALLOWED', retryable: false });
    expect(sent).toEqual([]);
    expect(consumer.reads()).toBe(0);
  });

  it.each([
    [undefined, D1],
    ['production', D1],
    ['staging', 'https://api.d1-stg.thalescloud.io'],
    ['develop', 'https://develop-api.d1-dev.thalescloud.io'],
  ] as const)('of environment %s sends the token to %s alone', async (environment, origin) => {
    const { fetch } = readerAbove([ok], { environment });
    for (const one of Object.values(D1_ORIGINS)) {
      if (one === origin) expect((await fetch(one)).status).toBe(200);
      else expect((await failureOf(fetch(one))).code).toBe('ORIGIN_NOT_ALLOWED');
    }
    expect(sent.map(({ url }) => new URL(url).origin)).toEqual([origin]);
  });

  it.each(['/relative', 'https://name:eyJ.precious@api.d1.thalescloud.io/', 'https://'])('refuses %s', async (url) => {
    const error = await failureOf(readerAbove([ok]).fetch(url));
    expect(error.code).toBe('REQUEST_INVALID');
    expect(inspect(error)).not.toContain('precious');
  });

  it('hands on what the fetch beneath throws', async () => {
    const { fetch } = readerAbove([
      () => {
        throw new TypeError('fetch failed');
      },
    ]);
    await expect(fetch(D1)).rejects.toThrow('fetch failed');
  });
});

describe('a 401 from D1', () => {
  const revoke = () => consumer.bank.sandbox.d1.revokeAccessTokens(ISSUER_ID);
  const withBroker = () => ({ ...consumer.withD1, brokerFunctionName: 'broker', lambda: consumer.lambda });

  it('is one read and one invocation for 1,000 concurrent requests', async () => {
    const { fetch, token } = consumer.reader(withBroker());
    const first = await token();
    consumer.advance(100);
    revoke();
    const responses = await Promise.all(Array.from({ length: 1_000 }, () => fetch(consumer.issuerUrl)));
    expect(responses.filter(({ ok }) => ok)).toHaveLength(1_000);
    await Promise.all(responses.map((response) => response.arrayBuffer()));
    const refused = expect.stringMatching(/^[0-9a-f]{16}$/);
    expect(consumer.invocations).toMatchObject([{ action: 'token', newer_than: first.obtained_at, refused }]);
    expect(consumer.exchanges()).toBe(1);
    expect(consumer.reads()).toBe(2);
    expect((await token()).access_token).not.toBe(first.access_token);
  });

  it('needs no invocation when the secret has another token', async () => {
    const { fetch, token } = consumer.reader(withBroker());
    await token();
    consumer.advance(620);
    await consumer.tick();
    revoke.call(undefined);
    consumer.advance(100);
    await consumer.bank.container().token({ force: true });
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    expect(consumer.invocations).toEqual([]);
  });

  it('stands when there is no other token, and is not asked about again and again', async () => {
    const { fetch } = readerAbove([refused]);
    consumer.brokerFault = async () => {
      throw Object.assign(new Error('retry_after_seconds=55'), { name: 'REPLACEMENT_NOT_READY' });
    };
    await expect(fetch(D1)).resolves.toMatchObject({ status: 401 });
    expect(consumer.invocations).toHaveLength(1);
    for (let request = 0; request < 50; request += 1) {
      expect((await fetch(D1)).status).toBe(401);
      consumer.advance(1);
    }
    expect(consumer.invocations).toHaveLength(1);
    consumer.advance(30);
    await fetch(D1);
    expect(consumer.invocations).toHaveLength(2);
  });

  it('stands when the broker is down, and the token goes on living', async () => {
    const { fetch, token } = readerAbove([refused]);
    consumer.brokerFault = async () => {
      throw Object.assign(new Error('down'), { name: 'TOKEN_ENDPOINT_UNREACHABLE' });
    };
    expect((await fetch(D1)).status).toBe(401);
    expect((await token()).token_type).toBe('Bearer');
    expect(consumer.warnings.map(({ code }) => code)).toEqual(['BROKER_FAILED']);
  });

  it('stands without a broker, until the secret has another token', async () => {
    const reader = readerAbove([refused, refused, ok], { brokerFunctionName: undefined });
    expect((await reader.fetch(D1)).status).toBe(401);
    consumer.advance(620);
    await consumer.tick();
    expect((await reader.fetch(D1)).status).toBe(200);
    expect(sent).toHaveLength(3);
    expect(sent[2]?.authorization).not.toBe(sent[1]?.authorization);
  });

  it.each<[string, () => NonNullable<RequestInit['body']>]>([
    ['a text', () => 'text'],
    ['bytes', () => new TextEncoder().encode('text')],
    ['a buffer', () => new TextEncoder().encode('text').buffer],
    ['a blob', () => new Blob(['text'])],
    ['a form', () => new URLSearchParams({ text: '' })],
  ])('is followed by the same request again, with %s', async (_name, body) => {
    const { fetch } = readerAbove([refused, ok]);
    consumer.advance(100);
    expect((await fetch(D1, { method: 'POST', body: body() })).status).toBe(200);
    expect(sent.map((one) => one.body.replace('=', ''))).toEqual(['text', 'text']);
    expect(sent[1]?.authorization).not.toBe(sent[0]?.authorization);
    expect(sent[1]?.headers.get('content-type')).toBe(sent[0]?.headers.get('content-type'));
  });

  it.each<[string, () => Parameters<ReturnType<typeof readerAbove>['fetch']>]>([
    ['a stream', () => [D1, { method: 'POST', body: new Blob(['text']).stream(), duplex: 'half' }]],
    ['a request object', () => [new Request(D1, { method: 'POST', body: 'text' })]],
  ])('is handed back when the body was %s, and the next request has the other token', async (_name, request) => {
    const { fetch, token } = readerAbove([refused, ok]);
    consumer.advance(100);
    const response = await fetch(...request());
    expect(response.status).toBe(401);
    expect(await response.text()).toBe('no');
    const first = await token();
    while ((await token()) === first) await turn();
    expect((await fetch(D1)).status).toBe(200);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.authorization).not.toBe(sent[0]?.authorization);
  });

  it('is asked about once: a second one stands', async () => {
    const { fetch } = readerAbove([refused, refused]);
    consumer.advance(100);
    expect((await fetch(D1)).status).toBe(401);
    expect(sent).toHaveLength(2);
  });

  it.each<[string, () => ReadableStream]>([
    ['breaks', () => new ReadableStream({ pull: (controller) => controller.error(new Error('cut off')) })],
    ['ends after a while', () => new Blob(['no']).stream()],
  ])('is followed by the same request again when its body %s', async (_name, body) => {
    const { fetch } = readerAbove([
      () => new Response(body(), { status: 401, headers: { 'content-length': '2' } }),
      ok,
    ]);
    consumer.advance(100);
    expect((await fetch(D1)).status).toBe(200);
  });

  it('is followed by the same request again when its body stalls, whose connection is given up', async () => {
    let cancelled = false;
    const stalling = new ReadableStream({
      cancel: () => {
        cancelled = true;
      },
    });
    const { fetch, token } = readerAbove([
      () => new Response(stalling, { status: 401, headers: { 'content-length': '2' } }),
      ok,
    ]);
    consumer.advance(100);
    const first = await token();
    const response = fetch(D1);
    while ((await token()) === first) await turn();
    await untilSettled(response, () => consumer.clock.timeOut());
    expect((await response).status).toBe(200);
    expect(cancelled).toBe(true);
  });

  it('from one endpoint stalls no other: a token that is refused there goes on being sent elsewhere', async () => {
    const asked = Promise.withResolvers<void>();
    consumer.brokerFault = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const { fetch } = consumer.reader({
      brokerFunctionName: 'broker',
      lambda: consumer.lambda,
      fetch: async (url: string) => new Response('', { status: url.endsWith('/forbidden') ? 401 : 200 }),
    });
    const refusing = fetch(`${D1}/forbidden`);
    await asked.promise;
    for (let request = 0; request < 10; request += 1) expect((await fetch(`${D1}/allowed`)).status).toBe(200);
    consumer.clock.timeOut();
    expect((await refusing).status).toBe(401);
  });

  it('does not hold a caller that leaves', async () => {
    const { fetch } = readerAbove([refused]);
    consumer.brokerFault = () => new Promise(() => {});
    const leaving = new AbortController();
    const left = failureOf(fetch(D1, { signal: leaving.signal }));
    while (consumer.invocations.length === 0) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort();
    expect((await left).name).toBe('AbortError');
  });
});

describe('a redirect', () => {
  it('within the allowed origins carries the token', async () => {
    const { fetch } = readerAbove([to('/there'), ok]);
    expect((await fetch(`${D1}/here`)).status).toBe(200);
    expect(sent.map(({ url }) => url)).toEqual([`${D1}/here`, `${D1}/there`]);
    expect(sent[1]?.authorization).toBe(sent[0]?.authorization);
  });

  it.each(['https://elsewhere.example/', 'http://api.d1.thalescloud.io/', 'https://api.d1.thalescloud.io:444/'])(
    'to %s carries neither the token nor what else speaks for the caller',
    async (location) => {
      const { fetch } = readerAbove([to(location), ok]);
      await fetch(D1, { headers: { cookie: 'session=1', 'x-mine': '1' } });
      expect(sent[1]?.url).toBe(location);
      expect(sent[1]?.authorization).toBeNull();
      expect(sent[1]?.headers.get('cookie')).toBeNull();
      expect(sent[1]?.headers.get('x-mine')).toBe('1');
    },
  );

  it('to elsewhere and back carries neither token nor cookie to the request that a stranger chose', async () => {
    const { fetch } = readerAbove([to('https://elsewhere.example/'), to(`${D1}/chosen`), to('/further'), refused]);
    const response = await fetch(D1, { headers: { cookie: 'session=1' } });
    expect(sent.map(({ url }) => url)).toEqual([
      `${D1}/`,
      'https://elsewhere.example/',
      `${D1}/chosen`,
      `${D1}/further`,
    ]);
    expect(sent.map(({ authorization }) => authorization !== null)).toEqual([true, false, false, false]);
    expect(sent.map(({ headers }) => headers.get('cookie'))).toEqual(['session=1', null, null, null]);
    // Without a token there is nothing that D1 could have refused.
    expect(response.status).toBe(401);
    expect(consumer.invocations).toEqual([]);
  });

  it('to elsewhere is handed back when it would take a body along', async () => {
    const { fetch } = readerAbove([to('https://elsewhere.example/', 307), ok]);
    expect((await fetch(D1, { method: 'POST', body: 'card number' })).status).toBe(307);
    expect(sent).toHaveLength(1);
  });

  it('whose target says 401 is not taken for D1', async () => {
    const { fetch } = readerAbove([to('https://elsewhere.example/'), refused]);
    expect((await fetch(D1)).status).toBe(401);
    expect(consumer.invocations).toEqual([]);
  });

  it.each([
    [303, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [301, 'POST', 'GET', ''],
    [303, 'HEAD', 'HEAD', ''],
    [302, 'PUT', 'PUT', 'text'],
    [307, 'POST', 'POST', 'text'],
    [308, 'POST', 'POST', 'text'],
  ])('%i turns %s into %s', async (status, method, becomes, body) => {
    const { fetch } = readerAbove([to('/there', status), ok]);
    await fetch(D1, { method, ...(method !== 'HEAD' && { body: 'text' }) });
    expect(sent[1]).toMatchObject({ method: becomes, body });
    expect(sent[1]?.headers.has('content-type')).toBe(body !== '');
  });

  it('is not followed when the caller says so', async () => {
    const { fetch } = readerAbove([to('/there')]);
    expect((await fetch(D1, { redirect: 'manual' })).status).toBe(302);
    await expect(fetch(D1, { redirect: 'error' })).rejects.toThrow(TypeError);
    expect(sent).toHaveLength(2);
  });

  it('without a location is an answer like any other', async () => {
    const { fetch } = readerAbove([() => new Response('', { status: 302 })]);
    expect((await fetch(D1)).status).toBe(302);
  });

  it.each([
    ['to nowhere', 'https://[', undefined],
    ['to something that is not HTTP', 'ftp://elsewhere.example', undefined],
    ['with a body that is spent', '/there', new Blob(['text']).stream()],
  ])('%s fails', async (_name, location, body) => {
    const { fetch } = readerAbove([to(location, 307)]);
    await expect(fetch(D1, body && { method: 'POST', body, duplex: 'half' })).rejects.toThrow(TypeError);
  });

  it('without end fails', async () => {
    const { fetch } = readerAbove([to('/again')]);
    await expect(fetch(D1)).rejects.toThrow(TypeError);
    expect(sent).toHaveLength(21);
  });
});
