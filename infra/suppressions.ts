/** A finding of cfn-lint or checkov on the packaged template that is not to be mended. This file has all of them. */
export interface Suppression {
  readonly tool: 'cfn-lint' | 'checkov';
  readonly rule: string;
  readonly resources: readonly string[];
  readonly reason: string;
}

const functions = ['BrokerLambdaFunction', 'TicksLambdaFunction'];
const queues = ['UndeliveredTicks', 'FailedInvocations'];

/** test/deploy/template.deploy.ts fails on a finding that is not here, and on a suppression that finds nothing any more. */
export const suppressions: readonly Suppression[] = [
  {
    tool: 'cfn-lint',
    rule: 'W3005',
    resources: functions,
    reason: 'osls adds DependsOn for the role, which the reference to the role implies already.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_18',
    resources: ['ServerlessDeploymentBucket'],
    reason: 'The deployment bucket holds zips and templates, no data; CloudTrail has who deploys.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_21',
    resources: ['ServerlessDeploymentBucket'],
    reason: 'osls puts each deployment under a new key and keeps the last five.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_116',
    resources: functions,
    reason:
      'Failed events go to a queue by destination (EventInvokeConfig), which tells the error too; checkov looks for DeadLetterConfig.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_173',
    resources: functions,
    reason: 'The variables are names and ARNs, nothing secret; AWS encrypts them with a key of its own.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_27',
    resources: queues,
    reason:
      'SQS encrypts with a key of its own: a customer key would have to let Scheduler and Lambda in, for nothing worth hiding.',
  },
];
