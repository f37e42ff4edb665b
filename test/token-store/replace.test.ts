import { describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/json-server.ts';
import { openStore, RANDOM_VERSION } from './open-store.ts';
import { sampleRecord } from './sample-record.ts';

const first = sampleRecord({ correlation_id: 'the-first' });
const mine = sampleRecord({ correlation_id: 'mine' });
const theirs = sampleRecord({ correlation_id: 'theirs' });
const anyWinner = () => true;
const noWinner = () => false;

/** A store whose secret holds the first record, and what a broker sees when it reads it. */
async function openStoreWithRecord(options: Parameters<typeof openStore>[0] = {}) {
  const opened = await openStore(options);
  const firstVersion = await opened.putAside({ SecretString: JSON.stringify(first) });
  return { ...opened, firstVersion, snapshot: await opened.store.read(opened.signal) };
}

describe('Replacing the token', () => {
  it('makes one new version, with one call', async () => {
    const { store, signal, snapshot, versions, current, count, firstVersion } = await openStoreWithRecord();
    const stored = await store.replace(snapshot, mine, noWinner, signal);
    expect(stored).toEqual({ record: mine, versionId: expect.stringMatching(/^[0-9a-f]{64}$/), superseded: false });
    expect(await versions()).toEqual([firstVersion, stored.versionId]);
    expect(await current()).toEqual({ id: stored.versionId, text: JSON.stringify(mine) });
    expect(count('PutSecretValue')).toBe(1);
  });

  it('makes the first version of a secret that has none', async () => {
    const { store, signal, versions } = await openStore();
    const { versionId } = await store.replace({}, mine, noWinner, signal);
    expect(await versions()).toEqual([versionId]);
  });

  it('gives different versions different successors', async () => {
    const { store, signal, snapshot, versions } = await openStoreWithRecord();
    await store.replace(snapshot, mine, noWinner, signal);
    await store.replace(await store.read(signal), theirs, noWinner, signal);
    expect(new Set(await versions()).size).toBe(3);
  });

  it('gives one version one successor: the second writer gets the token of the first', async () => {
    const { store, signal, snapshot, versions, count } = await openStoreWithRecord();
    const winner = await store.replace(snapshot, theirs, noWinner, signal);
    const loser = await store.replace(snapshot, mine, anyWinner, signal);
    expect(loser).toEqual({ record: theirs, versionId: winner.versionId, superseded: true });
    expect(await versions()).toHaveLength(2);
    expect(count('PutSecretValue')).toBe(2);
  });

  it('holds for the first version of a secret too', async () => {
    const { store, signal, versions } = await openStore();
    await store.replace({}, theirs, noWinner, signal);
    expect(await store.replace({}, mine, anyWinner, signal)).toMatchObject({ record: theirs, superseded: true });
    expect(await versions()).toHaveLength(1);
  });

  it('shows the winner’s record to whoever must be content with it', async () => {
    const { store, signal, snapshot } = await openStoreWithRecord();
    await store.replace(snapshot, theirs, noWinner, signal);
    const seen: string[] = [];
    await store.replace(
      snapshot,
      mine,
      ({ correlation_id }) => {
        seen.push(correlation_id);
        return true;
      },
      signal,
    );
    expect(seen).toEqual(['theirs']);
  });

  it('cannot get stuck when an operator moves AWSCURRENT back: the write is repeated under a random version id', async () => {
    const { store, signal, snapshot, operate, firstVersion, current } = await openStoreWithRecord();
    const { versionId } = await store.replace(snapshot, theirs, noWinner, signal);
    await operate('UpdateSecretVersionStage', {
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: firstVersion,
      RemoveFromVersionId: versionId,
    });
    const isNew = ({ correlation_id }: typeof mine) => correlation_id !== first.correlation_id;
    const stored = await store.replace(await store.read(signal), mine, isNew, signal);
    expect(stored).toEqual({ record: mine, versionId: RANDOM_VERSION, superseded: false });
    expect(await current()).toEqual({ id: RANDOM_VERSION, text: JSON.stringify(mine) });
  });

  it('replaces a foreign value that stands where the winner should be', async () => {
    const { store, signal, snapshot, putAside, current } = await openStoreWithRecord();
    await store.replace(snapshot, theirs, noWinner, signal);
    await putAside({ SecretString: 'hunter2' });
    expect(await store.replace(snapshot, mine, anyWinner, signal)).toMatchObject({ record: mine, superseded: false });
    expect((await current()).text).toBe(JSON.stringify(mine));
  });

  it('still makes one version when the answer to a write that succeeded gets lost and the SDK repeats it', async () => {
    let lost = 0;
    const { store, signal, snapshot, versions, count } = await openStoreWithRecord({
      attempts: 3,
      intercept: async (call, next, response) => {
        const answer = await next();
        if (call.operation !== 'PutSecretValue' || lost > 0) return answer;
        lost += 1;
        response.destroy();
        return undefined;
      },
    });
    expect(await store.replace(snapshot, mine, noWinner, signal)).toMatchObject({ record: mine, superseded: false });
    expect(count('PutSecretValue')).toBe(2);
    expect(await versions()).toHaveLength(2);
  });

  it('knows the version id even when AWS does not repeat it', async () => {
    const { store, signal, snapshot, current } = await openStoreWithRecord({
      intercept: async (call, next) => {
        const answer = await next();
        return call.operation === 'PutSecretValue' ? { status: 200, body: {} } : answer;
      },
    });
    const { versionId } = await store.replace(snapshot, mine, noWinner, signal);
    expect(versionId).toBe((await current()).id);
  });

  it('stores a record of exactly 65,536 bytes', async () => {
    const { store, signal, snapshot, current } = await openStoreWithRecord();
    const record = recordOfBytes(65_536);
    await store.replace(snapshot, record, noWinner, signal);
    expect((await current()).text).toHaveLength(65_536);
  });
});

describe('A token that cannot be stored', () => {
  it('is one byte too large: Secrets Manager is not what is broken, and trying again will not help', async () => {
    const { store, signal, snapshot, current } = await openStoreWithRecord();
    await expect(store.replace(snapshot, recordOfBytes(65_537), anyWinner, signal)).rejects.toMatchObject({
      code: 'TOKEN_STORE_UNAVAILABLE',
      what: expect.stringContaining('could not be written: InvalidParameterException'),
      remedy: expect.stringContaining('65,536 bytes'),
      retryable: false,
    });
    expect((await current()).text).toBe(JSON.stringify(first));
  });

  it('meets the version quota: trying again helps, once there is room', async () => {
    const { store, signal, snapshot, current } = await openStoreWithRecord({ versionQuota: 1 });
    await expect(store.replace(snapshot, mine, anyWinner, signal)).rejects.toMatchObject({
      code: 'TOKEN_STORE_QUOTA_EXCEEDED',
      what: expect.stringContaining('could not be written: LimitExceededException'),
      remedy: expect.stringContaining('more often than every ten minutes'),
      retryable: true,
    });
    expect((await current()).text).toBe(JSON.stringify(first));
  });

  it.each([
    ['AccessDeniedException', 'TOKEN_STORE_DENIED', false],
    ['EncryptionFailure', 'TOKEN_STORE_DENIED', false],
    ['ResourceNotFoundException', 'TOKEN_SECRET_MISSING', false],
    ['InvalidRequestException', 'TOKEN_SECRET_MISSING', false],
    ['ThrottlingException', 'TOKEN_STORE_THROTTLED', true],
    ['ValidationException', 'TOKEN_STORE_UNAVAILABLE', false],
  ])('is refused with %s: %s', async (type, code, retryable) => {
    const { store, signal, snapshot } = await openStoreWithRecord({
      intercept: async (call, next) => {
        if (call.operation === 'PutSecretValue') throw new AwsError(type, 'hunter2');
        return next();
      },
    });
    const error = await store.replace(snapshot, mine, anyWinner, signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, retryable, what: expect.stringContaining('could not be written') });
    expect(String(error)).not.toContain('hunter2');
  });

  it('lost to another writer whose token cannot be read', async () => {
    let puts = 0;
    const { store, signal, snapshot, versions } = await openStoreWithRecord({
      intercept: async (call, next) => {
        if (call.operation === 'GetSecretValue' && puts > 0) throw new AwsError('AccessDeniedException', 'no');
        if (call.operation === 'PutSecretValue') puts += 1;
        return next();
      },
    });
    await store.replace(snapshot, theirs, noWinner, signal);
    await expect(store.replace(snapshot, mine, anyWinner, signal)).rejects.toMatchObject({
      code: 'TOKEN_STORE_DENIED',
      what: expect.stringContaining('could not be read'),
    });
    expect(await versions()).toHaveLength(2);
  });
});

function recordOfBytes(bytes: number) {
  const empty = JSON.stringify({ ...mine, access_token: '' }).length;
  return { ...mine, access_token: 'x'.repeat(bytes - empty) };
}
