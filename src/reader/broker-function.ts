import { parseJson } from '../shared/json.ts';
import { tokenDigest } from '../shared/token-digest.ts';
import { type AccessToken, readBrokerAnswer } from './access-token.ts';
import { clientSettings } from './aws-client.ts';
import { BrokerFailure, foreignAnswer, invocationFailure } from './broker-failure.ts';
import type { Settings } from './options.ts';
import { TokenReaderError } from './reader-error.ts';
import type { ServerClock } from './server-clock.ts';

export interface BrokerWish {
  readonly minRemainingSeconds: number;
  /** The token that D1 refused: one that was obtained later, and is another, is wanted. */
  readonly refused?: AccessToken | undefined;
}

/** The README lists the fields. */
interface BrokerEvent {
  readonly action: 'token';
  readonly min_remaining_seconds: number;
  readonly newer_than?: number;
  readonly refused?: string;
  readonly force?: boolean;
  readonly correlation_id: string;
}

export type BrokerFunction = ReturnType<typeof createBrokerFunction>;

/**
 * The broker's Lambda function. `@aws-sdk/client-lambda` is loaded by the first call, and not before.
 *
 * @param settings Its `lambda`, or without one the SDK's client with its settings from the environment.
 */
export function createBrokerFunction(settings: Settings, functionName: string, time: ServerClock) {
  const { brokerTimeoutMilliseconds, clock, random } = settings;
  let { lambda } = settings;

  /**
   * Asks the broker for a token.
   *
   * @throws TokenReaderError BROKER_CLIENT_MISSING, BROKER_DENIED, BROKER_FAILED or BROKER_UNREACHABLE.
   */
  return async ({ minRemainingSeconds, refused }: BrokerWish, signal: AbortSignal): Promise<AccessToken> => {
    const wish: BrokerEvent = {
      action: 'token',
      min_remaining_seconds: minRemainingSeconds,
      correlation_id: random.uuid(),
    };
    if (!refused) return invoke(wish, signal);
    try {
      return await invoke(
        { ...wish, newer_than: refused.obtained_at, refused: tokenDigest(refused.access_token) },
        signal,
      );
    } catch (error) {
      // A broker of an earlier release knows neither field.
      if (!(error instanceof BrokerFailure && error.brokerCode === 'EVENT_INVALID')) throw error;
      return invoke({ ...wish, force: true }, signal);
    }
  };

  async function invoke(event: BrokerEvent, signal: AbortSignal): Promise<AccessToken> {
    const sdk = await loadLambdaClient();
    lambda ??= new sdk.LambdaClient(clientSettings(2, brokerTimeoutMilliseconds));
    const command = new sdk.InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(event) });
    const sentAt = clock.now();
    const answer = (await lambda.send(command, { abortSignal: signal }).catch((thrown: unknown) => {
      throw invocationFailure(functionName, thrown);
    })) as { FunctionError?: unknown; Payload?: Uint8Array } | undefined;
    const payload = new TextDecoder().decode(answer?.Payload);
    if (answer?.FunctionError !== undefined) {
      throw new BrokerFailure(functionName, parseJson(payload), event.correlation_id);
    }
    const read = readBrokerAnswer(payload);
    if (!read) throw foreignAnswer(functionName);
    time.observe(read.answeredAt * 1000, sentAt, clock.now());
    return read.token;
  }
}

/** In a `try`, so that a bundler that finds no client goes on without it. */
async function loadLambdaClient() {
  try {
    return await import('@aws-sdk/client-lambda');
  } catch {
    throw new TokenReaderError({
      code: 'BROKER_CLIENT_MISSING',
      what: 'The broker could not be asked: the package @aws-sdk/client-lambda cannot be loaded.',
      remedy: 'Install it, or leave brokerFunctionName out.',
      retryable: false,
    });
  }
}
