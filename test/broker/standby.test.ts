import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AwsError, type Intercept as AwsIntercept } from '../../sandbox/aws/server.ts';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { CheckReport } from '../../src/shared/check-report.ts';
import type { TokenRecord } from '../../src/shared/token-record.ts';
import { d1Refuses, fingerprint, openStory } from './open-story.ts';

const REPLICA = 'd1/primary/access-token';
const environment = { D1_PRIMARY_TOKEN_SECRET_ID: REPLICA };

/** A bank's second Region: a token secret of its own, and the replica of the first one's. */
async function openSecondRegion() {
  const story = await openStory();
  const operate = (operation: string, input: Record<string, unknown>) =>
    story.sandbox.secretsManager.handle(operation, { ...input, ClientRequestToken: randomUUID() });
  await operate('CreateSecret', { Name: REPLICA });
  return {
    ...story,
    container: () => story.container({ environment }),
    /** The primary stores a token, and it comes here. */
    replicate: (record: TokenRecord) =>
      operate('PutSecretValue', { SecretId: REPLICA, SecretString: JSON.stringify(record) }),
  };
}

const named = (record: TokenRecord, access_token: string): TokenRecord => ({ ...record, access_token });

const replicaRefuses: AwsIntercept = async (call, next) => {
  if (call.input['SecretId'] === REPLICA) throw new AwsError('AccessDeniedException', 'refused by the test');
  return next();
};

describe('The tick of a standby', () => {
  it('copies the token of the primary, and does not ask D1', async () => {
    const { container, replicate, recordOf, stored, calls, warnings } = await openSecondRegion();
    await replicate(named(recordOf(60), 'of-the-primary'));
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'copied' });
    expect((await stored()).record).toMatchObject({ access_token: fingerprint('of-the-primary') });
    expect(calls()).not.toHaveProperty('oauth2/token');
    expect(warnings()).toEqual([]);
  });

  it('that has the token of the primary costs two reads, and nothing else', async () => {
    const { container, replicate, recordOf, calls } = await openSecondRegion();
    await replicate(recordOf(60));
    const lambda = container();
    await lambda.tick();
    calls();
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    expect(calls()).toEqual({ [`GetSecretValue ${TOKEN_SECRET}`]: 1, [`GetSecretValue ${REPLICA}`]: 1 });
  });

  it.each([60, 300, 700])('copies a newer one that is %i s old, however young the one before is', async (age) => {
    const { container, replicate, recordOf, store, stored } = await openSecondRegion();
    await store(recordOf(age + 1));
    await replicate(recordOf(age));
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'copied' });
    const { record } = await stored();
    expect(record).toMatchObject({ access_token: fingerprint(`obtained-${age}-seconds-ago`) });
    // The primary has paid for it.
    expect(record).not.toHaveProperty('forced_writes_settled_at');
  });

  it('leaves a newer token of its own as it is: the newer of both wins', async () => {
    const { container, replicate, recordOf, store, stored } = await openSecondRegion();
    await replicate(recordOf(400));
    const own = await store(recordOf(30));
    expect(await container().tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    expect((await stored()).versionId).toBe(own);
  });

  it('asks D1 when the newest token has 120 s left, not a second sooner, and says so', async () => {
    const { container, replicate, recordOf, clock, stored, warnings } = await openSecondRegion();
    await replicate(recordOf(0));
    const lambda = container();
    await lambda.tick();
    clock.advance(779_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    expect(warnings()).toEqual([]);
    clock.advance(1_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect(warnings()).toEqual(['PRIMARY_TOKEN_UNAVAILABLE']);
    expect((await stored()).record).not.toMatchObject({ access_token: fingerprint('obtained-0-seconds-ago') });
  });

  it('copies again when the primary is back', async () => {
    const { container, replicate, recordOf, clock, stored } = await openSecondRegion();
    const lambda = container();
    await replicate(recordOf(0));
    await lambda.tick();
    clock.advance(780_000);
    await lambda.tick();
    clock.advance(60_000);
    await replicate(named(recordOf(0), 'after-it-came-back'));
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'copied' });
    expect((await stored()).record).toMatchObject({ access_token: fingerprint('after-it-came-back') });
  });

  it('is kept from nothing by a replica that cannot be read', async () => {
    const { container, faults, warnings } = await openSecondRegion();
    faults.aws = replicaRefuses;
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'missing' });
    expect(warnings()).toContain('PRIMARY_TOKEN_UNAVAILABLE');
  });

  it('takes no token of another issuer, and none that has died', async () => {
    const { container, replicate, recordOf, warnings } = await openSecondRegion();
    await replicate({ ...recordOf(0), issuer_id: 'ISSUER0002' });
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'missing' });
    expect(warnings()).toEqual(['PRIMARY_TOKEN_UNAVAILABLE', 'PRIMARY_TOKEN_UNAVAILABLE']);
    await replicate(recordOf(901));
    expect(await container().tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
  });

  it('stores what another container has stored already only once', async () => {
    const { container, replicate, recordOf, versionCount } = await openSecondRegion();
    await replicate(recordOf(0));
    const [one, other] = [container(), container()];
    const [first, second] = await Promise.all([one.tick(), other.tick()]);
    expect(second.version_id).toBe(first.version_id);
    expect(await versionCount()).toBe(1);
  });

  it('copies anew after an operator has moved AWSCURRENT back', async () => {
    const { container, replicate, recordOf, store, stored, clock, sandbox } = await openSecondRegion();
    const before = await store(recordOf(500));
    await replicate(recordOf(0));
    const lambda = container();
    const { version_id } = await lambda.tick();
    await sandbox.secretsManager.handle('UpdateSecretVersionStage', {
      SecretId: TOKEN_SECRET,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: before,
      RemoveFromVersionId: version_id,
    });
    clock.advance(11_000);
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'copied' });
    expect((await stored()).record).toMatchObject({ access_token: fingerprint('obtained-0-seconds-ago') });
  });
});

