import type { Errand } from '../../src/fleet/dispatch-plan.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { SimulatedTime } from '../simulated-time.ts';

/**
 * SQS with Lambda behind it: a message waits out its delay, is delivered in no order, now and then twice, and waits for a
 * free slot of the event source mapping.
 */
export class FleetQueue {
  readonly #time: SimulatedTime;
  readonly #random: SeededRandom;
  readonly #slots: number;
  readonly #twiceShare: number;
  readonly #run: (errand: Errand) => Promise<void>;
  #waiting: Errand[] = [];
  #busy = 0;
  sent = 0;
  delivered = 0;
  mostBusy = 0;

  constructor(options: {
    readonly time: SimulatedTime;
    readonly random: SeededRandom;
    /** The event source mapping's maximum concurrency, times the batch. */
    readonly slots: number;
    /** Messages that come twice, 0-1: a standard queue delivers at least once. */
    readonly twiceShare: number;
    readonly run: (errand: Errand) => Promise<void>;
  }) {
    this.#time = options.time;
    this.#random = options.random;
    this.#slots = options.slots;
    this.#twiceShare = options.twiceShare;
    this.#run = options.run;
  }

  readonly send = async (errands: readonly Errand[]): Promise<ReadonlySet<string>> => {
    await this.#time.sleep(50);
    this.sent += errands.length;
    for (const errand of errands) {
      const times = this.#random.happens(this.#twiceShare) ? 2 : 1;
      for (let time = 0; time < times; time += 1) this.#time.start(() => this.#deliver(errand));
    }
    return new Set(errands.map(({ issuerId }) => issuerId));
  };

  async #deliver(errand: Errand): Promise<void> {
    const delaySeconds = Math.max(0, Math.floor((errand.notBefore - this.#time.now()) / 1000));
    await this.#time.sleep(delaySeconds * 1000 + this.#random.between(10, 150));
    this.#waiting.push(errand);
    while (this.#busy < this.#slots) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#busy += 1;
      this.delivered += 1;
      this.mostBusy = Math.max(this.mostBusy, this.#busy);
      await this.#run(next);
      this.#busy -= 1;
    }
  }
}
