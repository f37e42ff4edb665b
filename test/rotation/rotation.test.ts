import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { storedToken } from '../support/bank.ts';
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

/** How a rotation is refused: with the code, and this in the sentence. */
const refusal = (what: string) => ({
  code: 'ROTATION_REFUSED',
  what: `The rotation step was refused: ${what}.`,
  remedy: 'Let Secrets Manager start the rotation (RotateSecret) on the token secret; do not send the steps by hand.',
  retryable: false,
});

describe('a rotation', () => {
  describe.each([
    ['where moving AWSCURRENT leaves AWSPENDING behind', false],
    ['where moving AWSCURRENT takes AWSPENDING along', true],
  ])('%s', (_where, finishRemovesPending) => {
    it('puts a new token into the secret, in four steps, and leaves nothing pending', async () => {
      const { sandbox, container, rotate, labels, reports } = await open({ secretsManager: { finishRemovesPending } });
      await container().tick();
      const before = await storedToken(sandbox);
      const { version, outcome } = await rotate();
      const after = await storedToken(sandbox);

      expect(outcome).toBe('succeeded');
      expect(reports).toEqual(allWell);
      expect(await labels()).toEqual({ AWSCURRENT: version, AWSPREVIOUS: before.versionId });
      expect(after.versionId).toBe(version);
      expect(after.record['access_token']).not.toBe(before.record['access_token']);
      expect(after.record).toMatchObject({ issuer_id: 'ISSUER0001', schema_version: 1, expires_in: 900 });
    });

    it('costs one signature, one exchange and one write; the first step and the last read the current token, once', async () => {
      const { sandbox, container, rotate } = await open({ secretsManager: { finishRemovesPending } });
      await container().tick();
      sandbox.calls.clear();
      await rotate();

      expect(sandbox.calls.count('kms', 'Sign')).toBe(1);
      expect(sandbox.calls.count('d1')).toBe(1);
      expect(sandbox.calls.count('secretsmanager', 'PutSecretValue')).toBe(1);
      const moved = sandbox.calls.count('secretsmanager', 'UpdateSecretVersionStage');
      expect(moved).toBe(finishRemovesPending ? 1 : 2);
      // The pending one is read by each of the three steps that need it.
      const ofToken = ({ input }: { input: Record<string, unknown> }) => input['SecretId'] === TOKEN_SECRET;
      expect(sandbox.calls.count('secretsmanager', 'GetSecretValue', ofToken)).toBe(5);
    });

    it('can be started again, also when a tick has refreshed the token meanwhile', async () => {
      const { clock, container, rotate, labels } = await open({ secretsManager: { finishRemovesPending } });
      await rotate();
      clock.advance(700_000);
      const tick = await container().tick();
      expect(tick.refreshed).toBe(true);
      const again = await rotate();

      expect(again.outcome).toBe('succeeded');
      expect(await labels()).toEqual({ AWSCURRENT: again.version, AWSPREVIOUS: tick.version_id });
    });

    it('gives a secret that was empty its first token', async () => {
      const { sandbox, rotate, labels } = await open({ secretsManager: { finishRemovesPending } });
      const { version, outcome } = await rotate();

      expect(outcome).toBe('succeeded');
      expect(await labels()).toEqual({ AWSCURRENT: version });
      expect((await storedToken(sandbox)).versionId).toBe(version);
    });

    it('can have every step repeated, at its time and after the end', async () => {
      const { sandbox, rotate, step, labels } = await open({ byHand: true, secretsManager: { finishRemovesPending } });
      const { version } = await rotate();
      for (const name of STEPS) {
        await step(name, version);
        await step(name, version);
      }
      const finished = await storedToken(sandbox);
      for (const name of STEPS) await step(name, version);

      expect(sandbox.calls.count('d1')).toBe(1);
      expect(await storedToken(sandbox)).toEqual(finished);
      expect(await labels()).toEqual({ AWSCURRENT: version });
    });
  });

  it('answers nothing, and never a token', async () => {
    const { rotate, step } = await open({ byHand: true });
    const { version } = await rotate();

    for (const name of STEPS) expect(await step(name, version)).toBeUndefined();
  });

  it('does not touch the current token before the last step', async () => {
    const { sandbox, container, rotate, step } = await open({ byHand: true });
    await container().tick();
    const before = await storedToken(sandbox);
    const { version } = await rotate();

    for (const name of ['createSecret', 'setSecret', 'testSecret']) {
      await step(name, version);
      expect(await storedToken(sandbox)).toEqual(before);
    }
    await step('finishSecret', version);
    expect((await storedToken(sandbox)).versionId).toBe(version);
  });

  it('leaves a pending value alone that createSecret has made before', async () => {
    const { sandbox, rotate, step } = await open({ byHand: true });
    const { version } = await rotate();
    await step('createSecret', version);
    const pending = () =>
      sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET, VersionId: version });
    const made = await pending();
    await step('createSecret', version);

    expect(await pending()).toEqual(made);
    expect(sandbox.calls.count('d1')).toBe(1);
  });

  it('has one pending value when createSecret is sent twice at once', async () => {
    const { sandbox, rotate, step } = await open({ byHand: true });
    const { version } = await rotate();
    await Promise.all([step('createSecret', version), step('createSecret', version)]);
    for (const name of STEPS) await step(name, version);

    expect((await storedToken(sandbox)).versionId).toBe(version);
  });

  describe('waits for a pending value that cannot be read yet', () => {
    it('a little longer each time', async () => {
      const { clock, rotate, reports } = await open({ secretsManager: { pendingReadableAfterReads: 3 } });
      const { outcome } = await rotate();

      expect(reports).toEqual(allWell);
      expect(outcome).toBe('succeeded');
      expect(clock.skipped).toEqual([200, 400, 800]);
    });

    it('but not for ever: the step fails, and goes well when it is repeated', async () => {
      const { sandbox, clock, rotate, reports, labels } = await open({
        secretsManager: { pendingReadableAfterReads: 5 },
      });
      const { version, outcome } = await rotate();

      expect(outcome).toBe('failed');
      expect(clock.skipped).toEqual([200, 400, 800, 1600]);
      expect(reports.at(-1)).toEqual({
        step: 'testSecret',
        code: 'ROTATION_FAILED',
        what: 'The rotation failed: the pending version cannot be read yet.',
      });
      expect(await labels()).toEqual({ AWSPENDING: version });

      expect((await rotate(version)).outcome).toBe('succeeded');
      expect(await labels()).toEqual({ AWSCURRENT: version });
      expect((await storedToken(sandbox)).versionId).toBe(version);
    });

    it('and does not replace it when createSecret comes again meanwhile', async () => {
      const { sandbox, rotate, step } = await open({ byHand: true, secretsManager: { pendingReadableAfterReads: 1 } });
      const { version } = await rotate();
      await step('createSecret', version);
      await step('createSecret', version);
      for (const name of STEPS) await step(name, version);

      const issued = sandbox.calls.all().filter(({ service }) => service === 'd1');
      expect(issued).toHaveLength(2);
      // Two were exchanged for; the one that was stored first is the one that the secret has now.
      expect((await storedToken(sandbox)).record['correlation_id']).toBe(issued[0]?.requestId);
    });
  });

  describe('is refused', () => {
    it.each(STEPS)('for a version that the secret does not have: %s', async (name) => {
      const { sandbox, container, step } = await open({ byHand: true });
      await container().tick();
      const before = await storedToken(sandbox);
      const unknown = randomUUID();

      await expect(step(name, unknown)).rejects.toMatchObject(
        refusal(`the secret has no version ${unknown} with a staging label`),
      );
      expect(await storedToken(sandbox)).toEqual(before);
    });

    it.each(
      STEPS.flatMap((name) => ['AWSPREVIOUS', 'KEPT'].map((label) => ({ name, label }))).filter(
        ({ name, label }) => name !== 'finishSecret' || label !== 'AWSPREVIOUS',
      ),
    )('for a version that is staged $label and not AWSPENDING: $name', async ({ name, label }) => {
      const { sandbox, clock, container, step, labels } = await open({ byHand: true });
      await container().tick();
      clock.advance(700_000);
      await container().tick();
      const before = await storedToken(sandbox);
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: TOKEN_SECRET,
        ClientRequestToken: randomUUID(),
        SecretString: JSON.stringify(before.record),
        VersionStages: ['KEPT'],
      });
      const version = (await labels())[label];

      await expect(step(name, String(version))).rejects.toMatchObject(
        refusal(`version ${version} is not staged AWSPENDING`),
      );
      expect(await storedToken(sandbox)).toEqual(before);
    });

    it('without a ClientRequestToken, or with one that is none', async () => {
      const { rotator } = await open({ byHand: true });
      const event = { Step: 'createSecret', SecretId: TOKEN_SECRET };
      const invalid = { code: 'EVENT_INVALID', what: expect.stringContaining('field ClientRequestToken') };

      await expect(rotator.send(event)).rejects.toMatchObject(invalid);
      await expect(rotator.send({ ...event, ClientRequestToken: 'short' })).rejects.toMatchObject(invalid);
    });

    it('for another secret, which stays as it is', async () => {
      const { sandbox, rotate, step } = await open({ byHand: true });
      const { version } = await rotate();
      const certificate = () =>
        sandbox.secretsManager.handle('GetSecretValue', { SecretId: CLIENT_CERTIFICATE_SECRET });
      const before = await certificate();

      await expect(step('createSecret', version, CLIENT_CERTIFICATE_SECRET)).rejects.toMatchObject(
        refusal(`${CLIENT_CERTIFICATE_SECRET} is not the token secret`),
      );
      expect(await certificate()).toEqual(before);
      expect(sandbox.calls.count('d1')).toBe(0);
    });

    it('for a secret that there is not', async () => {
      const { step } = await open({ byHand: true });

      await expect(step('createSecret', randomUUID(), 'd1/no-such-secret')).rejects.toMatchObject({
        code: 'TOKEN_SECRET_MISSING',
      });
    });
  });

  describe('knows the token secret', () => {
    it.each([
      ['name', 'name'],
      ['name', 'ARN'],
      ['ARN', 'name'],
      ['ARN', 'ARN'],
    ])('that is configured by its %s, in an event by its %s', async (configured, sent) => {
      const { sandbox, rotate, container } = await open({ byHand: true });
      const { version } = await rotate();
      const { ARN } = await sandbox.secretsManager.handle('DescribeSecret', { SecretId: TOKEN_SECRET });
      const reference = (kind: string) => (kind === 'ARN' ? String(ARN) : TOKEN_SECRET);
      const rotator = container({ environment: { D1_TOKEN_SECRET_ID: reference(configured) } });
      for (const Step of STEPS) {
        await rotator.send({ Step, SecretId: reference(sent), ClientRequestToken: version });
      }

      expect((await storedToken(sandbox)).versionId).toBe(version);
    });
  });
});
