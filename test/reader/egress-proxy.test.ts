import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET } from '../../sandbox/sandbox.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { freePort } from '../support/ports.ts';
import { type Consumer, failureOf, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
let proxy: ConnectProxy;

beforeEach(async () => {
  consumer = await openConsumer();
  proxy = await startConnectProxy();
});

afterEach(async () => {
  await proxy.close();
  await consumer.close();
});

const readerWith = (env: Record<string, string>) =>
  consumer.reader({
    allowedOrigins: [consumer.bank.sandbox.d1.origin],
    clientCertificateSecretId: CLIENT_CERTIFICATE_SECRET,
    env,
  });

describe('a reader behind an egress proxy', () => {
  it('reaches D1 through it, with the client certificate', async () => {
    const { fetch } = readerWith({ HTTPS_PROXY: proxy.url.href });
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    expect(proxy.asked.map(({ target }) => target)).toEqual([new URL(consumer.issuerUrl).host]);
  });

  it('goes past it where NO_PROXY says so', async () => {
    const { fetch } = readerWith({ https_proxy: proxy.url.href, no_proxy: 'localhost' });
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    expect(proxy.asked).toEqual([]);
  });

  it('reads the credentials again when the proxy refuses them, and sends what was not sent', async () => {
    const { secretsManager } = consumer.bank.sandbox;
    const store = async (credentials: string) => {
      const SecretId = CLIENT_CERTIFICATE_SECRET;
      const { SecretString } = await secretsManager.handle('GetSecretValue', { SecretId });
      await secretsManager.handle('PutSecretValue', {
        SecretId,
        ClientRequestToken: randomUUID(),
        SecretString: JSON.stringify({ ...JSON.parse(String(SecretString)), proxy_credentials: credentials }),
      });
    };
    await store('teller:an-old-password');
    const careful = await startConnectProxy({ credentials: 'teller:a-new-password' });
    const { fetch } = readerWith({ HTTPS_PROXY: careful.url.href });
    try {
      await expect(fetch(consumer.issuerUrl)).rejects.toThrow('fetch failed: HTTP_407 (of the egress proxy)');
      await store('teller:a-new-password');
      consumer.clock.skewSeconds = 61;
      expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    } finally {
      await careful.close();
    }
  });

  it('says that it was the proxy', async () => {
    const { fetch } = readerWith({ HTTPS_PROXY: `http://localhost:${await freePort()}` });
    await expect(fetch(consumer.issuerUrl)).rejects.toThrow(
      Object.assign(new TypeError('fetch failed: ECONNREFUSED (of the egress proxy)'), { code: 'ECONNREFUSED' }),
    );
  });

  it('is not made with a proxy that is none, whose text may be a password', async () => {
    const error = await failureOf((async () => readerWith({ HTTPS_PROXY: 'teller:a-password@proxy' }))());
    expect(error.code).toBe('READER_OPTIONS_INVALID');
    expect(error.message).toContain('HTTPS_PROXY must be http:// or https://');
    expect(error.message).not.toContain('a-password');
  });
});
