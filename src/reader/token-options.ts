import { LONGEST_PROMISE_SECONDS } from '../shared/d1.ts';
import { between, faultsBy, isObject, must, type Rule } from './option-rules.ts';
import { TokenReaderError } from './reader-error.ts';

/** How one caller wants its token. */
export interface TokenOptions {
  /**
   * Seconds that the token should at least live on, 0-840; the reader's `minRemainingSeconds` unless told. A wish, not a
   * condition: when no better token can be had, one that lives is better than none, and `expires_at` tells.
   */
  readonly minRemainingSeconds?: number | undefined;
  /** Ends the wait of this caller, and of no other. */
  readonly signal?: AbortSignal | null | undefined;
  /** Milliseconds that this caller waits at most; unless told, as long as the secret and the broker may take. */
  readonly timeoutMilliseconds?: number | undefined;
}

const rules: Readonly<Record<keyof TokenOptions, Rule>> = {
  minRemainingSeconds: between(0, LONGEST_PROMISE_SECONDS),
  signal: must(
    'an AbortSignal',
    (value) => value === null || (isObject(value) && typeof value['aborted'] === 'boolean'),
  ),
  timeoutMilliseconds: between(0, 2 ** 31 - 1),
};

/** @throws TokenReaderError READER_OPTIONS_INVALID, for every fault. */
export function checkTokenOptions(options: unknown): void {
  const faults = isObject(options) ? faultsBy(rules, options) : ['its options must be an object'];
  if (faults.length === 0) return;
  throw new TokenReaderError({
    code: 'READER_OPTIONS_INVALID',
    what: `No token can be got in this way: ${faults.join('. ')}.`,
    remedy: "The reader's manual lists the options of token.",
    retryable: false,
  });
}
