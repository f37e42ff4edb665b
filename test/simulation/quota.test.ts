import { describe, expect, it } from 'vitest';
import type { ConsumerKind } from '../../simulation/consumers.ts';
import { mostWritesInADay, mostWritesWithin, shortestBetweenWrites } from '../../simulation/figures.ts';
import { fourMinuteOutages, noFaults } from '../../simulation/scenarios.ts';
import { secondsWithout, useWorlds, world } from './worlds.ts';

const run = useWorlds();

/**
 * A tick comes up to a second early in its minute, compared with the one ten minutes before, and one exchange takes longer
 * than another: from write to write that is ten minutes, give or take this.
 */
const JITTER_SECONDS = 2;

describe('the strict reading of the version quota, 48 hours', () => {
  const strict = run(world({ faults: { ...noFaults, quota: 'strict' } }));

  it('leaves a reader that may ask the broker never without a token', async () => {
    const figures = await strict;
    expect(secondsWithout(figures)).toEqual({ 'reader with broker': 0 });
    expect(mostWritesInADay(figures)).toBe(100);
  });

  it('sets off the alarm, and does not make the broker ask D1 more often', async () => {
    const { failures, tokensIssued } = await strict;
    expect(failures.get('TOKEN_STORE_QUOTA_EXCEEDED')).toBeGreaterThan(60);
    expect(tokensIssued).toBeLessThanOrEqual(2 * 150);
  });
});

describe('writes', () => {
  it.each([
    ['without faults', noFaults],
    ['with outages and failures', fourMinuteOutages],
    ['with ticks that come twice', { ...noFaults, ticks: { ...noFaults.ticks, duplicatedShare: 0.5 } }],
    ['with Secrets Manager throttling', { ...fourMinuteOutages, throttledShare: 0.3 }],
  ])('are never less than ten minutes apart, %s', async (_what, faults) => {
    const figures = await run(world({ faults }));
    expect(shortestBetweenWrites(figures)).toBeGreaterThanOrEqual(600);
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145);
  });

  it('may come a few seconds sooner when the clocks of containers are half a minute astray', async () => {
    const figures = await run(world({ faults: { ...fourMinuteOutages, clockErrorSeconds: 30 } }));
    expect(shortestBetweenWrites(figures)).toBeGreaterThan(540);
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145);
  });

  it('that are forced are at most one a minute, however many readers saw a 401', async () => {
    const refusals = [{ distribution: 'fixed', everySeconds: 86_400, lastsSeconds: 7_200 }] as const;
    const consumers = Array<ConsumerKind>(5).fill('reader with broker');
    const figures = await run(world({ faults: { ...noFaults, refusals }, consumers }));
    expect(shortestBetweenWrites(figures)).toBeGreaterThan(60 - JITTER_SECONDS);
    const mostInAnHour = mostWritesWithin(figures, 3_600);
    expect(mostInAnHour).toBeGreaterThan(30);
    expect(mostInAnHour).toBeLessThanOrEqual(61);
  });
});
