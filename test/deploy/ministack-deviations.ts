import type { Template } from './support/package-service.ts';

/** Where MiniStack 1.5.33 falls short of AWS. The template is never bent to please it; the test makes up for it here. */
export interface Deviation {
  readonly aws: string;
  readonly ministack: string;
  /** What the deployment test does about it. */
  readonly instead: string;
}

export const deviations = {
  unknownTypes: {
    aws: 'CloudFormation makes AWS::SecretsManager::ResourcePolicy and AWS::SecretsManager::RotationSchedule.',
    ministack: 'It knows neither type, and refuses a template that has them.',
    instead:
      'They are taken out of the copy that MiniStack gets. The resource policies are put with PutResourcePolicy; the rotation is not scheduled.',
  },
  refOfSecret: {
    aws: 'Ref of AWS::SecretsManager::Secret is its ARN (CloudFormation User Guide).',
    ministack: "It is the secret's name, which no IAM policy matches.",
    instead: 'In the copy that MiniStack gets, Ref is replaced by GetAtt Id, which is the ARN with both.',
  },
  noConditionsOnSign: {
    aws: 'KMS tells IAM the algorithm and the message type of a Sign request: kms:SigningAlgorithm, kms:MessageType.',
    ministack: 'It does not, so a statement with these conditions never allows anything.',
    instead:
      'In the copy that MiniStack gets, the two conditions are taken out. That the template has them is checked in template.deploy.ts.',
  },
  noTagsOfKeys: {
    aws: 'KMS tells IAM the tags of the key that is used: aws:ResourceTag.',
    ministack: 'It does not, so a statement with this condition never allows anything.',
    instead:
      'In the copy of the stack for many issuers that MiniStack gets, the condition is taken out. That the template has it is checked in fleet-template.deploy.ts.',
  },
  batchIsAnAction: {
    aws: 'SendMessageBatch is allowed by sqs:SendMessage; there is no other action for it.',
    ministack: 'It asks for sqs:SendMessageBatch.',
    instead: 'In the copy that MiniStack gets, whoever may send a message may send a batch.',
  },
  noSourceFunction: {
    aws: 'Lambda tells IAM which function the role is used by: lambda:SourceFunctionArn.',
    ministack: 'It does not, so a statement with this condition never allows anything.',
    instead:
      'In the copy that MiniStack gets, the condition is taken out, and the refusal with it. That the template has both is checked in template.deploy.ts.',
  },
  principalIsSession: {
    aws: "aws:PrincipalArn of whoever has assumed a role is the role's ARN.",
    ministack: "It is the session's.",
    instead: 'In the policies of the secrets that MiniStack gets, sessions of a role stand in its place.',
  },
  noCloudTrail: {
    aws: 'CloudTrail hands the API calls of the account to EventBridge.',
    ministack: 'It does not, so no rule on them ever fires.',
    instead: "The deployed rules' patterns are asked (TestEventPattern) about events as CloudTrail documents them.",
  },
  plainHttp: {
    aws: 'Every service is reached over TLS.',
    ministack: 'It listens over plain HTTP, so policies that deny aws:SecureTransport false deny everybody.',
    instead: 'The policy of the queues is taken out of the copy that MiniStack gets.',
  },
  httpsToHttp: {
    aws: "A function's requests go where they are sent.",
    ministack:
      'It patches node:https in functions, and turns requests to localhost into plain HTTP when its own endpoint is.',
    instead: 'aws-front.ts is an endpoint with TLS; then it leaves them alone.',
  },
  errorType: {
    aws: "A failed invocation's errorType is the error's name: the broker's error code.",
    ministack: 'It is always Runtime.HandlerError.',
    instead: 'The tests look at errorMessage. `npm start` and its tests see the errorType.',
  },
  newSecretHasValue: {
    aws: 'A secret without SecretString has no version.',
    ministack: 'It gets a version, whose value is empty text or an empty object.',
    instead: 'Nothing: the broker takes either for a secret that it has to fill.',
  },
  emptyVersionIsReadable: {
    aws: 'GetSecretValue of a version without a value is ResourceNotFoundException, as after RotateSecret.',
    ministack: 'It answers 200, without SecretString and SecretBinary.',
    instead: 'aws-front.ts, through which the deployed functions call MiniStack, corrects this answer and no other.',
  },
  rotateSecret: {
    aws: 'RotateSecret calls the rotation function four times.',
    ministack: 'It calls no function, and makes a version that is a copy of the current one.',
    instead: 'The test stages a version AWSPENDING and sends the four steps, as Secrets Manager sends them.',
  },
  labelStays: {
    aws: 'PutSecretValue with a staging label takes it from the version that had it.',
    ministack: 'It leaves a label of our own there as well, and whoever reads by it gets the older version.',
    instead: 'The test takes the label from the older version, and gives the command a second time.',
  },
  noFilterPattern: {
    aws: 'FilterLogEvents gives the events that match filterPattern.',
    ministack: 'It does not know the patterns of JSON, and gives all events.',
    instead: 'Nothing: the commands look at each line themselves.',
  },
  noKeyForSecrets: {
    aws: 'Reading a secret needs kms:Decrypt on its key, and writing it kms:GenerateDataKey as well.',
    ministack: 'Secrets Manager does not ask KMS.',
    instead: 'Nothing: that the policies grant it, on the key and with the conditions, is checked in the template.',
  },
  oneAccount: {
    aws: 'A secret, its key and a function are reached from another account by ARN, when both sides allow it.',
    ministack: "Each account has a world of its own: another account's secret is not found, whatever its policy says.",
    instead:
      "landing-zone.deploy.ts sees that it is so, and asks MiniStack's evaluator of IAM about the packaged policies, with callers of other accounts.",
  },
  noVpcNorBoundary: {
    aws: 'CloudFormation makes a function with the VpcConfig of the template, and a role with its PermissionsBoundary.',
    ministack: 'It leaves both out: its functions are processes on this machine.',
    instead: 'Nothing: that the template has them is checked in landing-zone.deploy.ts.',
  },
  freeHandForCloudFormation: {
    aws: 'CloudFormation makes resources with the permissions of whoever deploys.',
    ministack: 'It asks IAM about the calls to CloudFormation and S3, and not about what CloudFormation then makes.',
    instead:
      "infra/deployer-policy.json is compared with the permissions in CloudFormation's own schemas, in landing-zone.deploy.ts.",
  },
  fipsWithEndpoint: {
    aws: 'AWS_USE_FIPS_ENDPOINT leads to an endpoint whose name the SDK knows.',
    ministack: 'It is an endpoint of its own, and the SDK refuses FIPS together with one.',
    instead:
      '`fips` is packaged and linted, and test/aws/fips.test.ts sees which hosts the clients then call. It is not deployed.',
  },
  noReservedArchitecture: {
    aws: 'The function runs on arm64.',
    ministack: 'It runs as a process on whatever this machine is.',
    instead: 'Nothing: the bundle is JavaScript, and holds no native code.',
  },
  noMetricsFromLogs: {
    aws: 'CloudWatch makes metrics of the Embedded Metric Format in the log.',
    ministack: 'It does not.',
    instead: "Alarms' metric names and dimensions are compared with what the bundle prints, in alarms.deploy.ts.",
  },
} satisfies Record<string, Deviation>;

