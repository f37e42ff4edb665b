import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** Runs a script's work on all cores: each piece is on its own, so that which thread does it changes nothing in it. */
export class WorkerPool<Task, Result> {
  readonly #idle: Worker[];
  readonly #all: readonly Worker[];
  readonly #waiting: ((worker: Worker) => void)[] = [];

  /** @param script Answers each message with one. */
  constructor(script: URL) {
    this.#all = Array.from({ length: availableParallelism() }, () => new Worker(script));
    this.#idle = [...this.#all];
  }

  readonly run = async (task: Task): Promise<Result> => {
    const worker = this.#idle.pop() ?? (await new Promise<Worker>((resolve) => this.#waiting.push(resolve)));
    try {
      return await new Promise<Result>((resolve, reject) => {
        worker.once('error', reject);
        worker.once('message', (result: Result) => {
          worker.off('error', reject);
          resolve(result);
        });
        worker.postMessage(task);
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
