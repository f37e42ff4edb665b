import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Clock } from '../shared/clock.ts';
import { parseJson } from '../shared/json.ts';
import type { Errand } from './dispatch-plan.ts';

/** What SQS takes in one request. Source: Amazon SQS API Reference, SendMessageBatch. */
const BATCH = 10;
/** Requests at a time. */
const LANES = 10;

/**
 * Puts errands into the queue. A message that SQS refuses is left out: its issuer is still due in the next round.
 *
 * Fair queues share a standard queue by `MessageGroupId`: it is the owner's, so that an owner of thousands does not keep one
 * of few waiting. Source: Amazon SQS Developer Guide, "Amazon SQS fair queues".
 *
 * @returns A function that answers with the issuers that were sent.
 */
export function createSend(client: Pick<SQSClient, 'send'>, queueUrl: string, clock: Pick<Clock, 'now'>) {
  return async (errands: readonly Errand[]): Promise<ReadonlySet<string>> => {
    const batches = Array.from({ length: Math.ceil(errands.length / BATCH) }, (_, index) =>
      errands.slice(index * BATCH, (index + 1) * BATCH),
    );
    const sent = new Set<string>();
    const lane = async () => {
      for (let batch = batches.shift(); batch; batch = batches.shift()) {
        const { Successful: successful = [] } = await client.send(
          new SendMessageBatchCommand({
            QueueUrl: queueUrl,
            Entries: batch.map((errand, index) => ({
              Id: String(index),
              MessageBody: JSON.stringify({ issuer_id: errand.issuerId, not_before: errand.notBefore }),
              MessageGroupId: errand.owner,
              DelaySeconds: Math.max(0, Math.floor((errand.notBefore - clock.now()) / 1000)),
            })),
          }),
        );
        for (const { Id: id } of successful) sent.add(batch[Number(id)]?.issuerId ?? '');
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    return sent;
  };
}

/** @returns `undefined` for a message that is no errand: nobody but the dispatcher may send any. */
export function readErrand(body: string): Pick<Errand, 'issuerId' | 'notBefore'> | undefined {
  const value = parseJson(body);
  if (typeof value !== 'object' || value === null) return undefined;
  const { issuer_id: issuerId, not_before: notBefore } = value as Record<string, unknown>;
  return typeof issuerId === 'string' && typeof notBefore === 'number' ? { issuerId, notBefore } : undefined;
}
