import { randomUUID } from 'node:crypto';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { createApp } from '../src/app.ts';
import type { Sign } from '../src/assertion/kms-signer.ts';
import { type Config, readConfig } from '../src/config.ts';
import { BrokerError, type ErrorCode } from '../src/errors.ts';
import type { Clock } from '../src/shared/clock.ts';
import type { Random } from '../src/shared/random.ts';
import type { TokenRecord } from '../src/shared/token-record.ts';
import type { TokenEndpoint } from '../src/token-endpoint/token-endpoint.ts';
import { storeFailure } from '../src/token-store/store-failure.ts';
import { createTokenStore } from '../src/token-store/token-store.ts';
import type { D1 } from './d1.ts';
import type { SimulatedClient } from './secrets-manager-client.ts';
import type { SeededRandom } from './seeded-random.ts';
import { type SimulatedTime, wanderingClock } from './simulated-time.ts';

export const TOKEN_SECRET = 'd1/access-token';

const environment = {
  D1_ISSUER_ID: 'ISSUER0001',
  D1_KEY_ID: 'simulated-key',
  D1_ENVIRONMENT: 'production',
  D1_SIGNING_KEY_ID: 'alias/simulated',
  D1_TOKEN_SECRET_ID: TOKEN_SECRET,
  D1_CLIENT_CERTIFICATE_SECRET_ID: 'd1/client-certificate',
};
export const config: Config = readConfig(environment);

/** Of a standby, whose Region has a replica of the primary's token secret. */
export const PRIMARY_TOKEN_SECRET = 'd1/primary/access-token';
export const standbyConfig: Config = readConfig({
  ...environment,
  D1_PRIMARY_TOKEN_SECRET_ID: PRIMARY_TOKEN_SECRET,
});

/** As serverless.yml sets it. */
export const TIMEOUT_MILLISECONDS = 90_000;
const COLD_START_MILLISECONDS = 300;
/** Lambda replaces containers now and then, and their memory with them. */
const CONTAINER_LIFE_MILLISECONDS = 2 * 3_600_000;

interface Container {
  readonly handle: (event: unknown) => Promise<Invocation>;
  readonly retiresAt: number;
  busy: boolean;
}

/** What one invocation came to. */
export interface Invocation {
  /** As `src/app.ts` answers. */
  readonly answer: Record<string, unknown> | undefined;
  readonly error: BrokerError | undefined;
  readonly warnings: readonly BrokerError[];
}

export type Handle = (event: unknown, context: { getRemainingTimeInMillis: () => number }) => Promise<Invocation>;

/**
 * What one container runs: `createApp` itself, on a signer, a token endpoint and a Secrets Manager client that are simulated.
 *
 * @throws Whatever comes out of it that is no BrokerError: nothing should.
 */
export function createContainerApp({
  client,
  settings = config,
  sign,
  tokenEndpoint,
  clock,
  random,
}: {
  client: SimulatedClient;
  settings?: Config;
  sign: Sign;
  tokenEndpoint: TokenEndpoint;
  clock: Clock;
  random: Random;
}): Handle {
  const heard = new Map<string, BrokerError[]>();
  const { tokenSecretId, primaryTokenSecretId, issuerId } = settings;
  const storeIn = (secretId: string) => createTokenStore({ client, secretId, issuerId });
  const app = createApp({
    config: settings,
    sign,
    tokenEndpoint,
    store: storeIn(tokenSecretId),
    readPrimary: primaryTokenSecretId === undefined ? undefined : storeIn(primaryTokenSecretId).read,
    clock,
    random,
    telemetry: {
      started: () => {},
      begin: () => {},
      warn: (warning, correlationId) => {
        heard.set(correlationId, [...(heard.get(correlationId) ?? []), warning]);
      },
      succeeded: () => {},
      failed: () => {},
    },
  });
  return async (event, context) => {
    heard.clear();
    const warnings = () => [...heard.values()].flat();
    try {
      const answer = await app(event, context);
      return { answer: answer && { ...answer }, error: undefined, warnings: warnings() };
    } catch (thrown) {
      if (!(thrown instanceof BrokerError)) throw thrown;
      return { answer: undefined, error: thrown, warnings: warnings() };
    }
  };
}

