import { defineConfig } from 'vitest/config';

/** `npm test` runs the project `unit`; the others need Python 3 or Squid, and have a script each. */
export default defineConfig({
  test: {
    // vitest leaves one processor to itself, which on two is half of them.
    maxWorkers: '100%',
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      // The commands' tests run the program itself, in a process of its own, where v8's coverage does not look.
      exclude: ['src/cli/**'],
      reporter: ['text', 'json-summary'],
      thresholds: { branches: 95 },
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          setupFiles: ['test/support/quiet-output.ts'],
          // Key pairs, certificates and TLS handshakes are real, so a slow machine needs room; no test asserts on time.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.contract.ts'],
          testTimeout: 60_000,
          // The first run installs the emulators.
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'proxy',
          include: ['test/proxy/**/*.proxy.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'deploy',
          include: ['test/deploy/*.deploy.ts'],
          // Two packagings at once would write over each other's bundle.
          fileParallelism: false,
          // The schedule fires once a minute, and two minutes may pass until it does.
          testTimeout: 180_000,
          // The first run installs the emulator; every run packages and deploys.
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'deploy-full',
          include: ['test/deploy/full/*.deploy.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
