import { SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createTokenReader } from '../src/reader/reader.ts';

const READS = 100_000;
const DAY_MILLISECONDS = 86_400_000;
const FAILING = 0.1;
/** The broker's minute tick refreshes a token that has at most this many seconds left. */
const REFRESH_WINDOW_SECONDS = 300;

/** The same numbers on every machine (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Time that the simulation owns. powertools asks `Date`, which is replaced while it runs; the reader has a clock. */
class SimulatedTime {
  readonly #Date = globalThis.Date;
  now = this.#Date.UTC(2026, 10, 23);

  install(): void {
    const time = this;
    const RealDate = this.#Date;
    globalThis.Date = class extends RealDate {
      constructor(...values: [] | [number]) {
        super(values[0] ?? time.now);
      }
      static override now(): number {
        return time.now;
      }
    } as DateConstructor;
  }

  uninstall(): void {
    globalThis.Date = this.#Date;
  }
}

/**
 * A day in the life of one container: reads at random moments, a broker that ticks every minute, and 10 % of its
 * refreshes and of the container's GetSecretValue calls fail.
 *
 * @param who The reader, or powertools with the seconds that it keeps a value for.
 */
export async function simulateDay(who: 'reader' | { readonly maxAge: number }) {
  const time = new SimulatedTime();
  const random = seeded(20_261_123);
  const broker = { text: recordText(time.now / 1000), expiresAt: time.now / 1000 + 900, tickAt: time.now + 60_000 };
  let requests = 0;
  const client = {
    send: async () => {
      requests += 1;
      if (random() < FAILING) throw Object.assign(new Error('simulated'), { name: 'InternalServiceError' });
      return { SecretString: broker.text };
    },
  };
  const read = who === 'reader' ? ours(client, time, random) : theirs(client, who.maxAge);
  const end = time.now + DAY_MILLISECONDS;
  const result = { expired_tokens: 0, failed_callers: 0, requests: 0 };
  time.install();
  try {
    for (let count = 0; count < READS; count += 1) {
      // Memoryless arrivals, stretched so that the last read falls on the end of the day.
      const rest = (end - time.now) / (READS - count);
      time.now = Math.min(end, time.now - Math.log(1 - random()) * rest);
      tickUntil(time.now);
      try {
        const { expires_at: expiresAt } = await read();
        if (expiresAt * 1000 <= time.now) result.expired_tokens += 1;
      } catch {
        result.failed_callers += 1;
      }
    }
  } finally {
    time.uninstall();
  }
  return { ...result, requests };

  function tickUntil(now: number): void {
    for (; broker.tickAt <= now; broker.tickAt += 60_000) {
      const at = broker.tickAt / 1000;
      if (broker.expiresAt - at > REFRESH_WINDOW_SECONDS || random() < FAILING) continue;
      broker.text = recordText(at);
      broker.expiresAt = at + 900;
    }
  }
}

function ours(client: { send: () => Promise<unknown> }, time: SimulatedTime, fraction: () => number) {
  const clock = { now: () => time.now, sleep: () => new Promise<void>(() => {}) };
  const reader = createTokenReader({
    secretId: 'd1/access-token',
    secretsManager: client,
    clock,
    random: { fraction, uuid: () => 'simulated' },
  });
  return () => reader.token();
}

function theirs(client: { send: () => Promise<unknown> }, maxAge: number) {
  // powertools takes nothing but a client of the SDK, so one is given whose `send` is the simulation's.
  const awsSdkV3Client = Object.assign(new SecretsManagerClient({ region: 'eu-west-1' }), client);
  const provider = new SecretsProvider({ awsSdkV3Client });
  return async () => {
    const value = await provider.get('d1/access-token', { maxAge, transform: 'json' });
    return value as { expires_at: number };
  };
}

/** A token that the broker obtained at `now`, in seconds since 1970. */
export function recordText(now: number): string {
  const obtainedAt = Math.floor(now);
  return JSON.stringify({
    access_token: `bench-token-${obtainedAt}`.padEnd(800, '-'),
    token_type: 'Bearer',
    scope: 'issuer.read',
    expires_in: 900,
    expires_at: obtainedAt + 900,
    obtained_at: obtainedAt,
    issuer_id: 'ISSUER0001',
    key_id: 'sandbox-key-1',
    correlation_id: 'bench',
    schema_version: 1,
  });
}
