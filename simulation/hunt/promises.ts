import type { TokenRecord } from '../../src/shared/token-record.ts';
import type { D1, IssuedToken } from '../d1.ts';
import type { SimulatedTime } from '../simulated-time.ts';
import type { Container, Ended } from './container.ts';
import type { Happening, Kind, World } from './description.ts';

export interface Violation {
  readonly promise: string;
  readonly what: string;
}

class BrokenPromise extends Error {
  readonly violation: Violation;

  constructor(violation: Violation) {
    super(`${violation.promise}: ${violation.what}`);
    this.violation = violation;
  }
}

/** A version that became AWSCURRENT; moments are milliseconds since 1970 UTC. */
export interface Stored {
  readonly at: number;
  readonly by: 'broker' | 'hand';
  readonly versionId: string;
  readonly writtenAt: number;
  /** What GetSecretValue says of it. */
  readonly output: Record<string, unknown>;
  readonly record: TokenRecord | undefined;
  readonly token: string | undefined;
}

export type EventKind = 'tick' | 'token' | 'refusal' | 'rotation';

export interface Refused {
  readonly token: string;
  readonly obtainedAt: number;
  readonly saying: string;
}

export interface Invocation {
  readonly kind: EventKind;
  readonly event: object;
  readonly refused: Refused | undefined;
  readonly container: Container;
  readonly beganAt: number;
  /** Numbers of the tokens that D1 gave to this container meanwhile. */
  readonly obtained: number[];
}

/** What happens in a world, as the promises are told of it. */
interface Check {
  /** Another version is current, since this moment. */
  stored?(now: Stored, before: Stored | undefined): void;
  /** A container begins an exchange. */
  exchanging?(container: Container): void;
  ended?(invocation: Invocation, ended: Ended): void;
  /** The world is over, or the moment has come for which the check asked. */
  end?(): void;
}

/** What a check may look at. */
interface Watch {
  readonly world: World;
  readonly facts: Facts;
  readonly d1: D1;
  readonly startsAt: number;
  now(): number;
  at(moment: number, look: () => void): void;
  /** What is current. */
  current(): Stored | undefined;
  /** Tokens that callers said were refused, with those that `force` meant. */
  readonly refused: ReadonlySet<string>;
  /** What each container works on. */
  working(container: Container): readonly Invocation[];
  isTrouble(from: number, to: number): boolean;
}

export interface PromiseRule {
  readonly name: string;
  /** The promise in words, with its conditions. */
  readonly sentence: string;
  readonly holds: (facts: Facts, world: World) => boolean;
  readonly check: (watch: Watch, broken: (what: string) => never) => Check;
}

/** What follows from a description. */
export interface Facts {
  readonly has: (...kinds: Kind[]) => boolean;
  readonly count: (kind: Kind) => number;
  /** Seconds that a clock is off at worst. */
  readonly clockError: number;
  readonly ticksOnTime: boolean;
  readonly d1Well: boolean;
  readonly secretWell: boolean;
  readonly containersWell: boolean;
  readonly lifetime: number | undefined;
  readonly window: number;
}

function factsOf(world: World): Facts {
  const kinds = Map.groupBy(world.happenings, ({ kind }) => kind);
  const has = (...some: Kind[]) => some.some((kind) => kinds.has(kind));
  const ahead = [...world.clocks];
  let clockError = Math.max(0, ...ahead.map(Math.abs));
  for (const one of world.happenings) {
    if (one.kind !== 'clock steps') continue;
    ahead[one.container] = (ahead[one.container] ?? 0) + one.by;
    clockError = Math.max(clockError, Math.abs(ahead[one.container] ?? 0));
  }
  const lifetime = world.lives.length === 1 ? world.lives[0] : undefined;
  const staysLong = world.tokenReuseUntilSeconds !== undefined || has('D1 slow', 'rotation');
  const hangs = world.happenings.some((one) => one.kind === 'D1 down' && one.how === 'hanging');
  return {
    has,
    count: (kind) => kinds.get(kind)?.length ?? 0,
    clockError,
    ticksOnTime: !has('tick lost', 'tick late', 'frozen', 'killed') && (world.containers >= 2 || !(staysLong || hangs)),
    d1Well: !has('D1 down', 'D1 slow', 'revoked'),
    secretWell: !has('secret service', 'moved back', 'foreign value'),
    containersWell: !has('frozen', 'killed', 'clock steps'),
    lifetime,
    window: Math.min(300, (lifetime ?? 900) / 2),
  };
}

