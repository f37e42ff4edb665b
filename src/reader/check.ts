import { asReaderError, TokenReaderError, unexpected } from './reader-error.ts';

/**
 * Waits for what a living token hides until it is needed: every part, whatever becomes of the others.
 *
 * @throws TokenReaderError with the code of the first part that failed, and a sentence for each.
 */
export async function checkAll(parts: readonly unknown[]): Promise<void> {
  const failures = (await Promise.allSettled(parts)).flatMap((part) =>
    part.status === 'rejected' ? asReaderError(part.reason, unexpected) : [],
  );
  const [first] = failures;
  if (!first) return;
  throw new TokenReaderError({
    code: first.code,
    what: failures.map(({ what }) => what).join(' '),
    remedy: [...new Set(failures.map(({ remedy }) => remedy))].join(' '),
    retryable: failures.every(({ retryable }) => retryable),
  });
}
