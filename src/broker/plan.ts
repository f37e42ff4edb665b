import type { BrokerError } from '../errors.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../shared/d1.ts';
import { tokenDigest } from '../shared/token-digest.ts';
import { sameToken, secondsLeft, type TokenRecord } from '../shared/token-record.ts';
import { mayForce } from '../token-store/forced-writes.ts';
import type { Snapshot } from '../token-store/token-store.ts';

/** AWS asks for no more than one PutSecretValue per ten minutes, sustained (Secrets Manager User Guide, quotas). */
const PACE_SECONDS = 600;
/** Ticks come no more often. */
const SHORTEST_PACE_SECONDS = 60;
/** Storing restarts the pace, so what is stored has this much more than the pace left, or its life less two minutes. */
const SPARE_SECONDS = 180;
/** With less than this share of its window left, a token is replaced whatever the pace says: tries must remain. */
const URGENT_SHARE = 0.6;
/** What is too soon by no more than this is waited for; a tick that is earlier leaves it to the next one. */
const LONGEST_PACE_WAIT_MILLISECONDS = 5_000;
/** Of a token that D1 repeats: a tick that finds no more than this stays until its end. The next one may be as far away. */
const STAY_SECONDS = 65;
/** After the end of a repeated token D1 is asked this often, for this long. */
const POLL_MILLISECONDS = 500;
const LONGEST_POLL_MILLISECONDS = 10_000;
/** One exchange for refusals in this time and container: a caller can get 401 for another reason. */
const REFUSAL_FLOOR_MILLISECONDS = 60_000;
/** What has just been tried is not tried again by the next direct caller: storing what is held, asking D1 for more life. */
const AGAIN_MILLISECONDS = 10_000;
const LONGER_LIFE_SECONDS = 5;
/** What still fits between a wait and the deadline: an exchange and a write. */
const REFRESH_MILLISECONDS = 3_000;

/** What is known of the secret: nothing yet, that it can't be read, or what it holds. */
export type Known = 'unread' | 'unreadable' | Snapshot;

/** The newest token that this container has. */
export interface Held {
  readonly record: TokenRecord;
  /** The version of the secret that holds it; `undefined` while it is in this container's memory alone. */
  readonly versionId: string | undefined;
  /** The version that held it when it was current, if it is current no more. */
  readonly formerVersionId?: string | undefined;
  /** Writing it has failed: then it is tried again, and D1 is not asked for another one meanwhile. */
  readonly writeFailed?: boolean;
  /** The primary's, in another Region, that its standby has read from a replica: it is copied as soon as it is seen. */
  readonly fromPrimary?: boolean;
}

/** Which tokens do not suit a caller. */
export interface Refusal {
  /** Seconds since 1970 UTC: `obtained_at` of the refused token. */
  readonly newerThan: number | undefined;
  /** First 16 hexadecimal characters of the SHA-256 of the refused access token. */
  readonly digest: string | undefined;
  /** A refused token is better than none: `force` falls back, `newer_than` does not. */
  readonly fallsBack: boolean;
}

export interface Wish {
  readonly kind: 'tick' | 'token';
  readonly minRemainingSeconds: number;
  readonly refusal: Refusal | undefined;
}

/** What went wrong last, by what was tried. */
export type Failures = Partial<Record<'read' | 'obtain' | 'write', BrokerError | undefined>>;

/** Everything that the plan looks at. */
export interface Situation {
  readonly wish: Wish;
  readonly secret: Known;
  readonly held: Held | undefined;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Milliseconds until the invocation must have answered. */
  readonly remainingMilliseconds: number;
  readonly refreshWindowSeconds: number;
  /** What this invocation has done, alone or with others. */
  readonly done: {
    /** What D1 gave, if it was new, or a known token with a later end. */
    readonly obtained?: TokenRecord | undefined;
    /** Milliseconds since 1970 UTC: when D1 last gave a token that was known, whatever its end, or one without life. */
    readonly repeatedAt?: number | undefined;
    readonly failed: Readonly<Failures>;
  };
  /** D1 is being asked, for whomever: who wants another token waits for it. */
  readonly isAsking: boolean;
  /** Milliseconds since 1970 UTC: when this container last asked D1, for whatever reason. */
  readonly askedAt: number | undefined;
  /** Milliseconds since 1970 UTC: when this container last asked D1 because of a refusal. */
  readonly askedForRefusalAt: number | undefined;
  /** Milliseconds since 1970 UTC: when an event of this container last ended with its newest token in memory alone. */
  readonly leftUnstoredAt: number | undefined;
}

