import type { ErrorCode } from '../errors.ts';
import type { Candidate, Round } from './dispatch-plan.ts';
import { dueAt } from './issuer-state.ts';

/** With less left than this, whoever reads the secret is soon without a token: infra/fleet/ wakes somebody. */
const PRESSING_SECONDS = 120;
/** How many of the worst the log names. */
const WORST = 10;

/** How all issuers fare, in figures whose number does not grow with theirs. */
export interface RoundReport {
  readonly issuers: number;
  /** Issuers whose token has less than 120 s left, or none. */
  readonly pressing: number;
  /** Of the token that dies first; 0 when one is dead. */
  readonly leastSecondsLeft: number;
  /** How long the issuer waits that was due first, of those that have not failed twice. */
  readonly lagSeconds: number;
  readonly failing: Partial<Record<ErrorCode, number>>;
  readonly silentHosts: readonly string[];
  readonly left: number;
  /** The issuers with the least left, the worst first; only those that press or fail. */
  readonly worst: readonly Worst[];
}

export interface Worst {
  readonly issuer_id: string;
  readonly seconds_left: number;
  readonly failures: number;
  readonly failed_with: ErrorCode | undefined;
}

/** Whoever has the least left comes first. */
export const worseFirst = (one: Pick<Worst, 'seconds_left' | 'failures'>, other: typeof one): number =>
  one.seconds_left - other.seconds_left || other.failures - one.failures;

/** @param now Milliseconds since 1970 UTC. */
export function reportRound(
  candidates: readonly Candidate[],
  { silentHosts, left }: Pick<Round, 'silentHosts' | 'left'>,
  refreshWindowSeconds: number,
  now: number,
): RoundReport {
  const failing: Partial<Record<ErrorCode, number>> = {};
  let [pressing, leastSecondsLeft, lagSeconds] = [0, Number.POSITIVE_INFINITY, 0];
  const bad: Worst[] = [];
  for (const { issuerId, state } of candidates) {
    const { expiresAt, failures, failedWith } = state;
    const secondsLeft = Math.max(0, expiresAt - Math.floor(now / 1000));
    leastSecondsLeft = Math.min(leastSecondsLeft, secondsLeft);
    if (secondsLeft < PRESSING_SECONDS) pressing += 1;
    if (failedWith) failing[failedWith] = (failing[failedWith] ?? 0) + 1;
    if (failures < 2 && state.triedAt > 0) {
      lagSeconds = Math.max(lagSeconds, Math.floor((now - dueAt(issuerId, state, refreshWindowSeconds)) / 1000));
    }
    if (failures > 0 || secondsLeft < PRESSING_SECONDS) {
      bad.push({ issuer_id: issuerId, seconds_left: secondsLeft, failures, failed_with: failedWith });
    }
  }
  return {
    issuers: candidates.length,
    pressing,
    leastSecondsLeft: candidates.length > 0 ? leastSecondsLeft : 0,
    lagSeconds,
    failing,
    silentHosts,
    left,
    worst: bad.sort(worseFirst).slice(0, WORST),
  };
}
