import { LONGEST_PROMISE_SECONDS } from '../shared/d1.ts';
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

const rules: Readonly<Record<keyof TokenOptions, readonly [(value: unknown) => boolean, string]>> = {
  minRemainingSeconds: [(value) => isBetween(value, 0, LONGEST_PROMISE_SECONDS), 'must be a number of seconds, 0-840'],
  signal: [(value) => value === null || isSignal(value), 'must be an AbortSignal'],
  timeoutMilliseconds: [(value) => isBetween(value, 0, 2 ** 31 - 1), 'must be a number of milliseconds, 0 or more'],
};

/** @throws TokenReaderError READER_OPTIONS_INVALID, for the first fault. */
export function checkTokenOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw invalid("token's options must be an object");
  for (const [field, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, field) ? rules[field as keyof TokenOptions] : undefined;
    if (!rule) throw invalid(`${/^\w{1,40}$/.exec(field)?.[0] ?? 'a field'} is not an option of token`);
    const [isFine, why] = rule;
    if (value !== undefined && !isFine(value)) throw invalid(`${field} ${why}`);
  }
}

const isBetween = (value: unknown, least: number, most: number) =>
  typeof value === 'number' && value >= least && value <= most;

const isSignal = (value: unknown) => typeof (value as { aborted?: unknown } | null)?.aborted === 'boolean';

const invalid = (why: string) =>
  new TokenReaderError({
    code: 'READER_OPTIONS_INVALID',
    what: `No token can be got in this way: ${why}.`,
    remedy: "The reader's manual lists the options of token.",
    retryable: false,
  });
