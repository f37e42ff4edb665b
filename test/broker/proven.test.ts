import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AwsError } from '../../sandbox/aws/server.ts';
import { TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { tokenDigest } from '../../src/shared/token-digest.ts';
import { d1Answers, d1Refuses, openStory, readOnly, refreshCalls, refusing, secondWrite } from './open-story.ts';

// What a review of an earlier design proved to be broken. Each story failed then.

const MINUTE = 60_000;

describe('A direct call with a large wish', () => {
  it('leaves nothing behind that a tick stores when it is minutes old: the secret never has less than 237 s', async () => {
    const { container, clock, stored } = await openStory();
    const lambda = container();
    await lambda.tick();
    let least = Number.POSITIVE_INFINITY;
    for (let minute = 1; minute <= 60; minute += 1) {
      clock.advance(MINUTE);
      if (minute === 6) await lambda.token({ min_remaining_seconds: 600 });
      await lambda.token({ min_remaining_seconds: 840 });
      least = Math.min(least, Number((await stored()).record['expires_at']) - clock.now() / 1000);
      await lambda.tick();
    }
    expect(least).toBeGreaterThanOrEqual(237);
  });

  it('costs no exchange while the pace forbids the write, however often it comes', async () => {
    const { container, clock, sandbox, versionCount } = await openStory();
    const lambda = container();
    await lambda.tick();
    for (let minute = 1; minute < 10; minute += 1) {
      clock.advance(MINUTE);
      expect(await lambda.token({ min_remaining_seconds: 840 })).toMatchObject({ expires_in: 900 - minute * 60 });
    }
    expect(sandbox.calls.count('d1', 'oauth2/token')).toBe(1);
    expect(await versionCount()).toBe(1);
  });

  it('does not overwrite the winner of a swap', async () => {
    const { container, store, recordOf, faults, versionCount } = await openStory();
    await store(recordOf(700));
    const [lambda, other] = [container(), container()];
    faults.aws = async (call, next) => {
      if (call.operation === 'PutSecretValue') {
        faults.aws = undefined;
        await other.tick();
      }
      return next();
    };
    await lambda.token({ min_remaining_seconds: 840 });
    const versions = await versionCount();
    await lambda.token({ min_remaining_seconds: 840 });
    await other.token({ min_remaining_seconds: 840 });
    expect(await versionCount()).toBe(versions);
  });
});

describe('A refused token', () => {
  it('is replaced in the secret by the next event, when the write of its replacement failed', async () => {
    const { container, clock, store, recordOf, faults, stored, calls } = await openStory();
    const refused = recordOf(100);
    await store(refused);
    const lambda = container();
    faults.aws = refusing('PutSecretValue', 'InternalServiceError');
    const answer = await lambda.token({ newer_than: refused.obtained_at });
    faults.aws = undefined;
    clock.advance(MINUTE);
    calls();
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'held' });
    expect(calls()).toEqual(secondWrite);
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });

  it('is not what another container answers, and costs it no exchange', async () => {
    const { container, clock, calls, sandbox } = await openStory();
    const [lambda, other] = [container(), container()];
    const { obtained_at } = await lambda.token();
    await other.token();
    clock.advance(2 * MINUTE);
    const answer = await lambda.token({ newer_than: obtained_at });
    calls();
    expect(await other.token({ newer_than: obtained_at })).toMatchObject({ access_token: answer.access_token });
    expect(calls()).toEqual(readOnly);
    expect(await other.token({ newer_than: obtained_at })).toMatchObject({ source: 'memory' });
    expect(calls()).toEqual({});
    expect(sandbox.calls.count('d1', 'oauth2/token')).toBe(2);
  });

  it('is known by its digest where its time is not', async () => {
    const { container, store, recordOf } = await openStory();
    const refused = recordOf(100);
    await store(refused);
    const answer = await container().token({
      newer_than: refused.obtained_at - 50,
      refused: tokenDigest(refused.access_token),
    });
    expect(answer).toMatchObject({ source: 'exchange', expires_in: 900 });
  });

  it('is never the answer: within a minute of the last exchange for a refusal it is REPLACEMENT_NOT_READY', async () => {
    const { container, clock } = await openStory();
    const lambda = container();
    const first = await lambda.token();
    const second = await lambda.token({ newer_than: first.obtained_at });
    clock.advance(20_000);
    await expect(lambda.token({ newer_than: second.obtained_at })).rejects.toMatchObject({
      code: 'REPLACEMENT_NOT_READY',
      retryable: true,
      message: expect.stringContaining('retry_after_seconds=40'),
    });
    clock.advance(40_000);
    expect(await lambda.token({ newer_than: second.obtained_at })).toMatchObject({ source: 'exchange' });
  });

  it('gets a replacement that counts as newer, also where the clock went back', async () => {
    const { container, clock } = await openStory();
    const lambda = container();
    const refused = await lambda.token();
    clock.advance(-30_000);
    const answer = await lambda.token({ newer_than: refused.obtained_at });
    expect(answer.obtained_at).toBe(refused.obtained_at + 1);
    expect(answer.access_token).not.toBe(refused.access_token);
  });

  it('gets a replacement that does not count as obtained after its end, where a clock was ahead of a short life', async () => {
    const { container, store, recordOf } = await openStory({ tokenLifetimeSeconds: 30 });
    const refused = recordOf(-55, 60);
    await store(refused);
    const answer = await container().token({ refused: tokenDigest(refused.access_token) });
    expect(answer.obtained_at).toBe(answer.expires_at - 1);
  });

  it('is replaced by force also when a clock that was ahead has dated it', async () => {
    const { container, store, recordOf, stored } = await openStory();
    await store(recordOf(-300, 600));
    const answer = await container().token({ force: true });
    expect(answer).toMatchObject({ source: 'exchange' });
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });

  it('is written over 24 times a day at most; beyond that callers are served from memory', async () => {
    const { container, clock, versionCount } = await openStory();
    const lambda = container();
    let last = await lambda.token();
    for (let call = 1; call <= 40; call += 1) {
      clock.advance(61_000);
      last = await lambda.token({ newer_than: last.obtained_at });
      expect(last.expires_in).toBe(900);
    }
    // The first, twelve forced ones, and what ten-minute pace allows: four in forty minutes.
    expect(await versionCount()).toBeLessThanOrEqual(1 + 12 + 4);
  });
});

