/**
 * The closed list of what can go wrong. Codes are a public contract: they are the `errorType` of a failed invocation and
 * a metric dimension, they have a section each in the runbook, and they are never renamed.
 */
export const errorCodes = [
  'CONFIG_INVALID',
  'EVENT_INVALID',
  'SIGNING_FAILED',
  'SIGNATURE_MALFORMED',
  'CLIENT_CERTIFICATE_INVALID',
  'CLIENT_CERTIFICATE_UNAVAILABLE',
  'TOKEN_ENDPOINT_UNREACHABLE',
  'TOKEN_ENDPOINT_REJECTED',
  'TOKEN_RESPONSE_INVALID',
  'REPLACEMENT_NOT_READY',
  'TOKEN_SECRET_MISSING',
  'TOKEN_SECRET_FOREIGN',
  'TOKEN_STORE_DENIED',
  'TOKEN_STORE_QUOTA_EXCEEDED',
  'TOKEN_STORE_THROTTLED',
  'TOKEN_STORE_UNAVAILABLE',
  'ROTATION_REFUSED',
  'ROTATION_FAILED',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface BrokerErrorFacts {
  readonly code: ErrorCode;
  /** One sentence: what failed. Built from facts that may be logged, never from a foreign error's message. */
  readonly what: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
  /** Whether the same call can succeed later without anybody changing anything. */
  readonly retryable: boolean;
  readonly issuerId?: string | undefined;
  readonly correlationId?: string | undefined;
}

/**
 * The only error that leaves the broker. It has no `cause`: a foreign error may quote the token, the assertion or the
 * secret that it choked on, and `util.inspect` would print it.
 */
export class BrokerError extends Error {
  readonly code: ErrorCode;
  readonly what: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly issuerId: string | undefined;
  readonly correlationId: string | undefined;

  constructor(facts: BrokerErrorFacts) {
    const { code, what, remedy, retryable, issuerId, correlationId } = facts;
    const where = [issuerId && `issuer ${issuerId}`, correlationId && `correlation id ${correlationId}`].filter(
      Boolean,
    );
    const again = retryable ? 'Trying again can help.' : 'Trying again will not help.';
    super([what, where.length > 0 && `[${where.join(', ')}]`, again, remedy].filter(Boolean).join(' '));
    // Lambda reports `name` as errorType, the only machine-readable part that an invoker gets to see.
    this.name = code;
    this.code = code;
    this.what = what;
    this.remedy = remedy;
    this.retryable = retryable;
    this.issuerId = issuerId;
    this.correlationId = correlationId;
  }

  /** The same failure, with the issuer and the correlation id that it belongs to; what is known already stays. */
  located(place: { issuerId?: string | undefined; correlationId?: string | undefined }): BrokerError {
    const located = new BrokerError({
      code: this.code,
      what: this.what,
      remedy: this.remedy,
      retryable: this.retryable,
      issuerId: this.issuerId ?? place.issuerId,
      correlationId: this.correlationId ?? place.correlationId,
    });
    if (this.stack) located.stack = this.stack.replace(this.message, () => located.message);
    return located;
  }
}

/** Whatever was thrown, as a BrokerError. Of a foreign error only the class name is kept. */
export function asBrokerError(thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  const kind = thrown instanceof Error ? thrown.constructor.name : typeof thrown;
  return new BrokerError({
    code: 'INTERNAL',
    what: `The broker failed in a way that it should not (${kind}).`,
    remedy: 'Report it with the correlation id and the log line; the stored token was not touched.',
    retryable: true,
  });
}
