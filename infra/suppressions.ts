/** A finding of cfn-lint or checkov on the packaged template that is not to be mended. This file has all of them. */
export interface Suppression {
  readonly tool: 'cfn-lint' | 'checkov';
  readonly rule: string;
  readonly resources: readonly string[];
  readonly reason: string;
}

const functions = ['BrokerLambdaFunction', 'TicksLambdaFunction'];
const queues = ['UndeliveredTicks', 'FailedInvocations'];
/** Of infra/fleet/template.yml. */
const fleetFunctions = ['DispatchFunction', 'WorkFunction', 'TokenFunction'];
const fleetQueues = ['Errands', 'LostErrands'];

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
  {
    tool: 'checkov',
    rule: 'CKV_AWS_27',
    resources: fleetQueues,
    reason: 'SQS encrypts with a key of its own: a message holds the id of an issuer and a time.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_116',
    resources: fleetFunctions,
    reason:
      'A tick that failed is followed by the next, an errand that failed three times is in LostErrands, and a direct caller is told.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_117',
    resources: fleetFunctions,
    reason: "Nothing of the bank's network is needed: docs/many-issuers.md says what to add if a rule demands a VPC.",
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_119',
    resources: ['IssuersTable'],
    reason: "An item holds names, nothing secret; AWS's key for DynamoDB encrypts it.",
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_158',
    resources: ['Log'],
    reason: 'CloudWatch Logs encrypts with a key of its own; the log holds no secret.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_AWS_173',
    resources: fleetFunctions,
    reason: 'The variables are names and URLs, nothing secret; AWS encrypts them with a key of its own.',
  },
  {
    tool: 'checkov',
    rule: 'CKV_D1_7',
    resources: ['Tick'],
    reason:
      'The dispatcher is invoked by the schedule alone, and has a concurrency of its own; the rule goes by a name.',
  },
];
