import type { Clock } from '../../shared/clock.ts';

/**
 * Lets through so many calls a second, one after the other.
 *
 * @returns A function that resolves when it is the caller's turn.
 */
export function createPace(perSecond: number, clock: Clock): () => Promise<void> {
  let next = 0;
  return async () => {
    const turn = Math.max(clock.now(), next);
    next = turn + 1000 / perSecond;
    await clock.sleep(turn - clock.now());
  };
}
