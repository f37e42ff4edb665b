import type { Clock } from '../shared/clock.ts';
import { TokenReaderError } from './reader-error.ts';

/** How long one caller waits for work that it may share with others. */
export interface Patience {
  readonly signal?: AbortSignal | null | undefined;
  readonly timeoutMilliseconds?: number | undefined;
}

/**
 * Waits for `work` until the caller's own signal or deadline; the work goes on without it.
 *
 * @throws The signal's reason, TokenReaderError TOKEN_WAIT_TIMED_OUT, or what the work throws.
 */
export async function waitFor<T>(work: Promise<T>, { signal, timeoutMilliseconds }: Patience, clock: Clock) {
  if (!signal && timeoutMilliseconds === undefined) return work;
  const done = new AbortController();
  const leave = new Promise<never>((_resolve, reject) => {
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true, signal: done.signal });
    if (signal?.aborted) abort();
    if (timeoutMilliseconds !== undefined) {
      void clock.sleep(timeoutMilliseconds, done.signal).then(() => reject(timedOut(timeoutMilliseconds)));
    }
  });
  // The work may fail after its caller has left, and the deadline be cancelled after the work is done.
  work.catch(() => {});
  leave.catch(() => {});
  try {
    return await Promise.race([work, leave]);
  } finally {
    done.abort();
  }
}

const timedOut = (milliseconds: number) =>
  new TokenReaderError({
    code: 'TOKEN_WAIT_TIMED_OUT',
    what: `No access token came within the caller's ${milliseconds} ms.`,
    remedy: 'Allow the call more time, or look at how long Secrets Manager and the broker take to answer.',
    retryable: true,
  });
