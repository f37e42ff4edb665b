import { awsFailure } from '../../shared/aws-failure.ts';
import { parseJson } from '../../shared/json.ts';
import { failure } from '../frame/cli-failure.ts';
import { logGroupOf, output, queueNamesOf, stackNameOf } from '../frame/stage.ts';
import { attention, type Found, failed, need, ok } from './found.ts';
import type { Check, Finding } from './run-checks.ts';

const LOOK_BACK_MILLISECONDS = 15 * 60_000;
/** Ticks come once a minute, or every two. */
const TICK_OVERDUE_MILLISECONDS = 3 * 60_000;

/** What runs by itself and what wakes somebody: schedule, ticks, alarms, topics, queues. */
export const operationChecks: readonly Check<Found>[] = [
  {
    id: 'schedule',
    title: 'The schedule is there and on',
    needs: ['stack'],
    action: 'scheduler:GetSchedule',
    async run(found) {
      const scheduler = await found.clients.scheduler();
      const { State } = await scheduler
        .getSchedule({ Name: 'tick', GroupName: stackNameOf(found.stage) })
        .catch((error: unknown) => {
          if (awsFailure(error).name !== 'ResourceNotFoundException') throw error;
          throw failure('SCHEDULE_MISSING', 'The schedule of the ticks is gone.', 'Deploy again.');
        });
      if (State === 'ENABLED') return ok({ state: State });
      return need(found, 'stack').parameters.get('Onboarded') === 'true'
        ? failed('SCHEDULE_OFF', 'The schedule of the ticks is off.', 'Somebody has turned it off: deploy again.')
        : ok({ state: State ?? 'unknown' });
    },
  },
  {
    id: 'ticks',
    title: 'Ticks come',
    needs: ['stack'],
    unless: ['schedule'],
    action: 'logs:FilterLogEvents',
    async run(found) {
      const ticks = await readTicks(found);
      found.ticks = ticks;
      if (need(found, 'stack').parameters.get('Onboarded') !== 'true') return ok();
      const last = ticks.at(-1);
      const ago = last && found.now() - last.at;
      if (ago === undefined || ago > TICK_OVERDUE_MILLISECONDS) {
        return failed(
          'TICKS_MISSING',
          ago === undefined ? 'No tick for 15 minutes.' : `The last tick was ${Math.round(ago / 1000)} s ago.`,
          'docs/runbook.md, "Alarm: ticks missing".',
        );
      }
      return ok({ seconds_ago: Math.max(0, Math.round(ago / 1000)) });
    },
  },
  {
    id: 'ticks.good',
    title: 'The last tick went well',
    needs: ['ticks'],
    run(found) {
      const last = need(found, 'ticks').at(-1);
      if (!last || last.good) return ok();
      const code = last.errorCode ?? 'INTERNAL';
      return failed(code, `The last tick failed with ${code}.`, `docs/runbook.md, section ${code}.`);
    },
  },
  {
    id: 'alarms',
    title: 'The alarms are there',
    needs: ['stack'],
    action: 'cloudwatch:DescribeAlarms',
    async run(found) {
      const cloudWatch = await found.clients.cloudWatch();
      const { MetricAlarms = [] } = await cloudWatch.describeAlarms({
        AlarmNamePrefix: `${stackNameOf(found.stage)}-`,
      });
      found.alarms = MetricAlarms.map((alarm) => ({
        name: alarm.AlarmName ?? '',
        armed: alarm.ActionsEnabled === true,
        state: alarm.StateValue ?? 'unknown',
      }));
      const names = found.alarms.map(({ name }) => name);
      const missing = ['token-expiring', 'ticks-missing', 'certificate-expires'].filter(
        (name) => !names.includes(`${stackNameOf(found.stage)}-${name}`),
      );
      return missing.length > 0
        ? failed('ALARM_MISSING', `There is no alarm ${missing.join(', ')}.`, 'Somebody has deleted it: deploy again.')
        : ok({ alarms: names.length });
    },
  },
  {
    id: 'alarms.armed',
    title: 'The alarms notify',
    needs: ['alarms'],
    run(found) {
      if (need(found, 'stack').parameters.get('Onboarded') !== 'true') return ok();
      const silent = need(found, 'alarms').filter(({ armed }) => !armed);
      return silent.length > 0
        ? failed('ALARM_SILENT', `${silent.map(({ name }) => name).join(', ')} notifies nobody.`, 'Deploy again.')
        : ok();
    },
  },
  {
    id: 'alarms.quiet',
    title: 'No alarm is on',
    needs: ['alarms'],
    run(found) {
      const loud = need(found, 'alarms').filter(({ state }) => state === 'ALARM');
      return loud.length > 0
        ? attention(
            'ALARM_ON',
            `${loud.map(({ name }) => name).join(', ')} is on.`,
            'docs/runbook.md has a section for each alarm.',
          )
        : ok();
    },
  },
  topic('topics.critical', 'Somebody hears critical alarms', 'CriticalTopicArn'),
  topic('topics.warning', 'Somebody hears warnings', 'WarningTopicArn'),
  queue('queues.failed', 'No invocation has failed for good', 0),
  queue('queues.undelivered', 'No tick was undeliverable', 1),
];

