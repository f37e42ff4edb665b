import { BRAND, Failure, type FailureFacts, isFailure } from '../shared/failure.ts';

/**
 * The closed list of what can go wrong in a consumer. Codes are a public contract and are never renamed; the manual has a
 * line for each.
 */
export const readerErrorCodes = [
  'READER_OPTIONS_INVALID',
  'REQUEST_INVALID',
  'ORIGIN_NOT_ALLOWED',
  'TOKEN_SECRET_MISSING',
  'TOKEN_SECRET_EMPTY',
  'TOKEN_SECRET_MALFORMED',
  'TOKEN_SECRET_DENIED',
  'TOKEN_SECRET_UNREADABLE',
  'TOKEN_EXPIRED',
  'TOKEN_WAIT_TIMED_OUT',
  'BROKER_CLIENT_MISSING',
  'BROKER_DENIED',
  'BROKER_FAILED',
  'BROKER_UNREACHABLE',
  'CLIENT_CERTIFICATE_UNAVAILABLE',
  'SECRETS_EXTENSION_FAILED',
] as const;

export type ReaderErrorCode = (typeof readerErrorCodes)[number];

export type ReaderErrorFacts = FailureFacts<ReaderErrorCode>;

/**
 * The only error of the reader's own. It may be logged as it is: it holds no token, no secret's text, and no `cause`, since
 * a foreign error may quote what it choked on.
 */
export class TokenReaderError extends Failure<ReaderErrorCode> {
  constructor(facts: ReaderErrorFacts) {
    super(facts);
    this.name = 'TokenReaderError';
  }

  /**
   * As `instanceof`, across copies of this package: a process may hold it as ESM and as CommonJS.
   *
   * @example
   * if (TokenReaderError.is(error) && error.retryable) return retryLater();
   */
  static is(thrown: unknown): thrown is TokenReaderError {
    return isFailure(thrown, 'reader');
  }

  get [BRAND](): string {
    return 'reader';
  }

  /** The same failure, with what had failed before it. */
  after(earlier: TokenReaderError | undefined): TokenReaderError {
    if (!earlier) return this;
    return new TokenReaderError({
      code: this.code,
      what: `${earlier.what} ${this.what}`,
      remedy: earlier.remedy === this.remedy ? this.remedy : `${earlier.remedy} ${this.remedy}`,
      retryable: this.retryable || earlier.retryable,
    });
  }
}

/** Whatever was thrown, as a TokenReaderError. Of a foreign error only the class name is kept. */
export function asReaderError(thrown: unknown, otherwise: Omit<ReaderErrorFacts, 'what'> & { doing: string }) {
  if (TokenReaderError.is(thrown)) return thrown;
  const kind = thrown instanceof Error && /^\w{1,64}$/.test(thrown.name) ? thrown.name : typeof thrown;
  const { doing, ...facts } = otherwise;
  return new TokenReaderError({ ...facts, what: `${doing} failed (${kind}).` });
}

/** For `asReaderError`: what the reader throws itself always has a sentence of its own. */
export const unexpected = {
  code: 'TOKEN_SECRET_UNREADABLE',
  doing: 'Getting a token',
  remedy: 'Report it: the reader should not fail in this way.',
  retryable: true,
} as const;
