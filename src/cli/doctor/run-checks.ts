import { asCliFailure } from '../frame/cli-failure.ts';
import type { CheckLine, CheckOutcome, Facts } from '../frame/document.ts';
import type { Outcome } from '../frame/exit-code.ts';

/** What a check has found. */
export type Finding =
  | { readonly outcome: 'ok'; readonly facts?: Facts }
  | {
      readonly outcome: 'attention' | 'failed';
      readonly code: string;
      readonly what: string;
      readonly remedy: string;
      readonly facts?: Facts;
    };

/** One check of the doctor: `F` is what the checks find out for each other. */
export interface Check<F> {
  readonly id: string;
  readonly title: string;
  /** Checks whose findings this one works with: it is made when they are good. */
  readonly needs: readonly string[];
  /** Checks that tell the cause better when they fail: then this one is not made. */
  readonly unless?: readonly string[];
  /** The IAM action that it takes, for the sentence of a refusal. */
  readonly action?: string;
  readonly run: (found: F) => Promise<Finding> | Finding;
}

/**
 * Makes all checks, each as soon as those before it are done; what does not need each other goes on at the same time.
 *
 * @param onLine Hears of each check when it is done, in any order.
 * @returns Their lines, in the order of `checks`.
 */
export async function runChecks<F>(
  checks: readonly Check<F>[],
  found: F,
  onLine: (line: CheckLine) => void = () => {},
): Promise<CheckLine[]> {
  const lines = new Map<string, Promise<CheckLine>>();
  const lineOf = (id: string) => {
    const line = lines.get(id);
    if (!line) throw new TypeError(`No check ${id} comes before the one that needs it.`);
    return line;
  };
  for (const check of checks) {
    const needs = check.needs.map(lineOf);
    const unless = (check.unless ?? []).map(lineOf);
    const line = Promise.all([Promise.all(needs), Promise.all(unless)]).then(async ([needed, better]) => {
      const cause =
        needed.find(({ outcome }) => outcome !== 'ok' && outcome !== 'attention') ??
        better.find(({ outcome }) => outcome === 'failed');
      const made = cause ? notChecked(check, cause) : await make(check, found);
      onLine(made);
      return made;
    });
    lines.set(check.id, line);
  }
  return Promise.all(checks.map(({ id }) => lineOf(id)));
}

async function make<F>({ id, title, action, run }: Check<F>, found: F): Promise<CheckLine> {
  const began = performance.now();
  const line = (outcome: CheckOutcome, facts: Facts, why?: { code: string; what: string; remedy: string }) => ({
    check: id,
    title,
    outcome,
    milliseconds: Math.round(performance.now() - began),
    facts,
    error_code: why?.code ?? null,
    what: why?.what ?? null,
    remedy: why?.remedy ?? null,
    because: null,
  });
  try {
    const finding = await run(found);
    return line(finding.outcome, finding.facts ?? {}, finding.outcome === 'ok' ? undefined : finding);
  } catch (thrown) {
    const failure = asCliFailure(thrown, action ?? 'the call to AWS');
    const isOpen = failure.outcome === 'no_access' || failure.outcome === 'unknown';
    return line(isOpen ? (failure.outcome as 'no_access' | 'unknown') : 'failed', {}, failure);
  }
}

const notChecked = <F>({ id, title }: Check<F>, cause: CheckLine): CheckLine => ({
  check: id,
  title,
  outcome: 'not_checked',
  milliseconds: 0,
  facts: {},
  error_code: null,
  what: null,
  remedy: null,
  because: cause.because ?? cause.check,
});

/**
 * The outcome of all: no access or unknown when nothing could be judged, otherwise the worst.
 *
 * @param preliminary Checks that say nothing about the stage.
 */
export function outcomeOf(lines: readonly CheckLine[], preliminary: ReadonlySet<string>): Outcome {
  const has = (outcome: CheckOutcome) => lines.some((line) => line.outcome === outcome);
  const isJudged = ({ check, outcome }: CheckLine) =>
    outcome === 'failed' || outcome === 'attention' || (outcome === 'ok' && !preliminary.has(check));
  if (!lines.some(isJudged)) return has('no_access') ? 'no_access' : 'unknown';
  if (has('failed')) return 'failed';
  return has('attention') ? 'attention' : 'good';
}
