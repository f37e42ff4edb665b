import { randomUUID } from 'node:crypto';
import { Agent } from 'node:https';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { functionError } from '../../sandbox/aws/lambda/function-error.ts';
import { type Answer, AwsError } from '../../sandbox/aws/server.ts';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, type SandboxOptions, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import {
  type AwsClient,
  createTokenReader,
  type TokenReader,
  type TokenReaderError,
  type TokenReaderOptions,
} from '../../src/reader/reader.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { type Bank, openBank, storedToken } from '../support/bank.ts';

/** A clock beside the bank's: as far off as `skewSeconds` says, whose sleeps end when the test says so. */
export class ConsumerClock implements Clock {
  readonly #bank: Pick<Clock, 'now'>;
  readonly #sleepers = new Map<() => void, number>();
  #slept = 0;
  skewSeconds = 0;

  constructor(bank: Pick<Clock, 'now'>) {
    this.#bank = bank;
  }

  now(): number {
    return this.#bank.now() + this.skewSeconds * 1000 + this.#slept;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#sleepers.delete(wake);
        resolve();
      };
      this.#sleepers.set(wake, this.now() + milliseconds);
      signal?.addEventListener('abort', wake);
    });
  }

  get sleepers(): number {
    return this.#sleepers.size;
  }

  /** Whatever is being waited for has taken too long; or only what was begun last. */
  timeOut(which: 'all' | 'newest' = 'all'): void {
    const due = [...this.#sleepers].slice(which === 'newest' ? -1 : 0);
    const latest = Math.max(this.now(), ...due.map(([, until]) => until));
    this.#slept += latest - this.now();
    for (const [wake] of due) wake();
  }
}

export interface Consumer {
  readonly bank: Bank;
  readonly clock: ConsumerClock;
  readonly warnings: TokenReaderError[];
  /** A Lambda client that runs the broker in this process. */
  readonly lambda: AwsClient;
  /** Invocations of the broker so far. */
  readonly invocations: readonly Record<string, unknown>[];
  /** Set to make the consumer's GetSecretValue on the token secret fail, or wait. */
  secretFault: ((next: () => Promise<Answer>) => Promise<Answer | undefined>) | undefined;
  /** Set to make the broker's invocations fail, or wait. */
  brokerFault: ((event: Record<string, unknown>) => Promise<unknown>) | undefined;
  /** Whether AWS dates its answers; it always does. */
  dated: boolean;
  reader(options?: Partial<TokenReaderOptions>): TokenReader;
  /** Options of a reader that calls the sandbox's D1 with the client certificate. */
  readonly withD1: Partial<TokenReaderOptions>;
  /** The consumer's GetSecretValue calls on the token secret so far. */
  reads(): number;
  exchanges(): number;
  /** The broker's scheduled work: the secret is fresh afterwards. */
  tick(): Promise<void>;
  store(text: string): Promise<void>;
  stored(): Promise<Record<string, unknown>>;
  advance(seconds: number): void;
  issuerUrl: string;
  close(): Promise<void>;
}

export const denied = async (): Promise<never> => {
  throw new AwsError('AccessDeniedException', 'User: arn:aws:sts::000000000000:assumed-role/x is not authorized');
};

