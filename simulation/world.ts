import { randomUUID } from 'node:crypto';
import { AwsError } from '../sandbox/aws/aws-error.ts';
import { SecretsManager } from '../sandbox/aws/secrets-manager.ts';
import { schedulerTick } from '../sandbox/scheduler-tick.ts';
import type { ErrorCode } from '../src/errors.ts';
import { BrokerFunction, createNaiveRefresher, TOKEN_SECRET } from './broker-function.ts';
import { type Consumer, type ConsumerKind, createConsumer } from './consumers.ts';
import { D1, type ExchangeFault } from './d1.ts';
import { type DirectCalls, runDirectCalls } from './direct-callers.ts';
import { type Rotations, runRotations } from './rotations.ts';
import { type Policy, runSchedule, type TickFaults } from './schedule.ts';
import { createSimulatedClient } from './secrets-manager-client.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedTime, wanderingClock } from './simulated-time.ts';
import { isWithin, type Pattern, type Window, windowsOf } from './windows.ts';

export const STARTS_AT = Date.UTC(2026, 10, 23);
const DAY_MILLISECONDS = 86_400_000;

/** How the quota on a secret's versions is read; AWS gives a number around 100, and a rate, and does not square them. */
export type QuotaReading =
  /** 100 versions, of which those younger than 24 hours are never removed. */
  | 'strict'
  /** The same, but a write ten minutes after the one before is always allowed. */
  | 'ten minutes'
  | 'none';

/** All that goes wrong in a world, and what else is asked of the broker; shares are 0-1. */
export interface Faults {
  /** When no token can be had, and why. */
  readonly exchange: readonly (Pattern & { readonly fault: ExchangeFault })[];
  /** Exact windows in which D1 can't be reached, instead of drawn ones. */
  readonly outages: readonly Window[];
  /** Of the invocations that ask D1, how many fail for no lasting reason. */
  readonly exchangeFailureShare: number;
  /** Of the requests to Secrets Manager, how many are throttled. */
  readonly throttledShare: number;
  readonly ticks: TickFaults;
  /** How far the clocks of containers and consumers stray from the right time, each on its own way. */
  readonly clockErrorSeconds: number;
  readonly quota: QuotaReading;
  /** When D1's API answers 401, whatever the token. */
  readonly refusals: readonly Pattern[];
  /** D1 gives the same token again while more than this is left of it; a new one each time when `undefined`. */
  readonly tokenReuseUntilSeconds: number | undefined;
  readonly directCalls: DirectCalls | undefined;
  readonly rotations: Rotations | undefined;
}

export interface WorldOptions {
  readonly seed: number;
  readonly days: number;
  readonly policy: Policy;
  readonly faults: Faults;
  /** They don't share a token; a reader that asks the broker changes what the others find in the secret. */
  readonly consumers: readonly ConsumerKind[];
  /** Seconds between two calls of a consumer while they succeed. */
  readonly callEverySeconds?: number;
  /** Seconds between two samples of the token's life; none unless told. */
  readonly sampleEverySeconds?: number;
}

export interface ConsumerFigures {
  readonly observedSeconds: number;
  /** From a call for which no live token could be had to the next call. */
  readonly secondsWithout: number;
  readonly longestWithoutSeconds: number;
  /** The stretches without one, in order. */
  readonly without: readonly Window[];
  /** How long the slowest of the successful calls waited for its token. */
  readonly longestWaitSeconds: number;
}

export interface Sample {
  readonly hours: number;
  /** What is left of the token in the secret. */
  readonly secondsLeftInSecret: number;
  /** What was left of each consumer's token when it last made a call; 0 when it had none. */
  readonly secondsLeft: Partial<Record<ConsumerKind, number>>;
  readonly versionsInLastDay: number;
}

/** A stretch in which no token could be had, and what it met. */
export interface Outage extends Window {
  /** What was left of the token in the secret when it began. */
  readonly secondsLeftInSecret: number;
}

export interface Figures {
  /** Of a kind that occurs more than once, the last one's. */
  readonly consumers: ReadonlyMap<ConsumerKind, ConsumerFigures>;
  /** Milliseconds since 1970 UTC of every version that was stored. */
  readonly writes: readonly number[];
  readonly tokensIssued: number;
  readonly failures: ReadonlyMap<ErrorCode, number>;
  readonly samples: readonly Sample[];
  /** Of `Faults.exchange`, those that began, in order. */
  readonly outages: readonly Outage[];
}