export type Action =
  | { readonly do: 'serve'; readonly held: Held }
  | { readonly do: 'read' }
  | { readonly do: 'wait'; readonly milliseconds: number }
  /** @property forced The pace forbids it, and the budget pays. */
  | { readonly do: 'store'; readonly held: Held; readonly forced: boolean }
  | { readonly do: 'obtain'; readonly forRefusal: boolean }
  /** What went wrong before is the answer; `not_ready`: see REPLACEMENT_NOT_READY. */
  | { readonly do: 'fail'; readonly with: 'read' | 'write' | 'obtain' | 'repeated' }
  | { readonly do: 'fail'; readonly with: 'not_ready'; readonly retryAfterSeconds: number };

/** What the rows are asked about: the situation, and what follows from it at once. */
interface View extends Situation {
  readonly stored: Held | undefined;
  /** The held token, when it lives and the caller has not refused it. */
  readonly suits: Held | undefined;
  /** The same, when it lives as long as asked for. */
  readonly enough: Held | undefined;
  /** The held token, when it is newer than the stored one and should take its place. */
  readonly waiting: Held | undefined;
  readonly early: number;
  readonly mayForce: boolean;
  readonly due: boolean;
  /** D1 was asked, and failed or repeated itself. */
  readonly inVain: boolean;
}

interface Row {
  /** Public: a tick's `reason`, and the first column of the table in docs/architecture.md. */
  readonly reason: string;
  readonly for: 'tick' | 'token' | 'both';
  readonly when: string;
  readonly does: string;
  /** The action, or `undefined`: then the next row is asked. */
  readonly decide: (view: View) => Action | undefined;
}

const serve = (held: Held): Action => ({ do: 'serve', held });
const obtain: Action = { do: 'obtain', forRefusal: false };

/**
 * The policy. The first row that answers decides, so the order is the policy too. docs/architecture.md shows it as a table,
 * which is made from this list.
 */
