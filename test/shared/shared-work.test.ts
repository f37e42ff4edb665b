import { describe, expect, it } from 'vitest';
import { type Patience, SharedWork, type WorkTime, waitFor } from '../../src/shared/shared-work.ts';
import { FakeClock } from '../support/fake-clock.ts';

const NOW = 1_000_000;
const late = 'the work took too long';
const tooLate = () => new Error(late);

/** @param budgetMilliseconds Without it, the work has as long as the most patient of its callers. */
function setUp(budgetMilliseconds?: number) {
  const clock = new FakeClock({ startsAt: NOW });
  const work = new SharedWork<string>(clock, tooLate, budgetMilliseconds);
  const launches: { time: WorkTime; land: (result: string) => void; crash: (error: Error) => void }[] = [];
  return {
    clock,
    work,
    launches,
    /** A caller who waits so many milliseconds from now at most. */
    join: (milliseconds: number, patience: Patience = {}) => {
      const joining = work.join((time) => {
        const { promise, resolve, reject } = Promise.withResolvers<string>();
        launches.push({ time, land: resolve, crash: reject });
        return promise;
      }, clock.now() + milliseconds);
      return waitFor(joining, { timeoutMilliseconds: milliseconds, ...patience }, clock, () => new Error('I left'));
    },
  };
}

const quiet = (joining: Promise<string>) => void joining.catch(() => {});
/** Whatever is settled by now has been heard. */
const turn = () => new Promise(setImmediate);

describe.each([
  ['with a budget of its own', 60_000],
  ['with as long as its most patient caller', undefined],
])('One piece of work for many callers, %s', (_name, budget) => {
  it('is done once, and everybody gets the result', async () => {
    const { join, launches, work } = setUp(budget);
    expect(work.underWay).toBe(false);
    const waiting = Array.from({ length: 100 }, () => join(1_000));
    expect(work.underWay).toBe(true);
    expect(launches).toHaveLength(1);
    launches[0]?.land('a result');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['a result']));
  });

  it('is begun anew by whoever comes after its end, even from the first line that runs then', async () => {
    const { join, launches, work } = setUp(budget);
    const first = join(1_000).then(() => {
      expect(work.underWay).toBe(false);
      const second = join(1_000);
      launches[1]?.land('new');
      return second;
    });
    launches[0]?.land('old');
    expect(await first).toBe('new');
    expect(launches).toHaveLength(2);
  });

  it('fails for everybody when it fails, and the next call begins anew', async () => {
    const { join, launches } = setUp(budget);
    const waiting = Promise.allSettled([join(1_000), join(2_000), join(3_000)]);
    const reason = new Error('the reason');
    launches[0]?.crash(reason);
    expect(await waiting).toEqual(Array(3).fill({ status: 'rejected', reason }));
    const next = join(1_000);
    expect(launches).toHaveLength(2);
    launches[1]?.land('better');
    expect(await next).toBe('better');
  });

  it('may look at its time at once', async () => {
    const { work } = setUp(budget);
    const until = work.join(async (time) => String(time.until()), NOW + 1_000);
    expect(await until).toBe(String(NOW + (budget ?? 1_000)));
  });

  it('fails likewise when it throws before it has begun', async () => {
    const { work, join, launches } = setUp(budget);
    const broken = work.join(() => {
      throw new Error('at once');
    }, NOW + 1_000);
    await expect(broken).rejects.toThrow('at once');
    quiet(join(1_000));
    expect(launches).toHaveLength(1);
  });

  it('lets everybody wait as long as they like: an impatient caller who came first takes nobody along', async () => {
    const { clock, join, launches } = setUp(budget);
    const impatient = join(1_000);
    const patient = join(10_000);
    clock.advance(1_000);
    await expect(impatient).rejects.toThrow('I left');
    launches[0]?.land('worth waiting for');
    expect(await patient).toBe('worth waiting for');
    expect(launches).toHaveLength(1);
  });

  it('lends nobody the patience of another: an impatient caller who came last leaves first', async () => {
    const { clock, join, launches } = setUp(budget);
    const patient = join(10_000);
    const impatient = join(1_000);
    clock.advance(1_000);
    await expect(impatient).rejects.toThrow('I left');
    launches[0]?.land('worth waiting for');
    expect(await patient).toBe('worth waiting for');
  });

  it('is left by a caller whose signal says so, and by no other', async () => {
    const { join, launches } = setUp(budget);
    const leaving = new AbortController();
    const left = join(5_000, { signal: leaving.signal });
    const waiting = join(5_000);
    leaving.abort(new Error('the reason of the caller'));
    await expect(left).rejects.toThrow('the reason of the caller');
    await expect(join(5_000, { signal: AbortSignal.abort(new Error('long gone')) })).rejects.toThrow('long gone');
    launches[0]?.land('for those who wait');
    expect(await waiting).toBe('for those who wait');
  });

  it('may fail when nobody waits for it any more: no unhandled rejection ends the process', async () => {
    const { clock, join, launches, work } = setUp(budget);
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const impatient = join(1_000);
      clock.advance(999);
      await turn();
      clock.advance(1);
      await expect(impatient).rejects.toThrow();
      launches[0]?.crash(new Error('nobody hears this'));
      // Node reports unhandled rejections before the next turn of the event loop.
      await turn();
      await turn();
      expect(unhandled).toEqual([]);
      expect(work.underWay).toBe(false);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('ends when its time is over: it is told so, and who still waits too', async () => {
    const { clock, work, launches, join } = setUp(budget);
    const patience = budget ?? 9_000;
    const waiting = work.join(({ signal }) => {
      launches.push({ time: { signal, until: () => 0 }, land: () => {}, crash: () => {} });
      return new Promise(() => {});
    }, NOW + patience);
    clock.advance(patience - 1);
    await turn();
    expect(launches[0]?.time.signal.aborted).toBe(false);
    clock.advance(1);
    await expect(waiting).rejects.toThrow(late);
    expect(launches[0]?.time.signal.aborted).toBe(true);
    await work.settled();
    quiet(join(1_000));
    expect(launches).toHaveLength(2);
  });

  it('is given up when the process was frozen past its time, before any timer has noticed', async () => {
    const { clock, work, join, launches } = setUp(budget);
    const stale = join(budget ?? 1_000);
    // Frozen: the clock has moved, and no timer has fired yet.
    clock.now = () => NOW + (budget ?? 1_000);
    expect(work.underWay).toBe(false);
    const fresh = join(1_000);
    expect(launches).toHaveLength(2);
    expect(launches[0]?.time.signal.aborted).toBe(true);
    await expect(stale).rejects.toThrow(late);
    launches[0]?.land('from the time before');
    launches[1]?.land('fresh');
    expect(await fresh).toBe('fresh');
    expect(work.underWay).toBe(false);
  });
});

