import { asBrokerError } from '../errors.ts';
import type { CheckFacts, CheckStep, CheckStepName } from '../shared/check-report.ts';
import type { Clock } from '../shared/clock.ts';

/** What a step came to: its line in the report, and what later steps need of it. */
export interface Done<T> {
  readonly report: CheckStep;
  readonly value: T | undefined;
}

/**
 * Runs one step of a check after the steps that it needs. Steps that do not need each other go on at the same time.
 *
 * @param needs A step of which one has failed is not tried: its failure would only repeat the other.
 * @returns Never rejects: a failure is what a check is there to tell.
 */
export async function runStep<T>(
  step: CheckStepName,
  needs: readonly Promise<Done<unknown>>[],
  clock: Pick<Clock, 'now'>,
  work: (facts: (known: CheckFacts) => void) => Promise<T>,
): Promise<Done<T>> {
  const failed = (await Promise.all(needs)).find(({ report }) => report.outcome !== 'ok')?.report;
  if (failed) {
    const because = failed.outcome === 'not_checked' ? failed.because : failed.step;
    return { report: { step, outcome: 'not_checked', because, milliseconds: 0 }, value: undefined };
  }
  const began = clock.now();
  let facts: CheckFacts = {};
  const know = (known: CheckFacts) => {
    facts = { ...facts, ...known };
  };
  try {
    const value = await work(know);
    return { report: { step, outcome: 'ok', milliseconds: clock.now() - began, facts }, value };
  } catch (thrown) {
    const { code, what, remedy, retryable } = asBrokerError(thrown);
    const milliseconds = clock.now() - began;
    return {
      report: { step, outcome: 'failed', milliseconds, facts, error_code: code, what, remedy, retryable },
      value: undefined,
    };
  }
}

export const notWanted = (step: CheckStepName): Promise<Done<never>> =>
  Promise.resolve({
    report: { step, outcome: 'not_checked', because: 'not_wanted', milliseconds: 0 },
    value: undefined,
  });
