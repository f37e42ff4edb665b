import { describe, expect, it } from 'vitest';
import { certificateRead, d1Refuses, openStory, readOnly, refreshCalls, refusing } from './open-story.ts';

const CALLERS = 1_000;
const crowd = <T>(call: (index: number) => Promise<T>) => Array.from({ length: CALLERS }, (_, index) => call(index));

describe('A thousand callers in one process', () => {
  it.each([
    ['has died', 900],
    ['is dying: 30 seconds are left of it', 870],
  ])('on a token that %s cost one exchange, and all get its token', async (_what, age) => {
    const { container, store, recordOf, calls, versionCount, stored } = await openStory();
    await store(recordOf(age));
    const lambda = container();
    const answers = await Promise.all(crowd(() => lambda.token()));
    const { record } = await stored();
    expect(new Set(answers.map(({ access_token }) => access_token))).toEqual(new Set([record['access_token']]));
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
    expect(await versionCount()).toBe(2);
  });

  it('who all saw a 401 and force a new token cost one exchange, also when they come one after the other', async () => {
    const { container, store, recordOf, calls } = await openStory();
    await store(recordOf(100));
    const lambda = container();
    const answers = await Promise.all(crowd(() => lambda.token({ force: true })));
    expect(new Set(answers.map(({ access_token }) => access_token)).size).toBe(1);
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
    for (const { access_token } of answers.slice(0, 10)) {
      expect(await lambda.token({ force: true })).toMatchObject({ access_token, source: 'secret' });
    }
    expect(calls()).toEqual({ 'GetSecretValue d1/access-token': 10 });
  });

  it('with wishes of every kind, and a tick among them, cost one exchange', async () => {
    const { container, store, recordOf, calls } = await openStory();
    await store(recordOf(890));
    const lambda = container();
    const wishes = [{}, { force: true }, { min_remaining_seconds: 840 }, { action: 'token', force: false }];
    const tick = lambda.tick();
    const answers = await Promise.all(crowd((index) => lambda.token(wishes[index % wishes.length])));
    expect(await tick).toMatchObject({ refreshed: true, reason: 'due' });
    expect(new Set(answers.map(({ access_token }) => access_token)).size).toBe(1);
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
  });

  it('who come while the exchange is under way share it', async () => {
    const { container, store, recordOf, calls, faults } = await openStory();
    await store(recordOf(900));
    const lambda = container();
    const latecomers = Promise.withResolvers<Awaited<ReturnType<typeof lambda.token>>[]>();
    faults.d1 = async (_request, next) => {
      // They read for themselves; the exchange waits until they have.
      const hasRead = Promise.withResolvers<void>();
      faults.aws = async (call, read) => {
        const answer = await read();
        if (call.operation === 'GetSecretValue') hasRead.resolve();
        return answer;
      };
      latecomers.resolve(Promise.all(crowd(() => lambda.token())));
      await hasRead.promise;
      return next();
    };
    const first = await lambda.token();
    const others = await latecomers.promise;
    expect(new Set(others.map(({ access_token }) => access_token))).toEqual(new Set([first.access_token]));
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead, 'GetSecretValue d1/access-token': 2 });
  });

  it('all hear of the failure of the one exchange, under its correlation id, and the next call begins anew', async () => {
    const { container, store, recordOf, calls, faults, sandbox } = await openStory();
    await store(recordOf(900));
    const lambda = container();
    faults.d1 = d1Refuses;
    const outcomes = await Promise.allSettled(crowd(() => lambda.token()));
    const heard = outcomes.map((outcome) =>
      outcome.status === 'rejected' ? `${outcome.reason.code} ${outcome.reason.correlationId}` : 'a token',
    );
    const [asked] = sandbox.calls.all().filter(({ operation }) => operation === 'oauth2/token');
    expect(new Set(heard)).toEqual(new Set([`TOKEN_ENDPOINT_REJECTED ${asked?.requestId}`]));
    expect(calls()).toEqual({ ...readOnly, ...certificateRead, Sign: 1, 'oauth2/token': 1 });
    faults.d1 = undefined;
    expect(await lambda.token()).toMatchObject({ source: 'exchange' });
    expect(calls()).toEqual(refreshCalls);
  });

  it('get one token between them when the secret can neither be read nor written', async () => {
    const { container, calls, faults } = await openStory();
    faults.aws = refusing('GetSecretValue', 'AccessDeniedException');
    const lambda = container();
    const answers = await Promise.all(crowd(() => lambda.token()));
    expect(new Set(answers.map(({ access_token }) => access_token)).size).toBe(1);
    expect(calls()).toEqual({ ...readOnly, ...certificateRead, Sign: 1, 'oauth2/token': 1 });
  });
});
