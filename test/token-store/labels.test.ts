import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { type OpenedStore, openStore, SECRET } from './open-store.ts';
import { sampleRecord } from './sample-record.ts';

const CURRENT = 'AWSCURRENT';
const PENDING = 'AWSPENDING';
const mine = sampleRecord({ correlation_id: 'mine' });
const theirs = sampleRecord({ correlation_id: 'theirs' });
const pendingVersion = randomUUID();

/** A store whose secret has a current version, and one more that RotateSecret has named and that has no value yet. */
async function openRotatingStore(options: Parameters<typeof openStore>[0] = {}) {
  const opened = await openStore(options);
  const currentVersion = await opened.putAside({ SecretString: JSON.stringify(sampleRecord()) });
  await opened.operate('RotateSecret', {
    ClientRequestToken: pendingVersion,
    RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
  });
  return { ...opened, currentVersion };
}

const scheduledForDeletion = {
  code: 'TOKEN_SECRET_MISSING',
  retryable: false,
  what: expect.stringContaining('InvalidRequestException'),
  remedy: expect.stringContaining('scheduled for deletion'),
};

describe('The labels of the token secret', () => {
  it('are told by version, for one call', async () => {
    const { store, signal, currentVersion, calls } = await openRotatingStore();
    expect(await store.labels(SECRET, signal)).toEqual({ [currentVersion]: [CURRENT], [pendingVersion]: [PENDING] });
    expect(calls.all().map(({ operation }) => operation)).toEqual(['DescribeSecret']);
  });

  it('are none while the secret has no version', async () => {
    const { store, signal } = await openStore();
    expect(await store.labels(SECRET, signal)).toEqual({});
  });

  it('are told for its ARN too', async () => {
    const { store, signal, operate, currentVersion } = await openRotatingStore();
    const { ARN } = await operate('DescribeSecret');
    expect(await store.labels(String(ARN), signal)).toHaveProperty(currentVersion, [CURRENT]);
  });

  it('are not told of another secret', async () => {
    const { store, signal, operate } = await openRotatingStore();
    await operate('CreateSecret', { Name: 'd1/another', ClientRequestToken: randomUUID(), SecretString: 'hunter2' });
    expect(await store.labels('d1/another', signal)).toBeUndefined();
  });

  it('are not there when the secret is not', async () => {
    const { store, signal } = await openStore();
    await expect(store.labels('d1/no-such-secret', signal)).rejects.toMatchObject({
      code: 'TOKEN_SECRET_MISSING',
      what: expect.stringContaining('could not be read'),
    });
  });
});

describe('Moving a label', () => {
  it('moves it from the version that has it', async () => {
    const { store, signal, currentVersion, labels } = await openRotatingStore();
    expect(await store.moveLabel(CURRENT, { from: currentVersion, to: pendingVersion }, signal)).toBe(true);
    expect(await labels()).toMatchObject({ [pendingVersion]: expect.arrayContaining([CURRENT]) });
  });

  it('takes it off', async () => {
    const { store, signal, currentVersion, labels } = await openRotatingStore();
    expect(await store.moveLabel(PENDING, { from: pendingVersion }, signal)).toBe(true);
    expect(await labels()).toEqual({ [currentVersion]: [CURRENT] });
  });

  it('puts it on when no version has it', async () => {
    const { store, signal, currentVersion, labels } = await openRotatingStore();
    expect(await store.moveLabel('BANK', { from: undefined, to: currentVersion }, signal)).toBe(true);
    expect(await labels()).toMatchObject({ [currentVersion]: [CURRENT, 'BANK'] });
  });

  it('leaves it where somebody else has moved it, and says so', async () => {
    const { store, signal, currentVersion, putAside, labels } = await openRotatingStore();
    const newest = await putAside({ SecretString: JSON.stringify(theirs) });
    expect(await store.moveLabel(CURRENT, { from: currentVersion, to: pendingVersion }, signal)).toBe(false);
    expect(await labels()).toMatchObject({ [newest]: [CURRENT] });
  });

  it('takes InvalidRequestException, too, for a label that was moved: the secret can be read', async () => {
    const { store, signal, currentVersion, calls } = await openRotatingStore({
      intercept: async (call, next) => {
        if (call.operation === 'UpdateSecretVersionStage') throw new AwsError('InvalidRequestException', 'hunter2');
        return next();
      },
    });
    expect(await store.moveLabel(CURRENT, { from: currentVersion, to: pendingVersion }, signal)).toBe(false);
    expect(calls.all().map(({ operation }) => operation)).toEqual(['UpdateSecretVersionStage', 'GetSecretValue']);
  });

  it('does not call it a moved label that the secret is scheduled for deletion', async () => {
    const { store, signal, currentVersion, operate } = await openRotatingStore();
    await operate('DeleteSecret');
    await expect(store.moveLabel(CURRENT, { from: currentVersion, to: pendingVersion }, signal)).rejects.toMatchObject(
      scheduledForDeletion,
    );
  });

  it('is refused: the error says why', async () => {
    const { store, signal, currentVersion } = await openRotatingStore({
      intercept: async () => {
        throw new AwsError('AccessDeniedException', 'hunter2');
      },
    });
    const moving = store.moveLabel(CURRENT, { from: currentVersion, to: pendingVersion }, signal);
    await expect(moving).rejects.toMatchObject({
      code: 'TOKEN_STORE_DENIED',
      what: expect.stringContaining('could not be written: AccessDeniedException'),
    });
  });
});