describe('The time of shared work', () => {
  it('is that of its most patient caller, from the moment that one comes', () => {
    const { join, launches } = setUp();
    quiet(join(5_000));
    expect(launches[0]?.time.until()).toBe(NOW + 5_000);
    quiet(join(1_000));
    expect(launches[0]?.time.until()).toBe(NOW + 5_000);
    quiet(join(9_000));
    expect(launches[0]?.time.until()).toBe(NOW + 9_000);
  });

  it('is longer for work under way when a more patient caller has come: the first end is not the end', async () => {
    const { clock, join, launches } = setUp();
    quiet(join(1_000));
    const patient = join(9_000);
    clock.advance(1_000);
    await turn();
    expect(launches[0]?.time.signal.aborted).toBe(false);
    launches[0]?.land('in time for the second');
    expect(await patient).toBe('in time for the second');
  });

  it('is its budget, whoever comes: no queue of callers keeps hanging work alive', async () => {
    const { clock, join, launches, work } = setUp(5_000);
    quiet(join(60_000));
    clock.advance(4_999);
    quiet(join(60_000));
    expect(launches[0]?.time.until()).toBe(NOW + 5_000);
    clock.advance(1);
    expect(work.underWay).toBe(false);
    quiet(join(60_000));
    expect(launches).toHaveLength(2);
  });

  it('goes on with a budget when everybody has left, and who comes then joins it', async () => {
    const { clock, join, launches } = setUp(60_000);
    const impatient = join(1_000);
    clock.advance(1_000);
    await expect(impatient).rejects.toThrow('I left');
    const latecomer = join(1_000);
    expect(launches).toHaveLength(1);
    launches[0]?.land('still good');
    expect(await latecomer).toBe('still good');
  });

  it('can be waited for until its end, also when it fails', async () => {
    const { work, join, launches } = setUp(60_000);
    const joined = join(60_000);
    const order: string[] = [];
    const settled = work.settled().then(() => order.push('settled'));
    const failed = joined.catch(() => order.push('failed'));
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    launches[0]?.crash(new Error('it broke'));
    await Promise.all([settled, failed]);
    expect(order.toSorted()).toEqual(['failed', 'settled']);
    await work.settled();
  });
});