async function readTicks(found: Found) {
  const logs = await found.clients.logs();
  // A refresh by hand is no tick: it is the callers' function that makes it.
  const name = output(need(found, 'stack'), 'TicksFunctionName');
  const ticks = [];
  let nextToken: string | undefined;
  do {
    const page = await logs.filterLogEvents({
      logGroupName: logGroupOf(found.stage),
      startTime: found.now() - LOOK_BACK_MILLISECONDS,
      filterPattern: '{ $.action = "refresh" }',
      ...(nextToken !== undefined && { nextToken }),
    });
    for (const { message = '', timestamp = 0 } of page.events ?? []) {
      const line = (parseJson(message) ?? {}) as Readonly<Record<string, unknown>>;
      if (line['action'] !== 'refresh' || (line['function_name'] ?? name) !== name) continue;
      const { outcome, error_code: code } = line;
      const errorCode = typeof code === 'string' && /^[A-Z_]{3,60}$/.test(code) ? code : undefined;
      ticks.push({ at: timestamp, good: outcome === 'ok', errorCode });
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return ticks.toSorted((one, other) => one.at - other.at);
}

function topic(id: string, title: string, parameter: string): Check<Found> {
  return {
    id,
    title,
    needs: ['stack'],
    unless: ['parameters.topics'],
    action: 'sns:GetTopicAttributes',
    async run(found): Promise<Finding> {
      const TopicArn = need(found, 'stack').parameters.get(parameter) ?? 'none';
      if (TopicArn === 'none') return ok({ topic: 'none' });
      try {
        const { Attributes = {} } = await (await found.clients.sns()).getTopicAttributes({ TopicArn });
        const confirmed = Number(Attributes['SubscriptionsConfirmed'] ?? 0);
        return confirmed > 0
          ? ok({ subscriptions: confirmed })
          : failed(
              'TOPIC_UNHEARD',
              `Nobody has confirmed a subscription of ${TopicArn}.`,
              'Subscribe whom it should reach, and have them confirm.',
            );
      } catch (error) {
        if (!/^NotFound(Exception)?$/.test(awsFailure(error).name)) throw error;
        return failed('TOPIC_MISSING', `There is no topic ${TopicArn}.`, 'Make it, or correct infra/params.yml.');
      }
    },
  };
}

function queue(id: string, title: string, which: 0 | 1): Check<Found> {
  return {
    id,
    title,
    needs: ['stack'],
    action: 'sqs:GetQueueAttributes',
    async run(found): Promise<Finding> {
      const QueueName = queueNamesOf(found.stage)[which];
      const sqs = await found.clients.sqs();
      const { QueueUrl } = await sqs.getQueueUrl({ QueueName }).catch((error: unknown) => {
        if (!/NonExistentQueue|QueueDoesNotExist/.test(awsFailure(error).name)) throw error;
        throw failure('QUEUE_MISSING', `The queue ${QueueName} is gone.`, 'Deploy again.');
      });
      const { Attributes } = await sqs.getQueueAttributes({
        QueueUrl,
        AttributeNames: ['ApproximateNumberOfMessages'],
      });
      const messages = Number(Attributes?.ApproximateNumberOfMessages ?? 0);
      return messages > 0
        ? attention(
            'QUEUE_NOT_EMPTY',
            `The queue ${QueueName} holds ${messages}.`,
            'd1-token queues show tells which; then purge it.',
          )
        : ok({ messages });
    },
  };
}
