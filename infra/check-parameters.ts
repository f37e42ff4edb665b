import { numberSettings, textSettings } from '../src/config.ts';

/** What one parameter of infra/params.yml may be. */
interface Rule {
  readonly accepts: (value: string) => boolean;
  /** In words, for the sentence that stops the packaging. */
  readonly rule: string;
}

type Value = string | number | boolean | object;

/** The part of what osls hands to a file that is a function. */
export interface Osls {
  readonly resolveVariable: (variable: string) => Promise<unknown>;
  readonly resolveConfigurationProperty: (path: readonly string[]) => Promise<unknown>;
}

const { minimum: shortestWindow, maximum: longestWindow } = numberSettings.refreshWindowSeconds;
const schedule = matches(/^(rate|cron)\(.+\)$/, 'a rate(…) or cron(…) expression');
const secretName = matches(/^[\w/+=.@-]{1,512}$/, 'a secret name: 1-512 of A-Z a-z 0-9 / _ + = . @ -');
const existingKey = orEmpty(matches(arnOf('kms', 'key/[\\w-]+'), 'the ARN of a KMS key, not of an alias'));
const existingSecret = orEmpty(
  matches(arnOf('secretsmanager', 'secret:[\\w/+=.@-]+-\\w{6}'), 'the full ARN of a secret'),
);
/** Amazon CloudWatch Logs API Reference, PutRetentionPolicy. */
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** Every parameter there is; infra/params.yml says what each is for. */
export const rules: Readonly<Record<string, Rule>> = {
  issuerId: matches(textSettings.issuerId.pattern, textSettings.issuerId.rule),
  keyId: matches(textSettings.keyId.pattern, textSettings.keyId.rule),
  environment: matches(textSettings.environment.pattern, textSettings.environment.rule),
  audience: orEmpty(matches(textSettings.audience.pattern, textSettings.audience.rule)),
  refreshWindowSeconds: wholeNumber(shortestWindow, longestWindow),
  onboarded: oneOf('true', 'false'),
  alarmTopicArn: orNone(matches(arnOf('sns', '[\\w.-]+'), 'the ARN of an SNS topic')),
  runbookUrl: matches(/^[^\s"#]+$/, 'a URL or path without a fragment'),
  tickSchedule: schedule,
  rotationSchedule: schedule,
  tokenSecretName: secretName,
  clientCertificateSecretName: secretName,
  signingKeyAlias: matches(/^alias\/(?!aws\/)[\w/-]{1,250}$/, '`alias/` and 1-250 of A-Z a-z 0-9 / _ -'),
  keyAdministratorArn: matches(
    /^arn:aws[\w-]*:iam::\d{12}:(root|(role|user)\/.+)$/,
    'the ARN of a role, a user or an account root',
  ),
  existingSigningKeyArn: existingKey,
  existingTokenSecretArn: existingSecret,
  existingClientCertificateSecretArn: existingSecret,
  existingSecretsKeyArn: existingKey,
  // AWS Lambda Developer Guide, "Lambda quotas".
  memoryMegabytes: wholeNumber(128, 10_240),
  // A tick may stay beyond the next one (docs/deploy.md), and must be over when the one after that comes.
  timeoutSeconds: wholeNumber(10, 120),
  reservedConcurrency: wholeNumber(1, 1_000),
  tracing: oneOf('Active', 'PassThrough'),
  logRetentionDays: oneOf(...retentions.map(String)),
};

/**
 * The parameters of the stage that is being packaged.
 *
 * @throws Error that lists every fault at once: stage, parameter, value, rule.
 */
export async function checkedParameters({ resolveVariable, resolveConfigurationProperty }: Osls) {
  const stage = String(await resolveVariable('sls:stage'));
  const stages = (await resolveConfigurationProperty(['params'])) as Record<string, Record<string, unknown>>;
  const values = new Map<string, unknown>();
  for (const name of Object.keys(rules)) values.set(name, await resolveVariable(`param:${name}, null`));
  const given = [...Object.keys(stages['default'] ?? {}), ...Object.keys(stages[stage] ?? {})];
  const result = check(stage, values, given);
  if ('parameters' in result) return result.parameters;

  const known = Object.keys(stages).filter((name) => name !== 'default');
  const where = known.includes(stage) ? '' : ` The file has no stage "${stage}"; it has ${known.join(', ')}.`;
  const error = new Error(`infra/params.yml, stage "${stage}": ${result.faults.join('. ')}.${where}`);
  // osls would print our stack, which says nothing to whoever has to correct the file.
  error.stack = error.message;
  throw error;
}

/**
 * @param values What each parameter of `rules` is; `undefined` or `null` when the stage does not have it.
 * @param given The names that the file has for this stage: one that nobody reads is a misspelling.
 */
export function check(
  stage: string,
  values: ReadonlyMap<string, unknown>,
  given: readonly string[] = [],
): { parameters: Record<string, Value> } | { faults: string[] } {
  const parameters: Record<string, Value> = {};
  const faults: string[] = [];
  for (const [name, { accepts, rule }] of Object.entries(rules)) {
    const value = values.get(name) ?? undefined;
    if (value === undefined) {
      faults.push(`parameter ${name} is missing; it must be ${rule}`);
    } else if (typeof value === 'object') {
      // An intrinsic function: CloudFormation knows what it comes to.
      parameters[name] = value;
    } else if (accepts(String(value))) {
      // CloudFormation's parameters are texts; numbers stay numbers for the properties of the function.
      parameters[name] = typeof value === 'boolean' ? String(value) : (value as string | number);
    } else {
      faults.push(`parameter ${name} is "${value}"; it must be ${rule}`);
    }
  }
  const isGiven = (name: string) => (parameters[name] ?? '') !== '';
  for (const secret of ['existingTokenSecretArn', 'existingClientCertificateSecretArn']) {
    if (isGiven(secret) && !isGiven('existingSecretsKeyArn')) {
      faults.push(`parameter existingSecretsKeyArn is empty; with ${secret} it must be the key of that secret`);
    }
  }
  for (const name of given.filter((name) => !(name in rules))) {
    faults.push(`parameter ${name} is not known; check its spelling in default and ${stage}`);
  }
  return faults.length > 0 ? { faults } : { parameters };
}

function matches(pattern: RegExp, rule: string): Rule {
  return { accepts: (value) => pattern.test(value), rule };
}

function oneOf(...values: readonly string[]): Rule {
  return { accepts: (value) => values.includes(value), rule: `one of ${values.join(', ')}` };
}

function wholeNumber(minimum: number, maximum: number): Rule {
  const accepts = (value: string) => /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum;
  return { accepts, rule: `a whole number, ${minimum}-${maximum}` };
}

function orEmpty({ accepts, rule }: Rule): Rule {
  return { accepts: (value) => value === '' || accepts(value), rule: `${rule}, or empty` };
}

function orNone({ accepts, rule }: Rule): Rule {
  return { accepts: (value) => value === 'none' || accepts(value), rule: `${rule}, or \`none\`` };
}

function arnOf(service: string, resource: string): RegExp {
  return new RegExp(`^arn:aws[\\w-]*:${service}:[a-z0-9-]+:\\d{12}:${resource}$`);
}
