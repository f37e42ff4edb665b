import { parentPort } from 'node:worker_threads';
import { simulateTwoRegions, type TwoRegionsOptions } from './two-regions.ts';

// A thread of TwoRegionsWorkers; as world-worker.ts.
Error.stackTraceLimit = 0;
parentPort?.on('message', (options: TwoRegionsOptions) => {
  void simulateTwoRegions(options).then((figures) => parentPort?.postMessage(figures));
});
