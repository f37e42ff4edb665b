import { describe, expect, it } from 'vitest';
import type { ConsumerKind } from '../../simulation/consumers.ts';
import {
  longestBetweenWrites,
  mostWritesInADay,
  mostWritesWithin,
  shortestBetweenWrites,
} from '../../simulation/figures.ts';
import { fourMinuteOutages, largeWishes, noFaults, rotations } from '../../simulation/scenarios.ts';
import { secondsWithout, useWorlds, world } from './worlds.ts';

const run = useWorlds();

/** What the budget of forced writes lets through in any 24 hours. */
const FORCED_WRITES_IN_A_DAY = 24;

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
    ['with Secrets Manager throttling', { ...fourMinuteOutages, throttledShare: 0.3 }],
  ])('are never less than ten minutes apart, %s', async (_what, faults) => {
    const figures = await run(world({ faults }));
    expect(shortestBetweenWrites(figures)).toBeGreaterThanOrEqual(600);
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145);
  });

  it.each([
    ['a tick comes twice', { ...noFaults, ticks: { ...noFaults.ticks, duplicatedShare: 0.5 } }],
    ['a reader asks during outages', fourMinuteOutages],
  ])('come sooner when refreshes overlap, within the budget of forced writes: %s', async (_what, faults) => {
    const figures = await run(world({ faults }));
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145 + FORCED_WRITES_IN_A_DAY);
  });

  it('may come a few seconds sooner when the clocks of containers are half a minute astray', async () => {
    const figures = await run(world({ faults: { ...fourMinuteOutages, clockErrorSeconds: 30 } }));
    expect(shortestBetweenWrites(figures)).toBeGreaterThan(540);
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145);
  });

  it('that are forced are 24 a day at most, however many readers saw a 401', async () => {
    const refusals = [{ distribution: 'fixed', everySeconds: 86_400, lastsSeconds: 7_200 }] as const;
    const consumers = Array<ConsumerKind>(5).fill('reader with broker');
    const figures = await run(world({ faults: { ...noFaults, refusals }, consumers }));
    expect(mostWritesWithin(figures, 3_600)).toBeGreaterThan(12);
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145 + FORCED_WRITES_IN_A_DAY);
  });

  it('are no more than with the forced ones when callers wish for 600-840 s each minute, and so are exchanges', async () => {
    const figures = await run(world({ days: 3, faults: { ...noFaults, directCalls: largeWishes } }));
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145 + FORCED_WRITES_IN_A_DAY);
    expect(figures.tokensIssued).toBeLessThanOrEqual(3 * (145 + FORCED_WRITES_IN_A_DAY));
  });

  it('are one a rotation more when the secret is rotated every four hours', async () => {
    const figures = await run(world({ days: 3, faults: { ...noFaults, rotations } }));
    expect(mostWritesInADay(figures)).toBeLessThanOrEqual(145 + 6);
  });

  it('are one for each token when D1 repeats it until its end, and the next token is there within three seconds', async () => {
    const repeating = { ...noFaults, tokenReuseUntilSeconds: 0 };
    const figures = await run(world({ faults: repeating, consumers: ['plain', 'reader with broker'] }));
    expect(figures.tokensIssued).toBe(figures.writes.length);
    expect(longestBetweenWrites(figures)).toBeLessThanOrEqual(900 + 3);
    expect(secondsWithout(figures)).toMatchObject({ 'reader with broker': 0 });
  });
});
