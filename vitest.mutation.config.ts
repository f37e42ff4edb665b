import { defineConfig } from 'vitest/config';
import shared from './vitest.config.ts';

/** What Stryker runs against the mutants: the tests of the folders that it mutates. */
export default defineConfig({
  plugins: [
    {
      name: 'no-test-name-pattern',
      // Stryker picks a mutant's tests by names that vitest 5 spells otherwise; then no test runs, and every mutant
      // survives (stryker-mutator/stryker-js#6210). Without the names, it runs all tests of the files that it picks.
      configureVitest({ project }) {
        Object.defineProperty(project.config, 'testNamePattern', { get: () => undefined, set: () => {} });
      },
    },
  ],
  test: {
    ...shared.test,
    include: ['test/{assertion,broker,rotation,token-store}/**/*.test.ts'],
    // The processes that it forks run the sources as they are: it could kill no mutant.
    exclude: ['test/broker/processes.test.ts'],
  },
});