export const rows: readonly Row[] = [
  {
    reason: 'unread',
    for: 'both',
    when: 'the secret was not read in this invocation, and a tick asks, or the held token does not suit, lives shorter than asked for, or is not stored and no event within 10 s was left with it',
    does: 'read it',
    decide: ({ secret, wish, enough, leftUnstoredAt, now }) => {
      const isServed =
        wish.kind === 'token' && enough && (enough.versionId !== undefined || isRecent(leftUnstoredAt, now));
      return secret === 'unread' && !isServed ? { do: 'read' } : undefined;
    },
  },
  {
    reason: 'held',
    for: 'both',
    when: 'the held token is newer than the stored one, was just obtained or has at least 780 s or its life less two minutes left (three quarters where that is more) or failed to be stored before or comes from the primary and is not due, and the pace (the primary has kept it) or the budget of forced writes allows it',
    does: 'store it',
    decide: (view) => {
      const { waiting, done } = view;
      // What this caller has refused is not spread to others.
      if (!waiting || waiting !== view.suits) return undefined;
      return done.obtained || isWorthStoring(waiting, view) ? store(view, waiting) : undefined;
    },
  },
  {
    reason: 'enough',
    for: 'token',
    when: 'the held token suits the caller and lives as long as asked for',
    does: 'serve it',
    decide: ({ enough }) => enough && serve(enough),
  },
  {
    reason: 'asked',
    for: 'token',
    when: 'a token that suits lives, and this invocation has asked D1, or its container within 10 s',
    does: 'serve it, stored or not, with a warning when D1 failed: a wish for life is a wish, and callers with large wishes do not ask one after the other',
    decide: ({ suits, done, inVain, isAsking, askedAt, now }) =>
      suits && (done.obtained || inVain || (!isAsking && isRecent(askedAt, now))) ? serve(suits) : undefined,
  },
  {
    reason: 'paced',
    for: 'token',
    when: 'a token that suits lives, and the pace forbids to store another (or the secret is unreadable and the token is not due)',
    does: 'serve it, whatever life was asked for; wait first when it is a matter of 5 s',
    decide: (view) => {
      const { suits, secret, early, due } = view;
      if (!suits) return undefined;
      if (secret === 'unreadable') return due ? undefined : serve(suits);
      return early > 0 ? (waitFor(early, view) ?? serve(suits)) : undefined;
    },
  },
  {
    reason: 'refused',
    for: 'token',
    when: 'no token suits because of what the caller refused: D1 repeats it, failed, or was asked within a minute for such a reason',
    does: 'fail with REPLACEMENT_NOT_READY, or with what D1 said; `force` gets the living token with a warning',
    decide: ({ wish, suits, held, now, done, inVain, isAsking, askedAt, askedForRefusalAt }) => {
      if (suits || !wish.refusal || !held || wholeSecondsLeft(held.record, now) <= 0) return undefined;
      // Who does not say what was refused may have seen the token before: a young one is not replaced.
      const asked = wish.refusal.fallsBack ? askedAt : askedForRefusalAt;
      const floor = asked === undefined || isAsking ? 0 : asked + REFUSAL_FLOOR_MILLISECONDS - now;
      if (!inVain && floor <= 0) return { do: 'obtain', forRefusal: true };
      if (wish.refusal.fallsBack) return serve(held);
      if (done.failed.obtain) return { do: 'fail', with: 'obtain' };
      const milliseconds = Math.min(REFUSAL_FLOOR_MILLISECONDS, Math.max(floor, 1_000));
      return { do: 'fail', with: 'not_ready', retryAfterSeconds: Math.ceil(milliseconds / 1000) };
    },
  },
  {
    reason: 'none',
    for: 'token',
    when: 'no token lives, and D1 failed or repeated a dead one',
    does: 'fail with what D1 said',
    decide: ({ done }) => {
      if (done.failed.obtain) return { do: 'fail', with: 'obtain' };
      return done.repeatedAt === undefined ? undefined : { do: 'fail', with: 'repeated' };
    },
  },
  {
    reason: 'wanted',
    for: 'token',
    when: 'no token that suits lives, or the pace allows a longer-lived one',
    does: 'obtain one; it is stored where the secret is readable, else kept',
    decide: () => obtain,
  },
  {
    reason: 'fresh',
    for: 'tick',
    when: 'the stored token is the newest, and has more than its window left',
    does: 'serve it',
    decide: ({ stored, due, waiting }) => (stored && !due && !waiting ? serve(stored) : undefined),
  },
  {
    reason: 'unforced',
    for: 'tick',
    when: 'a newer token is held, the budget of forced writes is spent, and the stored one is not due',
    does: 'leave the secret as it is; callers of this container get the held token',
    decide: ({ stored, due, waiting, early, mayForce }) =>
      stored && !due && waiting && early > 0 && !mayForce ? serve(stored) : undefined,
  },
  {
    reason: 'nothing_better',
    for: 'tick',
    when: 'D1 failed or repeated itself, and the held token is newer than the stored one',
    does: 'store it, however little it has left',
    decide: (view) => (view.waiting && view.inVain ? store(view, view.waiting) : undefined),
  },
  {
    reason: 'failed',
    for: 'tick',
    when: 'the secret cannot be read, a write of this invocation failed, or D1 did',
    does: 'fail; the stored token is as it was, and what is held the next event stores',
    decide: ({ secret, done }) => {
      if (secret === 'unreadable') return { do: 'fail', with: 'read' };
      if (done.failed.write) return { do: 'fail', with: 'write' };
      return done.failed.obtain && { do: 'fail', with: 'obtain' };
    },
  },
  {
    reason: 'unchanged',
    for: 'tick',
    when: 'D1 gave the same token again, or has put its end off',
    does: 'leave it; with 65 s or less to go stay until its end, and then ask every 500 ms, for 10 s at most',
    decide: (view) => {
      const { done, stored, now } = view;
      if (done.repeatedAt === undefined) return undefined;
      if (!stored) return { do: 'fail', with: 'repeated' };
      const left = stored.record.expires_at * 1000 - now;
      if (left > 0) {
        const stay = left <= STAY_SECONDS * 1000 && left + REFRESH_MILLISECONDS <= view.remainingMilliseconds;
        return stay ? { do: 'wait', milliseconds: left } : serve(stored);
      }
      const isLate = view.remainingMilliseconds < POLL_MILLISECONDS + REFRESH_MILLISECONDS;
      if (-left > LONGEST_POLL_MILLISECONDS || isLate) return { do: 'fail', with: 'repeated' };
      const since = Math.max(0, now - done.repeatedAt);
      return since < POLL_MILLISECONDS ? { do: 'wait', milliseconds: POLL_MILLISECONDS - since } : obtain;
    },
  },
  {
    reason: 'paced',
    for: 'tick',
    when: 'the stored token lives, and was written less than its pace ago',
    does: 'leave it to a later tick; wait when it is a matter of 5 s',
    decide: (view) => {
      const { stored, early } = view;
      if (!stored || early <= 0 || (view.waiting && view.mayForce)) return undefined;
      return waitFor(early, view) ?? serve(stored);
    },
  },
  {
    reason: 'due',
    for: 'tick',
    when: 'the stored token is in its window, dead, missing, foreign, or older than a held one that is not worth storing',
    does: 'obtain another, and store it',
    decide: () => obtain,
  },
];