describe('A token that was obtained', () => {
  it('is not thrown away for the older one of the winner, though it was asked for first', async () => {
    const { container, store, stored, clock, recordOf, faults } = await openStory();
    const refused = recordOf(700);
    await store(refused);
    const [lambda, other] = [container(), container()];
    faults.d1 = async (_request, next) => {
      faults.d1 = undefined;
      // While this answer is on its way, another container gets a token and stores it.
      await other.tick();
      clock.advance(8_000);
      return next();
    };
    const answer = await lambda.token({ newer_than: refused.obtained_at });
    expect(answer).toMatchObject({ source: 'exchange' });
    expect((await stored()).record).toMatchObject({ access_token: answer.access_token });
  });

  it('is found again by a read that is seconds behind: no second exchange, and no older token over it', async () => {
    const { container, clock, store, recordOf, faults, stored, calls, sandbox } = await openStory();
    await store(recordOf(700));
    const before = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
    const lambda = container();
    await lambda.tick();
    const { versionId } = await stored();
    clock.advance(3_000);
    calls();
    faults.aws = async (call, next) => (call.operation === 'GetSecretValue' ? { status: 200, body: before } : next());
    expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'fresh' });
    faults.aws = undefined;
    expect(calls()).toEqual(readOnly);
    expect((await stored()).versionId).toBe(versionId);
  });

  it('is not expected any more of a read that is ten seconds later: what it shows is what the secret holds', async () => {
    const { container, clock, store, recordOf, faults, sandbox, calls } = await openStory();
    await store(recordOf(700));
    const before = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
    const lambda = container();
    await lambda.tick();
    const shown = async (milliseconds: number) => {
      clock.advance(milliseconds);
      calls();
      faults.aws = async (call, next) => {
        if (call.operation !== 'GetSecretValue') return next();
        faults.aws = undefined;
        return { status: 200, body: before };
      };
      await lambda.tick();
      return calls();
    };
    expect(await shown(9_999)).toEqual(readOnly);
    expect(await shown(1)).toMatchObject({ 'PutSecretValue d1/access-token': 1 });
  });
});

