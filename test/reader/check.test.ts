import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, type Consumer, denied, failureOf, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
beforeEach(async () => {
  consumer = await openConsumer();
});
afterEach(() => consumer.close());

const reader = (more = {}) =>
  consumer.reader({
    brokerFunctionName: 'broker',
    lambda: consumer.lambda,
    clientCertificateSecretId: CLIENT_CERTIFICATE_SECRET,
    ...more,
  });
const brokerDenied = async (): Promise<never> => {
  throw Object.assign(new Error('precious'), { name: 'AccessDeniedException', $metadata: { httpStatusCode: 403 } });
};

describe('check', () => {
  it('proves each part by one try of its own, and calls D1 for nothing', async () => {
    const { check, token } = reader();
    await token();
    await check();
    expect(consumer.reads()).toBe(2);
    expect(consumer.invocations).toMatchObject([{ action: 'token', min_remaining_seconds: 0 }]);
    expect(consumer.exchanges()).toBe(0);
  });

  it('finds what a living token hides', async () => {
    const { check, token } = reader();
    await token();
    consumer.secretFault = denied;
    consumer.brokerFault = brokerDenied;
    expect((await token()).token_type).toBe('Bearer');
    const error = await failureOf(check());
    expect(error).toMatchObject({ code: 'TOKEN_SECRET_DENIED', retryable: false });
    expect(error.message).toMatch(/secretsmanager:GetSecretValue.*lambda:InvokeFunction/);
    expect(inspect(error)).not.toContain('precious');
  });

  it('names a broker that may not be invoked', async () => {
    consumer.brokerFault = brokerDenied;
    expect((await failureOf(reader().check())).code).toBe('BROKER_DENIED');
  });

  it('names a certificate that cannot be read', async () => {
    const error = await failureOf(reader({ clientCertificateSecretId: 'd1/no-such-secret' }).check());
    expect(error.code).toBe('CLIENT_CERTIFICATE_UNAVAILABLE');
    expect(error.message).toContain('d1/no-such-secret');
  });

  it('is content with a dead token: that it can be read is what is proven', async () => {
    consumer.advance(1_000);
    await reader().check();
  });

  it('asks only for what is set', async () => {
    await consumer.reader().check();
    expect(consumer.reads()).toBe(1);
    expect(consumer.invocations).toEqual([]);
  });

  it('does not mistake the memory of the extension for the secret', async () => {
    const env = { PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: '1', AWS_SESSION_TOKEN: 'x' };
    await reader({ useSecretsExtension: true, env }).check();
    expect(consumer.warnings).toEqual([]);
    expect(consumer.reads()).toBe(1);
  });
});
