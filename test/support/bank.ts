import { type Sandbox, type SandboxOptions, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';
import { createApp } from '../../src/app.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { readConfig } from '../../src/config.ts';
import type { Answer, TickAnswer, TokenAnswer } from '../../src/events.ts';
import { createParts } from '../../src/parts.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { FakeClock } from './fake-clock.ts';

export { schedulerTick };

/** Longer than any retry delay, so that a fake clock can tell a delay (skipped) from a timeout (waited for). */
const patientTimeouts = { D1_CONNECT_TIMEOUT_MILLISECONDS: '10000', D1_EXCHANGE_TIMEOUT_MILLISECONDS: '20000' };
export const RETRY_DELAYS_BELOW_MILLISECONDS = 10_000;

export interface Bank {
  readonly sandbox: Sandbox;
  readonly clock: FakeClock;
  /** A container of its own: the broker with nothing in memory. */
  container(overrides?: ContainerOptions): Container;
  close(): Promise<void>;
}

export interface ContainerOptions {
  readonly environment?: Record<string, string>;
  readonly clock?: Clock;
}

export interface Container {
  tick(remainingMilliseconds?: number): Promise<TickAnswer>;
  token(event?: Record<string, unknown>, remainingMilliseconds?: number): Promise<TokenAnswer>;
  send(event: unknown, remainingMilliseconds?: number): Promise<Answer>;
}

/** A bank with the sandbox's D1 and AWS on a clock that the test moves, and any number of Lambda containers. */
export async function openBank(options: Omit<SandboxOptions, 'clock'> = {}): Promise<Bank> {
  const clock = new FakeClock({ startsAt: Date.now(), skipBelowMilliseconds: RETRY_DELAYS_BELOW_MILLISECONDS });
  const sandbox = await startSandbox({ ...options, clock });
  const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
  const place = { region: 'eu-west-1', endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '', credentials };

  function container({ environment = {}, clock: ownClock = clock }: ContainerOptions = {}): Container {
    const { D1_ISSUER_ID, ...rest } = sandbox.environment;
    const config = readConfig({ D1_ISSUER_ID, ...rest, ...patientTimeouts, ...environment });
    const common = { config, clock: ownClock, random: systemRandom };
    const parts = createParts({
      ...common,
      kms: createKmsClient(config.awsTimeoutMilliseconds, place),
      secretsManager: createSecretsManagerClient(config.awsTimeoutMilliseconds, place),
    });
    const app = createApp({ ...common, ...parts, telemetry: createTelemetry(config.issuerId, ownClock) });
    const send: Container['send'] = (event, remainingMilliseconds = 60_000) =>
      app(event, { getRemainingTimeInMillis: () => remainingMilliseconds });
    return {
      send,
      tick: async (remainingMilliseconds) => (await send(schedulerTick, remainingMilliseconds)) as TickAnswer,
      token: async (event = {}, remainingMilliseconds) => (await send(event, remainingMilliseconds)) as TokenAnswer,
    };
  }

  return { sandbox, clock, container, close: () => sandbox.close() };
}

/** The secret's current version as it stands, read behind the broker's back and not counted as a call. */
export async function storedToken(sandbox: Sandbox): Promise<{ versionId: string; record: Record<string, unknown> }> {
  const value = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
  return { versionId: String(value['VersionId']), record: JSON.parse(String(value['SecretString'])) };
}
