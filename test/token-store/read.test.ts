import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { ISSUER, openStore, SECRET } from './open-store.ts';
import { sampleRecord } from './sample-record.ts';

const textOf = (value: unknown) => ({ SecretString: JSON.stringify(value) });
const refusing =
  (type: string, status = 400): Intercept =>
  async () => {
    throw new AwsError(type, 'hunter2 is what AWS had to say', status);
  };
const speaking =
  (status: number, body: string): Intercept =>
  async (_call, _next, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(body);
    return undefined;
  };

describe('Reading the token secret', () => {
  it('gives the record and the version that it came from, for one call', async () => {
    const { store, signal, putAside, calls } = await openStore();
    const versionId = await putAside(textOf(sampleRecord()));
    expect(await store.read(signal)).toEqual({ versionId, writtenAt: expect.any(Number), record: sampleRecord() });
    expect(calls.all().map(({ operation }) => operation)).toEqual(['GetSecretValue']);
  });

  it('takes a secret that has no value yet for a first run, after asking whether the secret exists', async () => {
    const { store, signal, calls } = await openStore();
    expect(await store.read(signal)).toEqual({});
    expect(calls.all().map(({ operation }) => operation)).toEqual(['GetSecretValue', 'DescribeSecret']);
  });

  it.each(['\n', '  \t '])('takes an empty text (%j) for a first run too', async (SecretString) => {
    const { store, signal, putAside } = await openStore();
    const versionId = await putAside({ SecretString });
    expect(await store.read(signal)).toEqual({ versionId, writtenAt: expect.any(Number) });
  });

  it.each([
    ['binary', { SecretBinary: Buffer.from('hunter2').toString('base64') }, 'it is binary'],
    ['not JSON', { SecretString: 'hunter2' }, 'it is not JSON'],
    ['another JSON', textOf({ password: 'hunter2' }), 'field access_token is missing or not as the schema says'],
    ['not an object', textOf('hunter2'), 'it is not a JSON object'],
    [
      'from a future schema',
      textOf({ ...sampleRecord(), schema_version: 2 }),
      'field schema_version is missing or not as the schema says',
    ],
    ['of another issuer', textOf(sampleRecord({ issuer_id: 'HUNTER2---' })), 'field issuer_id names another issuer'],
  ])('calls a value foreign that is %s, says why, and quotes none of it', async (_what, value, why) => {
    const { store, signal, putAside } = await openStore();
    const versionId = await putAside(value);
    const snapshot = await store.read(signal);
    expect(snapshot).toEqual({ versionId, writtenAt: expect.any(Number), foreign: why });
    expect(JSON.stringify(snapshot)).not.toMatch(/hunter2/i);
  });

  it('does not know when a version was written where the endpoint does not say it', async () => {
    const { store, signal, putAside } = await openStore({
      intercept: async (_call, next) => {
        const answer = await next();
        return answer && { ...answer, body: { ...answer.body, CreatedDate: undefined } };
      },
    });
    await putAside(textOf(sampleRecord()));
    expect(await store.read(signal)).toMatchObject({ writtenAt: undefined, record: sampleRecord() });
  });

  it('reads whatever issuer it is told to', async () => {
    const { store, signal, putAside } = await openStore({ issuerId: 'ISSUER0002' });
    await putAside(textOf(sampleRecord({ issuer_id: 'ISSUER0002' })));
    expect(await store.read(signal)).toMatchObject({ record: { issuer_id: 'ISSUER0002' } });
  });
});

