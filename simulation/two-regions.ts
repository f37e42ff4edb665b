import { randomUUID } from 'node:crypto';
import { SecretsManager } from '../sandbox/aws/secrets-manager.ts';
import { schedulerTick } from '../sandbox/scheduler-tick.ts';
import { BrokerFunction, config, PRIMARY_TOKEN_SECRET, standbyConfig, TOKEN_SECRET } from './broker-function.ts';
import { type ConsumerKind, createConsumer } from './consumers.ts';
import { D1 } from './d1.ts';
import { policies, runSchedule, type TickFaults } from './schedule.ts';
import { createSimulatedClient } from './secrets-manager-client.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedTime, wanderingClock } from './simulated-time.ts';
import { isWithin, type Pattern, type Window, windowsOf } from './windows.ts';
import { type ConsumerFigures, importsAreInstant, Observation, STARTS_AT } from './world.ts';

/** AWS gives no figure for the lag of a replica; this is the mean, and the most is a minute. */
const LAG_MEAN_SECONDS = 5;
const MOST_LAG_SECONDS = 60;
/** After a lost Region is back: its next tick and the replica's lag. Whatever is later is normal times. */
const BACK_SECONDS = 60 + MOST_LAG_SECONDS;

export interface TwoRegionsOptions {
  readonly seed: number;
  readonly days: number;
  /** Without it, the consumers of the second Region read the replica of the first one's secret. */
  readonly hasStandby: boolean;
  /** When nothing runs in the first Region, and nothing comes out of it. */
  readonly lost: Pattern | readonly Window[];
  readonly ticks: TickFaults;
  readonly clockErrorSeconds: number;
  /** Of the invocations that ask D1, how many fail. */
  readonly exchangeFailureShare: number;
  /** At D1 a new token ends the one before. */
  readonly oneTokenAtATime: boolean;
  /** Those in the second Region. Those in the first one are plain. */
  readonly consumers: readonly ConsumerKind[];
}

/** What one Region's function did. */
export interface RegionFigures {
  /** Milliseconds since 1970 UTC of every exchange that was begun. */
  readonly exchanges: readonly number[];
  /** Milliseconds since 1970 UTC of every version of its secret. */
  readonly writes: readonly number[];
}

export interface TwoRegionsFigures {
  readonly lost: readonly Window[];
  readonly primary: RegionFigures;
  readonly standby: RegionFigures;
  /** Of `standby.exchanges`, those while the first Region was there. */
  readonly standbyExchangesInNormalTimes: number;
  /** In the second Region, the whole time. */
  readonly consumers: ReadonlyMap<ConsumerKind, ConsumerFigures>;
  /** Plain ones in the first Region, while it is there. */
  readonly primaryConsumer: ConsumerFigures;
}

