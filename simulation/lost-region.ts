import type { ConsumerKind } from './consumers.ts';
import { mostWritesInADay } from './figures.ts';
import { badTicks } from './scenarios.ts';
import { noTickFaults } from './schedule.ts';
import type { TwoRegionsFigures, TwoRegionsOptions } from './two-regions.ts';
import type { RunTwoRegions } from './two-regions-workers.ts';
import type { ConsumerFigures } from './world.ts';

type Case = Omit<TwoRegionsOptions, 'seed' | 'days'>;

/** The first Region is lost for an hour, once in every day, and nothing else is wrong. */
export const withStandby: Case = {
  hasStandby: true,
  lost: { distribution: 'fixed', everySeconds: 86_400, lastsSeconds: 3_600 },
  ticks: noTickFaults,
  clockErrorSeconds: 0,
  exchangeFailureShare: 0,
  oneTokenAtATime: false,
  consumers: ['plain', 'reader', 'reader with broker'],
};

/** A reader of the replica has no function in its Region to ask. */
export const withoutStandby: Case = { ...withStandby, hasStandby: false, consumers: ['plain', 'reader'] };

const cases: readonly { readonly name: string; readonly what: Case }[] = [
  { name: 'no standby, the replica is read', what: withoutStandby },
  { name: 'standby', what: withStandby },
  { name: 'standby, bad ticks, 5 % failures', what: { ...withStandby, ticks: badTicks, exchangeFailureShare: 0.05 } },
  { name: 'standby, a new token ends the one before', what: { ...withStandby, oneTokenAtATime: true } },
];

export interface LostRegion {
  readonly name: string;
  readonly figures: TwoRegionsFigures;
}

export function loseRegion(run: RunTwoRegions, setting: { seed: number; days: number }): Promise<LostRegion[]> {
  return Promise.all(cases.map(async ({ name, what }) => ({ name, figures: await run({ ...setting, ...what }) })));
}

const stretches = ({ secondsWithout, longestWithoutSeconds }: ConsumerFigures) =>
  `${secondsWithout.toFixed(0)} (${longestWithoutSeconds.toFixed(0)})`;

/** Markdown: what a lost Region costs, without a standby and with one. */
export function lostRegionSection(worlds: readonly LostRegion[]): string[] {
  const seconds = ({ consumers }: TwoRegionsFigures, kind: ConsumerKind) => {
    const found = consumers.get(kind);
    return found ? stretches(found) : '';
  };
  const titles = [
    'plain',
    'reader',
    'reader with broker',
    'plain in the first Region',
    'exchanges, primary',
    'exchanges, standby',
    'of these in normal times',
    'most writes in a day, standby',
  ];
  const lines = worlds.map(({ name, figures }) => [
    name,
    seconds(figures, 'plain'),
    seconds(figures, 'reader'),
    seconds(figures, 'reader with broker'),
    stretches(figures.primaryConsumer),
    String(figures.primary.exchanges.length),
    String(figures.standby.exchanges.length),
    String(figures.standbyExchangesInNormalTimes),
    String(mostWritesInADay(figures.standby)),
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    '### a Region is lost for an hour',
    `The first Region is lost for an hour once a day, at a random moment; such hours: ${worlds[0]?.figures.lost.length ?? 0}. Nothing runs in it, and its replica stands still. The replica's lag is 5 s on average, and a minute at most. Consumers live in the second Region, but for one that lives in the first and is looked at while that is there: seconds without a live token in all, and in brackets the longest stretch. Normal times begin two minutes after the Region is back.`,
    [line(['world', ...titles]), line(['---', ...titles.map(() => '---:')]), ...lines.map(line)].join('\n'),
  ];
}
