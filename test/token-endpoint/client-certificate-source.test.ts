import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { CLIENT_CERTIFICATE_SECRET, type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { createSecretsManagerClient } from '../../src/aws/clients.ts';
import { BrokerError } from '../../src/errors.ts';
import type { ClientCertificate, ClientCertificateSource } from '../../src/shared/client-certificate.ts';
import { certificateFromSecret } from '../../src/token-endpoint/client-certificate-source.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';

const TTL_SECONDS = 3_600;
const { signal } = new AbortController();

let sandbox: Sandbox;
let client: ReturnType<typeof createSecretsManagerClient>;
let clock: FakeClock;
let intercept: Intercept;
let warnings: Error[];
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
  source = certificateFromSecret({
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

const patience = () => ({ signal, until: clock.now() + 30_000 });
const current = () => source.current(patience(), (warning) => void warnings.push(warning));
const replacementOf = (rejected: ClientCertificate) => source.replacementOf(rejected, patience());
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
    const first = await current();
    clock.advance(TTL_SECONDS * 1000 - 1);
    expect(await current()).toBe(first);
    expect(reads()).toBe(1);
    clock.advance(1);
    // The same object: whatever was made of it, such as a connection, may stay.
    expect(await current()).toBe(first);
    expect(reads()).toBe(2);
    await current();
    expect(reads()).toBe(2);
    expect(warnings).toEqual([]);
  });

  it('is the renewed one as soon as its time is over', async () => {
    const first = await current();
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    expect(await current()).toBe(first);
    clock.advance(TTL_SECONDS * 1000);
    expect((await current()).certificate).not.toBe(first.certificate);
  });

  it('stays in use when a renewal went wrong, with a warning a minute, until the renewal is put right', async () => {
    const first = await current();
    const broken = JSON.stringify({ certificate: first.certificate, private_key: 'PRIVATE KEY-----' });
    await store({ SecretString: broken });
    clock.advance(TTL_SECONDS * 1000);
    expect(await current()).toBe(first);
    clock.advance(59_999);
    expect(await current()).toBe(first);
    expect(warnings).toHaveLength(1);
    clock.advance(1);
    expect(await current()).toBe(first);
    expect(warnings).toMatchObject([
      { code: 'CLIENT_CERTIFICATE_INVALID', what: expect.stringContaining('private_key cannot be read') },
      { code: 'CLIENT_CERTIFICATE_INVALID' },
    ]);
    for (const warning of warnings) {
      expect(leakIn(everythingPrintedOf(warning), [first.certificate, first.privateKey])).toBeUndefined();
    }
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    clock.advance(60_000);
    expect((await current()).certificate).not.toBe(first.certificate);
    expect(warnings).toHaveLength(2);
  });

  it('stays in use when Secrets Manager cannot be asked', async () => {
    const first = await current();
    clock.advance(TTL_SECONDS * 1000);
    intercept = async () => {
      throw new AwsError('AccessDeniedException', 'not authorized: arn:aws:sts::000000000000:assumed-role/x');
    };
    expect(await current()).toBe(first);
    expect(warnings).toMatchObject([{ code: 'CLIENT_CERTIFICATE_UNAVAILABLE', retryable: false }]);
  });

  it('is not kept when it has expired itself: then the failure is told', async () => {
    const notAfter = new Date(clock.now() + 600_000);
    await store({ SecretString: await sandbox.clientCertificateSecret({ notAfter }) });
    const { notAfter: end } = await current();
    clock.advance(end - clock.now());
    expect((await current()).notAfter).toBe(end);
    clock.advance(1);
    const error = await failureOf(current());
    expect(error).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID', retryable: false });
    expect(error.what).toContain('the certificate expired at');
    expect(warnings).toEqual([]);
    expect(reads()).toBe(2);
  });
});

describe('a client certificate that many ask for', () => {
  it('is read once, also when some of them leave', async () => {
    const leaving = new AbortController();
    const left = source.current({ ...patience(), signal: leaving.signal }, () => {});
    const waiting = Array.from({ length: 10 }, () => current());
    leaving.abort(new Error('the invocation is over'));
    await expect(left).rejects.toThrow('the invocation is over');
    expect(new Set(await Promise.all(waiting)).size).toBe(1);
    expect(reads()).toBe(1);
  });

  it('is the same for the next invocation when a read was left over from a failed one', async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    intercept = async (_call, next) => {
      await held;
      return next();
    };
    const failed = new AbortController();
    const left = source.current({ ...patience(), signal: failed.signal }, () => {});
    failed.abort(new Error('KMS did not sign'));
    await expect(left).rejects.toThrow('KMS did not sign');
    const next = current();
    goOn();
    const certificate = await next;
    // What was left over has come to its end too, and has replaced nothing: a connection that was made stays open.
    await new Promise(setImmediate);
    expect(await current()).toBe(certificate);
    expect(reads()).toBe(1);
  });

  it('is not waited for longer than the most patient of them waits', async () => {
    intercept = () => new Promise(() => {});
    const failing = failureOf(current());
    await new Promise((resolve) => setTimeout(resolve, 50));
    clock.advance(30_000);
    expect(await failing).toMatchObject({ code: 'CLIENT_CERTIFICATE_UNAVAILABLE', retryable: true });
  });
});

describe('a refused client certificate', () => {
  it('has a replacement when the secret holds another one, which then is the current one', async () => {
    const first = await current();
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    const replacement = await replacementOf(first);
    expect(replacement?.certificate).not.toBe(first.certificate);
    expect(await current()).toBe(replacement);
    expect(reads()).toBe(2);
  });

  it('has none when the secret holds the same one', async () => {
    const first = await current();
    await expect(replacementOf(first)).resolves.toBeUndefined();
    expect(reads()).toBe(2);
  });

  it('has one when only the CA bundle was changed', async () => {
    const first = await current();
    const { certificate, privateKey } = first;
    await store({ SecretString: JSON.stringify({ certificate, private_key: privateKey }) });
    await expect(replacementOf(first)).resolves.toMatchObject({ certificate, caBundle: undefined });
  });

  it('has none that can be had when the secret cannot be read', async () => {
    const first = await current();
    await store({ SecretString: 'not JSON' });
    expect(await failureOf(replacementOf(first))).toMatchObject({ code: 'CLIENT_CERTIFICATE_INVALID' });
    expect(await current()).toBe(first);
  });
});

describe('a certificate that two had refused', () => {
  it('is looked for once: what one of them has read since is not read again', async () => {
    const first = await current();
    await store({ SecretString: await sandbox.clientCertificateSecret() });
    const replacement = await replacementOf(first);
    expect(await replacementOf(first)).toBe(replacement);
    expect(reads()).toBe(2);
  });
});

describe('a client-certificate secret that cannot be read', () => {
  it('holds bytes instead of text', async () => {
    await store({ SecretBinary: Buffer.from('PKCS#12').toString('base64') });
    const error = await failureOf(current());
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
    const error = await failureOf(current());
    expect(error).toMatchObject({ code: 'CLIENT_CERTIFICATE_UNAVAILABLE', retryable });
    expect(error.what).toContain(`The client-certificate secret d1/client-certificate could not be read: ${type}`);
    expect(error.remedy).toContain(advice);
    expect(everythingPrintedOf(error)).not.toContain('a message that may hold anything');
    expect(error).not.toHaveProperty('cause');
    expect(warnings).toEqual([]);
  });
});
