import { BrokerError } from './errors.ts';
import type { Clock } from './shared/clock.ts';

/** A moment on the injected clock by which a caller wants its answer, or its error. */
export class Deadline {
  readonly #clock: Clock;
  readonly #at: () => number;

  /** @param at Milliseconds since 1970 UTC; a function, because the deadline of shared work moves. */
  constructor(clock: Clock, at: () => number) {
    this.#clock = clock;
    this.#at = at;
  }

  /** Milliseconds since 1970 UTC. */
  get at(): number {
    return this.#at();
  }

  get remainingMilliseconds(): number {
    return this.#at() - this.#clock.now();
  }

  /** The same deadline, `milliseconds` sooner: what comes later keeps that much for itself. */
  earlier(milliseconds: number): Deadline {
    return new Deadline(this.#clock, () => this.#at() - milliseconds);
  }

  /** @throws BrokerError DEADLINE_EXCEEDED, before anything was begun. */
  mustLeave(milliseconds: number, forWhat: string): void {
    if (this.remainingMilliseconds < milliseconds) throw deadlineExceeded(`${forWhat} was not begun`);
  }

  /**
   * Runs `work` and waits for it no longer than the deadline; then the signal aborts.
   *
   * @param doing What was going on, for the error's sentence.
   * @throws BrokerError DEADLINE_EXCEEDED, or whatever `work` throws.
   */
  async limit<T>(doing: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const done = new AbortController();
    const expire = async (): Promise<never> => {
      while (this.remainingMilliseconds > 0 && !done.signal.aborted) {
        await this.#clock.sleep(this.remainingMilliseconds, done.signal);
      }
      if (!done.signal.aborted) late.abort();
      throw tookTooLong(doing);
    };
    try {
      return await Promise.race([work(late.signal), expire()]);
    } catch (error) {
      // What an aborted step throws is noise: the reason is that time ran out.
      throw late.signal.aborted ? tookTooLong(doing) : error;
    } finally {
      done.abort();
    }
  }
}

/** @param doing What was going on. */
export const tookTooLong = (doing: string): BrokerError => deadlineExceeded(`${doing} took too long`);

const deadlineExceeded = (what: string) =>
  new BrokerError({
    code: 'DEADLINE_EXCEEDED',
    what: `Not enough time was left: ${what}.`,
    remedy: "Raise the function's timeout, or look in the log line at which step is slow.",
    retryable: true,
  });
