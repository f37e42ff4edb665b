import type { Happening, World } from './description.ts';
import { type Outcome, runWorld } from './run.ts';

/** Worlds that are tried at most; the shortest found by then is good enough. */
const MOST_TRIES = 250;

export interface Shrunk {
  readonly world: World;
  readonly outcome: Outcome;
}

/** Makes a world that breaks a promise shorter and simpler, as long as it breaks the same promise. */
export async function shrink(world: World, promise: string): Promise<Shrunk> {
  let tries = 0;
  let best: Shrunk = { world, outcome: await runWorld(world, { only: promise }) };

  async function attempt(candidate: World): Promise<boolean> {
    if (tries >= MOST_TRIES) return false;
    tries += 1;
    const outcome = await runWorld(candidate, { only: promise });
    if (outcome.violation?.promise !== promise) return false;
    best = { world: candidate, outcome };
    return true;
  }

  for (let before = -1; tries < MOST_TRIES && before !== size(best.world); ) {
    before = size(best.world);
    await attempt({ ...best.world, hours: Math.ceil(best.outcome.hours * 60 + 1) / 60 });
    await attempt(onlyUntil(best.world, best.outcome.hours * 3600));
    await dropHappenings();
    for (const hours of [8, 4, 2, 1, 0.5, 1 / 6, 1 / 30]) {
      while (best.outcome.hours > hours && (await attempt(sooner(best.world, hours * 3600))));
    }
    for (const simpler of simplifications) {
      if (JSON.stringify(simpler(best.world)) !== JSON.stringify(best.world)) await attempt(simpler(best.world));
    }
  }
  return { ...best, outcome: await runWorld(best.world, { only: promise, withStory: true }) };

  /** Halves first, then quarters, down to single ones (delta debugging). */
  async function dropHappenings(): Promise<void> {
    for (
      let chunk = Math.ceil(best.world.happenings.length / 2);
      chunk >= 1;
      chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)
    ) {
      for (let from = 0; from < best.world.happenings.length; ) {
        const happenings = best.world.happenings.filter((_one, index) => index < from || index >= from + chunk);
        if (!(await attempt({ ...best.world, happenings }))) from += chunk;
        if (tries >= MOST_TRIES) return;
      }
    }
  }
}

const size = ({ happenings, hours }: World) => happenings.length * 1000 + hours;

const onlyUntil = (world: World, seconds: number): World => ({
  ...world,
  happenings: world.happenings.filter(({ at }) => at <= seconds),
});

/** The same, without its first hours. */
const sooner = (world: World, seconds: number): World => ({
  ...world,
  hours: world.hours - seconds / 3600,
  happenings: world.happenings.filter(({ at }) => at > seconds).map((one) => moved(one, -seconds)),
});

const moved = (one: Happening, by: number): Happening =>
  'tick' in one ? { ...one, at: one.at + by, tick: one.tick + Math.round(by / 60) } : { ...one, at: one.at + by };

const simplifications: readonly ((world: World) => World)[] = [
  (world) => ({ ...world, clocks: world.clocks.map(() => 0) }),
  (world) => ({ ...world, lives: [900] }),
  (world) => ({ ...world, tokenReuseUntilSeconds: undefined }),
  (world) => ({ ...world, lengthens: 0 }),
  (world) => ({ ...world, oneTokenAtATime: false }),
  (world) => ({ ...world, timeoutSeconds: 90 }),
  (world) => ({ ...world, versionQuota: 'none' }),
  (world) => ({ ...world, returnShare: 0 }),
  (world) => ({ ...world, concurrency: 1 }),
  (world) => ({ ...world, containers: 1, clocks: world.clocks.slice(0, 1) }),
  (world) => ({ ...world, containers: Math.min(2, world.containers), clocks: world.clocks.slice(0, 2) }),
  (world) => ({ ...world, exchangeTakes: [300, 300] }),
  (world) => ({ ...world, requestTakes: [10, 10] }),
];
