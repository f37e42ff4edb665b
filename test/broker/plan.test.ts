import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Action,
  causeOf,
  type Held,
  type Known,
  plan,
  type Refusal,
  rank,
  rows,
  type Situation,
  supersedes,
  type Wish,
} from '../../src/broker/plan.ts';
import { BrokerError } from '../../src/errors.ts';
import { tokenDigest } from '../../src/shared/token-digest.ts';
import type { TokenRecord } from '../../src/shared/token-record.ts';
import { billed } from '../../src/token-store/forced-writes.ts';
import type { Snapshot } from '../../src/token-store/token-store.ts';
import { sampleRecord } from '../token-store/sample-record.ts';

const NOW_SECONDS = 1_795_000_000;
const NOW = NOW_SECONDS * 1000;

const broken = new BrokerError({ code: 'INTERNAL', what: 'It broke.', remedy: 'Mend it.', retryable: true });

/** A token with `left` seconds to live out of `life`. */
const tokenOf = (name: string, left: number, life = 900, changes: Partial<TokenRecord> = {}): TokenRecord =>
  sampleRecord({
    access_token: name,
    expires_in: life,
    expires_at: NOW_SECONDS + left,
    obtained_at: NOW_SECONDS + left - life,
    ...changes,
  });

/** The secret with a token that was written so many milliseconds ago. */
const secretWith = (record: TokenRecord, writtenAgo: number): Snapshot => ({
  versionId: 'version-1',
  writtenAt: NOW - writtenAgo,
  record,
});

/** A secret with the token `old`, written when D1 gave it. */
const aged = (left: number, life = 900, changes: Partial<TokenRecord> = {}) =>
  secretWith(tokenOf('old', left, life, changes), (life - left) * 1000);

const inMemory = (record: TokenRecord): Held => ({ record, versionId: undefined });
const fromSecret = ({ record, versionId }: Snapshot): Held | undefined => record && { record, versionId };

type Told = Partial<Omit<Situation, 'done' | 'wish'>> &
  Partial<Wish> & { obtained?: boolean; repeatedAt?: number; obtainFailed?: BrokerError; writeFailed?: BrokerError };

/** A situation in which nothing has happened yet; without `held`, the container holds what it has read. */
function situationOf(kind: Wish['kind'], told: Told): Situation {
  const secret = told.secret ?? 'unread';
  const { minRemainingSeconds = 0, refusal, obtained = false, repeatedAt, obtainFailed, writeFailed } = told;
  return {
    wish: { kind, minRemainingSeconds, refusal },
    secret,
    held: 'held' in told ? told.held : typeof secret === 'string' ? undefined : fromSecret(secret),
    now: told.now ?? NOW,
    remainingMilliseconds: told.remainingMilliseconds ?? 30_000,
    refreshWindowSeconds: told.refreshWindowSeconds ?? 300,
    done: {
      obtained: obtained ? tokenOf('obtained', 900) : undefined,
      repeatedAt,
      failed: { obtain: obtainFailed, write: writeFailed },
    },
    isAsking: told.isAsking ?? false,
    askedAt: told.askedAt,
    askedForRefusalAt: told.askedForRefusalAt,
    leftUnstoredAt: told.leftUnstoredAt,
  };
}

/** The plan's answer in one line, like `held: store young, forced`. */
function answerTo(situation: Situation): string {
  const next = plan(situation);
  return `${next.reason}: ${sentenceOf(next)}`;
}

function sentenceOf(action: Action): string {
  switch (action.do) {
    case 'read':
      return 'read';
    case 'serve':
      return `serve ${action.held.record.access_token}`;
    case 'wait':
      return `wait ${action.milliseconds}`;
    case 'store':
      return `store ${action.held.record.access_token}${action.forced ? ', forced' : ''}`;
    case 'obtain':
      return action.forRefusal ? 'obtain, for a refusal' : 'obtain';
    case 'fail':
      return `fail, ${action.with}${action.with === 'not_ready' ? ` for ${action.retryAfterSeconds} s` : ''}`;
  }
}

const tick = (told: Told) => answerTo(situationOf('tick', told));
const call = (told: Told) => answerTo(situationOf('token', told));

type Story = readonly [story: string, told: Told, answer: string];

/** Twelve forced writes have just been made. */
const SPENT = { forced_writes_settled_at: NOW_SECONDS + 86_400 };
const young = inMemory(tokenOf('young', 880));
const worn = inMemory(tokenOf('worn', 600, 900));
/** Older than `worn`, and written a moment ago: the pace forbids to replace it. */
const justWritten = (left: number, changes: Partial<TokenRecord> = {}) =>
  secretWith(tokenOf('old', left, 900, changes), 20_000);
const deadOld = aged(0);

