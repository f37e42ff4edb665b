import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { type Consumer, denied, failureOf, gate, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
beforeEach(async () => {
  consumer = await openConsumer();
});
afterEach(() => consumer.close());

const later = () => new Promise((resolve) => setImmediate(resolve));
/** Background work has no promise to wait for: its read is on the wire until the count says that it is not. */
async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await happened())) await later();
}

describe('a token from memory', () => {
  it('costs one read while it has time left', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(700);
    expect((await token()).access_token).toBe(first.access_token);
    expect(first.access_token).toBe((await consumer.stored())['access_token']);
    expect(consumer.reads()).toBe(1);
  });

  it('is one read for 1,000 concurrent cold calls', async () => {
    const { token } = consumer.reader();
    const tokens = await Promise.all(Array.from({ length: 1_000 }, () => token()));
    expect(new Set(tokens.map(({ access_token }) => access_token)).size).toBe(1);
    expect(consumer.reads()).toBe(1);
  });

  it('is one read and one invocation for 1,000 concurrent cold calls on an expired secret', async () => {
    consumer.advance(901);
    const { token } = consumer.reader({ brokerFunctionName: 'broker', lambda: consumer.lambda });
    await Promise.all(Array.from({ length: 1_000 }, () => token()));
    expect(consumer.reads()).toBe(1);
    expect(consumer.invocations).toHaveLength(1);
    expect(consumer.exchanges()).toBe(1);
  });

  it('cannot be changed for others, and keeps unknown fields readable', async () => {
    await consumer.store(JSON.stringify({ ...(await consumer.stored()), extra: { nested: ['value'] } }));
    const { token } = consumer.reader();
    const first = await token();
    expect(() => Object.assign(first, { access_token: 'mine' })).toThrow(TypeError);
    expect(() => (first as unknown as { extra: { nested: string[] } }).extra.nested.push('mine')).toThrow(TypeError);
    expect(await token()).toEqual(await consumer.stored());
  });

  it('ends at expires_at, whatever its age in memory', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(895);
    await consumer.tick();
    // Under minRemainingSeconds: now the caller waits for the newer one.
    expect((await token()).expires_at).toBeGreaterThan(first.expires_at);
  });

  it('survives an hour in a frozen container: the next call reads, and gets a token that lives', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(3_600);
    await consumer.tick();
    const second = await token();
    expect(second.access_token).not.toBe(first.access_token);
    expect(second.expires_at * 1000).toBeGreaterThan(consumer.bank.clock.now());
  });

  it('does not wait for a read that was under way when the container was frozen', async () => {
    const reader = consumer.reader();
    const door = gate();
    consumer.secretFault = door.fault;
    const lost = failureOf(reader.token());
    await door.reached;
    consumer.advance(3_600);
    await consumer.tick();
    consumer.secretFault = undefined;
    expect((await reader.token()).expires_at * 1000).toBeGreaterThan(consumer.bank.clock.now());
    expect((await lost).code).toBe('TOKEN_SECRET_UNREADABLE');
  });
});

