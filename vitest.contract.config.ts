import { defineConfig } from 'vitest/config';

/** The contract suite (`npm run test:contract`). It needs Python 3, which `npm test` does not. */
export default defineConfig({
  test: {
    include: ['test/contract/**/*.contract.ts'],
    testTimeout: 60_000,
    // The first run installs the emulators.
    hookTimeout: 600_000,
  },
});
