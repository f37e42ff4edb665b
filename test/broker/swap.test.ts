import { describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { tokenDigest } from '../../src/shared/token-digest.ts';
import { d1Refuses, openStory, refusing, secondWrite } from './open-story.ts';

// One version has one successor: what that means for whoever finds it taken.

describe('A version whose successor exists already, though it is current', () => {
  it('because an operator moves AWSCURRENT back again and again, keeps a tick from storing twice; then it says whom to find', async () => {
    const { container, clock, store, recordOf, stored, versionCount, warnings, calls, sandbox } = await openStory();
    const first = await store(recordOf(700));
    const lambda = container();
    const movedBack = async () => {
      const { versionId } = await stored();
      await sandbox.secretsManager.handle('UpdateSecretVersionStage', {
        SecretId: TOKEN_SECRET,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: first,
        RemoveFromVersionId: versionId,
      });
      clock.advance(11_000);
    };
    for (let written = 2; written <= 4; written += 1) {
      const answer = await lambda.tick();
      expect(answer).toMatchObject({ refreshed: true, reason: 'due' });
      expect((await stored()).versionId).toBe(answer.version_id);
      expect(await versionCount()).toBe(written);
      await movedBack();
    }
    calls();
    const skipped = clock.skipped.length;
    await expect(lambda.tick()).rejects.toMatchObject({
      code: 'TOKEN_STORE_UNAVAILABLE',
      what: expect.stringContaining(TOKEN_SECRET),
      remedy: expect.stringContaining('AWSCURRENT'),
      retryable: true,
    });
    // Each time it was not the winner that could not be read yet.
    const delays = [200, 400, 800, 1_600, 3_200];
    expect(clock.skipped.slice(skipped)).toEqual([...delays, ...delays, ...delays]);
    expect(calls()).toMatchObject({ 'PutSecretValue d1/access-token': 3, 'GetSecretValue d1/access-token': 1 + 18 });
    expect(warnings()).toEqual([]);
  });
});

describe('The winner of a swap', () => {
  it('is waited for while a read still shows the version that it replaced', async () => {
    const { container, clock, store, recordOf, faults, sandbox, versionCount } = await openStory();
    await store(recordOf(700));
    const before = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
    const [lambda, other] = [container(), container()];
    let staleReads = 0;
    faults.aws = async (call, next) => {
      if (call.operation === 'PutSecretValue') {
        faults.aws = undefined;
        clock.advance(2_000);
        await other.tick();
        staleReads = 3;
        faults.aws = async (later, read) => {
          if (later.operation !== 'GetSecretValue' || staleReads === 0) return read();
          staleReads -= 1;
          return { status: 200, body: before };
        };
      }
      return next();
    };
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'superseded' });
    expect(clock.skipped.slice(-3)).toEqual([200, 400, 800]);
    expect(await versionCount()).toBe(2);
  });
});

describe('A token that is in memory alone', () => {
  it('is tried again by the first caller after ten seconds, which is told where its token came from', async () => {
    const { container, clock, store, recordOf, faults, warnings, stored, calls } = await openStory();
    await store(recordOf(880));
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'EncryptionFailure');
    const { access_token } = await lambda.token();
    warnings();
    clock.advance(10_000);
    expect(await lambda.token()).toMatchObject({ access_token, source: 'memory' });
    expect(warnings()).toEqual(['TOKEN_STORE_DENIED']);
    faults.aws = undefined;
    clock.advance(10_000);
    calls();
    expect(await lambda.token()).toMatchObject({ access_token, source: 'secret' });
    expect(calls()).toEqual(secondWrite);
    expect((await stored()).record).toMatchObject({ access_token });
  });
});

