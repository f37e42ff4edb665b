import { describe, expect, it } from 'vitest';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import {
  certificateRead,
  d1Refuses,
  existenceCheck,
  openStory,
  readOnly,
  refreshCalls,
  refusing,
  secondWrite,
} from './open-story.ts';

describe('A tick of the schedule', () => {
  it('fills an empty secret, and answers with when the token dies, never with the token', async () => {
    const { container, calls, stored, clock, warnings } = await openStory();
    const answer = await container().tick();
    const { versionId, record } = await stored();
    expect(answer).toEqual({
      refreshed: true,
      reason: 'missing',
      expires_at: Math.floor(clock.now() / 1000) + 900,
      version_id: versionId,
    });
    expect(record).toMatchObject({ expires_at: answer.expires_at, issuer_id: 'ISSUER0001', key_id: 'sandbox-key-1' });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead, ...existenceCheck });
    expect(warnings()).toEqual([]);
  });

  it('says why it asked D1, also when the stored token has died meanwhile', async () => {
    const { container, clock, store, recordOf, faults } = await openStory();
    await store(recordOf(899));
    faults.d1 = async (_request, next) => {
      clock.advance(2_000);
      return next();
    };
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'due' });
  });

  it('that finds the token fresh costs one read, and nothing else', async () => {
    const { container, calls, stored } = await openStory();
    const lambda = container();
    await lambda.tick();
    const before = await stored();
    calls();
    const answer = await lambda.tick();
    expect(answer).toMatchObject({ refreshed: false, reason: 'fresh', version_id: before.versionId });
    expect(calls()).toEqual(readOnly);
    expect(await stored()).toEqual(before);
  });

  it('refreshes when exactly the window is left, not a second sooner, with one call of each kind', async () => {
    const { container, calls, clock, versionCount } = await openStory();
    const lambda = container();
    await lambda.tick();
    calls();
    clock.advance(599_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    expect(calls()).toEqual(readOnly);
    clock.advance(1_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect(calls()).toEqual(refreshCalls);
    expect(await versionCount()).toBe(2);
  });

  it('keeps to the refresh window of the configuration', async () => {
    const { container, clock } = await openStory();
    const lambda = container({ environment: { D1_REFRESH_WINDOW_SECONDS: '30' } });
    await lambda.tick();
    clock.advance(869_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: false });
    clock.advance(1_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
  });

  it('does not refresh a short-lived token before half of its life is over', async () => {
    const { container, clock } = await openStory({ tokenLifetimeSeconds: 120 });
    const lambda = container();
    await lambda.tick();
    clock.advance(59_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    clock.advance(1_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
  });

  it('replaces a token that has expired', async () => {
    const { container, clock, calls } = await openStory();
    const lambda = container();
    await lambda.tick();
    calls();
    clock.advance(900_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'expired' });
    expect(calls()).toEqual(refreshCalls);
  });

  it('looks into the secret, not into its memory: a token that was lost from there is stored again, for no exchange', async () => {
    const { container, putAside, clock, calls } = await openStory();
    const lambda = container();
    await lambda.tick();
    clock.advance(11_000);
    await putAside({ SecretString: ' ' });
    calls();
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'missing' });
    // It was current before, so a second read shows whether Secrets Manager took it for a write.
    expect(calls()).toEqual({ 'GetSecretValue d1/access-token': 2, 'PutSecretValue d1/access-token': 1 });
  });

  it('that comes twice leaves the token that came last in the secret: the loser of the swap stores its own when it is no older', async () => {
    const { container, calls, store, recordOf, versionCount, stored, faults, clock } = await openStory();
    await store(recordOf(700));
    const twice = [container(), container()];
    // No container writes before both have read.
    const bothHaveRead = Promise.withResolvers<void>();
    let reads = 0;
    faults.aws = async (call, next) => {
      if (call.operation === 'PutSecretValue') await bothHaveRead.promise;
      const answer = await next();
      if (call.operation === 'GetSecretValue' && call.input['SecretId'] === TOKEN_SECRET) reads += 1;
      if (reads === 2) bothHaveRead.resolve();
      return answer;
    };
    const answers = await Promise.all(twice.map((lambda) => lambda.tick()));
    expect(answers).toEqual([
      expect.objectContaining({ reason: 'due', refreshed: true }),
      expect.objectContaining({ reason: 'due', refreshed: true }),
    ]);
    const { versionId } = await stored();
    expect(answers.map(({ version_id }) => version_id)).toContain(versionId);
    expect(await versionCount()).toBe(3);
    expect(calls()).toMatchObject({ 'PutSecretValue d1/access-token': 3, 'GetSecretValue d1/access-token': 3 });
    // They do not take turns.
    for (const lambda of [...twice, ...twice]) {
      clock.advance(30_000);
      expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    }
  });

  it('that comes twice is content with the winner’s token when that is newer than its own', async () => {
    const { container, store, recordOf, versionCount, clock, faults } = await openStory();
    await store(recordOf(700));
    const [slow, quick] = [container(), container()];
    const writing = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    faults.aws = async (call, next) => {
      if (call.operation !== 'PutSecretValue') return next();
      faults.aws = undefined;
      writing.resolve();
      await goOn.promise;
      return next();
    };
    const late = slow.tick();
    await writing.promise;
    clock.advance(5_000);
    expect(await quick.tick()).toMatchObject({ reason: 'due', refreshed: true });
    goOn.resolve();
    expect(await late).toMatchObject({ reason: 'superseded', refreshed: false });
    expect(await versionCount()).toBe(2);
  });

  it('gets through when an operator has moved AWSCURRENT back to a version that had a successor', async () => {
    const { container, clock, stored, sandbox, versionCount } = await openStory();
    const lambda = container();
    await lambda.tick();
    const first = await stored();
    clock.advance(600_000);
    await lambda.tick();
    const second = await stored();
    await sandbox.secretsManager.handle('UpdateSecretVersionStage', {
      SecretId: TOKEN_SECRET,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: first.versionId,
      RemoveFromVersionId: second.versionId,
    });
    clock.advance(11_000);
    const answer = await lambda.tick();
    expect(answer).toMatchObject({ refreshed: true, reason: 'due' });
    expect((await stored()).versionId).toBe(answer.version_id);
    expect(await versionCount()).toBe(3);
  });
});

