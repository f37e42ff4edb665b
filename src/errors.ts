import { BRAND, Failure, type FailureFacts, isFailure } from './shared/failure.ts';

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
  'PROXY_UNREACHABLE',
  'PROXY_REFUSED',
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
  'PRIMARY_TOKEN_UNAVAILABLE',
  'CHECK_TOO_SOON',
  'ROTATION_REFUSED',
  'ROTATION_FAILED',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface BrokerErrorFacts extends FailureFacts<ErrorCode> {
  readonly issuerId?: string | undefined;
  readonly correlationId?: string | undefined;
}

/** The only error that leaves the broker. */
export class BrokerError extends Failure<ErrorCode> {
  readonly issuerId: string | undefined;
  readonly correlationId: string | undefined;

  constructor(facts: BrokerErrorFacts) {
    const { issuerId, correlationId } = facts;
    const where = [issuerId && `issuer ${issuerId}`, correlationId && `correlation id ${correlationId}`]
      .filter(Boolean)
      .join(', ');
    super(facts, where && `[${where}]`);
    // Lambda reports `name` as errorType, the only machine-readable part that an invoker gets to see.
    this.name = facts.code;
    this.issuerId = issuerId;
    this.correlationId = correlationId;
  }

  /** As `instanceof`, across copies of this package. */
  static is(thrown: unknown): thrown is BrokerError {
    return isFailure(thrown, 'broker');
  }

  get [BRAND](): string {
    return 'broker';
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
  if (BrokerError.is(thrown)) return thrown;
  const kind = thrown instanceof Error ? thrown.constructor.name : typeof thrown;
  return new BrokerError({
    code: 'INTERNAL',
    what: `The broker failed in a way that it should not (${kind}).`,
    remedy: 'Report it with the correlation id and the log line; the stored token was not touched.',
    retryable: true,
  });
}
