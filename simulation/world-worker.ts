import { parentPort } from 'node:worker_threads';
import { simulate, type WorldOptions } from './world.ts';

// A thread of WorldWorkers. Nobody reads the stack of a simulated failure, and taking it costs a tenth of the time.
Error.stackTraceLimit = 0;
parentPort?.on('message', (options: WorldOptions) => {
  void simulate(options).then((figures) => parentPort?.postMessage(figures));
});
