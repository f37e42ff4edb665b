/** Time as the product sees it. Injected everywhere, so that tests and the simulator own it. */
export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Resolves after `milliseconds`, or as soon as `signal` aborts; it never rejects. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, milliseconds);
      signal?.addEventListener('abort', finish);
    }),
};

/** Whole seconds since 1970 UTC, rounded down: the unit of JWT claims and of the token record. */
export const nowSeconds = (clock: Pick<Clock, 'now'>): number => Math.floor(clock.now() / 1000);
