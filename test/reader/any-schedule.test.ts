import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createTokenReader } from '../../src/reader/reader.ts';
import { sdkError } from './open-consumer.ts';

// Whatever happens in whatever order: no caller gets a dead token, and none fails while a live one can be had.

const LIFETIME_SECONDS = 900;

class World {
  now = 1_800_000_000;
  readable = true;
  brokerUp = true;
  expiresAt = 0;
  #count = 0;

  refresh(): void {
    this.#count += 1;
    this.expiresAt = this.now + LIFETIME_SECONDS;
  }

  record(expiresIn = LIFETIME_SECONDS): string {
    return JSON.stringify({
      access_token: `token-${this.#count}`,
      token_type: 'Bearer',
      expires_in: expiresIn,
      expires_at: this.expiresAt,
      obtained_at: this.expiresAt - LIFETIME_SECONDS,
      issuer_id: 'ISSUER0001',
      key_id: 'key',
      correlation_id: 'c',
      schema_version: 1,
    });
  }

  readonly secretsManager = {
    send: async () => {
      if (!this.readable) throw sdkError('InternalServiceError', 500);
      return { SecretString: this.expiresAt === 0 ? '' : this.record() };
    },
  };

  readonly lambda = {
    send: async (command: object) => {
      if (!this.brokerUp) throw sdkError('ServiceException', 500);
      const { input } = command as { input: { Payload: string } };
      if (this.expiresAt - this.now < JSON.parse(input.Payload).min_remaining_seconds) this.refresh();
      return { Payload: Buffer.from(this.record(this.expiresAt - this.now)) };
    },
  };
}

type Step =
  | { readonly do: 'advance'; readonly seconds: number }
  | { readonly do: 'tick' | 'breakSecret' | 'mendSecret' | 'breakBroker' | 'mendBroker' }
  | { readonly do: 'ask'; readonly minRemainingSeconds: number | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance'), seconds: fc.integer({ min: 1, max: 400 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('tick', 'breakSecret', 'mendSecret', 'breakBroker', 'mendBroker') }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('ask'),
      minRemainingSeconds: fc.option(fc.integer({ min: 0, max: 840 }), { nil: undefined }),
    }),
  },
) as fc.Arbitrary<Step>;

async function live(withBroker: boolean, fraction: number, steps: readonly Step[]): Promise<void> {
  const world = new World();
  const reader = createTokenReader({
    secretId: 'd1/access-token',
    secretsManager: world.secretsManager,
    ...(withBroker && { brokerFunctionName: 'broker', lambda: world.lambda }),
    clock: { now: () => world.now * 1000, sleep: () => new Promise(() => {}) },
    random: { fraction: () => fraction, uuid: () => 'c' },
  });
  let newest = 0;
  for (const one of steps) {
    if (one.do === 'advance') world.now += one.seconds;
    else if (one.do === 'tick') world.refresh();
    else if (one.do === 'ask') {
      const obtainable =
        newest > world.now || (world.readable && world.expiresAt > world.now) || (withBroker && world.brokerUp);
      const { minRemainingSeconds } = one;
      const asked = await reader.token(minRemainingSeconds === undefined ? undefined : { minRemainingSeconds }).then(
        (token) => ({ expiresAt: token.expires_at }),
        () => undefined,
      );
      expect(asked !== undefined).toBe(obtainable);
      if (!asked) continue;
      expect(asked.expiresAt).toBeGreaterThan(world.now);
      newest = Math.max(newest, asked.expiresAt);
    } else {
      const up = one.do.startsWith('mend');
      if (one.do.endsWith('Secret')) world.readable = up;
      else world.brokerUp = up;
    }
  }
}

it.each([false, true])('holds for any schedule of ticks, failures and calls (broker asked: %s)', async (withBroker) => {
  const fraction = fc.double({ min: 0, max: 0.999, noNaN: true });
  const schedule = fc.array(step, { minLength: 5, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fraction, schedule, (jitter, steps) => live(withBroker, jitter, steps)),
    { numRuns: 300 },
  );
});
