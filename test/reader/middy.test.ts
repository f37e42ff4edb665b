import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type D1Context, d1Token } from '../../src/reader/middy.ts';
import { createTokenReader, type TokenOptions } from '../../src/reader/reader.ts';
import { type Consumer, denied, failureOf, gate, openConsumer } from './open-consumer.ts';

let consumer: Consumer;
beforeEach(async () => {
  consumer = await openConsumer();
});
afterEach(() => consumer.close());

const context = () => ({ getRemainingTimeInMillis: () => 10_000 }) as Context;
const answer = async (_event: unknown, { d1 }: D1Context) => (await d1.token()).access_token;

it('puts a reader with a token into the context, the same one for every invocation', async () => {
  const handler = middy<unknown, string>()
    .use(d1Token({ reader: consumer.reader() }))
    .handler(answer);
  const token = (await consumer.stored())['access_token'];
  expect(await handler({}, context() as D1Context)).toBe(token);
  expect(await handler({}, context() as D1Context)).toBe(token);
  expect(consumer.reads()).toBe(1);
});

it('fails the invocation before the handler runs, when there is no token', async () => {
  consumer.secretFault = denied;
  let ran = false;
  const handler = middy()
    .use(d1Token({ reader: consumer.reader() }))
    .handler(async () => {
      ran = true;
    });
  expect((await failureOf(handler({}, context() as D1Context))).code).toBe('TOKEN_SECRET_DENIED');
  expect(ran).toBe(false);
});

it('waits no longer than the invocation has left, and keeps half a second for saying so', async () => {
  const waits: unknown[] = [];
  const reader = {
    ...consumer.reader(),
    token: async (options?: TokenOptions) => {
      waits.push(options);
      return consumer.reader().token(options);
    },
  };
  const handler = middy()
    .use(d1Token({ reader }))
    .handler(async () => 'ran');
  for (const left of [10_000, 800, 100]) {
    await handler({}, { getRemainingTimeInMillis: () => left } as D1Context).catch(() => {});
  }
  expect(waits).toEqual([{ timeoutMilliseconds: 9_500 }, { timeoutMilliseconds: 300 }, { timeoutMilliseconds: 0 }]);
});

it('fails with a sentence before Lambda ends the invocation without one', async () => {
  const door = gate();
  consumer.secretFault = door.fault;
  const handler = middy()
    .use(d1Token({ reader: consumer.reader() }))
    .handler(async () => 'ran');
  const failed = failureOf(handler({}, context() as D1Context));
  await door.reached;
  consumer.clock.timeOut('newest');
  expect(await failed).toMatchObject({ code: 'TOKEN_WAIT_TIMED_OUT', retryable: true });
  door.open();
});

it('does not wait when told not to', async () => {
  consumer.secretFault = denied;
  const handler = middy()
    .use(d1Token({ reader: consumer.reader(), waitForToken: false }))
    .handler(async () => 'ran');
  expect(await handler({}, context() as D1Context)).toBe('ran');
  expect(consumer.reads()).toBe(0);
});

it('makes the reader itself, and refuses wrong options when the module is loaded', () => {
  expect(() => d1Token({ secretId: undefined })).toThrow(/secretId is missing/);
  expect(d1Token({ secretId: 'd1/access-token' })).toHaveProperty('before');
  expect(createTokenReader).toBeTypeOf('function');
});