describe('A rotation of the secret of a standby', () => {
  it('does not ask D1 while the copied token is good', async () => {
    const { container, replicate, recordOf, sandbox, calls, stored } = await openSecondRegion();
    await replicate(named(recordOf(60), 'of-the-primary'));
    const lambda = container();
    await lambda.tick();
    const ClientRequestToken = randomUUID();
    await sandbox.secretsManager.handle('RotateSecret', {
      SecretId: TOKEN_SECRET,
      ClientRequestToken,
      RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
    });
    for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
      await lambda.send({ Step, SecretId: TOKEN_SECRET, ClientRequestToken });
    }
    expect(calls()).not.toHaveProperty('oauth2/token');
    expect((await stored()).record).toMatchObject({ access_token: fingerprint('of-the-primary') });
  });
});

describe('A direct caller of a standby', () => {
  it('whose token was refused gets the one of the primary before D1 is asked', async () => {
    const { container, replicate, recordOf, store, stored, calls } = await openSecondRegion();
    const refused = recordOf(300);
    await store(refused);
    const lambda = container();
    await lambda.token();
    await replicate(named(recordOf(10), 'of-the-primary'));
    const answer = await lambda.token({ newer_than: refused.obtained_at });
    expect(answer).toMatchObject({ access_token: fingerprint('of-the-primary') });
    expect((await stored()).record).toMatchObject({ access_token: fingerprint('of-the-primary') });
    expect(calls()).not.toHaveProperty('oauth2/token');
  });

  it('gets one from D1 when the replica has nothing newer', async () => {
    const { container, replicate, recordOf } = await openSecondRegion();
    const refused = recordOf(300);
    await replicate(refused);
    expect(await container().token({ newer_than: refused.obtained_at })).toMatchObject({ source: 'exchange' });
  });

  it('gets the token of the primary when this Region’s secret cannot be read and D1 says no', async () => {
    const { container, replicate, recordOf, faults, warnings } = await openSecondRegion();
    await replicate(named(recordOf(10), 'of-the-primary'));
    faults.d1 = d1Refuses;
    faults.aws = async (call, next) => {
      if (call.input['SecretId'] === TOKEN_SECRET) throw new AwsError('AccessDeniedException', 'refused by the test');
      return next();
    };
    expect(await container().token()).toMatchObject({ access_token: fingerprint('of-the-primary'), source: 'memory' });
    expect(warnings()).toContain('TOKEN_STORE_DENIED');
  });
});

describe('A check of a standby', () => {
  const factsOf = (report: unknown) =>
    (report as CheckReport).steps.map((step) => ('facts' in step ? step.facts : {}))[0];

  it('tells what the replica holds, how old that is, and what is left of the token', async () => {
    const { container, replicate, recordOf, clock } = await openSecondRegion();
    await replicate(recordOf(60));
    clock.advance(30_000);
    expect(factsOf(await container().send({ action: 'check', exchange: false }))).toMatchObject({
      holds: 'nothing',
      replica_holds: 'token',
      replica_age_seconds: 30,
      replica_seconds_left: 810,
    });
  });

  it('does not fail by a replica that cannot be read', async () => {
    const { container, faults } = await openSecondRegion();
    faults.aws = replicaRefuses;
    const report = await container().send({ action: 'check', exchange: false });
    expect(report).toMatchObject({ passed: true });
    expect(factsOf(report)).toMatchObject({ replica_holds: 'unreadable', replica_error_code: 'TOKEN_STORE_DENIED' });
  });
});
