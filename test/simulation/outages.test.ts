import { describe, expect, it } from 'vitest';
import type { ConsumerKind } from '../../simulation/consumers.ts';
import { shareWithout } from '../../simulation/figures.ts';
import { fourMinuteOutages, longOutages, noFaults } from '../../simulation/scenarios.ts';
import { policies } from '../../simulation/schedule.ts';
import { secondsWithout, useWorlds, world } from './worlds.ts';

const run = useWorlds();
const readers: readonly ConsumerKind[] = ['reader', 'reader with broker'];

describe('outages shorter than four minutes', () => {
  it.each(readers)('are not noticed by a %s, at whatever moment of a token life they begin', async (kind) => {
    const calm = world({ days: 0.05, consumers: [kind], callEverySeconds: 5 });
    const stored = (await run(calm)).writes[2] ?? Number.NaN;
    const offsets = Array.from({ length: 47 }, (_, index) => 240_000 + 15_000 * index);
    const figures = offsets.map(async (offset) => {
      const outage = { from: stored + offset, to: stored + offset + 239_000 };
      const withOutage = await run({ ...calm, faults: { ...noFaults, outages: [outage] } });
      return [offset, secondsWithout(withOutage)];
    });
    expect(await Promise.all(figures)).toEqual(offsets.map((offset) => [offset, { [kind]: 0 }]));
  });

  it.each(readers)('are not noticed by a %s when there is one in every hour', async (kind) => {
    const outages = { distribution: 'fixed', everySeconds: 3_600, lastsSeconds: 239, fault: 'unreachable' } as const;
    const figures = await run(world({ days: 4, faults: { ...noFaults, exchange: [outages] }, consumers: [kind] }));
    expect(figures.failures.get('TOKEN_ENDPOINT_UNREACHABLE')).toBeGreaterThan(50);
    expect(secondsWithout(figures)).toEqual({ [kind]: 0 });
  });
});

it('without faults, rate(10 minutes) leaves nobody without a token either', async () => {
  const figures = await run(world({ days: 1, policy: policies.rate10, consumers: ['plain'] }));
  expect(secondsWithout(figures)).toEqual({ plain: 0 });
  expect(figures.writes).toHaveLength(144);
});

it('four-minute outages and 5 % failures: a twentieth of the time of rate(10 minutes), at most', async () => {
  const faulty = { days: 7, faults: fourMinuteOutages } as const;
  const [before, ...after] = await Promise.all([
    run(world({ ...faulty, policy: policies.rate10, consumers: ['plain'] })),
    ...readers.map((kind) => run(world({ ...faulty, consumers: [kind] }))),
  ]);
  const limit = shareWithout(before.consumers.get('plain')) / 20;
  expect(limit).toBeGreaterThan(0.0005);
  for (const { consumers } of after) {
    for (const figures of consumers.values()) expect(shareWithout(figures)).toBeLessThanOrEqual(limit);
  }
});

it.each([1, 2, 3])(
  'in long outages a reader that asks the broker is not without a token for longer than a plain consumer beside it: seed %i',
  async (seed) => {
    const { consumers } = await run(
      world({ seed, days: 14, faults: longOutages, consumers: ['plain', 'reader with broker'] }),
    );
    const [plain, asking] = ['plain', 'reader with broker'].map((kind) => consumers.get(kind as ConsumerKind));
    expect(plain?.secondsWithout).toBeGreaterThan(1_000);
    expect(asking?.secondsWithout).toBeLessThanOrEqual(plain?.secondsWithout ?? 0);
  },
);
