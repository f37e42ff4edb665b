import type { Compared, LongOutage, OutageFigure, Row, SeedsFigure } from './experiments.ts';
import { longOutageWorlds, outageMinutes } from './experiments.ts';

/** Two significant digits; what is zero looks like it. */
export const percent = (share: number): string => (share === 0 ? '0' : `${Number((share * 100).toPrecision(2))} %`);

const seconds = (value: number): string => (value === 0 ? '0' : String(Math.ceil(value)));

const columns: readonly { readonly title: string; readonly cell: (row: Row) => string }[] = [
  { title: 'plain', cell: ({ without }) => percent(without.plain) },
  { title: 'reader', cell: ({ without }) => percent(without.reader) },
  { title: 'reader with broker', cell: ({ without }) => percent(without['reader with broker']) },
  { title: 'longest, plain (s)', cell: ({ longestSecondsWithout }) => seconds(longestSecondsWithout.plain) },
  {
    title: 'longest, with broker (s)',
    cell: ({ longestSecondsWithout }) => seconds(longestSecondsWithout['reader with broker']),
  },
  { title: 'writes a day', cell: ({ writesPerDay }) => writesPerDay.toFixed(1) },
  { title: 'most in a day', cell: (row) => String(row.mostWritesInADay) },
  { title: 'most in an hour', cell: (row) => String(row.mostWritesInAnHour) },
  { title: 'shortest between writes (s)', cell: (row) => row.shortestSecondsBetweenWrites.toFixed(1) },
  { title: 'exchanges a day', cell: ({ exchangesPerDay }) => exchangesPerDay.toFixed(1) },
  { title: 'quota failures a day', cell: ({ quotaFailuresPerDay }) => quotaFailuresPerDay.toFixed(0) },
];

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const rule = (numbers: number): string => line(['---', ...Array<string>(numbers).fill('---:')]);

/** Markdown: a table for each scenario. */
export function policyTables(compared: readonly Compared[]): string {
  return compared
    .map(({ scenario, rows }) =>
      [
        `### ${scenario.name}`,
        '',
        scenario.what,
        '',
        line(['policy', ...columns.map(({ title }) => title)]),
        rule(columns.length),
        ...rows.map((row) => line([row.policy, ...columns.map(({ cell }) => cell(row))])),
      ].join('\n'),
    )
    .join('\n\n');
}

/** Markdown: mean and worst of the seeds, for each policy. */
export function seedsTable(figures: readonly SeedsFigure[]): string {
  const mean = (shares: readonly number[]) => percent(shares.reduce((sum, share) => sum + share, 0) / shares.length);
  const worst = (shares: readonly number[]) => percent(Math.max(...shares));
  const titles = ['plain, mean', 'plain, worst', 'reader with broker, mean', 'reader with broker, worst'];
  return [
    line(['policy', ...titles]),
    rule(titles.length),
    ...figures.map(({ policy, plain, withBroker }) =>
      line([policy, mean(plain), worst(plain), mean(withBroker), worst(withBroker)]),
    ),
  ].join('\n');
}

/** Markdown: mean seconds without a token for each outage, by its length. */
export function outageTable(figures: readonly OutageFigure[]): string {
  const rows = Map.groupBy(figures, ({ policy, consumer }) => `${policy}, ${consumer}`);
  return [
    line(['minutes that the outage lasts', ...outageMinutes.map(String)]),
    rule(outageMinutes.length),
    ...[...rows].map(([title, cells]) =>
      line([title, ...cells.map(({ secondsWithoutPerOutage }) => secondsWithoutPerOutage.toFixed(1))]),
    ),
  ].join('\n');
}

/** Markdown: the long outages that anybody noticed, one by one, in each world. */
export function longOutageTable(outages: readonly LongOutage[]): string {
  const titles = longOutageWorlds.flatMap((kinds, index) =>
    ['left', ...kinds].map((title) => `${index + 1}: ${title}`),
  );
  const cells = ({ lastsSeconds, worlds }: LongOutage): number[] => [
    lastsSeconds,
    ...worlds.flatMap(({ secondsLeftInSecret, secondsWithout }) => [
      secondsLeftInSecret,
      ...Object.values(secondsWithout),
    ]),
  ];
  const noticed = outages.filter(({ worlds }) =>
    worlds.some(({ secondsWithout }) => Object.values(secondsWithout).some((value) => value > 0)),
  );
  return [
    line(['outage', ...titles]),
    rule(titles.length),
    ...noticed.map((outage) => line(cells(outage).map((value) => value.toFixed(0)))),
  ].join('\n');
}