describe('a token that nears its end', () => {
  it('is replaced in the background, without a caller waiting', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(600);
    await consumer.tick();
    consumer.advance(160);
    expect(await token()).toBe(first);
    await until(async () => (await token()) !== first);
    expect(consumer.reads()).toBe(2);
  });

  it('is looked for with jitter, so that a fleet does not read at once', async () => {
    const dueAt = async (fraction: number) => {
      const { token } = consumer.reader({ random: { fraction: () => fraction, uuid: () => '' } });
      const before = consumer.bank.clock.now();
      const { expires_at } = await token();
      const reads = consumer.reads();
      while (consumer.reads() === reads) {
        consumer.advance(1);
        await token();
        for (let turn = 0; turn < 5; turn += 1) await later();
        if (consumer.bank.clock.now() - before > 900_000) throw new Error('never');
      }
      const left = expires_at - consumer.bank.clock.now() / 1000;
      await consumer.tick();
      return left;
    };
    const early = await dueAt(0);
    const late = await dueAt(0.99);
    expect(early).toBeGreaterThan(175);
    expect(early).toBeLessThanOrEqual(180);
    expect(late).toBeGreaterThan(125);
    expect(late).toBeLessThan(140);
  });

  it('is handed out as long as it lives, with the broker down for 14 minutes and the secret unreadable', async () => {
    const { token } = consumer.reader({ brokerFunctionName: 'broker', lambda: consumer.lambda });
    const first = await token();
    consumer.secretFault = denied;
    consumer.brokerFault = async () => {
      throw Object.assign(new Error('down'), { name: 'TOKEN_ENDPOINT_UNREACHABLE' });
    };
    for (let second = 0; second < 14 * 60 + 55; second += 5) {
      expect(await token()).toBe(first);
      consumer.advance(5);
    }
    await until(() => consumer.warnings.length > 0);
    // Bounded: a look every 5-15 seconds from three minutes ahead on.
    expect(consumer.reads()).toBeLessThan(40);
    expect(consumer.invocations.length).toBeLessThan(10);
    consumer.advance(10);
    const error = await failureOf(token());
    expect(error.code).toBe('BROKER_FAILED');
    expect(error.message).toContain('AccessDeniedException');
    expect(error.message).toContain('TOKEN_ENDPOINT_UNREACHABLE');
  });

  it('is not looked for again by every caller while there is no better one', async () => {
    const { token } = consumer.reader();
    await token();
    consumer.advance(880);
    await token();
    const reads = consumer.reads();
    await Promise.all(Array.from({ length: 100 }, () => token()));
    expect(consumer.reads()).toBe(reads);
  });

  it('is short-lived: ahead is at most half of its life', async () => {
    const { token } = consumer.reader();
    const now = Math.floor(consumer.bank.clock.now() / 1000);
    const record = { ...(await consumer.stored()), obtained_at: now, expires_in: 120, expires_at: now + 120 };
    await consumer.store(JSON.stringify(record));
    await token();
    consumer.advance(50);
    await token();
    await later();
    expect(consumer.reads()).toBe(1);
  });
});

describe('a wish', () => {
  it('for more time than the token has left reads, then asks the broker for just that', async () => {
    const { token } = consumer.reader({ brokerFunctionName: 'broker', lambda: consumer.lambda });
    await token();
    consumer.advance(620);
    const better = await token({ minRemainingSeconds: 600 });
    expect(better.expires_at - consumer.bank.clock.now() / 1000).toBeGreaterThan(600);
    expect(consumer.invocations).toEqual([
      { action: 'token', min_remaining_seconds: 600, correlation_id: expect.any(String) },
    ]);
  });

  it('that the broker does not meet gets the token in hand', async () => {
    const { token } = consumer.reader({ brokerFunctionName: 'broker', lambda: consumer.lambda });
    const first = await token();
    consumer.advance(500);
    // The secret was written less than ten minutes ago: the broker answers with what it holds.
    expect(await token({ minRemainingSeconds: 600 })).toBe(first);
    expect(consumer.invocations).toHaveLength(1);
    expect(consumer.warnings).toEqual([]);
  });

  it('that cannot be met gets the token that lives', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(500);
    expect(await token({ minRemainingSeconds: 600 })).toBe(first);
  });

  it.each([-1, 841, Number.NaN])('for %d seconds is refused', async (minRemainingSeconds) => {
    const error = await failureOf(consumer.reader().token({ minRemainingSeconds }));
    expect(error.code).toBe('READER_OPTIONS_INVALID');
  });
});

