import { numberSettings } from '../config.ts';
import { type Candidate, planRound } from './dispatch-plan.ts';
import { type RoundReport, reportRound } from './round-report.ts';

const ROUND_MILLISECONDS = 60_000;

/**
 * How all issuers fare, for who looks from outside: what the dispatcher would tell of a round that began now.
 *
 * @param now Milliseconds since 1970 UTC.
 */
export function overviewOf(candidates: readonly Candidate[], now: number): RoundReport {
  const refreshWindowSeconds = numberSettings.refreshWindowSeconds.default;
  const round = planRound({
    candidates,
    sent: new Map(),
    takenUntil: 0,
    refreshWindowSeconds,
    now,
    roundMilliseconds: ROUND_MILLISECONDS,
  });
  return reportRound(candidates, round, refreshWindowSeconds, now);
}
