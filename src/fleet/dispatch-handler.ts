import type { Context } from 'aws-lambda';
import { numberSettings } from '../config.ts';
import { clock, mustHave, openIndex, openSqs, stage } from './container.ts';
import { createDispatcher } from './dispatcher.ts';
import { createFleetTelemetry } from './fleet-telemetry.ts';
import { reportRound } from './round-report.ts';
import { createSend } from './sqs-queue.ts';

const telemetry = createFleetTelemetry(stage);
const refreshWindowSeconds = numberSettings.refreshWindowSeconds.default;
const dispatch = createDispatcher({
  index: openIndex(),
  send: createSend(openSqs(), mustHave('D1_QUEUE_URL'), clock),
  refreshWindowSeconds,
  clock,
  onRound: (round) =>
    telemetry.round(reportRound(round.candidates, round, refreshWindowSeconds, clock.now()), round.errands.length),
});

/** Lambda entry point of the tick for many issuers. */
export async function handler(_event: unknown, context: Context): Promise<void> {
  telemetry.begin(context);
  try {
    await dispatch();
  } catch (thrown) {
    telemetry.failed(thrown);
    throw thrown;
  }
}