describe('A tick', () => {
  it.each<Story>([
    ['reads first', {}, 'unread: read'],
    ['reads first, whatever is held', { held: young }, 'unread: read'],
    ['reads first, though what is held was stored', { held: { ...young, versionId: 'version-1' } }, 'unread: read'],
    ['fails when it cannot read', { secret: 'unreadable' }, 'failed: fail, read'],
    ['fails when it cannot read, whatever is held', { secret: 'unreadable', held: young }, 'failed: fail, read'],
    ['fails when it could not write', { secret: aged(100), held: young, writeFailed: broken }, 'failed: fail, write'],
    ['leaves a young token', { secret: aged(900) }, 'fresh: serve old'],
    ['leaves a token with a second more than its window', { secret: aged(301) }, 'fresh: serve old'],
    ['replaces it when the window is left', { secret: aged(300) }, 'due: obtain'],
    ['counts whole seconds', { secret: aged(301), now: NOW + 999 }, 'fresh: serve old'],
    ['keeps to its window', { secret: aged(101), refreshWindowSeconds: 100 }, 'fresh: serve old'],
    ['keeps to its window', { secret: aged(100), refreshWindowSeconds: 100 }, 'due: obtain'],
    ['leaves a short-lived token until half its life is over', { secret: aged(61, 120) }, 'fresh: serve old'],
    ['replaces a short-lived token then', { secret: aged(60, 120) }, 'due: obtain'],
    ['replaces a dead token', { secret: deadOld }, 'due: obtain'],
    ['replaces a dead token at once, however young its version', { secret: justWritten(0) }, 'due: obtain'],
    ['fills an empty secret', { secret: {} }, 'due: obtain'],
    ['replaces a foreign value', { secret: { versionId: 'v', writtenAt: NOW, foreign: 'not ours' } }, 'due: obtain'],
    ['does not know when the version was written', { secret: { record: tokenOf('old', 250) } }, 'due: obtain'],
  ])('%s', (_story, told, answer) => {
    expect(tick(told)).toBe(answer);
  });

  describe('that is early', () => {
    const written = (writtenAgo: number, left = 250) => secretWith(tokenOf('old', left), writtenAgo);

    it.each<Story>([
      ['goes on at ten minutes', { secret: written(600_000) }, 'due: obtain'],
      ['waits for the last millisecond', { secret: written(599_999) }, 'paced: wait 1'],
      ['waits for five seconds', { secret: written(595_000) }, 'paced: wait 5000'],
      ['does not wait for more', { secret: written(594_999) }, 'paced: serve old'],
      [
        'waits when a refresh fits afterwards',
        { secret: written(595_000), remainingMilliseconds: 8_000 },
        'paced: wait 5000',
      ],
      ['does not wait when none does', { secret: written(595_000), remainingMilliseconds: 7_999 }, 'paced: serve old'],
      ['leaves a token that can wait', { secret: written(0, 181) }, 'paced: serve old'],
      ['does not leave one that is urgent', { secret: written(0, 180) }, 'due: obtain'],
      [
        'paces a short-lived token by its own life',
        { secret: secretWith(tokenOf('old', 50, 120), 59_999) },
        'paced: wait 1',
      ],
      [
        'paces a short-lived token by its own life',
        { secret: secretWith(tokenOf('old', 50, 120), 60_000) },
        'due: obtain',
      ],
      [
        'knows when a short-lived one is urgent',
        { secret: secretWith(tokenOf('old', 38, 124), 0) },
        'paced: serve old',
      ],
      ['knows when a short-lived one is urgent', { secret: secretWith(tokenOf('old', 37, 124), 0) }, 'due: obtain'],
      [
        'never hurries one whose pace is that of the ticks',
        { secret: secretWith(tokenOf('old', 5, 120), 0) },
        'paced: serve old',
      ],
      [
        'paces a long-lived token by ten minutes',
        { secret: secretWith(tokenOf('old', 250, 3_600), 599_999) },
        'paced: wait 1',
      ],
      [
        'paces a long-lived token by ten minutes',
        { secret: secretWith(tokenOf('old', 250, 3_600), 600_000) },
        'due: obtain',
      ],
    ])('%s', (_story, told, answer) => {
      expect(tick(told)).toBe(answer);
    });
  });

  describe('that holds a newer token', () => {
    it.each<Story>([
      ['stores it in time', { secret: aged(250), held: young }, 'held: store young'],
      [
        'stores it before it is time, while the budget lasts',
        { secret: justWritten(400), held: young },
        'held: store young, forced',
      ],
      ['stores it in place of nothing', { secret: {}, held: young }, 'held: store young'],
      [
        'does not store it twice',
        { secret: aged(400), held: { ...young, versionId: 'version-1' } },
        'fresh: serve old',
      ],
      [
        'stores it within two minutes of its birth',
        { secret: aged(250), held: inMemory(tokenOf('it', 480, 600, { obtained_at: NOW_SECONDS })) },
        'held: store it',
      ],
      [
        'prefers another when it is older',
        { secret: aged(250), held: inMemory(tokenOf('it', 479, 600, { obtained_at: NOW_SECONDS })) },
        'due: obtain',
      ],
      [
        'stores it with 780 s',
        { secret: aged(250), held: inMemory(tokenOf('it', 780, 900, { obtained_at: NOW_SECONDS })) },
        'held: store it',
      ],
      [
        'prefers another when it has less',
        { secret: aged(250), held: inMemory(tokenOf('it', 779, 900, { obtained_at: NOW_SECONDS })) },
        'due: obtain',
      ],
      [
        'stores a short-lived one with three quarters of its life',
        { secret: aged(250), held: inMemory(tokenOf('it', 300, 400, { obtained_at: NOW_SECONDS })) },
        'held: store it',
      ],
      [
        'prefers another when it has less',
        { secret: aged(250), held: inMemory(tokenOf('it', 299, 400, { obtained_at: NOW_SECONDS })) },
        'due: obtain',
      ],
      [
        'stores a long-lived one with 780 s',
        { secret: aged(250), held: inMemory(tokenOf('it', 780, 3_600, { obtained_at: NOW_SECONDS })) },
        'held: store it',
      ],
      [
        'prefers another when it has less',
        { secret: aged(250), held: inMemory(tokenOf('it', 779, 3_600, { obtained_at: NOW_SECONDS })) },
        'due: obtain',
      ],
      [
        'stores a worn one whose write failed',
        { secret: aged(250), held: { ...worn, writeFailed: true } },
        'held: store worn',
      ],
      [
        'stores a worn one whose write failed until it is due itself',
        { secret: aged(100), held: { ...inMemory(tokenOf('it', 301)), writeFailed: true } },
        'held: store it',
      ],
      [
        'prefers another when it is due itself',
        { secret: aged(100), held: { ...inMemory(tokenOf('it', 300)), writeFailed: true } },
        'due: obtain',
      ],
      [
        'stores a worn one of the primary, which has kept its pace',
        { secret: aged(250), held: { ...worn, fromPrimary: true } },
        'held: store worn',
      ],
      [
        'prefers another when that is due itself',
        { secret: aged(100), held: { ...inMemory(tokenOf('it', 300)), fromPrimary: true } },
        'due: obtain',
      ],
      [
        'stores what was just obtained, however short',
        { secret: aged(250), held: worn, obtained: true },
        'held: store worn',
      ],
      [
        'prefers another to a worn one, though the stored one has time',
        { secret: justWritten(400), held: worn },
        'due: obtain',
      ],
      [
        'leaves the secret when the budget is spent',
        { secret: justWritten(400, SPENT), held: young },
        'unforced: serve old',
      ],
      [
        'also leaves it when the held one is worn',
        { secret: justWritten(400, SPENT), held: worn },
        'unforced: serve old',
      ],
      [
        'leaves a stored one that is due to a later tick then',
        { secret: justWritten(300, SPENT), held: young },
        'paced: serve old',
      ],
      [
        'needs no budget when it is time',
        { secret: secretWith(tokenOf('old', 400, 900, SPENT), 600_000), held: young },
        'held: store young',
      ],
      [
        'needs no budget when it is time, nor for another',
        { secret: secretWith(tokenOf('old', 400, 900, SPENT), 600_000), held: worn },
        'due: obtain',
      ],
      [
        'stores a worn one when D1 fails',
        { secret: aged(250), held: worn, obtainFailed: broken },
        'nothing_better: store worn',
      ],
      [
        'stores a worn one when D1 repeats it',
        { secret: aged(250), held: worn, repeatedAt: NOW },
        'nothing_better: store worn',
      ],
      [
        'pays for that when it is early',
        { secret: justWritten(250), held: worn, obtainFailed: broken },
        'nothing_better: store worn, forced',
      ],
      [
        'fails when it cannot pay',
        { secret: justWritten(250, SPENT), held: worn, obtainFailed: broken },
        'failed: fail, obtain',
      ],
      ['gives up a dead one', { secret: aged(400), held: inMemory(tokenOf('dead', 0, 100)) }, 'fresh: serve old'],
      ['takes a newer one for newer', { secret: aged(879), held: young }, 'held: store young, forced'],
      [
        'takes its own for newer, of two that were obtained in the same second',
        { secret: aged(880), held: young },
        'held: store young, forced',
      ],
      [
        'lets the stored one be when its own was stored before',
        { secret: aged(880), held: { ...young, formerVersionId: 'version-0' } },
        'fresh: serve old',
      ],
      [
        'stores the same token with a longer life',
        { secret: aged(250), held: inMemory(tokenOf('old', 880)) },
        'held: store old',
      ],
      ['takes an older one for older', { secret: aged(881), held: young }, 'fresh: serve old'],
    ])('%s', (_story, told, answer) => {
      expect(tick(told)).toBe(answer);
    });
  });

  describe('that D1 gave nothing new', () => {
    const repeated = (left: number, ago = 0) => ({ secret: aged(left), repeatedAt: NOW - ago });

    it.each<Story>([
      ['fails when D1 failed', { secret: aged(250), obtainFailed: broken }, 'failed: fail, obtain'],
      [
        'fails when D1 failed after it repeated itself',
        { ...repeated(250), obtainFailed: broken },
        'failed: fail, obtain',
      ],
      ['leaves the token', repeated(250), 'unchanged: serve old'],
      [
        'leaves it with 66 s to go, however much time there is',
        { ...repeated(66), remainingMilliseconds: 900_000 },
        'unchanged: serve old',
      ],
      ['stays for 65 s', { ...repeated(65), remainingMilliseconds: 68_000 }, 'unchanged: wait 65000'],
      [
        'stays to the millisecond',
        { ...repeated(65), now: NOW + 1, remainingMilliseconds: 67_999 },
        'unchanged: wait 64999',
      ],
      [
        'does not stay when no refresh fits afterwards',
        { ...repeated(65), remainingMilliseconds: 67_999 },
        'unchanged: serve old',
      ],
      ['asks again at its end', repeated(0, 500), 'unchanged: obtain'],
      ['asks again every half second', repeated(0, 499), 'unchanged: wait 1'],
      ['asks again every half second', repeated(-1, 0), 'unchanged: wait 500'],
      [
        'asks again while a refresh fits afterwards, to the millisecond',
        { ...repeated(0, 500), remainingMilliseconds: 3_500 },
        'unchanged: obtain',
      ],
      ['fails when none does', { ...repeated(0, 500), remainingMilliseconds: 3_499 }, 'unchanged: fail, repeated'],
      ['asks for ten seconds', repeated(-10, 500), 'unchanged: obtain'],
      ['asks for no longer', { ...repeated(-10, 500), now: NOW + 1 }, 'unchanged: fail, repeated'],
      ['fails when nothing is stored', { secret: {}, repeatedAt: NOW }, 'unchanged: fail, repeated'],
    ])('%s', (_story, told, answer) => {
      expect(tick(told)).toBe(answer);
    });
  });
});

