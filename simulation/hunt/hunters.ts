import { availableParallelism } from 'node:os';
import { WorkerPool } from '../worker-pool.ts';
import type { Hunted, Task } from './hunt-worker.ts';

export interface Tally {
  worlds: number;
  /** Simulated hours. */
  hours: number;
  /** Simulated hours for which each promise held, in worlds that met its conditions. */
  readonly held: Map<string, number>;
  readonly failed: Hunted[];
}

/** Runs worlds by their seeds, on all cores. */
export class Hunters extends WorkerPool<Task, Hunted> {
  constructor() {
    super(new URL('hunt-worker.ts', import.meta.url));
  }

  /**
   * Runs seed after seed while `goesOn` says so.
   *
   * @param shrinks Whether the first world that breaks a promise is made short; the others are told of by their seed.
   * @param found Told of each world that breaks a promise, at once.
   */
  async hunt(
    seeds: Iterator<number>,
    { shrinks, goesOn, found }: { shrinks: boolean; goesOn: (tally: Tally) => boolean; found?: (one: Hunted) => void },
  ): Promise<Tally> {
    const tally: Tally = { worlds: 0, hours: 0, held: new Map(), failed: [] };
    const work = async () => {
      while (goesOn(tally)) {
        const next = seeds.next();
        if (next.done) return;
        const hunted = await this.run({ seed: next.value, shrinks: false });
        const { outcome } = hunted;
        const promise = outcome.violation?.promise;
        tally.worlds += 1;
        tally.hours += outcome.hours;
        for (const name of outcome.promises) {
          if (name !== promise) tally.held.set(name, (tally.held.get(name) ?? 0) + outcome.hours);
        }
        if (outcome.violation) {
          const isKnown = tally.failed.some(({ outcome: other }) => other.violation?.promise === promise);
          tally.failed.push(hunted);
          // Making a story short takes hundreds of runs: one for each promise will do.
          const told = shrinks && !isKnown ? await this.run({ seed: next.value, shrinks: true }) : hunted;
          if (told !== hunted) tally.failed[tally.failed.indexOf(hunted)] = told;
          found?.(told);
        }
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    return tally;
  }
}

export function* seedsFrom(first: number, last = Number.POSITIVE_INFINITY): Generator<number> {
  for (let seed = first; seed <= last; seed += 1) yield seed;
}
