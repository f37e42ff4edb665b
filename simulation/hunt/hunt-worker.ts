import { parentPort } from 'node:worker_threads';
import { describeWorld } from './description.ts';
import { type Outcome, runWorld } from './run.ts';
import { type Shrunk, shrink } from './shrink.ts';

// Nobody reads the stack of a simulated failure, and taking it costs a tenth of the time.
Error.stackTraceLimit = 0;

export interface Task {
  readonly seed: number;
  /** Whether a broken promise is to be made a short story. */
  readonly shrinks: boolean;
}

export interface Hunted {
  readonly seed: number;
  readonly outcome: Outcome;
  readonly shrunk: Shrunk | undefined;
}

parentPort?.on('message', async ({ seed, shrinks }: Task) => {
  const world = describeWorld(seed);
  const outcome = await runWorld(world);
  const shrunk = outcome.violation && shrinks ? await shrink(world, outcome.violation.promise) : undefined;
  parentPort?.postMessage({ seed, outcome, shrunk } satisfies Hunted);
});
