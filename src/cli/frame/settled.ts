import { setTimeout as delay } from 'node:timers/promises';
import { failure } from './cli-failure.ts';

const POLL_MILLISECONDS = 3_000;
/** Keys and a function's configuration are changed within a minute or two. */
const LONGEST_MILLISECONDS = 15 * 60_000;

/**
 * Looks at what CloudFormation does until it is over.
 *
 * @param goesOn Whether a status is not the last one.
 * @throws CliFailure STACK_BUSY when it goes on for a quarter of an hour, or what `look` throws.
 */
export async function settled<T>(look: () => Promise<T>, goesOn: (found: T) => boolean): Promise<T> {
  const began = performance.now();
  for (;;) {
    const found = await look();
    if (!goesOn(found)) return found;
    if (performance.now() - began > LONGEST_MILLISECONDS) {
      throw failure(
        'STACK_BUSY',
        'The change of the stack goes on.',
        'Look at its events; the command can be given again.',
      );
    }
    await delay(POLL_MILLISECONDS);
  }
}
