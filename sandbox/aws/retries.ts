import { setTimeout as delay } from 'node:timers/promises';

/** Resolves after so many milliseconds, and does not keep the process alive for that. */
export type Sleep = (milliseconds: number) => Promise<void>;

export const idleSleep: Sleep = (milliseconds) => delay(milliseconds, undefined, { ref: false });

/** Does the work once, and again after each delay (milliseconds) as long as it fails; says whether it succeeded. */
export async function tryAgainAfter(
  delays: readonly number[],
  sleep: Sleep,
  work: () => Promise<unknown>,
): Promise<boolean> {
  for (const milliseconds of [0, ...delays]) {
    if (milliseconds > 0) await sleep(milliseconds);
    try {
      await work();
      return true;
    } catch {
      // Whoever works reports it.
    }
  }
  return false;
}