describe('D1 that gives the same token again', () => {
  it('costs no write: the record stays as it was, and ticks ask again', async () => {
    const { container, clock, stored, versionCount, calls } = await openStory({ tokenReuseUntilSeconds: 0 });
    const lambda = container();
    await lambda.tick();
    const first = await stored();
    clock.advance(10 * MINUTE);
    calls();
    for (let minute = 0; minute < 4; minute += 1) {
      expect(await lambda.tick()).toMatchObject({ refreshed: false, reason: 'unchanged' });
      clock.advance(MINUTE);
    }
    expect(calls()).toMatchObject({ 'oauth2/token': 4, 'GetSecretValue d1/access-token': 4 });
    expect(await stored()).toEqual(first);
    expect(await versionCount()).toBe(1);
  });

  it('has the last tick stay until the token’s end, and store the next one within two seconds', async () => {
    const { container, clock, stored } = await openStory({ tokenReuseUntilSeconds: 0 });
    const own = skippingClock(clock);
    const lambda = container({ clock: own });
    await lambda.tick();
    const { record } = await stored();
    clock.advance(850_000);
    expect(await lambda.tick(90_000)).toMatchObject({ refreshed: true });
    const next = (await stored()).record;
    expect(next['access_token']).not.toBe(record['access_token']);
    expect(Number(next['obtained_at']) - Number(record['expires_at'])).toBeLessThanOrEqual(2);
  });

  it('and promises it a longer life, is believed, and not asked again: a tick stores one version', async () => {
    const { container, store, recordOf, faults, stored, clock, versionCount } = await openStory();
    const { access_token: token } = recordOf(750);
    await store(recordOf(750));
    const versions = await versionCount();
    let asked = 0;
    faults.d1 = d1Answers((body) => {
      asked += 1;
      body['expires_in'] = 150 + asked * 10;
      body['access_token'] = token;
    });
    expect(await container().tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect(asked).toBe(1);
    expect(await versionCount()).toBe(versions + 1);
    expect((await stored()).record['expires_at']).toBe(Math.floor(clock.now() / 1000) + 160);
  });

  it('and promises it a longer life, is written again when AWSCURRENT was moved back behind what another container wrote', async () => {
    const { container, store, recordOf, faults, stored, sandbox } = await openStory();
    const { access_token: token } = recordOf(750);
    const first = await store(recordOf(750));
    faults.d1 = d1Answers((body) => Object.assign(body, { access_token: token, expires_in: 160 }));
    const { version_id: second } = await container().tick();
    await sandbox.secretsManager.handle('UpdateSecretVersionStage', {
      SecretId: TOKEN_SECRET,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: first,
      RemoveFromVersionId: second,
    });
    const { refreshed, version_id: third } = await container().tick();
    expect(refreshed).toBe(true);
    expect((await stored()).versionId).toBe(third);
  });

  it('and puts its end off until the next tick would be too late, has the tick stay until that end', async () => {
    const { container, clock, store, recordOf, faults, stored } = await openStory();
    const { access_token: token, expires_at: end } = recordOf(870);
    await store(recordOf(870));
    let asked = 0;
    faults.d1 = d1Answers((body) => {
      asked += 1;
      if (asked > 1) return;
      body['expires_in'] = 40;
      body['access_token'] = token;
    });
    expect(await container({ clock: skippingClock(clock) }).tick(90_000)).toMatchObject({
      refreshed: true,
      reason: 'due',
    });
    expect(asked).toBe(2);
    const late = Number((await stored()).record['obtained_at']) - (end + 10);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThanOrEqual(2);
  });

  it('in its last second, with nothing left of it, is no fault: a living token stays, and with none it is said', async () => {
    const { container, store, recordOf, faults } = await openStory();
    faults.d1 = d1Answers((body) => {
      body['expires_in'] = 0;
    });
    const said = { code: 'TOKEN_RESPONSE_INVALID', what: expect.stringContaining('repeats an access token') };
    await expect(container().tick()).rejects.toMatchObject(said);
    await expect(container().token()).rejects.toMatchObject(said);
    await store(recordOf(700));
    expect(await container().tick()).toMatchObject({ refreshed: false, reason: 'unchanged' });
  });

  it('and promises it a longer life than before, has the new end stored; its place among the tokens stays', async () => {
    const { container, clock, faults, stored, versionCount } = await openStory({ tokenReuseUntilSeconds: 0 });
    clock.advance(1_000 - (clock.now() % 1_000));
    faults.d1 = d1Answers((body) => {
      body['expires_in'] = 300;
    });
    const lambda = container();
    await lambda.tick();
    const { record } = await stored();
    faults.d1 = undefined;
    clock.advance(4 * MINUTE);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect((await stored()).record).toEqual({
      ...record,
      correlation_id: expect.not.stringContaining(String(record['correlation_id'])),
      expires_at: Number(record['obtained_at']) + 900,
      expires_in: 900,
    });
    expect(await versionCount()).toBe(2);
  });

  it('never gives a refused token for a replacement', async () => {
    const { container } = await openStory({ tokenReuseUntilSeconds: 60 });
    const lambda = container();
    const refused = await lambda.token();
    const digest = createHash('sha256').update('another').digest('hex').slice(0, 16);
    await expect(lambda.token({ newer_than: refused.obtained_at, refused: digest })).rejects.toMatchObject({
      code: 'REPLACEMENT_NOT_READY',
    });
    expect(await lambda.token({ force: true })).toMatchObject({ access_token: refused.access_token });
  });

  /** Sleeps of any length are skipped: they move the bank's clock. */
  function skippingClock(clock: { now(): number; advance(milliseconds: number): void }) {
    return {
      now: () => clock.now(),
      sleep: async (milliseconds: number, signal?: AbortSignal) => {
        // A deadline's sleep must not be skipped: it ends with its signal.
        if (signal) return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        clock.advance(milliseconds);
      },
    };
  }
});

describe('Tokens that live 661-840 s', () => {
  it.each([661, 700, 760, 840])('of %d s get at least four tries in an outage', async (life) => {
    const { container, clock, faults } = await openStory({ tokenLifetimeSeconds: life });
    const lambda = container();
    await lambda.tick();
    faults.d1 = d1Refuses;
    let tries = 0;
    for (let minute = 1; minute * 60 < life; minute += 1) {
      clock.advance(MINUTE);
      await lambda.tick().catch(() => {
        tries += 1;
      });
    }
    expect(tries).toBeGreaterThanOrEqual(4);
  });
});

describe('A tick that has to wait', () => {
  it('does not wait longer than the deadline allows', async () => {
    const { container, clock, ownClock, putAside, recordOf } = await openStory();
    const record = recordOf(601);
    clock.advance(-597_000);
    await putAside({ SecretString: JSON.stringify(record) });
    clock.advance(597_000);
    // On this clock a sleep would never end.
    const lambda = container({ clock: ownClock() });
    expect(await lambda.tick(4_000)).toMatchObject({ refreshed: false, reason: 'paced' });
  });
});

describe('Secrets Manager that throttles', () => {
  it('keeps no caller from its token', async () => {
    const { container, store, recordOf, faults } = await openStory();
    const refused = recordOf(100);
    await store(refused);
    faults.aws = async (call, next) => {
      if (call.operation === 'PutSecretValue') throw new AwsError('ThrottlingException', 'Rate exceeded');
      return next();
    };
    expect(await container().token({ newer_than: refused.obtained_at })).toMatchObject({ source: 'exchange' });
  });
});

describe('One refresh', () => {
  it('is one signature, one exchange, one read and one write', async () => {
    const { container, clock, calls } = await openStory();
    const lambda = container();
    await lambda.tick();
    clock.advance(601_000);
    calls();
    await lambda.tick();
    expect(calls()).toEqual(refreshCalls);
  });
});
