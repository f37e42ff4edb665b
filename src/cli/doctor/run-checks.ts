import { asCliFailure, CliFailure } from '../frame/cli-failure.ts';
import type { CheckLine, CheckOutcome, Facts } from '../frame/document.ts';
import type { Outcome } from '../frame/exit-code.ts';

/** What a check has found. */
export type Finding = {
  readonly facts?: Facts;
  /** How long it took where it was found, when that was not here. */
  readonly milliseconds?: number;
} & (
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'attention' | 'failed'; readonly code: string; readonly what: string; readonly remedy: string }
);

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
  /** Whether it is about something that this stage has; where it is not, nothing is told. Asked when its needs are done. */
  readonly wanted?: (found: F) => boolean;
  readonly run: (found: F) => Promise<Finding> | Finding;
  /** Seconds that it may take, where that is not the doctor's own patience. */
  readonly patience?: (found: F) => number;
}

/** How long a check may take unless it says otherwise, in seconds. */
export const PATIENCE_SECONDS = 10;

/**
 * Makes all checks, each as soon as those before it are done; what does not need each other goes on at the same time.
 *
 * A check that does not end is told as that; nothing waits for it any longer.
 *
 * @param onLine Hears of each check as soon as it and all before it are done, in the order of `checks`; of one that is not
 * wanted it hears nothing but that.
 * @param timeoutSeconds How long any check may take, whatever patience it asks for.
 * @returns Their lines, in the order of `checks`.
 */
export async function runChecks<F>(
  checks: readonly Check<F>[],
  found: F,
  {
    onLine = () => {},
    timeoutSeconds,
  }: { onLine?: (line: CheckLine | undefined) => void; timeoutSeconds?: number | undefined } = {},
): Promise<CheckLine[]> {
  const lines = new Map<string, Promise<CheckLine | undefined>>();
  const lineOf = (id: string) => {
    const line = lines.get(id);
    if (!line) throw new TypeError(`No check ${id} comes before the one that needs it.`);
    return line;
  };
  for (const check of checks) {
    const needs = check.needs.map(lineOf);
    const unless = (check.unless ?? []).map(lineOf);
    const line = Promise.all([Promise.all(needs), Promise.all(unless)]).then(async ([needed, better]) => {
      if (check.wanted && !check.wanted(found)) return undefined;
      const cause =
        needed.find((line) => line && line.outcome !== 'ok' && line.outcome !== 'attention') ??
        better.find((line) => line?.outcome === 'failed');
      return cause ? notChecked(check, cause) : await make(check, found, timeoutSeconds);
    });
    lines.set(check.id, line);
  }
  const told: CheckLine[] = [];
  for (const { id } of checks) {
    const line = await lineOf(id);
    onLine(line);
    if (line) told.push(line);
  }
  return told;
}

async function make<F>(
  { id, title, action, run, patience }: Check<F>,
  found: F,
  timeoutSeconds: number | undefined,
): Promise<CheckLine> {
  const began = performance.now();
  const line = (
    outcome: CheckOutcome,
    { facts = {}, milliseconds }: Pick<Finding, 'facts' | 'milliseconds'>,
    why?: { code: string; what: string; remedy: string },
  ) => ({
    check: id,
    title,
    outcome,
    milliseconds: milliseconds ?? Math.round(performance.now() - began),
    facts,
    error_code: why?.code ?? null,
    what: why?.what ?? null,
    remedy: why?.remedy ?? null,
    because: null,
  });
  const seconds = timeoutSeconds ?? patience?.(found) ?? PATIENCE_SECONDS;
  const hung = Promise.withResolvers<never>();
  const timer = setTimeout(() => hung.reject(silent(action ?? 'the call to AWS', seconds)), seconds * 1000);
  try {
    const finding = await Promise.race([run(found), hung.promise]);
    return line(finding.outcome, finding, finding.outcome === 'ok' ? undefined : finding);
  } catch (thrown) {
    const failure = asCliFailure(thrown, action ?? 'the call to AWS');
    const isOpen = failure.outcome === 'no_access' || failure.outcome === 'unknown';
    return line(isOpen ? (failure.outcome as 'no_access' | 'unknown') : 'failed', {}, failure);
  } finally {
    clearTimeout(timer);
  }
}

const silent = (action: string, seconds: number) =>
  new CliFailure({
    code: 'NO_ANSWER',
    what: `${action} has not answered for ${seconds} s.`,
    remedy: 'Look at the route to AWS (proxy, VPN, --region) and at the AWS Health Dashboard, and try again.',
    outcome: 'unknown',
  });

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
