import { awsFailure } from '../shared/aws-failure.ts';
import { type ReaderErrorCode, TokenReaderError } from './reader-error.ts';

const LOOK_AT_BROKER = "Look at the broker's log lines and alarms; its runbook has a section for each code.";

/** The broker was reached and answered with an error of its own. */
export class BrokerFailure extends TokenReaderError {
  /** As the broker spells it; `undefined` when it is not spelt like one. */
  readonly brokerCode: string | undefined;
  /** How long REPLACEMENT_NOT_READY says that there is no point in asking, 1-60 seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(functionName: string, payload: unknown, correlationId: string) {
    const { errorType, errorMessage } = { ...(payload as Record<string, unknown> | null | undefined) };
    // Lambda reports the broker's error code as `errorType`. Only what can be nothing else is repeated, and no message.
    const brokerCode = typeof errorType === 'string' ? /^[A-Z][A-Z_]{2,39}$/.exec(errorType)?.[0] : undefined;
    const shown = brokerCode ?? 'an error without a code';
    super({
      code: 'BROKER_FAILED',
      what: `The broker ${functionName} answered with ${shown} [correlation id ${correlationId}].`,
      remedy: LOOK_AT_BROKER,
      retryable: true,
    });
    this.brokerCode = brokerCode;
    this.retryAfterSeconds = brokerCode === 'REPLACEMENT_NOT_READY' ? secondsNamedIn(errorMessage) : undefined;
  }
}

function secondsNamedIn(message: unknown): number | undefined {
  const named = typeof message === 'string' ? /\bretry_after_seconds=(\d+)/.exec(message)?.[1] : undefined;
  return named === undefined ? undefined : Math.min(Math.max(Number(named), 1), 60);
}

export const foreignAnswer = (functionName: string) =>
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
    RegionMissing: 'Set AWS_REGION, or give a lambda client with a region.',
    ResourceNotFoundException: 'Check brokerFunctionName, the account and the Region.',
  }),
);

export function invocationFailure(functionName: string, thrown: unknown): TokenReaderError {
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
