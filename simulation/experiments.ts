import type { ConsumerKind } from './consumers.ts';
import { mostWritesInADay, mostWritesWithin, shareWithout, shortestBetweenWrites } from './figures.ts';
import { fourMinuteOutages, longOutages, noFaults, type Scenario, scenarios } from './scenarios.ts';
import { type Policy, policies } from './schedule.ts';
import type { Window } from './windows.ts';
import type { Faults, Figures, Outage, Sample } from './world.ts';
import type { RunWorld } from './world-workers.ts';

/** What one policy came to in one scenario. */
export interface Row {
  readonly policy: string;
  /** Share of the time in which the consumer could not get a live token, 0-1. */
  readonly without: Readonly<Record<ConsumerKind, number>>;
  readonly longestSecondsWithout: Readonly<Record<ConsumerKind, number>>;
  // The rest is of the world whose reader asks the broker.
  readonly writesPerDay: number;
  readonly mostWritesInADay: number;
  readonly mostWritesInAnHour: number;
  readonly shortestSecondsBetweenWrites: number;
  readonly exchangesPerDay: number;
  readonly quotaFailuresPerDay: number;
}

export interface Compared {
  readonly scenario: Scenario;
  readonly rows: readonly Row[];
}

export interface Setting {
  readonly seed: number;
  readonly days: number;
}

/** A policy in a scenario: once with consumers that only read, and once with a reader that asks the broker. */
async function runPolicy(run: RunWorld, policy: Policy, faults: Faults, setting: Setting): Promise<Row> {
  const [reading, asking] = await Promise.all([
    run({ ...setting, policy, faults, consumers: ['plain', 'reader'] }),
    run({ ...setting, policy, faults, consumers: ['reader with broker'] }),
  ]);
  const consumers = new Map([...reading.consumers, ...asking.consumers]);
  const each = (figure: (kind: ConsumerKind) => number) => ({
    plain: figure('plain'),
    reader: figure('reader'),
    'reader with broker': figure('reader with broker'),
  });
  return {
    policy: policy.name,
    without: each((kind) => shareWithout(consumers.get(kind))),
    longestSecondsWithout: each((kind) => consumers.get(kind)?.longestWithoutSeconds ?? 0),
    writesPerDay: asking.writes.length / setting.days,
    mostWritesInADay: mostWritesInADay(asking),
    mostWritesInAnHour: mostWritesWithin(asking, 3_600),
    shortestSecondsBetweenWrites: shortestBetweenWrites(asking),
    exchangesPerDay: asking.tokensIssued / setting.days,
    quotaFailuresPerDay: (asking.failures.get('TOKEN_STORE_QUOTA_EXCEEDED') ?? 0) / setting.days,
  };
}

/** Every policy in every scenario; in a scenario, all meet the same outages. */
export function comparePolicies(run: RunWorld, setting: Setting, among = scenarios): Promise<Compared[]> {
  const rows = (faults: Faults) => Object.values(policies).map((policy) => runPolicy(run, policy, faults, setting));
  return Promise.all(among.map(async (scenario) => ({ scenario, rows: await Promise.all(rows(scenario.faults)) })));
}

/** Worlds that a figure's luck is judged by. */
export const SEEDS = 10;

/** One policy in the worlds of seed `seed` and of those after it. */
export interface SeedsFigure {
  readonly policy: string;
  /** Shares of the time without a live token, 0-1, a seed each. */
  readonly plain: readonly number[];
  readonly withBroker: readonly number[];
}

/** How much of *4-minute outages, 5 % failures* is luck: the same for other seeds. */
export function compareSeeds(run: RunWorld, { seed, days }: Setting): Promise<SeedsFigure[]> {
  const seeds = Array.from({ length: SEEDS }, (_, index) => seed + index);
  return Promise.all(
    [policies.rate10, policies.rate10WithRetries, policies.project].map(async (policy) => {
      const rows = await Promise.all(
        seeds.map((each) => runPolicy(run, policy, fourMinuteOutages, { seed: each, days })),
      );
      return {
        policy: policy.name,
        plain: rows.map(({ without }) => without.plain),
        withBroker: rows.map(({ without }) => without['reader with broker']),
      };
    }),
  );
}

