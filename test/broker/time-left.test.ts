import { describe, expect, it } from 'vitest';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { certificateRead, existenceCheck, openStory, readOnly, refreshCalls, secondWrite } from './open-story.ts';

/** The broker keeps 250 ms to answer, 2 s to store and 1 s at least to sign and exchange. */
const ENOUGH_MILLISECONDS = 3_250;
const signed = ({ Sign = 0 }: Record<string, number>) => Sign;

describe('An invocation with little time left', () => {
  it('begins no refresh: nothing is signed, and D1 is not asked', async () => {
    const { container, calls, ownClock } = await openStory();
    const lambda = container({ clock: ownClock() });
    const refusal = {
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: a refresh was not begun.',
      retryable: true,
    };
    await expect(lambda.tick(ENOUGH_MILLISECONDS - 1)).rejects.toMatchObject(refusal);
    expect(calls()).toEqual({ ...readOnly, ...existenceCheck });
    await expect(lambda.token({}, ENOUGH_MILLISECONDS - 1)).rejects.toMatchObject(refusal);
    expect(calls()).toEqual({ ...readOnly, ...existenceCheck });
  });

  it('refreshes with a millisecond more', async () => {
    const { container, calls, ownClock } = await openStory();
    expect(await container({ clock: ownClock() }).tick(ENOUGH_MILLISECONDS)).toMatchObject({ refreshed: true });
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead, ...existenceCheck });
  });

  it('still finds a fresh token fresh', async () => {
    const { container, ownClock, store, recordOf } = await openStory();
    await store(recordOf(100));
    expect(await container({ clock: ownClock() }).tick(1_000)).toMatchObject({ refreshed: false, reason: 'fresh' });
  });

  it('that was to force a new token returns the stored one, with a warning', async () => {
    const { container, ownClock, store, recordOf, warnings, calls } = await openStory();
    await store(recordOf(100));
    const answer = await container({ clock: ownClock() }).token({ force: true }, 1_000);
    expect(answer).toMatchObject({ source: 'secret', expires_in: 800 });
    expect(warnings()).toEqual(['DEADLINE_EXCEEDED']);
    expect(calls()).toEqual(readOnly);
  });

  it('may still join a refresh that is under way', async () => {
    const { container, ownClock, faults, calls } = await openStory();
    const lambda = container({ clock: ownClock() });
    const asked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    faults.d1 = async (_request, next) => {
      asked.resolve();
      await goOn.promise;
      return next();
    };
    const first = lambda.token();
    await asked.promise;
    const hasRead = Promise.withResolvers<void>();
    faults.aws = async (call, next) => {
      const answer = await next();
      if (call.operation === 'DescribeSecret') hasRead.resolve();
      return answer;
    };
    const second = lambda.token({}, 2_000);
    await hasRead.promise;
    goOn.resolve();
    const answers = await Promise.all([first, second]);
    expect(new Set(answers.map(({ access_token }) => access_token)).size).toBe(1);
    expect(signed(calls())).toBe(1);
  });
});

