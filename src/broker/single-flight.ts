import { Deadline } from '../deadline.ts';
import type { Clock } from '../shared/clock.ts';

interface Flight<T> {
  readonly result: Promise<T>;
  /** Milliseconds since 1970 UTC: the deadline of the most patient waiter. */
  until: number;
}

/**
 * One piece of work for any number of callers. Each waits until its own deadline; the work itself lives until the
 * latest of them, so no caller inherits another's impatience.
 */
export class SingleFlight<T> {
  readonly #clock: Clock;
  #flight: Flight<T> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get underWay(): boolean {
    return this.#flight !== undefined;
  }

  /**
   * Joins the work under way, or starts it.
   *
   * @param doing What is going on, for the sentence of a DEADLINE_EXCEEDED.
   * @throws BrokerError DEADLINE_EXCEEDED for this caller alone, or whatever the work throws, for all.
   */
  join(doing: string, deadline: Deadline, start: (deadline: Deadline) => Promise<T>): Promise<T> {
    const flight = this.#flight ?? this.#launch(deadline, start);
    flight.until = Math.max(flight.until, deadline.at);
    return deadline.limit(doing, () => flight.result);
  }

  #launch(deadline: Deadline, start: (deadline: Deadline) => Promise<T>): Flight<T> {
    const shared = new Deadline(this.#clock, () => flight.until);
    const { promise, resolve } = Promise.withResolvers<T>();
    const flight: Flight<T> = { result: promise, until: deadline.at };
    this.#flight = flight;
    // It clears what is its own: no other is launched before this one has landed.
    const land = () => {
      this.#flight = undefined;
    };
    resolve(start(shared));
    // Cleared before any waiter goes on, and a flight that all its waiters have left must not crash the process.
    promise.then(land, land);
    return flight;
  }
}
