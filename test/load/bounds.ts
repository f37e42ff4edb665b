import type { Load } from './run-load.ts';

/** With so short a life a token counts as young for half of it (src/broker/decide.ts). */
const youngSeconds = ({ tokenLifetimeSeconds }: Load) => Math.min(60, tokenLifetimeSeconds / 2);

/**
 * The most versions that a run may write. Due tokens and forced calls replace no token younger than half its life; a
 * rotation always writes, and two containers that obtained a token at once store one of the two.
 */
export const mostVersions = (load: Load, seconds: number): number =>
  Math.ceil(seconds / youngSeconds(load)) + 2 + 2 * Math.ceil(seconds / load.rotateEverySeconds);
