import { SeededRandom } from '../seeded-random.ts';
import type { Happening, Operation, World } from './description.ts';

const HOURS = 6;
const END = HOURS * 3600;

/**
 * A world in which one story is told again and again that took a wrong turn once, or could: each of these comes to pass in a
 * random world too, but so seldom that a defect in it would be found after a hundred thousand hours.
 */
export function pointedWorld(seed: number, random: SeededRandom): World {
  const pick = <T>(values: readonly [T, ...T[]]): T =>
    values[Math.floor(random.fraction() * values.length)] ?? values[0];
  const happenings: Happening[] = [];
  const containers = pick([1, 2, 2, 3, 4]);
  const base: World = {
    seed,
    hours: HOURS,
    containers,
    concurrency: random.happens(0.2) ? 3 : 1,
    clocks: Array.from({ length: containers }, () => 0),
    lives: [900],
    tokenReuseUntilSeconds: undefined,
    lengthens: 0,
    lengthensBy: 0,
    oneTokenAtATime: random.happens(0.2),
    timeoutSeconds: 90,
    versionQuota: 'none',
    exchangeTakes: pick([
      [100, 600],
      [500, 1800],
    ]),
    returnShare: pick([0, 0.5, 0.9]),
    requestTakes: pick([
      [5, 25],
      [20, 90],
    ]),
    happenings,
  };
  // A stream of its own: what the other seeds mean stays.
  const isFrozen = new SeededRandom(seed, 'thaws').happens(1 / 18);
  const story = pick([
    overlaps,
    crowds,
    unstored,
    slowWrites,
    behind,
    behind,
    contestedRotations,
    repeats,
    repeats,
    repeats,
    clocksAhead,
    clocksApart,
    shortTimeouts,
    shortTimeouts,
    shortLives,
    labelsByHand,
    fullSecret,
  ]);
  const made = isFrozen ? thaws() : story();
  return {
    ...base,
    ...made,
    happenings: happenings.filter(({ at }) => at < END).sort((one, other) => one.at - other.at),
  };

  /** One moment about every so many seconds. */
  function* moments(least: number, most: number): Generator<number> {
    for (let at = random.between(60, most); at < END; at += random.between(least, most)) yield at + random.fraction();
  }

  function call(at: number, wish?: number): void {
    happenings.push({ kind: 'call', at, wish });
  }

  function refusal(at: number, holds: 'stored' | 'answered' = 'stored'): void {
    const saying = pick(['newer_than', 'refused', 'both', 'force'] as const);
    happenings.push({ kind: 'refusal', at, saying, holds, wish: undefined });
  }

  function trouble(
    at: number,
    lasts: number,
    how: Extract<Happening, { kind: 'secret service' }>['how'],
    operations: readonly Operation[],
    share = 1,
    seconds = pick([1, 3, 5]),
  ): void {
    happenings.push({ kind: 'secret service', at, lasts, how, operations, share, seconds });
  }

  function tickTwice(at: number, after: number): void {
    happenings.push({ kind: 'tick twice', at, tick: Math.floor(at / 60), after });
  }

  /** Two refresh at once, because a tick comes twice or a caller comes with it. */
  function overlaps(): Partial<World> {
    const isDouble = random.happens(0.5);
    for (let at = 60; at < END; at += 60) {
      if (isDouble) tickTwice(at, random.fraction() * pick([0.2, 1]));
      else call(at + random.fraction(), 840);
    }
    return { oneTokenAtATime: random.happens(0.7), containers: pick([1, 2, 3]), clocks: [0, 0, 0] };
  }

  /** Several callers see 401 at nearly the same time, and soon after again, until the budget is spent. */
  function crowds(): Partial<World> {
    const [least, most] = pick([
      [61, 120],
      [300, 900],
    ] as const);
    const span = pick([0.5, 2, 20]);
    for (const at of moments(least, most)) {
      for (let count = random.between(2, 4); count > 0; count -= 1) refusal(at + random.fraction() * span);
    }
    if (random.happens(0.4)) rotations(900, 3600);
    return { containers: pick([2, 3, 4]), clocks: [0, 0, 0, 0] };
  }

  /** A token can't be written when it has been obtained, and is minutes old when it can. */
  function unstored(): Partial<World> {
    for (const at of moments(1500, 3000)) {
      const lasts = pick([random.between(20, 200), random.between(400, 620)]);
      trouble(at, lasts, pick(['throttled', 'down', 'denied']), ['PutSecretValue']);
      if (random.happens(0.7)) refusal(at + random.fraction() * Math.min(lasts, 120));
    }
    return { containers: pick([1, 2]), clocks: [0, 0] };
  }

  /** What could not be written is written at last, slowly, and refused meanwhile. */
  function slowWrites(): Partial<World> {
    for (const at of moments(900, 1500)) {
      const lasts = random.between(80, 200);
      trouble(at, lasts, 'down', ['PutSecretValue']);
      trouble(at + lasts, 60, 'slow', ['PutSecretValue'], 1, pick([2, 3, 5]));
      refusal(at + random.fraction() * 10);
      call(at + lasts + 1, 0);
      refusal(at + lasts + 1 + random.fraction() * 3, 'answered');
    }
    return { containers: 1, concurrency: 3, clocks: [0] };
  }

  /** Reads are behind, and events come in pairs. */
  function behind(): Partial<World> {
    trouble(0, END, 'stale', ['GetSecretValue'], pick([0.3, 0.6]));
    const isCrowded = random.happens(0.5);
    for (let at = 60; at < END; at += 60) {
      tickTwice(at, random.fraction() * pick([1, 6]));
      if (isCrowded && random.happens(0.1)) refusal(at + random.fraction() * 5);
    }
    return { containers: pick([1, 2, 3]), clocks: [0, 0, 0] };
  }

  /** While a rotation makes its token current, others write; or the secret is deleted just then. */
  function contestedRotations(): Partial<World> {
    const isSlow = random.happens(0.6);
    if (isSlow) {
      const seconds = pick([1, 2]);
      trouble(0, END, 'slow', ['DescribeSecret', 'GetSecretValue', 'UpdateSecretVersionStage'], 1, seconds);
    }
    const isDeleted = random.happens(0.3);
    for (const at of rotations(700, 1800)) {
      for (let count = random.between(0, 4); count > 0; count -= 1) refusal(at + random.fraction() * 25);
      if (isDeleted) {
        const upon = pick(['UpdateSecretVersionStage', 'DescribeSecret', 'GetSecretValue', 'PutSecretValue'] as const);
        happenings.push({ kind: 'deleted', at: at + random.between(0, 2), upon, lasts: random.between(20, 90) });
      }
    }
    return { containers: pick([2, 3, 4]), clocks: [0, 0, 0, 0] };
  }

  function rotations(least: number, most: number): number[] {
    const all = [...moments(least, most)];
    for (const at of all) {
      const delays = Array.from({ length: 4 }, () => random.between(0, pick([1, 5])));
      happenings.push({ kind: 'rotation', at, delays, repeats: [] });
    }
    return all;
  }

  /** D1 gives the same token until it has died, or for longer; and may put its end off. */
  function repeats(): Partial<World> {
    const calls = pick([0, 30, 600]);
    for (const at of calls > 0 ? moments(1, calls * 2) : []) call(at, pick([undefined, 300, 840]));
    if (random.happens(0.3)) for (const at of moments(600, 3600)) refusal(at);
    if (random.happens(0.2))
      for (const at of moments(900, 3600)) {
        happenings.push({ kind: 'D1 slow', at, lasts: random.between(60, 900), seconds: pick([5, 15, 25]) });
      }
    return {
      tokenReuseUntilSeconds: pick([-60, -4, 0, 0, 1, 5, 30, 60, 120]),
      lengthens: random.happens(0.4) ? pick([0.2, 1]) : 0,
      lives: [pick([900, 900, random.between(150, 900)])],
      timeoutSeconds: pick([90, 90, 90, 30, 60]),
      containers: pick([2, 3]),
      clocks: [0, 0, 0],
      lengthensBy: pick([8, 60, 900]),
    };
  }

  /** A clock runs minutes or an hour ahead for a while; what it wrote is refused when it is right again. */
  function clocksAhead(): Partial<World> {
    for (const at of moments(1800, 3600)) {
      const container = random.between(0, containers - 1);
      const minutes = random.between(90, 600);
      const by = pick([minutes, random.between(1000, 5000), random.between(1000, 5000)]);
      const lasts = random.between(30, 700);
      happenings.push({ kind: 'clock steps', at, container, by });
      happenings.push({ kind: 'clock steps', at: at + lasts, container, by: -by });
      for (let count = random.between(2, 6); count > 0; count -= 1) refusal(at + random.fraction() * (lasts + 120));
    }
    return {};
  }

  /** Clocks are seconds apart, and what one container got is refused in another at once. */
  function clocksApart(): Partial<World> {
    const most = pick([2, 5, 20]);
    const count = pick([2, 3]);
    for (const at of moments(400, 1500)) {
      let moment = at;
      for (let times = random.between(2, 4); times > 0; times -= 1) {
        refusal(moment);
        moment += random.fraction() * 15;
      }
    }
    const clocks = Array.from({ length: count }, () => Math.round((random.fraction() * 2 - 1) * most * 1000) / 1000);
    return { containers: count, clocks };
  }

  /** A container is frozen while D1's answer is on its way, and others get theirs meanwhile. */
  function thaws(): Partial<World> {
    for (let at = 60; at < END; at += 60) {
      const container = Math.floor(random.fraction() * 2);
      const lasts = pick([random.between(2, 8), random.between(10, 70)]);
      happenings.push({ kind: 'frozen', at: at + random.between(2, 5), container, lasts });
      if (random.happens(0.3)) call(at + random.fraction() * 60, 840);
    }
    return {
      containers: 2,
      clocks: [0, 0],
      exchangeTakes: pick([
        [3_000, 7_500],
        [500, 1_800],
      ]),
    };
  }

  /** Somebody has lowered the function's timeout. */
  function shortTimeouts(): Partial<World> {
    for (const at of moments(1, pick([120, 600]))) call(at, pick([undefined, 300, 600, 840]));
    return {
      timeoutSeconds: pick([4, 4, 5, 8]),
      lives: [pick([900, random.between(240, 900)])],
      exchangeTakes: [100, 600],
    };
  }

  function shortLives(): Partial<World> {
    const calls = pick([0, 60, 600]);
    for (const at of calls > 0 ? moments(1, calls * 2) : []) call(at, pick([undefined, 30, 120, 300, 840]));
    return {
      lives: [pick([random.between(30, 900), random.between(150, 840), random.between(600, 840)])],
      versionQuota: pick(['none', 'none', 100]),
    };
  }

  /** AWSCURRENT goes back soon after a write, and sometimes the secret is to be deleted. */
  function labelsByHand(): Partial<World> {
    for (const at of moments(300, 900)) {
      happenings.push({ kind: 'moved back', at });
      if (random.happens(0.1))
        happenings.push({
          kind: 'deleted',
          at: at + random.between(1, 60),
          upon: 'now',
          lasts: random.between(1, 200),
        });
    }
    return { containers: pick([1, 2]), clocks: [0, 0] };
  }

  /** The secret's quota is full, or D1 or the secret are away, and callers want tokens. */
  function fullSecret(): Partial<World> {
    for (const at of moments(1, pick([60, 240]))) call(at, pick([undefined, 60, 300, 840]));
    if (random.happens(0.5))
      for (const at of moments(60, 600))
        trouble(
          at,
          random.between(5, 300),
          pick(['throttled', 'down', 'denied', 'slow']),
          pick([['GetSecretValue'], ['PutSecretValue'], ['GetSecretValue', 'PutSecretValue']]),
          pick([0.5, 1]),
        );
    return { versionQuota: pick([10, 20]) };
  }
}