/** One bank in two Regions. Of the first one, the token secret has a replica in the second. */
export async function simulateTwoRegions(options: TwoRegionsOptions): Promise<TwoRegionsFigures> {
  const { seed, days, hasStandby, clockErrorSeconds, exchangeFailureShare, oneTokenAtATime } = options;
  await importsAreInstant();
  const time = new SimulatedTime(STARTS_AT);
  const endsAt = STARTS_AT + days * 86_400_000;
  const random = (name: string) => new SeededRandom(seed, name);
  const lost: readonly Window[] =
    'everySeconds' in options.lost ? windowsOf(options.lost, random('lost'), STARTS_AT, endsAt) : options.lost;
  const isLost = isWithin(lost);

  const failing = random('exchange failures');
  const d1 = new D1({
    time,
    random: random('d1'),
    fault: () => (failing.happens(exchangeFailureShare) ? 'unreachable' : undefined),
    refusesAll: () => false,
    oneTokenAtATime,
  });

  // Without a standby the replica is what there is to read.
  const replicaName = hasStandby ? PRIMARY_TOKEN_SECRET : TOKEN_SECRET;
  const lag = random('replication');
  const first = await region('first', 'eu-west-1', config, [TOKEN_SECRET], () => time.start(replicate));
  const second = await region('second', 'eu-central-1', standbyConfig, [
    replicaName,
    ...(hasStandby ? [TOKEN_SECRET] : []),
  ]);

  time.start(() => first.runTicks(0, isLost));
  // It is there when the replica is, and ticks in another second.
  const phase = random('phase of the second schedule').between(0, 50_000);
  if (hasStandby) time.start(() => second.runTicks(MOST_LAG_SECONDS * 1000 + phase, () => false));

  const observed = options.consumers.map((kind, index) => [kind, second.observe(kind, index, () => false)] as const);
  const atHome = first.observe('plain', 0, () => isLost(time.now()));
  await time.runUntil(endsAt);

  const isNormal = (moment: number) =>
    !lost.some(({ from, to }) => moment >= from && moment < to + BACK_SECONDS * 1000);
  return {
    lost,
    primary: first.figures,
    standby: second.figures,
    standbyExchangesInNormalTimes: second.figures.exchanges.filter(isNormal).length,
    consumers: new Map(observed.map(([kind, observation]) => [kind, observation.figures()])),
    primaryConsumer: atHome.figures(),
  };

  async function region(
    name: string,
    awsRegion: string,
    settings: typeof config,
    secrets: readonly string[],
    onWrite = () => {},
  ) {
    const own = (what: string) => random(`${name}: ${what}`);
    const figures = { exchanges: [] as number[], writes: [] as number[] };
    const service = new SecretsManager({
      region: awsRegion,
      accountId: '000000000000',
      clock: time,
      versionQuota: 'none',
    });
    for (const Name of secrets) await service.handle('CreateSecret', { Name, ClientRequestToken: randomUUID() });
    const client = createSimulatedClient({
      service,
      time,
      random: own('secrets manager'),
      beforeRequest: () => undefined,
      afterRequest: (operation) => {
        if (operation !== 'PutSecretValue') return;
        figures.writes.push(time.now());
        onWrite();
      },
    });
    const target = new BrokerFunction({
      time,
      random: own('broker'),
      client,
      d1: {
        sign: (...signed) => {
          figures.exchanges.push(time.now());
          return d1.sign(...signed);
        },
        tokenEndpoint: (clock, facts) => d1.tokenEndpoint(clock, facts),
      },
      clockErrorSeconds,
      settings,
    });
    return {
      service,
      figures,
      async runTicks(afterMilliseconds: number, isDown: (moment: number) => boolean): Promise<void> {
        await time.sleep(afterMilliseconds);
        const tick = async () => (isDown(time.now()) ? { error: undefined } : target.invoke(schedulerTick));
        await runSchedule({
          policy: policies.project,
          faults: options.ticks,
          invoke: tick,
          time,
          random: own('schedule'),
        });
      },
      observe(kind: ConsumerKind, index: number, isUnmeasured: () => boolean): Observation {
        const ownRandom = own(`consumer ${index}: ${kind}`);
        const clock = wanderingClock(time, clockErrorSeconds, ownRandom.fraction());
        const consumer = createConsumer(kind, { client, target, d1, clock, random: ownRandom });
        const watch = {
          get isRefusingAll() {
            return isUnmeasured();
          },
        };
        const observation = new Observation(time, watch, consumer, 30);
        time.start(() => observation.run());
        return observation;
      },
    };
  }

  /** What the first Region's secret holds when the lag is over; while the Region is lost, nothing comes. */
  async function replicate(): Promise<void> {
    await time.sleep(Math.min(lag.exponential(LAG_MEAN_SECONDS * 1000), MOST_LAG_SECONDS * 1000));
    const window = lost.find(({ from, to }) => time.now() >= from && time.now() < to);
    if (window) await time.sleep(window.to - time.now());
    const { SecretString } = await first.service.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
    await second.service.handle('PutSecretValue', {
      SecretId: replicaName,
      SecretString,
      ClientRequestToken: randomUUID(),
    });
  }
}