export const unknownTypes = ['AWS::SecretsManager::ResourcePolicy', 'AWS::SecretsManager::RotationSchedule'];

const unknownConditions = ['kms:SigningAlgorithm', 'kms:MessageType', 'aws:ResourceTag/d1-token-broker'];

/**
 * A template as MiniStack can take it: `unknownTypes`, `refOfSecret`, `noConditionsOnSign`, `noTagsOfKeys`,
 * `noSourceFunction`, `batchIsAnAction`, `plainHttp`.
 */
export function forMinistack(template: Template): Template {
  const left = [...unknownTypes, 'AWS::SQS::QueuePolicy'];
  const known = Object.entries(template.Resources).filter(([, { Type }]) => !left.includes(Type));
  const secrets = new Set(known.filter(([, { Type }]) => Type === 'AWS::SecretsManager::Secret').map(([id]) => id));
  const copy: Template = { ...template, Resources: Object.fromEntries(known) };
  return JSON.parse(JSON.stringify(copy), (key, value) => {
    if (key === 'Action' && value === 'sqs:SendMessage') return [value, 'sqs:SendMessageBatch'];
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.filter((one) => one?.Sid !== 'SignFromTheFunctionsOnly');
    if (secrets.has(value.Ref)) return { 'Fn::GetAtt': [value.Ref, 'Id'] };
    if (key === 'Condition') delete value.ArnEquals?.['lambda:SourceFunctionArn'];
    if (key === 'StringEquals') for (const condition of unknownConditions) delete value[condition];
    return value;
  });
}

/** The policy of a secret as MiniStack can take it: `principalIsSession`. */
export const policyForMinistack = (policy: string): string =>
  policy
    .replaceAll(/arn:aws:iam::(\d+):role\/(?:[\w+=,.@/-]+\/)?([\w+=,.@-]+)/g, 'arn:aws:sts::$1:assumed-role/$2/*')
    .replaceAll('"ArnNotEquals"', '"ArnNotLike"');

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** `emptyVersionIsReadable`, and nothing else. */
export function correctedAnswer(operation: string, answer: Answer): Answer {
  if (operation !== 'secretsmanager.GetSecretValue' || answer.status !== 200) return answer;
  const value: Record<string, unknown> = JSON.parse(answer.body);
  if ('SecretString' in value || 'SecretBinary' in value) return answer;
  const message = "Secrets Manager can't find the specified secret value.";
  return { status: 400, body: JSON.stringify({ __type: 'ResourceNotFoundException', Message: message }) };
}
