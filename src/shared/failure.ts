/** What every error of ours tells. */
export interface FailureFacts<Code extends string> {
  readonly code: Code;
  /** One sentence: what failed. Built from facts that may be logged, never from a foreign error's message. */
  readonly what: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
  /** Whether the same call can succeed later without anybody changing anything. */
  readonly retryable: boolean;
}

/** In the registry of the process, so that every copy of this file has the same. */
const BRAND = Symbol.for('d1-token-broker.failure');

/**
 * What the errors of broker and reader have in common. None has a `cause`: a foreign error may quote the token, the
 * assertion or the secret that it choked on, and `util.inspect` would print it.
 */
export abstract class Failure<Code extends string> extends Error implements FailureFacts<Code> {
  readonly code: Code;
  readonly what: string;
  readonly remedy: string;
  readonly retryable: boolean;

  /** @param where Whose failure it is, in square brackets; empty when that is not known. */
  constructor({ code, what, remedy, retryable }: FailureFacts<Code>, where = '') {
    const again = retryable ? 'Trying again can help.' : 'Trying again will not help.';
    super([what, where, again, remedy].filter((part) => part !== '').join(' '));
    this.code = code;
    this.what = what;
    this.remedy = remedy;
    this.retryable = retryable;
  }

  /** The name of the list that the code is from. */
  abstract get [BRAND](): string;
}

/**
 * Whether something is a failure with a code of one list, whichever copy of this package made it: a process may hold it
 * twice, as ESM and as CommonJS, and `instanceof` knows one of the two.
 */
export const isFailure = (thrown: unknown, list: string): boolean =>
  typeof thrown === 'object' && thrown !== null && (thrown as { [BRAND]?: unknown })[BRAND] === list;

export { BRAND };
