import type { CallName, FaultKind } from '../../sandbox/faults/rule.ts';

/** Faults of one call, and the check that names their cause first; `undefined`: the doctor finds nothing wrong. */
export interface FaultRow {
  readonly call: CallName;
  readonly kinds: readonly FaultKind[];
  /** Conditions of the rule, as `nth=2-`. */
  readonly when?: string;
  readonly first: { readonly check: string; readonly code: string } | undefined;
  /** Why nothing is wrong. */
  readonly because?: string;
}

const silent = ['throttle', 'unavailable', 'reset', 'garbage', 'lost'] as const;
const all = ['delay', 'refuse', 'hang', ...silent] as const;

/** Calls that the operator's own credentials make, and the check that makes them first. */
const own: readonly (readonly [CallName, string])[] = [
  ['sts.GetCallerIdentity', 'credentials'],
  ['cloudformation.DescribeStacks', 'stack'],
  ['lambda.GetFunctionConfiguration', 'function'],
  ['kms.DescribeKey', 'key.state'],
  ['secretsmanager.DescribeSecret', 'certificate.secret'],
  ['scheduler.GetSchedule', 'schedule'],
  ['logs.FilterLogEvents', 'ticks'],
  ['cloudwatch.DescribeAlarms', 'alarms'],
  ['sns.GetTopicAttributes', 'topics.critical'],
  ['sqs.GetQueueAttributes', 'queues.failed'],
];

const rowsOf = (call: CallName, check: string): FaultRow[] => [
  { call, kinds: ['refuse'], first: { check, code: 'NO_PERMISSION' } },
  { call, kinds: silent, first: { check, code: 'AWS_FAILED' } },
  { call, kinds: ['hang'], first: { check, code: 'NO_ANSWER' } },
];

/** A call of the function, whose every fault but a delay means one thing. */
const functionRow = (
  call: CallName,
  check: string,
  code: string,
  kinds: readonly FaultKind[] = [...silent, 'refuse', 'hang'],
  when?: string,
): FaultRow => ({ call, kinds, ...(when !== undefined && { when }), first: { check, code } });

const IDLE = 'neither the doctor nor a check makes this call';
const CERTIFICATE = 'secret=d1/client-certificate';
const TOKEN = 'secret=d1/access-token';
/** The first request to D1 is of the step `connection`; what follows is the exchange. */
const EXCHANGE = 'nth=2-';

/** Each fault that the sandbox offers, on each call: sandbox/faults/rule.ts, which a test compares. */
export const faultRows: readonly FaultRow[] = [
  ...own.flatMap(([call, check]) => rowsOf(call, check)),
  ...rowsOf('lambda.Invoke', 'check').map((row) => ({
    ...row,
    kinds: row.kinds.filter((kind) => kind !== 'throttle'),
  })),
  { call: 'lambda.Invoke', kinds: ['throttle'], first: { check: 'check', code: 'FUNCTION_THROTTLED' } },
  functionRow('kms.Sign', 'check.signing_key', 'SIGNING_FAILED'),
  functionRow(
    'secretsmanager.GetSecretValue',
    'check.client_certificate',
    'CLIENT_CERTIFICATE_UNAVAILABLE',
    [...silent, 'refuse', 'hang'],
    CERTIFICATE,
  ),
  functionRow('secretsmanager.GetSecretValue', 'check.token_secret', 'TOKEN_STORE_DENIED', ['refuse'], TOKEN),
  functionRow('secretsmanager.GetSecretValue', 'check.token_secret', 'TOKEN_STORE_THROTTLED', ['throttle'], TOKEN),
  functionRow(
    'secretsmanager.GetSecretValue',
    'check.token_secret',
    'TOKEN_STORE_UNAVAILABLE',
    ['unavailable', 'reset', 'garbage', 'lost', 'hang'],
    TOKEN,
  ),
  functionRow('secretsmanager.PutSecretValue', 'check.store', 'TOKEN_STORE_DENIED', ['refuse']),
  functionRow('secretsmanager.PutSecretValue', 'check.store', 'TOKEN_STORE_THROTTLED', ['throttle']),
  functionRow('secretsmanager.PutSecretValue', 'check.store', 'TOKEN_STORE_UNAVAILABLE', [
    'unavailable',
    'reset',
    'garbage',
    'lost',
    'hang',
  ]),
  functionRow('d1.connect', 'check.connection', 'TOKEN_ENDPOINT_UNREACHABLE', ['refuse', 'reset', 'garbage', 'hang']),
  functionRow('d1.oauth2/token', 'check.connection', 'TOKEN_ENDPOINT_UNREACHABLE', ['lost', 'hang']),
  functionRow('d1.oauth2/token', 'check.exchange', 'TOKEN_ENDPOINT_REJECTED', ['refuse', 'unauthorized']),
  functionRow('d1.oauth2/token', 'check.exchange', 'TOKEN_ENDPOINT_UNREACHABLE', ['throttle', 'unavailable']),
  functionRow('d1.oauth2/token', 'check.exchange', 'TOKEN_ENDPOINT_UNREACHABLE', ['reset', 'lost', 'hang'], EXCHANGE),
  functionRow('d1.oauth2/token', 'check.exchange', 'TOKEN_RESPONSE_INVALID', ['garbage'], EXCHANGE),
  {
    call: 'kms.GetPublicKey',
    kinds: [...silent, 'refuse', 'hang'],
    first: undefined,
    because: 'a refresh does without; the signature is then not verified, which the facts of `check.signing_key` say',
  },
  {
    call: 'secretsmanager.ListSecretVersionIds',
    kinds: [...silent, 'refuse', 'hang'],
    first: undefined,
    because: 'a refresh does without; the writes of a day are then not counted',
  },
  ...(
    [
      'secretsmanager.CreateSecret',
      'secretsmanager.UpdateSecretVersionStage',
      'secretsmanager.RotateSecret',
      'secretsmanager.ListSecrets',
      'cloudformation.UpdateStack',
      'd1.banking/issuers',
    ] as const
  ).map((call) => ({
    call,
    kinds: call === 'd1.banking/issuers' ? ([...all, 'unauthorized'] as const) : all,
    first: undefined,
    because: IDLE,
  })),
  ...(
    [
      ...own.map(([call]) => call),
      'lambda.Invoke',
      'kms.Sign',
      'kms.GetPublicKey',
      'secretsmanager.GetSecretValue',
      'secretsmanager.PutSecretValue',
      'secretsmanager.ListSecretVersionIds',
      'd1.connect',
      'd1.oauth2/token',
    ] as const
  ).map((call) => ({
    call,
    kinds: ['delay'] as const,
    when: 'ms=200',
    first: undefined,
    because: 'it is slow, as the milliseconds say',
  })),
];

/** As the sandbox's command line spells them, one a fault. */
export const faultCases = faultRows.flatMap(({ call, kinds, when, first, because }) =>
  kinds.map((kind) => ({
    rule: [call, kind, when].filter(Boolean).join(' '),
    call,
    kind,
    first,
    isIdle: because === IDLE,
  })),
);
