import type { Deadline } from './deadline.ts';
import type { BrokerError } from './errors.ts';
import type { Clock } from './shared/clock.ts';

/** One invocation, as everything below the handler sees it. */
export interface Call {
  /** Sent to D1 as `x-correlation-id`, and in every log line and error. */
  readonly correlationId: string;
  readonly deadline: Deadline;
  readonly journal: Journal;
}

export const steps = ['read_secret', 'load_certificate', 'sign', 'exchange', 'write_secret'] as const;
export type Step = (typeof steps)[number];

/** What one invocation did, told at its end in one log line and one set of metrics. Holds nothing secret. */
export class Journal {
  readonly #clock: Clock;
  readonly #onWarning: (warning: BrokerError) => void;
  readonly stepMilliseconds: Partial<Record<Step, number>> = {};
  certificateDaysLeft: number | undefined;
  /** When the token in the secret dies, in seconds since 1970 UTC; 0 when the secret holds none. */
  storedExpiresAt: number | undefined;
  exchangeAttempts = 0;

  /** @param onWarning Told at once, because what is warned of may be overwritten in the next moment. */
  constructor(clock: Clock, onWarning: (warning: BrokerError) => void) {
    this.#clock = clock;
    this.#onWarning = onWarning;
  }

  /** Runs one step and adds its time, also when it fails. */
  async time<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const began = this.#clock.now();
    try {
      return await work();
    } finally {
      this.stepMilliseconds[step] = (this.stepMilliseconds[step] ?? 0) + this.#clock.now() - began;
    }
  }

  /** Something went wrong that does not fail the invocation. */
  warn(warning: BrokerError): void {
    this.#onWarning(warning);
  }
}
