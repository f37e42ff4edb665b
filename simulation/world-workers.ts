import { WorkerPool } from './worker-pool.ts';
import type { Figures, WorldOptions } from './world.ts';

/** Runs one world from its first tick to its end. */
export type RunWorld = (options: WorldOptions) => Promise<Figures>;

/** Runs worlds on all cores. */
export class WorldWorkers extends WorkerPool<WorldOptions, Figures> {
  constructor() {
    super(new URL('world-worker.ts', import.meta.url));
  }
}