describe('A caller', () => {
  const stored = aged(600);
  const known = fromSecret(stored);

  it.each<Story>([
    ['gets what is held, and costs no call', { held: known }, 'enough: serve old'],
    ['gets it with exactly the life it asked for', { held: known, minRemainingSeconds: 600 }, 'enough: serve old'],
    ['makes the broker read when it asks for more', { held: known, minRemainingSeconds: 601 }, 'unread: read'],
    ['makes the broker read when nothing is held', {}, 'unread: read'],
    ['makes the broker read when what is held is dead', { held: inMemory(tokenOf('dead', 0)) }, 'unread: read'],
    [
      'gets what lives for the last second',
      { held: inMemory(tokenOf('it', 1)), secret: 'unreadable' },
      'enough: serve it',
    ],
    ['makes the broker store what it holds alone', { held: young }, 'unread: read'],
    ['not again at once', { held: young, leftUnstoredAt: NOW - 9_999 }, 'enough: serve young'],
    ['but after ten seconds', { held: young, leftUnstoredAt: NOW - 10_000 }, 'unread: read'],
    ['does so with what was read', { held: young, secret: aged(250) }, 'held: store young'],
    ['does so before it is time', { held: young, secret: justWritten(250) }, 'held: store young, forced'],
    ['does not spend what is spent', { held: young, secret: justWritten(250, SPENT) }, 'enough: serve young'],
    ['gets a worn one without a write', { held: worn, secret: aged(250) }, 'enough: serve worn'],
    ['gets what D1 gave, once it is stored', { held: worn, secret: aged(250), obtained: true }, 'held: store worn'],
    [
      'gets what D1 gave, stored or not',
      { held: worn, secret: aged(250), obtained: true, writeFailed: broken },
      'enough: serve worn',
    ],
    [
      'gets what D1 gave when the budget is spent',
      { held: young, secret: justWritten(250, SPENT), obtained: true },
      'enough: serve young',
    ],
    [
      'gets what D1 gave, though it asked for more',
      { held: young, secret: 'unreadable', obtained: true, minRemainingSeconds: 890 },
      'asked: serve young',
    ],
    ['gets another when none is there', { secret: {} }, 'wanted: obtain'],
    ['gets another when the stored one is dead', { secret: deadOld }, 'wanted: obtain'],
    ['gets another when the secret is unreadable', { secret: 'unreadable' }, 'wanted: obtain'],
    ['hears what D1 said', { secret: deadOld, obtainFailed: broken }, 'none: fail, obtain'],
    ['hears that D1 repeats a dead one', { secret: deadOld, repeatedAt: NOW }, 'none: fail, repeated'],
    [
      'hears the failure when there are both',
      { secret: deadOld, repeatedAt: NOW, obtainFailed: broken },
      'none: fail, obtain',
    ],
  ])('%s', (_story, told, answer) => {
    expect(call(told)).toBe(answer);
  });

  describe('that wishes for a longer life', () => {
    const wish = { minRemainingSeconds: 840 };
    const written = (writtenAgo: number, left = 400) => ({
      ...wish,
      secret: secretWith(tokenOf('old', left), writtenAgo),
    });

    it.each<Story>([
      ['gets one when it is time', written(600_000), 'wanted: obtain'],
      ['gets what lives when D1 was just asked', { ...written(600_000), askedAt: NOW - 9_999 }, 'asked: serve old'],
      ['gets one ten seconds after that', { ...written(600_000), askedAt: NOW - 10_000 }, 'wanted: obtain'],
      ['joins who is asking', { ...written(600_000), askedAt: NOW, isAsking: true }, 'wanted: obtain'],
      ['waits for the last seconds', written(595_000), 'paced: wait 5000'],
      ['waits when a refresh fits', { ...written(595_000), remainingMilliseconds: 8_000 }, 'paced: wait 5000'],
      ['does not wait when none does', { ...written(595_000), remainingMilliseconds: 7_999 }, 'paced: serve old'],
      ['gets what lives when it is early', written(594_999), 'paced: serve old'],
      ['gets one when the stored one is urgent', written(0, 180), 'wanted: obtain'],
      ['gets what lives when D1 fails', { ...written(600_000), obtainFailed: broken }, 'asked: serve old'],
      ['gets what lives when D1 repeats it', { ...written(600_000), repeatedAt: NOW }, 'asked: serve old'],
      [
        'gets what lives without the secret',
        { ...wish, secret: 'unreadable', held: inMemory(tokenOf('it', 301)) },
        'paced: serve it',
      ],
      [
        'gets one without the secret when that is due',
        { ...wish, secret: 'unreadable', held: inMemory(tokenOf('it', 300)) },
        'wanted: obtain',
      ],
    ])('%s', (_story, told, answer) => {
      expect(call(told)).toBe(answer);
    });
  });

  describe('that was refused the token', () => {
    const refusing = (changes: Partial<Refusal> = {}) => ({
      refusal: { newerThan: tokenOf('old', 600).obtained_at, digest: undefined, fallsBack: false, ...changes },
    });
    const moment = refusing();
    const byDigest = refusing({ newerThan: undefined, digest: tokenDigest('old') });
    const forced = refusing({ fallsBack: true });

    it.each<Story>([
      ['makes the broker read', { ...moment, held: known }, 'unread: read'],
      ['makes the broker read, by its digest', { ...byDigest, held: known }, 'unread: read'],
      [
        'does not spread to others what it refused',
        { ...refusing({ newerThan: NOW_SECONDS }), held: young, secret: aged(600) },
        'refused: obtain, for a refusal',
      ],
      [
        'gets a newer one that is held',
        { ...moment, held: inMemory(tokenOf('it', 601)), leftUnstoredAt: NOW },
        'enough: serve it',
      ],
      [
        'gets one with another digest',
        { ...byDigest, held: inMemory(tokenOf('it', 500)), leftUnstoredAt: NOW },
        'enough: serve it',
      ],
      ['gets a newer one that another container stored', { ...moment, secret: aged(700) }, 'enough: serve old'],
      [
        'gets a newer one that another container stored, though it wishes for a longer life and D1 failed it a moment ago',
        {
          ...moment,
          secret: aged(700),
          minRemainingSeconds: 840,
          askedAt: NOW - 9_999,
          askedForRefusalAt: NOW - 9_999,
        },
        'asked: serve old',
      ],
      [
        'may wish for a longer life then, within the minute of refusals too',
        {
          ...refusing({ newerThan: NOW_SECONDS - 1_000 }),
          secret: aged(250),
          minRemainingSeconds: 840,
          askedAt: NOW - 20_000,
          askedForRefusalAt: NOW - 20_000,
        },
        'wanted: obtain',
      ],
      ['gets another one', { ...moment, secret: stored }, 'refused: obtain, for a refusal'],
      ['gets another one, by its digest', { ...byDigest, secret: stored }, 'refused: obtain, for a refusal'],
      [
        'gets another one without the secret',
        { ...moment, secret: 'unreadable', held: known },
        'refused: obtain, for a refusal',
      ],
      ['gets another one, however early', { ...moment, secret: justWritten(600) }, 'refused: obtain, for a refusal'],
      [
        'gets it when it is stored',
        { ...moment, secret: stored, held: young, obtained: true },
        'held: store young, forced',
      ],
      [
        'may ask again after a minute',
        { ...moment, secret: stored, askedForRefusalAt: NOW - 60_000 },
        'refused: obtain, for a refusal',
      ],
      [
        'is put off within it',
        { ...moment, secret: stored, askedForRefusalAt: NOW - 59_999 },
        'refused: fail, not_ready for 1 s',
      ],
      [
        'is put off for what is left of it',
        { ...moment, secret: stored, askedForRefusalAt: NOW - 18_500 },
        'refused: fail, not_ready for 42 s',
      ],
      [
        'is put off for a minute at most',
        { ...moment, secret: stored, askedForRefusalAt: NOW + 9_000 },
        'refused: fail, not_ready for 60 s',
      ],
      [
        'is not put off for another reason to ask',
        { ...moment, secret: stored, askedAt: NOW },
        'refused: obtain, for a refusal',
      ],
      [
        'waits for an exchange under way',
        { ...moment, secret: stored, askedForRefusalAt: NOW, isAsking: true },
        'refused: obtain, for a refusal',
      ],
      [
        'is put off when D1 repeats it',
        { ...moment, secret: stored, repeatedAt: NOW },
        'refused: fail, not_ready for 1 s',
      ],
      [
        'is put off when D1 repeats it, also while it is asked',
        { ...moment, secret: stored, repeatedAt: NOW, isAsking: true },
        'refused: fail, not_ready for 1 s',
      ],
      [
        'is put off for the minute when D1 repeats it',
        { ...moment, secret: stored, repeatedAt: NOW, askedForRefusalAt: NOW },
        'refused: fail, not_ready for 60 s',
      ],
      ['hears what D1 said', { ...moment, secret: stored, obtainFailed: broken }, 'refused: fail, obtain'],
      ['gets any other when it is dead', { ...moment, secret: deadOld, askedForRefusalAt: NOW }, 'wanted: obtain'],
      ['gets any when none is there', { ...moment, secret: {}, askedForRefusalAt: NOW }, 'wanted: obtain'],
      ['and forces, gets another one', { ...forced, secret: stored }, 'refused: obtain, for a refusal'],
      [
        'and forces, gets it again within a minute of any exchange',
        { ...forced, secret: stored, askedAt: NOW - 59_999 },
        'refused: serve old',
      ],
      [
        'and forces, gets another one after that',
        { ...forced, secret: stored, askedAt: NOW - 60_000 },
        'refused: obtain, for a refusal',
      ],
      [
        'and forces, waits for an exchange under way',
        { ...forced, secret: stored, askedAt: NOW, isAsking: true },
        'refused: obtain, for a refusal',
      ],
      [
        'and forces, gets it again when D1 failed',
        { ...forced, secret: stored, obtainFailed: broken },
        'refused: serve old',
      ],
      [
        'and forces, gets it again when D1 repeats it',
        { ...forced, secret: stored, repeatedAt: NOW },
        'refused: serve old',
      ],
      [
        'and forces, hears what D1 said when it is dead',
        { ...forced, secret: deadOld, obtainFailed: broken },
        'none: fail, obtain',
      ],
    ])('%s', (_story, told, answer) => {
      expect(call(told)).toBe(answer);
    });
  });
});

