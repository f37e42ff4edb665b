import type { Compared, OutageFigure } from './experiments.ts';
import { policies } from './schedule.ts';
import { common, svg } from './svg.ts';
import type { Sample } from './world.ts';

/** Where a logarithmic axis shows zero, in percent; one failed call in a fortnight is above it. */
const ZERO_PERCENT = 0.0001;

const policyNames = Object.values(policies).map(({ name }) => name);
/** Okabe and Ito's colours, which colour-blind readers tell apart; each consumer also has a shape of its own. */
const consumerColours = { domain: ['plain', 'reader', 'reader with broker'], range: ['#d55e00', '#e69f00', '#0072b2'] };

/** Share of the time without a live token: a panel for each scenario, a row for each policy. */
export function plotSharesWithout(compared: readonly Compared[]): Promise<string> {
  const values = compared.flatMap(({ scenario, rows }) =>
    rows.flatMap(({ policy, without }) =>
      Object.entries(without).map(([consumer, share]) => ({
        scenario: scenario.name,
        policy,
        consumer,
        percent: Math.max(ZERO_PERCENT, share * 100),
      })),
    ),
  );
  return svg({
    ...common,
    title: 'Share of the time in which a consumer could not get a live token',
    data: { values },
    facet: { field: 'scenario', type: 'nominal', sort: compared.map(({ scenario }) => scenario.name), title: null },
    columns: 3,
    spec: {
      width: 230,
      height: 95,
      mark: { type: 'point', filled: true, size: 70, opacity: 0.85 },
      encoding: {
        y: { field: 'policy', type: 'nominal', sort: policyNames, title: null, axis: { grid: true, labelLimit: 300 } },
        x: {
          field: 'percent',
          type: 'quantitative',
          scale: { type: 'log', domain: [ZERO_PERCENT, 100] },
          axis: {
            title: '% of the time',
            values: [ZERO_PERCENT, 0.001, 0.01, 0.1, 1, 10, 100],
            labelExpr: `datum.value <= ${ZERO_PERCENT} ? '0' : format(datum.value, '~r')`,
          },
        },
        color: { field: 'consumer', type: 'nominal', scale: consumerColours, title: 'consumer' },
        shape: {
          field: 'consumer',
          type: 'nominal',
          scale: { domain: consumerColours.domain, range: ['circle', 'diamond', 'square'] },
          title: 'consumer',
        },
      },
    },
  });
}

/** Mean time without a token for an outage, by its length. */
export function plotOutages(figures: readonly OutageFigure[]): Promise<string> {
  const values = figures.map(({ policy, consumer, outageMinutes, secondsWithoutPerOutage }) => ({
    who: `${policy}, ${consumer}`,
    outageMinutes,
    secondsWithoutPerOutage,
  }));
  const who = [...new Set(values.map((value) => value.who))];
  return svg({
    ...common,
    title: 'How long an outage of D1 is felt',
    data: { values },
    width: 560,
    height: 320,
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'outageMinutes', type: 'quantitative', title: 'minutes that the outage lasts' },
      y: { field: 'secondsWithoutPerOutage', type: 'quantitative', title: 'mean seconds without a live token' },
      color: {
        field: 'who',
        type: 'nominal',
        sort: who,
        scale: { domain: who, range: ['#cc79a7', '#d55e00', '#e69f00', '#009e73', '#0072b2'] },
        title: 'policy, consumer',
        legend: { labelLimit: 300 },
      },
    },
  });
}

/** Writes and exchanges a day in one scenario. */
export function plotWrites({ scenario, rows }: Compared): Promise<string> {
  const values = rows.flatMap(({ policy, writesPerDay, exchangesPerDay }) => [
    { policy, what: 'writes', perDay: writesPerDay },
    { policy, what: 'exchanges', perDay: exchangesPerDay },
  ]);
  const limits = [
    { perDay: 100, what: 'strict quota' },
    { perDay: 144, what: 'every 10 minutes' },
  ];
  return svg({
    ...common,
    title: { text: `Writes and exchanges a day: ${scenario.name}`, offset: 18 },
    width: 480,
    height: 180,
    layer: [
      {
        data: { values },
        mark: 'bar',
        encoding: {
          y: { field: 'policy', type: 'nominal', sort: policyNames, title: null, axis: { labelLimit: 300 } },
          yOffset: { field: 'what', type: 'nominal', sort: ['writes', 'exchanges'] },
          x: { field: 'perDay', type: 'quantitative', title: 'per day' },
          color: {
            field: 'what',
            type: 'nominal',
            scale: { domain: ['writes', 'exchanges'], range: ['#0072b2', '#56b4e9'] },
            title: null,
          },
        },
      },
      {
        data: { values: limits },
        layer: [
          { mark: { type: 'rule', strokeDash: [4, 3] } },
          {
            mark: { type: 'text', align: 'center', y: -6 },
            encoding: { text: { field: 'what', type: 'nominal' } },
          },
        ],
        encoding: { x: { field: 'perDay', type: 'quantitative' } },
      },
    ],
  });
}

/** Samples per point of the plot: the least life in each quarter of an hour. */
const SAMPLES_PER_POINT = 15;

/** What is left of the token in the secret and in a reader's hand, and the versions, under the strict quota. */
export function plotStrictQuota(samples: readonly Sample[]): Promise<string> {
  const points = Array.from({ length: Math.floor(samples.length / SAMPLES_PER_POINT) }, (_, index) =>
    samples.slice(index * SAMPLES_PER_POINT, (index + 1) * SAMPLES_PER_POINT),
  );
  const values = points.flatMap((point) => {
    const hours = point[0]?.hours ?? 0;
    const least = (left: (sample: Sample) => number) => Math.min(...point.map(left));
    return [
      { hours, who: 'in the secret', left: least((sample) => sample.secondsLeftInSecret) },
      { hours, who: 'reader with broker', left: least((sample) => sample.secondsLeft['reader with broker'] ?? 0) },
    ];
  });
  const versions = points.map((point) => ({ hours: point[0]?.hours ?? 0, versions: point[0]?.versionsInLastDay ?? 0 }));
  const hours = {
    field: 'hours',
    type: 'quantitative' as const,
    title: 'hours',
    scale: { domain: [0, 72] },
    axis: { values: [0, 12, 24, 36, 48, 60, 72] },
  };
  return svg({
    ...common,
    title: 'Strict quota: 100 versions in 24 hours',
    vconcat: [
      {
        width: 640,
        height: 180,
        data: { values },
        mark: { type: 'line', interpolate: 'step-after' },
        encoding: {
          x: hours,
          y: { field: 'left', type: 'quantitative', title: ['least seconds left', 'in a quarter of an hour'] },
          color: {
            field: 'who',
            type: 'nominal',
            scale: { domain: ['in the secret', 'reader with broker'], range: ['#d55e00', '#0072b2'] },
            title: 'token',
          },
        },
      },
      {
        width: 640,
        height: 110,
        data: { values: versions },
        mark: { type: 'line', color: '#555' },
        encoding: {
          x: hours,
          y: { field: 'versions', type: 'quantitative', title: ['versions written', 'in 24 hours'] },
        },
      },
    ],
  });
}
