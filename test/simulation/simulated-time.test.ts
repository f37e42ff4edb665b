import { describe, expect, it } from 'vitest';
import { SimulatedTime, wanderingClock } from '../../simulation/simulated-time.ts';

describe('SimulatedTime', () => {
  it('wakes sleepers by time, and in the order in which they fell asleep', async () => {
    const time = new SimulatedTime(1_000);
    const heard: string[] = [];
    const say = async (what: string, after: number) => {
      await time.sleep(after);
      heard.push(`${time.now()} ${what}`);
    };
    for (const [what, after] of [
      ['c', 30],
      ['a', 10],
      ['d', 30],
      ['b', 20],
      ['late', 61],
    ] as const) {
      time.start(() => say(what, after));
    }
    await time.runUntil(1_060);
    expect(heard).toEqual(['1010 a', '1020 b', '1030 c', '1030 d']);
    expect(time.now()).toBe(1_060);
  });

  it('ends a sleep when its signal aborts, in the same instant', async () => {
    const time = new SimulatedTime(0);
    const controller = new AbortController();
    const woke: number[] = [];
    time.start(async () => {
      await time.sleep(100, controller.signal);
      woke.push(time.now());
      await time.sleep(100, controller.signal);
      woke.push(time.now());
    });
    time.start(async () => {
      await time.sleep(40);
      controller.abort();
    });
    await time.runUntil(1_000);
    expect(woke).toEqual([40, 40]);
  });

  it('does not hide the failure of a process', async () => {
    const time = new SimulatedTime(0);
    time.start(async () => {
      await time.sleep(5);
      throw new RangeError('broken');
    });
    await expect(time.runUntil(10)).rejects.toThrow('broken');
  });
});

it('a wandering clock is off by no more than told, both ways', async () => {
  const time = new SimulatedTime(0);
  const clock = wanderingClock(time, 30, 0.25);
  const errors: number[] = [];
  time.start(async () => {
    for (;;) {
      await time.sleep(600_000);
      errors.push(clock.now() - time.now());
    }
  });
  await time.runUntil(86_400_000);
  expect(Math.max(...errors)).toBe(30_000);
  expect(Math.min(...errors)).toBe(-30_000);
});