/** Seconds between two calls of a consumer that has no live token. */
const CALL_AGAIN_SECONDS = 5;

/** Runs one world from its first tick to its end. */
export async function simulate(options: WorldOptions): Promise<Figures> {
  const { seed, days, policy, faults, consumers: kinds, callEverySeconds = 30 } = options;
  await importsAreInstant();
  const time = new SimulatedTime(STARTS_AT);
  const endsAt = STARTS_AT + days * DAY_MILLISECONDS;
  const random = (name: string) => new SeededRandom(seed, name);
  const writes: number[] = [];

  const exchangeFaults = faults.exchange.map((pattern, index) => ({
    fault: pattern.fault,
    windows: windowsOf(pattern, random(`exchange fault ${index}`), STARTS_AT, endsAt),
  }));
  const d1 = new D1({
    time,
    random: random('d1'),
    fault: exchangeFault(),
    refusesAll: refusals(),
    tokenReuseUntilSeconds: faults.tokenReuseUntilSeconds,
  });
  const service = new SecretsManager({
    region: 'eu-west-1',
    accountId: '000000000000',
    clock: time,
    versionQuota: faults.quota === 'strict' ? 100 : 'none',
  });
  await service.handle('CreateSecret', { Name: TOKEN_SECRET, ClientRequestToken: randomUUID() });
  const throttling = random('throttling');
  const client = createSimulatedClient({
    service,
    time,
    random: random('secrets manager'),
    beforeRequest: (operation) => {
      if (throttling.happens(faults.throttledShare)) throw new AwsError('ThrottlingException', 'Rate exceeded');
      if (operation === 'PutSecretValue' && faults.quota === 'ten minutes') mustBeTenMinutesApart();
      return undefined;
    },
    afterRequest: (operation) => {
      if (operation === 'PutSecretValue') writes.push(time.now());
    },
  });
  const { clockErrorSeconds } = faults;
  const target = new BrokerFunction({ time, random: random('broker'), client, d1, clockErrorSeconds });
  const refresherClock = wanderingClock(time, clockErrorSeconds, random('naive refresher').fraction());
  const refresh = createNaiveRefresher({ client, d1, clock: refresherClock, failures: target.failures });
  const invoke = policy.refreshes === 'always' ? refresh : () => target.invoke(schedulerTick);
  time.start(() => runSchedule({ policy, faults: faults.ticks, invoke, time, random: random('schedule') }));

  const { directCalls, rotations } = faults;
  if (directCalls) time.start(() => runDirectCalls({ directCalls, target, time, random: random('direct callers') }));
  if (rotations) time.start(() => runRotations({ rotations, service, target, time, random: random('rotations') }));

  const observed = kinds.map((kind, index) => {
    const ownRandom = random(`consumer ${index}: ${kind}`);
    const clock = wanderingClock(time, clockErrorSeconds, ownRandom.fraction());
    const consumer = createConsumer(kind, { client, target, d1, clock, random: ownRandom });
    const observation = new Observation(time, d1, consumer, callEverySeconds);
    time.start(() => observation.run());
    return [kind, observation] as const;
  });

  const samples: Sample[] = [];
  if (options.sampleEverySeconds !== undefined) time.start(() => sampleForEver(options.sampleEverySeconds ?? 0));

  const outages: Outage[] = [];
  for (const { windows } of exchangeFaults) for (const window of windows) time.start(() => noteOutage(window));

  await time.runUntil(endsAt);
  return {
    consumers: new Map(observed.map(([kind, observation]) => [kind, observation.figures()])),
    writes,
    tokensIssued: d1.issued,
    failures: target.failures,
    samples,
    outages,
  };

  function exchangeFault(): (moment: number) => ExchangeFault | undefined {
    // By the second and not in the order of asking, so that worlds with other policies and consumers meet the same fate.
    const failsAt = (moment: number) =>
      random(`exchange in second ${Math.floor(moment / 1000)}`).happens(faults.exchangeFailureShare);
    const lasting = exchangeFaults.map(({ fault, windows }) => ({ fault, isOn: isWithin(windows) }));
    const isOut = isWithin(faults.outages);
    return (moment) => {
      if (isOut(moment) || failsAt(moment)) return 'unreachable';
      return lasting.find(({ isOn }) => isOn(moment))?.fault;
    };
  }

  function refusals(): (moment: number) => boolean {
    const windows = faults.refusals.flatMap((pattern, index) =>
      windowsOf(pattern, random(`refusal ${index}`), STARTS_AT, endsAt),
    );
    return isWithin(windows);
  }

  function mustBeTenMinutesApart(): void {
    const now = time.now();
    const isSpaced = now - (writes.at(-1) ?? 0) >= 600_000;
    if (!isSpaced && versionsInDayBefore(now) >= 100) throw new AwsError('LimitExceededException', 'Too many versions');
  }

  function versionsInDayBefore(moment: number): number {
    return writes.length - (writes.findLastIndex((write) => write < moment - DAY_MILLISECONDS) + 1);
  }

  async function noteOutage(window: Window): Promise<void> {
    await time.sleep(window.from - time.now());
    outages.push({ ...window, secondsLeftInSecret: await secondsLeftInSecret() });
  }

  async function secondsLeftInSecret(): Promise<number> {
    const { SecretString } = await service.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
    return Math.max(0, (d1.diesAt(JSON.parse(String(SecretString)).access_token) - time.now()) / 1000);
  }

  async function sampleForEver(everySeconds: number): Promise<void> {
    await time.sleep(FIRST_CALL_MILLISECONDS);
    for (;;) {
      await time.sleep(everySeconds * 1000);
      const now = time.now();
      samples.push({
        hours: (now - STARTS_AT) / 3_600_000,
        secondsLeftInSecret: await secondsLeftInSecret(),
        secondsLeft: Object.fromEntries(observed.map(([kind, { secondsLeft }]) => [kind, secondsLeft])),
        versionsInLastDay: versionsInDayBefore(now),
      });
    }
  }
}

