import type { Agent } from 'node:https';
import { type Clock, systemClock } from '../shared/clock.ts';
import type { D1Environment } from '../shared/d1.ts';
import { type EgressProxy, egressProxyIn } from '../shared/egress-proxy.ts';
import { type Random, systemRandom } from '../shared/random.ts';
import type { AwsClient } from './aws-client.ts';
import { D1_ORIGINS, faultsIn } from './option-rules.ts';
import { TokenReaderError } from './reader-error.ts';
import type { SecretsExtension } from './secrets-extension.ts';

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
  /** Where the extension's port, AWS_SESSION_TOKEN, HTTPS_PROXY and NO_PROXY are looked up. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const defaults = {
  minRemainingSeconds: 30,
  refreshAheadSeconds: 180,
  readTimeoutMilliseconds: 5_000,
  brokerTimeoutMilliseconds: 20_000,
  clock: systemClock,
  random: systemRandom,
} satisfies Partial<TokenReaderOptions>;

type Given = 'brokerFunctionName' | 'clientCertificateSecretId' | 'agent' | 'dispatcher' | 'secretsManager' | 'lambda';

/** The options with their defaults, as the reader's parts take them. */
export interface Settings
  extends Pick<TokenReaderOptions, Given>,
    Readonly<{ [name in keyof typeof defaults]: NonNullable<TokenReaderOptions[name]> }> {
  readonly secretId: string;
  /** Asked for each read: Lambda sets the session token when the container starts, a test when it likes. */
  readonly secretsExtension: () => SecretsExtension | undefined;
  readonly allowedOrigins: ReadonlySet<string>;
  /** What the reader's own connections to D1 go through. */
  readonly egressProxy: EgressProxy | undefined;
  readonly fetch?: Fetch | undefined;
  /** `undefined`: no limit. */
  readonly requestTimeoutMilliseconds: number | undefined;
  readonly warn: (warning: TokenReaderError) => void;
}

/**
 * Checks the options of a reader.
 *
 * @throws TokenReaderError READER_OPTIONS_INVALID that lists every fault at once.
 */
export function readOptions(options: TokenReaderOptions): Settings {
  const faults = faultsIn(options);
  const environment = faults.length === 0 ? (options.env ?? process.env) : {};
  const egressProxy = egressProxyIn(environment, (variable, rule) => faults.push(`${variable} must be ${rule}`));
  if (faults.length > 0) throw optionsInvalid(faults);
  const { useSecretsExtension, onWarning, requestTimeoutMilliseconds = 30_000 } = options;
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return Object.freeze({
    ...defaults,
    ...(given as { secretId: string; fetch?: Fetch }),
    secretsExtension: () => (useSecretsExtension ? extensionIn(environment) : undefined),
    allowedOrigins: originsIn(options),
    egressProxy,
    requestTimeoutMilliseconds: requestTimeoutMilliseconds === false ? undefined : requestTimeoutMilliseconds,
    warn: (warning: TokenReaderError) => tell(onWarning, warning),
  });
}

function originsIn({ environment = 'production', allowedOrigins = [D1_ORIGINS[environment]] }: TokenReaderOptions) {
  return new Set(allowedOrigins.map((value) => new URL(value).origin));
}

/** Most warnings come up behind the callers' backs, where an error would end the process. */
function tell(onWarning: TokenReaderOptions['onWarning'], warning: TokenReaderError): void {
  try {
    onWarning?.(warning);
  } catch {
    // Whoever was to be told could not listen; the token is in hand all the same.
  }
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
