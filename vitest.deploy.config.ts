import { defineConfig } from 'vitest/config';

/** The deployment test (`npm run test:deploy`). It needs Python 3, which `npm test` does not. */
export default defineConfig({
  test: {
    include: ['test/deploy/**/*.deploy.ts'],
    // Two packagings at once would write over each other's bundle.
    fileParallelism: false,
    // The schedule fires once a minute, and two minutes may pass until it does.
    testTimeout: 180_000,
    // The first run installs the emulator; every run packages and deploys.
    hookTimeout: 600_000,
  },
});
