import type { Clock } from '../shared/clock.ts';
import type { TokenStore } from '../token-store/token-store.ts';

/** When the next write may begin; set before each try. */
export interface WriteSlot {
  /** Milliseconds since 1970 UTC. */
  notBefore: number;
}

/**
 * A token store whose writes wait for their slot. D1 answers now sooner and now later: what was sent out evenly would be
 * written in heaps, and the quota on writes counts each second.
 */
export const pacedStore = (store: TokenStore, slot: WriteSlot, clock: Clock): TokenStore => ({
  ...store,
  replace: async (from, record, successor, signal) => {
    await clock.sleep(Math.max(0, slot.notBefore - clock.now()), signal);
    return store.replace(from, record, successor, signal);
  },
});
