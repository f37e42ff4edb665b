import { SeededRandom } from '../seeded-random.ts';
import { pointedWorld } from './pointed-worlds.ts';

/** What a request to Secrets Manager is for. */
export type Operation = 'GetSecretValue' | 'PutSecretValue' | 'DescribeSecret' | 'UpdateSecretVersionStage';
export const operations: readonly Operation[] = [
  'GetSecretValue',
  'PutSecretValue',
  'DescribeSecret',
  'UpdateSecretVersionStage',
];

/** A point in a container's work at which it may die: before or after what it asked for was done. */
export type Step = 'now' | 'sleep' | 'sign' | 'exchange' | Operation;

/** How a caller says that D1 refused its token; it sends the newest that it knows, or the one before. */
export type Saying = 'newer_than' | 'refused' | 'both' | 'force';

/** One thing that happens. All moments and lengths are seconds from the world's beginning; `tick` counts from 0. */
export type Happening =
  | { readonly kind: 'tick lost'; readonly at: number; readonly tick: number }
  | { readonly kind: 'tick late'; readonly at: number; readonly tick: number; readonly by: number }
  | { readonly kind: 'tick twice'; readonly at: number; readonly tick: number; readonly after: number }
  | { readonly kind: 'call'; readonly at: number; readonly wish: number | undefined }
  | {
      readonly kind: 'refusal';
      readonly at: number;
      readonly saying: Saying;
      /** The stored token, the one before, or the last that a caller was answered. */
      readonly holds: 'stored' | 'before' | 'answered';
      readonly wish: number | undefined;
    }
  | { readonly kind: 'revoked'; readonly at: number }
  | {
      readonly kind: 'D1 down';
      readonly at: number;
      readonly lasts: number;
      readonly how: 'unreachable' | 'rejected' | 'hanging' | 'lost';
    }
  | { readonly kind: 'D1 slow'; readonly at: number; readonly lasts: number; readonly seconds: number }
  | {
      readonly kind: 'secret service';
      readonly at: number;
      readonly lasts: number;
      /** `stale`: reads show what was current this many seconds before. */
      readonly how: 'throttled' | 'down' | 'denied' | 'lost' | 'stale' | 'slow';
      readonly operations: readonly Operation[];
      /** Share of the requests, 0-1. */
      readonly share: number;
      readonly seconds: number;
    }
  | { readonly kind: 'moved back'; readonly at: number }
  | { readonly kind: 'foreign value'; readonly at: number }
  | {
      readonly kind: 'deleted';
      readonly at: number;
      /** At once, or when the next request of this kind has been carried out. */
      readonly upon: 'now' | Operation;
      /** Scheduled for deletion; then it is restored. */
      readonly lasts: number;
    }
  | {
      readonly kind: 'rotation';
      readonly at: number;
      /** Seconds before each of the steps. A step that fails is repeated after 20 s, five times. */
      readonly delays: readonly number[];
      /** Steps that are sent twice, the second time this much later. */
      readonly repeats: readonly { readonly step: number; readonly after: number }[];
    }
  | { readonly kind: 'frozen'; readonly at: number; readonly container: number; readonly lasts: number }
  | {
      readonly kind: 'killed';
      readonly at: number;
      readonly container: number;
      readonly step: Step;
      readonly done: boolean;
    }
  | { readonly kind: 'clock steps'; readonly at: number; readonly container: number; readonly by: number };

export type Kind = Happening['kind'];

/** A world as plain data: made from a seed, and cut down to the shortest that still fails. */
export interface World {
  readonly seed: number;
  readonly hours: number;
  /** Containers that there can be at a time; whoever finds all busy waits, a tick for a minute, a caller for 3 s. */
  readonly containers: number;
  /** Events that one container works on at a time. */
  readonly concurrency: number;
  /** Seconds that each container's clock is ahead. */
  readonly clocks: readonly number[];
  /** Seconds that tokens live: each as long as one drawn from these. */
  readonly lives: readonly number[];
  /** See `D1Options`. */
  readonly tokenReuseUntilSeconds: number | undefined;
  /** Share of the repeated tokens whose end is put off, 0-1, and by how many seconds. */
  readonly lengthens: number;
  readonly lengthensBy: number;
  readonly oneTokenAtATime: boolean;
  /** The function's: 90 as deployed. */
  readonly timeoutSeconds: number;
  /** Versions younger than a day that the secret may have. AWS says about 100, and allows 144 writes a day: nobody knows. */
  readonly versionQuota: number | 'none';
  /** Milliseconds, from and to. */
  readonly exchangeTakes: readonly [number, number];
  /** Share of it that passes after the token was issued. */
  readonly returnShare: number;
  readonly requestTakes: readonly [number, number];
  readonly happenings: readonly Happening[];
}

export const SAYINGS: readonly Saying[] = ['newer_than', 'refused', 'both', 'force'];

/**
 * A world from its seed. Every fourth is calm: one or two things happen in it, so that the strong promises can hold. Every
 * second is pointed: calm, but for one story that once went wrong, told again and again.
 */