describe('A step that does not end', () => {
  it('while the secret is read: the caller hears it in time, and nothing is signed', async () => {
    const { container, ownClock, faults, calls } = await openStory();
    const clock = ownClock();
    const held = Promise.withResolvers<void>();
    faults.aws = async () => {
      held.resolve();
      return undefined;
    };
    const outcome = container({ clock }).tick();
    await held.promise;
    clock.advance(60_000 - 250);
    await expect(outcome).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: reading the token secret took too long.',
    });
    expect(signed(calls())).toBe(0);
  });

  it('while KMS signs: D1 is not asked, and the secret stays as it is', async () => {
    const { container, ownClock, faults, calls, versionCount } = await openStory();
    const clock = ownClock();
    const held = Promise.withResolvers<void>();
    faults.aws = async (call, next) => {
      if (call.operation !== 'Sign') return next();
      held.resolve();
      return undefined;
    };
    const outcome = container({ clock }).tick();
    await held.promise;
    clock.advance(60_000 - 250 - 2_000);
    await expect(outcome).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: getting a token from D1 took too long.',
    });
    expect(calls()).not.toHaveProperty('oauth2/token');
    expect(await versionCount()).toBe(0);
  });

  it('while the token is written: a direct caller gets the token, a tick fails, and the next one stores the token', async () => {
    const { container, ownClock, faults, calls, warnings, stored } = await openStory();
    const clock = ownClock();
    const lambda = container({ clock });
    const held = Promise.withResolvers<void>();
    faults.aws = async (call, next) => {
      if (call.operation !== 'PutSecretValue') return next();
      held.resolve();
      return undefined;
    };
    const caller = lambda.token({}, 30_000);
    const tick = lambda.tick(60_000);
    await held.promise;
    // The caller's time is up; the tick has more, and keeps the write going.
    clock.advance(30_000 - 250);
    const answer = await caller;
    expect(answer).toMatchObject({ source: 'exchange' });
    // 29.75 s went by, and whole seconds are told.
    expect([870, 871]).toContain(answer.expires_in);
    expect(warnings()).toEqual(['DEADLINE_EXCEEDED']);
    clock.advance(30_000 - 100);
    await expect(tick).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: writing the token secret took too long.',
    });
    faults.aws = undefined;
    calls();
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'missing' });
    expect(calls()).toEqual({ ...secondWrite, ...existenceCheck });
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });

  it('is no reason for a caller without patience to take the others along', async () => {
    const { container, ownClock, faults, calls } = await openStory();
    const clock = ownClock();
    const lambda = container({ clock });
    const asked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    faults.d1 = async (_request, next) => {
      asked.resolve();
      await goOn.promise;
      return next();
    };
    const impatient = lambda.token({}, 10_000);
    const patient = lambda.token({}, 60_000);
    await asked.promise;
    clock.advance(10_000);
    await expect(impatient).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      what: 'Not enough time was left: the refresh took too long.',
    });
    goOn.resolve();
    expect(await patient).toMatchObject({ source: 'exchange' });
    expect(calls()).toMatchObject({ Sign: 1, 'oauth2/token': 1 });
  });

  it.each([
    ['the read', 'GetSecretValue', 'reading the token secret'],
    ['the exchange', 'Sign', 'the refresh'],
    ['the write', 'PutSecretValue', 'writing the token secret'],
  ])(
    'and whose container was frozen is given up by the next event: who waited for %s hears it at once',
    async (_step, operation, doing) => {
      const { container, ownClock, faults, warnings } = await openStory();
      const clock = ownClock();
      let frozen = 0;
      // While a container is frozen, time goes by, and no timer does.
      const thawing = { now: () => clock.now() + frozen, sleep: clock.sleep.bind(clock) };
      const lambda = container({ clock: thawing });
      const held = Promise.withResolvers<void>();
      faults.aws = async (call, next) => {
        if (call.operation !== operation) return next();
        faults.aws = undefined;
        held.resolve();
        return undefined;
      };
      const tick = lambda.tick();
      const heard = expect(tick).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        what: `Not enough time was left: ${doing} took too long.`,
      });
      await held.promise;
      frozen = 100_000;
      expect(await lambda.token()).toMatchObject({ issuer_id: 'ISSUER0001' });
      await heard;
      expect(warnings()).toEqual([]);
    },
  );

  it('leaves the secret’s name in no doubt', async () => {
    const { container, faults } = await openStory();
    faults.aws = async (_call, _next, response) => {
      response.destroy();
      return undefined;
    };
    await expect(container().tick()).rejects.toMatchObject({
      code: 'TOKEN_STORE_UNAVAILABLE',
      what: expect.stringContaining(`The token secret ${TOKEN_SECRET} could not be read`),
    });
  });
});
