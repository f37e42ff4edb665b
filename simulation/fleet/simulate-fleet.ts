import type { Window } from '../windows.ts';
import { dayCost } from './fleet-cost.ts';
import { FLEET_STARTS_AT, type FleetFigures, simulateFleet } from './world.ts';

const MINUTE = 60_000;

/** `npm run simulate -- --issuers 10000`: a day of many issuers, with outages of 4, 10 and 20 minutes and a cold start. */
export async function simulateDayOfMany(issuers: number, hours: number, seed: number): Promise<string> {
  const at = (share: number) => Math.round(hours * share * 60) * MINUTE;
  const outages = [
    { from: at(0.2), to: at(0.2) + 4 * MINUTE - 1_000 },
    { from: at(0.4), to: at(0.4) + 10 * MINUTE },
    { from: at(0.6), to: at(0.6) + 20 * MINUTE },
  ];
  const coldStart = at(0.85);
  const options = { seed, issuers, hours, outages, coldStarts: [coldStart], failureShare: 0.01 };
  const began = performance.now();
  const [well, fifthBroken] = [
    await simulateFleet({ ...options, brokenShare: 0 }),
    await simulateFleet({ ...options, brokenShare: 0.2 }),
  ];
  return [
    `${issuers} issuers, ${hours} simulated hours, seed ${seed}, ${Math.round((performance.now() - began) / 1000)} s of real time.`,
    table(
      ['', 'all well', 'a fifth broken'],
      [
        ...outages.map((outage, index) => [
          `outage of ${['239 s', '10 minutes', '20 minutes'][index]}: issuers without a token, alive again after`,
          ...[well, fifthBroken].map((figures) => afterOutage(figures, outage)),
        ]),
        [
          `cold start of everything: issuers without a token`,
          ...[well, fifthBroken].map((one) => diedWithin(one, coldStart)),
        ],
        [
          'at other times: issuers without a token',
          ...[well, fifthBroken].map((one) => diedOtherwise(one, outages, coldStart)),
        ],
        [
          'refreshed after it was due, p99',
          ...[well, fifthBroken].map(({ lateness }) => `${percentile(lateness, 0.99)} s`),
        ],
        [
          'writes: most in a second, throttled',
          ...[well, fifthBroken].map((one) => `${one.mostWritesInASecond}, ${one.throttled}`),
        ],
        [
          'tries of D1 in a minute of an outage, at most',
          ...[well, fifthBroken].map((one) => String(one.mostTriesInAnOutageMinute)),
        ],
        ['workers at once, at most', ...[well, fifthBroken].map(({ mostBusy }) => String(mostBusy))],
        [
          'writes an issuer and day',
          ...[well, fifthBroken].map((one) => (one.writes / issuers / (hours / 24)).toFixed(1)),
        ],
        [
          'USD an issuer and month: keys of their own, one signing key',
          ...[well, fifthBroken].map((one) => dayCost(one, issuers, hours)),
        ],
      ],
    ),
  ].join('\n\n');
}

/** Of issuers that nothing is wrong with. */
const stretchesOf = ({ issuers }: FleetFigures): readonly Window[] =>
  issuers
    .flatMap(({ ailment, without }) => (ailment ? [] : without))
    .map(({ from, to }) => ({
      from: from - FLEET_STARTS_AT,
      to: to - FLEET_STARTS_AT,
    }));

/** As long after an outage its dead count as its. */
const AFTER = 10 * MINUTE;

function afterOutage(figures: FleetFigures, outage: Window): string {
  const own = stretchesOf(figures).filter(({ from }) => from >= outage.from && from < outage.to + AFTER);
  if (own.length === 0) return 'none';
  const last = own.reduce((latest, { to }) => Math.max(latest, to), 0);
  return `${own.length}, ${Math.ceil((last - outage.to) / 1000)} s`;
}

const diedWithin = (figures: FleetFigures, at: number): string =>
  String(stretchesOf(figures).filter(({ from }) => from >= at && from < at + AFTER).length);

function diedOtherwise(figures: FleetFigures, outages: readonly Window[], coldStart: number): string {
  const explained = [...outages, { from: coldStart, to: coldStart }];
  const isExplained = ({ from }: Window) => explained.some((one) => from >= one.from && from < one.to + AFTER);
  return String(stretchesOf(figures).filter((one) => !isExplained(one)).length);
}

function percentile(milliseconds: readonly number[], share: number): string {
  const sorted = Float64Array.from(milliseconds).sort();
  return ((sorted[Math.floor(sorted.length * share)] ?? 0) / 1000).toFixed(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
