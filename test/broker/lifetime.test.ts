import { describe, expect, it } from 'vitest';
import { parseTokenRecord } from '../../src/shared/token-record.ts';
import { storedToken } from '../support/bank.ts';
import { d1Answers, openStory } from './open-story.ts';

describe('When a token dies', () => {
  it('is counted from before the request was sent: a slow D1 makes it no younger', async () => {
    const { container, clock, faults, stored } = await openStory();
    const sentAt = Math.floor(clock.now() / 1000);
    faults.d1 = async (_request, next) => {
      clock.advance(7_000);
      const answer = await next();
      clock.advance(8_000);
      return answer;
    };
    const answer = await container().token();
    const times = { obtained_at: sentAt + 15, expires_at: sentAt + 900 };
    expect(answer).toMatchObject({ ...times, expires_in: 885 });
    expect((await stored()).record).toMatchObject({ ...times, expires_in: 900 });
  });

  it('is counted from the attempt that succeeded, when the first one failed', async () => {
    const { container, clock, faults, stored } = await openStory();
    let failures = 0;
    faults.d1 = async (_request, next) => {
      if (failures > 0) return next();
      failures += 1;
      clock.advance(5_000);
      return { status: 503, headers: { 'retry-after': '2' }, body: '', outcome: 'fault' };
    };
    const began = Math.floor(clock.now() / 1000);
    await container().tick();
    const { record } = await stored();
    expect(Number(record['obtained_at'])).toBeGreaterThanOrEqual(began + 7);
    expect(Number(record['expires_at'])).toBe(Number(record['obtained_at']) + 900);
  });

  it('is the token’s own exp when D1 does not say expires_in', async () => {
    const { container, faults, clock, sandbox } = await openStory();
    faults.d1 = d1Answers((body) => {
      delete body['expires_in'];
    });
    const ownExpiry = Math.floor(clock.now() / 1000) + 900;
    const { expires_at } = await container().tick();
    expect(expires_at).toBeLessThanOrEqual(ownExpiry);
    expect(expires_at).toBeGreaterThanOrEqual(ownExpiry - 1);
    const { record } = await storedToken(sandbox);
    expect(record['expires_in']).toBe(Number(record['expires_at']) - Number(record['obtained_at']));
    expect(parseTokenRecord(JSON.stringify(record))).toHaveProperty('record');
  });

  it.each([
    ['600 seconds', {}, 600],
    ['the configured default', { D1_DEFAULT_EXPIRES_IN_SECONDS: '120' }, 120],
  ])(
    'is %s after the request when neither D1 nor the token says it: never "no expiry"',
    async (_what, environment, seconds) => {
      const { container, faults, clock, stored } = await openStory();
      faults.d1 = d1Answers((body) => {
        delete body['expires_in'];
        body['access_token'] = 'an-opaque-token';
      });
      const now = Math.floor(clock.now() / 1000);
      await container({ environment }).tick();
      expect((await stored()).record).toMatchObject({
        obtained_at: now,
        expires_at: now + seconds,
        expires_in: seconds,
      });
    },
  );

  it('is never later than a day from now: such a promise is a unit mistaken', async () => {
    const { container, faults, clock } = await openStory();
    faults.d1 = d1Answers((body) => {
      body['expires_in'] = 900_000;
    });
    expect(await container().tick()).toMatchObject({ expires_at: Math.floor(clock.now() / 1000) + 86_400 });
  });

  it('rounds a fraction of a second down', async () => {
    const { container, faults, clock, stored } = await openStory();
    clock.advance(1_000 - (clock.now() % 1_000));
    faults.d1 = d1Answers((body) => {
      body['expires_in'] = 899.9;
    });
    const now = clock.now() / 1000;
    expect(await container().tick()).toMatchObject({ expires_at: now + 899 });
    expect((await stored()).record).toMatchObject({ expires_in: 899.9, expires_at: now + 899 });
  });

  it('may not be while it is on its way: such a token is neither handed out nor stored', async () => {
    const { container, faults, clock, versionCount } = await openStory({ tokenLifetimeSeconds: 5 });
    clock.advance(1_000 - (clock.now() % 1_000));
    faults.d1 = async (_request, next) => {
      const answer = await next();
      clock.advance(5_000);
      return answer;
    };
    const lambda = container();
    await expect(lambda.token()).rejects.toMatchObject({
      code: 'TOKEN_RESPONSE_INVALID',
      what: expect.stringContaining('the access token has expired on its way'),
      correlationId: expect.stringMatching(/./),
    });
    await expect(lambda.tick()).rejects.toMatchObject({ code: 'TOKEN_RESPONSE_INVALID' });
    expect(await versionCount()).toBe(0);
  });
});

describe('The stored record', () => {
  it('says who obtained it, with which key and under which correlation id', async () => {
    const { container, stored } = await openStory();
    await container().token({ correlation_id: 'payment-4711' });
    expect((await stored()).record).toMatchObject({
      token_type: 'Bearer',
      scope: 'issuer.read',
      issuer_id: 'ISSUER0001',
      key_id: 'sandbox-key-1',
      correlation_id: 'payment-4711',
      schema_version: 1,
    });
  });

  it.each([[undefined], [null]])('has no scope when D1 says none: %s', async (scope) => {
    const { container, stored, faults } = await openStory();
    faults.d1 = d1Answers((body) => {
      body['scope'] = scope;
    });
    await container().tick();
    expect((await stored()).record).not.toHaveProperty('scope');
  });
});
