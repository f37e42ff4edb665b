import { describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { openStore } from './open-store.ts';
import { sampleRecord } from './sample-record.ts';

const first = sampleRecord({ correlation_id: 'the-first' });
const mine = sampleRecord({ correlation_id: 'mine' });
const theirs = sampleRecord({ correlation_id: 'theirs' });

/** A store whose secret holds the first record. */
async function openStoreWithRecord(options: Parameters<typeof openStore>[0] = {}) {
  const opened = await openStore(options);
  return { ...opened, firstVersion: await opened.putAside({ SecretString: JSON.stringify(first) }) };
}

describe('Replacing the token', () => {
  it('makes one new version, with one call', async () => {
    const { store, signal, versions, current, calls, firstVersion } = await openStoreWithRecord();
    const versionId = await store.replace(firstVersion, mine, 1, signal);
    expect(versionId).toMatch(/^[0-9a-f]{64}$/);
    expect(await versions()).toEqual([firstVersion, versionId]);
    expect(await current()).toEqual({ id: versionId, text: JSON.stringify(mine) });
    expect(calls.all().map(({ operation }) => operation)).toEqual(['PutSecretValue']);
  });

  it('makes the first version of a secret that has none', async () => {
    const { store, signal, versions } = await openStore();
    const versionId = await store.replace(undefined, mine, 1, signal);
    expect(await versions()).toEqual([versionId]);
  });

  it('gives different versions different successors', async () => {
    const { store, signal, firstVersion, versions } = await openStoreWithRecord();
    const second = await store.replace(firstVersion, mine, 1, signal);
    const third = await store.replace(second, theirs, 1, signal);
    expect(await versions()).toEqual([firstVersion, second, third]);
    expect(new Set(await versions()).size).toBe(3);
  });

  it('gives one version one successor: the second writer is told so, with one call, and changes nothing', async () => {
    const { store, signal, firstVersion, versions, current, count } = await openStoreWithRecord();
    const winner = await store.replace(firstVersion, theirs, 1, signal);
    expect(await store.replace(firstVersion, mine, 1, signal)).toBeUndefined();
    expect(await versions()).toEqual([firstVersion, winner]);
    expect((await current()).text).toBe(JSON.stringify(theirs));
    expect(count('PutSecretValue')).toBe(2);
    expect(count('GetSecretValue')).toBe(0);
  });

  it('lets one of two win that write at once', async () => {
    const { store, signal, firstVersion, versions } = await openStoreWithRecord();
    const written = await Promise.all([mine, theirs].map((record) => store.replace(firstVersion, record, 1, signal)));
    expect(written.filter((versionId) => versionId !== undefined)).toHaveLength(1);
    expect(await versions()).toHaveLength(2);
  });

  it('holds for the first version of a secret too', async () => {
    const { store, signal, versions } = await openStore();
    await store.replace(undefined, theirs, 1, signal);
    expect(await store.replace(undefined, mine, 1, signal)).toBeUndefined();
    expect(await versions()).toHaveLength(1);
  });

  it('has another successor for a version to which an operator has moved AWSCURRENT back, and that is one too', async () => {
    const { store, signal, operate, firstVersion, versions, current } = await openStoreWithRecord();
    const versionId = await store.replace(firstVersion, theirs, 1, signal);
    await operate('UpdateSecretVersionStage', {
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: firstVersion,
      RemoveFromVersionId: versionId,
    });
    expect(await store.replace(firstVersion, mine, 1, signal)).toBeUndefined();
    const second = await store.replace(firstVersion, mine, 2, signal);
    expect(second).toMatch(/^[0-9a-f]{64}$/);
    expect(await current()).toEqual({ id: second, text: JSON.stringify(mine) });
    expect(await store.replace(firstVersion, theirs, 2, signal)).toBeUndefined();
    expect(await versions()).toEqual([firstVersion, versionId, second]);
  });

  it('still makes one version when the answer to a write that succeeded gets lost and the SDK repeats it', async () => {
    let lost = 0;
    const { store, signal, firstVersion, versions, count } = await openStoreWithRecord({
      attempts: 3,
      intercept: async (call, next, response) => {
        const answer = await next();
        if (call.operation !== 'PutSecretValue' || lost > 0) return answer;
        lost += 1;
        response.destroy();
        return undefined;
      },
    });
    const versionId = await store.replace(firstVersion, mine, 1, signal);
    expect(count('PutSecretValue')).toBe(2);
    expect(await versions()).toEqual([firstVersion, versionId]);
  });

  it('knows the version id even when AWS does not repeat it', async () => {
    const { store, signal, firstVersion, current } = await openStoreWithRecord({
      intercept: async (call, next) => {
        const answer = await next();
        return call.operation === 'PutSecretValue' ? { status: 200, body: {} } : answer;
      },
    });
    expect(await store.replace(firstVersion, mine, 1, signal)).toBe((await current()).id);
  });

  it('stores a record of exactly 65,536 bytes', async () => {
    const { store, signal, firstVersion, current } = await openStoreWithRecord();
    await store.replace(firstVersion, recordOfBytes(65_536), 1, signal);
    expect((await current()).text).toHaveLength(65_536);
  });
});

describe('A token that cannot be stored', () => {
  it('is one byte too large: Secrets Manager is not what is broken, and trying again will not help', async () => {
    const { store, signal, firstVersion, current } = await openStoreWithRecord();
    await expect(store.replace(firstVersion, recordOfBytes(65_537), 1, signal)).rejects.toMatchObject({
      code: 'TOKEN_STORE_UNAVAILABLE',
      what: expect.stringContaining('could not be written: InvalidParameterException'),
      remedy: expect.stringContaining('65,536 bytes'),
      retryable: false,
    });
    expect((await current()).text).toBe(JSON.stringify(first));
  });

  it('meets the version quota: trying again helps, once there is room', async () => {
    const { store, signal, firstVersion, current } = await openStoreWithRecord({ versionQuota: 1 });
    await expect(store.replace(firstVersion, mine, 1, signal)).rejects.toMatchObject({
      code: 'TOKEN_STORE_QUOTA_EXCEEDED',
      what: expect.stringContaining('could not be written: LimitExceededException'),
      remedy: expect.stringContaining('more often than every ten minutes'),
      retryable: true,
    });
    expect((await current()).text).toBe(JSON.stringify(first));
  });

  it.each([
    ['AccessDeniedException', 'TOKEN_STORE_DENIED', false, /kms:GenerateDataKey/],
    ['EncryptionFailure', 'TOKEN_STORE_DENIED', false, /KMS key is enabled/],
    ['ResourceNotFoundException', 'TOKEN_SECRET_MISSING', false, /Create the secret/],
    ['InvalidRequestException', 'TOKEN_SECRET_MISSING', false, /restore it/],
    ['ThrottlingException', 'TOKEN_STORE_THROTTLED', true, /calls Secrets Manager this often/],
    ['ValidationException', 'TOKEN_STORE_UNAVAILABLE', false, /Check D1_TOKEN_SECRET_ID/],
  ])('is refused with %s: %s, and what to do about it', async (type, code, retryable, remedy) => {
    const { store, signal, firstVersion } = await openStoreWithRecord({
      intercept: async (call, next) => {
        if (call.operation === 'PutSecretValue') throw new AwsError(type, 'hunter2');
        return next();
      },
    });
    const error = await store.replace(firstVersion, mine, 1, signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code,
      retryable,
      what: expect.stringContaining('could not be written'),
      remedy: expect.stringMatching(remedy),
    });
    expect(String(error)).not.toContain('hunter2');
  });
});

function recordOfBytes(bytes: number) {
  const empty = JSON.stringify({ ...mine, access_token: '' }).length;
  return { ...mine, access_token: 'x'.repeat(bytes - empty) };
}
