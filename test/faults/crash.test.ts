import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { type Container, startContainer } from '../../sandbox/lambda/container.ts';
import { CLIENT_CERTIFICATE_SECRET, type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { TickAnswer } from '../../src/events.ts';
import { parseTokenRecord } from '../../src/shared/token-record.ts';
import { schedulerTick, storedToken } from '../support/bank.ts';
import { Checkpoint, type Moment } from './checkpoint.ts';
import { storeToken } from './store-token.ts';

const checkpoint = new Checkpoint();
const containers: Container[] = [];
let sandbox: Sandbox;
let bundle: string;
/** Milliseconds that the sandbox's clock is behind, while something is stored that was written then. */
let behind = 0;

beforeAll(async () => {
  [sandbox, { file: bundle }] = await Promise.all([
    startSandbox({
      clock: { now: () => Date.now() - behind },
      awsIntercept: (call, next) => checkpoint.pass(`${call.operation} ${String(call.input['SecretId'] ?? '')}`, next),
      d1Intercept: (_request, next) => checkpoint.pass('oauth2/token ', next),
    }),
    bundleHandler(join(import.meta.dirname, '..', '..', '.build', 'crash')),
  ]);
});

afterAll(async () => {
  await Promise.all(containers.map((container) => container.kill('SIGKILL')));
  await sandbox?.close();
});

const moments: readonly Moment[] = ['before it is done', 'after it was done'];

describe('SIGKILL in the middle of a refresh', () => {
  const steps = [
    ['the token secret is read', `GetSecretValue ${TOKEN_SECRET}`],
    ['the certificate is read', `GetSecretValue ${CLIENT_CERTIFICATE_SECRET}`],
    ['KMS signs', 'Sign '],
    ['D1 exchanges', 'oauth2/token '],
    ['the token is written', `PutSecretValue ${TOKEN_SECRET}`],
  ] as const;

  it.each(steps.flatMap(([step, call]) => moments.map((moment) => ({ step, call, moment }))))(
    'when $step, $moment: the next tick heals',
    async ({ call, moment }) => {
      const old = await storeAgeingToken();
      const versionsBefore = (await labels()).size;
      await killAt(call, moment, schedulerTick);
      // Until somebody heals it, consumers have a token that lives.
      expect(await livingToken()).toBeDefined();

      const answer = (await (await newContainer()).invoke(schedulerTick)) as TickAnswer;
      const healed = await livingToken();
      expect(healed.access_token).not.toBe(old);
      expect(healed.expires_at).toBe(answer.expires_at);
      expect(healed.expires_at - Date.now() / 1000).toBeGreaterThan(300);
      // The dead refresh and the healing one began from the same version, which has one successor.
      expect((await labels()).size).toBe(versionsBefore + 1);
    },
  );
});

describe('SIGKILL in the middle of a rotation', () => {
  const steps = [
    ['createSecret', `PutSecretValue ${TOKEN_SECRET}`, 1],
    ['finishSecret', `UpdateSecretVersionStage ${TOKEN_SECRET}`, 1],
    ['finishSecret', `UpdateSecretVersionStage ${TOKEN_SECRET}`, 2],
  ] as const;

  it.each(steps.flatMap(([step, call, nth]) => moments.map((moment) => ({ step, call, nth, moment }))))(
    'in $step, call $nth, $moment: the repeated step, or the next tick, heals',
    async ({ step, call, nth, moment }) => {
      await storeAgeingToken();
      const ClientRequestToken = randomUUID();
      await sandbox.secretsManager.handle('RotateSecret', {
        SecretId: TOKEN_SECRET,
        ClientRequestToken,
        RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
      });
      const event = (Step: string) => ({ Step, SecretId: TOKEN_SECRET, ClientRequestToken });
      if (step !== 'createSecret') await (await newContainer()).invoke(event('createSecret'));
      await killAt(call, moment, event(step), nth);
      expect(await livingToken()).toBeDefined();

      const container = await newContainer();
      for (const Step of step === 'createSecret' ? ['createSecret', 'finishSecret'] : ['finishSecret']) {
        await container.invoke(event(Step));
      }
      expect((await storedToken(sandbox)).versionId).toBe(ClientRequestToken);
      expect([...(await labels()).values()].flat()).not.toContain('AWSPENDING');
      await container.invoke(schedulerTick);
      expect((await livingToken()).expires_at - Date.now() / 1000).toBeGreaterThan(300);
    },
  );
});

/** A process dies in the middle of this event. */
async function killAt(call: string, moment: Moment, event: unknown, nth = 1): Promise<void> {
  const doomed = await newContainer();
  const reached = checkpoint.hold(call, moment, nth);
  const gone = doomed.invoke(event).then(
    () => 'answered',
    (error: Error) => error.message,
  );
  expect(await Promise.race([reached, gone])).not.toBe('answered');
  await doomed.kill('SIGKILL');
  checkpoint.release();
  expect(await gone).toContain('SIGKILL');
}

async function newContainer(): Promise<Container> {
  const container = await startContainer(bundle, sandbox.environment);
  containers.push(container);
  return container;
}

/** 200 s left: the next tick has to refresh it. */
async function storeAgeingToken(): Promise<string> {
  behind = 700_000;
  try {
    return await storeToken(sandbox, Math.floor((Date.now() - behind) / 1000));
  } finally {
    behind = 0;
  }
}

async function livingToken() {
  const { record } = await storedToken(sandbox);
  const parsed = parseTokenRecord(JSON.stringify(record));
  if ('why' in parsed) throw new Error(`What is stored is no token record: ${parsed.why}`);
  expect(parsed.record.expires_at).toBeGreaterThan(Date.now() / 1000);
  return parsed.record;
}

async function labels(): Promise<Map<string, string[]>> {
  const { Versions } = (await sandbox.secretsManager.handle('ListSecretVersionIds', {
    SecretId: TOKEN_SECRET,
    IncludeDeprecated: true,
  })) as { Versions: { VersionId: string; VersionStages?: string[] }[] };
  return new Map(Versions.map(({ VersionId, VersionStages }) => [VersionId, VersionStages ?? []]));
}
