import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SharedWork } from '../shared/shared-work.ts';
import type { AccessToken } from './access-token.ts';
import { createAuthorizedFetch } from './authorized-fetch.ts';
import { type AwsClient, clientSettings } from './aws-client.ts';
import { brokerTooLate } from './broker-failure.ts';
import { createBrokerFunction } from './broker-function.ts';
import { checkAll } from './check.ts';
import { createMutualTls, type MutualTls, ownAgent } from './mutual-tls.ts';
import { readOptions, type Settings, type TokenReaderOptions } from './options.ts';
import type { FetchInput } from './request.ts';
import { ServerClock } from './server-clock.ts';
import { TokenKeeper } from './token-keeper.ts';
import type { TokenOptions } from './token-options.ts';
import { readSecretText } from './token-secret.ts';
import { BrokerSource, TokenSource } from './token-source.ts';
import { createTransport } from './transport.ts';

export type { Clock } from '../shared/clock.ts';
export type { D1Environment } from '../shared/d1.ts';
export type { Random } from '../shared/random.ts';
export type { AccessToken } from './access-token.ts';
export type { AwsClient } from './aws-client.ts';
export { D1_ORIGINS } from './option-rules.ts';
export type { FetchLike, TokenReaderOptions } from './options.ts';
export { type ReaderErrorCode, readerErrorCodes, TokenReaderError } from './reader-error.ts';
export type { FetchInput } from './request.ts';
export type { TokenOptions } from './token-options.ts';

/** A D1 access token, whenever it is needed. Both functions may be taken off the object. */
export interface TokenReader {
  /**
   * An access token that lives: from memory while it has time left, else from the secret, else from the broker. However
   * many callers wait, there is one read and one invocation; each leaves when its own signal or deadline says so.
   *
   * @throws TokenReaderError with a TOKEN_ or BROKER_ code when no token that lives can be had, TOKEN_WAIT_TIMED_OUT, or
   * the reason of the signal.
   */
  readonly token: (wish?: TokenOptions) => Promise<AccessToken>;
  /**
   * `fetch` with the token in `Authorization` (RFC 6750, section 2.1), for D1's origins and those of `allowedOrigins`. When
   * D1 answers 401, the request is repeated once with another token, if there is one and the body can be sent again.
   *
   * @throws TokenReaderError ORIGIN_NOT_ALLOWED, REQUEST_INVALID, CLIENT_CERTIFICATE_UNAVAILABLE, or as `token` does; and
   * what the fetch beneath throws: a TypeError when the network fails, the signal's reason when it aborts.
   */
  readonly fetch: (input: FetchInput, init?: RequestInit) => Promise<Response>;
  /**
   * Proves at deployment time what otherwise shows only in an outage, while a living token hides it: the secret can be read
   * and holds a token record, dead or alive; the broker can be invoked and answers with a token; the client certificate can
   * be read and used. Nothing is taken from memory, and D1 is not called.
   *
   * @throws TokenReaderError with the code of the first part that failed, and a sentence for each.
   */
  readonly check: () => Promise<void>;
}

/**
 * Makes a reader of the broker's token. Make one per process, outside the handler: it is the cache.
 *
 * Nothing is read, loaded or connected before the first call.
 *
 * @throws TokenReaderError READER_OPTIONS_INVALID that lists every fault at once.
 */
export function createTokenReader(options: TokenReaderOptions): TokenReader {
  const settings = readOptions(options);
  const time = new ServerClock(settings.clock);
  const client = settings.secretsManager ?? lazySecretsManager(settings);
  const keeper = new TokenKeeper(settings, time, new TokenSource(settings, client, time), createBroker(settings, time));
  const transport = createTransport(settings, createConnections(settings, client, time));
  return Object.freeze({
    token: (wish?: TokenOptions) => keeper.token(wish),
    check: () => checkAll(partsOf(settings, client)),
    fetch: createAuthorizedFetch(settings, keeper, transport),
  });
}

/** Parts of their own, with nothing in memory; and not through the extension, which is a memory too. */
function partsOf(settings: Settings, client: AwsClient): readonly unknown[] {
  const time = new ServerClock(settings.clock);
  const secret = new TokenSource({ ...settings, secretsExtension: () => undefined }, client, time);
  const read = async () => {
    const result = await secret.read(() => false);
    if ('failure' in result) throw result.failure;
  };
  return [
    read(),
    createBroker(settings, time)?.token({ minRemainingSeconds: 0 }),
    createConnections(settings, client, time)?.agent({}),
  ];
}

function lazySecretsManager({ readTimeoutMilliseconds }: Settings): AwsClient {
  let client: SecretsManagerClient | undefined;
  return {
    send: (command, options) => {
      client ??= new SecretsManagerClient(clientSettings(3, Math.ceil(readTimeoutMilliseconds / 2)));
      return (client as AwsClient).send(command, options);
    },
  };
}

function createBroker(settings: Settings, time: ServerClock): BrokerSource | undefined {
  const { brokerFunctionName: functionName, brokerTimeoutMilliseconds: timeoutMilliseconds, clock } = settings;
  if (functionName === undefined) return undefined;
  const tooLate = () => brokerTooLate(functionName, timeoutMilliseconds);
  const ask = createBrokerFunction(settings, functionName, time);
  return new BrokerSource(ask, new SharedWork(clock, tooLate, timeoutMilliseconds));
}

function createConnections(settings: Settings, client: AwsClient, time: ServerClock): MutualTls | undefined {
  const { clientCertificateSecretId: secretId, clock } = settings;
  if (secretId === undefined) return settings.agent && ownAgent(settings.agent);
  return createMutualTls(settings, secretId, (signal) => readSecretText({ client, secretId, clock, time }, signal));
}
