import type { TwoRegionsFigures, TwoRegionsOptions } from './two-regions.ts';
import { WorkerPool } from './worker-pool.ts';

/** Runs one bank in two Regions, from its first tick to its end. */
export type RunTwoRegions = (options: TwoRegionsOptions) => Promise<TwoRegionsFigures>;

/** Runs such worlds on all cores. */
export class TwoRegionsWorkers extends WorkerPool<TwoRegionsOptions, TwoRegionsFigures> {
  constructor() {
    super(new URL('two-regions-worker.ts', import.meta.url));
  }
}
