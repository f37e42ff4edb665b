import { awsFailure } from '../../shared/aws-failure.ts';
import { parseJson } from '../../shared/json.ts';
import { mayChange } from '../frame/change.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { Clients } from '../frame/clients.ts';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { Facts } from '../frame/document.ts';
import type { ChangeFlags, PlaceFlags } from '../frame/flags.ts';
import { queueNamesOf } from '../frame/stage.ts';

const MOST_MESSAGES = 10;

export async function showQueues(this: Context, flags: PlaceFlags): Promise<void> {
  await runCommand(this, 'queues show', flags, async (session) => {
    const { clients } = await openStage(session);
    const queues = await Promise.all(queueNamesOf(flags.stage).map((name) => readQueue(clients, name)));
    const total = queues.reduce((sum, { messages }) => sum + messages, 0);
    return {
      outcome: total > 0 ? 'attention' : 'good',
      facts: { queues: queues.map(({ name, messages, errors }) => ({ name, messages, errors })) },
      text: queues.flatMap(({ name, messages, errors }) => [
        `${name}: ${messages}`,
        ...errors.map(({ sent_at, error, message }) => `  ${String(sent_at)} ${String(error)}: ${String(message)}`),
      ]),
      next: total > 0 ? ['do what the runbook says under each code, then: d1-token queues purge'] : [],
    };
  });
}

export async function purgeQueues(this: Context, flags: ChangeFlags): Promise<void> {
  await runCommand(this, 'queues purge', flags, async (session) => {
    const stage = await openStage(session);
    const dry = await mayChange(
      stage,
      flags,
      'Both queues are emptied. Their messages are worth nothing after a minute.',
    );
    if (dry) return dry;
    const sqs = await stage.clients.sqs();
    const names = queueNamesOf(flags.stage);
    for (const name of names) {
      const QueueUrl = await urlOf(stage.clients, name);
      await sqs.purgeQueue({ QueueUrl }).catch((error: unknown) => {
        // Within 60 s of the last purge there is nothing that it would have missed for long.
        if (!/PurgeQueueInProgress/.test(awsFailure(error).name)) throw asCliFailure(error, 'sqs:PurgeQueue');
      });
    }
    return { facts: { purged: [...names] }, text: names.map((name) => `${name} is empty.`) };
  });
}

async function urlOf(clients: Clients, QueueName: string): Promise<string> {
  const { QueueUrl = '' } = await (await clients.sqs()).getQueueUrl({ QueueName }).catch((error: unknown) => {
    if (/NonExistentQueue|QueueDoesNotExist/.test(awsFailure(error).name)) {
      throw failure('QUEUE_MISSING', `The queue ${QueueName} is gone.`, 'Deploy again.');
    }
    throw asCliFailure(error, 'sqs:GetQueueUrl');
  });
  return QueueUrl;
}

async function readQueue(clients: Clients, name: string) {
  const sqs = await clients.sqs();
  const QueueUrl = await urlOf(clients, name);
  const attributes = await sqs
    .getQueueAttributes({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] })
    .catch((error: unknown) => {
      throw asCliFailure(error, 'sqs:GetQueueAttributes');
    });
  const messages = Number(attributes.Attributes?.ApproximateNumberOfMessages ?? 0);
  if (messages === 0) return { name, messages, errors: [] };
  // They stay in the queue: nobody else may see them for a second only.
  const { Messages = [] } = await sqs
    .receiveMessage({
      QueueUrl,
      MaxNumberOfMessages: MOST_MESSAGES,
      VisibilityTimeout: 1,
      MessageSystemAttributeNames: ['SentTimestamp'],
      MessageAttributeNames: ['ERROR_CODE', 'ERROR_MESSAGE'],
    })
    .catch((error: unknown) => {
      throw asCliFailure(error, 'sqs:ReceiveMessage');
    });
  return {
    name,
    messages,
    errors: Messages.map(({ Body, Attributes, MessageAttributes }) =>
      errorOf(Body ?? '', Attributes, MessageAttributes),
    ),
  };
}

/** The error in a message: Lambda puts the function's answer into the body, Scheduler its own reason into attributes. */
function errorOf(
  body: string,
  attributes: Readonly<Record<string, string>> | undefined,
  own: Readonly<Record<string, { StringValue?: string | undefined }>> | undefined,
): Facts {
  const { responsePayload } = (parseJson(body) ?? {}) as {
    responsePayload?: { errorType?: unknown; errorMessage?: unknown };
  };
  const sentAt = Number(attributes?.['SentTimestamp']);
  return {
    sent_at: Number.isNaN(sentAt) ? null : new Date(sentAt).toISOString(),
    error: String(responsePayload?.errorType ?? own?.['ERROR_CODE']?.StringValue ?? 'unknown'),
    message: String(responsePayload?.errorMessage ?? own?.['ERROR_MESSAGE']?.StringValue ?? '').slice(0, 500),
  };
}
