import { expect, it } from 'vitest';
import { hunted, teeth } from '../../simulation/hunt/teeth.ts';

/** Each in the one world that is known to find it; `npm run hunt -- --teeth` hunts all, and tells of new seeds. */
const quick = teeth.flatMap(({ seed, ...tooth }) => (seed === undefined ? [] : [{ ...tooth, seed }]));

it.each(quick)('this defect breaks a promise: $what', { timeout: 30_000 }, async ({ seed, ...tooth }) => {
  expect((await hunted(tooth, [seed].values())).promise).toBeDefined();
});

it('twelve defects are put back in each run', () => {
  expect(quick).toHaveLength(12);
});
