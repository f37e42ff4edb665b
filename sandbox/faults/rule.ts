/** What can be done to a call. `reset` and `lost` happen after the service did its work; all others keep the call from it. */
export const faultKinds = [
  'delay',
  'throttle',
  'refuse',
  'unauthorized',
  'unavailable',
  'reset',
  'garbage',
  'lost',
  'hang',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Of a `delay`. */
  readonly milliseconds?: number;
  /** Of a `throttle` at D1: its `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

export interface FaultRule {
  readonly call: CallName;
  readonly fault: Fault;
  /** Every call unless told; what is told must all be true. */
  readonly when: When;
}

/** Both ends included; the first call is 1. */
export interface CallRange {
  readonly first: number;
  readonly last: number;
}

export interface When {
  /** Which calls, counted for this rule from its first match. */
  readonly nth?: readonly CallRange[];
  /** 0-1, drawn from `seed` for each call. */
  readonly probability?: number;
  readonly seed?: number;
  /** Milliseconds on the injected clock since the faults were made: the window's beginning, included. */
  readonly fromMilliseconds?: number;
  /** As `fromMilliseconds`: the window's end, excluded. */
  readonly untilMilliseconds?: number;
  /** Only calls whose `SecretId` is this. */
  readonly secretId?: string;
}

const secretsManager = [
  'CreateSecret',
  'GetSecretValue',
  'PutSecretValue',
  'DescribeSecret',
  'ListSecretVersionIds',
  'UpdateSecretVersionStage',
  'RotateSecret',
  'ListSecrets',
] as const;

/** The calls that rules can name. `d1.connect` is a TCP connection on its way to D1, before TLS. */
export const callNames = [
  'kms.*',
  'kms.Sign',
  'kms.GetPublicKey',
  'kms.DescribeKey',
  'secretsmanager.*',
  ...secretsManager.map((operation) => `secretsmanager.${operation}` as const),
  'lambda.Invoke',
  'lambda.GetFunctionConfiguration',
  'sts.GetCallerIdentity',
  'cloudformation.DescribeStacks',
  'cloudformation.UpdateStack',
  'scheduler.GetSchedule',
  'cloudwatch.DescribeAlarms',
  'logs.FilterLogEvents',
  'sns.GetTopicAttributes',
  'sqs.GetQueueAttributes',
  'd1.connect',
  'd1.oauth2/token',
  'd1.banking/issuers',
] as const;
export type CallName = (typeof callNames)[number];

/** The faults that a connection can have: there is no answer yet that could be throttled or lost. */
export const connectFaultKinds: ReadonlySet<FaultKind> = new Set(['delay', 'refuse', 'reset', 'garbage', 'hang']);
