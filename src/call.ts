import type { Deadline } from './deadline.ts';
import type { Journal } from './telemetry/journal.ts';

/** One invocation, as everything below the handler sees it. */
export interface Call {
  /** Sent to D1 as `x-correlation-id`, and in every log line and error. */
  readonly correlationId: string;
  readonly deadline: Deadline;
  readonly journal: Journal;
}