const seconds = (milliseconds: number) => Math.round(milliseconds / 100) / 10;

const isShort = ({ has, clockError, ticksOnTime, d1Well, secretWell, containersWell, lifetime }: Facts) =>
  ticksOnTime && d1Well && secretWell && containersWell && clockError <= 5 && lifetime !== undefined && !has('revoked');

/** With these nothing goes wrong but what callers and readers do. */
const isCalm = (facts: Facts) => isShort(facts) && facts.lifetime === 900;

/** Whether D1 gives a new token when the window begins. */
const isNewWhenAsked = ({ tokenReuseUntilSeconds: reuse }: World) => reuse === undefined || reuse >= 310;

export const promiseRules: readonly PromiseRule[] = [
  {
    name: '237 s',
    sentence:
      'With ticks on time, tokens of 900 s, no revocation and no outage, clocks within 5 s, a healthy Secrets Manager, a refresh of at most 2 s and no more refusals than the budget pays for the secret never has less than 237 s left (less twice what the clocks are off).',
    holds: (facts, world) => isCalm(facts) && isNewWhenAsked(world) && facts.count('refusal') <= 10,
    check: ({ d1, facts, now, current }, broken) => {
      const bound = (237 - 2 * facts.clockError) * 1000;
      const look = (stored: Stored | undefined) => {
        if (!stored) return;
        const left = (d1.find(stored.token ?? '')?.diesAt ?? 0) - now();
        if (left < bound) broken(`${stored.token} had ${seconds(left)} s left in the secret`);
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'writes',
    sentence:
      'Likewise, whatever D1 repeats: at most 145 versions in any 24 hours, 169 with forced ones; pro rata in an hour and in six.',
    holds: (facts) => isCalm(facts) && !facts.has('rotation'),
    check: ({ facts, world }, broken) => {
      const writes: number[] = [];
      // Where two containers ask D1 at once, the younger token takes the older one's place, on the budget of forced writes.
      const hasForced = facts.has('refusal') || world.containers > 1;
      return {
        stored: ({ at }) => {
          writes.push(at);
          for (const hours of [1, 6, 24]) {
            const most = 6 * hours + 1 + (hasForced ? 12 + Math.floor(hours / 2) : 0);
            const first = writes.at(-most - 1);
            if (first !== undefined && at - first < hours * 3_600_000 - 2_000) {
              broken(`${most + 1} versions in ${seconds(at - first)} s`);
            }
          }
        },
      };
    },
  },
  {
    name: 'outages below 175 s',
    sentence:
      'With ticks on time, tokens of 900 s, clocks that are right, and nothing else wrong, an outage of D1 of less than 175 s, half an hour or more from the next, leaves the secret with a live token throughout.',
    holds: (facts, world) =>
      facts.ticksOnTime &&
      facts.secretWell &&
      facts.containersWell &&
      facts.clockError === 0 &&
      facts.lifetime === 900 &&
      !facts.has('revoked', 'D1 slow') &&
      !world.oneTokenAtATime &&
      isNewWhenAsked(world) &&
      areShortOutages(world.happenings),
    check: ({ d1, now, current }, broken) => {
      const look = (stored: Stored | undefined) => {
        const late = now() - d1.diesAt(stored?.token ?? '');
        if (stored && late >= 0) broken(`the secret held the dead ${stored.token} for ${seconds(late)} s`);
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'never worse',
    sentence:
      'What the broker makes current, by a write or a rotation, never dies before what was current, unless that was revoked or refused (where tokens live equally long, and clocks are within 5 s).',
    holds: ({ lifetime, clockError }) => lifetime !== undefined && clockError <= 5,
    check: ({ world, d1, facts, refused }, broken) => {
      const wasCurrent = new Set<string>();
      return {
        stored: (now, before) => {
          const isBack = wasCurrent.has(now.token ?? '');
          wasCurrent.add(now.token ?? '');
          if (now.by !== 'broker' || !before?.token || refused.has(before.token)) return;
          const [one, other] = [d1.find(before.token), d1.find(now.token ?? '')];
          if (!one || !other || one.endedAt !== undefined || one.diesAt <= now.at) return;
          // Records tell whole seconds: below one, nobody knows which dies first.
          if (other.diesAt >= one.diesAt - 1_000) return;
          // Of two that were asked for at once nobody can tell which is the younger; but none comes twice.
          const unclear = 2 * facts.clockError * 1000 + 1000 + longestExchange(world) * 1000;
          if (!isBack && one.issuedAt - other.issuedAt <= unclear) return;
          broken(`${other.token} with ${left(other, now.at)} s over ${one.token} with ${left(one, now.at)} s`);
        },
      };
    },
  },
  {
    name: 'never older',
    sentence: 'What the broker makes current was not obtained before what was current (clocks within 5 s).',
    holds: ({ clockError }) => clockError <= 5,
    check: (_watch, broken) => ({
      stored: (now, before) => {
        if (now.by !== 'broker' || !now.record || !before?.record) return;
        const [one, other] = [before.record.obtained_at, now.record.obtained_at];
        if (other < one) broken(`${now.token} of ${other} over ${before.token} of ${one}`);
      },
    }),
  },
  {
    name: 'honest end',
    sentence: 'No stored token is said to live longer than it does, but for what the clock is off.',
    holds: () => true,
    check: ({ d1, facts }, broken) => ({
      stored: ({ record, token, by }) => {
        const issued = d1.find(token ?? '');
        if (by !== 'broker' || !record || !issued) return;
        const over = record.expires_at * 1000 - issued.diesAt;
        if (over > facts.clockError * 1000 + 1) broken(`${token} is said to live ${seconds(over)} s too long`);
      },
    }),
  },
  {
    name: 'answers are alive',
    sentence:
      'A token that is answered is alive by the clock of its container, and by D1, but for what clocks are off.',
    holds: () => true,
    check: ({ d1, facts, now }, broken) => ({
      ended: ({ container }, ended) => {
        const answer = answerOf(ended);
        if (!answer) return;
        const expired = container.clock.now() - answer.expires_at * 1000;
        if (expired >= 1000)
          broken(`${answer.access_token} had died ${seconds(expired)} s before, by the container's clock`);
        const over = now() - (d1.find(answer.access_token)?.diesAt ?? 0);
        if (over > 2 * facts.clockError * 1000 + 1000)
          broken(`${answer.access_token} had died ${seconds(over)} s before`);
        if (answer.expires_in !== answer.expires_at - Math.floor(container.clock.now() / 1000)) {
          broken(`expires_in ${answer.expires_in} is not what is left of ${answer.access_token}`);
        }
      },
    }),
  },
  {
    name: 'never the refused',
    sentence: 'An answer to `newer_than` or `refused` is never the refused token, nor one obtained before it.',
    holds: () => true,
    check: ({ facts }, broken) => ({
      ended: ({ refused, event }, ended) => {
        const answer = answerOf(ended);
        if (!answer || !refused || refused.saying === 'force') return;
        // The moment alone does not tell a token that D1 repeats to a container with another clock: that takes the digest.
        const mayBeAhead = facts.clockError > 2 && refused.saying === 'newer_than';
        if (answer.access_token === refused.token && !mayBeAhead) broken(`${refused.token} was refused, and answered`);
        if ('newer_than' in event && facts.clockError <= 2 && answer.obtained_at <= refused.obtainedAt) {
          broken(`${answer.access_token} was not obtained after ${refused.token}`);
        }
      },
    }),
  },
  {
    name: 'the refused leaves the secret',
    sentence:
      'A refused token that an invocation got a replacement for is out of the secret when it ends, or after the next event of its container that finds Secrets Manager well.',
    holds: (facts, world) =>
      facts.count('refusal') <= 10 &&
      !facts.has('moved back', 'foreign value') &&
      world.tokenReuseUntilSeconds === undefined &&
      facts.clockError <= 5 &&
      !facts.has('frozen') &&
      world.concurrency === 1,
    check: ({ d1, now, current, isTrouble }, broken) => {
      const owed = new Map<Container, { refused: string; replacement: number; since: number }>();
      return {
        ended: ({ container, refused, kind, beganAt, obtained }, ended) => {
          if (typeof ended === 'string') {
            owed.delete(container);
            return;
          }
          const debt = owed.get(container);
          if (debt) {
            const replacement = d1.find(`token-${debt.replacement}`);
            const suits =
              kind === 'tick' || (replacement && replacement.diesAt - beganAt > replacement.lifetimeSeconds * 900);
            const isCounted =
              kind !== 'rotation' && suits && beganAt - debt.since > 11_000 && !isTrouble(beganAt - 60_000, now());
            if (current()?.token !== debt.refused) owed.delete(container);
            else if (isCounted && !ended.error) {
              broken(
                `${debt.refused} is in the secret still, ${seconds(now() - debt.since)} s after token-${debt.replacement} was answered`,
              );
            }
          }
          const answer = answerOf(ended);
          const number = obtained.at(-1);
          if (!refused || !answer || number === undefined || current()?.token !== refused.token) return;
          if (answer.access_token === refused.token) return;
          const settledAt =
            (current()?.record as { forced_writes_settled_at?: number } | undefined)?.forced_writes_settled_at ?? 0;
          if (settledAt - now() / 1000 > 10.9 * 7200) return;
          if (!isTrouble(beganAt - 60_000, now())) {
            broken(`${refused.token} is in the secret, though token-${number} was obtained in its place and answered`);
          }
          owed.set(container, { refused: refused.token, replacement: number, since: now() });
        },
      };
    },
  },
  {
    name: 'no repeats',
    sentence:
      'No two versions in a row hold the same token, whatever D1 repeats, unless D1 promises it more than 5 s beyond its known end (clocks within 2 s).',
    holds: ({ clockError }) => clockError <= 2,
    check: (_watch, broken) => ({
      stored: (now, before) => {
        if (now.by !== 'broker' || !before?.token || now.token !== before.token) return;
        const longer = (now.record?.expires_at ?? 0) - (before.record?.expires_at ?? 0);
        if (longer <= 5) broken(`${now.token} was stored twice`);
      },
    }),
  },
  {
    name: 'one at a time',
    sentence:
      'Where a new token ends the one before, with one container, no answer lost and no rotation: whenever an invocation is over the secret holds the token that D1 gave last.',
    holds: (facts, world) =>
      world.oneTokenAtATime &&
      world.containers === 1 &&
      world.concurrency === 1 &&
      facts.containersWell &&
      facts.secretWell &&
      facts.count('refusal') <= 10 &&
      !facts.has('rotation') &&
      !facts.has('D1 slow') &&
      !world.happenings.some((one) => one.kind === 'D1 down' && one.how !== 'unreachable' && one.how !== 'rejected'),
    check: ({ d1, current }, broken) => ({
      ended: (_invocation, ended) => {
        const { last } = d1;
        if (typeof ended === 'string' || !last) return;
        const stored = current()?.token;
        if (stored !== last.token) broken(`the secret holds ${stored}, and D1 gave ${last.token}`);
      },
    }),
  },
  {
    name: 'an ended one is replaced',
    sentence:
      'Where a new token ends the one before, and nothing else is wrong but that exchanges overlap: a stored token that was ended is replaced within 120 s (clocks that are right, and a second or more between what D1 gave).',
    holds: (facts, world) =>
      world.oneTokenAtATime &&
      isCalm(facts) &&
      isNewWhenAsked(world) &&
      facts.clockError === 0 &&
      !facts.has('rotation') &&
      facts.count('refusal') <= 10,
    check: ({ d1, now, current }, broken) => {
      const look = (stored: Stored | undefined) => {
        const token = d1.find(stored?.token ?? '');
        const ended = token?.endedAt;
        // Records tell whole seconds: of two tokens of the same second, nobody knows which ended the other.
        if (!token || ended === undefined || ended - token.issuedAt <= 1_000) return;
        if (stored && now() - ended > 122_000) {
          broken(`${stored.token} was in the secret ${seconds(now() - ended)} s after its end`);
        }
      };
      return { stored: (_now, before) => look(before), end: () => look(current()) };
    },
  },
  {
    name: 'the floor of refusals',
    sentence: 'One exchange a minute and container for refusals (where the stored token lives and is not due).',
    holds: (facts, world) =>
      world.concurrency === 1 &&
      facts.secretWell &&
      facts.lifetime === 900 &&
      facts.clockError <= 5 &&
      !facts.has('clock steps'),
    check: (watch, broken) => {
      const last = new Map<Container, number>();
      return {
        exchanging: (container) => {
          if (watch.working(container)[0]?.kind !== 'refusal' || !isPaced(watch)) return;
          const before = last.get(container);
          last.set(container, watch.now());
          if (before !== undefined && watch.now() - before < 59_900) {
            broken(`a second exchange after ${seconds(watch.now() - before)} s in container ${container.index}`);
          }
        },
      };
    },
  },
  {
    name: 'a wish is a wish',
    sentence:
      'A caller without a refusal causes no exchange while the stored token lives, is not due, and was written less than ten minutes ago.',
    holds: (facts, world) =>
      world.concurrency === 1 &&
      facts.secretWell &&
      facts.lifetime === 900 &&
      facts.clockError <= 5 &&
      !facts.has('clock steps', 'frozen'),
    check: (watch, broken) => ({
      exchanging: (container) => {
        const [invocation] = watch.working(container);
        if (invocation?.kind !== 'token' || !isPaced(watch)) return;
        broken(
          `${JSON.stringify(invocation.event)} asked D1, ${seconds(watch.now() - (watch.current()?.writtenAt ?? 0))} s after a write`,
        );
      },
    }),
  },
  {
    name: 'wishes up to 300 s',
    sentence: 'Likewise calm, a wish for up to 300 s is met.',
    holds: (facts, world) =>
      isCalm(facts) && world.tokenReuseUntilSeconds === undefined && facts.count('refusal') <= 10,
    check: ({ facts }, broken) => ({
      ended: ({ event, kind, refused }, ended) => {
        if (kind !== 'token' || refused || typeof ended === 'string') return;
        const wish = (event as { min_remaining_seconds?: number }).min_remaining_seconds ?? 60;
        if (wish > 300) return;
        if (ended.error) broken(`a wish for ${wish} s failed with ${ended.error.code}`);
        const answer = answerOf(ended);
        if (answer && answer.expires_in < wish - 2 * facts.clockError - 1)
          broken(`a wish for ${wish} s got ${answer.expires_in} s`);
      },
    }),
  },
  {
    name: 'newest wins',
    sentence:
      'A container never answers with a token that D1 gave before one that it has obtained and that lives (clocks within 5 s).',
    holds: (facts, world) =>
      world.concurrency === 1 &&
      facts.clockError <= 5 &&
      facts.lifetime !== undefined &&
      !facts.has('moved back', 'foreign value'),
    check: ({ world, d1, facts, now, refused: refusedTokens }, broken) => {
      const newest = new Map<Container, number>();
      return {
        ended: ({ container, obtained, kind }, ended) => {
          // A rotation's token is the secret's, under AWSPENDING.
          for (const number of kind === 'rotation' ? [] : obtained)
            newest.set(container, Math.max(newest.get(container) ?? 0, number));
          const answer = answerOf(ended);
          const own = d1.find(`token-${newest.get(container)}`);
          const answered = answer && d1.find(answer.access_token);
          if (!answered || !own || own.diesAt <= now() + 12_000 || refusedTokens.has(own.token)) return;
          // Containers whose clocks differ can't tell which of two that came together is the younger.
          // Tokens are ordered by when they came, in whole seconds.
          if (own.issuedAt - answered.issuedAt <= 2 * facts.clockError * 1000 + 1000 + longestExchange(world) * 1000)
            return;
          if (answered.number < own.number) broken(`${answered.token} was answered, and ${own.token} is known`);
        },
      };
    },
  },
  {
    name: 'errors',
    sentence: 'What comes out is an answer or an error of the list, never INTERNAL, and comes before the timeout.',
    holds: () => true,
    check: ({ facts }, broken) => ({
      ended: ({ event, kind }, ended) => {
        if (ended === 'timed out' && !facts.has('frozen')) broken(`${kind} ${JSON.stringify(event)} timed out`);
        if (typeof ended === 'object' && ended.error?.code === 'INTERNAL') {
          broken(`${kind} ${JSON.stringify(event)}: ${ended.error.what}`);
        }
      },
    }),
  },
  {
    name: 'heals',
    sentence: 'Two ticks after the last fault the secret holds a live token (of those that live 180 s or longer).',
    holds: (facts, world) =>
      Math.min(...world.lives) >= 180 &&
      facts.clockError <= 5 &&
      lastFault(world.happenings) + 140 < world.hours * 3600,
    check: ({ world, d1, at, now, current, startsAt, refused }, broken) => {
      const from = startsAt + (lastFault(world.happenings) + 125 + TICK_GRACE) * 1000;
      const look = () => {
        const token = d1.find(current()?.token ?? '');
        if (!token) return broken('the secret holds no token of D1');
        if (now() >= token.diesAt && !refused.has(token.token)) {
          const { tokenReuseUntilSeconds: reuse } = world;
          const gap = now() - token.diesAt;
          if (reuse === undefined || gap > 15_000) broken(`${token.token} has been dead for ${seconds(gap)} s`);
        }
      };
      at(from, look);
      return { end: () => from <= now() && look() };
    },
  },
  {
    name: 'short lives',
    sentence:
      'At most one write per max(60 s, life - window) where ticks are on time and nothing is refused, for tokens that live 60-900 s (clocks within 2 s).',
    holds: (facts) =>
      isShort(facts) && (facts.lifetime ?? 0) >= 60 && facts.clockError <= 2 && !facts.has('refusal', 'rotation'),
    check: ({ facts, world, d1 }, broken) => {
      const pace = Math.min(600, Math.max(60, (facts.lifetime ?? 900) - facts.window));
      const slack = 2 * facts.clockError + world.exchangeTakes[1] / 1000 + 1.5;
      return {
        stored: (now, before) => {
          const [one, other] = [d1.find(before?.token ?? ''), d1.find(now.token ?? '')];
          // Two containers asked D1 at once: the younger token may have ended the older, and replaces it.
          if (one && other && other.number !== one.number && Math.abs(other.issuedAt - one.issuedAt) < OVERLAP) return;
          if (before && now.at - before.at < (pace - slack) * 1000) {
            broken(`${now.token} ${seconds(now.at - before.at)} s after ${before.token}, and the pace is ${pace} s`);
          }
        },
      };
    },
  },
];

/** Milliseconds between what D1 gives to two who asked at the same time. */
const OVERLAP = 3_000;

/** After a fault's end a tick may be under way that met it. */
const TICK_GRACE = 30;

/** A stored token that lives, is far from its window's end, and was written less than its pace ago. */
function isPaced({ current, d1, now }: Watch): boolean {
  const stored = current();
  const token = d1.find(stored?.token ?? '');
  if (!stored || !token || token.endedAt !== undefined) return false;
  return now() - stored.writtenAt < 589_000 && token.diesAt - now() > 310_000;
}

function areShortOutages(happenings: readonly Happening[]): boolean {
  let free = 1200;
  for (const one of happenings) {
    if (one.kind !== 'D1 down') continue;
    const lasts = one.lasts + (one.how === 'hanging' ? 26 : 0);
    if (one.how === 'lost' || lasts >= 175 || one.at < free) return false;
    free = one.at + lasts + 1800;
  }
  return true;
}

/** Seconds from the world's beginning. */
function lastFault(happenings: readonly Happening[]): number {
  const ends = happenings.map((one) => {
    switch (one.kind) {
      case 'call':
        return 0;
      case 'tick late':
        return one.at + 60 + one.by;
      case 'tick twice':
        return one.at + 60 + one.after;
      case 'rotation':
        return (
          one.at +
          900 +
          one.delays.reduce((sum, delay) => sum + delay, 0) +
          Math.max(0, ...one.repeats.map(({ after }) => after))
        );
      case 'killed':
        return one.at + 240;
      default:
        return one.at + 60 + ('lasts' in one ? one.lasts : 0) + ('seconds' in one ? one.seconds : 0);
    }
  });
  return Math.max(0, ...ends);
}

/** Seconds. */
const longestExchange = ({ exchangeTakes, happenings }: World): number =>
  Math.max(exchangeTakes[1] / 1000, ...happenings.map((one) => (one.kind === 'D1 slow' ? one.seconds : 0)));

const left = ({ diesAt }: IssuedToken, now: number) => seconds(diesAt - now);

type TokenAnswer = Pick<TokenRecord, 'access_token' | 'expires_at' | 'expires_in' | 'obtained_at'>;

function answerOf(ended: Ended): TokenAnswer | undefined {
  if (typeof ended === 'string' || !ended.answer || !('access_token' in ended.answer)) return undefined;
  return ended.answer as unknown as TokenAnswer;
}

export type Promises = ReturnType<typeof startPromises>;

/** Watches a world: those promises whose conditions it meets. */
export function startPromises(
  world: World,
  { time, d1, startsAt, only }: { time: SimulatedTime; d1: D1; startsAt: number; only?: string | undefined },
) {
  const facts = factsOf(world);
  const rules = promiseRules.filter(({ name, holds }) => (only === undefined || only === name) && holds(facts, world));
  const refused = new Set<string>();
  const working = new Map<Container, Invocation[]>();
  let current: Stored | undefined;
  const troubles = world.happenings.filter((one) => one.kind === 'secret service');
  const watch: Watch = {
    world,
    facts,
    d1,
    startsAt,
    now: () => time.now(),
    at: (moment, look) =>
      time.start(async () => {
        await time.sleep(moment - time.now());
        look();
      }),
    current: () => current,
    refused,
    working: (container) => working.get(container) ?? [],
    isTrouble: (from, to) =>
      troubles.some(({ at, lasts }) => startsAt + at * 1000 < to && startsAt + (at + lasts) * 1000 > from),
  };
  const checks = rules.map(({ name, check }) =>
    check(watch, (what) => {
      throw new BrokenPromise({ promise: name, what });
    }),
  );
  return {
    names: rules.map(({ name }) => name),
    isViolation: (error: unknown): error is BrokenPromise => error instanceof BrokenPromise,
    broke(what: string): never {
      throw new BrokenPromise({ promise: 'errors', what });
    },
    stored(now: Stored, before: Stored | undefined): void {
      current = now;
      for (const check of checks) check.stored?.(now, before);
    },
    exchanging(container: Container): void {
      for (const check of checks) check.exchanging?.(container);
    },
    obtained(container: Container, token: string): void {
      const number = d1.find(token)?.number;
      for (const invocation of working.get(container) ?? []) if (number !== undefined) invocation.obtained.push(number);
    },
    begins(facts: Omit<Invocation, 'beganAt' | 'obtained'>): Invocation {
      const invocation: Invocation = { ...facts, beganAt: time.now(), obtained: [] };
      if (facts.refused) {
        refused.add(facts.refused.token);
        if (facts.refused.saying === 'force' && current?.token) refused.add(current.token);
      }
      working.set(facts.container, [...(working.get(facts.container) ?? []), invocation]);
      return invocation;
    },
    ended(invocation: Invocation, ended: Ended): void {
      const others = (working.get(invocation.container) ?? []).filter((one) => one !== invocation);
      working.set(invocation.container, others);
      for (const check of checks) check.ended?.(invocation, ended);
    },
    end(): void {
      for (const check of checks) check.end?.();
    },
  };
}