describe('Every row', () => {
  it('says what it is for, in few words', () => {
    for (const { reason, when, does } of rows) {
      expect(reason).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(when.length).toBeGreaterThan(5);
      expect(does.length).toBeGreaterThan(5);
    }
  });

  it('has a reason of its own among those that can answer the same event', () => {
    for (const kind of ['tick', 'token']) {
      const reasons = rows.filter((row) => row.for === kind || row.for === 'both').map(({ reason }) => reason);
      expect(new Set(reasons).size).toBe(reasons.length);
    }
  });
});

describe('Why the secret gets another token', () => {
  it.each<readonly [string, Known]>([
    ['unread', 'unread'],
    ['unreadable', 'unreadable'],
    ['missing', {}],
    ['foreign', { foreign: 'not ours' }],
    ['expired', aged(0)],
    ['due', aged(1)],
    ['due', aged(300)],
    ['held', aged(301)],
    ['due', aged(60, 120)],
    ['held', aged(61, 120)],
  ])('%s', (cause, secret) => {
    expect(causeOf(situationOf('tick', { secret }))).toBe(cause);
  });
});

describe('Of two tokens', () => {
  const one = tokenOf('one', 600);

  const held = (record: TokenRecord): Held => ({ record, versionId: undefined });

  it('the one that was obtained later takes the place of the other', () => {
    expect(supersedes(held(one), undefined, NOW)).toBe(true);
    expect(supersedes(held(one), tokenOf('other', 599), NOW)).toBe(true);
    expect(supersedes(held(one), tokenOf('other', 601), NOW)).toBe(false);
  });

  it('of the same second the one that was never stored does, once', () => {
    expect(supersedes(held(one), tokenOf('other', 600), NOW)).toBe(true);
    expect(supersedes({ record: one, versionId: 'v' }, tokenOf('other', 600), NOW)).toBe(false);
    expect(supersedes({ ...held(one), formerVersionId: 'v' }, tokenOf('other', 600), NOW)).toBe(false);
  });

  it('that are the same, the one with the longer life does, by more than five seconds', () => {
    const known = { obtained_at: one.obtained_at };
    expect(supersedes(held(one), tokenOf('one', 595, 900, known), NOW)).toBe(false);
    expect(supersedes(held(one), tokenOf('one', 594, 900, known), NOW)).toBe(true);
    expect(supersedes(held(one), tokenOf('one', 594, 900, { obtained_at: one.obtained_at + 1 }), NOW)).toBe(false);
  });

  it('one that was obtained more than a minute from now says nothing by it', () => {
    expect(rank(tokenOf('ahead', 900, 900, { obtained_at: NOW_SECONDS + 60 }), NOW)).toBe(NOW_SECONDS + 60);
    expect(rank(tokenOf('ahead', 900, 900, { obtained_at: NOW_SECONDS + 61 }), NOW)).toBe(0);
    expect(supersedes(held(one), tokenOf('ahead', 900, 900, { obtained_at: NOW_SECONDS + 61 }), NOW)).toBe(true);
  });
});

