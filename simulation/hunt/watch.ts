import type { TokenRecord } from '../../src/shared/token-record.ts';
import { config } from '../broker-function.ts';
import type { D1, IssuedToken } from '../d1.ts';
import type { Container, Ended } from './container.ts';
import type { Happening, Kind, World } from './description.ts';

export interface Violation {
  readonly promise: string;
  readonly what: string;
}

export class BrokenPromise extends Error {
  readonly violation: Violation;

  constructor(violation: Violation) {
    super(`${violation.promise}: ${violation.what}`);
    this.violation = violation;
  }
}

/** A version that became AWSCURRENT; moments are milliseconds since 1970 UTC. */
export interface Stored {
  readonly at: number;
  /** A write of the broker's, a label that its rotation moved, or somebody else. */
  readonly by: 'write' | 'rotation' | 'hand';
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
export interface Check {
  /** Another version is current, since this moment. */
  stored?(now: Stored, before: Stored | undefined): void;
  /** A container begins an exchange. */
  exchanging?(container: Container): void;
  /** A token has come to a container. @param working What the container works on. @param seconds Its `expires_in`. */
  obtained?(container: Container, token: IssuedToken, working: readonly Invocation[], seconds: number): void;
  /** A read showed a container this version as the current one, or its write made it. */
  saw?(container: Container, versionId: string): void;
  /** A container asks to write this version. */
  putting?(container: Container, versionId: string): void;
  /** The last step of a rotation has succeeded. @param labels What lies on its version. */
  finished?(labels: readonly string[]): void;
  ended?(invocation: Invocation, ended: Ended): void;
  /** The world is over, or the moment has come for which the check asked. */
  end?(): void;
}

/** What a check may look at. */
export interface Watch {
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
  /** When a token first came to anybody; milliseconds since 1970 UTC. */
  arrivedAt(token: IssuedToken): number;
  /** Whether it has come to anybody before now. */
  isRepeated(token: IssuedToken): boolean;
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

export function factsOf(world: World): Facts {
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
    ticksOnTime:
      !has('tick lost', 'tick late', 'frozen', 'killed') &&
      world.timeoutSeconds === 90 &&
      (world.containers >= 2 || !(staysLong || hangs)),
    d1Well: !has('D1 down', 'D1 slow', 'revoked'),
    secretWell: !has('secret service', 'moved back', 'foreign value', 'deleted') && hasRoom(world),
    containersWell: !has('frozen', 'killed', 'clock steps'),
    lifetime,
    window: Math.min(300, (lifetime ?? 900) / 2),
  };
}

/** With ten-minute writes and every forced one 169 versions are younger than a day. An end that is put off costs a write. */
export const hasRoom = ({ versionQuota, lives, lengthens, lengthensBy }: World): boolean =>
  versionQuota === 'none' ||
  (versionQuota >= 190 && lives.every((life) => life === 900) && (lengthens === 0 || lengthensBy >= 600));

export const seconds = (milliseconds: number) => Math.round(milliseconds / 100) / 10;

export const isShort = ({ has, clockError, ticksOnTime, d1Well, secretWell, containersWell, lifetime }: Facts) =>
  ticksOnTime && d1Well && secretWell && containersWell && clockError <= 5 && lifetime !== undefined && !has('revoked');

/** With these nothing goes wrong but what callers and readers do. */
export const isCalm = (facts: Facts) => isShort(facts) && facts.lifetime === 900;

/**
 * Whether each version holds a new token: D1 gives one when the window begins, and tells no rotation of a later end of the
 * stored one.
 */
export const isNewWhenAsked = ({ tokenReuseUntilSeconds: reuse, lengthens, happenings }: World, window = 300) =>
  reuse === undefined ||
  (reuse >= window + 10 && !(lengthens > 0 && happenings.some(({ kind }) => kind === 'rotation')));

/** After a fault's end a tick may be under way that met it. */
export const TICK_GRACE = 30;

/** A stored token that lives, is far from its window's end, and was written less than its pace ago. */
export function isPaced({ current, d1, now }: Watch): boolean {
  const stored = current();
  const token = d1.find(stored?.token ?? '');
  if (!stored || !token || token.endedAt !== undefined) return false;
  return now() - stored.writtenAt < 589_000 && token.diesAt - now() > 310_000;
}

export function areShortOutages(happenings: readonly Happening[]): boolean {
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
export function lastFault(happenings: readonly Happening[]): number {
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
      case 'deleted':
        return one.at + 120 + one.lasts;
      default:
        return one.at + 60 + ('lasts' in one ? one.lasts : 0) + ('seconds' in one ? one.seconds : 0);
    }
  });
  return Math.max(0, ...ends);
}

/** Seconds. An answer to a container that is frozen comes when it is thawed, and counts as come before its time-out. */
export const longestExchange = ({ exchangeTakes, happenings }: World): number =>
  Math.max(
    exchangeTakes[1] / 1000,
    ...happenings.map((one) => {
      if (one.kind === 'frozen') return config.exchangeTimeoutMilliseconds / 1000;
      return one.kind === 'D1 slow' ? one.seconds : 0;
    }),
  );

export const left = ({ diesAt }: IssuedToken, now: number) => seconds(diesAt - now);

export type TokenAnswer = Pick<TokenRecord, 'access_token' | 'expires_at' | 'expires_in' | 'obtained_at'>;

export function answerOf(ended: Ended): TokenAnswer | undefined {
  if (typeof ended === 'string' || !ended.answer || !('access_token' in ended.answer)) return undefined;
  return ended.answer as unknown as TokenAnswer;
}

/** Whether the bill of forced writes that a version carries leaves no room for another. @param moment Milliseconds since 1970 UTC. */
export const isBudgetSpent = ({ record }: Stored, moment: number): boolean =>
  (record?.forced_writes_settled_at ?? 0) - moment / 1000 > 10.9 * 7_200;
