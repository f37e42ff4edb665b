import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { asBrokerError } from '../errors.ts';
import { systemRandom } from '../shared/random.ts';
import { clock, openApps, openIndex, read, stage } from './container.ts';
import { createFleetTelemetry } from './fleet-telemetry.ts';
import type { Issuer, IssuerFields } from './issuer.ts';
import { readErrand } from './sqs-queue.ts';
import { createWorker } from './worker.ts';

const telemetry = createFleetTelemetry(stage);
const work = createWorker({ index: openIndex(), read: readAloud, appOf: openApps(), clock });

/**
 * Lambda entry point of the queue: tries the issuers of one batch, side by side. What the index would not keep SQS brings
 * again, three times in all; a try that failed is kept, and no message.
 */
export async function handler({ Records }: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  telemetry.begin(context);
  const failures = await Promise.all(
    Records.map(async ({ body, messageId }) => {
      const errand = readErrand(body);
      if (!errand) return [];
      try {
        await work(errand, context);
        return [];
      } catch (thrown) {
        tell(thrown, errand.issuerId, 'yes, the queue brings it again, three times in all');
        return [{ itemIdentifier: messageId }];
      }
    }),
  );
  return { batchItemFailures: failures.flat() };
}

/** An entry that is wrong has no app that could tell which field it is. */
function readAloud(fields: IssuerFields): Issuer {
  try {
    return read(fields);
  } catch (thrown) {
    tell(thrown, fields['issuer_id'], 'by the dispatcher, but only a change can help: see remedy');
    throw thrown;
  }
}

function tell(thrown: unknown, issuerId: string | undefined, triedAgain: string): void {
  const error = asBrokerError(thrown).located({ issuerId, correlationId: systemRandom.uuid() });
  telemetry.refused('refresh', error, triedAgain);
}