describe('A digest', () => {
  it('is the beginning of the SHA-256', () => {
    expect(tokenDigest('abc')).toBe('ba7816bf8f01cfea');
  });
});

describe('The budget of forced writes', () => {
  /** Wants a forced write at each moment, in seconds from now, and tells when it was made. */
  function forcedAt(moments: readonly number[]): number[] {
    let stored = tokenOf('first', 900);
    return moments.filter((moment, index) => {
      const now = NOW + moment * 1000;
      const seconds = Math.floor(now / 1000);
      const record = sampleRecord({ access_token: `${index}`, obtained_at: seconds, expires_at: seconds + 900 });
      const lasting = { ...stored, obtained_at: seconds - 100, expires_at: seconds + 800 };
      const secret = { versionId: 'version', writtenAt: now, record: lasting };
      const next = plan(situationOf('token', { secret, held: inMemory(record), obtained: true, now }));
      if (next.do !== 'store') return false;
      expect(next.forced).toBe(true);
      stored = billed(record, stored, next.forced, now);
      return true;
    });
  }

  it('pays for twelve at once, and for one more every two hours', () => {
    expect(forcedAt(Array(20).fill(0))).toHaveLength(12);
    expect(forcedAt([...Array(12).fill(0), 7_199.999, 7_200, 7_201, 14_400])).toEqual([
      ...Array(12).fill(0),
      7_200,
      14_400,
    ]);
  });

  it('never saves more than twelve', () => {
    expect(forcedAt([0, ...Array(20).fill(500_000)])).toHaveLength(13);
  });

  it('never pays for more than 24 in any 24 hours, whenever they are wanted', () => {
    const gaps = fc.oneof(
      fc.constant(0),
      fc.double({ min: 0, max: 60, noNaN: true }),
      fc.double({ min: 0, max: 20_000, noNaN: true }),
    );
    fc.assert(
      fc.property(fc.array(gaps, { maxLength: 120 }), (pauses) => {
        let moment = 0;
        const made = forcedAt(pauses.map((pause) => (moment += pause)));
        for (const first of made) {
          expect(made.filter((one) => one >= first && one <= first + 86_400).length).toBeLessThanOrEqual(24);
        }
      }),
    );
    expect(forcedAt(Array.from({ length: 1_441 }, (_, minute) => minute * 60))).toHaveLength(24);
  });

  it('is the bill of the secret, not of a token', () => {
    const own = tokenOf('young', 900, 900, { forced_writes_settled_at: 5 });
    const bill = NOW_SECONDS + 100;
    const replaced = tokenOf('old', 100, 900, { forced_writes_settled_at: bill });

    expect(billed(own, undefined, false, NOW)).toEqual(tokenOf('young', 900));
    expect(billed(own, undefined, false, NOW)).not.toHaveProperty('forced_writes_settled_at');
    expect(billed(own, replaced, false, NOW).forced_writes_settled_at).toBe(bill);
    expect(billed(own, replaced, true, NOW).forced_writes_settled_at).toBe(bill + 7_200);
    expect(billed(own, undefined, true, NOW + 999).forced_writes_settled_at).toBe(NOW_SECONDS + 7_200);
    expect(billed(own, tokenOf('old', 100), true, NOW).forced_writes_settled_at).toBe(NOW_SECONDS + 7_200);
    const ahead = tokenOf('old', 100, 900, { forced_writes_settled_at: NOW_SECONDS + 1_000_000 });
    expect(billed(own, ahead, false, NOW).forced_writes_settled_at).toBe(NOW_SECONDS + 86_400);
    const past = tokenOf('old', 100, 900, { forced_writes_settled_at: NOW_SECONDS - 100 });
    expect(billed(own, past, true, NOW).forced_writes_settled_at).toBe(NOW_SECONDS + 7_200);
  });
});

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const ago = (longest: number) => fc.integer({ min: 0, max: longest }).map((milliseconds) => NOW - milliseconds);

