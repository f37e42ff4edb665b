import { describe, expect, it } from 'vitest';
import { config } from '../../simulation/broker-function.ts';
import { createObtain } from '../../src/broker/obtain.ts';
import { Deadline } from '../../src/deadline.ts';
import { Journal } from '../../src/invocation.ts';
import { nowSeconds } from '../../src/shared/clock.ts';
import type { TokenRecord } from '../../src/shared/token-record.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sampleRecord } from '../token-store/sample-record.ts';

/** Obtains a token whose answer is taken in so many milliseconds after it was asked for. */
async function obtainAfter(milliseconds: number, known: (askedAt: number) => TokenRecord[] = () => []) {
  const clock = new FakeClock();
  const askedAt = nowSeconds(clock);
  const obtain = createObtain({
    config,
    sign: async () => Buffer.alloc(64),
    tokenEndpoint: {
      exchange: async () => {
        clock.advance(milliseconds);
        return sampleRecord({ obtained_at: askedAt, expires_at: askedAt + 900 });
      },
    },
    clock,
    random: { fraction: () => 0, uuid: () => 'a-correlation-id' },
  });
  const call = {
    correlationId: 'a-correlation-id',
    deadline: new Deadline(clock, () => askedAt * 1000 + 90_000),
    journal: new Journal(clock, () => {}),
  };
  const { record } = await obtain(call, call.deadline, known(askedAt));
  return (record?.obtained_at ?? Number.NaN) - askedAt;
}

describe('The time by which tokens are ordered', () => {
  it('is when the answer came: who asked first may be answered last', async () => {
    expect(await obtainAfter(5_000)).toBe(5);
  });

  it('is no later than an exchange may take, where the container was frozen with the answer on its way: others got theirs meanwhile', async () => {
    expect(config.exchangeTimeoutMilliseconds).toBe(8_000);
    expect(await obtainAfter(8_999)).toBe(8);
    expect(await obtainAfter(64_000)).toBe(8);
  });

  it('is later than that of any known token all the same', async () => {
    const known = (askedAt: number) => [sampleRecord({ access_token: 'another', obtained_at: askedAt + 20 })];
    expect(await obtainAfter(64_000, known)).toBe(21);
  });
});
