import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import { isWithin, windowsOf } from '../../simulation/windows.ts';

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('windowsOf', () => {
  it('fixed: one window of the given length in every stretch', () => {
    const pattern = { distribution: 'fixed', everySeconds: 100, lastsSeconds: 7 } as const;
    const windows = windowsOf(pattern, new SeededRandom(1, 'test'), 0, 1_000_000);
    expect(windows.map(({ from }) => Math.floor(from / 100_000))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(new Set(windows.map(({ from, to }) => to - from))).toEqual(new Set([7_000]));
  });

  it('exponential: the means are as told', () => {
    const pattern = { distribution: 'exponential', everySeconds: 100, lastsSeconds: 7 } as const;
    const windows = windowsOf(pattern, new SeededRandom(1, 'test'), 0, 2_000_000_000);
    expect(Math.abs(windows.length - 20_000)).toBeLessThan(600);
    expect(Math.abs(mean(windows.map(({ from, to }) => to - from)) - 7_000)).toBeLessThan(210);
  });
});

it('isWithin takes the beginning in, leaves the end out, and joins what overlaps', () => {
  const isOn = isWithin([
    { from: 50, to: 60 },
    { from: 10, to: 30 },
    { from: 20, to: 25 },
  ]);
  expect([9, 10, 24, 25, 29, 30, 49, 50, 59, 60].filter(isOn)).toEqual([10, 24, 25, 29, 50, 59]);
});