const records: fc.Arbitrary<TokenRecord> = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    life: fc.oneof(fc.constantFrom(60, 120, 900, 1_200, 3_600), fc.integer({ min: 1, max: 86_400 })),
    left: fc.oneof(fc.integer({ min: -20, max: 900 }), fc.integer({ min: -5_000, max: 86_400 })),
    later: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 900 })),
    settled: maybe(fc.integer({ min: NOW_SECONDS - 100_000, max: NOW_SECONDS + 100_000 })),
  })
  .map(({ name, life, left, later, settled }) => {
    const lasting = Math.min(left, life);
    const obtained_at = NOW_SECONDS + lasting - life + Math.min(later, life - 1);
    return tokenOf(name, lasting, life, {
      obtained_at,
      ...(settled !== undefined && { forced_writes_settled_at: settled }),
    });
  });

const secrets: fc.Arbitrary<Known> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom<Known>('unread', 'unreadable', {}, { versionId: 'v', foreign: 'not ours' }) },
  {
    weight: 4,
    arbitrary: fc.record({
      versionId: fc.constant('version-1'),
      writtenAt: fc.oneof(maybe(ago(700_000)), ago(20_000)),
      record: records,
    }),
  },
);

const refusals: fc.Arbitrary<Refusal> = fc.record({
  newerThan: maybe(
    fc.oneof(fc.integer({ min: NOW_SECONDS - 2_000, max: NOW_SECONDS }), fc.constant(Number.POSITIVE_INFINITY)),
  ),
  digest: maybe(fc.constantFrom('a', 'b', 'c', 'd').map(tokenDigest)),
  fallsBack: fc.boolean(),
});

