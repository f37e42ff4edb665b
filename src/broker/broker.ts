import type { Config } from '../config.ts';
import { Deadline, tookTooLong } from '../deadline.ts';
import { asBrokerError, BrokerError } from '../errors.ts';
import type { Source } from '../events.ts';
import type { Call } from '../invocation.ts';
import type { Clock } from '../shared/clock.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../shared/d1.ts';
import { SharedWork } from '../shared/shared-work.ts';
import { tokenDigest } from '../shared/token-digest.ts';
import { sameToken, type TokenRecord } from '../shared/token-record.ts';
import { responseInvalid } from '../token-endpoint/endpoint-error.ts';
import { billed } from '../token-store/forced-writes.ts';
import { foreignValue } from '../token-store/store-failure.ts';
import { createSwap } from '../token-store/swap.ts';
import type { Snapshot, TokenStore } from '../token-store/token-store.ts';
import { type Obtain, type Obtained, SHORTEST_REFRESH_MILLISECONDS } from './obtain.ts';
import {
  causeOf,
  type Failures,
  type Held,
  isRefused,
  plan,
  type Refusal,
  rank,
  type Situation,
  supersedes,
  type Wish,
} from './plan.ts';

/** What goes on, for the sentence of a DEADLINE_EXCEEDED. */
const READING = 'reading the token secret';
const READING_PRIMARY = "reading the replica of the primary's token secret";
const REFRESHING = 'the refresh';
const WRITING = 'writing the token secret';
/** The write gives up this much sooner than those who wait for it, so that they hear which step was slow. */
const WRITE_MARGIN_MILLISECONDS = 100;
/** Secrets Manager is eventually consistent: so long after a write, what a read brings may be older. */
const STALE_READ_MILLISECONDS = 10_000;

export interface TickOutcome extends Held {
  readonly refreshed: boolean;
  /**
   * A row of the plan, or why the token was replaced: `due`, `expired`, `missing`, `foreign`; `superseded` when another won;
   * `copied` when it is the primary's.
   */
  readonly reason: string;
}

export interface TokenOutcome extends Held {
  readonly source: Source;
}

export interface TokenWish {
  readonly minRemainingSeconds: number;
  readonly force: boolean;
  readonly newerThan: number | undefined;
  readonly refused: string | undefined;
}

export type Broker = ReturnType<typeof createBroker>;

/** What one invocation has done so far. */
interface Story {
  /** The secret was read. */
  read?: boolean;
  obtained?: TokenRecord;
  repeatedAt?: number;
  wrote?: boolean;
  /** Another refresh has won the swap. */
  lost?: boolean;
  /** Why the secret was to get another token. */
  cause?: string;
  readonly failed: Failures;
}

