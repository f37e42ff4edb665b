import type { Call } from '../call.ts';
import { type Clock, nowSeconds } from '../clock.ts';
import type { Config } from '../config.ts';
import { asBrokerError, BrokerError } from '../errors.ts';
import type { TokenRecord } from '../token-store/token-record.ts';
import type { Snapshot, TokenStore } from '../token-store/token-store.ts';
import { type Judge, judgeForCaller, judgeForTick, type Reason } from './decide.ts';
import { type Obtain, SHORTEST_REFRESH_MILLISECONDS } from './obtain.ts';
import { earlyByMilliseconds } from './pace.ts';
import { SingleFlight } from './single-flight.ts';

/** The write gives up this much sooner than those who wait for it, so that they hear which step was slow. */
const WRITE_MARGIN_MILLISECONDS = 100;
/** A tick that is too soon for the next write by no more than this waits; otherwise the next tick will do. */
const LONGEST_WAIT_MILLISECONDS = 5_000;

/** Where the token that a caller got came from. */
export type Source = 'memory' | 'secret' | 'exchange';

interface Held {
  readonly record: TokenRecord;
  readonly versionId: string | undefined;
}

interface Refreshed extends Held {
  /** Another refresh won: the record is the winner's. */
  readonly superseded: boolean;
  /** Why the record is in this container's memory only. */
  readonly notStored: BrokerError | undefined;
}

export interface TickOutcome extends Held {
  readonly refreshed: boolean;
  /** `paced`: due, but the secret was written less than ten minutes ago, and there is time. */
  readonly reason: Reason | 'superseded' | 'paced';
}

export interface TokenOutcome extends Held {
  readonly source: Source;
}

export type Broker = ReturnType<typeof createBroker>;

