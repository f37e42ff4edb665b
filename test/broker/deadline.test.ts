import { describe, expect, it } from 'vitest';
import { Deadline } from '../../src/deadline.ts';
import { FakeClock } from '../support/fake-clock.ts';

const NOW = 1_000_000;
const setUp = (milliseconds: number) => {
  const clock = new FakeClock({ startsAt: NOW });
  return { clock, deadline: new Deadline(clock, () => NOW + milliseconds) };
};
/** Work that never ends by itself, and the signal that it was given. */
const endless = () => {
  const begun = Promise.withResolvers<AbortSignal>();
  const work = (signal: AbortSignal) => {
    begun.resolve(signal);
    return new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('noise'))));
  };
  return { work, begun: begun.promise };
};

describe('A deadline', () => {
  it('tells when it is, and how much is left of the time before it', () => {
    const { clock, deadline } = setUp(5_000);
    expect(deadline.at).toBe(NOW + 5_000);
    expect(deadline.remainingMilliseconds).toBe(5_000);
    clock.advance(6_000);
    expect(deadline.remainingMilliseconds).toBe(-1_000);
  });

  it('can be had earlier, and moves with the one that it came from', () => {
    const clock = new FakeClock({ startsAt: NOW });
    let at = NOW + 5_000;
    const earlier = new Deadline(clock, () => at).earlier(2_000);
    expect(earlier.remainingMilliseconds).toBe(3_000);
    at += 1_000;
    expect(earlier.at).toBe(NOW + 4_000);
    expect(earlier.remainingMilliseconds).toBe(4_000);
  });

  it('refuses to begin what there is no time for, and says what that was and what to do', () => {
    const { deadline } = setUp(3_000);
    expect(() => deadline.mustLeave(3_000, 'a refresh')).not.toThrow();
    expect(() => deadline.mustLeave(3_001, 'a refresh')).toThrow(
      expect.objectContaining({
        code: 'DEADLINE_EXCEEDED',
        what: 'Not enough time was left: a refresh was not begun.',
        remedy: "Raise the function's timeout, or look in the log line at which step is slow.",
        retryable: true,
      }),
    );
  });
});

describe('Work that is limited by a deadline', () => {
  it('gives its result when it is in time, and its signal never aborts', async () => {
    const { clock, deadline } = setUp(5_000);
    let given: AbortSignal | undefined;
    const result = await deadline.limit('working', async (signal) => {
      given = signal;
      clock.advance(4_999);
      return 'done';
    });
    expect(result).toBe('done');
    clock.advance(1_000_000);
    expect(given?.aborted).toBe(false);
  });

  it('fails as it fails when it is in time', async () => {
    const { deadline } = setUp(5_000);
    const own = new Error('its own reason');
    await expect(deadline.limit('working', () => Promise.reject(own))).rejects.toBe(own);
    const throwing = () => {
      throw own;
    };
    await expect(deadline.limit('working', throwing)).rejects.toBe(own);
  });

  it('is told to stop when time is up, and the caller hears that, not what the stopped work had to say', async () => {
    const { clock, deadline } = setUp(5_000);
    const { work, begun } = endless();
    const outcome = deadline.limit('signing', work);
    const signal = await begun;
    clock.advance(4_999);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    await expect(outcome).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: signing took too long.',
    });
    expect(signal.aborted).toBe(true);
  });

  it('is not waited for when it does not listen', async () => {
    const { clock, deadline } = setUp(5_000);
    const outcome = deadline.limit('signing', () => new Promise<never>(() => {}));
    clock.advance(5_000);
    await expect(outcome).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('is stopped at once when the time is up before it begins', async () => {
    const { deadline } = setUp(0);
    const { work, begun } = endless();
    await expect(deadline.limit('signing', work)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await begun).aborted).toBe(true);
  });

  it('goes on when the deadline has moved meanwhile', async () => {
    const clock = new FakeClock({ startsAt: NOW });
    let at = NOW + 5_000;
    const { work, begun } = endless();
    const outcome = new Deadline(clock, () => at).limit('signing', work);
    const signal = await begun;
    at = NOW + 8_000;
    clock.advance(5_000);
    // Whoever slept until the old deadline looks at the clock in a microtask, and lies down again.
    await new Promise(setImmediate);
    expect(signal.aborted).toBe(false);
    clock.advance(3_000);
    await expect(outcome).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('leaves no sleeper behind', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const clock = new FakeClock({ startsAt: NOW });
    const watched = {
      now: () => clock.now(),
      sleep: (milliseconds: number, signal?: AbortSignal) => {
        signals.push(signal);
        return clock.sleep(milliseconds, signal);
      },
    };
    await new Deadline(watched, () => NOW + 5_000).limit('working', async () => 'done');
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
  });
});
