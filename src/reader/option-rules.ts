import { type D1Environment, d1Hosts, LONGEST_PROMISE_SECONDS } from '../shared/d1.ts';
import type { TokenReaderOptions } from './options.ts';

/** Where each environment of D1 is. */
export const D1_ORIGINS: Readonly<Record<D1Environment, string>> = Object.freeze({
  production: `https://${d1Hosts.production}`,
  staging: `https://${d1Hosts.staging}`,
  develop: `https://${d1Hosts.develop}`,
});

/** What is wrong with a value that is given, in words that follow the option's name. */
export type Rule = (value: unknown) => string | undefined;

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const MISSING = 'is missing; is the environment variable set?';

export const must =
  (what: string, isFine: (value: unknown) => boolean): Rule =>
  (value) =>
    isFine(value) ? undefined : `must be ${what}`;

const name =
  (pattern: RegExp): Rule =>
  (value) => {
    // A token looks like one: the value of the secret, where its name was wanted.
    if (typeof value === 'string' && pattern.test(value) && !value.startsWith('eyJ')) return undefined;
    return value === '' ? MISSING : 'is no name or ARN';
  };

export const between = (least: number, most: number): Rule =>
  must(`a number, ${least}-${most}`, (value) => typeof value === 'number' && value >= least && value <= most);

const able = (what: string, ...methods: readonly string[]): Rule =>
  must(what, (value) => {
    const object = value as Record<string, unknown> | null;
    return methods.every((method) => typeof object?.[method] === 'function');
  });

const isFunction = must('a function', (value) => typeof value === 'function');

const secretName = name(/^[\w/+=.@:!-]{1,512}$/);
const requestTimeout = between(100, 900_000);

const rules: Readonly<Record<keyof TokenReaderOptions, Rule>> = {
  secretId: secretName,
  brokerFunctionName: name(/^[\w:$-]{1,256}$/),
  minRemainingSeconds: between(0, LONGEST_PROMISE_SECONDS),
  refreshAheadSeconds: between(0, LONGEST_PROMISE_SECONDS),
  readTimeoutMilliseconds: between(100, 60_000),
  brokerTimeoutMilliseconds: between(100, 120_000),
  useSecretsExtension: must('a boolean', (value) => typeof value === 'boolean'),
  environment: must(`one of ${Object.keys(D1_ORIGINS).join(', ')}`, (value) =>
    Object.hasOwn(D1_ORIGINS, String(value)),
  ),
  allowedOrigins: must(
    `a list of origins only, such as ${D1_ORIGINS.production}`,
    (value) => Array.isArray(value) && value.length > 0 && value.every(isHttpsOrigin),
  ),
  clientCertificateSecretId: secretName,
  // The same that node:https asks of an agent.
  agent: able('an Agent of node:https', 'addRequest'),
  dispatcher: able("one of undici's dispatchers", 'dispatch'),
  fetch: isFunction,
  requestTimeoutMilliseconds: (value) => (value === false ? undefined : requestTimeout(value)),
  onWarning: isFunction,
  secretsManager: able('a SecretsManagerClient', 'send'),
  lambda: able('a LambdaClient', 'send'),
  clock: able('an object with now() and sleep()', 'now', 'sleep'),
  random: able('an object with fraction() and uuid()', 'fraction', 'uuid'),
  env: must('an object', isObject),
};

export const optionNames = Object.keys(rules) as readonly (keyof TokenReaderOptions)[];

/** Options that say the same, or of which one would not use the other. */
const atMostOne: readonly (readonly (keyof TokenReaderOptions)[])[] = [
  ['environment', 'allowedOrigins'],
  ['clientCertificateSecretId', 'agent', 'dispatcher'],
  ['fetch', 'agent'],
  ['fetch', 'clientCertificateSecretId'],
];

/** Every fault of a reader's options, each in words that hold no value. */
export function faultsIn(options: unknown): string[] {
  if (!isObject(options)) return ['they must be an object with a secretId'];
  const faults = options['secretId'] === undefined ? [`secretId ${MISSING}`] : [];
  faults.push(...faultsBy(rules, options));
  for (const group of atMostOne) {
    const taken = group.filter((option) => options[option] !== undefined);
    if (taken.length > 1) faults.push(`only one of ${taken.join(', ')} can be used`);
  }
  return faults;
}

/** What breaks its rule, or has none. */
export function faultsBy(rules: Readonly<Record<string, Rule>>, given: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(given).flatMap(([option, value]) => {
    const rule = Object.hasOwn(rules, option) ? rules[option] : undefined;
    if (!rule) return `${/^\w{1,40}$/.exec(option)?.[0] ?? 'an option'} is not known`;
    const why = value === undefined ? undefined : rule(value);
    return why === undefined ? [] : `${option} ${why}`;
  });
}

function isHttpsOrigin(value: unknown): boolean {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  return url?.protocol === 'https:' && url.origin === String(value).toLowerCase().replace(/\/$/, '');
}
