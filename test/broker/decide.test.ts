import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeForCaller, judgeForTick } from '../../src/broker/decide.ts';
import type { TokenRecord } from '../../src/token-store/token-record.ts';
import { sampleRecord } from '../token-store/sample-record.ts';

const NOW = 1_795_000_000;

/** A token that was to live `life` seconds, `age` seconds after it was asked for. */
const tokenOf = (life: number, age: number): TokenRecord =>
  sampleRecord({ expires_in: life, obtained_at: NOW - age, expires_at: NOW - age + life });

const lives = fc.integer({ min: 1, max: 86_400 });
const windows = fc.integer({ min: 30, max: 840 });
const minimums = fc.integer({ min: 0, max: 840 });
const livingTokens = lives.chain((life) =>
  fc.tuple(fc.constant(life), fc.integer({ min: 0, max: life - 1 })).map(([, age]) => ({ life, age })),
);
const deadTokens = fc.record({ life: lives, age: fc.integer({ min: 0, max: 200_000 }) }).filter((t) => t.age >= t.life);
const wishes = fc.record({ minRemainingSeconds: minimums, force: fc.boolean() });

describe('A tick', () => {
  const judge = (life: number, age: number, window = 300) => judgeForTick(NOW, window)(tokenOf(life, age));

  it('leaves a token of 900 seconds alone for 599 of them, and refreshes it when 300 are left', () => {
    expect(judge(900, 0)).toEqual({ good: true, reason: 'fresh' });
    expect(judge(900, 599)).toEqual({ good: true, reason: 'fresh' });
    expect(judge(900, 600)).toEqual({ good: false, reason: 'due' });
    expect(judge(900, 899)).toEqual({ good: false, reason: 'due' });
    expect(judge(900, 900)).toEqual({ good: false, reason: 'expired' });
    expect(judge(900, 1_000)).toEqual({ good: false, reason: 'expired' });
  });

  it('keeps to the window that it was given', () => {
    expect(judge(900, 869, 30)).toEqual({ good: true, reason: 'fresh' });
    expect(judge(900, 870, 30)).toEqual({ good: false, reason: 'due' });
  });

  it('refreshes a short-lived token at half of its life: the window is never wider', () => {
    expect(judge(120, 59)).toEqual({ good: true, reason: 'fresh' });
    expect(judge(120, 60)).toEqual({ good: false, reason: 'due' });
  });

  it('never refreshes a token in the first half of its life', () => {
    fc.assert(
      fc.property(livingTokens, windows, ({ life, age }, window) => {
        fc.pre(age < life / 2);
        expect(judge(life, age, window).good).toBe(true);
      }),
    );
  });

  it('refreshes every token that has no more than the window left', () => {
    fc.assert(
      fc.property(livingTokens, windows, ({ life, age }, window) => {
        fc.pre(age >= life / 2 && life - age <= window);
        expect(judge(life, age, window)).toEqual({ good: false, reason: 'due' });
      }),
    );
  });

  it('leaves every token alone that has more than the window left', () => {
    fc.assert(
      fc.property(livingTokens, windows, ({ life, age }, window) => {
        fc.pre(life - age > window);
        expect(judge(life, age, window)).toEqual({ good: true, reason: 'fresh' });
      }),
    );
  });

  it('never calls a dead token good', () => {
    fc.assert(
      fc.property(deadTokens, windows, ({ life, age }, window) => {
        expect(judge(life, age, window)).toEqual({ good: false, reason: 'expired' });
      }),
    );
  });

  it('every minute writes every 600 to 660 seconds, which keeps the ten-minute rule of Secrets Manager', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 59 }), (offset) => {
        const ticks = Array.from({ length: 15 }, (_, minute) => minute * 60 + offset);
        const first = ticks.find((age) => !judge(900, age).good) ?? 0;
        expect(first).toBeGreaterThanOrEqual(600);
        expect(first).toBeLessThan(660);
      }),
    );
  });
});

describe('A caller', () => {
  const judge = (life: number, age: number, wish: Partial<{ minRemainingSeconds: number; force: boolean }> = {}) =>
    judgeForCaller(NOW, { minRemainingSeconds: 60, force: false, ...wish })(tokenOf(life, age));

  it('takes a token that lives on for exactly as long as was asked for', () => {
    expect(judge(900, 840)).toEqual({ good: true, reason: 'fresh' });
    expect(judge(900, 841)).toEqual({ good: false, reason: 'too_short' });
    expect(judge(900, 899, { minRemainingSeconds: 0 })).toEqual({ good: true, reason: 'fresh' });
  });

  it('who forces gets a new token, but not in place of one that is younger than 60 seconds', () => {
    expect(judge(900, 59, { force: true })).toEqual({ good: true, reason: 'young' });
    expect(judge(900, 60, { force: true })).toEqual({ good: false, reason: 'forced' });
  });

  it('is content with a young token, even if it lives shorter than was asked for: there is no better one', () => {
    expect(judge(300, 0, { minRemainingSeconds: 840 })).toEqual({ good: true, reason: 'young' });
    expect(judge(300, 60, { minRemainingSeconds: 840 })).toEqual({ good: false, reason: 'too_short' });
  });

  it('does not call a token young that is past half of a short life', () => {
    expect(judge(40, 19, { force: true })).toEqual({ good: true, reason: 'young' });
    expect(judge(40, 20, { force: true })).toEqual({ good: false, reason: 'forced' });
  });

  it('never gets a dead token, whatever was asked for', () => {
    fc.assert(
      fc.property(deadTokens, wishes, ({ life, age }, wish) => {
        expect(judge(life, age, wish)).toEqual({ good: false, reason: 'expired' });
      }),
    );
    expect(judge(1, 1, { minRemainingSeconds: 0 })).toEqual({ good: false, reason: 'expired' });
  });

  it('never gets less time than asked for, except from a young token', () => {
    fc.assert(
      fc.property(livingTokens, wishes, ({ life, age }, wish) => {
        const { good, reason } = judge(life, age, wish);
        fc.pre(good && reason !== 'young');
        expect(life - age).toBeGreaterThanOrEqual(wish.minRemainingSeconds);
        expect(wish.force).toBe(false);
      }),
    );
  });

  it('who does not force is never refused a token that lives long enough', () => {
    fc.assert(
      fc.property(livingTokens, minimums, ({ life, age }, minRemainingSeconds) => {
        fc.pre(life - age >= minRemainingSeconds);
        expect(judge(life, age, { minRemainingSeconds }).good).toBe(true);
      }),
    );
  });

  it('who forces always gets a new token in place of one of 60 seconds or more', () => {
    fc.assert(
      fc.property(livingTokens, minimums, ({ life, age }, minRemainingSeconds) => {
        fc.pre(age >= 60);
        expect(judge(life, age, { minRemainingSeconds, force: true })).toEqual({ good: false, reason: 'forced' });
      }),
    );
  });

  it('who has just been given a token is content with it when asking again: no wish makes a loop', () => {
    fc.assert(
      fc.property(lives, wishes, (life, wish) => {
        expect(judge(life, 0, wish)).toEqual({ good: true, reason: 'young' });
      }),
    );
  });

  it('takes a token for young that a container with a faster clock has obtained', () => {
    expect(judge(900, -5, { force: true })).toEqual({ good: true, reason: 'young' });
  });
});
