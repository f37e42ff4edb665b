import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { d1Answers } from '../broker/open-story.ts';
import { storedToken } from '../support/bank.ts';
import { type CapturedOutput, captureOutput } from '../telemetry/captured-output.ts';
import { allWell, openRotatingBank, type RotatingBank } from './rotating-bank.ts';

let bank: RotatingBank;
let output: CapturedOutput;
const open = async (...options: Parameters<typeof openRotatingBank>) => {
  bank = await openRotatingBank(...options);
  return bank;
};

beforeEach(() => {
  output = captureOutput();
});
afterEach(async () => {
  await bank.close();
  vi.restoreAllMocks();
});

type AwsCall = Parameters<Intercept>[0];
const movesCurrent = ({ operation, input }: AwsCall) =>
  operation === 'UpdateSecretVersionStage' && input['VersionStage'] === 'AWSCURRENT';
const takesPendingOff = ({ operation, input }: AwsCall) =>
  operation === 'UpdateSecretVersionStage' && input['VersionStage'] === 'AWSPENDING';
const reads = (version: string | undefined) => (call: AwsCall) =>
  call.operation === 'GetSecretValue' && call.input['SecretId'] === TOKEN_SECRET && call.input['VersionId'] === version;

/** Runs `first` before the next call that matches. */
function hurdle() {
  let armed: { matches: (call: AwsCall) => boolean; first: () => Promise<unknown> } | undefined;
  const intercept: Intercept = async (call, next) => {
    if (armed?.matches(call)) {
      const { first } = armed;
      armed = undefined;
      await first();
    }
    return await next();
  };
  return {
    intercept,
    arm(matches: (call: AwsCall) => boolean, first: () => Promise<unknown>) {
      armed = { matches, first };
    },
    get isArmed() {
      return armed !== undefined;
    },
  };
}

const lastReason = () => output.logs().at(-1)?.['reason'];

describe('a rotation whose token is no newer than the current one', () => {
  it('does not make a token current that has 14 s left in place of one with 814 s: the step comes late', async () => {
    const { sandbox, clock, container, rotate, step, labels } = await open({ byHand: true });
    await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    await step('testSecret', version);
    clock.advance(800_000);
    expect((await container().tick()).refreshed).toBe(true);
    clock.advance(86_000);
    const current = await storedToken(sandbox);

    expect(await step('finishSecret', version)).toBeUndefined();
    expect(lastReason()).toBe('overtaken');
    expect(await storedToken(sandbox)).toEqual(current);
    expect(await labels()).toMatchObject({ AWSCURRENT: current.versionId });
    expect(await labels()).not.toHaveProperty('AWSPENDING');
  });

  it('is done when its last step is repeated after a refresh: its version was current', async () => {
    const { clock, container, rotate, step, labels } = await open({ byHand: true });
    const { version } = await rotate();
    for (const name of ['createSecret', 'testSecret', 'finishSecret']) await step(name, version);
    clock.advance(800_000);
    const { version_id: refreshed } = await container().tick();

    await step('finishSecret', version);
    expect(lastReason()).toBe('overtaken');
    expect(await labels()).toEqual({ AWSCURRENT: refreshed, AWSPREVIOUS: version });
  });

  it('nor does a step that is repeated after a refresh, where AWSPENDING was left behind', async () => {
    const { sandbox, clock, container, rotate, step, labels } = await open({ byHand: true });
    const { version } = await rotate();
    for (const name of ['createSecret', 'testSecret', 'finishSecret']) await step(name, version);
    clock.advance(800_000);
    const { version_id: refreshed } = await container().tick();
    clock.advance(86_000);
    await sandbox.secretsManager.handle('UpdateSecretVersionStage', {
      SecretId: TOKEN_SECRET,
      VersionStage: 'AWSPENDING',
      MoveToVersionId: version,
    });

    await step('finishSecret', version);
    expect(lastReason()).toBe('overtaken');
    expect((await storedToken(sandbox)).versionId).toBe(refreshed);
    expect(await labels()).toEqual({ AWSCURRENT: refreshed, AWSPREVIOUS: version });
  });

  it('has only the label to take off when that could not be done at once', async () => {
    let denying = true;
    const { clock, container, rotate, step, labels } = await open({
      byHand: true,
      awsIntercept: async (call, next) => {
        if (denying && takesPendingOff(call)) throw new AwsError('AccessDeniedException', 'not now');
        return await next();
      },
    });
    const { version_id: first } = await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    clock.advance(800_000);
    const { version_id: refreshed } = await container().tick();
    await expect(step('finishSecret', version)).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED' });
    expect(await labels()).toEqual({ AWSCURRENT: refreshed, AWSPREVIOUS: first, AWSPENDING: version });
    denying = false;

    await step('finishSecret', version);
    expect(await labels()).toEqual({ AWSCURRENT: refreshed, AWSPREVIOUS: first });
  });

  it('gives way to a tick that stores a newer token just before AWSCURRENT is moved', async () => {
    const race = hurdle();
    const { clock, container, rotate, step, labels } = await open({ byHand: true, awsIntercept: race.intercept });
    const { version_id: first } = await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    clock.advance(700_000);
    let refreshed: string | undefined;
    race.arm(movesCurrent, async () => {
      refreshed = (await container().tick()).version_id;
    });

    await step('finishSecret', version);
    expect(race.isArmed).toBe(false);
    expect(lastReason()).toBe('overtaken');
    expect(await labels()).toEqual({ AWSCURRENT: refreshed, AWSPREVIOUS: first });
  });

  it('ends well, with the current token as it is, where D1 gives one token until it dies', async () => {
    const { sandbox, container, rotate, reports, labels } = await open({ tokenReuseUntilSeconds: 0 });
    await container().tick();
    const current = await storedToken(sandbox);
    await rotate();

    expect(reports).toEqual(allWell);
    expect(lastReason()).toBe('overtaken');
    expect(await storedToken(sandbox)).toEqual(current);
    expect(await labels()).toEqual({ AWSCURRENT: current.versionId });
  });

  it('makes the later end current that D1 promises the same token', async () => {
    let promised = 600;
    const { sandbox, container, rotate, reports, labels } = await open({
      tokenReuseUntilSeconds: 0,
      d1Intercept: d1Answers((body) => {
        body['expires_in'] = promised;
      }),
    });
    await container().tick();
    const { record } = await storedToken(sandbox);
    promised = 900;
    await rotate();

    expect(reports).toEqual(allWell);
    expect(lastReason()).toBe('finishSecret');
    const current = await storedToken(sandbox);
    expect(current.record['access_token'] === record['access_token']).toBe(true);
    expect(current.record['expires_at']).toBeGreaterThanOrEqual(Number(record['expires_at']) + 300);
    expect(await labels()).toMatchObject({ AWSCURRENT: current.versionId });
  });

  it('keeps the first record of the token that D1 gives again', async () => {
    const { sandbox, clock, container, rotate, step } = await open({ byHand: true, tokenReuseUntilSeconds: 0 });
    await container().tick();
    const { record } = await storedToken(sandbox);
    clock.advance(100_000);
    const { version } = await rotate();
    await step('createSecret', version);
    const pending = await sandbox.secretsManager.handle('GetSecretValue', {
      SecretId: TOKEN_SECRET,
      VersionId: version,
    });

    expect(JSON.parse(String(pending['SecretString'])).obtained_at).toBe(record['obtained_at']);
  });

  it('leaves the way free for the next rotation', async () => {
    const { clock, container, rotate, step, labels } = await open({ byHand: true });
    await container().tick();
    const late = await rotate();
    await step('createSecret', late.version);
    clock.advance(800_000);
    await container().tick();
    await step('finishSecret', late.version);
    const next = await rotate();
    for (const name of ['createSecret', 'testSecret', 'finishSecret']) await step(name, next.version);

    expect(lastReason()).toBe('finishSecret');
    expect(await labels()).toMatchObject({ AWSCURRENT: next.version });
  });
});

