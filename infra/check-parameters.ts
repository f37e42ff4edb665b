import { numberSettings, textSettings } from '../src/config.ts';
import { type LandingZone, landingZone } from './check-landing-zone.ts';
import { consumers } from './consumers.ts';
import {
  arnOf,
  list,
  logRetention,
  misplaced,
  oneOf,
  onOrOff,
  orEmpty,
  orNone,
  type Rule,
  read,
  text,
  type Value,
  wholeNumber,
} from './rules.ts';
import { namesAnotherRegion, secondRegionFaults, secondRegionRules, secondRegionValues } from './second-region.ts';

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
    { takesIntrinsics: true },
  ),
  certificateReaders: list(/^arn:aws[\w-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+$/, principals, {
    takesIntrinsics: true,
  }),
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
  logRetentionDays: logRetention,
  logKey: oneOf('aws', 'own'),
  landingZone: text(/^[\w./-]+\.yml$/, 'the path of a .yml file below this folder'),
  consumerPrincipals: list(
    /^(\d{12}|arn:aws[\w-]*:iam::\d{12}:role\/[\w+=,.@/-]+)$/,
    'accounts (12 digits, in quotes) or ARNs of roles',
  ),
  organizationId: orNone(text(/^o-[a-z0-9]{10,32}$/, 'the id of an organisation: o- and 10-32 of a-z 0-9')),
  // AWS Lambda API Reference, VpcConfig.
  subnetIds: list(/^subnet-[0-9a-f]{8,17}$/, 'ids of subnets: subnet-…', { atMost: 16 }),
  securityGroupIds: list(/^sg-[0-9a-f]{8,17}$/, 'ids of security groups: sg-…', { atMost: 5 }),
  fips: onOrOff(),
  egressProxy: orNone(
    text(/^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?\/?$/, 'a URL of scheme, host and port, without credentials or path'),
  ),
  noProxy: list(/^[A-Za-z0-9.*-]+(:\d{1,5})?$/, 'hosts, `.suffixes` or `*`, each with a port if need be'),
  ...secondRegionRules,
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
/**
 * Where both KMS and Secrets Manager have an endpoint with FIPS 140-3 (AWS, "Federal Information Processing Standard").
 * Elsewhere the SDK makes a name that DNS does not know.
 */
const FIPS_REGIONS = /^(us-(east|west)-[12]|ca-(central|west)-1|us-gov-(east|west)-1)$/;
/** Lambda, Scheduler and EventBridge take names of 64 characters; this is the longest that is put behind the stack's. */
const LONGEST_NAME = 64;
const LONGEST_SUFFIX = '-signed-by-another';

/**
 * The parameters of the stage that is being packaged, and what follows from them.
 *
 * @returns Besides, sentences on what the stack can't do for itself and somebody must.
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
  const file = String(values.get('landingZone'));
  const content = await resolveVariable(`file(${file}), null`);
  const result = check(place, values, new Set(given.filter((name) => name !== undefined)), content);
  if ('parameters' in result) return result;

  const known = Object.keys(stages).filter((name) => name !== 'default');
  const { faults } = result;
  if (!known.includes(stage)) faults.push(`the file has no stage "${stage}"; it has ${known.join(', ')}`);
  throw new WrongParameters(
    [`infra/params.yml, stage "${stage}":`, ...faults.map((fault) => `  ${fault}.`)].join('\n'),
  );
}

/**
 * @param content What the landing zone's file holds.
 * @param values What each parameter of `rules` is; `undefined` or `null` when the stage does not have it.
 * @param given The names that the file and the command line have: one that nobody reads is a misspelling.
 */
export function check(
  place: Place,
  values: ReadonlyMap<string, unknown>,
  given: ReadonlySet<string> = new Set(),
  content?: unknown,
): { parameters: Record<string, Value | null>; notices: string[] } | { faults: string[] } {
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
  if (
    /alias\/aws\//.test(String(values.get('existingSecretsKeyArn'))) &&
    hasMembers(parameters, 'consumerPrincipals')
  ) {
    faults.push(
      'parameter existingSecretsKeyArn is a key that AWS manages, and no other account can use one; with consumerPrincipals it must be a key of your own',
    );
  }
  const { faults: ofLandingZone, ...zone } = landingZone(String(values.get('landingZone')), content, place.region);
  faults.push(...contradictions(parameters, place), ...network(parameters, place), ...ofLandingZone);
  if (faults.length > 0) return { faults };
  const all = { ...parameters, ...zone.values };
  const complete = { ...all, ...derived(all, zone, place), ...secondRegionValues(parameters, place.region) };
  return { parameters: complete, notices: notices(parameters) };
}

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
  if ((parameters['organizationId'] ?? 'none') !== 'none' && isEmpty(parameters, 'consumerPrincipals')) {
    faults.push(
      'parameter organizationId is given, and consumerPrincipals is empty; it binds only whom that list names',
    );
  }
  if (isEmpty(parameters, 'keyAdministrators')) {
    faults.push('parameter keyAdministrators is an empty list; a key that nobody administers can never be changed');
  }
  for (const [name, value] of Object.entries(parameters)) {
    for (const arn of [value].flat()) {
      const fault = misplaced(arn, region, { elsewhere: namesAnotherRegion(name) });
      if (fault !== undefined) faults.push(`parameter ${name} ${fault}`);
    }
  }
  faults.push(...secondRegionFaults(parameters, region));
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

/** Unlike one that is wrong: that has a sentence already. */
const isEmpty = (parameters: Readonly<Record<string, Value>>, name: string): boolean =>
  Array.isArray(parameters[name]) && parameters[name].length === 0;
const hasMembers = (parameters: Readonly<Record<string, Value>>, name: string): boolean =>
  Array.isArray(parameters[name]) && parameters[name].length > 0;

/** The same for how the functions reach AWS and D1. */
function network(parameters: Readonly<Record<string, Value>>, { region }: Place): string[] {
  const faults: string[] = [];
  const inVpc = ['subnetIds', 'securityGroupIds'] as const;
  for (const [one, other] of [inVpc, inVpc.toReversed()] as const) {
    if (one && other && hasMembers(parameters, one) && isEmpty(parameters, other)) {
      faults.push(`parameter ${other} is empty; with ${one} it must have at least one`);
    }
  }
  if (parameters['fips'] === 'true' && !FIPS_REGIONS.test(region)) {
    faults.push(`parameter fips is true; in ${region} KMS and Secrets Manager do not both have a FIPS endpoint`);
  }
  if (hasMembers(parameters, 'noProxy') && parameters['egressProxy'] === 'none') {
    faults.push('parameter noProxy has hosts in it, and egressProxy is none; there is nothing to go around');
  }
  return faults;
}

/** What a stack that uses existing things leaves to their owner. */
function notices(parameters: Readonly<Record<string, Value>>): string[] {
  if (!hasMembers(parameters, 'consumerPrincipals')) return [];
  const untouched = [
    [
      'existingSecretsKeyArn',
      'ConsumersDecryptToken; the key must be your own, because no other account can use one that AWS manages',
    ],
    ['existingTokenSecretArn', 'ConsumersReadToken'],
  ];
  return untouched
    .filter(([name = '']) => parameters[name] !== '')
    .map(([name, what]) => `The policy of ${name} is yours: add the statement ${what} (docs/landing-zone.md)`);
}

const noValue = { Ref: 'AWS::NoValue' };

/** What the template can't work out for itself. */
function derived(
  parameters: Readonly<Record<string, Value>>,
  { values, tags }: LandingZone,
  { service, stage }: Place,
): Record<string, Value | null> {
  const listOf = (name: string) => [parameters[name] ?? []].flat();
  const readers = listOf('certificateReaders');
  const organizationId = String(parameters['organizationId']);
  const outside = consumers(listOf('consumerPrincipals').map(String), readers, organizationId);
  const reserves = parameters['reservedConcurrency'] !== 'none';
  const orNoValue = (name: string) => ({ [name]: values[name] ?? noValue });
  return {
    mayReadCertificate: [{ 'Fn::GetAtt': ['BrokerRole', 'Arn'] }, ...readers],
    hasCertificateReaders: String(readers.length > 0),
    ticksReservedConcurrency: reserves ? TICKS_AT_ONCE : noValue,
    ...(!reserves && { reservedConcurrency: noValue }),
    ...(parameters['codeSigningConfigArn'] === 'none' && { codeSigningConfigArn: noValue }),
    consumers: outside,
    hasConsumers: String(outside.principals.length > 0),
    hasConsumersOfCertificate: String(outside.certificatePrincipals.length > 0),
    // CloudFormation takes a list as one text.
    subnetIds: listOf('subnetIds').join(','),
    securityGroupIds: listOf('securityGroupIds').join(','),
    noProxy: listOf('noProxy').join(','),
    tags: { service, stage, ...tags },
    ...orNoValue('permissionsBoundary'),
    ...orNoValue('rolePath'),
    ...orNoValue('brokerRoleName'),
    ...orNoValue('schedulerRoleName'),
    // A bucket of the bank's own has its own settings.
    deploymentBucket: values['artifactBucket']
      ? { name: values['artifactBucket'] }
      : { blockPublicAccess: true, serverSideEncryption: 'AES256' },
    // Without the key, what somebody has set by hand stays.
    terminationProtection:
      values['terminationProtection'] === undefined ? null : values['terminationProtection'] === 'true',
  };
}
