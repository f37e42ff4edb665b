import { TokenReaderError } from './reader-error.ts';

/** One part that a reader depends on: tried, it tells why it failed, or nothing. */
export type Part = () => Promise<TokenReaderError | undefined>;

/**
 * Tries what a living token hides until it is needed: every part, whatever becomes of the others.
 *
 * @throws TokenReaderError with the code of the first part that failed, and a sentence for each.
 */
export async function checkAll(parts: readonly Part[]): Promise<void> {
  const failures = (await Promise.all(parts.map((part) => part()))).filter((failure) => failure !== undefined);
  const [first] = failures;
  if (!first) return;
  throw new TokenReaderError({
    code: first.code,
    what: failures.map(({ what }) => what).join(' '),
    remedy: [...new Set(failures.map(({ remedy }) => remedy))].join(' '),
    retryable: failures.every(({ retryable }) => retryable),
  });
}
