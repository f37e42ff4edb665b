import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { CLIENT_CERTIFICATE_SECRET, type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { createSecretsManagerClient } from '../../src/aws/clients.ts';
import { BrokerError } from '../../src/errors.ts';
import { Journal } from '../../src/invocation.ts';
import {
  type ClientCertificateSource,
  createClientCertificateSource,
} from '../../src/token-endpoint/client-certificate-source.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';

const TTL_SECONDS = 3_600;
const { signal } = new AbortController();

let sandbox: Sandbox;
let client: ReturnType<typeof createSecretsManagerClient>;
let clock: FakeClock;
let intercept: Intercept;
let warnings: BrokerError[];
let journal: Journal;
let source: ClientCertificateSource;

beforeEach(async () => {
  intercept = (_call, next) => next();
  clock = new FakeClock({ startsAt: Date.now() });
  sandbox = await startSandbox({ clock, awsIntercept: (...call) => intercept(...call) });
  client = createSecretsManagerClient(2_000, {
    region: 'eu-west-1',
    endpoint: String(sandbox.environment['AWS_ENDPOINT_URL']),
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  });
  warnings = [];
  journal = new Journal(clock, (warning) => warnings.push(warning));
  source = createClientCertificateSource({
    client,
    secretId: CLIENT_CERTIFICATE_SECRET,
    ttlSeconds: TTL_SECONDS,
    clock,
  });
});

afterEach(async () => {
  client.destroy();
  await sandbox.close();
});

const reads = () => sandbox.calls.count('secretsmanager', 'GetSecretValue');
const store = (value: { SecretString: string } | { SecretBinary: string }) =>
  sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: CLIENT_CERTIFICATE_SECRET,
    ClientRequestToken: crypto.randomUUID(),
    ...value,
  });

async function failureOf(work: Promise<unknown>): Promise<BrokerError> {
  const error = await work.then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BrokerError)) throw new Error(`not a BrokerError: ${error}`);
  return error;
}

describe('the client certificate of a container', () => {
  it('is read once, and again when its time is over', async () => {
    const first = await source.current(signal, journal);
    clock.advance(TTL_SECONDS * 1000 - 1);
    expect(await source.current(signal, journal)).toBe(first);
    expect(reads()).toBe(1);
    clock.advance(1);
    expect((await source.current(signal, journal)).certificate).toBe(first.certificate);
    expect(reads()).toBe(2);
    await source.current(signal, journal);
    expect(reads()).toBe(2);
    expect(warnings).toEqual([]);
  });

  it('is the renewed one as soon as its time is over', async () => {
    const first = await source.current(signal, journal);
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    expect(await source.current(signal, journal)).toBe(first);
    clock.advance(TTL_SECONDS * 1000);
    expect((await source.current(signal, journal)).certificate).not.toBe(first.certificate);
  });

  it('stays in use when a renewal went wrong, with a warning each time, until the renewal is put right', async () => {
    const first = await source.current(signal, journal);
    const broken = JSON.stringify({ certificate: first.certificate, private_key: 'PRIVATE KEY-----' });
    await store({ SecretString: broken });
    clock.advance(TTL_SECONDS * 1000);
    expect(await source.current(signal, journal)).toBe(first);
    expect(await source.current(signal, journal)).toBe(first);
    expect(warnings).toMatchObject([
      { code: 'CLIENT_CERTIFICATE_INVALID', what: expect.stringContaining('private_key cannot be read') },
      { code: 'CLIENT_CERTIFICATE_INVALID' },
    ]);
    for (const warning of warnings) {
      expect(leakIn(everythingPrintedOf(warning), [first.certificate, first.privateKey])).toBeUndefined();
    }
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    expect((await source.current(signal, journal)).certificate).not.toBe(first.certificate);
    expect(warnings).toHaveLength(2);
  });

  it('stays in use when Secrets Manager cannot be asked', async () => {
    const first = await source.current(signal, journal);
    clock.advance(TTL_SECONDS * 1000);
    intercept = async () => {
      throw new AwsError('AccessDeniedException', 'not authorized: arn:aws:sts::000000000000:assumed-role/x');
    };
    expect(await source.current(signal, journal)).toBe(first);
    expect(warnings).toMatchObject([{ code: 'CLIENT_CERTIFICATE_UNAVAILABLE', retryable: false }]);
  });

  it('is not kept when it has expired itself: then the failure is told', async () => {
    const notAfter = new Date(clock.now() + 600_000);
    await store({ SecretString: await sandbox.clientCertificateSecret({ notAfter }) });
    const { notAfter: end } = await source.current(signal, journal);
    clock.advance(end - clock.now());
    expect((await source.current(signal, journal)).notAfter).toBe(end);
    clock.advance(1);
    const error = await failureOf(source.current(signal, journal));
    expect(error).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID', retryable: false });
    expect(error.what).toContain('the certificate expired at');
    expect(warnings).toEqual([]);
    expect(reads()).toBe(2);
  });
});

describe('a refused client certificate', () => {
  it('has a replacement when the secret holds another one, which then is the current one', async () => {
    const first = await source.current(signal, journal);
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    const replacement = await source.replacementOf(first, signal);
    expect(replacement?.certificate).not.toBe(first.certificate);
    expect(await source.current(signal, journal)).toBe(replacement);
    expect(reads()).toBe(2);
  });

  it('has none when the secret holds the same one', async () => {
    const first = await source.current(signal, journal);
    await expect(source.replacementOf(first, signal)).resolves.toBeUndefined();
    expect(reads()).toBe(2);
  });

  it('has one when only the CA bundle was changed', async () => {
    const first = await source.current(signal, journal);
    const { certificate, privateKey } = first;
    await store({ SecretString: JSON.stringify({ certificate, private_key: privateKey }) });
    await expect(source.replacementOf(first, signal)).resolves.toMatchObject({ certificate, caBundle: undefined });
  });

  it('has none that can be had when the secret cannot be read', async () => {
    const first = await source.current(signal, journal);
    await store({ SecretString: 'not JSON' });
    expect(await failureOf(source.replacementOf(first, signal))).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID' });
    expect(await source.current(signal, journal)).toBe(first);
  });
});

describe('a client-certificate secret that cannot be read', () => {
  it('holds bytes instead of text', async () => {
    await store({ SecretBinary: Buffer.from('PKCS#12').toString('base64') });
    const error = await failureOf(source.current(signal, journal));
    expect(error).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID', retryable: false });
    expect(error.what).toContain('it is binary');
  });

  it.each([
    ['ResourceNotFoundException', 400, false, 'Create or restore the secret'],
    ['InvalidRequestException', 400, false, 'Create or restore the secret'],
    ['AccessDeniedException', 400, false, 'secretsmanager:GetSecretValue'],
    ['DecryptionFailure', 400, false, 'kms:Decrypt'],
    ['ThrottlingException', 400, true, ''],
    ['InternalServiceError', 500, true, ''],
  ])('%s: the secret is named, AWS is not quoted', async (type, status, retryable, advice) => {
    intercept = async () => {
      throw new AwsError(type, 'a message that may hold anything', status);
    };
    const error = await failureOf(source.current(signal, journal));
    expect(error).toMatchObject({ code: 'CLIENT_CERTIFICATE_UNAVAILABLE', retryable });
    expect(error.what).toContain(`The client-certificate secret d1/client-certificate could not be read: ${type}`);
    expect(error.remedy).toContain(advice);
    expect(everythingPrintedOf(error)).not.toContain('a message that may hold anything');
    expect(error).not.toHaveProperty('cause');
    expect(warnings).toEqual([]);
  });
});
