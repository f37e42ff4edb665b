import type { Clock } from '../src/shared/clock.ts';

interface Sleeper {
  readonly at: number;
  /** Ties are woken in the order in which they fell asleep: a run is the same every time. */
  readonly order: number;
  wake: (() => void) | undefined;
}

/**
 * Discrete-event time: sleeps wait in a queue, and time jumps from one awakening to the next. All that happens in an
 * instant is done before the next, as long as nothing in it waits for anything but this clock.
 */
export class SimulatedTime implements Clock {
  readonly #queue: Sleeper[] = [];
  #now: number;
  #order = 0;
  #failure: unknown;

  /** @param startsAt Milliseconds since 1970 UTC. */
  constructor(startsAt: number) {
    this.#now = startsAt;
  }

  now(): number {
    return this.#now;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const leave = () => {
        sleeper.wake = undefined;
        resolve();
      };
      const wake = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const sleeper: Sleeper = { at: this.#now + Math.max(0, milliseconds), order: this.#order, wake };
      this.#order += 1;
      signal?.addEventListener('abort', leave, { once: true });
      this.#push(sleeper);
    });
  }

  /** Starts something that lives as long as the simulation; its failure ends `runUntil`. */
  start(process: () => Promise<void>): void {
    process().catch((error: unknown) => {
      this.#failure ??= error;
    });
  }

  /** @param end Milliseconds since 1970 UTC; whoever sleeps beyond it stays asleep. */
  async runUntil(end: number): Promise<void> {
    await settled();
    for (let next = this.#pop(end); next; next = this.#pop(end)) {
      if (!next.wake) continue;
      this.#now = next.at;
      next.wake();
      await settled();
      if (this.#failure) throw this.#failure;
    }
    this.#now = end;
  }

  #push(sleeper: Sleeper): void {
    const queue = this.#queue;
    let index = queue.push(sleeper) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = queue[parentIndex];
      if (!parent || !isBefore(sleeper, parent)) break;
      queue[index] = parent;
      index = parentIndex;
    }
    queue[index] = sleeper;
  }

  #pop(end: number): Sleeper | undefined {
    const queue = this.#queue;
    const [first] = queue;
    if (!first || first.at > end) return undefined;
    const last = queue.pop();
    if (!last || last === first) return first;
    let index = 0;
    for (;;) {
      const childIndex = earlierChild(queue, 2 * index + 1);
      const child = queue[childIndex];
      if (!child || !isBefore(child, last)) break;
      queue[index] = child;
      index = childIndex;
    }
    queue[index] = last;
    return first;
  }
}

const isBefore = (one: Sleeper, other: Sleeper): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order);

function earlierChild(queue: readonly Sleeper[], left: number): number {
  const [one, other] = [queue[left], queue[left + 1]];
  return one && other && isBefore(other, one) ? left + 1 : left;
}

/** Every promise that can go on has gone on: the microtask queue is empty before Node comes to the next immediate. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A machine whose clock wanders around the right time, `mostSeconds` off at worst, once to and fro in twelve hours.
 *
 * @param phase Where it begins, 0 included, 1 excluded.
 */
export function wanderingClock(time: SimulatedTime, mostSeconds: number, phase: number): Clock {
  if (mostSeconds === 0) return time;
  const error = () => Math.sin(2 * Math.PI * (time.now() / (12 * 3_600_000) + phase)) * mostSeconds * 1000;
  return {
    now: () => Math.round(time.now() + error()),
    sleep: (milliseconds, signal) => time.sleep(milliseconds, signal),
  };
}
