import { dueAt, type IssuerState } from './issuer-state.ts';

/** One issuer as the dispatcher sees it. */
export interface Candidate {
  readonly issuerId: string;
  readonly owner: string;
  /** Which D1 it belongs to: `production`, `staging`, `develop` or a base URL. */
  readonly host: string;
  /** Of its fields. */
  readonly fingerprint: string;
  readonly state: IssuerState;
}

/** An errand that was let out. */
export interface Sent {
  readonly notBefore: number;
  /** Of the fields that the issuer had then: whoever is corrected since is sent again, and does not wait for a lost errand. */
  readonly fingerprint: string;
}

/** A try to be made. */
export interface Errand {
  readonly issuerId: string;
  readonly owner: string;
  /** Milliseconds since 1970 UTC: not sooner. */
  readonly notBefore: number;
}

export interface Round {
  readonly errands: readonly Errand[];
  /** D1's hosts that answer nobody: only probes go to them. */
  readonly silentHosts: readonly string[];
  /** How many were due and have to wait for a later round, because the rate is used up. */
  readonly left: number;
}

/**
 * Secrets Manager takes 50 writes a second from an account, of all that write there. 30 leave room for rotations,
 * operators and strangers. Source: AWS General Reference, Secrets Manager quotas.
 */
const TRIES_PER_SECOND = 30;
/** After an outage, and from a cold start. */
const MOST_TRIES_PER_SECOND = 44;
/** So many issuers must have met silence since the host last answered anybody: less may be their own fault, or chance. */
const SILENCES_THAT_COUNT = 5;
/** What a round sends to a host that is silent. */
const PROBES = 1;
/** What those that have failed twice get of the rate in any case: one of them may have met an outage and then bad luck. */
const FAILING_SHARE = 0.05;
/** As long may an errand be on its way before it counts as lost. */
const LOST_MILLISECONDS = 120_000;

/**
 * What to try in a round, and when: pure.
 *
 * Issuers that are well come first, in the order in which their tokens die, because that order decides who dies after an
 * outage. Those that have failed twice get a twentieth of the rate, and what the others leave.
 *
 * @param takenUntil What earlier rounds have sent is spread until then.
 * @param sent What each issuer was last sent: what is on its way is not sent again.
 * @param now Milliseconds since 1970 UTC, like every moment here.
 * @param roundMilliseconds Until the next round.
 */
export function planRound({
  candidates,
  sent,
  takenUntil,
  refreshWindowSeconds,
  now,
  roundMilliseconds,
}: {
  candidates: readonly Candidate[];
  sent: ReadonlyMap<string, Sent>;
  takenUntil: number;
  refreshWindowSeconds: number;
  now: number;
  roundMilliseconds: number;
}): Round {
  const silentHosts = [...Map.groupBy(candidates, ({ host }) => host)]
    .filter(([, own]) => isSilent(own.map(({ state }) => state)))
    .map(([host]) => host);
  const due = candidates
    .filter((candidate) => !isOnItsWay(candidate, sent.get(candidate.issuerId), now))
    .map((candidate) => ({
      candidate,
      at: Math.max(now, dueAt(candidate.issuerId, candidate.state, refreshWindowSeconds)),
    }))
    .filter(({ at }) => at < now + roundMilliseconds)
    .sort((one, other) => one.at - other.at || one.candidate.state.expiresAt - other.candidate.state.expiresAt);
  const ofOthers = due.filter(({ candidate }) => !silentHosts.includes(candidate.host));
  const well = ofOthers.filter(isWell);
  const failing = ofOthers.filter((one) => !isWell(one)).sort(byFailures);
  const within = (perSecond: number) => Math.floor((perSecond * roundMilliseconds) / 1000);
  const perSecond = well.length > within(TRIES_PER_SECOND) ? MOST_TRIES_PER_SECOND : TRIES_PER_SECOND;
  const probes = silentHosts.flatMap((host) =>
    due
      .filter(({ candidate }) => candidate.host === host)
      .sort(byFailures)
      .slice(0, PROBES),
  );
  const reserved = within(perSecond * FAILING_SHARE);
  const room = Math.max(reserved, within(perSecond) - well.length);
  const chosen = [...probes, ...failing.slice(0, reserved), ...well, ...failing.slice(reserved, room)];
  const errands = queue(chosen, Math.max(now, takenUntil), 1000 / perSecond).filter(
    ({ notBefore }) => notBefore < now + roundMilliseconds,
  );
  return { errands, silentHosts, left: probes.length + ofOthers.length - errands.length };
}

interface Due {
  readonly candidate: Candidate;
  readonly at: number;
}

/** Who has failed least may soonest be well. */
const byFailures = (one: Due, other: Due) => one.candidate.state.failures - other.candidate.state.failures;

/** One failure may be the host's, or chance. */
const isWell = ({ candidate }: Due) => candidate.state.failures < 2;

const isOnItsWay = ({ fingerprint, state }: Candidate, sent: Sent | undefined, now: number) =>
  sent?.fingerprint === fingerprint && state.triedAt < sent.notBefore && now - sent.notBefore < LOST_MILLISECONDS;

/** Told from what the last tries came to, so that no state of its own can be out of date. */
function isSilent(states: readonly IssuerState[]): boolean {
  const lastAnswer = states.reduce(
    (last, { host, triedAt }) => (host === 'answered' ? Math.max(last, triedAt) : last),
    0,
  );
  const silences = states.filter(({ host, triedAt }) => host === 'silent' && triedAt > lastAnswer).length;
  return silences > 0 && silences >= Math.min(SILENCES_THAT_COUNT, states.length);
}

/** One after the other: what is due in one moment must not be written in one. */
function queue(due: readonly Due[], from: number, apartMilliseconds: number): Errand[] {
  let next = from;
  return due
    .toSorted((one, other) => one.at - other.at)
    .map(({ candidate: { issuerId, owner }, at }) => {
      const slot = Math.max(at, next);
      next = slot + apartMilliseconds;
      return { issuerId, owner, notBefore: Math.ceil(slot) };
    });
}
