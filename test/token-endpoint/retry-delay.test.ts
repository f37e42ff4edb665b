import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRetryAfter, retryDelayMilliseconds } from '../../src/token-endpoint/retry-delay.ts';

describe('the delay before the next attempt', () => {
  const almostOne = 1 - Number.EPSILON;

  it.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [4, 1_600],
    [5, 3_200],
    [6, 5_000],
    [7, 5_000],
    [1_000, 5_000],
    [2_000, 5_000],
  ])('after attempt %i is anything from 0 to %i ms: full jitter below a ceiling that doubles', (attempt, ceiling) => {
    expect(retryDelayMilliseconds(attempt, undefined, 0)).toBe(0);
    expect(retryDelayMilliseconds(attempt, undefined, 0.5)).toBe(ceiling / 2);
    expect(retryDelayMilliseconds(attempt, undefined, almostOne)).toBe(ceiling);
  });

  it('is never shorter than the server asked for, and keeps the jitter, so that clients do not come back together', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 0, max: 999_999_999_000 }),
        fc.double({ min: 0, max: almostOne, noNaN: true }),
        (attempt, asked, fraction) => {
          const delay = retryDelayMilliseconds(attempt, asked, fraction);
          expect(delay).toBeGreaterThanOrEqual(asked);
          expect(delay).toBeLessThanOrEqual(asked + 5_000);
          expect(Number.isInteger(delay)).toBe(true);
        },
      ),
    );
    expect(retryDelayMilliseconds(1, 3_000, 0.5)).toBe(3_100);
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2026, 10, 23, 12, 0, 0);

  it.each<[string | undefined, number | undefined]>([
    ['0', 0],
    ['3', 3_000],
    ['120', 120_000],
    ['007', 7_000],
    ['999999999', 999_999_999_000],
    ['Mon, 23 Nov 2026 12:00:05 GMT', 5_000],
    ['Mon, 23 Nov 2026 11:59:00 GMT', 0],
    ['Tue, 24 Nov 2026 12:00:00 GMT', 86_400_000],
    [undefined, undefined],
    ['', undefined],
    ['soon', undefined],
    ['-5', undefined],
    ['+5', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['5 s', undefined],
    ['1, 2', undefined],
    ['9999999999', undefined],
    ['Infinity', undefined],
    ['2026-11-23T12:00:05Z', undefined],
    ['Monday, 23-Nov-26 12:00:05 GMT', undefined],
    ['Mon Nov 23 12:00:05 2026', undefined],
    ['Mon, 23 Nov 2026 12:00:05 CET', undefined],
    ['Mon, 23 Xyz 2026 12:00:05 GMT', undefined],
    ['Mon, 23 Nov 2026 99:99:99 GMT', undefined],
    ['Mon, 23 Nov 2026 12:00:05 GMT, and later', undefined],
  ])('%j means %j ms from now', (header, milliseconds) => {
    expect(parseRetryAfter(header, now)).toBe(milliseconds);
  });

  it('means nothing or a whole number of milliseconds, whatever a server sends', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const milliseconds = parseRetryAfter(header, now);
        expect(milliseconds === undefined || (Number.isInteger(milliseconds) && milliseconds >= 0)).toBe(true);
      }),
    );
  });
});
