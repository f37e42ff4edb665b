import type { BrokerFunction } from './broker-function.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedTime } from './simulated-time.ts';

/** Callers that ask the broker's function itself, with wishes for more life than a reader has. */
export interface DirectCalls {
  /** Mean of an exponential distribution. */
  readonly everySeconds: number;
  /** Each call wishes for a whole number of seconds from this range, both ends included; 0-840. */
  readonly minRemainingSeconds: readonly [number, number];
}

/** Calls for ever. What they get is their own matter: what they do to others is what is looked at. */
export async function runDirectCalls({
  directCalls: { everySeconds, minRemainingSeconds },
  target,
  time,
  random,
}: {
  directCalls: DirectCalls;
  target: BrokerFunction;
  time: SimulatedTime;
  random: SeededRandom;
}): Promise<void> {
  for (;;) {
    await time.sleep(random.exponential(everySeconds * 1000));
    const event = { action: 'token', min_remaining_seconds: random.between(...minRemainingSeconds) };
    time.start(async () => {
      await target.invoke(event);
    });
  }
}
