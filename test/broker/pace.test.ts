import { describe, expect, it } from 'vitest';
import { earlyByMilliseconds } from '../../src/broker/pace.ts';
import { sampleRecord } from '../token-store/sample-record.ts';
import { certificateRead, openStory, readOnly, refreshCalls } from './open-story.ts';

// AWS asks for no more than one PutSecretValue per ten minutes. The refresh window alone does not hold that: ticks
// jitter, latencies differ, and a token may be written a while after it was obtained.
describe('The pace of writes', () => {
  /** A container that finds the token due a little before its version is ten minutes old. */
  const hasty = (seconds: number) => ({ environment: { D1_REFRESH_WINDOW_SECONDS: String(300 + seconds) } });

  it('makes a tick wait for the seconds that a version lacks to ten minutes', async () => {
    const { container, calls, clock } = await openStory();
    await container().tick();
    clock.advance(597_000);
    calls();
    const began = clock.now();
    expect(await container(hasty(3)).tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect(clock.now() - began).toBe(3_000);
    expect(calls()).toEqual({ ...refreshCalls, ...certificateRead });
  });

  it('makes a tick leave it to the next one when more is lacking', async () => {
    const { container, calls, clock, stored } = await openStory();
    await container().tick();
    const before = await stored();
    clock.advance(590_000);
    calls();
    expect(await container(hasty(10)).tick()).toEqual({
      refreshed: false,
      reason: 'paced',
      expires_at: before.record['expires_at'],
      version_id: before.versionId,
    });
    expect(calls()).toEqual(readOnly);
    clock.advance(60_000);
    expect(await container(hasty(10)).tick()).toMatchObject({ refreshed: true, reason: 'due' });
  });

  it('keeps the token of a demanding caller in memory, and the tick stores it when it is time', async () => {
    const { container, calls, clock, stored } = await openStory();
    const lambda = container();
    await lambda.tick();
    const before = await stored();
    clock.advance(400_000);
    calls();
    const answer = await lambda.token({ min_remaining_seconds: 700 });
    expect(answer).toMatchObject({ source: 'exchange', expires_in: 900 });
    expect(calls()).toEqual({ 'GetSecretValue d1/access-token': 1, Sign: 1, 'oauth2/token': 1 });
    expect((await stored()).versionId).toBe(before.versionId);

    clock.advance(200_000);
    expect(await lambda.tick()).toMatchObject({ refreshed: true, reason: 'due' });
    expect(calls()).toEqual({ ...readOnly, 'PutSecretValue d1/access-token': 1 });
    expect((await stored()).record['access_token']).toBe(answer.access_token);
  });

  it('does not hold up a forced refresh', async () => {
    const { container, calls, clock } = await openStory();
    const lambda = container();
    await lambda.tick();
    clock.advance(61_000);
    calls();
    expect(await lambda.token({ force: true })).toMatchObject({ source: 'exchange' });
    expect(calls()).toEqual(refreshCalls);
  });

  it('gives each version a successor of its own: a second refresh costs one write too', async () => {
    const { container, calls, clock, versionCount } = await openStory();
    const lambda = container();
    await lambda.tick();
    for (const versions of [2, 3]) {
      clock.advance(601_000);
      calls();
      await lambda.tick();
      expect(calls()).toEqual(refreshCalls);
      expect(await versionCount()).toBe(versions);
    }
  });
});

describe('How much too soon a write would be', () => {
  const writtenAt = 1_000_000_000_000;
  const record = sampleRecord({ expires_in: 900, obtained_at: writtenAt / 1000, expires_at: writtenAt / 1000 + 900 });

  it.each([
    ['at once', 0, 600_000],
    ['a moment before', 599_999, 1],
    ['at ten minutes', 600_000, 0],
    ['later', 700_000, 0],
  ])('%s', (_when, age, early) => {
    expect(earlyByMilliseconds({ record, writtenAt }, writtenAt + age)).toBe(early);
  });

  it('is nothing when the token has a minute left or less, or is dead', () => {
    const late = { record, writtenAt: writtenAt + 500_000 };
    expect(earlyByMilliseconds(late, writtenAt + 839_000)).toBe(261_000);
    expect(earlyByMilliseconds(late, writtenAt + 840_000)).toBe(0);
    expect(earlyByMilliseconds(late, writtenAt + 1_000_000)).toBe(0);
  });

  it('is nothing for a token that does not live so long, for no token, and for a version of unknown age', () => {
    const short = { ...record, expires_in: 660, expires_at: record.obtained_at + 660 };
    expect(earlyByMilliseconds({ record: short, writtenAt }, writtenAt)).toBe(0);
    expect(earlyByMilliseconds({ record: { ...short, expires_in: 661 }, writtenAt }, writtenAt)).toBe(600_000);
    expect(earlyByMilliseconds({ writtenAt }, writtenAt)).toBe(0);
    expect(earlyByMilliseconds({ record }, writtenAt)).toBe(0);
  });
});
