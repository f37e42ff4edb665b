import { inspect } from 'node:util';

const SHORTEST_LEAK_CHARACTERS = 16;

/** Everything of an error that a log, a console or a crash report could show. */
export function everythingPrintedOf(error: unknown): string {
  const parts = error instanceof Error ? [error.message, error.stack, JSON.stringify(error)] : [String(error)];
  return [...parts, inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })].join('\n');
}

/**
 * The first run of 16 characters of a secret that can be read in `text`, or `undefined`: half a token is a leak too.
 * Tests compare it with `undefined`, so that a failing test shows no more than these 16 characters.
 */
export function leakIn(text: string, secrets: readonly string[]): string | undefined {
  for (const secret of secrets) {
    for (let start = 0; start + SHORTEST_LEAK_CHARACTERS <= secret.length; start += 1) {
      const run = secret.slice(start, start + SHORTEST_LEAK_CHARACTERS);
      if (text.includes(run)) return run;
    }
  }
  return undefined;
}
