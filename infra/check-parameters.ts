import { numberSettings, textSettings } from '../src/config.ts';

/** What one parameter of infra/params.yml may be. */
interface Rule {
  /** Numbers and switches may also come as text, from a command line. A list may come as text with commas. */
  readonly kind: 'text' | 'number' | 'switch' | 'list';
  /** Of a list: each of its members. */
  readonly accepts: (value: string) => boolean;
  /** In words, for the sentence that stops the packaging. */
  readonly rule: string;
}

type Value = string | number | readonly unknown[] | object;

/** The part of what osls hands to a file that is a function. */
export interface Osls {
  readonly resolveVariable: (variable: string) => Promise<unknown>;
  readonly resolveConfigurationProperty: (path: readonly string[]) => Promise<unknown>;
}

/** Whose message is meant for whoever fills in the file. */
export class WrongParameters extends Error {
  override readonly name = 'WrongParameters';
}

/** What is being packaged, beside the parameters. */
interface Place {
  readonly stage: string;
  readonly region: string;
  readonly service: string;
}

const { minimum: shortestWindow, maximum: longestWindow } = numberSettings.refreshWindowSeconds;
const secretName = text(/^[\w/+=.@-]{1,512}$/, 'a secret name: 1-512 of A-Z a-z 0-9 / _ + = . @ -');
const existingSecret = orEmpty(arnOf('secretsmanager', 'secret:[\\w/+=.@-]+-\\w{6}', 'the full ARN of a secret'));
const topic = orNone(arnOf('sns', '[\\w.-]+', 'the ARN of an SNS topic'));
const principals = 'ARNs of roles or users';
/** Amazon CloudWatch Logs API Reference, PutRetentionPolicy. */
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** Every parameter there is; infra/params.yml says what each is for. */
export const rules: Readonly<Record<string, Rule>> = {
  issuerId: text(textSettings.issuerId.pattern, textSettings.issuerId.rule),
  keyId: orNone(text(textSettings.keyId.pattern, textSettings.keyId.rule)),
  environment: text(textSettings.environment.pattern, textSettings.environment.rule),
  audience: orEmpty(text(textSettings.audience.pattern, textSettings.audience.rule)),
  refreshWindowSeconds: wholeNumber(shortestWindow, longestWindow),
  onboarded: onOrOff(),
  criticalTopicArn: topic,
  warningTopicArn: topic,
  compositeAlarm: onOrOff(),
  runbookUrl: text(/^[^\s"#]+$/, 'a URL or path without a fragment'),
  dashboard: onOrOff(),
  // Three minutes without a tick are an alarm, and the window must hold several.
  tickSchedule: oneOf('rate(1 minute)', 'rate(2 minutes)'),
  rotationSchedule: text(/^(rate|cron)\(.+\)$/, 'a rate(…) or cron(…) expression'),
  tokenSecretName: secretName,
  clientCertificateSecretName: secretName,
  activeSigningKey: oneOf('current', 'next'),
  nextKeyId: orNone(text(textSettings.keyId.pattern, textSettings.keyId.rule)),
  signingKeyAlias: text(/^alias\/(?!aws\/)[\w/-]{1,242}$/, '`alias/` and 1-242 of A-Z a-z 0-9 / _ -'),
  keyAdministrators: list(
    /^arn:aws[\w-]*:iam::\d{12}:(root|(role|user)\/[\w+=,.@/-]+)$/,
    `${principals}, or an account root`,
  ),
  certificateReaders: list(/^arn:aws[\w-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+$/, principals),
  codeSigningConfigArn: orNone(
    arnOf('lambda', 'code-signing-config:csc-\\w{17}', 'the ARN of a Lambda code signing configuration'),
  ),
  existingTokenSecretArn: existingSecret,
  existingClientCertificateSecretArn: existingSecret,
  existingSecretsKeyArn: orEmpty(arnOf('kms', 'key/[\\w-]+', 'the ARN of a KMS key, not of an alias')),
  // AWS Lambda Developer Guide, "Lambda quotas".
  memoryMegabytes: wholeNumber(128, 10_240),
  // A tick may stay beyond the next one (docs/deploy.md), and must be over when the one after that comes.
  timeoutSeconds: wholeNumber(10, 120),
  reservedConcurrency: orNone(wholeNumber(1, 1_000)),
  tracing: oneOf('Active', 'PassThrough'),
  logRetentionDays: { ...oneOf(...retentions.map(String)), kind: 'number' },
  logKey: oneOf('aws', 'own'),
};

/** Parameters that there were, and what to do instead. */
const removed: Readonly<Record<string, string>> = {
  alarmTopicArn: 'give criticalTopicArn and warningTopicArn',
  keyAdministratorArn: 'give keyAdministrators, a list',
  existingSigningKeyArn:
    'the stack makes its signing keys; docs/deploy.md, "Replacing the signing key", says how to come from another key',
};

/** The reserved concurrency of the ticks' own function: one tick may stay for a token that D1 repeats while the next one comes. */
export const TICKS_AT_ONCE = 2;
/** Lambda, Scheduler and EventBridge take names of 64 characters; this is the longest that is put behind the stack's. */
const LONGEST_NAME = 64;
const LONGEST_SUFFIX = '-signed-by-another';

/**
 * The parameters of the stage that is being packaged, and what follows from them.
 *
 * @throws WrongParameters that lists every fault at once, each on a line: parameter, value, rule.
 */
export async function checkedParameters({ resolveVariable, resolveConfigurationProperty }: Osls) {
  const place = {
    stage: String(await resolveVariable('sls:stage')),
    region: String(await resolveVariable('opt:region, self:provider.region')),
    service: String(await resolveVariable('self:service')),
  };
  const { stage } = place;
  const stages = (await resolveConfigurationProperty(['params'])) as Record<string, Record<string, unknown>>;
  const values = new Map<string, unknown>();
  for (const name of Object.keys(rules)) values.set(name, await resolveVariable(`param:${name}, null`));
  const commandLine = [(await resolveVariable('opt:param, null')) ?? []].flat().map((one) => String(one).split('=')[0]);
  const given = [...Object.keys(stages['default'] ?? {}), ...Object.keys(stages[stage] ?? {}), ...commandLine];
  const result = check(place, values, new Set(given.filter((name) => name !== undefined)));
  if ('parameters' in result) return result.parameters;

  const known = Object.keys(stages).filter((name) => name !== 'default');
  const { faults } = result;
  if (!known.includes(stage)) faults.push(`the file has no stage "${stage}"; it has ${known.join(', ')}`);
  throw new WrongParameters(
    [`infra/params.yml, stage "${stage}":`, ...faults.map((fault) => `  ${fault}.`)].join('\n'),
  );
}

/**
 * @param values What each parameter of `rules` is; `undefined` or `null` when the stage does not have it.
 * @param given The names that the file and the command line have: one that nobody reads is a misspelling.
 */
export function check(
  place: Place,
  values: ReadonlyMap<string, unknown>,
  given: ReadonlySet<string> = new Set(),
): { parameters: Record<string, Value> } | { faults: string[] } {
  const parameters: Record<string, Value> = {};
  const faults: string[] = [];
  for (const [name, rule] of Object.entries(rules)) {
    const result = read(rule, values.get(name) ?? undefined);
    if ('fault' in result) faults.push(`parameter ${name} ${result.fault}`);
    else parameters[name] = result.value;
  }
  for (const name of given) {
    if (name in removed) faults.push(`parameter ${name} is no more: ${removed[name]}`);
    else if (!(name in rules)) {
      faults.push(`parameter ${name} is not known; check its spelling in default, ${place.stage} and --param`);
    }
  }
  faults.push(...contradictions(parameters, place));
  return faults.length > 0 ? { faults } : { parameters: { ...parameters, ...derived(parameters) } };
}

function read({ kind, accepts, rule }: Rule, value: unknown): { value: Value } | { fault: string } {
  if (value === undefined) return { fault: `is missing; it must be ${rule}` };
  if (kind === 'list') {
    const members = typeof value === 'string' ? value.split(',').filter(Boolean) : value;
    if (!Array.isArray(members)) return { fault: `is "${show(value)}"; it must be a list of ${rule}` };
    const wrong = members.find((member) => !(isIntrinsic(member) || (typeof member === 'string' && accepts(member))));
    if (wrong !== undefined) return { fault: `has "${show(wrong)}" in it; it must be a list of ${rule}` };
    return { value: members };
  }
  if (typeof value === 'object') return { fault: `is ${show(value)}; it must be text: ${rule}` };
  if (kind === 'text' && typeof value !== 'string') {
    return { fault: `is the ${typeof value} ${value} for YAML, which may not be what was written; put it in quotes` };
  }
  if (!accepts(String(value))) return { fault: `is "${value}"; it must be ${rule}` };
  // CloudFormation's parameters are texts; numbers stay numbers for the properties of the function.
  return { value: typeof value === 'number' ? value : String(value) };
}

/** The account's own ARN can't be written down for all stages; CloudFormation knows it. */
const isIntrinsic = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.keys(value).join() === 'Fn::Sub';

const show = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value));

/** Parameters that are right by themselves, and not together or not here. */
function contradictions(parameters: Readonly<Record<string, Value>>, { stage, region, service }: Place): string[] {
  const faults: string[] = [];
  const isGiven = (name: string) => (parameters[name] ?? '') !== '';
  for (const secret of ['existingTokenSecretArn', 'existingClientCertificateSecretArn']) {
    if (isGiven(secret) && !isGiven('existingSecretsKeyArn')) {
      faults.push(`parameter existingSecretsKeyArn is empty; with ${secret} it must be the key of that secret`);
    }
  }
  const kid = parameters['activeSigningKey'] === 'next' ? 'nextKeyId' : 'keyId';
  if (parameters[kid] === 'none') {
    faults.push(`parameter ${kid} is none; it must be the kid of the signing key that is active`);
  } else if (parameters['keyId'] !== undefined && parameters['keyId'] === parameters['nextKeyId']) {
    faults.push(
      `parameter nextKeyId is "${parameters['keyId']}", like keyId; each signing key must have a kid of its own`,
    );
  }
  for (const name of ['criticalTopicArn', 'warningTopicArn']) {
    if (parameters['onboarded'] === 'true' && parameters[name] === 'none') {
      faults.push(`parameter ${name} is none; with onboarded: true its alarms must reach somebody`);
    }
  }
  if (Array.isArray(parameters['keyAdministrators']) && parameters['keyAdministrators'].length === 0) {
    faults.push('parameter keyAdministrators is an empty list; a key that nobody administers can never be changed');
  }
  for (const [name, value] of Object.entries(parameters)) {
    for (const arn of [value].flat()) {
      if (typeof arn !== 'string' || !arn.startsWith('arn:')) continue;
      const [, partition, , where] = arn.split(':');
      if (partition !== partitionOf(region)) {
        faults.push(`parameter ${name} is of partition ${partition}; ${region} is in ${partitionOf(region)}`);
      } else if (where && where !== region) {
        faults.push(`parameter ${name} is of Region ${where}; the stack is in ${region}`);
      }
    }
  }
  if (!/^[A-Za-z0-9-]+$/.test(stage)) {
    faults.push(`the stage "${stage}" is in the names of AWS resources; it must be of A-Z a-z 0-9 -`);
  }
  const longest = `${service}-${stage}${LONGEST_SUFFIX}`;
  if (longest.length > LONGEST_NAME) {
    const surplus = longest.length - LONGEST_NAME;
    faults.push(
      `the name "${longest}" has ${longest.length} characters, and AWS takes ${LONGEST_NAME}; shorten the stage by ${surplus}`,
    );
  }
  return faults;
}

/** AWS General Reference, "Amazon Resource Names". */
function partitionOf(region: string): string {
  const others = { 'cn-': 'aws-cn', 'us-gov-': 'aws-us-gov', 'us-iso-': 'aws-iso', 'us-isob-': 'aws-iso-b' };
  return Object.entries(others).find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';
}

const noValue = { Ref: 'AWS::NoValue' };

/** What the template can't work out for itself. */
function derived(parameters: Readonly<Record<string, Value>>): Record<string, Value> {
  const readers = [parameters['certificateReaders'] ?? []].flat();
  const reserves = parameters['reservedConcurrency'] !== 'none';
  return {
    mayReadCertificate: [{ 'Fn::GetAtt': ['BrokerRole', 'Arn'] }, ...readers],
    hasCertificateReaders: String(readers.length > 0),
    ticksReservedConcurrency: reserves ? TICKS_AT_ONCE : noValue,
    ...(!reserves && { reservedConcurrency: noValue }),
    ...(parameters['codeSigningConfigArn'] === 'none' && { codeSigningConfigArn: noValue }),
  };
}

function text(pattern: RegExp, rule: string): Rule {
  return { kind: 'text', accepts: (value) => pattern.test(value), rule };
}

function list(pattern: RegExp, rule: string): Rule {
  return { ...text(pattern, rule), kind: 'list' };
}

function oneOf(...values: readonly string[]): Rule {
  return { kind: 'text', accepts: (value) => values.includes(value), rule: `one of ${values.join(', ')}` };
}

function onOrOff(): Rule {
  return { ...oneOf('true', 'false'), kind: 'switch' };
}

function wholeNumber(minimum: number, maximum: number): Rule {
  const accepts = (value: string) => /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum;
  return { kind: 'number', accepts, rule: `a whole number, ${minimum}-${maximum}` };
}

function orEmpty({ kind, accepts, rule }: Rule): Rule {
  return { kind, accepts: (value) => value === '' || accepts(value), rule: `${rule}, or empty` };
}

function orNone({ kind, accepts, rule }: Rule): Rule {
  return { kind, accepts: (value) => value === 'none' || accepts(value), rule: `${rule}, or \`none\`` };
}

function arnOf(service: string, resource: string, rule: string): Rule {
  return text(new RegExp(`^arn:aws[\\w-]*:${service}:[a-z0-9-]+:\\d{12}:${resource}$`), rule);
}
