import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** A mutant dies with the first test that fails: the tests of the plan come first, because they import no AWS SDK. */
class LightFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const weight = ({ moduleId }: TestSpecification) => (moduleId.includes('/broker/plan') ? 0 : 1);
    return files.toSorted((one, other) => weight(one) - weight(other) || one.moduleId.localeCompare(other.moduleId));
  }
}

/** What Stryker runs against the mutants: the tests of the folders that it mutates. */
export default defineConfig({
  plugins: [
    {
      name: 'test-names-of-vitest-5',
      // Stryker picks a mutant's tests by names that vitest 5 spells otherwise, with ' > ' between a suite and its test;
      // then no test runs, and every mutant survives (stryker-mutator/stryker-js#6210).
      configureVitest({ project }) {
        let pattern: RegExp | undefined;
        Object.defineProperty(project.config, 'testNamePattern', {
          get: () => pattern,
          set: (picked: RegExp | undefined) => {
            pattern = picked && new RegExp(picked.source.replaceAll(' ', '(?: > | )'));
          },
        });
      },
    },
  ],
  test: {
    // One import of the AWS SDK for all files of a run: each run has a process-wide mutant, and modules of its own.
    isolate: false,
    sequence: { sequencer: LightFirst },
    // What a mutant lets hang fails its test, and costs no new process.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    include: ['test/{assertion,broker,rotation,token-store}/**/*.test.ts', 'test/shared/shared-work.test.ts'],
    // The processes that it forks run the sources as they are: it could kill no mutant.
    exclude: ['test/broker/processes.test.ts'],
  },
});