/** A bank whose broker has run once, and a Lambda beside it that wants to call D1. */
export async function openConsumer(options: Omit<SandboxOptions, 'clock' | 'awsIntercept'> = {}): Promise<Consumer> {
  let brokerAtWork = 0;
  let reads = 0;
  const invocations: Record<string, unknown>[] = [];
  /** The broker's function, also behind the sandbox's own Invoke, which who is no SDK client of this process calls. */
  const invoke = async (event: Record<string, unknown>): Promise<unknown> => {
    invocations.push(event);
    return consumer.brokerFault?.(event) ?? atWork(() => broker.send(event));
  };
  const bank = await openBank({
    ...options,
    brokerFunction: (event) => invoke(event as Record<string, unknown>),
    awsIntercept: async (call, next, response) => {
      if (consumer.dated) response.setHeader('date', new Date(bank.clock.now()).toUTCString());
      else response.sendDate = false;
      const isTokenRead = call.operation === 'GetSecretValue' && call.input['SecretId'] === TOKEN_SECRET;
      // The broker's reads come from another client; what the consumer may not do, the broker may.
      if (!isTokenRead || brokerAtWork > 0) return next();
      reads += 1;
      return consumer.secretFault ? consumer.secretFault(next) : next();
    },
  });
  const { sandbox } = bank;
  const broker = bank.container();
  const atWork = async <T>(work: () => Promise<T>): Promise<T> => {
    brokerAtWork += 1;
    try {
      return await work();
    } finally {
      brokerAtWork -= 1;
    }
  };
  const lambda = lambdaClient(invoke);
  const clock = new ConsumerClock(bank.clock);
  const agents: Agent[] = [];
  const warnings: TokenReaderError[] = [];
  const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
  const endpoint = sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  const secretsManager = new SecretsManagerClient({ region: 'eu-west-1', endpoint, credentials, maxAttempts: 1 });
  const certificate = JSON.parse(await sandbox.clientCertificateSecret());
  const agent = new Agent({
    cert: certificate.certificate,
    key: certificate.private_key,
    ca: certificate.ca_bundle,
    keepAlive: true,
    maxSockets: 16,
  });
  agents.push(agent);

  const consumer: Consumer = {
    bank,
    clock,
    warnings,
    lambda,
    invocations,
    secretFault: undefined,
    brokerFault: undefined,
    dated: true,
    reader: (more = {}) =>
      createTokenReader({
        secretId: TOKEN_SECRET,
        secretsManager,
        clock,
        random: { fraction: () => 0.5, uuid: randomUUID },
        onWarning: (warning) => warnings.push(warning),
        ...more,
      }),
    withD1: { allowedOrigins: [sandbox.d1.origin], agent },
    reads: () => reads,
    exchanges: () => sandbox.calls.count('d1', 'oauth2/token'),
    tick: async () => {
      await atWork(() => broker.tick());
    },
    store: async (text) => {
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: TOKEN_SECRET,
        ClientRequestToken: randomUUID(),
        SecretString: text,
      });
    },
    stored: async () => (await storedToken(sandbox)).record,
    advance: (seconds) => bank.clock.advance(seconds * 1000),
    issuerUrl: `${sandbox.d1.origin}/banking/v1/issuers/${ISSUER_ID}`,
    close: async () => {
      for (const one of agents) one.destroy();
      secretsManager.destroy();
      await bank.close();
    },
  };
  await consumer.tick();
  sandbox.calls.clear();
  return consumer;
}

function lambdaClient(invoke: (event: Record<string, unknown>) => Promise<unknown>): AwsClient {
  return {
    send: async (command) => {
      const { input } = command as { input: { Payload: string } };
      try {
        return { StatusCode: 200, Payload: Buffer.from(JSON.stringify(await invoke(JSON.parse(input.Payload)))) };
      } catch (error) {
        if (!(error instanceof Error) || '$metadata' in error) throw error;
        return {
          StatusCode: 200,
          FunctionError: 'Unhandled',
          Payload: Buffer.from(JSON.stringify(functionError(error))),
        };
      }
    },
  };
}

/** A fault that holds a read until it is opened, and then lets it through. */
export function gate() {
  const opened = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    fault: async (next: () => Promise<Answer>) => {
      reached.resolve();
      await opened.promise;
      return next();
    },
  };
}

/** An error as an AWS SDK client throws it. */
export const sdkError = (name: string, httpStatusCode = 400): Error =>
  Object.assign(new Error('a foreign message'), { name, $metadata: { httpStatusCode, requestId: 'request-1' } });

/** What a failed promise failed with. */
export async function failureOf(promise: Promise<unknown>): Promise<TokenReaderError> {
  try {
    await promise;
  } catch (error) {
    return error as TokenReaderError;
  }
  throw new Error('it did not fail');
}

export { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, TOKEN_SECRET };
