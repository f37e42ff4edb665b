import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Figures, WorldOptions } from './world.ts';

/** Runs one world from its first tick to its end. */
export type RunWorld = (options: WorldOptions) => Promise<Figures>;

/** Runs worlds on all cores: each is on its own, so that which thread runs it, and when, changes nothing in it. */
export class WorldWorkers {
  readonly #idle: Worker[];
  readonly #all: readonly Worker[];
  readonly #waiting: ((worker: Worker) => void)[] = [];

  constructor() {
    const script = new URL('world-worker.ts', import.meta.url);
    this.#all = Array.from({ length: availableParallelism() }, () => new Worker(script));
    this.#idle = [...this.#all];
  }

  readonly run: RunWorld = async (options) => {
    const worker = this.#idle.pop() ?? (await new Promise<Worker>((resolve) => this.#waiting.push(resolve)));
    try {
      return await new Promise<Figures>((resolve, reject) => {
        worker.once('error', reject);
        worker.once('message', (figures: Figures) => {
          worker.off('error', reject);
          resolve(figures);
        });
        worker.postMessage(options);
      });
    } finally {
      const next = this.#waiting.shift();
      if (next) next(worker);
      else this.#idle.push(worker);
    }
  };

  async close(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.terminate()));
  }
}