const situations = (kinds: readonly Wish['kind'][] = ['tick', 'token']): fc.Arbitrary<Situation> =>
  fc.record({
    wish: fc.constantFrom(...kinds).chain((kind) =>
      fc.record({
        kind: fc.constant(kind),
        minRemainingSeconds: kind === 'tick' ? fc.constant(0) : fc.integer({ min: 0, max: 840 }),
        refusal: kind === 'tick' ? fc.constant(undefined) : maybe(refusals),
      }),
    ),
    secret: secrets,
    held: maybe(fc.record({ record: records, versionId: maybe(fc.constant('version-1')) })),
    now: fc.integer({ min: NOW, max: NOW + 999 }),
    remainingMilliseconds: fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: 900_000 })),
    refreshWindowSeconds: fc.oneof(fc.constant(300), fc.integer({ min: 30, max: 840 })),
    done: fc.record({
      obtained: maybe(fc.constant(tokenOf('obtained', 900))),
      repeatedAt: maybe(ago(12_000)),
      failed: fc.record({ obtain: maybe(fc.constant(broken)), write: maybe(fc.constant(broken)) }),
    }),
    isAsking: fc.boolean(),
    askedAt: maybe(ago(90_000)),
    askedForRefusalAt: maybe(ago(90_000)),
    leftUnstoredAt: maybe(ago(15_000)),
  });

// What a situation is, said again and from the milliseconds, so that a slip in the plan is not repeated here.
const lives = ({ record }: Held, now: number) => record.expires_at * 1000 > now;
const isRefused = ({ record }: Held, refusal: Refusal | undefined) =>
  refusal !== undefined &&
  (record.obtained_at <= (refusal.newerThan ?? Number.NEGATIVE_INFINITY) ||
    tokenDigest(record.access_token) === refusal.digest);

function isWriteTooSoon({ secret, now, refreshWindowSeconds }: Situation): boolean {
  if (typeof secret === 'string' || !secret.record || secret.writtenAt === undefined) return false;
  const { expires_in, expires_at } = secret.record;
  const window = Math.min(refreshWindowSeconds, expires_in / 2);
  const isUrgent = expires_at - Math.floor(now / 1000) <= (window * 3) / 5;
  const pace = Math.min(600, Math.max(60, expires_in - window));
  return (!isUrgent || (pace === 60 && expires_at > now / 1000)) && now - secret.writtenAt < pace * 1000;
}

