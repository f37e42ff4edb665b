import { createCertificateAuthority } from '../../sandbox/certificates.ts';
import { createFaults } from '../../sandbox/faults/faults.ts';
import { startFaultyRoute } from '../../sandbox/faults/faulty-route.ts';
import type { FaultRule } from '../../sandbox/faults/rule.ts';
import { type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { createApp } from '../../src/app.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import { readConfig } from '../../src/config.ts';
import { createParts } from '../../src/parts.ts';
import { createTokenReader, type TokenReader, type TokenReaderError } from '../../src/reader/reader.ts';
import { type Clock, systemClock } from '../../src/shared/clock.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A retry delay is shorter and is skipped; a timeout at D1 is as long or longer, and passes when a fault hangs. */
const SKIP_BELOW_MILLISECONDS = 10_000;
const CONNECT_TIMEOUT_MILLISECONDS = 10_000;
const EXCHANGE_TIMEOUT_MILLISECONDS = 15_000;
/** Real time, because the SDK knows no other: so long that a busy machine does not reach it, unless a call hangs. */
const PATIENT_AWS_TIMEOUT_MILLISECONDS = 10_000;
const IMPATIENT_AWS_TIMEOUT_MILLISECONDS = 1_500;
const INVOCATION_MILLISECONDS = 60_000;
/** A new token lives 900 s; this leaves it 200 s: inside the refresh window, and still of use to a consumer. */
export const AGE_MILLISECONDS = 700_000;

/** A call that reached a server, at once and whatever became of it: the call log has a hung one only when it ends. */
export interface Arrival {
  readonly operation: string;
  readonly secretId: unknown;
}

export interface FaultBank {
  readonly sandbox: Sandbox;
  readonly clock: FakeClock;
  /**
   * One event through a new container; resolves or rejects when every call that it began has ended.
   *
   * @param correlationId What its log lines carry.
   */
  send(event: unknown, correlationId: string): Promise<unknown>;
  /**
   * A reader in a consumer's Lambda.
   *
   * @param hears Of its warnings.
   * @param asksBroker Whether it may invoke the broker.
   */
  reader(hears: (warning: TokenReaderError) => void, asksBroker: boolean): Promise<TokenReader>;
  /** Since the rules were last changed. */
  readonly arrived: readonly Arrival[];
  /** From now on these rules are in force, and no others. */
  arm(rules: readonly FaultRule[]): void;
  /** D1 proves who it is with a certificate from an authority that nobody trusts. */
  impersonateD1(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A bank whose every call can fail, on a clock that stands still but for retry delays and timeouts.
 *
 * @param hangs Whether a call to AWS is going to hang: its timeout is real time.
 * @param repeats Whether D1 gives the same token until that has died; a new one each time otherwise.
 */
export async function openFaultBank({ hangs, repeats }: { hangs: boolean; repeats: boolean }): Promise<FaultBank> {
  // When the token has aged, it is now: the SDK takes AWS's clock and the machine's for the same.
  const startsAt = Date.now() - AGE_MILLISECONDS;
  const clock = new FakeClock({ startsAt, skipBelowMilliseconds: SKIP_BELOW_MILLISECONDS });
  let faults = createFaults([], { clock });
  const arrived: Arrival[] = [];
  const sandbox = await startSandbox({
    clock,
    ...(repeats && { tokenReuseUntilSeconds: 0 }),
    awsIntercept: (call, next, response) => {
      arrived.push({ operation: call.operation, secretId: call.input['SecretId'] });
      return faults.aws(call, next, response);
    },
    d1Intercept: (request, next, response) => {
      arrived.push({ operation: 'oauth2/token', secretId: undefined });
      return faults.d1(request, next, response);
    },
  });
  const route = await startFaultyRoute(sandbox.d1.baseUrl, () => faults.connection(), clock);
  const credentials = { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' };
  const place = { region: 'eu-west-1', endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '', credentials };
  const config = readConfig({
    ...sandbox.environment,
    D1_ENVIRONMENT: route.baseUrl,
    D1_CONNECT_TIMEOUT_MILLISECONDS: String(CONNECT_TIMEOUT_MILLISECONDS),
    D1_EXCHANGE_TIMEOUT_MILLISECONDS: String(EXCHANGE_TIMEOUT_MILLISECONDS),
    D1_AWS_TIMEOUT_MILLISECONDS: String(hangs ? IMPATIENT_AWS_TIMEOUT_MILLISECONDS : PATIENT_AWS_TIMEOUT_MILLISECONDS),
  });
  const timeouts = watchRequests(clock);
  const clients: { destroy(): void }[] = [];

  async function send(event: unknown, correlationId: string): Promise<unknown> {
    const kms = await withShortDelays(createKmsClient(config.awsTimeoutMilliseconds, place));
    const secretsManager = await withShortDelays(createSecretsManagerClient(config.awsTimeoutMilliseconds, place));
    clients.push(kms, secretsManager);
    const signing = track(kms);
    const storing = track(secretsManager);
    const ids = [correlationId];
    const random = { fraction: () => 0.5, uuid: () => ids.shift() ?? systemRandom.uuid() };
    const common = { config, clock: timeouts.clock, random };
    const app = createApp({
      ...common,
      ...createParts({ ...common, kms: signing.client, secretsManager: storing.client }),
      telemetry: createTelemetry(config.issuerId, clock),
    });
    try {
      return await app(event, { getRemainingTimeInMillis: () => INVOCATION_MILLISECONDS });
    } finally {
      await Promise.all([signing.ended(), storing.ended()]);
    }
  }

  async function reader(hears: (warning: TokenReaderError) => void, asksBroker: boolean): Promise<TokenReader> {
    const secretsManager = await withShortDelays(createSecretsManagerClient(config.awsTimeoutMilliseconds, place));
    clients.push(secretsManager);
    return createTokenReader({
      secretId: TOKEN_SECRET,
      secretsManager,
      // Its timeouts never pass: the SDK's are sooner.
      clock: { now: () => clock.now(), sleep: (_milliseconds, signal) => untilAborted(signal) },
      random: { fraction: () => 0.5, uuid: () => systemRandom.uuid() },
      onWarning: hears,
      ...(asksBroker && { brokerFunctionName: 'd1-token-broker', lambda: { send: invoke } }),
    });
  }

  /** Invoke of the Lambda API, on a container of this process. */
  async function invoke(command: { input: object }): Promise<object> {
    const { Payload } = command.input as { Payload?: string };
    const answer = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    try {
      return { Payload: answer(await send(JSON.parse(Payload ?? '{}'), systemRandom.uuid())) };
    } catch (error) {
      const { name: errorType, message: errorMessage } = error as Error;
      return { FunctionError: 'Unhandled', Payload: answer({ errorType, errorMessage }) };
    }
  }

  return {
    sandbox,
    clock,
    send,
    reader,
    arrived,
    arm(rules) {
      arrived.length = 0;
      faults = createFaults(rules, {
        clock,
        onInjected: ({ call, fault }) => {
          if (fault.kind !== 'hang') return;
          if (call === 'd1.oauth2/token') clock.advance(EXCHANGE_TIMEOUT_MILLISECONDS);
          // A connection is opened ahead: only when a request waits for it is there anything that could time out.
          if (call === 'd1.connect')
            void timeouts.nextRequest().then(() => clock.advance(CONNECT_TIMEOUT_MILLISECONDS));
        },
      });
    },
    async impersonateD1() {
      const nowhere = await createCertificateAuthority({ commonName: 'Sandbox Nowhere CA', clock: systemClock });
      sandbox.d1.useServerCertificate(
        await nowhere.issue({ commonName: 'localhost', usage: 'server', dnsNames: ['localhost'] }),
      );
    },
    async close() {
      for (const client of clients) client.destroy();
      await route.close();
      await sandbox.close();
    },
  };
}

const untilAborted = (signal?: AbortSignal) =>
  new Promise<void>((resolve) => (signal?.aborted ? resolve() : signal?.addEventListener('abort', () => resolve())));

/** The product's own client and retry strategy (what is tried again, and how often), without its real-time delays. */
async function withShortDelays<T extends { config: { retryStrategy(): Promise<unknown> } }>(client: T): Promise<T> {
  const strategy = (await client.config.retryStrategy()) as { retryBackoffStrategy?: object };
  if (!strategy.retryBackoffStrategy) throw new Error('The SDK keeps its delays elsewhere: look for them again.');
  strategy.retryBackoffStrategy = { computeNextBackoffDelay: () => 1, setDelayBase: () => {} };
  return client;
}

/** Knows the calls under way: a signature may still be asked for when its invocation has failed over something else. */
function track<T extends { send: (...parameters: never[]) => unknown }>(client: T) {
  const underWay: unknown[] = [];
  const send = (...parameters: never[]) => {
    const answer = client.send(...parameters);
    underWay.push(answer);
    return answer;
  };
  return { client: { send } as Pick<T, 'send'>, ended: () => Promise.allSettled(underWay) };
}

/** Tells requests to D1 by the sleep that limits each. */
function watchRequests(clock: Clock) {
  let requests = 0;
  let asked = 0;
  const waiting = new Map<number, () => void>();
  return {
    clock: {
      now: () => clock.now(),
      sleep: (milliseconds: number, signal?: AbortSignal) => {
        const asleep = clock.sleep(milliseconds, signal);
        if (milliseconds === EXCHANGE_TIMEOUT_MILLISECONDS) {
          requests += 1;
          waiting.get(requests)?.();
        }
        return asleep;
      },
    },
    nextRequest: () => {
      asked += 1;
      const number = asked;
      return new Promise<void>((resolve) => (requests >= number ? resolve() : waiting.set(number, resolve)));
    },
  };
}
