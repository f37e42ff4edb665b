import { FakeClock } from '../support/fake-clock.ts';

/** A fake clock that knows who still sleeps on it: a timer left running. */
export class WatchedClock extends FakeClock {
  #sleeping = 0;

  override async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    this.#sleeping += 1;
    await super.sleep(milliseconds, signal);
    this.#sleeping -= 1;
  }

  /** How many sleep, once every promise that was settled has been heard. */
  async sleepers(): Promise<number> {
    await new Promise(setImmediate);
    return this.#sleeping;
  }
}
