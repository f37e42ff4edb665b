import { createPublicKey, type KeyObject } from 'node:crypto';
import { GetPublicKeyCommand } from '@aws-sdk/client-kms';
import { decodeJwt, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { type Sandbox, SIGNING_KEY_ALIAS, startSandbox } from '../../sandbox/sandbox.ts';
import type { AssertionSettings } from '../../src/assertion/assertion.ts';
import { createAssertion } from '../../src/assertion/assertion.ts';
import { createKmsSigner } from '../../src/assertion/kms-signer.ts';
import { createKmsClient } from '../../src/aws/clients.ts';
import { BrokerError } from '../../src/errors.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { everythingPrintedOf, leakIn } from '../support/leaks.ts';
import { derOf, N } from './der.ts';

const settings: AssertionSettings = {
  issuerId: 'ISSUER0001',
  subject: 'ISSUER0001',
  keyId: 'bank-key-1',
  audience: 'https://api.d1.thalescloud.io',
  assertionLifetimeSeconds: 300,
};

let sandbox: Sandbox;
let kms: ReturnType<typeof createKmsClient>;
/** What stands between the SDK and KMS in this test; nothing, unless told. */
let intercept: Intercept;
/** Everything that was to be signed: no error may show any of it. */
let inputs: string[];
let clock: FakeClock;

beforeEach(async () => {
  intercept = (_call, next) => next();
  inputs = [];
  clock = new FakeClock();
  sandbox = await startSandbox({ clock, awsIntercept: (...call) => intercept(...call) });
  kms = createKmsClient(2_000, {
    region: 'eu-west-1',
    endpoint: String(sandbox.environment['AWS_ENDPOINT_URL']),
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  });
});

afterEach(async () => {
  kms.destroy();
  await sandbox.close();
});

function assertionUnder(signingKeyId: string, signal = new AbortController().signal): Promise<string> {
  const signer = createKmsSigner(kms, signingKeyId);
  const sign: typeof signer = (input, ...rest) => {
    inputs.push(input);
    return signer(input, ...rest);
  };
  return createAssertion({ settings, sign, clock, random: systemRandom }, signal);
}

/** The half of the key that a bank hands to Thales. */
async function publicKey(): Promise<KeyObject> {
  const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: SIGNING_KEY_ALIAS }));
  return createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
}

async function createKey(KeySpec: string, KeyUsage: string): Promise<string> {
  const { KeyMetadata } = await sandbox.kms.handle('CreateKey', { KeySpec, KeyUsage });
  return (KeyMetadata as { KeyId: string }).KeyId;
}

/** The error of an assertion that must fail, after a look for what it must not show. */
async function failureUnder(signingKeyId: string, signal?: AbortSignal): Promise<BrokerError> {
  const error = await assertionUnder(signingKeyId, signal).then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BrokerError)) throw new Error(`not a BrokerError: ${error}`);
  expect(inputs).not.toHaveLength(0);
  expect(leakIn(everythingPrintedOf(error), inputs)).toBeUndefined();
  expect(error).not.toHaveProperty('cause');
  return error;
}

const signCalls = () => sandbox.calls.all().filter(({ operation }) => operation === 'Sign');