describe('The pending version', () => {
  it('has no value before one is put, and then the record; the current one stays', async () => {
    const { store, signal, currentVersion, labels, current } = await openRotatingStore();
    expect(await store.readPending(pendingVersion, signal)).toBeUndefined();
    await store.putPending(mine, pendingVersion, signal);
    expect(await store.readPending(pendingVersion, signal)).toEqual({ record: mine });
    expect((await current()).id).toBe(currentVersion);
    expect(await labels()).toEqual({ [currentVersion]: [CURRENT], [pendingVersion]: [PENDING] });
  });

  it('keeps the first value: that another step has put one is no fault', async () => {
    const { store, signal } = await openRotatingStore();
    await store.putPending(theirs, pendingVersion, signal);
    await store.putPending(mine, pendingVersion, signal);
    expect(await store.readPending(pendingVersion, signal)).toEqual({ record: theirs });
  });

  it('has nothing to read for a moment after it was put', async () => {
    const { store, signal } = await openRotatingStore({ pendingReadableAfterReads: 1 });
    await store.putPending(mine, pendingVersion, signal);
    expect(await store.readPending(pendingVersion, signal)).toBeUndefined();
    expect(await store.readPending(pendingVersion, signal)).toEqual({ record: mine });
  });

  it('has nothing to read when it is pending no more, though the secret is well', async () => {
    const { store, signal } = await openRotatingStore();
    await store.putPending(mine, pendingVersion, signal);
    await store.moveLabel(PENDING, { from: pendingVersion }, signal);
    expect(await store.readPending(pendingVersion, signal)).toBeUndefined();
  });

  it.each([
    [{ SecretString: 'hunter2' }, 'it is not JSON'],
    [{ SecretBinary: Buffer.from('hunter2').toString('base64') }, 'it is binary'],
    [{ SecretString: JSON.stringify({ ...mine, issuer_id: 'HUNTER2---' }) }, 'field issuer_id names another issuer'],
  ])('says why its value is foreign, and quotes none of it (%#)', async (value, foreign) => {
    const { store, signal, operate } = await openRotatingStore();
    await operate('PutSecretValue', { ...value, ClientRequestToken: pendingVersion, VersionStages: [PENDING] });
    expect(await store.readPending(pendingVersion, signal)).toEqual({ foreign });
  });

  it('is neither read nor written in a secret that is scheduled for deletion', async () => {
    const { store, signal, operate } = await openRotatingStore();
    await operate('DeleteSecret');
    await expect(store.readPending(pendingVersion, signal)).rejects.toMatchObject(scheduledForDeletion);
    await expect(store.putPending(mine, pendingVersion, signal)).rejects.toMatchObject(scheduledForDeletion);
  });

  it('that may not be read is not taken for one without a value, though the current one may be', async () => {
    const { store, signal } = await openRotatingStore({
      intercept: async (call, next) => {
        if (call.input['VersionId'] !== undefined) throw new AwsError('AccessDeniedException', 'hunter2');
        return next();
      },
    });
    await expect(store.readPending(pendingVersion, signal)).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED' });
  });

  it.each([
    ['read', 'GetSecretValue'],
    ['written', 'PutSecretValue'],
  ])('that may not be %s: the error says so', async (verb, operation) => {
    const { store, signal } = await openRotatingStore({
      intercept: async (call, next) => {
        if (call.operation === operation) throw new AwsError('AccessDeniedException', 'hunter2');
        return next();
      },
    });
    const calling =
      verb === 'read' ? store.readPending(pendingVersion, signal) : store.putPending(mine, pendingVersion, signal);
    await expect(calling).rejects.toMatchObject({
      code: 'TOKEN_STORE_DENIED',
      what: expect.stringContaining(`could not be ${verb}: AccessDeniedException`),
    });
  });
});

describe('A caller who has gone', () => {
  it.each<[string, (store: OpenedStore['store'], signal: AbortSignal) => Promise<unknown>]>([
    ['the labels', (store, signal) => store.labels(SECRET, signal)],
    ['a label to be moved', (store, signal) => store.moveLabel(PENDING, { from: pendingVersion }, signal)],
    ['the pending value', (store, signal) => store.readPending(pendingVersion, signal)],
    ['a value to be pending', (store, signal) => store.putPending(mine, pendingVersion, signal)],
    ['a value to be current', (store, signal) => store.replace(undefined, mine, 1, signal)],
  ])('waits no longer for %s: the request ends with its signal', async (_what, call) => {
    const gone = new AbortController();
    const { store } = await openRotatingStore({
      intercept: async () => {
        gone.abort();
        return undefined;
      },
    });
    await expect(call(store, gone.signal)).rejects.toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE' });
  });
});
