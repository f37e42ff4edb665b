import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../src/broker/single-flight.ts';
import { Deadline } from '../../src/deadline.ts';
import { FakeClock } from '../support/fake-clock.ts';

const NOW = 1_000_000;

function setUp() {
  const clock = new FakeClock({ startsAt: NOW });
  const flights = new SingleFlight<string>(clock);
  const launches: { deadline: Deadline; land: (result: string) => void; crash: (error: Error) => void }[] = [];
  return {
    clock,
    flights,
    launches,
    /** A caller who waits so many milliseconds from now at most. */
    join: (milliseconds: number) => {
      const at = clock.now() + milliseconds;
      return flights.join('the work', new Deadline(clock, () => at), (deadline) => {
        const { promise, resolve, reject } = Promise.withResolvers<string>();
        launches.push({ deadline, land: resolve, crash: reject });
        return promise;
      });
    },
  };
}
const late = { code: 'DEADLINE_EXCEEDED', what: 'Not enough time was left: the work took too long.' };

describe('One piece of work for many callers', () => {
  it('is done once, and everybody gets the result', async () => {
    const { join, launches, flights } = setUp();
    expect(flights.underWay).toBe(false);
    const waiting = Array.from({ length: 100 }, () => join(1_000));
    expect(flights.underWay).toBe(true);
    expect(launches).toHaveLength(1);
    launches[0]?.land('a result');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['a result']));
  });

  it('is begun anew by whoever comes after its end, even from the first line that runs then', async () => {
    const { join, launches, flights } = setUp();
    const first = join(1_000).then(() => {
      expect(flights.underWay).toBe(false);
      const second = join(1_000);
      launches[1]?.land('new');
      return second;
    });
    launches[0]?.land('old');
    expect(await first).toBe('new');
    expect(launches).toHaveLength(2);
  });

  it('fails for everybody when it fails, and the next call begins anew', async () => {
    const { join, launches } = setUp();
    const waiting = Promise.allSettled([join(1_000), join(2_000), join(3_000)]);
    const reason = new Error('the reason');
    launches[0]?.crash(reason);
    expect(await waiting).toEqual(Array(3).fill({ status: 'rejected', reason }));
    const next = join(1_000);
    expect(launches).toHaveLength(2);
    launches[1]?.land('better');
    expect(await next).toBe('better');
  });

  it('lets everybody wait until their own deadline: an impatient caller who came first takes nobody along', async () => {
    const { clock, join, launches } = setUp();
    const impatient = join(1_000);
    const patient = join(10_000);
    clock.advance(1_000);
    await expect(impatient).rejects.toMatchObject(late);
    launches[0]?.land('worth waiting for');
    expect(await patient).toBe('worth waiting for');
    expect(launches).toHaveLength(1);
  });

  it('lends nobody the patience of another: an impatient caller who came last leaves first', async () => {
    const { clock, join, launches } = setUp();
    const patient = join(10_000);
    const impatient = join(1_000);
    clock.advance(1_000);
    await expect(impatient).rejects.toMatchObject(late);
    launches[0]?.land('worth waiting for');
    expect(await patient).toBe('worth waiting for');
  });

  it('is given as much time as the most patient caller has, from the moment that one comes', () => {
    const { join, launches } = setUp();
    const quiet = (joining: Promise<string>) => void joining.catch(() => {});
    quiet(join(5_000));
    expect(launches[0]?.deadline.at).toBe(NOW + 5_000);
    quiet(join(1_000));
    expect(launches[0]?.deadline.at).toBe(NOW + 5_000);
    quiet(join(9_000));
    expect(launches[0]?.deadline.remainingMilliseconds).toBe(9_000);
  });

  it('goes on when everybody has left, and who comes then joins it', async () => {
    const { clock, join, launches } = setUp();
    const impatient = join(1_000);
    clock.advance(1_000);
    await expect(impatient).rejects.toMatchObject(late);
    const latecomer = join(1_000);
    expect(launches).toHaveLength(1);
    launches[0]?.land('still good');
    expect(await latecomer).toBe('still good');
  });

  it('may fail when nobody waits for it any more: no unhandled rejection ends the process', async () => {
    const { clock, join, launches, flights } = setUp();
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const impatient = join(1_000);
      clock.advance(1_000);
      await expect(impatient).rejects.toMatchObject(late);
      launches[0]?.crash(new Error('nobody hears this'));
      // Node reports unhandled rejections before the next turn of the event loop.
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      expect(unhandled).toEqual([]);
      expect(flights.underWay).toBe(false);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});
