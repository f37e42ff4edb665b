import type { Clock } from '../shared/clock.ts';

interface Flight<T> {
  readonly result: Promise<T>;
  readonly startedAt: number;
  readonly abort: () => void;
}

/**
 * One piece of work for any number of callers, bounded in time. No caller can end it for another: a caller that gives up
 * only stops waiting, and what the work brings is kept.
 */
export class SharedWork<T> {
  readonly #clock: Clock;
  readonly #limitMilliseconds: number;
  readonly #tooLate: () => Error;
  #flight: Flight<T> | undefined;

  /** @param tooLate The error of work that took longer than `limitMilliseconds`. */
  constructor(clock: Clock, limitMilliseconds: number, tooLate: () => Error) {
    this.#clock = clock;
    this.#limitMilliseconds = limitMilliseconds;
    this.#tooLate = tooLate;
  }

  /** Whether work is under way that may still end in time. */
  get underWay(): boolean {
    return this.#flight !== undefined && this.#clock.now() - this.#flight.startedAt < this.#limitMilliseconds;
  }

  /** Joins the work under way, or starts it. */
  join(start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#flight && this.underWay) return this.#flight.result;
    // Lambda froze the container while this was under way: its connection is dead, and its timer has slept too.
    this.#flight?.abort();
    return this.#launch(start).result;
  }

  /** Waits for the end of the work under way, however it ends. */
  async settled(): Promise<void> {
    await this.#flight?.result.catch(() => {});
  }

  #launch(start: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const late = new AbortController();
    const done = new AbortController();
    const expire = this.#clock.sleep(this.#limitMilliseconds, done.signal).then(() => {
      if (!done.signal.aborted) late.abort();
      throw this.#tooLate();
    });
    const result = Promise.race([start(late.signal), expire]);
    const flight: Flight<T> = { result, startedAt: this.#clock.now(), abort: () => late.abort() };
    this.#flight = flight;
    const land = () => {
      done.abort();
      if (this.#flight === flight) this.#flight = undefined;
    };
    // Cleared before any waiter goes on; work that all have left must not end the process.
    result.then(land, land);
    expire.catch(() => {});
    return flight;
  }
}
