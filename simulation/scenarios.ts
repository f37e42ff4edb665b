import type { DirectCalls } from './direct-callers.ts';
import type { Rotations } from './rotations.ts';
import { noTickFaults, type TickFaults } from './schedule.ts';
import type { Pattern } from './windows.ts';
import type { Faults } from './world.ts';

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

export const noFaults: Faults = {
  exchange: [],
  outages: [],
  exchangeFailureShare: 0,
  throttledShare: 0,
  ticks: noTickFaults,
  clockErrorSeconds: 0,
  quota: 'none',
  refusals: [],
  tokenReuseUntilSeconds: undefined,
  directCalls: undefined,
  rotations: undefined,
};

const unreachable = (pattern: Pattern) => ({ exchange: [{ ...pattern, fault: 'unreachable' } as const] });

/** The outages and random failures of the issue that asked for this simulator. */
export const fourMinuteOutages: Faults = {
  ...noFaults,
  ...unreachable({ distribution: 'fixed', everySeconds: 6 * HOUR, lastsSeconds: 4 * MINUTE }),
  exchangeFailureShare: 0.05,
};

export const longOutages: Faults = {
  ...fourMinuteOutages,
  ...unreachable({ distribution: 'exponential', everySeconds: 2 * DAY, lastsSeconds: 20 * MINUTE }),
};

export const badTicks: TickFaults = { lostShare: 0.02, duplicatedShare: 0.02, lateShare: 0.1, lateMeanSeconds: 45 };

export const largeWishes: DirectCalls = { everySeconds: MINUTE, minRemainingSeconds: [600, 840] };

export const rotations: Rotations = { everySeconds: 4 * HOUR, stepMeanSeconds: 2 * MINUTE, repeatedShare: 0.5 };

export interface Scenario {
  readonly name: string;
  /** One sentence: what goes wrong. */
  readonly what: string;
  readonly faults: Faults;
}

export const scenarios: readonly Scenario[] = [
  { name: 'no faults', what: 'Nothing goes wrong.', faults: noFaults },
  {
    name: '4-minute outages',
    what: 'D1 is out of reach for 4 minutes once in every 6 hours, at a random moment.',
    faults: { ...fourMinuteOutages, exchangeFailureShare: 0 },
  },
  {
    name: '4-minute outages, 5 % failures',
    what: 'The same, and 5 % of the invocations that ask D1 fail.',
    faults: fourMinuteOutages,
  },
  {
    name: 'exponential outages, 5 % failures',
    what: 'Outages of 2 minutes every 6 hours on average, both exponential, and 5 % failures.',
    faults: {
      ...fourMinuteOutages,
      ...unreachable({ distribution: 'exponential', everySeconds: 6 * HOUR, lastsSeconds: 2 * MINUTE }),
    },
  },
  {
    name: 'long outages, 5 % failures',
    what: 'Outages of 20 minutes every 2 days on average, both exponential, and 5 % failures.',
    faults: longOutages,
  },
  {
    name: 'bad ticks',
    what: '4-minute outages, 5 % failures; 2 % of the ticks are lost, 2 % come twice, 10 % come late, by 45 s on average.',
    faults: { ...fourMinuteOutages, ticks: badTicks },
  },
  {
    name: 'throttling',
    what: '4-minute outages, 5 % failures; Secrets Manager throttles 30 % of the requests.',
    faults: { ...fourMinuteOutages, throttledShare: 0.3 },
  },
  {
    name: 'clocks astray',
    what: '4-minute outages, 5 % failures; the clock of each container and consumer wanders up to 30 s off.',
    faults: { ...fourMinuteOutages, clockErrorSeconds: 30 },
  },
  {
    name: 'certificate and key',
    what: 'The client certificate has expired for 2 hours, and D1 does not know the new key for 20 minutes, each once in 7 days.',
    faults: {
      ...noFaults,
      exchange: [
        { fault: 'certificate', distribution: 'fixed', everySeconds: 7 * DAY, lastsSeconds: 2 * HOUR },
        { fault: 'rejected', distribution: 'fixed', everySeconds: 7 * DAY, lastsSeconds: 20 * MINUTE },
      ],
    },
  },
  {
    name: 'quota, strict',
    what: 'No fault, but 100 versions in 24 hours, and not one more.',
    faults: { ...noFaults, quota: 'strict' },
  },
  {
    name: 'quota, ten minutes',
    what: '4-minute outages, 5 % failures; beyond 100 versions in 24 hours, a write needs 10 minutes since the one before.',
    faults: { ...fourMinuteOutages, quota: 'ten minutes' },
  },
  {
    name: '401 storm',
    what: "D1's API answers 401 to every token for 2 hours once in 7 days (not measured while it lasts).",
    faults: {
      ...noFaults,
      refusals: [{ distribution: 'fixed', everySeconds: 7 * DAY, lastsSeconds: 2 * HOUR }],
    },
  },
  {
    name: 'large wishes',
    what: '4-minute outages, 5 % failures; once a minute on average a direct caller wants a token that lives for 600-840 s more.',
    faults: { ...fourMinuteOutages, directCalls: largeWishes },
  },
  {
    name: 'rotations',
    what: '4-minute outages, 5 % failures; every 4 hours the secret is rotated, each step 2 minutes late on average, every second last step repeated.',
    faults: { ...fourMinuteOutages, rotations },
  },
  {
    name: 'repeated tokens',
    what: 'Nothing goes wrong, but D1 gives the same token again until its end.',
    faults: { ...noFaults, tokenReuseUntilSeconds: 0 },
  },
  {
    name: 'everything',
    what: '4-minute outages, 5 % failures, bad ticks, 30 % throttling, clocks 30 s off, the ten-minute quota.',
    faults: { ...fourMinuteOutages, ticks: badTicks, throttledShare: 0.3, clockErrorSeconds: 30, quota: 'ten minutes' },
  },
];
