import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Ended } from './earlier-release-process.ts';
import { type Consumer, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
let earlier: ChildProcess;
beforeEach(async () => {
  consumer = await openConsumer();
  earlier = fork(fileURLToPath(new URL('earlier-release-process.ts', import.meta.url)), {
    env: { PATH: process.env['PATH'], ...consumer.bank.sandbox.environment },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  // Without an answer there would be nothing to wait for.
  earlier.once('exit', () => earlier.emit('message'));
  consumer.brokerFault = invoke;
});
afterEach(async () => {
  earlier.kill();
  await consumer.close();
});

async function invoke(event: Record<string, unknown>): Promise<unknown> {
  earlier.send(event);
  const [ended] = (await once(earlier, 'message')) as [Ended | undefined];
  if (!ended) throw new Error('the earlier release ended before it answered');
  if ('answer' in ended) return ended.answer;
  throw Object.assign(new Error(ended.errorMessage), { name: ended.errorType });
}

/** In the secret's place, as another container would have left it: D1 does not take it. */
async function storeAged(ageSeconds: number): Promise<Record<string, unknown>> {
  const obtainedAt = Math.floor(consumer.bank.clock.now() / 1000) - ageSeconds;
  const record = { ...(await consumer.stored()), access_token: `ended-${randomUUID()}` };
  const aged = { ...record, obtained_at: obtainedAt, expires_at: obtainedAt + 900 };
  await consumer.store(JSON.stringify(aged));
  return aged;
}

const reader = () =>
  consumer.reader({ brokerFunctionName: 'd1-token-broker', lambda: consumer.lambda, ...consumer.withD1 });

it('a broker of an earlier release, which knows no newer_than, replaces a refused token: the reader asks with force', async () => {
  const refused = await storeAged(200);
  const response = await reader().fetch(consumer.issuerUrl);
  expect(response.status).toBe(200);
  const [first, second, ...more] = consumer.invocations;
  expect(first).toMatchObject({ newer_than: refused['obtained_at'], refused: expect.stringMatching(/^[\da-f]{16}$/) });
  expect(second).toEqual({
    action: 'token',
    min_remaining_seconds: first?.['min_remaining_seconds'],
    force: true,
    correlation_id: first?.['correlation_id'],
  });
  expect(more).toEqual([]);
  expect(consumer.exchanges()).toBe(1);
  expect((await consumer.stored())['obtained_at']).toBeGreaterThan(Number(refused['obtained_at']));
  expect(consumer.warnings).toEqual([]);
});

it('a broker of an earlier release helps with a dead token as today’s does', async () => {
  await storeAged(1_000);
  const response = await reader().fetch(consumer.issuerUrl);
  expect(response.status).toBe(200);
  expect(consumer.invocations).toHaveLength(1);
  expect(consumer.exchanges()).toBe(1);
});
