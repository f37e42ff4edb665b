import { afterAll, describe, expect, it } from 'vitest';
import { withoutStandby, withStandby } from '../../simulation/lost-region.ts';
import { TwoRegionsWorkers } from '../../simulation/two-regions-workers.ts';
import { STARTS_AT } from '../../simulation/world.ts';

const workers = new TwoRegionsWorkers();
afterAll(() => workers.close());

describe('a Region that is lost for an hour', () => {
  it('leaves plain readers of a replica without a token for most of it', async () => {
    const { consumers, lost } = await workers.run({ seed: 1, days: 2, ...withoutStandby });
    expect(lost).toHaveLength(2);
    expect(consumers.get('plain')?.longestWithoutSeconds).toBeGreaterThan(2_400);
  });

  it.each([1, 2, 3])(
    'leaves those of a standby without one for less than 60 s, and in normal times one Region asks D1: seed %i',
    async (seed) => {
      const figures = await workers.run({ seed, days: 5, ...withStandby });
      expect(figures.lost).toHaveLength(5);
      for (const consumer of figures.consumers.values()) expect(consumer.longestWithoutSeconds).toBeLessThan(60);
      // Four or five in each lost hour, and none outside.
      expect(figures.standby.exchanges.length).toBeGreaterThanOrEqual(20);
      expect(figures.standbyExchangesInNormalTimes).toBe(0);
    },
  );

  it('at whatever moment of a token life that begins', async () => {
    const offsets = Array.from({ length: 23 }, (_, index) => 30 * index);
    const longest = offsets.map(async (offset) => {
      const from = STARTS_AT + (3_600 + offset) * 1000;
      const lost = [{ from, to: from + 3_600_000 }];
      const { consumers } = await workers.run({ seed: 1, days: 0.1, ...withStandby, lost, consumers: ['plain'] });
      return [offset, (consumers.get('plain')?.longestWithoutSeconds ?? Number.NaN) < 60];
    });
    expect(await Promise.all(longest)).toEqual(offsets.map((offset) => [offset, true]));
  });
});

it('a standby writes no more versions than its primary, and one for each of its own exchanges', async () => {
  const { primary, standby } = await workers.run({ seed: 1, days: 5, ...withStandby });
  expect(standby.writes.length).toBeLessThanOrEqual(primary.writes.length + standby.exchanges.length);
});