export function describeWorld(seed: number): World {
  const random = new SeededRandom(seed, 'description');
  if (seed % 2 === 1) return pointedWorld(seed, random);
  const calm = seed % 4 === 0;
  const pick = <T>(values: readonly T[]): T => {
    const value = values[Math.floor(random.fraction() * values.length)];
    if (value === undefined) throw new RangeError('Nothing to pick from.');
    return value;
  };
  const hours = calm ? pick([8, 14, 26, 30]) : pick([6, 8, 12]);
  const end = hours * 3600;
  const containers = pick([1, 2, 2, 3, 4]);
  const concurrency = random.happens(0.2) ? 3 : 1;
  const clockError = calm ? pick([0, 0, 0, 1, 5]) : pick([0, 0, 2, 5, 30, 90]);
  const lives = pickLives();
  const reuse = random.happens(calm ? 0.15 : 0.3) ? pick([0, 0, 1, 5, 30, 60, 120, 240, 300, 450]) : undefined;

  function pickLives(): readonly number[] {
    if (calm)
      return random.happens(0.7) ? [900] : [pick([30, 60, 90, 120, 180, 240, 300, 450, 600, 661, 700, 780, 840])];
    if (random.happens(0.6)) return [900];
    return random.happens(0.5)
      ? [random.between(30, 900)]
      : [random.between(30, 900), random.between(30, 900), random.between(30, 900)];
  }

  const happenings: Happening[] = [];
  const moments = (perHour: number): number[] => {
    const all: number[] = [];
    if (perHour <= 0) return all;
    for (let at = random.exponential(3600 / perHour); at < end; at += random.exponential(3600 / perHour)) all.push(at);
    return all;
  };
  /** What a world has of a kind: nothing in most, else so many an hour. */
  const some = (chance: number, rates: readonly number[]): number[] =>
    moments(random.happens(chance) ? pick(rates) : 0);
  const wish = () =>
    random.happens(0.3) ? undefined : pick([0, 30, 60, 120, 240, 290, 300, 400, 600, 840, random.between(0, 840)]);
  const container = () => Math.floor(random.fraction() * containers);

  for (const at of some(0.7, [1, 6, 60, 200]))
    happenings.push({ kind: 'call', at: at + random.fraction(), wish: wish() });
  // A caller that keeps asking for a long life, once a minute or so.
  if (random.happens(0.25)) {
    const wished = pick([300, 600, 840]);
    const every = pick([20, 60, 61]);
    const from = random.fraction() * end * 0.5;
    const to = Math.min(end, from + pick([3600, 7200, 14_400]));
    for (let at = from; at < to; at += every) happenings.push({ kind: 'call', at, wish: wished });
  }

  const refusal = (at: number): Happening => ({
    kind: 'refusal',
    at,
    saying: pick(SAYINGS),
    holds: random.happens(0.85) ? 'stored' : 'before',
    wish: random.happens(0.8) ? undefined : wish(),
  });

  if (calm) {
    const flavour = pick(['nothing', 'refusals', 'outages', 'one of a kind', 'rotations']);
    if (flavour === 'refusals') for (const at of moments(pick([0.2, 0.5, 2, 10]))) happenings.push(refusal(at));
    if (flavour === 'rotations') for (const at of moments(pick([0.1, 0.3]))) happenings.push(rotation(at, true));
    if (flavour === 'outages') {
      let at = 1800 + random.between(0, 3600);
      while (at < end - 1800) {
        const lasts = random.happens(0.5) ? 174 : random.between(5, 174);
        happenings.push({
          kind: 'D1 down',
          at,
          lasts,
          how: pick(['unreachable', 'unreachable', 'rejected', 'hanging']),
        });
        at += lasts + 1800 + random.between(0, 3600);
      }
    }
    if (flavour === 'one of a kind') {
      for (let count = random.between(1, 3); count > 0; count -= 1) {
        const at = random.between(1200, end - 1800);
        happenings.push(...anything(at));
      }
    }
  } else {
    for (const at of some(0.4, [0.2, 1, 4])) happenings.push({ kind: 'tick lost', at, tick: Math.floor(at / 60) });
    for (const at of some(0.3, [0.5, 3]))
      happenings.push({ kind: 'tick late', at, tick: Math.floor(at / 60), by: random.exponential(40) });
    for (const at of some(0.4, [1, 10]))
      happenings.push({
        kind: 'tick twice',
        at,
        tick: Math.floor(at / 60),
        after: random.fraction() * pick([0.5, 5, 60]),
      });
    for (const at of some(0.5, [0.3, 1, 5])) happenings.push(refusal(at));
    for (const at of some(0.4, [0.2, 1])) happenings.push(...revocation(at));
    for (const at of some(0.5, [0.2, 1, 4])) happenings.push(d1Down(at));
    for (const at of some(0.3, [0.3, 2])) happenings.push(d1Slow(at));
    for (const at of some(0.6, [0.3, 1, 4])) happenings.push(secretService(at));
    for (const at of some(0.2, [0.1, 0.4])) happenings.push({ kind: 'moved back', at });
    for (const at of some(0.1, [0.1, 0.4])) happenings.push(deleted(at));
    for (const at of some(0.2, [0.1, 0.4])) happenings.push({ kind: 'foreign value', at });
    for (const at of some(0.35, [0.15, 0.5])) happenings.push(rotation(at, false));
    for (const at of some(0.4, [0.5, 3])) happenings.push(frozen(at));
    for (const at of some(0.4, [0.5, 3])) happenings.push(killed(at));
    if (clockError >= 2)
      for (const at of some(0.4, [0.2, 1]))
        happenings.push({ kind: 'clock steps', at, container: container(), by: signed(random.between(1, clockError)) });
  }

  /** One fault, in an otherwise calm world: what it costs can then be told. */
  function anything(at: number): Happening[] {
    const make = pick([
      () => revocation(at),
      () => [d1Down(at)],
      () => [d1Slow(at)],
      () => [secretService(at)],
      () => [rotation(at, false)],
      () => [frozen(at)],
      () => [killed(at)],
      () => [{ kind: 'foreign value', at } as const],
      () => [{ kind: 'moved back', at } as const],
      () => [deleted(at)],
    ]);
    return make();
  }

  /** D1 ends a token, and callers notice, one after another. */
  function revocation(at: number): Happening[] {
    const callers = Array.from({ length: random.between(0, 4) }, () => at + random.exponential(20) + random.fraction());
    return [{ kind: 'revoked', at }, ...callers.map((moment) => refusal(moment))];
  }

  function d1Down(at: number): Happening {
    const lasts = pick([random.between(5, 170), random.between(60, 300), random.between(300, 2400)]);
    return { kind: 'D1 down', at, lasts, how: pick(['unreachable', 'unreachable', 'rejected', 'hanging', 'lost']) };
  }

  function d1Slow(at: number): Happening {
    return { kind: 'D1 slow', at, lasts: random.between(60, 900), seconds: pick([2, 5, 9, 15, 25]) };
  }

  function secretService(at: number): Happening {
    return {
      kind: 'secret service',
      at,
      lasts: pick([random.between(2, 30), random.between(30, 300), random.between(300, 1800)]),
      how: pick(['throttled', 'down', 'denied', 'lost', 'lost', 'stale', 'stale', 'slow']),
      operations: pick([
        operations,
        operations,
        ['GetSecretValue'],
        ['PutSecretValue'],
        ['PutSecretValue', 'UpdateSecretVersionStage'],
      ]),
      share: pick([0.2, 0.5, 1]),
      seconds: pick([1, 3, 5]),
    };
  }

  function deleted(at: number): Happening {
    return { kind: 'deleted', at, upon: pick(['now', ...operations]), lasts: random.between(1, 600) };
  }

  function rotation(at: number, prompt: boolean): Happening {
    const late = () =>
      prompt || random.happens(0.6) ? random.between(0, 3) : pick([20, 60, 300, 700, random.between(0, 900)]);
    const length = prompt || random.happens(0.75) ? 4 : random.between(1, 3);
    const repeats = [0, 1, 2, 3].filter(() => !prompt && random.happens(0.15));
    return {
      kind: 'rotation',
      at,
      delays: Array.from({ length }, late),
      repeats: repeats.map((step) => ({ step, after: pick([0, 1, 5, 60, random.between(0, 900)]) })),
    };
  }

  function frozen(at: number): Happening {
    return {
      kind: 'frozen',
      at,
      container: container(),
      lasts: pick([random.between(1, 10), random.between(10, 80), random.between(60, 900)]),
    };
  }

  function killed(at: number): Happening {
    const step = pick(['now', 'sleep', 'sign', 'exchange', ...operations] as const);
    return { kind: 'killed', at, container: container(), step, done: random.happens(0.5) };
  }

  function signed(size: number): number {
    return random.happens(0.5) ? size : -size;
  }

  const clocks = Array.from(
    { length: containers },
    () => Math.round((random.fraction() * 2 - 1) * clockError * 1000) / 1000,
  );
  return {
    seed,
    hours,
    containers,
    concurrency,
    clocks,
    lives,
    tokenReuseUntilSeconds: reuse,
    lengthens: reuse !== undefined && random.happens(0.2) ? pick([0.3, 1]) : 0,
    lengthensBy: reuse === undefined ? 0 : pick([8, 60, 900]),
    timeoutSeconds: !calm && random.happens(0.15) ? pick([5, 8, 15, 30, 60]) : 90,
    versionQuota: calm ? pick(['none', 190]) : random.happens(0.1) ? 100 : 'none',
    oneTokenAtATime: random.happens(calm ? 0.3 : 0.25),
    returnShare: pick([0, 0.5, 0.5, 0.9]),
    exchangeTakes: pick([
      [100, 600],
      [100, 600],
      [30, 80],
      [500, 1800],
    ] as const),
    requestTakes: pick([
      [5, 25],
      [5, 25],
      [1, 2],
      [20, 90],
    ] as const),
    happenings: happenings.filter(({ at }) => at < end).sort((one, other) => one.at - other.at),
  };
}
