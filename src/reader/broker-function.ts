import { awsFailure } from '../aws/aws-failure.ts';
import type { Clock } from '../clock.ts';
import { errorCodes } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { Random } from '../random.ts';
import { type AccessToken, readAccessToken } from './access-token.ts';
import { type AwsClient, clientSettings } from './aws-client.ts';
import { type ReaderErrorCode, TokenReaderError } from './reader-error.ts';
import type { ServerClock } from './server-clock.ts';

export interface BrokerWish {
  readonly minRemainingSeconds: number;
  /** Ask for another token than the one in the secret, because D1 refused that. */
  readonly force: boolean;
}

export type BrokerFunction = ReturnType<typeof createBrokerFunction>;

/**
 * The broker's Lambda function. `@aws-sdk/client-lambda` is loaded by the first call, and not before.
 *
 * @param client A Lambda client; without one, the SDK's with its settings from the environment.
 */
export function createBrokerFunction({
  functionName,
  client,
  timeoutMilliseconds,
  clock,
  time,
  random,
}: {
  functionName: string;
  client: AwsClient | undefined;
  timeoutMilliseconds: number;
  clock: Clock;
  time: ServerClock;
  random: Random;
}) {
  let lambda = client;

  /**
   * Asks the broker for a token.
   *
   * @throws TokenReaderError BROKER_CLIENT_MISSING, BROKER_DENIED, BROKER_FAILED or BROKER_UNREACHABLE.
   */
  return async (wish: BrokerWish, signal: AbortSignal): Promise<AccessToken> => {
    const sdk = await loadLambdaClient();
    lambda ??= new sdk.LambdaClient(clientSettings(2, timeoutMilliseconds));
    const correlationId = random.uuid();
    const event = {
      action: 'token',
      min_remaining_seconds: wish.minRemainingSeconds,
      force: wish.force,
      correlation_id: correlationId,
    };
    const command = new sdk.InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(event) });
    const sentAt = clock.now();
    const answer = (await lambda.send(command, { abortSignal: signal }).catch((thrown: unknown) => {
      throw invocationFailure(functionName, thrown);
    })) as { FunctionError?: unknown; Payload?: Uint8Array } | undefined;
    const payload = parseJson(new TextDecoder().decode(answer?.Payload));
    if (answer?.FunctionError !== undefined) throw functionFailure(functionName, payload, correlationId);
    const { token, brokerTime } = readAnswer(payload);
    if (!token) throw foreignAnswer(functionName);
    time.observe(brokerTime, sentAt, clock.now());
    return token;
  };
}

/** In a `try`, so that a bundler that finds no client goes on without it. */
async function loadLambdaClient() {
  try {
    return await import('@aws-sdk/client-lambda');
  } catch {
    throw new TokenReaderError({
      code: 'BROKER_CLIENT_MISSING',
      what: 'The broker could not be asked: the package @aws-sdk/client-lambda cannot be loaded.',
      remedy: 'Install it beside d1-token-broker, or leave brokerFunctionName out.',
      retryable: false,
    });
  }
}

/** The broker's answer is the token record with `expires_in` counted from now: record and broker time in one. */
function readAnswer(payload: unknown): { token?: AccessToken; brokerTime: number } {
  const { source: _source, ...answer } = { ...(payload as Record<string, unknown> | null | undefined) };
  const { expires_at: expiresAt, expires_in: expiresIn, obtained_at: obtainedAt } = answer;
  if (typeof expiresAt !== 'number' || typeof expiresIn !== 'number' || typeof obtainedAt !== 'number') {
    return { brokerTime: Number.NaN };
  }
  const result = readAccessToken(JSON.stringify({ ...answer, expires_in: expiresAt - obtainedAt }));
  return { ...('token' in result && result), brokerTime: (expiresAt - expiresIn) * 1000 };
}

const LOOK_AT_BROKER = "Look at the broker's log lines and alarms; its runbook has a section for each code.";

/** Lambda reports the broker's error code as `errorType`. Only a known one is repeated, and never the message. */
function functionFailure(functionName: string, payload: unknown, correlationId: string): TokenReaderError {
  const type = (payload as { errorType?: unknown } | null | undefined)?.errorType;
  const code = errorCodes.find((known) => known === type) ?? 'an error that is not of its list';
  return new TokenReaderError({
    code: 'BROKER_FAILED',
    what: `The broker ${functionName} answered with ${code} [correlation id ${correlationId}].`,
    remedy: LOOK_AT_BROKER,
    retryable: true,
  });
}

const foreignAnswer = (functionName: string) =>
  new TokenReaderError({
    code: 'BROKER_FAILED',
    what: `The answer of ${functionName} is not a token record.`,
    remedy: "Check that brokerFunctionName names the broker's function.",
    retryable: false,
  });

const denied: ReadonlyMap<string, string> = new Map(
  Object.entries({
    AccessDeniedException: "Allow this function's role lambda:InvokeFunction on the broker's function.",
    CredentialsProviderError: 'Give this process AWS credentials.',
    ResourceNotFoundException: 'Check brokerFunctionName, the account and the Region.',
  }),
);

function invocationFailure(functionName: string, thrown: unknown): TokenReaderError {
  const failure = awsFailure(thrown);
  const remedy = denied.get(failure.name);
  const code: ReaderErrorCode = remedy ? 'BROKER_DENIED' : 'BROKER_UNREACHABLE';
  return new TokenReaderError({
    code,
    what: `The broker ${functionName} could not be invoked: ${failure.summary}.`,
    remedy: remedy ?? 'Check that Lambda can be reached from here and that the broker is not out of concurrency.',
    retryable: remedy ? false : failure.retryable,
  });
}

export const brokerTooLate = (functionName: string, milliseconds: number): TokenReaderError =>
  new TokenReaderError({
    code: 'BROKER_UNREACHABLE',
    what: `The broker ${functionName} did not answer within ${milliseconds} ms.`,
    remedy: LOOK_AT_BROKER,
    retryable: true,
  });
