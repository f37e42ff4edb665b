import { createBroker } from '../src/broker/broker.ts';
import { createObtain } from '../src/broker/obtain.ts';
import type { Call } from '../src/call.ts';
import { type Clock, nowSeconds } from '../src/clock.ts';
import { type Config, readConfig } from '../src/config.ts';
import { Deadline } from '../src/deadline.ts';
import { asBrokerError, BrokerError, type ErrorCode } from '../src/errors.ts';
import { parseEvent } from '../src/events.ts';
import { Journal } from '../src/telemetry/journal.ts';
import { secondsLeft } from '../src/token-store/token-record.ts';
import { createTokenStore } from '../src/token-store/token-store.ts';
import type { D1 } from './d1.ts';
import type { SimulatedClient } from './secrets-manager-client.ts';
import type { SeededRandom } from './seeded-random.ts';
import { type SimulatedTime, wanderingClock } from './simulated-time.ts';

export const TOKEN_SECRET = 'd1/access-token';

const config: Config = readConfig({
  D1_ISSUER_ID: 'ISSUER0001',
  D1_KEY_ID: 'simulated-key',
  D1_ENVIRONMENT: 'production',
  D1_SIGNING_KEY_ID: 'alias/simulated',
  D1_TOKEN_SECRET_ID: TOKEN_SECRET,
  D1_CLIENT_CERTIFICATE_SECRET_ID: 'd1/client-certificate',
});

const TIMEOUT_MILLISECONDS = 30_000;
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
  readonly #d1: D1;
  readonly #clockErrorSeconds: number;
  #containers: Container[] = [];

  constructor({
    time,
    random,
    client,
    d1,
    clockErrorSeconds,
  }: {
    time: SimulatedTime;
    random: SeededRandom;
    client: SimulatedClient;
    d1: D1;
    clockErrorSeconds: number;
  }) {
    this.#time = time;
    this.#random = random;
    this.#client = client;
    this.#d1 = d1;
    this.#clockErrorSeconds = clockErrorSeconds;
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
      this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
    }
    return invocation;
  }

  #newContainer(): Container {
    const clock = wanderingClock(this.#time, this.#clockErrorSeconds, this.#random.fraction());
    const random = this.#random;
    const { sign, tokenEndpoint } = this.#d1;
    const store = createTokenStore({
      client: this.#client,
      secretId: config.tokenSecretId,
      issuerId: config.issuerId,
      random,
    });
    const broker = createBroker({
      config,
      store,
      obtain: createObtain({ config, sign, tokenEndpoint, clock, random }),
      clock,
    });
    return {
      handle: (event) => handle(broker, clock, random, event),
      retiresAt: this.#time.now() + random.exponential(CONTAINER_LIFE_MILLISECONDS),
      busy: false,
    };
  }
}

/** The part of `src/app.ts` that a simulation needs: without log lines, and without rotation. */
async function handle(
  broker: ReturnType<typeof createBroker>,
  clock: Clock,
  random: SeededRandom,
  event: unknown,
): Promise<Invocation> {
  const warnings: BrokerError[] = [];
  const deadlineAt = clock.now() + TIMEOUT_MILLISECONDS;
  try {
    const command = parseEvent(event);
    const call: Call = {
      correlationId: command.correlationId ?? random.uuid(),
      deadline: new Deadline(clock, () => deadlineAt),
      journal: new Journal(clock, (warning) => warnings.push(warning)),
    };
    if (command.kind === 'rotate') throw new TypeError('The simulator does not rotate.');
    if (command.kind === 'refresh') {
      const { refreshed, reason, record, versionId } = await broker.tick(call);
      const answer = { refreshed, reason, expires_at: record.expires_at, version_id: versionId };
      return { answer, error: undefined, warnings };
    }
    const { record, source } = await broker.token(command, call);
    const answer = { ...record, expires_in: secondsLeft(record, nowSeconds(clock)), source };
    return { answer, error: undefined, warnings };
  } catch (thrown) {
    if (!(thrown instanceof BrokerError)) throw thrown;
    return { answer: undefined, error: asBrokerError(thrown), warnings };
  }
}