describe('the options of one call', () => {
  it.each([
    [{ minRemainingSecond: 60 }, /minRemainingSecond is not known/],
    [{ 'eyJ.precious': 60 }, /an option is not known/],
    [{ minRemainingSeconds: '60' }, /minRemainingSeconds must be a number/],
    [{ timeoutMilliseconds: -1 }, /timeoutMilliseconds must be a number/],
    [{ timeoutMilliseconds: Number.NaN }, /timeoutMilliseconds must be a number/],
    [{ signal: new AbortController() }, /signal must be an AbortSignal/],
    [60, /must be an object/],
  ])('%o are refused with a sentence, token in hand or not', async (options, words) => {
    const { token } = consumer.reader();
    const wrong = token as unknown as (options: unknown) => Promise<unknown>;
    await token();
    const error = await failureOf(wrong(options));
    expect(error).toMatchObject({ code: 'READER_OPTIONS_INVALID', retryable: false });
    expect(error.message).toMatch(words);
    expect(error.message).not.toContain('precious');
  });

  it('may be left undefined, each of them', async () => {
    const nothing = { minRemainingSeconds: undefined, signal: null, timeoutMilliseconds: undefined };
    expect((await consumer.reader().token(nothing)).token_type).toBe('Bearer');
  });
});

describe('one caller among many', () => {
  it('leaves by its own signal, and the others get the token', async () => {
    const { token } = consumer.reader();
    const leaving = new AbortController();
    const door = gate();
    consumer.secretFault = door.fault;
    const left = failureOf(token({ signal: leaving.signal }));
    const stays = token({ signal: new AbortController().signal });
    leaving.abort(new Error('my own reason'));
    expect((await left).message).toBe('my own reason');
    door.open();
    expect((await stays).token_type).toBe('Bearer');
    expect(consumer.reads()).toBe(1);
  });

  it('leaves by its own deadline', async () => {
    const { token } = consumer.reader();
    const door = gate();
    consumer.secretFault = door.fault;
    const stays = token();
    await door.reached;
    const sleepers = consumer.clock.sleepers;
    const impatient = failureOf(token({ timeoutMilliseconds: 250 }));
    await until(() => consumer.clock.sleepers > sleepers);
    consumer.clock.timeOut('newest');
    expect(await impatient).toMatchObject({ code: 'TOKEN_WAIT_TIMED_OUT', retryable: true });
    door.open();
    await stays;
    expect(consumer.reads()).toBe(1);
  });

  it('gets the token in hand when its deadline comes before a better one', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(500);
    const door = gate();
    consumer.secretFault = door.fault;
    const impatient = token({ minRemainingSeconds: 800, timeoutMilliseconds: 250 });
    await door.reached;
    consumer.clock.timeOut();
    expect(await impatient).toBe(first);
    door.open();
  });

  it('that has left already is told so without a read', async () => {
    const error = await failureOf(consumer.reader().token({ signal: AbortSignal.abort() }));
    expect(error.name).toBe('AbortError');
    expect(consumer.reads()).toBe(0);
  });

  it('does not make the read useless by leaving last', async () => {
    const { token } = consumer.reader();
    const leaving = new AbortController();
    const door = gate();
    consumer.secretFault = door.fault;
    const left = failureOf(token({ signal: leaving.signal }));
    await door.reached;
    leaving.abort();
    await left;
    door.open();
    await token();
    expect(consumer.reads()).toBe(1);
  });
});

it('ends a read that takes too long, and says what to look at', async () => {
  const { token } = consumer.reader();
  consumer.secretFault = () => new Promise(() => {});
  const late = failureOf(token());
  await until(() => consumer.clock.sleepers > 0);
  consumer.clock.timeOut();
  const error = await late;
  expect(error).toMatchObject({ code: 'TOKEN_SECRET_UNREADABLE', retryable: true });
  expect(error.message).toContain(TOKEN_SECRET);
  expect(error.message).toContain('5000 ms');
});

it('does not mind a listener of warnings that throws', async () => {
  const { token } = consumer.reader({
    onWarning: () => {
      throw new Error('I was not to do that');
    },
  });
  const first = await token();
  consumer.advance(800);
  consumer.secretFault = denied;
  expect(await token()).toBe(first);
  await until(() => consumer.reads() === 2);
  expect(await token()).toBe(first);
});
