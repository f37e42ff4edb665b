// The reader loads it when it needs it; here it must be there already, see `importsAreInstant`.
import '@aws-sdk/client-lambda';
import type { InvokeCommand } from '@aws-sdk/client-lambda';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { createTokenReader } from '../src/reader/reader.ts';
import { type Clock, nowSeconds } from '../src/shared/clock.ts';
import { parseTokenRecord, secondsLeft, type TokenRecord } from '../src/shared/token-record.ts';
import { type BrokerFunction, TOKEN_SECRET } from './broker-function.ts';
import type { D1 } from './d1.ts';
import type { SimulatedClient } from './secrets-manager-client.ts';
import type { SeededRandom } from './seeded-random.ts';

/**
 * `plain` reads the secret when its copy is dead; `reader` uses `src/reader` with the secret alone; `reader with broker` lets
 * it ask the broker too.
 */
export type ConsumerKind = 'plain' | 'reader' | 'reader with broker';

export interface Call {
  /** Whether D1 took the call. */
  readonly ok: boolean;
  /** Milliseconds since 1970 UTC until which the token that was used lives; 0 without one. */
  readonly diesAt: number;
}

/** One call of a D1 API, by a consumer that gets its token in its own way. */
export type Consumer = () => Promise<Call>;

interface Surroundings {
  readonly client: SimulatedClient;
  readonly target: BrokerFunction;
  readonly d1: D1;
  readonly clock: Clock;
  readonly random: SeededRandom;
}

export const createConsumer = (kind: ConsumerKind, surroundings: Surroundings): Consumer =>
  kind === 'plain' ? plainConsumer(surroundings) : readerConsumer(surroundings, kind === 'reader with broker');

function plainConsumer({ client, d1, clock }: Surroundings): Consumer {
  let copy: TokenRecord | undefined;
  return async () => {
    if (!copy || secondsLeft(copy, nowSeconds(clock)) <= 0) {
      const value = await client.send(new GetSecretValueCommand({ SecretId: TOKEN_SECRET })).catch(() => undefined);
      const result = parseTokenRecord(value?.SecretString ?? '');
      if ('record' in result) copy = result.record;
    }
    const token = copy?.access_token ?? '';
    return { ok: d1.accepts(token), diesAt: d1.diesAt(token) };
  };
}

/** Its calls go through the reader's `fetch`, with all that it does about a 401. */
function readerConsumer({ client, target, d1, clock, random }: Surroundings, withBroker: boolean): Consumer {
  let used = '';
  const reader = createTokenReader({
    secretId: TOKEN_SECRET,
    ...(withBroker && { brokerFunctionName: 'd1-token-broker', lambda: lambdaClient(target) }),
    secretsManager: client as never,
    fetch: async (_url: string, { headers }: RequestInit) => {
      used = new Headers(headers).get('authorization')?.replace('Bearer ', '') ?? '';
      return new Response(null, { status: d1.accepts(used) ? 200 : 401 });
    },
    clock,
    random,
    env: {},
  });
  return async () => {
    const response = await reader.fetch('https://api.d1.thalescloud.io/banking/v1/cards').catch(() => undefined);
    return { ok: response?.status === 200, diesAt: d1.diesAt(used) };
  };
}

/** Lambda's Invoke, as far as the reader's broker function uses it. */
function lambdaClient(target: BrokerFunction) {
  return {
    send: async (command: object) => {
      const { Payload } = (command as InvokeCommand).input;
      const { answer, error } = await target.invoke(JSON.parse(String(Payload)));
      const payload = error ? { errorType: error.name, errorMessage: error.message } : answer;
      return {
        StatusCode: 200,
        ...(error && { FunctionError: 'Unhandled' }),
        Payload: new TextEncoder().encode(JSON.stringify(payload)),
      };
    },
  };
}
