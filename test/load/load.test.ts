import { expect, it } from 'vitest';
import { mostVersions } from './bounds.ts';
import { type Load, runLoad } from './run-load.ts';

const load: Load = {
  containers: 6,
  callsPerSecond: 20,
  seconds: 8,
  tokenLifetimeSeconds: 10,
  tickEverySeconds: 0.5,
  forceEverySeconds: 0.4,
  rotateEverySeconds: 3,
  rules: [],
};

// The full run: npm run soak -- --minutes 1 --containers 20 --rate 50 --faults none
it('six containers answer every call while ticks, forced refreshes and rotation go on', async () => {
  const figures = await runLoad(load);
  expect(figures.errors).toEqual({});
  expect(figures.otherErrors).toEqual({});
  expect(figures.expired).toBe(0);
  expect(figures.leaks).toBe(0);
  expect(figures.calls).toBeGreaterThan(0);
  expect(figures.rotations).toBeGreaterThan(0);
  expect(figures.tokens).toBeGreaterThan(1);
  expect(figures.versionsWritten).toBeLessThanOrEqual(mostVersions(load, figures.seconds));
});