/** The token's life in one container: decide, refresh, remember. */
export function createBroker({
  config,
  store,
  obtain,
  clock,
}: {
  config: Config;
  store: TokenStore;
  obtain: Obtain;
  clock: Clock;
}) {
  /** The newest token that this container has seen. */
  let memory: Held | undefined;
  /** A token that was obtained and is not in the secret, because that failed or it was too soon; a tick stores it. */
  let unstored: TokenRecord | undefined;
  const reads = new SingleFlight<Snapshot>(clock);
  const refreshes = new SingleFlight<Refreshed>(clock);

  /**
   * Keeps the secret fresh: reads it, and refreshes the token when it is in the refresh window, dead or missing.
   *
   * @throws BrokerError when the secret does not hold a fresh token afterwards.
   */
  async function tick(call: Call): Promise<TickOutcome> {
    const judge = judgeForTick(nowSeconds(clock), config.refreshWindowSeconds);
    const snapshot = await read(call);
    const verdict = judgeSnapshot(snapshot, judge);
    if (verdict.good) return { ...verdict.held, refreshed: false, reason: verdict.reason };

    const early = earlyByMilliseconds(snapshot, clock.now());
    if (verdict.held && early > LONGEST_WAIT_MILLISECONDS) {
      return { ...verdict.held, refreshed: false, reason: 'paced' };
    }
    if (early > 0) await clock.sleep(early);

    let refreshed = await refresh(snapshot, judge, 'store', call);
    // The refresh may have been under way for a caller whose token was not to be stored yet.
    if (!refreshed.versionId && !refreshed.notStored) refreshed = await refresh(snapshot, judge, 'store', call);
    if (refreshed.notStored) throw refreshed.notStored;
    const { record, versionId, superseded } = refreshed;
    return { record, versionId, refreshed: !superseded, reason: superseded ? 'superseded' : verdict.reason };
  }

  /**
   * A token for a caller: from memory, from the secret, or from D1, whichever comes first and lives long enough. The
   * token in hand beats every write and every read that failed.
   *
   * @throws BrokerError when no live token that suits the caller could be had.
   */
  async function token(wish: { minRemainingSeconds: number; force: boolean }, call: Call): Promise<TokenOutcome> {
    const judge = judgeForCaller(nowSeconds(clock), wish);
    if (memory && judge(memory.record).good) return { ...memory, source: 'memory' };

    const snapshot = await readIfPossible(call);
    const verdict = snapshot instanceof BrokerError ? undefined : judgeSnapshot(snapshot, judge);
    if (verdict?.good) return { ...verdict.held, source: 'secret' };
    // While the secret was read, another caller's refresh may have ended.
    if (memory && judge(memory.record).good) return { ...memory, source: 'memory' };

    try {
      const early = snapshot instanceof BrokerError || wish.force ? 0 : earlyByMilliseconds(snapshot, clock.now());
      const { record, versionId, superseded, notStored } = await refresh(
        snapshot,
        judge,
        early > 0 ? 'keep' : 'store',
        call,
      );
      if (notStored && notStored !== snapshot) call.journal.warn(notStored);
      return { record, versionId, source: superseded ? 'secret' : 'exchange' };
    } catch (error) {
      // A forced refresh that failed says nothing against the stored token: it may still do for this caller.
      const stillGood = judgeForCaller(nowSeconds(clock), { ...wish, force: false });
      if (!memory || !stillGood(memory.record).good) throw error;
      call.journal.warn(asBrokerError(error));
      return { ...memory, source: 'memory' };
    }
  }

  async function read(call: Call): Promise<Snapshot> {
    const snapshot = await reads.join('reading the token secret', call.deadline, (deadline) =>
      deadline.limit('reading the token secret', (signal) =>
        call.journal.time('read_secret', () => store.read(signal)),
      ),
    );
    call.journal.storedExpiresAt = snapshot.record?.expires_at ?? 0;
    if (snapshot.record) remember({ record: snapshot.record, versionId: snapshot.versionId });
    if (snapshot.foreign) call.journal.warn(foreignValue(config.tokenSecretId, snapshot.foreign));
    return snapshot;
  }

  /** A caller needs a token, not the secret: when it can't be read, one is obtained and kept in memory. */
  async function readIfPossible(call: Call): Promise<Snapshot | BrokerError> {
    try {
      return await read(call);
    } catch (thrown) {
      const error = asBrokerError(thrown);
      call.journal.warn(error);
      return error;
    }
  }

  /**
   * One refresh at a time, whoever waits for it.
   *
   * @param snapshot What the new token replaces, or why that is not known: then it can't be stored.
   * @param then Whether to store the token, or to keep it in memory because the secret was written a short while ago.
   */
  function refresh(
    snapshot: Snapshot | BrokerError,
    judge: Judge,
    then: 'store' | 'keep',
    call: Call,
  ): Promise<Refreshed> {
    if (!refreshes.underWay) call.deadline.mustLeave(SHORTEST_REFRESH_MILLISECONDS, 'a refresh');
    return refreshes.join('the refresh', call.deadline, async (deadline) => {
      const record = unstored && judge(unstored).good ? unstored : await obtain(call, deadline);
      remember({ record, versionId: undefined });
      if (then === 'keep') {
        unstored = record;
        return { record, versionId: undefined, superseded: false, notStored: undefined };
      }
      try {
        if (snapshot instanceof BrokerError) throw snapshot;
        const writeDeadline = deadline.earlier(WRITE_MARGIN_MILLISECONDS);
        const stored = await writeDeadline.limit('writing the token secret', (signal) =>
          call.journal.time('write_secret', () =>
            store.replace(snapshot, record, (winner) => judge(winner).good, signal),
          ),
        );
        unstored = undefined;
        memory = { record: stored.record, versionId: stored.versionId };
        call.journal.storedExpiresAt = stored.record.expires_at;
        return { ...stored, notStored: undefined };
      } catch (error) {
        unstored = record;
        return { record, versionId: undefined, superseded: false, notStored: asBrokerError(error) };
      }
    });
  }

  function remember(held: Held): void {
    if (!memory || held.record.obtained_at >= memory.record.obtained_at) memory = held;
  }

  return { tick, token };
}

type Verdict =
  | { readonly good: true; readonly reason: Reason; readonly held: Held }
  | { readonly good: false; readonly reason: Reason; readonly held: Held | undefined };

function judgeSnapshot({ record, versionId, foreign }: Snapshot, judge: Judge): Verdict {
  if (!record) return { good: false, reason: foreign ? 'foreign' : 'missing', held: undefined };
  return { ...judge(record), held: { record, versionId } };
}

const foreignValue = (secretId: string, why: string) =>
  new BrokerError({
    code: 'TOKEN_SECRET_FOREIGN',
    what: `The token secret ${secretId} holds a value that the broker did not write: ${why}. It is being replaced.`,
    remedy: 'If the value is needed, it has the label AWSPREVIOUS; point D1_TOKEN_SECRET_ID at a secret of its own.',
    retryable: false,
  });
