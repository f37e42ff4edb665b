import type { Agent } from 'node:https';
import { type Clock, systemClock } from '../shared/clock.ts';
import { type D1Environment, d1Hosts, LONGEST_PROMISE_SECONDS } from '../shared/d1.ts';
import { type Random, systemRandom } from '../shared/random.ts';
import type { AwsClient } from './aws-client.ts';
import { TokenReaderError } from './reader-error.ts';
import type { SecretsExtension } from './secrets-extension.ts';

export type { D1Environment };

/** Where each environment of D1 is. */
export const D1_ORIGINS: Readonly<Record<D1Environment, string>> = Object.freeze({
  production: `https://${d1Hosts.production}`,
  staging: `https://${d1Hosts.staging}`,
  develop: `https://${d1Hosts.develop}`,
});

/** The part of the Fetch standard that the reader needs from whatever sends its requests. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Any fetch: the built-in one and undici's own have types that don't fit each other. */
export type FetchLike = (url: string, init: never) => Promise<object>;

export interface TokenReaderOptions {
  /** Name or ARN of the broker's token secret. `undefined` is refused: the environment variable is not set. */
  readonly secretId: string | undefined;
  /** Name or ARN of the broker's Lambda function, asked when the secret can't help. Needs `@aws-sdk/client-lambda`. */
  readonly brokerFunctionName?: string | undefined;
  /** Seconds that a token should at least live on, 0-840. Default 30. */
  readonly minRemainingSeconds?: number | undefined;
  /** Seconds before a token's end from which the secret is read again in the background, 0-840. Default 180. */
  readonly refreshAheadSeconds?: number | undefined;
  /** Milliseconds for one read of the secret, the SDK's retries included, 100-60,000. Default 5,000. */
  readonly readTimeoutMilliseconds?: number | undefined;
  /** Milliseconds for one answer of the broker, 100-120,000. Default 20,000: it may start cold, and D1 may be slow. */
  readonly brokerTimeoutMilliseconds?: number | undefined;
  /**
   * Read through the AWS Parameters and Secrets Lambda Extension where it is present, that is, where
   * PARAMETERS_SECRETS_EXTENSION_HTTP_PORT is set. Default false.
   */
  readonly useSecretsExtension?: boolean | undefined;
  /** The environment of D1 that the token is for: `fetch` sends it to that host and to no other. Default `production`. */
  readonly environment?: D1Environment | undefined;
  /** Origins that `fetch` may send a token to, https only, in place of the environment's host. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /**
   * Name or ARN of the secret with the client certificate for mutual TLS: `{"certificate", "private_key", "ca_bundle"?}`,
   * the one that the broker reads. `fetch` then shows it to the allowed origins, and reads it again every hour.
   */
  readonly clientCertificateSecretId?: string | undefined;
  /** An agent of node:https with the client certificate: `fetch` sends through it. */
  readonly agent?: Agent | undefined;
  /** Handed to `fetch` with every request to an allowed origin, as undici's `dispatcher`. Give undici's own `fetch` too. */
  readonly dispatcher?: object | undefined;
  /** Sends the requests instead of the built-in fetch. It must honour `redirect: 'manual'`. */
  readonly fetch?: FetchLike | undefined;
  /**
   * Milliseconds for one request of `fetch`, from its first byte to the answer's last, 100-900,000; `false` for no limit.
   * Default 30,000. A request that D1 answers with a redirect or a 401 is followed by another, with a time of its own.
   */
  readonly requestTimeoutMilliseconds?: number | false | undefined;
  /** Hears of failures that cost no caller anything. What it throws is dropped. Default: nobody does. */
  readonly onWarning?: ((warning: TokenReaderError) => void) | undefined;
  /** A Secrets Manager client. Default: the SDK's, with its settings from the environment. */
  readonly secretsManager?: AwsClient | undefined;
  /** A Lambda client. Default: the SDK's, with its settings from the environment, loaded when first needed. */
  readonly lambda?: AwsClient | undefined;
  /** Default: this machine's. */
  readonly clock?: Clock | undefined;
  /** Default: Node's. */
  readonly random?: Random | undefined;
  /** Where the extension's port and AWS_SESSION_TOKEN are looked up. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface Settings {
  readonly secretId: string;
  readonly brokerFunctionName: string | undefined;
  readonly minRemainingSeconds: number;
  readonly refreshAheadSeconds: number;
  readonly readTimeoutMilliseconds: number;
  readonly brokerTimeoutMilliseconds: number;
  /** Asked for each read: Lambda sets the session token when the container starts, a test when it likes. */
  readonly secretsExtension: () => SecretsExtension | undefined;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly clientCertificateSecretId: string | undefined;
  readonly agent: Agent | undefined;
  readonly dispatcher: object | undefined;
  readonly fetch: Fetch | undefined;
  /** `undefined`: no limit. */
  readonly requestTimeoutMilliseconds: number | undefined;
  readonly warn: (warning: TokenReaderError) => void;
  readonly secretsManager: AwsClient | undefined;
  readonly lambda: AwsClient | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

const known: Readonly<Record<keyof TokenReaderOptions, true>> = {
  secretId: true,
  brokerFunctionName: true,
  minRemainingSeconds: true,
  refreshAheadSeconds: true,
  readTimeoutMilliseconds: true,
  brokerTimeoutMilliseconds: true,
  useSecretsExtension: true,
  environment: true,
  allowedOrigins: true,
  clientCertificateSecretId: true,
  agent: true,
  dispatcher: true,
  fetch: true,
  requestTimeoutMilliseconds: true,
  onWarning: true,
  secretsManager: true,
  lambda: true,
  clock: true,
  random: true,
  env: true,
};

/**
 * Checks the options of a reader.
 *
 * @throws TokenReaderError READER_OPTIONS_INVALID that lists every fault at once.
 */
export function readOptions(given: TokenReaderOptions): Settings {
  if (typeof given !== 'object' || given === null) throw optionsInvalid(['they must be an object with a secretId']);
  const options: TokenReaderOptions = given;
  const faults: string[] = [];
  const name = (field: 'secretId' | 'brokerFunctionName' | 'clientCertificateSecretId', pattern: RegExp) => {
    const value: unknown = options[field];
    if (value === undefined && field !== 'secretId') return undefined;
    if (typeof value === 'string' && pattern.test(value) && !value.startsWith('eyJ')) return value;
    const why =
      value === undefined || value === '' ? 'is missing; is the environment variable set?' : 'is no name or ARN';
    faults.push(`${field} ${why}`);
    return '';
  };
  const number = (field: NumberField, least: number, most: number, fallback: number): number => {
    const value: unknown = options[field] ?? fallback;
    if (typeof value === 'number' && value >= least && value <= most) return value;
    faults.push(`${field} must be a number, ${least}-${most}`);
    return fallback;
  };
  const able = (field: keyof typeof abilities): void => {
    const value: unknown = options[field];
    const { methods, what } = abilities[field];
    const can = (name: string) => typeof (value as Record<string, unknown> | null)?.[name] === 'function';
    if (value !== undefined && !methods.every(can)) faults.push(`${field} must be ${what}`);
  };
  for (const field of ['agent', 'dispatcher', 'secretsManager', 'lambda', 'clock', 'random'] as const) able(field);
  const isOfType = (field: keyof TokenReaderOptions, type: 'function' | 'boolean' | 'object'): void => {
    const value: unknown = options[field];
    if (value === undefined || (typeof value === type && value !== null)) return;
    faults.push(`${field} must be ${type === 'object' ? 'an object' : `a ${type}`}`);
  };
  isOfType('fetch', 'function');
  isOfType('onWarning', 'function');
  isOfType('useSecretsExtension', 'boolean');
  isOfType('env', 'object');
  const { agent, dispatcher, onWarning, env = process.env } = options;
  const settings: Settings = {
    secretId: name('secretId', /^[\w/+=.@:!-]{1,512}$/) ?? '',
    brokerFunctionName: name('brokerFunctionName', /^[\w:$-]{1,256}$/),
    minRemainingSeconds: number('minRemainingSeconds', 0, LONGEST_PROMISE_SECONDS, 30),
    refreshAheadSeconds: number('refreshAheadSeconds', 0, LONGEST_PROMISE_SECONDS, 180),
    readTimeoutMilliseconds: number('readTimeoutMilliseconds', 100, 60_000, 5_000),
    brokerTimeoutMilliseconds: number('brokerTimeoutMilliseconds', 100, 120_000, 20_000),
    secretsExtension: () => (options.useSecretsExtension ? extensionIn(env) : undefined),
    allowedOrigins: allowedOrigins(options, faults),
    clientCertificateSecretId: name('clientCertificateSecretId', /^[\w/+=.@:!-]{1,512}$/),
    agent,
    dispatcher,
    fetch: options.fetch as Fetch | undefined,
    requestTimeoutMilliseconds:
      options.requestTimeoutMilliseconds === false
        ? undefined
        : number('requestTimeoutMilliseconds', 100, 900_000, 30_000),
    warn: (warning) => tell(onWarning, warning),
    secretsManager: options.secretsManager,
    lambda: options.lambda,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  };
  const ways = ['clientCertificateSecretId', 'agent', 'dispatcher'] as const;
  const taken = ways.filter((way) => options[way] !== undefined);
  if (taken.length > 1) faults.push(`only one of ${taken.join(', ')} can be used`);
  if (settings.fetch && (agent || settings.clientCertificateSecretId)) {
    faults.push('fetch cannot be combined with agent or clientCertificateSecretId: it would not use them');
  }
  for (const field of Object.keys(options)) {
    if (!Object.hasOwn(known, field)) faults.push(`${/^\w{1,40}$/.exec(field)?.[0] ?? 'an option'} is not known`);
  }
  if (faults.length > 0) throw optionsInvalid(faults);
  return Object.freeze(settings);
}

/** Most warnings come up behind the callers' backs, where an error would end the process. */
function tell(onWarning: TokenReaderOptions['onWarning'], warning: TokenReaderError): void {
  try {
    onWarning?.(warning);
  } catch {
    // Whoever was to be told could not listen; the token is in hand all the same.
  }
}

type NumberField =
  | 'minRemainingSeconds'
  | 'refreshAheadSeconds'
  | 'readTimeoutMilliseconds'
  | 'brokerTimeoutMilliseconds'
  | 'requestTimeoutMilliseconds';

/** What an object of the caller's must be able to do. */
const abilities = {
  // The same that node:https asks of an agent.
  agent: { methods: ['addRequest'], what: 'an Agent of node:https' },
  dispatcher: { methods: ['dispatch'], what: "one of undici's dispatchers" },
  secretsManager: { methods: ['send'], what: 'a SecretsManagerClient' },
  lambda: { methods: ['send'], what: 'a LambdaClient' },
  clock: { methods: ['now', 'sleep'], what: 'an object with now() and sleep()' },
  random: { methods: ['fraction', 'uuid'], what: 'an object with fraction() and uuid()' },
} as const;

function allowedOrigins({ environment, allowedOrigins: given }: TokenReaderOptions, faults: string[]) {
  if (environment !== undefined && given !== undefined) {
    faults.push('only one of environment, allowedOrigins can be used: both say where a token may go');
  }
  if (environment !== undefined && !Object.hasOwn(D1_ORIGINS, environment)) {
    faults.push(`environment must be one of ${Object.keys(D1_ORIGINS).join(', ')}`);
  }
  const values: unknown =
    given === undefined ? [D1_ORIGINS[environment ?? 'production'] ?? D1_ORIGINS.production] : given;
  const accepted = Array.isArray(values) ? values.filter(isHttpsOrigin) : [];
  if (!Array.isArray(values) || values.length === 0 || accepted.length < values.length) {
    faults.push('allowedOrigins must be a list of origins only, such as https://api.d1.thalescloud.io');
  }
  return new Set(accepted.map((value) => new URL(value).origin));
}

function isHttpsOrigin(value: unknown): value is string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  return url?.protocol === 'https:' && url.origin === String(value).toLowerCase().replace(/\/$/, '');
}

/** AWS Lambda Developer Guide: the layer sets no variable itself; whoever adds it sets the port, 2773 by default. */
function extensionIn(environment: Readonly<Record<string, string | undefined>>): SecretsExtension | undefined {
  const port = Number(environment['PARAMETERS_SECRETS_EXTENSION_HTTP_PORT']);
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  return Number.isInteger(port) && port > 0 && port < 65_536 && sessionToken ? { port, sessionToken } : undefined;
}

const optionsInvalid = (faults: readonly string[]) =>
  new TokenReaderError({
    code: 'READER_OPTIONS_INVALID',
    what: `The token reader's options have ${faults.length} fault(s): ${faults.join('. ')}.`,
    remedy: "The reader's manual lists the options.",
    retryable: false,
  });
