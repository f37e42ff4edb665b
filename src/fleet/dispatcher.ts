import type { Clock } from '../shared/clock.ts';
import { type Candidate, type Errand, planRound, type Round, type Sent } from './dispatch-plan.ts';
import type { IssuerIndex } from './issuer-index.ts';

/** As long as a tick is answered for: then the next one comes. */
const TICK_MILLISECONDS = 60_000;
/** While an issuer has just failed, or there is more to do than the rate allows. */
const BUSY_ROUND_MILLISECONDS = 15_000;
/** While a host is silent, each round with one probe: the end of an outage is found out within two. */
const PROBING_ROUND_MILLISECONDS = 5_000;

export interface Dispatched extends Round {
  readonly candidates: readonly Candidate[];
}

/**
 * Sends out what is due, once a minute. When all is well that is one look at the index; otherwise the minute has four
 * rounds, and twelve while a host is silent, so that the end of an outage is found out within 10 s.
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
      const round = (milliseconds: number) =>
        planRound({
          candidates,
          sent,
          takenUntil,
          refreshWindowSeconds,
          now: clock.now(),
          roundMilliseconds: milliseconds,
        });
      const whole = round(until - began);
      const next = Math.min(began + roundMilliseconds(whole, candidates), until);
      const planned = next < until ? round(next - began) : whole;
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

function roundMilliseconds({ left, silentHosts }: Round, candidates: readonly Candidate[]): number {
  if (silentHosts.length > 0) return PROBING_ROUND_MILLISECONDS;
  return left > 0 || candidates.some(hasJustFailed) ? BUSY_ROUND_MILLISECONDS : TICK_MILLISECONDS;
}

/** The next try is 15 s away, and may be all that it takes. */
const hasJustFailed = ({ state }: Candidate) => state.failures === 1;
