import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServerClock } from '../../src/reader/server-clock.ts';
import { type Consumer, failureOf, openConsumer } from './open-consumer.ts';

describe.each([-300, -60, 60, 300])('a consumer whose clock is %d s off', (skewSeconds) => {
  let consumer: Consumer;
  beforeEach(async () => {
    consumer = await openConsumer();
    consumer.clock.skewSeconds = skewSeconds;
  });
  afterEach(() => consumer.close());
  const secondsLeft = (token: { expires_at: number }) => token.expires_at - consumer.bank.clock.now() / 1000;

  it('gets a live token over hours of ticks, and reads as seldom as one whose clock is right', async () => {
    const { token } = consumer.reader();
    for (let minute = 0; minute < 4 * 60; minute += 1) {
      await consumer.tick();
      for (let turn = 0; turn < 3; turn += 1) {
        expect(secondsLeft(await token())).toBeGreaterThan(0);
        consumer.advance(20);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(consumer.reads()).toBeLessThan(50);
  });

  it('knows from the first read how long the token lives', async () => {
    const { token } = consumer.reader();
    const first = await token();
    consumer.advance(860);
    expect(await token()).toBe(first);
    consumer.advance(45);
    expect((await failureOf(token())).code).toBe('TOKEN_EXPIRED');
  });

  it('knows it from the broker too, where AWS does not date its answers', async () => {
    consumer.dated = false;
    consumer.advance(850);
    const { token } = consumer.reader({ brokerFunctionName: 'broker', lambda: consumer.lambda });
    const first = await token({ minRemainingSeconds: 600 });
    expect(secondsLeft(first)).toBeGreaterThan(0);
    const asked = consumer.invocations.length;
    for (let second = 0; second < 800; second += 10) {
      expect(secondsLeft(await token())).toBeGreaterThan(0);
      consumer.advance(10);
    }
    expect(consumer.invocations.length - asked).toBeLessThan(3);
  });

  it('learns from a 401 what its clock and the extension did not tell', async () => {
    consumer.dated = false;
    const reader = consumer.reader({ ...consumer.withD1, brokerFunctionName: 'broker', lambda: consumer.lambda });
    await reader.token();
    consumer.advance(905);
    await consumer.tick();
    expect((await reader.fetch(consumer.issuerUrl)).status).toBe(200);
    expect(secondsLeft(await reader.token())).toBeGreaterThan(0);
  });
});

describe('the server clock', () => {
  const machine = { milliseconds: 1_000_000, now: () => machine.milliseconds };

  it('leaves a right clock as it is, however slow the answer', () => {
    const clock = new ServerClock(machine);
    clock.observe(999_000, 990_000, 1_010_000);
    expect(clock.now()).toBe(machine.now());
  });

  it('corrects by no more than the answer proves', () => {
    const clock = new ServerClock(machine);
    clock.observe(1_300_000, 999_900, 1_000_000);
    expect(clock.now()).toBe(1_300_000);
    clock.observe(700_000, 999_900, 1_000_000);
    expect(clock.now()).toBe(701_099);
  });

  it('takes no notice of an answer without a date', () => {
    const clock = new ServerClock(machine);
    clock.observe(Number.NaN, 1_000_000, 1_000_000);
    expect(clock.now()).toBe(machine.now());
  });

  it('knows that a token was not obtained in the future', () => {
    const clock = new ServerClock(machine);
    clock.notBefore(1_200_000);
    expect(clock.now()).toBe(1_200_000);
    clock.notBefore(1_000);
    expect(clock.now()).toBe(1_200_000);
  });
});