/**
 * The reader loads its Lambda client with `import()`. Where that waits for more than promises, as under vitest, simulated
 * time would go on meanwhile, and no run would be like another: worlds then have to run in WorldWorkers.
 */
export async function importsAreInstant(): Promise<void> {
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await import('@aws-sdk/client-lambda');
  if (turned) throw new Error('A module that is loaded already takes real time to import here: use WorldWorkers.');
}

/** Consumers start when the first token should be there. */
const FIRST_CALL_MILLISECONDS = 120_000;

/** One consumer, and a stopwatch. */
export class Observation {
  readonly #time: SimulatedTime;
  readonly #d1: Pick<D1, 'isRefusingAll'>;
  readonly #consumer: Consumer;
  readonly #callEvery: number;
  #observed = 0;
  #without = 0;
  readonly #stretches: Window[] = [];
  #longestWait = 0;
  /** Of the token of the last call. */
  secondsLeft = 0;

  /** @param d1 Says when there is nothing to measure. */
  constructor(time: SimulatedTime, d1: Pick<D1, 'isRefusingAll'>, consumer: Consumer, callEverySeconds: number) {
    this.#time = time;
    this.#d1 = d1;
    this.#consumer = consumer;
    this.#callEvery = callEverySeconds * 1000;
  }

  async run(): Promise<void> {
    await this.#time.sleep(FIRST_CALL_MILLISECONDS);
    for (let since: number | undefined; ; ) {
      const began = this.#time.now();
      const { ok, diesAt } = await this.#consumer();
      const answered = this.#time.now();
      this.secondsLeft = ok ? (diesAt - answered) / 1000 : 0;
      // While D1 refuses every token there is nothing that anybody could do, and nothing to measure.
      const measured = !this.#d1.isRefusingAll;
      if (ok) this.#longestWait = Math.max(this.#longestWait, answered - began);
      await this.#time.sleep(ok ? this.#untilNextCall(diesAt) : CALL_AGAIN_SECONDS * 1000);
      const ended = this.#time.now();
      if (measured) this.#observed += ended - began;
      if (!measured || ok) {
        since = undefined;
        continue;
      }
      this.#without += ended - began;
      if (since !== undefined) this.#stretches.pop();
      since ??= began;
      this.#stretches.push({ from: since, to: ended });
    }
  }

  figures(): ConsumerFigures {
    return {
      observedSeconds: this.#observed / 1000,
      secondsWithout: this.#without / 1000,
      longestWithoutSeconds: this.#stretches.reduce((most, { from, to }) => Math.max(most, to - from), 0) / 1000,
      without: this.#stretches,
      longestWaitSeconds: this.#longestWait / 1000,
    };
  }

  /** A call falls on the moment at which the token dies, so that the time without one is measured from its beginning. */
  #untilNextCall(diesAt: number): number {
    return Math.min(this.#callEvery, Math.max(1, diesAt - this.#time.now()));
  }
}
