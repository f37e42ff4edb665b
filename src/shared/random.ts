import { randomUUID } from 'node:crypto';

/** Chance as the product sees it. Injected, so that a test or the simulator can replay a run from its seed. */
export interface Random {
  /** 0 included, 1 excluded. For jitter only, never for a secret. */
  fraction(): number;
  /** A UUID of version 4 (RFC 9562): a `jti`, a correlation id, a version id. */
  uuid(): string;
}

export const systemRandom: Random = { fraction: () => Math.random(), uuid: () => randomUUID() };