/** What to do next, and the public reason: the first row that answers. */
export function plan(situation: Situation): Action & { readonly reason: string } {
  const view = look(situation);
  for (const row of rows) {
    if (row.for !== 'both' && row.for !== situation.wish.kind) continue;
    const action = row.decide(view);
    if (action) return { ...action, reason: row.reason };
  }
  throw new TypeError('The last row of the plan always answers.');
}

/** Why the secret gets another token: what is wrong with the stored one, or that a newer one is held. */
export function causeOf({ secret, now, refreshWindowSeconds }: Situation): string {
  if (typeof secret === 'string') return secret;
  if (!secret.record) return secret.foreign ? 'foreign' : 'missing';
  const left = wholeSecondsLeft(secret.record, now);
  if (left <= 0) return 'expired';
  return left <= windowOf(secret.record, refreshWindowSeconds) ? 'due' : 'held';
}

function look(situation: Situation): View {
  const { secret, held, now, wish, refreshWindowSeconds, done } = situation;
  const snapshot = typeof secret === 'string' ? undefined : secret;
  const stored = snapshot?.record && { record: snapshot.record, versionId: snapshot.versionId };
  const alive = held && wholeSecondsLeft(held.record, now) > 0 ? held : undefined;
  const suits = alive && !isRefused(alive.record, wish.refusal) ? alive : undefined;
  const judged = stored ?? held;
  return {
    ...situation,
    stored,
    suits,
    enough: suits && wholeSecondsLeft(suits.record, now) >= wish.minRemainingSeconds ? suits : undefined,
    waiting:
      snapshot && alive && alive.versionId === undefined && supersedes(alive, stored?.record, now) ? alive : undefined,
    early: earlyBy(snapshot, now, refreshWindowSeconds),
    mayForce: mayForce(stored?.record, now),
    due: !judged || wholeSecondsLeft(judged.record, now) <= windowOf(judged.record, refreshWindowSeconds),
    inVain: done.failed.obtain !== undefined || done.repeatedAt !== undefined,
  };
}