describe('a step', () => {
  it.each(['createSecret', 'setSecret', 'testSecret', 'finishSecret'])('%s is told by its name', async (name) => {
    const { rotate, step } = await open({ byHand: true });
    const { version } = await rotate();
    if (name !== 'createSecret') await step('createSecret', version);
    output.clear();
    await step(name, version);

    expect(lastReason()).toBe(name);
    const measured = output.logs().at(-1)?.['step_milliseconds'];
    if (name === 'createSecret') expect(measured).toHaveProperty('write_secret');
  });

  it('takes a label that was left behind off its own version only when it is the last one', async () => {
    let denying = true;
    const { container, rotate, step, labels } = await open({
      byHand: true,
      awsIntercept: async (call, next) => {
        if (denying && takesPendingOff(call)) throw new AwsError('AccessDeniedException', 'not now');
        return await next();
      },
    });
    const { version_id: first } = await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    await expect(step('finishSecret', version)).rejects.toMatchObject({ code: 'TOKEN_STORE_DENIED' });
    denying = false;
    for (const name of ['createSecret', 'setSecret', 'testSecret']) await step(name, version);
    expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: first, AWSPENDING: version });
    await step('finishSecret', version);
    expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: first });
  });
});

describe('a last step that is invoked twice at once', () => {
  it.each([
    ['moved AWSCURRENT', false],
    ['moved AWSCURRENT and taken AWSPENDING off', true],
  ])('is done when the other one has %s: it was not overtaken', async (_what, finishRemovesPending) => {
    const race = hurdle();
    const { sandbox, container, rotate, step, labels } = await open({
      byHand: true,
      secretsManager: { finishRemovesPending },
      awsIntercept: race.intercept,
    });
    const { version_id: from } = await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    race.arm(reads(undefined), () =>
      sandbox.secretsManager.handle('UpdateSecretVersionStage', {
        SecretId: TOKEN_SECRET,
        VersionStage: 'AWSCURRENT',
        RemoveFromVersionId: from,
        MoveToVersionId: version,
      }),
    );

    await step('finishSecret', version);
    expect(race.isArmed).toBe(false);
    expect(lastReason()).toBe('finishSecret');
    expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: from });
  });

  it('does not take the secret for a deleted one when the other is done sooner; repeated, it is done', async () => {
    const race = hurdle();
    const { container, rotate, step, labels } = await open({ byHand: true, awsIntercept: race.intercept });
    const { version_id: from } = await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    race.arm(reads(version), () => step('finishSecret', version));

    await expect(step('finishSecret', version)).rejects.toMatchObject({ code: 'ROTATION_FAILED', retryable: true });
    await step('finishSecret', version);
    expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: from });
  });
});

describe('the budget of forced writes', () => {
  it('outlives a rotation', async () => {
    const { sandbox, clock, container, rotate } = await open();
    const lambda = container();
    await lambda.tick();
    clock.advance(60_000);
    await lambda.token({ force: true });
    const settledAt = (await storedToken(sandbox)).record['forced_writes_settled_at'];
    expect(settledAt).toBe(Math.floor(clock.now() / 1000) + 7_200);
    const { version, outcome } = await rotate();

    expect(outcome).toBe('succeeded');
    expect(await storedToken(sandbox)).toMatchObject({
      versionId: version,
      record: { forced_writes_settled_at: settledAt },
    });
  });
});
