import type { Clock } from '../../src/shared/clock.ts';

/**
 * Time that stands still until a test moves it. Sleeps shorter than `skipBelowMilliseconds` (retry delays, as a rule) move
 * it by themselves and end at once; longer ones (timeouts, deadlines) wait for `advance`.
 */
export class FakeClock implements Clock {
  readonly #skipBelow: number;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  #now: number;
  /** The sleeps that were skipped, in order: what a retry waited. */
  readonly skipped: number[] = [];

  constructor({ startsAt = Date.UTC(2026, 10, 23), skipBelowMilliseconds = 0 } = {}) {
    this.#now = startsAt;
    this.#skipBelow = skipBelowMilliseconds;
  }

  now(): number {
    return this.#now;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    if (milliseconds < this.#skipBelow) {
      this.skipped.push(milliseconds);
      this.advance(milliseconds);
      return;
    }
    await new Promise<void>((resolve) => {
      const sleeper = {
        at: this.#now + milliseconds,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', sleeper.wake);
    });
  }

  /** Moves time on and wakes whoever slept until then. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const sleeper of [...this.#sleepers]) if (sleeper.at <= this.#now) sleeper.wake();
  }
}