/** Whether a token does not suit because of what the caller refused. */
export function isRefused(record: TokenRecord, refusal: Refusal | undefined): boolean {
  if (!refusal) return false;
  const { newerThan, digest } = refusal;
  return record.obtained_at <= (newerThan ?? Number.NEGATIVE_INFINITY) || tokenDigest(record.access_token) === digest;
}

/**
 * Whether a token that this container has takes the place of a stored one: it is newer, or D1 gave it a longer life since.
 * In the same second another token counts as newer, because D1 may have ended the stored one when it gave this one; but
 * not after it was current itself, or two containers would take turns.
 */
export function supersedes(own: Held, stored: TokenRecord | undefined, now: number): boolean {
  if (!stored) return true;
  const ahead = rank(own.record, now) - rank(stored, now);
  if (sameToken(own.record, stored)) return ahead >= 0 && livesLonger(own.record, stored);
  return ahead > 0 || (ahead === 0 && own.versionId === undefined && own.formerVersionId === undefined);
}

/** By more than rounding and latency: D1 promises the same token a longer life than before. */
export const livesLonger = (own: TokenRecord, known: TokenRecord): boolean =>
  own.expires_at > known.expires_at + LONGER_LIFE_SECONDS;

/** `obtained_at`, by which tokens are ordered; one that lies well ahead of now was written by a wrong clock, and says nothing. */
export const rank = (record: TokenRecord, now: number): number =>
  record.obtained_at > now / 1000 + CLOCK_TOLERANCE_SECONDS ? 0 : record.obtained_at;

/** Whole seconds, as an answer's `expires_in` tells them. @param now Milliseconds since 1970 UTC. */
const wholeSecondsLeft = (record: TokenRecord, now: number): number => secondsLeft(record, Math.floor(now / 1000));

/** By the life that the token was born with, or a short-lived token would be refreshed by every tick. */
const windowOf = (record: TokenRecord, refreshWindowSeconds: number): number =>
  Math.min(refreshWindowSeconds, record.expires_in / 2);

function isWorthStoring({ record, writeFailed, fromPrimary }: Held, { now, refreshWindowSeconds }: View): boolean {
  const life = record.expires_in;
  const left = wholeSecondsLeft(record, now);
  if (writeFailed || fromPrimary) return left > windowOf(record, refreshWindowSeconds);
  return left >= Math.min(PACE_SECONDS + SPARE_SECONDS, Math.max(life * 0.75, life - 120));
}

/** How many milliseconds too soon it is to write again; 0 when the write may go ahead. */
function earlyBy(snapshot: Snapshot | undefined, now: number, refreshWindowSeconds: number): number {
  if (!snapshot?.record || snapshot.writtenAt === undefined) return 0;
  const window = windowOf(snapshot.record, refreshWindowSeconds);
  const pace = Math.min(PACE_SECONDS, Math.max(SHORTEST_PACE_SECONDS, snapshot.record.expires_in - window));
  const left = wholeSecondsLeft(snapshot.record, now);
  if (left <= (pace > SHORTEST_PACE_SECONDS ? window * URGENT_SHARE : 0)) return 0;
  return Math.max(0, snapshot.writtenAt + pace * 1000 - now);
}

function store({ early, mayForce, done }: View, held: Held): Action | undefined {
  if (done.failed.write) return undefined;
  // The primary has kept the pace of what it wrote.
  if (early <= 0 || held.fromPrimary) return { do: 'store', held, forced: false };
  return mayForce ? { do: 'store', held, forced: true } : undefined;
}

/** A wait that is worth it, and that leaves time for a refresh afterwards. */
function waitFor(milliseconds: number, { remainingMilliseconds }: View): Action | undefined {
  if (milliseconds > LONGEST_PACE_WAIT_MILLISECONDS) return undefined;
  return milliseconds + REFRESH_MILLISECONDS <= remainingMilliseconds ? { do: 'wait', milliseconds } : undefined;
}

const isRecent = (moment: number | undefined, now: number) =>
  now - (moment ?? Number.NEGATIVE_INFINITY) < AGAIN_MILLISECONDS;
