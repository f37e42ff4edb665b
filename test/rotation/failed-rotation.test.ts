import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { type Sandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { TickAnswer } from '../../src/events.ts';
import { storedToken } from '../support/bank.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { captureOutput } from '../telemetry/captured-output.ts';
import { allWell, openRotatingBank, type RotatingBank, STEPS } from './rotating-bank.ts';

let bank: RotatingBank;
const open = async (...options: Parameters<typeof openRotatingBank>) => {
  bank = await openRotatingBank(...options);
  return bank;
};

beforeEach(() => {
  captureOutput();
});
afterEach(async () => {
  await bank.close();
  vi.restoreAllMocks();
});

/** Writes behind the broker's back: somebody else's hand. */
const put = (sandbox: Sandbox, version: string, text: string, stage: string) =>
  sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: version,
    SecretString: text,
    VersionStages: [stage],
  });

const somebodyMovesCurrent = async (sandbox: Sandbox) => {
  const { record } = await storedToken(sandbox);
  await put(sandbox, randomUUID(), JSON.stringify({ ...record, moved: randomUUID() }), 'AWSCURRENT');
};

const withdrawPending = (sandbox: Sandbox, version: string) =>
  sandbox.secretsManager.handle('UpdateSecretVersionStage', {
    SecretId: TOKEN_SECRET,
    VersionStage: 'AWSPENDING',
    RemoveFromVersionId: version,
  });

const isFinish: (...call: Parameters<Intercept>) => boolean = ({ operation, input }) =>
  operation === 'UpdateSecretVersionStage' && input['VersionStage'] === 'AWSCURRENT';

