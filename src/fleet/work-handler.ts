import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { clock, openApps, openIndex, read } from './container.ts';
import { readErrand } from './sqs-queue.ts';
import { createWorker } from './worker.ts';

const work = createWorker({ index: openIndex(), read, appOf: openApps(), clock });

/**
 * Lambda entry point of the queue: tries the issuers of one batch, side by side. What the index would not keep SQS brings
 * again, three times in all; a try that failed is kept, and no message.
 */
export async function handler({ Records }: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  const outcomes = await Promise.allSettled(
    Records.map(async ({ body }) => {
      const errand = readErrand(body);
      if (errand) await work(errand, context);
    }),
  );
  return {
    batchItemFailures: outcomes.flatMap(({ status }, index) => {
      const { messageId } = Records[index] ?? {};
      return status === 'rejected' && messageId ? [{ itemIdentifier: messageId }] : [];
    }),
  };
}
