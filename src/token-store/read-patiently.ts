import type { Clock } from '../shared/clock.ts';

const FIRST_DELAY_MILLISECONDS = 200;

/**
 * Secrets Manager is eventually consistent: reads until it shows what must be there, each time after twice the delay.
 *
 * @param reads At most; five take 0.2 + 0.4 + 0.8 + 1.6 s.
 * @returns `undefined` when the last one has not shown it either.
 */
export async function readPatiently<T>(
  read: () => Promise<T | undefined>,
  reads: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let count = 1; ; count += 1) {
    const found = await read();
    if (found !== undefined || count >= reads || signal.aborted) return found;
    await clock.sleep(FIRST_DELAY_MILLISECONDS * 2 ** (count - 1), signal);
  }
}