/**
 * The broker's Lambda function: the real broker in as many containers as run at a time. An event goes to a container that is
 * idle, or to a new one; each has a memory and a clock of its own.
 */
export class BrokerFunction {
  /** What the metric `Failures` counts, by its dimension: failed invocations and warnings. */
  readonly failures = new Map<ErrorCode, number>();
  readonly #time: SimulatedTime;
  readonly #random: SeededRandom;
  readonly #client: SimulatedClient;
  readonly #d1: Pick<D1, 'sign' | 'tokenEndpoint'>;
  readonly #clockErrorSeconds: number;
  readonly #settings: Config;
  #containers: Container[] = [];

  constructor({
    time,
    random,
    client,
    d1,
    clockErrorSeconds,
    settings = config,
  }: {
    time: SimulatedTime;
    random: SeededRandom;
    client: SimulatedClient;
    d1: Pick<D1, 'sign' | 'tokenEndpoint'>;
    clockErrorSeconds: number;
    settings?: Config;
  }) {
    this.#time = time;
    this.#random = random;
    this.#client = client;
    this.#d1 = d1;
    this.#clockErrorSeconds = clockErrorSeconds;
    this.#settings = settings;
  }

  async invoke(event: unknown): Promise<Invocation> {
    this.#containers = this.#containers.filter(({ busy, retiresAt }) => busy || this.#time.now() < retiresAt);
    let container = this.#containers.find(({ busy }) => !busy);
    if (!container) {
      container = this.#newContainer();
      this.#containers.push(container);
      container.busy = true;
      await this.#time.sleep(COLD_START_MILLISECONDS);
    }
    container.busy = true;
    const invocation = await container.handle(event);
    container.busy = false;
    for (const { code } of [...invocation.warnings, ...(invocation.error ? [invocation.error] : [])]) {
      count(this.failures, code);
    }
    return invocation;
  }

  #newContainer(): Container {
    const clock = wanderingClock(this.#time, this.#clockErrorSeconds, this.#random.fraction());
    const random = this.#random;
    const d1 = this.#d1;
    const app = createContainerApp({
      client: this.#client,
      settings: this.#settings,
      sign: d1.sign,
      tokenEndpoint: d1.tokenEndpoint(clock, config),
      clock,
      random,
    });
    return {
      handle: (event) => {
        const deadlineAt = this.#time.now() + TIMEOUT_MILLISECONDS;
        return app(event, { getRemainingTimeInMillis: () => deadlineAt - this.#time.now() });
      },
      retiresAt: this.#time.now() + random.exponential(CONTAINER_LIFE_MILLISECONDS),
      busy: false,
    };
  }
}

const count = (failures: Map<ErrorCode, number>, code: ErrorCode) => failures.set(code, (failures.get(code) ?? 0) + 1);

/**
 * What the broker is compared with: a function that knows nothing of the secret. Every invocation is one exchange and one
 * plain PutSecretValue; when either fails, so does the invocation.
 *
 * @param failures Where its failures are counted.
 */
export function createNaiveRefresher({
  client,
  d1,
  clock,
  failures,
}: {
  client: SimulatedClient;
  d1: D1;
  clock: Pick<Clock, 'now'>;
  failures: Map<ErrorCode, number>;
}): () => Promise<Pick<Invocation, 'error'>> {
  return async () => {
    try {
      await write(await exchange());
      return { error: undefined };
    } catch (thrown) {
      if (!(thrown instanceof BrokerError)) throw thrown;
      count(failures, thrown.code);
      return { error: thrown };
    }
  };

  async function exchange(): Promise<TokenRecord> {
    const sentAt = Math.floor(clock.now() / 1000);
    const response = await d1.answer(new AbortController().signal);
    return {
      ...response,
      expires_at: sentAt + response.expires_in,
      obtained_at: sentAt,
      issuer_id: config.issuerId,
      key_id: config.keyId,
      correlation_id: 'naive-refresher',
      schema_version: 1,
    };
  }

  async function write(record: TokenRecord): Promise<void> {
    const command = new PutSecretValueCommand({
      SecretId: TOKEN_SECRET,
      ClientRequestToken: randomUUID(),
      SecretString: JSON.stringify(record),
    });
    await client.send(command).catch((error: unknown) => {
      throw storeFailure(TOKEN_SECRET, 'written', error);
    });
  }
}