/** In whatever situation. The message of a failure is the situation. */
const always = (arbitrary: fc.Arbitrary<Situation>, holds: (next: Action, situation: Situation) => boolean) =>
  fc.assert(
    fc.property(arbitrary, (situation) => holds(plan(situation), situation)),
    { numRuns: 3_000 },
  );

describe('Whatever the situation', () => {
  it('the plan answers, with the reason of one of its rows', () => {
    const reasons = new Set(rows.map(({ reason }) => reason));
    fc.assert(fc.property(situations(), (situation) => reasons.has(plan(situation).reason)));
  });

  it('nobody is served a dead token', () => {
    always(situations(), (next, { now }) => next.do !== 'serve' || lives(next.held, now));
  });

  it('no caller is served a token that it refused, unless it said that this is better than none', () => {
    always(
      situations(['token']),
      (next, { wish: { refusal } }) =>
        next.do !== 'serve' || !isRefused(next.held, refusal) || refusal?.fallsBack === true,
    );
  });

  it('a tick does not ask D1 before its pace is over, while the stored token can wait and nothing newer is held', () => {
    const withoutNewer = situations(['tick']).map((situation) => ({ ...situation, held: undefined }));
    always(withoutNewer, (next, situation) => next.do !== 'obtain' || !isWriteTooSoon(situation));
  });

  it('a wish does not ask D1 before it is time, while a token that suits lives', () => {
    always(situations(['token']), (next, situation) => {
      const { held, wish, now } = situation;
      const suits = held !== undefined && lives(held, now) && !isRefused(held, wish.refusal);
      return next.do !== 'obtain' || !suits || !isWriteTooSoon(situation);
    });
  });

  it('D1 is not asked for a wish that the held token fulfils', () => {
    always(situations(['token']), (next, { held, wish, now }) => {
      const suits = held !== undefined && lives(held, now) && !isRefused(held, wish.refusal);
      return (
        next.do !== 'obtain' || !suits || held.record.expires_at - Math.floor(now / 1000) < wish.minRemainingSeconds
      );
    });
  });

  it('a write is forced if, and only if, it is too soon; and a spent budget forces none', () => {
    always(situations(), (next, situation) => {
      if (next.do !== 'store') return true;
      if (next.forced !== isWriteTooSoon(situation)) return false;
      const settledAt =
        typeof situation.secret === 'string' ? 0 : (situation.secret.record?.forced_writes_settled_at ?? 0);
      return !next.forced || settledAt * 1000 - situation.now <= 11 * 7_200_000;
    });
  });

  it('nothing is stored in a secret that was not read', () => {
    const unknown = fc.tuple(situations(), fc.constantFrom<Known>('unread', 'unreadable'));
    always(
      unknown.map(([situation, secret]) => ({ ...situation, secret })),
      (next) => next.do !== 'store',
    );
  });

  it('only a token that lives, and that is in memory alone, is stored', () => {
    always(situations(), (next, { now }) => next.do !== 'store' || (lives(next.held, now) && !next.held.versionId));
  });

  it('no token that was obtained before the stored one is stored, and the same one with a longer life only', () => {
    always(situations(), (next, { secret, now }) => {
      if (next.do !== 'store' || typeof secret === 'string' || !secret.record) return true;
      const [own, stored] = [next.held.record, secret.record];
      if (own.access_token === stored.access_token) return own.expires_at > stored.expires_at + 5;
      const isAhead = stored.obtained_at > now / 1000 + 60;
      return isAhead || own.obtained_at >= stored.obtained_at;
    });
  });

  it('an invocation in which D1 failed does not ask it again', () => {
    always(situations(), (next, { done }) => next.do !== 'obtain' || !done.failed.obtain);
  });

  it('an invocation in which a write failed does not write again', () => {
    always(situations(), (next, { done }) => next.do !== 'store' || !done.failed.write);
  });

  it('the secret is read once, and before D1 is asked', () => {
    always(situations(), (next, { secret }) => next.do !== 'read' || secret === 'unread');
    always(situations(), (next, { secret }) => next.do !== 'obtain' || secret !== 'unread');
  });

  it('a wait is one, and is over before the time is', () => {
    // Rare among all situations: D1 has just repeated a token that is about to end, or has ended; a clock may go back.
    const repeating = fc
      .tuple(situations(['tick']), fc.integer({ min: -11, max: 70 }), fc.integer({ min: NOW - 600, max: NOW + 5_000 }))
      .map(([situation, left, repeatedAt]) => ({
        ...situation,
        secret: aged(left),
        held: undefined,
        done: { ...situation.done, repeatedAt, failed: {} },
      }));
    always(
      fc.oneof(situations(), repeating),
      (next, { remainingMilliseconds }) =>
        next.do !== 'wait' || (next.milliseconds > 0 && next.milliseconds <= remainingMilliseconds),
    );
  });

  it('who is put off is put off for a second at least and a minute at most', () => {
    always(
      situations(['token']),
      (next) =>
        next.do !== 'fail' ||
        next.with !== 'not_ready' ||
        (next.retryAfterSeconds >= 1 && next.retryAfterSeconds <= 60),
    );
  });

  it('what fails has a failure to tell', () => {
    always(situations(), (next, { done, secret }) => {
      if (next.do !== 'fail') return true;
      if (next.with === 'obtain') return done.failed.obtain !== undefined;
      if (next.with === 'write') return done.failed.write !== undefined;
      if (next.with === 'read') return secret === 'unreadable';
      return next.with === 'not_ready' || done.repeatedAt !== undefined;
    });
  });
});
