import type { SecretsManager } from '../sandbox/aws/secrets-manager.ts';
import { type BrokerFunction, TOKEN_SECRET } from './broker-function.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

/** How often the token secret is rotated, and how its steps come. */
export interface Rotations {
  /** Secrets Manager rotates every four hours at most. */
  readonly everySeconds: number;
  /** Mean of an exponential distribution: how long each step is in coming. */
  readonly stepMeanSeconds: number;
  /** How many of the last steps come a second time, later by as much again; 0-1. */
  readonly repeatedShare: number;
}

const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
const TRIES = 6;
const NEXT_TRY_MILLISECONDS = 20_000;

/** Rotates the secret for ever, as Secrets Manager does: one step after another, each again when it fails. */
export async function runRotations({
  rotations,
  service,
  target,
  time,
  random,
}: {
  rotations: Rotations;
  service: SecretsManager;
  target: BrokerFunction;
  time: SimulatedTime;
  random: SeededRandom;
}): Promise<void> {
  const delay = () => time.sleep(random.exponential(rotations.stepMeanSeconds * 1000));
  for (;;) {
    await time.sleep(rotations.everySeconds * 1000);
    time.start(rotate);
  }

  async function rotate(): Promise<void> {
    const version = { SecretId: TOKEN_SECRET, ClientRequestToken: random.uuid() };
    await service.handle('RotateSecret', {
      ...version,
      RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
    });
    for (const Step of steps) {
      await delay();
      if (!(await succeeds({ Step, ...version }))) return;
    }
    if (!random.happens(rotations.repeatedShare)) return;
    await delay();
    await target.invoke({ Step: 'finishSecret', ...version });
  }

  async function succeeds(event: object): Promise<boolean> {
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      if (attempt > 1) await time.sleep(NEXT_TRY_MILLISECONDS);
      if (!(await target.invoke(event)).error) return true;
    }
    return false;
  }
}
