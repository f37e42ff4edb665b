import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { Agent as UndiciAgent, fetch as undiciFetch } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, type Consumer, failureOf, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
beforeEach(async () => {
  consumer = await openConsumer();
});
afterEach(() => consumer.close());

const origins = () => ({ allowedOrigins: [consumer.bank.sandbox.d1.origin] });
const tls = async () => {
  const { certificate, private_key, ca_bundle } = JSON.parse(await consumer.bank.sandbox.clientCertificateSecret());
  return { cert: certificate, key: private_key, ca: ca_bundle };
};
const putCertificate = (text: string, token: string) =>
  consumer.bank.sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: CLIENT_CERTIFICATE_SECRET,
    ClientRequestToken: token.padEnd(32, '0'),
    SecretString: text,
  });

describe('the client certificate', () => {
  const fromSecret = () => consumer.reader({ ...origins(), clientCertificateSecretId: CLIENT_CERTIFICATE_SECRET });

  it('comes from its secret, once for many requests', async () => {
    const { fetch } = fromSecret();
    const responses = await Promise.all(Array.from({ length: 20 }, () => fetch(consumer.issuerUrl)));
    expect(responses.every(({ status }) => status === 200)).toBe(true);
    await Promise.all(responses.map((response) => response.json()));
    const { calls } = consumer.bank.sandbox;
    const isCertificate = (call: { input: Record<string, unknown> }) =>
      call.input['SecretId'] === CLIENT_CERTIFICATE_SECRET;
    expect(calls.count('secretsmanager', 'GetSecretValue', isCertificate as never)).toBe(1);
  });

  it('is read again every hour, and keeps its connection while it is the same', async () => {
    const { fetch } = fromSecret();
    await (await fetch(consumer.issuerUrl)).text();
    const connections = consumer.bank.sandbox.d1.connections;
    consumer.clock.skewSeconds = 3_600;
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    // Idle for an hour by its clock: the connection is not trusted.
    expect(consumer.bank.sandbox.d1.connections).toBe(connections + 1);
  });

  it('is exchanged when it has been renewed', async () => {
    const { fetch } = fromSecret();
    await (await fetch(consumer.issuerUrl)).text();
    await putCertificate(await consumer.bank.sandbox.clientCertificateSecret(), 'renewed');
    const connections = consumer.bank.sandbox.d1.connections;
    consumer.clock.skewSeconds = 3_600;
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    expect(consumer.bank.sandbox.d1.connections).toBe(connections + 1);
  });

  it('in hand is used on when the renewal went wrong', async () => {
    const { fetch } = fromSecret();
    await (await fetch(consumer.issuerUrl)).text();
    await putCertificate('{"certificate":"precious"}', 'broken');
    consumer.clock.skewSeconds = 3_600;
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    expect(consumer.warnings.map(({ code }) => code)).toEqual(['CLIENT_CERTIFICATE_UNAVAILABLE']);
  });

  it.each([
    ['is not JSON', 'precious', /it is not JSON/],
    ['lacks the key', '{"certificate":"-----BEGIN CERTIFICATE precious"}', /field private_key is missing/],
    ['is not PEM', '{"certificate":"precious","private_key":"precious"}', /certificate is missing or not PEM/],
  ])('that %s is told without its text', async (_name, text, words) => {
    await putCertificate(text, 'broken');
    const error = await failureOf(fromSecret().fetch(consumer.issuerUrl));
    expect(error).toMatchObject({ code: 'CLIENT_CERTIFICATE_UNAVAILABLE', retryable: false });
    expect(error.message).toMatch(words);
    expect(inspect(error)).not.toContain('precious');
  });

  it('that cannot be read is told with AWS’s name for it', async () => {
    const { fetch } = consumer.reader({ ...origins(), clientCertificateSecretId: 'd1/no-such-secret' });
    expect((await failureOf(fetch(consumer.issuerUrl))).message).toContain('ResourceNotFoundException');
  });

  it('is carried by an agent of node:https', async () => {
    const agent = new HttpsAgent(await tls());
    const { fetch } = consumer.reader({ ...origins(), agent });
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    agent.destroy();
  });

  it("is carried by undici's Agent beneath undici's own fetch", async () => {
    const dispatcher = new UndiciAgent({ connect: await tls() });
    const { fetch } = consumer.reader({ ...origins(), dispatcher, fetch: undiciFetch });
    const response = await fetch(new Request(consumer.issuerUrl));
    expect(response.status).toBe(200);
    await dispatcher.destroy();
  });

  it("is not carried by undici 8's Agent beneath the built-in fetch of Node 24, which has undici 7", async () => {
    const dispatcher = new UndiciAgent({ connect: await tls() });
    const { fetch } = consumer.reader({ ...origins(), dispatcher });
    await expect(fetch(consumer.issuerUrl)).rejects.toThrow('fetch failed');
    expect(process.versions['undici']).toMatch(/^7\./);
    await dispatcher.destroy();
  });

  it('that is missing is an error of TLS, with its code', async () => {
    const { ca } = await tls();
    const { fetch } = consumer.reader({ ...origins(), agent: new HttpsAgent({ ca }) });
    const error = await failureOf(fetch(consumer.issuerUrl));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^fetch failed: (ERR_SSL_|ECONNRESET)/);
    expect(error.cause).toBeUndefined();
  });
});

it('follows a redirect away from D1 without: neither token nor certificate goes where it leads', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const elsewhere = createHttpServer((request, response) => {
    seen.push(request.headers);
    response.end('elsewhere');
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
  const other = await openConsumer({
    d1Intercept: async (request, next) =>
      request.path.startsWith('/banking')
        ? { status: 302, headers: { location }, body: '', outcome: 'redirected' }
        : next(),
  });
  try {
    const { fetch } = other.reader(other.withD1);
    const response = await fetch(other.issuerUrl);
    expect(await response.text()).toBe('elsewhere');
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toHaveProperty('authorization');
  } finally {
    await other.close();
    elsewhere.closeAllConnections();
    elsewhere.close();
  }
});