describe('a rotation', () => {
  describe('during which D1 is down', () => {
    it('fails, and ends well when it is repeated; nothing is left pending', async () => {
      let isDown = false;
      const { sandbox, container, rotate, labels, reports } = await open({
        d1Intercept: async (_request, next) =>
          isDown ? { status: 503, headers: {}, body: '', outcome: 'down' } : await next(),
      });
      await container().tick();
      const before = await storedToken(sandbox);
      isDown = true;
      const { version, outcome } = await rotate();

      expect(outcome).toBe('failed');
      expect(reports).toEqual([
        {
          step: 'createSecret',
          code: 'TOKEN_ENDPOINT_UNREACHABLE',
          what: 'The token endpoint is not available: HTTP 503.',
        },
      ]);
      expect(await storedToken(sandbox)).toEqual(before);
      expect(await labels()).toEqual({ AWSCURRENT: before.versionId, AWSPENDING: version });

      isDown = false;
      expect((await rotate(version)).outcome).toBe('succeeded');
      expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: before.versionId });
      expect(reports.slice(1)).toEqual(allWell);
    });

    it('does not keep ticks from refreshing', async () => {
      let isDown = true;
      const { clock, container, rotate } = await open({
        d1Intercept: async (_request, next) =>
          isDown ? { status: 503, headers: {}, body: '', outcome: 'down' } : await next(),
      });
      await rotate();
      isDown = false;
      expect((await container().tick()).refreshed).toBe(true);
      clock.advance(700_000);
      expect((await container().tick()).refreshed).toBe(true);
    });
  });

  describe('whose pending value is of no use', () => {
    const useless: [string, string, (record: Record<string, unknown>) => string][] = [
      ['expired', 'its token has expired', (record) => JSON.stringify({ ...record, obtained_at: 0, expires_at: 900 })],
      ['not JSON', 'its value is not a token record: it is not JSON', () => 'not JSON at all'],
      ['empty but for a space', 'its value is not a token record: it is empty', () => ' '],
      [
        'not a token record',
        'its value is not a token record: field access_token is missing or not as the schema says',
        ({ access_token: _, ...rest }) => JSON.stringify(rest),
      ],
      [
        "another issuer's",
        'its value is not a token record: field issuer_id names another issuer',
        (record) => JSON.stringify({ ...record, issuer_id: 'ISSUER0002' }),
      ],
    ];

    it.each(
      useless.flatMap(([what, why, spoil]) =>
        ['createSecret', 'testSecret', 'finishSecret'].map((step) => ({ what, why, spoil, step })),
      ),
    )('because it is $what: $step says so and gives it up', async ({ why, spoil, step: name }) => {
      const { sandbox, container, rotate, step, labels } = await open({ byHand: true });
      await container().tick();
      const before = await storedToken(sandbox);
      const { version } = await rotate();
      await put(sandbox, version, spoil(before.record), 'AWSPENDING');

      await expect(step(name, version)).rejects.toMatchObject({
        code: 'ROTATION_FAILED',
        retryable: false,
        what: `The rotation failed: the pending version is of no use, and was given up: ${why}.`,
        remedy: 'Start the rotation again; the current token was not touched.',
      });
      expect(await labels()).toEqual({ AWSCURRENT: before.versionId });
      expect(await storedToken(sandbox)).toEqual(before);
    });

    it('because it is binary: likewise', async () => {
      const { sandbox, container, rotate, step, labels } = await open({ byHand: true });
      const { version_id: current } = await container().tick();
      const { version } = await rotate();
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: TOKEN_SECRET,
        ClientRequestToken: version,
        SecretBinary: 'AAECAw==',
        VersionStages: ['AWSPENDING'],
      });

      await expect(step('testSecret', version)).rejects.toMatchObject({
        code: 'ROTATION_FAILED',
        what: expect.stringContaining('its value is not a token record: it is binary'),
      });
      expect(await labels()).toEqual({ AWSCURRENT: current });
    });

    it('because its token died while Secrets Manager waited: the next rotation can start, and goes well', async () => {
      const { clock, rotate, step, labels, sandbox } = await open({ byHand: true });
      const { version } = await rotate();
      await step('createSecret', version);
      clock.advance(899_000);
      await step('testSecret', version);
      clock.advance(1_000);
      await expect(step('finishSecret', version)).rejects.toMatchObject({
        what: expect.stringContaining('its token has expired'),
      });
      // Were it still pending, RotateSecret would refuse to begin.
      expect(await labels()).toEqual({});

      const next = await rotate();
      for (const name of STEPS) await step(name, next.version);
      expect((await storedToken(sandbox)).versionId).toBe(next.version);
    });

    it('and that somebody else gives up at the same moment, is given up all the same', async () => {
      let version = '';
      const { sandbox, rotate, step, labels } = await open({
        byHand: true,
        awsIntercept: async ({ operation }, next) => {
          if (operation === 'UpdateSecretVersionStage') await withdrawPending(sandbox, version);
          return await next();
        },
      });
      version = (await rotate()).version;
      await put(sandbox, version, 'not JSON', 'AWSPENDING');

      await expect(step('testSecret', version)).rejects.toMatchObject({
        code: 'ROTATION_FAILED',
        what: expect.stringContaining('was given up: its value is not a token record'),
      });
      expect(await labels()).toEqual({});
    });
  });

  it.each([
    ['moving AWSCURRENT', true],
    ['taking AWSPENDING off', false],
  ])('ends well when %s was done and the answer got lost: the SDK asks again', async (_what, ofTheMove) => {
    let isLost = false;
    const { container, rotate, labels, reports } = await open({
      awsIntercept: async (call, next, response) => {
        const isHit = call.operation === 'UpdateSecretVersionStage' && isFinish(call, next, response) === ofTheMove;
        if (isLost || !isHit) return await next();
        isLost = true;
        await next();
        response.destroy();
        return undefined;
      },
    });
    const { version_id: before } = await container().tick();
    const { version, outcome } = await rotate();

    expect(isLost).toBe(true);
    expect(reports).toEqual(allWell);
    expect(outcome).toBe('succeeded');
    expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: before });
  });

  describe('that a tick races', () => {
    it('ends well: AWSCURRENT is taken from where the tick has put it', async () => {
      let race = async () => {};
      let tick: TickAnswer | undefined;
      const { clock, container, rotate, labels, reports } = await open({
        awsIntercept: async (call, next, response) => {
          if (isFinish(call, next, response)) await race();
          return await next();
        },
      });
      await container().tick();
      clock.advance(700_000);
      race = async () => {
        race = async () => {};
        tick = await container().tick();
      };
      const { version, outcome } = await rotate();

      expect(tick?.refreshed).toBe(true);
      expect(outcome).toBe('succeeded');
      expect(reports).toEqual(allWell);
      expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: tick?.version_id });
    });

    it('again and again, gives way after three tries; repeated, it ends well', async () => {
      let isRacing = true;
      const { sandbox, container, rotate, step, labels, reports } = await open({
        awsIntercept: async (call, next, response) => {
          if (isRacing && isFinish(call, next, response)) await somebodyMovesCurrent(sandbox);
          return await next();
        },
      });
      await container().tick();
      const { version, outcome } = await rotate();

      expect(outcome).toBe('failed');
      expect(reports.at(-1)).toEqual({
        step: 'finishSecret',
        code: 'ROTATION_FAILED',
        what: 'The rotation failed: the labels of the secret were moved by somebody else at the same time.',
      });
      expect(sandbox.calls.count('secretsmanager', 'UpdateSecretVersionStage')).toBe(3);
      expect((await labels())['AWSPENDING']).toBe(version);
      await expect(step('finishSecret', version)).rejects.toMatchObject({ code: 'ROTATION_FAILED', retryable: true });

      isRacing = false;
      expect((await rotate(version)).outcome).toBe('succeeded');
      expect(await labels()).toMatchObject({ AWSCURRENT: version });
      expect(await labels()).not.toHaveProperty('AWSPENDING');
    });

    it('and whose secret is restored from its deletion just then, is not done while AWSPENDING is left behind', async () => {
      let isDeleted = true;
      const { rotate, reports, labels } = await open({
        awsIntercept: async (call, next, response) => {
          const isTidyingUp = call.operation === 'UpdateSecretVersionStage' && !isFinish(call, next, response);
          if (isTidyingUp && isDeleted) throw new AwsError('InvalidRequestException', 'it was scheduled for deletion');
          return await next();
        },
      });
      const { version, outcome } = await rotate();
      expect(outcome).toBe('failed');
      expect(reports.at(-1)).toMatchObject({ step: 'finishSecret', code: 'ROTATION_FAILED' });

      isDeleted = false;
      expect((await rotate(version)).outcome).toBe('succeeded');
      expect(await labels()).toEqual({ AWSCURRENT: version });
    });

    it('and that could not tidy up, has only that to do when it is repeated', async () => {
      let isLost = true;
      const { rotate, reports, labels } = await open({
        awsIntercept: async (call, next, response) => {
          const isTidyingUp = call.operation === 'UpdateSecretVersionStage' && !isFinish(call, next, response);
          if (isTidyingUp && isLost) throw new AwsError('AccessDeniedException', 'not now');
          return await next();
        },
      });
      const { version, outcome } = await rotate();
      expect(outcome).toBe('failed');
      expect(reports.at(-1)).toMatchObject({ step: 'finishSecret', code: 'TOKEN_STORE_DENIED' });
      expect(await labels()).toEqual({ AWSCURRENT: version, AWSPENDING: version });

      isLost = false;
      expect((await rotate(version)).outcome).toBe('succeeded');
      expect(await labels()).toEqual({ AWSCURRENT: version });
    });
  });

  describe('for which Secrets Manager has a refusal', () => {
    it.each([
      ['DescribeSecret', 'createSecret', 'AccessDeniedException', 'TOKEN_STORE_DENIED', 'could not be read'],
      ['GetSecretValue', 'createSecret', 'DecryptionFailure', 'TOKEN_STORE_DENIED', 'could not be read'],
      [
        'PutSecretValue',
        'createSecret',
        'LimitExceededException',
        'TOKEN_STORE_QUOTA_EXCEEDED',
        'could not be written',
      ],
      ['GetSecretValue', 'testSecret', 'AccessDeniedException', 'TOKEN_STORE_DENIED', 'could not be read'],
      [
        'UpdateSecretVersionStage',
        'finishSecret',
        'AccessDeniedException',
        'TOKEN_STORE_DENIED',
        'could not be written',
      ],
    ])('to %s, %s fails and says so: %s', async (operation, name, errorType, code, verb) => {
      let refusing = false;
      const { sandbox, container, rotate, step } = await open({
        byHand: true,
        awsIntercept: async (call, next) => {
          const isHit = refusing && call.operation === operation && call.input['SecretId'] === TOKEN_SECRET;
          if (isHit) throw new AwsError(errorType, 'a message that is not repeated');
          return await next();
        },
      });
      await container().tick();
      const before = await storedToken(sandbox);
      const { version } = await rotate();
      if (name !== 'createSecret') await step('createSecret', version);
      refusing = true;

      await expect(step(name, version)).rejects.toMatchObject({
        code,
        what: expect.stringMatching(new RegExp(`The token secret ${TOKEN_SECRET} ${verb}: ${errorType}`)),
      });
      expect(await storedToken(sandbox)).toEqual(before);

      refusing = false;
      for (const again of STEPS) await step(again, version);
      expect((await storedToken(sandbox)).versionId).toBe(version);
    });
  });

  it('of a secret that is scheduled for deletion says so, in every step that needs the secret', async () => {
    const { sandbox, container, rotate, step } = await open({ byHand: true });
    await container().tick();
    const { version } = await rotate();
    await step('createSecret', version);
    await sandbox.secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET });

    for (const name of ['createSecret', 'testSecret', 'finishSecret']) {
      await expect(step(name, version)).rejects.toMatchObject({
        code: 'TOKEN_SECRET_MISSING',
        retryable: false,
        remedy: expect.stringContaining('scheduled for deletion'),
      });
    }
  });

  it('of a secret that gets scheduled for deletion just before AWSCURRENT is moved does not say that labels were moved', async () => {
    const { sandbox, container, rotate, reports } = await open({
      awsIntercept: async (call, next, response) => {
        if (isFinish(call, next, response)) {
          await sandbox.secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET });
        }
        return await next();
      },
    });
    await container().tick();
    expect((await rotate()).outcome).toBe('failed');

    expect(reports.at(-1)).toMatchObject({ step: 'finishSecret', code: 'TOKEN_SECRET_MISSING' });
    expect(sandbox.calls.count('secretsmanager', 'UpdateSecretVersionStage')).toBe(1);
  });

  it('for which D1 gives nothing but the current token, and that has died, puts nothing: it is repeated', async () => {
    let first: string | undefined;
    const { sandbox, clock, container, rotate, step } = await open({
      byHand: true,
      d1Intercept: async (_request, next) => {
        const answer = await next();
        if (first === undefined) {
          first = answer.body;
          return answer;
        }
        return { ...answer, body: JSON.stringify({ ...JSON.parse(first), expires_in: 0 }) };
      },
    });
    await container().tick();
    const { version } = await rotate();
    clock.advance(900_000);

    await expect(step('createSecret', version)).rejects.toMatchObject({
      code: 'ROTATION_FAILED',
      what: 'The rotation failed: D1 gave a token without life.',
      remedy: 'Secrets Manager repeats the step.',
      retryable: true,
    });
    expect(sandbox.calls.count('secretsmanager', 'PutSecretValue')).toBe(1);
  });

  it('with too little time left is not begun: nothing is signed, exchanged or written', async () => {
    const { sandbox, clock, container, rotate } = await open({ byHand: true });
    const { version } = await rotate();
    // A clock that skips nothing: the deadline is one of its sleeps.
    const rotator = container({ clock: new FakeClock({ startsAt: clock.now() }) });
    const event = { Step: 'createSecret', SecretId: TOKEN_SECRET, ClientRequestToken: version };

    await expect(rotator.send(event, 3_000)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: a rotation was not begun.',
    });
    expect(sandbox.calls.count('kms')).toBe(0);
    expect(sandbox.calls.count('d1')).toBe(0);
    expect(sandbox.calls.count('secretsmanager', 'PutSecretValue')).toBe(0);
  });

  it('whose step does not end is given up when the time is over, and says which step it was', async () => {
    const held = Promise.withResolvers<void>();
    let isHanging = false;
    const { clock, container, rotate, step } = await open({
      byHand: true,
      awsIntercept: async (call, next) => {
        if (!isHanging || call.operation !== 'GetSecretValue') return await next();
        held.resolve();
        return undefined;
      },
    });
    const { version } = await rotate();
    await step('createSecret', version);
    isHanging = true;
    const own = new FakeClock({ startsAt: clock.now() });
    const event = { Step: 'testSecret', SecretId: TOKEN_SECRET, ClientRequestToken: version };
    const outcome = container({ clock: own }).send(event, 10_000);
    await held.promise;
    own.advance(10_000);

    await expect(outcome).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: the rotation step testSecret took too long.',
    });
  });

  it('that D1 has nothing for, of a secret that has no token yet, does not put anything either', async () => {
    const { sandbox, rotate, step } = await open({
      byHand: true,
      d1Intercept: async (_request, next) => {
        const answer = await next();
        return { ...answer, body: JSON.stringify({ ...JSON.parse(answer.body), expires_in: 0 }) };
      },
    });
    const { version } = await rotate();

    await expect(step('createSecret', version)).rejects.toMatchObject({
      code: 'ROTATION_FAILED',
      what: 'The rotation failed: D1 gave a token without life.',
    });
    expect(sandbox.calls.count('secretsmanager', 'PutSecretValue')).toBe(0);
  });
});