export interface OutageFigure {
  readonly policy: string;
  readonly consumer: ConsumerKind;
  readonly outageMinutes: number;
  /** Means over the outages, which begin at random moments. */
  readonly secondsWithoutPerOutage: number;
}

const OUTAGE_DAYS = 4;
const OUTAGE_EVERY_SECONDS = 3_600;
export const outageMinutes = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25] as const;

const sweptPolicies: readonly { readonly policy: Policy; readonly consumer: ConsumerKind }[] = [
  { policy: policies.rate14, consumer: 'plain' },
  { policy: policies.rate10, consumer: 'plain' },
  { policy: policies.rate10WithRetries, consumer: 'plain' },
  { policy: policies.project, consumer: 'plain' },
  { policy: policies.project, consumer: 'reader with broker' },
];

/** How long consumers are without a token for an outage of a given length, and nothing else wrong. */
export function sweepOutages(run: RunWorld, { seed }: Pick<Setting, 'seed'>): Promise<OutageFigure[]> {
  const outages = (OUTAGE_DAYS * 86_400) / OUTAGE_EVERY_SECONDS;
  const sweep = sweptPolicies.flatMap((swept) => outageMinutes.map((minutes) => ({ ...swept, minutes })));
  return Promise.all(
    sweep.map(async ({ policy, consumer, minutes }) => {
      const pattern = {
        distribution: 'fixed',
        everySeconds: OUTAGE_EVERY_SECONDS,
        lastsSeconds: minutes * 60,
      } as const;
      const faults: Faults = { ...noFaults, exchange: [{ ...pattern, fault: 'unreachable' }] };
      const { consumers } = await run({ seed, days: OUTAGE_DAYS, policy, faults, consumers: [consumer] });
      const secondsWithoutPerOutage = (consumers.get(consumer)?.secondsWithout ?? 0) / outages;
      return { policy: policy.name, consumer, outageMinutes: minutes, secondsWithoutPerOutage };
    }),
  );
}

/** The token's life under the strict quota, in this project's policy. */
export async function watchStrictQuota(run: RunWorld, { seed }: Pick<Setting, 'seed'>): Promise<readonly Sample[]> {
  const { samples } = await run({
    seed,
    days: 3,
    policy: policies.project,
    faults: { ...noFaults, quota: 'strict' },
    consumers: ['reader with broker'],
    callEverySeconds: 10,
    sampleEverySeconds: 60,
  });
  return samples;
}

/** One outage of *long outages*, as one world met it. */
export interface MetOutage {
  readonly secondsLeftInSecret: number;
  readonly secondsWithout: Readonly<Partial<Record<ConsumerKind, number>>>;
}

export interface LongOutage {
  readonly lastsSeconds: number;
  /** In the order of `longOutageWorlds`. */
  readonly worlds: readonly MetOutage[];
}

/** Who lives in each world: as `runPolicy` has it, and side by side. */
export const longOutageWorlds: readonly (readonly ConsumerKind[])[] = [
  ['plain', 'reader'],
  ['reader with broker'],
  ['plain', 'reader with broker'],
];

/** The long outages one by one, in this project's policy: what they met in each world, and what consumers noticed. */
export async function watchLongOutages(run: RunWorld, setting: Setting): Promise<LongOutage[]> {
  const faults = longOutages;
  const worlds = await Promise.all(
    longOutageWorlds.map((consumers) => run({ ...setting, policy: policies.project, faults, consumers })),
  );
  const met = (outage: Outage, { consumers }: Figures): MetOutage => ({
    secondsLeftInSecret: outage.secondsLeftInSecret,
    secondsWithout: Object.fromEntries(
      [...consumers].map(([kind, { without }]) => [kind, secondsThatBeganIn(outage, without)]),
    ),
  });
  const [first] = worlds;
  return (first?.outages ?? []).map(({ from, to }, index) => ({
    lastsSeconds: (to - from) / 1000,
    worlds: worlds.flatMap((figures) => {
      const outage = figures.outages[index];
      return outage ? [met(outage, figures)] : [];
    }),
  }));
}

const secondsThatBeganIn = ({ from, to }: Window, stretches: readonly Window[]): number =>
  stretches
    .filter((stretch) => stretch.from >= from && stretch.from < to)
    .reduce((sum, stretch) => sum + (stretch.to - stretch.from) / 1000, 0);
