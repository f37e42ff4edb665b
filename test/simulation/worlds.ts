import { afterAll } from 'vitest';
import { noFaults } from '../../simulation/scenarios.ts';
import { policies } from '../../simulation/schedule.ts';
import type { Figures, WorldOptions } from '../../simulation/world.ts';
import { WorldWorkers } from '../../simulation/world-workers.ts';

/** For a test file: threads of plain Node, because vitest's `import()` takes real time. */
export function useWorlds() {
  const workers = new WorldWorkers();
  afterAll(() => workers.close());
  return workers.run;
}

/** This project, two days, nothing wrong, unless told. */
export const world = (options: Partial<WorldOptions> = {}): WorldOptions => ({
  seed: 1,
  days: 2,
  policy: policies.project,
  faults: noFaults,
  consumers: ['reader with broker'],
  ...options,
});

export const secondsWithout = ({ consumers }: Figures) =>
  Object.fromEntries([...consumers].map(([kind, figures]) => [kind, figures.secondsWithout]));
