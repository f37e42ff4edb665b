import type { Clock } from '../shared/clock.ts';
import type { TokenRecord } from '../shared/token-record.ts';
import { readPatiently } from './read-patiently.ts';
import { labelsMovedBack } from './store-failure.ts';
import type { Snapshot, TokenStore } from './token-store.ts';

/** After a lost swap the winner may not be readable at once: 6.2 s are given to it. */
const WINNER_READS = 6;
/** As often a version is tried whose successor exists, though nobody sees it as current. */
const SUCCESSORS = 3;

export type Swap = ReturnType<typeof createSwap>;

/** The compare-and-swap of `TokenStore.replace` to its end: whoever loses learns who has won. */
export function createSwap({ store, secretId, clock }: { store: TokenStore; secretId: string; clock: Clock }) {
  /**
   * @param from What the record replaces.
   * @param mayHaveBeenStored It may have been current before: the very same value under an id that it had then is no write,
   * Secrets Manager ignores it. A read tells.
   * @returns Whether the record is current now, and what the secret holds.
   * @throws BrokerError TOKEN_STORE_UNAVAILABLE when AWSCURRENT is moved back again and again, and what `store` throws.
   */
  return async (
    from: Snapshot,
    record: TokenRecord,
    mayHaveBeenStored: boolean,
    signal: AbortSignal,
  ): Promise<{ won: boolean; snapshot: Snapshot }> => {
    const readWinner = async () => {
      const snapshot = await store.read(signal);
      return snapshot.versionId === from.versionId ? undefined : snapshot;
    };
    for (let successor = 1; successor <= SUCCESSORS; successor += 1) {
      const versionId = await store.replace(from.versionId, record, successor, signal);
      if (versionId !== undefined && !mayHaveBeenStored) {
        return { won: true, snapshot: { versionId, writtenAt: clock.now(), record } };
      }
      const snapshot = await readPatiently(readWinner, WINNER_READS, clock, signal);
      if (snapshot) return { won: snapshot.versionId === versionId, snapshot };
      // The version has a successor, and is current: somebody has moved AWSCURRENT back. The next successor will do.
    }
    throw labelsMovedBack(secretId);
  };
}
