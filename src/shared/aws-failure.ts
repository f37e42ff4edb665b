/** What may be told of an error that an AWS SDK client threw: never its message, which may quote a response. */
export interface AwsFailure {
  /** The AWS error code, for instance `AccessDeniedException`, or the class of a network error. */
  readonly name: string;
  /** For a sentence: name, HTTP status and the request id that AWS support asks for. */
  readonly summary: string;
  readonly throttled: boolean;
  readonly retryable: boolean;
}

const throttlingNames = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
]);

export function awsFailure(thrown: unknown): AwsFailure {
  const error = (thrown instanceof Error ? thrown : {}) as {
    name?: unknown;
    message?: unknown;
    code?: unknown;
    $fault?: unknown;
    $metadata?: { httpStatusCode?: number; requestId?: string };
    $retryable?: { throttling?: boolean };
  };
  // The SDK has no name of its own for it.
  const name = error.message === 'Region is missing' ? 'RegionMissing' : (label(error.name) ?? 'UnknownError');
  const status = error.$metadata?.httpStatusCode;
  const requestId = label(error.$metadata?.requestId);
  const networkCode = label(error.code);
  const facts = [
    networkCode !== name && networkCode,
    status && `HTTP ${status}`,
    requestId && `request id ${requestId}`,
  ].filter(Boolean);
  const throttled = throttlingNames.has(name) || status === 429 || error.$retryable?.throttling === true;
  // No answer, a garbled one and a status of 500 and above all pass. The model knows server faults that come with a 400.
  const isUnset = name === 'CredentialsProviderError' || name === 'RegionMissing';
  const refused = isUnset || (status !== undefined && status >= 400 && status < 500);
  return {
    name,
    summary: facts.length > 0 ? `${name} (${facts.join(', ')})` : name,
    throttled,
    retryable: throttled || error.$fault === 'server' || !refused,
  };
}

/** Codes and ids only: whatever else a hostile or broken endpoint sends as an error's name stays out. */
const label = (value: unknown) => (typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : undefined);