describe('an assertion', () => {
  it('is a JWT that verifies under the public key which KMS reports', async () => {
    const assertion = await assertionUnder(SIGNING_KEY_ALIAS);
    const { payload, protectedHeader } = await jwtVerify(assertion, await publicKey(), {
      algorithms: ['ES256'],
      currentDate: new Date(clock.now()),
      audience: 'https://api.d1.thalescloud.io',
      issuer: 'ISSUER0001',
      subject: 'ISSUER0001',
      typ: 'JWT',
      requiredClaims: ['iat', 'exp', 'jti'],
    });
    expect(protectedHeader.kid).toBe('bank-key-1');
    expect(payload.exp).toBe(clock.now() / 1000 + 240);
    expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('counts in whole seconds, also between two of them', async () => {
    clock.advance(999);
    expect(decodeJwt(await assertionUnder(SIGNING_KEY_ALIAS)).exp).toBe(Math.floor(clock.now() / 1000) + 240);
  });

  it('is another one each time, with a jti never used before', async () => {
    const assertions = await Promise.all(Array.from({ length: 20 }, () => assertionUnder(SIGNING_KEY_ALIAS)));
    expect(new Set(assertions.map((assertion) => decodeJwt(assertion).jti)).size).toBe(20);
  });

  it('sends KMS a digest and nothing that it could read', async () => {
    const seen: unknown[] = [];
    intercept = (call, next) => {
      seen.push(call.input);
      return next();
    };
    await assertionUnder(SIGNING_KEY_ALIAS);
    expect(signCalls()).toMatchObject([
      {
        input: { KeyId: SIGNING_KEY_ALIAS, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' },
        outcome: 'ok',
      },
    ]);
    const [{ Message }] = seen as [{ Message: string }];
    expect(Buffer.from(Message, 'base64')).toHaveLength(32);
  });

  it.each([
    ['key id', (keyId: string) => keyId],
    ['key ARN', (keyId: string) => `arn:aws:kms:eu-west-1:000000000000:key/${keyId}`],
    ['alias ARN', () => `arn:aws:kms:eu-west-1:000000000000:${SIGNING_KEY_ALIAS}`],
  ])('is signed by a key that is named by its %s', async (_kind, nameOf) => {
    const assertion = await assertionUnder(nameOf(sandbox.signingKeyId));
    await expect(
      jwtVerify(assertion, await publicKey(), { currentDate: new Date(clock.now()) }),
    ).resolves.toBeDefined();
  });

  it('is not limited to the 4,096 bytes that KMS takes of a message', async () => {
    const sign = createKmsSigner(kms, SIGNING_KEY_ALIAS);
    await expect(sign('x'.repeat(100_000), new AbortController().signal)).resolves.toHaveLength(64);
  });
});

describe('a key that does not sign', () => {
  it('is disabled: says so, and how to get on', async () => {
    await sandbox.kms.handle('DisableKey', { KeyId: sandbox.signingKeyId });
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.what).toMatch(
      /^KMS did not sign with key alias\/d1-token-broker-signing: DisabledException \(HTTP 400, request id [\w-]+\)\.$/,
    );
    expect(error.remedy).toContain('kms:EnableKey');
  });

  it('is pending deletion', async () => {
    await sandbox.kms.handle('ScheduleKeyDeletion', { KeyId: sandbox.signingKeyId });
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.remedy).toContain('cancel the deletion');
  });

  it.each(['alias/nobody', '11111111-2222-3333-4444-555555555555'])('is not there: %s', async (name) => {
    const error = await failureUnder(name);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.what).toContain(`key ${name}: NotFoundException`);
    expect(error.remedy).toContain('D1_SIGNING_KEY_ID');
  });

  it.each([
    ['RSA_2048', 'SIGN_VERIFY'],
    ['RSA_2048', 'ENCRYPT_DECRYPT'],
    ['ECC_NIST_P384', 'SIGN_VERIFY'],
    ['ECC_NIST_P256', 'KEY_AGREEMENT'],
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'],
  ])('is of the wrong kind: %s for %s', async (spec, usage) => {
    const keyId = await createKey(spec, usage);
    const error = await failureUnder(keyId);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.what).toContain(`key ${keyId}: InvalidKeyUsageException`);
    expect(error.remedy).toBe('Use a key with key spec ECC_NIST_P256 and key usage SIGN_VERIFY.');
  });

  it('is out of bounds for the role: what AWS says about it stays out, the permission to add is named', async () => {
    intercept = async () => {
      throw new AwsError(
        'AccessDeniedException',
        'User: arn:aws:sts::000000000000:assumed-role/secret is not authorized',
      );
    };
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.remedy).toContain('kms:Sign');
    expect(everythingPrintedOf(error)).not.toContain('assumed-role');
    expect(signCalls()).toHaveLength(1);
  });

  it('is throttled: the SDK tries three times, and later it can work', async () => {
    intercept = async () => {
      throw new AwsError('ThrottlingException', 'Rate exceeded');
    };
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: true });
    expect(error.remedy).toContain('quota');
    expect(signCalls()).toHaveLength(3);
  });

  it('is throttled once: the SDK tries again, and nobody notices', async () => {
    let refusals = 1;
    intercept = async (_call, next) => {
      if (refusals-- > 0) throw new AwsError('ThrottlingException', 'Rate exceeded');
      return next();
    };
    const assertion = await assertionUnder(SIGNING_KEY_ALIAS);
    await expect(
      jwtVerify(assertion, await publicKey(), { currentDate: new Date(clock.now()) }),
    ).resolves.toBeDefined();
  });

  it('cannot be asked, because KMS is down', async () => {
    intercept = async () => {
      throw new AwsError('KMSInternalException', 'An internal error', 500);
    };
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: true });
    expect(error.remedy).toContain('KMS service health');
  });

  it('cannot be asked, because the connection is reset', async () => {
    intercept = async (_call, _next, response) => void response.destroy();
    expect(await failureUnder(SIGNING_KEY_ALIAS)).toMatchObject({ code: 'SIGNING_FAILED', retryable: true });
  });

  it('is not waited for when the invocation is over', async () => {
    const invocation = new AbortController();
    intercept = async (_call, _next, response) => {
      invocation.abort();
      response.destroy();
      return undefined;
    };
    const error = await failureUnder(SIGNING_KEY_ALIAS, invocation.signal);
    expect(error.what).toContain('AbortError');
    expect(signCalls().length).toBeLessThanOrEqual(1);
  });

  it('answers in HTML, as a proxy does', async () => {
    const page = '<html><body>Please log in: 5f0e4b0a9a550d6c0b0f7a11</body></html>';
    intercept = async (_call, _next, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(page);
      return undefined;
    };
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error.code).toBe('SIGNING_FAILED');
    expect(error.what).toContain(SIGNING_KEY_ALIAS);
    expect(error.remedy).toContain('Check that KMS can be reached');
    expect(leakIn(everythingPrintedOf(error), [page])).toBeUndefined();
  });

  it('has an id that is none for KMS: the remedy names the setting and what it may hold', async () => {
    intercept = async () => ({
      status: 400,
      body: { __type: 'ValidationException' },
      errorType: 'ValidationException',
    });
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.remedy).toMatch(/D1_SIGNING_KEY_ID is a key id, key ARN, alias name or alias ARN/);
  });

  it.each(['constructor', 'toString', '__proto__'])('answers with an error that is called %s', async (type) => {
    intercept = async () => ({ status: 400, body: { __type: type }, errorType: type });
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNING_FAILED', retryable: false });
    expect(error.remedy).toBe('Check that KMS can be reached from the function and look at the KMS service health.');
  });
});

describe('a signature that is none', () => {
  it.each([
    ['missing', {}],
    ['empty', { Signature: '' }],
    ['noise', { Signature: Buffer.alloc(64, 0x5a).toString('base64') }],
    ['10 kB of noise', { Signature: Buffer.alloc(10_240, 0x30).toString('base64') }],
    ['out of range', { Signature: derOf(N, 1n).toString('base64') }],
    ['of P-384', { Signature: derOf((1n << 383n) + 1n, (1n << 382n) + 1n).toString('base64') }],
  ])('%s: is refused here, and never sent to D1', async (_kind, body) => {
    intercept = async () => ({ status: 200, body });
    const error = await failureUnder(SIGNING_KEY_ALIAS);
    expect(error).toMatchObject({ code: 'SIGNATURE_MALFORMED', retryable: true });
    expect(error.what).toContain(`KMS key ${SIGNING_KEY_ALIAS}`);
    expect(error.remedy).toContain('ECC_NIST_P256');
    const { Signature } = body as { Signature?: string };
    expect(leakIn(everythingPrintedOf(error), Signature ? [Signature] : [])).toBeUndefined();
  });
});
