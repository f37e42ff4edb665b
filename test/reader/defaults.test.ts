import { afterEach, expect, it, vi } from 'vitest';
import { createTokenReader } from '../../src/reader/reader.ts';
import { type Consumer, failureOf, openConsumer, TOKEN_SECRET } from './open-consumer.ts';

let consumer: Consumer | undefined;
afterEach(async () => {
  vi.unstubAllEnvs();
  await consumer?.close();
});

it('needs nothing but the name of the secret: clients come from the environment, when they are needed', async () => {
  consumer = await openConsumer();
  for (const [name, value] of Object.entries(consumer.bank.sandbox.environment)) vi.stubEnv(name, value);
  vi.stubEnv('D1_TOKEN_SECRET_ID', TOKEN_SECRET);
  const d1 = createTokenReader({ secretId: process.env['D1_TOKEN_SECRET_ID'], brokerFunctionName: 'broker' });
  expect((await d1.token()).access_token).toBe((await consumer.stored())['access_token']);
  expect(consumer.reads()).toBe(1);
});

it('says to set AWS_REGION where there is none', async () => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
  const { token, check } = createTokenReader({
    secretId: TOKEN_SECRET,
    brokerFunctionName: 'broker',
    clientCertificateSecretId: 'd1/client-certificate',
  });
  const error = await failureOf(token());
  expect(error).toMatchObject({ code: 'BROKER_DENIED', retryable: false });
  expect(error.message).toMatch(/Set AWS_REGION/);
  expect(error.message).not.toMatch(/can be reached/);
  const all = (await failureOf(check())).message;
  expect(all.match(/RegionMissing/g)).toHaveLength(3);
  expect(all.match(/Set AWS_REGION/g)).toHaveLength(2);
});

it('makes its own Lambda client for the broker', async () => {
  consumer = await openConsumer();
  for (const [name, value] of Object.entries(consumer.bank.sandbox.environment)) vi.stubEnv(name, value);
  await consumer.store(' ');
  const d1 = createTokenReader({ secretId: TOKEN_SECRET, brokerFunctionName: 'broker' });
  // The sandbox has no Lambda service, and says so.
  expect((await failureOf(d1.token())).code).toMatch(/^BROKER_(UNREACHABLE|DENIED)$/);
});
