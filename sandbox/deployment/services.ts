import { createHash } from 'node:crypto';
import { AwsError } from '../aws/aws-error.ts';
import type { ServiceName } from '../aws/call.ts';
import { cloudFormation } from './cloudformation.ts';
import type { Deployment } from './deployment.ts';

type Fields = Readonly<Record<string, unknown>>;
type Output = Record<string, unknown>;
type Service = (deployment: Deployment, operation: string, fields: Fields) => Promise<Output>;

const REGION_ACCOUNT = 'eu-west-1:000000000000';

/** "Amazon EventBridge Scheduler API Reference", GetSchedule. */
const scheduler: Service = async ({ schedule, stackName }, operation, { Name, GroupName }) => {
  only(operation, 'GetSchedule');
  if (!schedule.exists || Name !== 'tick' || GroupName !== stackName) {
    throw new AwsError('ResourceNotFoundException', 'Schedule tick does not exist.', 404);
  }
  return { Name, GroupName, State: schedule.state, ScheduleExpression: 'rate(1 minute)' };
};

/** "Amazon CloudWatch API Reference", DescribeAlarms. */
const cloudwatch: Service = async ({ alarms, parameters }, operation, { AlarmNamePrefix = '' }) => {
  only(operation, 'DescribeAlarms');
  const found = alarms.filter(({ name }) => name.startsWith(String(AlarmNamePrefix)));
  return {
    CompositeAlarms: [],
    MetricAlarms: found.map(({ name, actionsEnabled, state, topic }) => ({
      AlarmName: name,
      ActionsEnabled: actionsEnabled,
      AlarmActions: [parameters.get(topic)],
      StateValue: state,
    })),
  };
};

/** "Amazon SNS API Reference", GetTopicAttributes. */
const sns: Service = async ({ topics }, operation, { TopicArn }) => {
  only(operation, 'GetTopicAttributes');
  const confirmed = topics.get(String(TopicArn));
  if (confirmed === undefined) throw new AwsError('NotFound', 'Topic does not exist', 404);
  return {
    Attributes: [
      { key: 'TopicArn', value: String(TopicArn) },
      { key: 'SubscriptionsConfirmed', value: String(confirmed) },
      { key: 'SubscriptionsPending', value: confirmed === 0 ? '1' : '0' },
    ],
  };
};

/** "Amazon SQS API Reference": the part that shows and empties a queue. */
const sqs: Service = async ({ queues }, operation, fields) => {
  if (operation === 'GetQueueUrl') {
    if (!queues.has(String(fields['QueueName']))) {
      throw new AwsError('AWS.SimpleQueueService.NonExistentQueue', 'The specified queue does not exist.');
    }
    return { QueueUrl: `https://sqs.eu-west-1.amazonaws.com/000000000000/${String(fields['QueueName'])}` };
  }
  const name = String(fields['QueueUrl']).split('/').at(-1) ?? '';
  const messages = queues.get(name);
  if (!messages) throw new AwsError('AWS.SimpleQueueService.NonExistentQueue', 'The specified queue does not exist.');
  switch (operation) {
    case 'GetQueueAttributes':
      return { Attributes: { ApproximateNumberOfMessages: String(messages.length) } };
    case 'ReceiveMessage':
      return {
        Messages: messages.slice(0, Number(fields['MaxNumberOfMessages'] ?? 1)).map(({ body, sentAt }, index) => ({
          MessageId: `message-${index}`,
          Body: body,
          MD5OfBody: createHash('md5').update(body).digest('hex'),
          Attributes: { SentTimestamp: String(sentAt) },
        })),
      };
    case 'PurgeQueue':
      messages.length = 0;
      return {};
    default:
      throw unknown(operation);
  }
};

/** "Amazon CloudWatch Logs API Reference", FilterLogEvents; the pattern is a field and its value, or nothing. */
const logs: Service = async ({ log, stackName }, operation, { logGroupName, startTime, filterPattern }) => {
  only(operation, 'FilterLogEvents');
  if (logGroupName !== `/aws/lambda/${stackName}`) {
    throw new AwsError('ResourceNotFoundException', 'The specified log group does not exist.');
  }
  const wanted = /\$\.(\w+) = "(\w+)"/.exec(String(filterPattern ?? ''));
  const events = log.filter(({ at, line }) => {
    const isMeant = !wanted || line.includes(`"${wanted[1]}":"${wanted[2]}"`);
    return isMeant && at >= Number(startTime ?? 0);
  });
  return {
    events: events.map(({ at, line }, index) => ({ timestamp: at, message: line, eventId: String(index) })),
    searchedLogStreams: [],
  };
};

const services = { cloudformation: cloudFormation, scheduler, cloudwatch, sns, sqs, logs } satisfies Partial<
  Record<ServiceName, Service>
>;

/** The services that show a deployment; undefined when the service is none of them. */
export function deploymentService(name: ServiceName, deployment: Deployment | undefined) {
  if (!deployment || !(name in services)) return undefined;
  const service = services[name as keyof typeof services];
  return { handle: (operation: string, fields: Fields): Promise<Output> => service(deployment, operation, fields) };
}

/** Lambda's GetFunctionConfiguration ("Lambda API Reference"), without what a person must not see. */
export const functionConfiguration = (
  { environment, outputs, functionState, functionStateReason, stackName, ticks, vpc }: Deployment,
  name: string,
): Output => {
  if (name !== outputs['FunctionName'] && name !== ticks.functionName)
    throw new AwsError('ResourceNotFoundException', 'Function not found', 404);
  return {
    FunctionName: name,
    FunctionArn: `arn:aws:lambda:${REGION_ACCOUNT}:function:${name}`,
    Role: `arn:aws:iam::000000000000:role/${stackName}-BrokerRole`,
    Runtime: 'nodejs24.x',
    State: functionState,
    ...(functionStateReason !== undefined && { StateReasonCode: functionStateReason }),
    LastUpdateStatus: 'Successful',
    MemorySize: 512,
    Timeout: 90,
    ...(vpc.SubnetIds.length > 0 && { VpcConfig: { ...vpc, VpcId: 'vpc-00000000000000000' } }),
    Environment: { Variables: { ...environment, ...(name === ticks.functionName && ticks.changedByHand) } },
  };
};

function only(operation: string, known: string): void {
  if (operation !== known) throw unknown(operation);
}

const unknown = (operation: string) => new AwsError('InvalidAction', `The sandbox has no operation ${operation} here.`);
