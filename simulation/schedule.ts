import type { BrokerError } from '../src/errors.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

/** When the token is refreshed, and by what. */
export interface Policy {
  readonly name: string;
  readonly everySeconds: number;
  /**
   * `window`: the scheduler's tick, on which the broker refreshes a token that has entered the refresh window. `always`: the
   * naive refresher, which gets a token and writes it on every tick.
   */
  readonly refreshes: 'window' | 'always';
  /** Lambda's retries of an asynchronous invocation that failed: after a minute, and after two more. */
  readonly retries: 0 | 2;
}

const always = { refreshes: 'always' } as const;

export const policies = {
  rate14: { name: 'rate(14 minutes)', everySeconds: 840, retries: 0, ...always },
  rate14WithRetries: { name: 'rate(14 minutes), 2 retries', everySeconds: 840, retries: 2, ...always },
  rate10: { name: 'rate(10 minutes)', everySeconds: 600, retries: 0, ...always },
  rate10WithRetries: { name: 'rate(10 minutes), 2 retries', everySeconds: 600, retries: 2, ...always },
  project: { name: 'this project', everySeconds: 60, refreshes: 'window', retries: 0 },
} satisfies Record<string, Policy>;

/** What EventBridge Scheduler may do to a tick; shares are 0-1. */
export interface TickFaults {
  readonly lostShare: number;
  readonly duplicatedShare: number;
  readonly lateShare: number;
  /** Mean of an exponential distribution. */
  readonly lateMeanSeconds: number;
}

export const noTickFaults: TickFaults = { lostShare: 0, duplicatedShare: 0, lateShare: 0, lateMeanSeconds: 0 };

/** A tick that is on time starts within this. */
const DELIVERY_MILLISECONDS = 1_000;
const RETRY_DELAYS_MILLISECONDS = [60_000, 120_000];

/** Sends ticks to a function, for ever. */
export async function runSchedule({
  policy,
  faults,
  invoke,
  time,
  random,
}: {
  policy: Policy;
  faults: TickFaults;
  invoke: () => Promise<{ readonly error: BrokerError | undefined }>;
  time: SimulatedTime;
  random: SeededRandom;
}): Promise<void> {
  const period = policy.everySeconds * 1000;
  for (let due = time.now(); ; due += period) {
    await time.sleep(due - time.now());
    const [lost, duplicated, late] = [faults.lostShare, faults.duplicatedShare, faults.lateShare].map((share) =>
      random.happens(share),
    );
    const lateness = random.exponential(faults.lateMeanSeconds * 1000);
    const delay = random.between(0, DELIVERY_MILLISECONDS) + (late ? lateness : 0);
    const again = delay + random.between(0, 5_000);
    if (!lost) time.start(() => deliver(delay));
    if (!lost && duplicated) time.start(() => deliver(again));
  }

  async function deliver(delay: number): Promise<void> {
    await time.sleep(delay);
    for (let attempt = 0; ; attempt += 1) {
      const { error } = await invoke();
      const retryDelay = attempt < policy.retries ? RETRY_DELAYS_MILLISECONDS[attempt] : undefined;
      if (!error || retryDelay === undefined) return;
      await time.sleep(retryDelay);
    }
  }
}
