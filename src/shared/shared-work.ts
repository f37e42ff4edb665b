import type { Clock } from './clock.ts';

/** What work is told of its time. */
export interface WorkTime {
  /** Aborts when the time is over: nobody waits for what comes later. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970 UTC; it may move while the work goes on. */
  until(): number;
}

interface Flight<T> {
  result: Promise<T>;
  giveUp: () => void;
  until: number;
}

/**
 * One piece of work for any number of callers, bounded in time. No caller can end it for another: who gives up only stops
 * waiting (`waitFor`), and what the work brings is kept.
 */
export class SharedWork<T> {
  readonly #clock: Clock;
  readonly #tooLate: () => Error;
  readonly #budgetMilliseconds: number | undefined;
  #flight: Flight<T> | undefined;

  /**
   * @param tooLate The error of work that ran out of time.
   * @param budgetMilliseconds What the work may take, whoever waits for it. Without it, the work has as long as the most
   * patient of its callers, who then have to say how long that is.
   */
  constructor(clock: Clock, tooLate: () => Error, budgetMilliseconds?: number) {
    this.#clock = clock;
    this.#tooLate = tooLate;
    this.#budgetMilliseconds = budgetMilliseconds;
  }

  /** Whether work is under way that may still end in time. */
  get underWay(): boolean {
    return this.#flight !== undefined && this.#clock.now() < this.#flight.until;
  }

  /**
   * Joins the work under way, or starts it.
   *
   * @param until Until when the caller waits, in milliseconds since 1970 UTC. Work with a budget does not look at it.
   * @throws What the work throws, or `tooLate`, for all.
   */
  join(start: (time: WorkTime) => Promise<T>, until = this.#clock.now()): Promise<T> {
    const budget = this.#budgetMilliseconds;
    if (this.#flight && this.underWay) {
      if (budget === undefined) this.#flight.until = Math.max(this.#flight.until, until);
      return this.#flight.result;
    }
    // Lambda froze the container while this was under way: its connection is dead, and its timer has slept too.
    this.#flight?.giveUp();
    return this.#launch(start, budget === undefined ? until : this.#clock.now() + budget).result;
  }

  /** Waits for the end of the work under way, however it ends. */
  async settled(): Promise<void> {
    await this.#flight?.result.catch(() => {});
  }

  #launch(start: (time: WorkTime) => Promise<T>, until: number): Flight<T> {
    const late = new AbortController();
    const done = new AbortController();
    const flight: Flight<T> = { until, giveUp: () => {}, result: new Promise<never>(() => {}) };
    // Before the work begins: it may look at its time at once.
    this.#flight = flight;
    flight.result = new Promise((resolve, reject) => {
      flight.giveUp = () => {
        late.abort();
        reject(this.#tooLate());
      };
      // Async, so that work which throws at once is a flight that failed.
      const work = async () => start({ signal: late.signal, until: () => flight.until });
      work().then(resolve, reject);
    });
    const watch = async () => {
      while (flight.until > this.#clock.now() && !done.signal.aborted) {
        await this.#clock.sleep(flight.until - this.#clock.now(), done.signal);
      }
      if (!done.signal.aborted) flight.giveUp();
    };
    const land = () => {
      done.abort();
      if (this.#flight === flight) this.#flight = undefined;
    };
    // Cleared before any waiter goes on; work that all have left must not end the process.
    flight.result.then(land, land);
    void watch();
    return flight;
  }
}

/** How long one caller waits for work that it may share with others. */
export interface Patience {
  readonly signal?: AbortSignal | null | undefined;
  readonly timeoutMilliseconds?: number | undefined;
}

/**
 * Waits for `work` until the caller's own signal or timeout; the work goes on without it.
 *
 * @param tooLate The error of a caller whose time is over.
 * @throws The signal's reason, `tooLate`, or what the work throws.
 */
export async function waitFor<T>(
  work: Promise<T>,
  { signal, timeoutMilliseconds }: Patience,
  clock: Clock,
  tooLate: () => Error,
): Promise<T> {
  if (!signal && timeoutMilliseconds === undefined) return work;
  const done = new AbortController();
  const leave = new Promise<never>((_resolve, reject) => {
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true, signal: done.signal });
    if (signal?.aborted) abort();
    if (timeoutMilliseconds !== undefined) {
      void clock.sleep(timeoutMilliseconds, done.signal).then(() => reject(tooLate()));
    }
  });
  // The work may fail after its caller has left, and the timeout be cancelled after the work is done.
  work.catch(() => {});
  leave.catch(() => {});
  try {
    return await Promise.race([work, leave]);
  } finally {
    done.abort();
  }
}