describe('A token whose write failed', () => {
  it('when a tick obtained it, is stored for the first caller, though another was served from the secret a moment ago', async () => {
    const { container, clock, store, recordOf, faults, calls } = await openStory();
    await store(recordOf(595));
    const lambda = container();
    expect(await lambda.token()).toMatchObject({ source: 'secret' });
    clock.advance(6_000);
    faults.aws = refusing('PutSecretValue', 'InternalServiceError');
    await expect(lambda.tick()).rejects.toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE' });
    faults.aws = undefined;
    calls();
    expect(await lambda.token()).toMatchObject({ source: 'secret' });
    expect(calls()).toEqual(secondWrite);
  });

  it('is stored minutes later, when Secrets Manager is well again, for no other exchange: a new one would be younger by little', async () => {
    const { container, clock, store, recordOf, faults, stored, calls } = await openStory();
    await store(recordOf(100));
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'InternalServiceError');
    const { access_token } = await lambda.token({ force: true });
    faults.aws = undefined;
    clock.advance(300_000);
    calls();
    await lambda.tick();
    expect(calls()).toEqual(secondWrite);
    expect((await stored()).record).toMatchObject({ access_token });
  });

  it('and that has died is forgotten for the stored one, which was obtained before it and lives longer', async () => {
    const { container, clock, store, recordOf, faults } = await openStory({ tokenLifetimeSeconds: 30 });
    const older = recordOf(100);
    await store(older);
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'InternalServiceError');
    await lambda.token({ newer_than: older.obtained_at });
    faults.d1 = d1Refuses;
    clock.advance(30_000);
    expect(await lambda.token()).toMatchObject({ obtained_at: older.obtained_at, source: 'secret' });
  });
});

describe('A token whose write was done, though the answer got lost', () => {
  it('is written again when AWSCURRENT was moved back meanwhile: the same value under the same name is no write', async () => {
    const { container, clock, store, recordOf, stored, faults, sandbox } = await openStory();
    const first = await store(recordOf(700));
    const lambda = container();
    faults.aws = async (call, next) => {
      const answer = await next();
      if (call.operation === 'PutSecretValue') throw new AwsError('InternalServiceError', 'lost by the test', 500);
      return answer;
    };
    await expect(lambda.tick()).rejects.toMatchObject({ code: 'TOKEN_STORE_UNAVAILABLE' });
    faults.aws = undefined;
    const { versionId: lost } = await stored();
    expect(lost).not.toBe(first);
    await sandbox.secretsManager.handle('UpdateSecretVersionStage', {
      SecretId: TOKEN_SECRET,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: first,
      RemoveFromVersionId: lost,
    });
    clock.advance(11_000);
    const answer = await lambda.tick();
    expect(answer).toMatchObject({ refreshed: true });
    expect((await stored()).versionId).toBe(answer.version_id);
  });
});

describe('A token that was just obtained', () => {
  it('is stored also when a slow D1 has left little of its short life', async () => {
    const { container, clock, faults, calls } = await openStory({ tokenLifetimeSeconds: 60 });
    faults.d1 = async (_request, next) => {
      const answer = await next();
      clock.advance(18_000);
      return answer;
    };
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'missing' });
    expect(calls()).toMatchObject({ 'oauth2/token': 1, 'PutSecretValue d1/access-token': 1 });
  });

  it('while an older one is being written, is not forgotten when that write is done', async () => {
    const { container, clock, store, recordOf, faults, stored } = await openStory();
    await store(recordOf(700));
    const lambda = container();
    const isWriting = Promise.withResolvers<void>();
    const hasObtained = Promise.withResolvers<void>();
    faults.aws = async (call, next) => {
      if (call.operation === 'PutSecretValue') {
        faults.aws = undefined;
        isWriting.resolve();
        await hasObtained.promise;
      }
      return next();
    };
    const tick = lambda.tick();
    await isWriting.promise;
    const obtainedAt = Math.floor(clock.now() / 1000);
    clock.advance(2_000);
    faults.d1 = async (_request, next) => {
      const answer = await next();
      setImmediate(() => setImmediate(hasObtained.resolve));
      return answer;
    };
    const answer = await lambda.token({ newer_than: obtainedAt });
    await tick;
    expect(answer.obtained_at).toBeGreaterThan(obtainedAt);
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });
});

describe('A moment that lies more than a minute ahead', () => {
  it('was written by a wrong clock: the digest alone tells which token was refused', async () => {
    const { container, clock, store, recordOf, calls } = await openStory();
    const now = Math.floor(clock.now() / 1000);
    const record = recordOf(100);
    await store(record);
    const lambda = container();
    const other = tokenDigest('another token');
    expect(await lambda.token({ newer_than: now + 300, refused: other })).toMatchObject({ source: 'secret' });
    expect(calls()).not.toHaveProperty('oauth2/token');
    const refused = tokenDigest(record.access_token);
    expect(await lambda.token({ newer_than: now + 300, refused })).toMatchObject({ source: 'exchange' });
  });
});