/** One container's token: it asks the plan, does what it says, and asks again. It decides nothing. */
export function createBroker({
  config,
  store,
  readPrimary,
  obtain,
  clock,
}: {
  config: Config;
  store: TokenStore;
  /** Of a standby: reads the replica of its primary's token secret. */
  readPrimary?: TokenStore['read'] | undefined;
  obtain: Obtain;
  clock: Clock;
}) {
  let held: Held | undefined;
  /** What the secret held when this container last read or wrote it. */
  let known: { readonly snapshot: Snapshot; readonly at: number } = { snapshot: {}, at: Number.NEGATIVE_INFINITY };
  let askedAt: number | undefined;
  let askedForRefusalAt: number | undefined;
  let leftUnstoredAt: number | undefined;
  const swap = createSwap({ store, secretId: config.tokenSecretId, clock });
  const reads = new SharedWork<void>(clock, () => tookTooLong(READING));
  const exchanges = new SharedWork<Obtained>(clock, () => tookTooLong(REFRESHING));
  const writes = new SharedWork<boolean>(clock, () => tookTooLong(WRITING));

  /** Each caller waits until its own deadline; the work itself lives until the latest of them. */
  const share = <T>(work: SharedWork<T>, doing: string, { deadline }: Call, start: (shared: Deadline) => Promise<T>) =>
    deadline.limit(doing, () => work.join(({ until }) => start(new Deadline(clock, until)), deadline.at));

  /**
   * Keeps the secret fresh.
   *
   * @throws BrokerError when the secret does not hold a fresh token afterwards.
   */
  async function tick(call: Call): Promise<TickOutcome> {
    const { served, reason, story } = await fulfil({ kind: 'tick', minRemainingSeconds: 0, refusal: undefined }, call);
    if (story.wrote) return { ...served, refreshed: true, reason: story.cause ?? reason };
    return { ...served, refreshed: false, reason: story.lost ? 'superseded' : reason };
  }

  /**
   * A token for a caller: the newest there is, and one with the life that it wished for when the pace of writes allows it.
   *
   * @throws BrokerError REPLACEMENT_NOT_READY, or what kept D1 from giving a token.
   */
  async function token(wish: TokenWish, call: Call): Promise<TokenOutcome> {
    const { minRemainingSeconds } = wish;
    const { served, story } = await fulfil({ kind: 'token', minRemainingSeconds, refusal: refusalOf(wish) }, call);
    if (served.versionId === undefined) leftUnstoredAt = clock.now();
    if (story.obtained && sameToken(story.obtained, served.record)) return { ...served, source: 'exchange' };
    return { ...served, source: story.read && served.versionId !== undefined ? 'secret' : 'memory' };
  }

  /**
   * Takes in a token that is obtained aside, with a certificate or a key that is only tried: nobody else waits for it, and
   * its failure is nobody else's. What D1 gave is held and newest, and stored by the next command like every held token.
   *
   * @returns The newest token; `repeated` when D1 gave one that is known.
   * @throws BrokerError What kept D1 from giving a token.
   */
  async function take(obtainAside: Obtain, call: Call): Promise<{ record: TokenRecord; repeated: boolean }> {
    // What the secret holds may be repeated; that it can't be read keeps nobody from asking.
    await read(call).catch((thrown: unknown) => call.journal.warn(asBrokerError(thrown)));
    askedAt = clock.now();
    const { record } = await obtainAside(call, call.deadline, knownRecords());
    if (record) {
      held = { record, versionId: undefined };
      leftUnstoredAt = undefined;
    }
    if (!held) throw deadTokenRepeated();
    return { record: held.record, repeated: record === undefined };
  }

  async function fulfil(wish: Wish, call: Call) {
    let refusal = wish.refusal;
    const story: Story = { failed: {} };

    const situation = (): Situation => ({
      wish: { ...wish, refusal },
      secret: story.failed.read ? 'unreadable' : story.read ? known.snapshot : 'unread',
      held,
      now: clock.now(),
      remainingMilliseconds: call.deadline.remainingMilliseconds,
      refreshWindowSeconds: config.refreshWindowSeconds,
      done: story,
      isAsking: exchanges.underWay,
      askedAt,
      askedForRefusalAt,
      leftUnstoredAt,
    });

    for (;;) {
      const next = plan(situation());
      switch (next.do) {
        case 'serve': {
          const why = story.failed.obtain ?? (isRefused(next.held.record, refusal) ? notReady(undefined) : undefined);
          if (why) call.journal.warn(why);
          if (story.failed.write) call.journal.warn(story.failed.write);
          return { served: next.held, reason: next.reason, story };
        }
        case 'read':
          try {
            await read(call);
            story.read = true;
          } catch (thrown) {
            story.failed.read = asBrokerError(thrown);
            if (wish.kind === 'token') call.journal.warn(story.failed.read);
          }
          // The held token is the newest that is known, stored or not: whatever comes after it will do.
          if (refusal?.fallsBack)
            refusal = { ...refusal, newerThan: undefined, digest: held && tokenDigest(held.record.access_token) };
          break;
        case 'wait':
          await clock.sleep(next.milliseconds);
          break;
        case 'obtain':
          if (readPrimary && wish.kind === 'tick' && !story.cause) call.journal.warn(standsIn());
          story.cause ??= causeOf(situation());
          askedAt = clock.now();
          if (next.forRefusal && !exchanges.underWay) askedForRefusalAt = askedAt;
          try {
            const { record, isRepeated } = await exchange(call);
            if (record) story.obtained = record;
            if (isRepeated) story.repeatedAt = clock.now();
          } catch (thrown) {
            story.failed.obtain = asBrokerError(thrown);
          }
          break;
        case 'store':
          story.cause ??= next.held.fromPrimary ? 'copied' : causeOf(situation());
          try {
            if (await write(next.held, next.forced, call)) story.wrote = true;
            else story.lost = true;
          } catch (thrown) {
            story.failed.write = asBrokerError(thrown);
            held = held && { ...held, writeFailed: true };
          }
          break;
        case 'fail':
          if (next.with === 'not_ready') throw notReady(next.retryAfterSeconds);
          if (next.with === 'repeated') throw deadTokenRepeated();
          throw story.failed[next.with];
      }
      if (story.read) call.journal.storedExpiresAt = known.snapshot.record?.expires_at ?? 0;
    }
  }

  function read(call: Call): Promise<void> {
    return share(reads, READING, call, async (deadline) => {
      const primary = primarySnapshot(call, deadline);
      try {
        const snapshot = await deadline.limit(READING, (signal) =>
          call.journal.time('read_secret', () => store.read(signal)),
        );
        adopt(snapshot);
        if (snapshot.foreign) call.journal.warn(foreignValue(config.tokenSecretId, snapshot.foreign));
      } finally {
        // A caller gets the primary's token where this Region's secret can't be read.
        takeOver(await primary);
      }
    });
  }

  /** @returns What the replica holds. It never rejects: that a replica can't be read must be in nobody's way. */
  async function primarySnapshot(call: Call, deadline: Deadline): Promise<Snapshot> {
    if (!readPrimary) return {};
    try {
      const snapshot = await deadline.limit(READING_PRIMARY, (signal) => readPrimary(signal));
      if (!snapshot.record)
        call.journal.warn(replicaUnavailable(`it holds no token: ${snapshot.foreign ?? 'it is empty'}`));
      return snapshot;
    } catch (thrown) {
      call.journal.warn(replicaUnavailable(asBrokerError(thrown).what));
      return {};
    }
  }

  /** Holds the primary's token where it is newer than all that this container knows. */
  function takeOver({ record, versionId }: Snapshot): void {
    if (!record || !lives({ record })) return;
    // It has a version in the primary's secret: of two tokens of one second this Region's own stays, and after a swap the
    // secret is read again, because another container may have stored the very same value.
    const primary: Held = { record, versionId: undefined, formerVersionId: versionId, fromPrimary: true };
    if (!held || !lives(held) || supersedes(primary, held.record, clock.now())) held = primary;
  }

  /** Takes over what the secret holds, unless this container has something newer. */
  function adopt(snapshot: Snapshot): void {
    const now = clock.now();
    const own = known.snapshot.record;
    const isStale =
      own &&
      now - known.at < STALE_READ_MILLISECONDS &&
      (!snapshot.record || rank(snapshot.record, now) < rank(own, now)) &&
      !snapshot.foreign;
    if (isStale) return;
    known = { snapshot, at: now };
    const { record, versionId } = snapshot;
    // A token that this container had stored, and that is current no more, is held as any other that is not stored.
    if (held) {
      held = { ...held, versionId: undefined, formerVersionId: held.versionId ?? held.formerVersionId };
    }
    if (record && (!held || !lives(held) || !supersedes(held, record, now))) {
      held = { record, versionId };
    }
  }

  async function exchange(call: Call): Promise<Obtained> {
    if (!exchanges.underWay) call.deadline.mustLeave(SHORTEST_REFRESH_MILLISECONDS, 'a refresh');
    return share(exchanges, REFRESHING, call, async (deadline) => {
      const obtained = await obtain(call, deadline, knownRecords());
      if (obtained.record) held = { record: obtained.record, versionId: undefined };
      return obtained;
    });
  }

  /** @returns Whether the secret holds the token now; otherwise another refresh has won, and was read. */
  function write(token: Held, forced: boolean, call: Call): Promise<boolean> {
    return share(writes, WRITING, call, (deadline) =>
      deadline.earlier(WRITE_MARGIN_MILLISECONDS).limit(WRITING, (signal) =>
        call.journal.time('write_secret', async () => {
          const record = billed(token.record, known.snapshot.record, forced, clock.now());
          // Of a write that failed, the answer alone may have been lost.
          const mayHaveBeenStored = token.formerVersionId !== undefined || token.writeFailed === true;
          const { won, snapshot } = await swap(known.snapshot, record, mayHaveBeenStored, signal);
          // A younger one may have been obtained meanwhile: it stays held.
          adopt(snapshot);
          return won;
        }),
      ),
    );
  }

  const knownRecords = () => [held?.record, known.snapshot.record].filter((one) => one !== undefined);

  const lives = (token: Pick<Held, 'record'>) => token.record.expires_at * 1000 > clock.now();

  /** Until the secret was read, `force` refuses everything. */
  function refusalOf({ force, newerThan, refused }: TokenWish): Refusal | undefined {
    if (force) return { newerThan: Number.POSITIVE_INFINITY, digest: undefined, fallsBack: true };
    if (newerThan === undefined && refused === undefined) return undefined;
    // A moment that lies ahead was written by a wrong clock: the digest alone tells.
    const isAhead = newerThan !== undefined && newerThan > clock.now() / 1000 + CLOCK_TOLERANCE_SECONDS;
    return { newerThan: isAhead ? undefined : newerThan, digest: refused, fallsBack: false };
  }

  return { tick, token, take };
}

const notReady = (retryAfterSeconds: number | undefined) =>
  new BrokerError({
    code: 'REPLACEMENT_NOT_READY',
    what: 'No other token than the refused one can be had now.',
    remedy: `${retryAfterSeconds === undefined ? 'The living token was returned instead.' : `Ask again after retry_after_seconds=${retryAfterSeconds}.`} If another token is refused too, look for another reason than the token.`,
    retryable: true,
  });

const deadTokenRepeated = () => responseInvalid('D1 repeats an access token that has expired');

const replicaUnavailable = (why: string) =>
  new BrokerError({
    code: 'PRIMARY_TOKEN_UNAVAILABLE',
    what: `The replica of the primary's token secret is of no use: ${why}`,
    remedy:
      'Look at the replica (DescribeSecret in the primary Region, ReplicationStatus) and at the permissions on it.',
    retryable: true,
  });

const standsIn = () =>
  new BrokerError({
    code: 'PRIMARY_TOKEN_UNAVAILABLE',
    what: 'The primary has not stored a token in time: this standby asks D1 itself.',
    remedy: "Look at the primary Region's stack and at the replication of its token secret.",
    retryable: true,
  });
