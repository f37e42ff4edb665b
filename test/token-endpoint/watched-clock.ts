import { FakeClock } from '../support/fake-clock.ts';

/** A fake clock that knows who still sleeps on it: a timer left running. */
export class WatchedClock extends FakeClock {
  readonly #asleep: number[] = [];

  override async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    this.#asleep.push(milliseconds);
    await super.sleep(milliseconds, signal);
    this.#asleep.splice(this.#asleep.indexOf(milliseconds), 1);
  }

  /** How many sleep, once every promise that was settled has been heard. */
  async sleepers(): Promise<number> {
    await new Promise(setImmediate);
    return this.#asleep.length;
  }

  /** Whether somebody sleeps for that long. */
  isAsleep(milliseconds: number): boolean {
    return this.#asleep.includes(milliseconds);
  }
}
