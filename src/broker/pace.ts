import { secondsLeft, type TokenRecord } from '../token-store/token-record.ts';
import type { Snapshot } from '../token-store/token-store.ts';

/** AWS asks for no more than one PutSecretValue per ten minutes, sustained (Secrets Manager User Guide, quotas). */
const WRITE_INTERVAL_MILLISECONDS = 600_000;
/** With so little left a token is replaced whatever AWS asks for. */
const URGENT_SECONDS = 60;

/**
 * How much too soon it is to replace what the secret holds. Ticks jitter and latencies differ, so a token can come due a
 * moment before its version is ten minutes old.
 *
 * @param nowMilliseconds Milliseconds since 1970 UTC.
 * @returns Milliseconds to wait; 0 when the write may go ahead.
 */
export function earlyByMilliseconds({ record, writtenAt }: Snapshot, nowMilliseconds: number): number {
  if (!record || writtenAt === undefined || !outlivesInterval(record)) return 0;
  if (secondsLeft(record, nowMilliseconds / 1000) <= URGENT_SECONDS) return 0;
  return Math.max(0, writtenAt + WRITE_INTERVAL_MILLISECONDS - nowMilliseconds);
}

/** A token that does not live ten minutes can't keep to the pace. */
const outlivesInterval = (record: TokenRecord) =>
  record.expires_in > WRITE_INTERVAL_MILLISECONDS / 1000 + URGENT_SECONDS;
