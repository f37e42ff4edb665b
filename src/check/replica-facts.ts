import { asBrokerError } from '../errors.ts';
import type { CheckFacts } from '../shared/check-report.ts';
import { type Clock, nowSeconds } from '../shared/clock.ts';
import { secondsLeft } from '../shared/token-record.ts';
import type { Snapshot, TokenStore } from '../token-store/token-store.ts';

export const whatIsIn = ({ record, foreign }: Snapshot) => (record ? 'token' : foreign ? 'foreign' : 'nothing');

/**
 * What a standby's replica of its primary's token secret is like: `replica_age_seconds` since its version came, and
 * `replica_seconds_left` of its token. It fails no check, as it keeps no refresh from being made.
 */
export async function replicaFacts(
  readPrimary: TokenStore['read'],
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal,
): Promise<CheckFacts> {
  try {
    const snapshot = await readPrimary(signal);
    const { record, writtenAt } = snapshot;
    return {
      replica_holds: whatIsIn(snapshot),
      ...(writtenAt !== undefined && { replica_age_seconds: nowSeconds(clock) - Math.floor(writtenAt / 1000) }),
      ...(record && { replica_seconds_left: secondsLeft(record, nowSeconds(clock)) }),
    };
  } catch (thrown) {
    return { replica_holds: 'unreadable', replica_error_code: asBrokerError(thrown).code };
  }
}
