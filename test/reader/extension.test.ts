import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SecretsExtensionFake, startSecretsExtension } from '../support/secrets-extension.ts';
import { type Consumer, failureOf, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
let extension: SecretsExtensionFake;
beforeEach(async () => {
  consumer = await openConsumer();
  const read = (SecretId: string) => consumer.bank.sandbox.secretsManager.handle('GetSecretValue', { SecretId });
  extension = await startSecretsExtension(read, consumer.bank.clock);
});
afterEach(async () => {
  await extension.close();
  await consumer.close();
});
const reader = (env = extension.environment) =>
  consumer.reader({ useSecretsExtension: true, env, brokerFunctionName: 'broker', lambda: consumer.lambda });

describe('the secrets extension', () => {
  it('is read from, and Secrets Manager is not', async () => {
    expect((await reader().token()).access_token).toBe((await consumer.stored())['access_token']);
    expect(extension.requests).toBe(1);
    expect(consumer.reads()).toBe(0);
  });

  it('is asked once by 1,000 concurrent cold calls', async () => {
    const { token } = reader();
    await Promise.all(Array.from({ length: 1_000 }, () => token()));
    expect(extension.requests).toBe(1);
  });

  it('is left alone unless wanted, and where it is not present', async () => {
    await consumer.reader({ env: extension.environment }).token();
    await reader({}).token();
    await reader({ PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: 'no port', AWS_SESSION_TOKEN: 'x' }).token();
    await reader({ PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: String(extension.port) }).token();
    expect(extension.requests).toBe(0);
    expect(consumer.reads()).toBe(4);
  });

  it('is not ready during init: Secrets Manager is read, and nobody is warned', async () => {
    extension.ready = false;
    expect((await reader().token()).token_type).toBe('Bearer');
    expect(consumer.reads()).toBe(1);
    expect(consumer.warnings).toEqual([]);
  });

  it('serves a value up to five minutes old: a token that is due is read again at its source', async () => {
    consumer.advance(590);
    await reader().token();
    consumer.advance(20);
    await consumer.tick();
    consumer.advance(250);
    // The old token has 40 s left and the extension would serve it for 30 s more; the new one lives 650 s.
    const token = await reader().token();
    expect(token.access_token).toBe((await consumer.stored())['access_token']);
    expect(token.expires_at - consumer.bank.clock.now() / 1000).toBeGreaterThan(600);
    expect(extension.requests).toBe(2);
    expect(consumer.reads()).toBe(1);
  });

  it('has a token that lives too shortly for a caller: the secret is read at its source', async () => {
    consumer.advance(590);
    await reader().token();
    consumer.advance(20);
    await consumer.tick();
    const token = await reader().token({ minRemainingSeconds: 600 });
    expect(token.access_token).toBe((await consumer.stored())['access_token']);
    expect(consumer.reads()).toBe(1);
    expect(consumer.invocations).toEqual([]);
  });

  it('serves a token that D1 has refused: the secret is read, then the broker asked', async () => {
    const { fetch } = consumer.reader({
      ...consumer.withD1,
      useSecretsExtension: true,
      env: extension.environment,
      brokerFunctionName: 'broker',
      lambda: consumer.lambda,
    });
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    consumer.advance(100);
    consumer.bank.sandbox.d1.revokeAccessTokens('ISSUER0001');
    expect((await fetch(consumer.issuerUrl)).status).toBe(200);
    expect(consumer.invocations).toHaveLength(1);
    expect(consumer.reads()).toBe(1);
  });

  it.each<[string, NonNullable<SecretsExtensionFake['answerWith']>]>([
    ['refuses', (response) => response.writeHead(401).end()],
    ['fails', (response) => response.writeHead(500).end('eyJ.precious')],
    ['cuts the connection', (response) => response.destroy()],
    ['answers nonsense', (response) => response.end('eyJ.precious {')],
    ['answers null', (response) => response.end('null')],
    ['has another secret', (response) => response.end(JSON.stringify({ SecretString: '{"precious":1}' }))],
    ['floods', (response) => response.end('x'.repeat(300_000))],
  ])('%s: Secrets Manager is read, and somebody may be told', async (_name, answerWith) => {
    extension.answerWith = answerWith;
    expect((await reader().token()).token_type).toBe('Bearer');
    expect(consumer.reads()).toBe(1);
    expect(consumer.warnings).toHaveLength(1);
    expect(String(consumer.warnings[0]?.stack)).not.toContain('precious');
  });

  it('that never answers does not hold a caller longer than a read may take', async () => {
    extension.answerWith = () => {};
    const late = failureOf(consumer.reader({ useSecretsExtension: true, env: extension.environment }).token());
    while (extension.requests === 0) await new Promise((resolve) => setImmediate(resolve));
    consumer.clock.timeOut();
    expect((await late).code).toBe('TOKEN_SECRET_UNREADABLE');
  });
});