describe('A token secret that cannot be read', () => {
  it('is missing', async () => {
    const { store, signal, operate } = await openStore();
    await operate('DeleteSecret', { ForceDeleteWithoutRecovery: true });
    await expect(store.read(signal)).rejects.toMatchObject({
      code: 'TOKEN_SECRET_MISSING',
      retryable: false,
      what: expect.stringMatching(
        `^The token secret ${SECRET} could not be read: ResourceNotFoundException \\(HTTP 400, `,
      ),
      remedy: 'Create the secret, or correct D1_TOKEN_SECRET_ID, the account or the Region.',
    });
  });

  it('is scheduled for deletion', async () => {
    const { store, signal, putAside, operate } = await openStore();
    await putAside(textOf(sampleRecord()));
    await operate('DeleteSecret');
    await expect(store.read(signal)).rejects.toMatchObject({
      code: 'TOKEN_SECRET_MISSING',
      retryable: false,
      remedy: expect.stringContaining('restore it'),
    });
  });

  it('has no value, and the role may not ask whether it exists', async () => {
    const { store, signal } = await openStore({
      intercept: (call, next) =>
        call.operation === 'DescribeSecret'
          ? refusing('AccessDeniedException')(call, next, undefined as never)
          : next(),
    });
    await expect(store.read(signal)).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED', retryable: false });
  });

  it.each([
    ['the role may not read it', 'AccessDeniedException', 400, 'TOKEN_STORE_DENIED', false, /role .* kms:Decrypt/],
    ['its key is out of use', 'DecryptionFailure', 400, 'TOKEN_STORE_DENIED', false, /KMS key is enabled/],
    ['AWS throttles', 'ThrottlingException', 400, 'TOKEN_STORE_THROTTLED', true, /Find what calls Secrets Manager/],
    ['AWS says too many', 'TooManyRequests', 429, 'TOKEN_STORE_THROTTLED', true, /Find what calls Secrets Manager/],
    ['AWS is broken', 'InternalServiceError', 500, 'TOKEN_STORE_UNAVAILABLE', true, /service health/],
    ['AWS has a new error', 'BrandNewException', 400, 'TOKEN_STORE_UNAVAILABLE', false, /service health/],
    ['the error is named like a part of JavaScript', 'constructor', 400, 'TOKEN_STORE_UNAVAILABLE', false, /health/],
  ])('because %s: code, remedy and whether trying again helps', async (_why, type, status, code, retryable, remedy) => {
    const { store, signal } = await openStore({ intercept: refusing(type, status) });
    const error = await store.read(signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code,
      retryable,
      remedy: expect.stringMatching(remedy),
      what: expect.stringContaining(
        `The token secret ${SECRET} could not be read: ${type} (HTTP ${status}, request id `,
      ),
    });
    expect(error).not.toHaveProperty('cause');
    expect(inspect(error, { depth: Number.POSITIVE_INFINITY })).not.toContain('hunter2');
  });

  it.each([
    ['HTML', 200, '<html>hunter2</html>'],
    ['half an answer', 200, '{"SecretString":"hunter2'],
    ['an error page', 502, '<html>hunter2</html>'],
    ['a secret that is a number', 200, '{"SecretString":7,"VersionId":"hunter2"}'],
  ])('because something else answers, with %s, which is not quoted', async (_what, status, body) => {
    const { store, signal } = await openStore({ intercept: speaking(status, body) });
    const error = await store.read(signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE' });
    expect(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain('hunter2');
  });

  it('because the connection breaks, which may be over in a moment', async () => {
    const { store, signal } = await openStore({
      intercept: async (_call, _next, response) => {
        response.destroy();
        return undefined;
      },
    });
    await expect(store.read(signal)).rejects.toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE', retryable: true });
  });

  it('because the caller has gone: the request ends with its signal', async () => {
    const gone = new AbortController();
    const { store, count } = await openStore({
      intercept: async () => {
        gone.abort();
        return undefined;
      },
    });
    await expect(store.read(gone.signal)).rejects.toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE' });
    expect(count('DescribeSecret')).toBe(0);
  });

  it('because the caller has gone while it was asked whether the secret exists', async () => {
    const gone = new AbortController();
    const { store } = await openStore({
      intercept: async (call, next) => {
        if (call.operation !== 'DescribeSecret') return next();
        gone.abort();
        return undefined;
      },
    });
    await expect(store.read(gone.signal)).rejects.toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE' });
  });

  it('knows its issuer by its whole id', async () => {
    const { store, signal, putAside } = await openStore();
    await putAside(textOf(sampleRecord({ issuer_id: `${ISSUER}0` })));
    expect(await store.read(signal)).toHaveProperty('foreign');
  });
});