describe('A foreign value in the token secret', () => {
  it.each([
    ['a password', { SecretString: 'hunter2' }],
    ['another service’s JSON', { SecretString: '{"username":"bank","password":"hunter2"}' }],
    ['bytes', { SecretBinary: Buffer.from('hunter2').toString('base64') }],
  ])('(%s) is warned of, then replaced, and stays readable as AWSPREVIOUS', async (_what, value) => {
    const { container, calls, putAside, warnings, faults, sandbox, stored } = await openStory();
    await putAside(value);
    const beforeTheWrite: string[] = [];
    faults.aws = (call, next) => {
      if (call.operation === 'PutSecretValue') beforeTheWrite.push(...warnings());
      return next();
    };
    const answer = await container().tick();
    expect(answer).toMatchObject({ refreshed: true, reason: 'foreign' });
    expect(beforeTheWrite).toEqual(['TOKEN_SECRET_FOREIGN']);
    expect(warnings()).toEqual([]);
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
    expect((await stored()).versionId).toBe(answer.version_id);
    const previous = { SecretId: TOKEN_SECRET, VersionStage: 'AWSPREVIOUS' };
    expect(await sandbox.secretsManager.handle('GetSecretValue', previous)).toMatchObject(value);
  });

  it('may be the token of another issuer: it is not handed out', async () => {
    const { container, store, recordOf, warnings } = await openStory();
    const foreign = { ...recordOf(0), issuer_id: 'ISSUER0002' };
    await store(foreign);
    const answer = await container().token();
    expect(answer).toMatchObject({ source: 'exchange', issuer_id: 'ISSUER0001' });
    expect(answer.access_token).not.toBe(foreign.access_token);
    expect(warnings()).toEqual(['TOKEN_SECRET_FOREIGN']);
  });
});

describe('A tick that fails', () => {
  it('because the secret cannot be read makes no token: where would it go?', async () => {
    const { container, calls, faults, warnings } = await openStory();
    faults.aws = refusing('GetSecretValue', 'AccessDeniedException');
    await expect(container().tick()).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED', issuerId: 'ISSUER0001' });
    expect(calls()).toEqual(readOnly);
    // Its error says it once; a warning would say it again.
    expect(warnings()).toEqual([]);
  });

  it('because D1 says no fails loudly although the stored token still lives, and leaves it where it is', async () => {
    const { container, calls, faults, store, recordOf, stored } = await openStory();
    await store(recordOf(700));
    const before = await stored();
    faults.d1 = d1Refuses;
    await expect(container().tick()).rejects.toMatchObject({
      code: 'TOKEN_ENDPOINT_REJECTED',
      issuerId: 'ISSUER0001',
      correlationId: expect.stringMatching(/./),
    });
    expect(calls()).toEqual({ ...readOnly, ...certificateRead, Sign: 1, 'oauth2/token': 1 });
    expect(await stored()).toEqual(before);
  });

  it('because the token cannot be stored fails loudly, and the next one stores that token without asking D1 again', async () => {
    const { container, calls, faults, store, recordOf, stored, clock } = await openStory();
    await store(recordOf(700));
    const before = await stored();
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'EncryptionFailure');
    await expect(lambda.tick()).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED' });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
    expect(await stored()).toEqual(before);

    clock.advance(60_000);
    await expect(lambda.tick()).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED' });
    expect(calls()).toEqual({ ...readOnly, 'PutSecretValue d1/access-token': 1 });

    faults.aws = undefined;
    clock.advance(60_000);
    const answer = await lambda.tick();
    expect(answer).toMatchObject({ refreshed: true, reason: 'due' });
    expect(calls()).toEqual(secondWrite);
    const obtainedAt = Math.floor(clock.now() / 1000) - 120;
    expect((await stored()).record).toMatchObject({ obtained_at: obtainedAt, expires_at: obtainedAt + 900 });

    clock.advance(60_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh', version_id: answer.version_id });
  });

  it('leaves a token that could not be stored and is due itself by now where it is, and asks D1 for a new one', async () => {
    const { container, calls, faults, clock, stored } = await openStory();
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'EncryptionFailure');
    await expect(lambda.tick()).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED' });
    faults.aws = undefined;
    calls();
    clock.advance(600_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'missing' });
    expect(calls()).toEqual({ ...refreshCalls, ...existenceCheck });
    expect((await stored()).record).toMatchObject({ obtained_at: Math.floor(clock.now() / 1000) });
  });

  it('that was made good by the next one is over: what could not be stored is not handed out later', async () => {
    const { container, calls, faults, clock } = await openStory();
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'EncryptionFailure');
    await expect(lambda.tick()).rejects.toThrow();
    faults.aws = undefined;
    await lambda.tick();
    clock.advance(100_000);
    calls();
    // A forced call must not be given the token that the failed write left behind.
    expect(await lambda.token({ force: true })).toMatchObject({ source: 'exchange', expires_in: 900 });
    expect(calls()).toEqual(refreshCalls);
  });
});
