import type { Clock } from '../shared/clock.ts';
import { type Candidate, type Errand, planRound, type Round, type Sent } from './dispatch-plan.ts';
import type { IssuerIndex } from './issuer-index.ts';

/** As long as a tick is answered for: then the next one comes. */
const TICK_MILLISECONDS = 60_000;
/** While a host is silent, an issuer has just failed, or there is more to do than the rate allows. */
const BUSY_ROUND_MILLISECONDS = 15_000;

export interface Dispatched extends Round {
  readonly candidates: readonly Candidate[];
}

/**
 * Sends out what is due, once a minute. When all is well that is one look at the index; otherwise the minute has four
 * rounds, so that the end of an outage is found out within 30 s.
 *
 * @param send Puts errands into the queue, and says whose it took.
 * @param onRound Told of each round.
 */
export function createDispatcher({
  index,
  send,
  refreshWindowSeconds,
  clock,
  onRound,
}: {
  index: Pick<IssuerIndex, 'candidates'>;
  send: (errands: readonly Errand[]) => Promise<ReadonlySet<string>>;
  refreshWindowSeconds: number;
  clock: Clock;
  onRound: (dispatched: Dispatched) => void;
}) {
  /** Only this container's: what another has sent is tried twice, which costs a read. */
  const sent = new Map<string, Sent>();
  let takenUntil = 0;

  return async function tick(): Promise<void> {
    const until = clock.now() + TICK_MILLISECONDS;
    for (;;) {
      const began = clock.now();
      const candidates = await index.candidates();
      const round = (roundMilliseconds: number) =>
        planRound({ candidates, sent, takenUntil, refreshWindowSeconds, now: clock.now(), roundMilliseconds });
      const whole = round(until - began);
      const isBusy = whole.left > 0 || whole.silentHosts.length > 0 || candidates.some(hasJustFailed);
      const next = isBusy ? Math.min(began + BUSY_ROUND_MILLISECONDS, until) : until;
      const planned = isBusy ? round(next - began) : whole;
      const taken = await send(planned.errands);
      const fingerprints = new Map(candidates.map(({ issuerId, fingerprint }) => [issuerId, fingerprint]));
      for (const { issuerId, notBefore } of planned.errands) {
        if (!taken.has(issuerId)) continue;
        sent.set(issuerId, { notBefore, fingerprint: fingerprints.get(issuerId) ?? '' });
        takenUntil = Math.max(takenUntil, notBefore);
      }
      onRound({ ...planned, candidates });
      if (next + 1_000 >= until) return;
      await clock.sleep(next - clock.now());
    }
  };
}

/** The next try is 15 s away, and may be all that it takes. */
const hasJustFailed = ({ state }: Candidate) => state.failures === 1;
