import type { D1, IssuedToken } from '../d1.ts';
import type { SimulatedTime } from '../simulated-time.ts';
import type { Came, Container, Ended } from './container.ts';
import type { World } from './description.ts';
import { answers } from './promises/answers.ts';
import { life } from './promises/life.ts';
import { order } from './promises/order.ts';
import { refusals } from './promises/refusals.ts';
import { rotations } from './promises/rotations.ts';
import { writes } from './promises/writes.ts';
import { BrokenPromise, factsOf, type Invocation, type PromiseRule, type Stored, type Watch } from './watch.ts';

export const promiseRules: readonly PromiseRule[] = [
  ...life,
  ...writes,
  ...order,
  ...answers,
  ...refusals,
  ...rotations,
];

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
  const arrivals = new Map<IssuedToken, Came & { seenAt: number }>();
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
    arrivedAt: (token) => arrivals.get(token)?.at ?? Number.POSITIVE_INFINITY,
    isRepeated: (token) => (arrivals.get(token)?.seenAt ?? Number.POSITIVE_INFINITY) < time.now(),
    isTrouble: (from, to) =>
      troubles.some(({ at, lasts }) => startsAt + at * 1000 < to && startsAt + (at + lasts) * 1000 > from),
  };
  const checks = rules.map(({ name, check }) =>
    check(watch, (what) => {
      const error = new BrokenPromise({ promise: name, what });
      // Thrown through the broker's own code it might be caught there: the world ends by it in any case.
      time.start(() => Promise.reject(error));
      throw error;
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
    obtained(container: Container, text: string, came: Came): void {
      const token = d1.find(text);
      if (!token) return;
      if (!arrivals.has(token)) arrivals.set(token, { ...came, seenAt: time.now() });
      const here = working.get(container) ?? [];
      for (const invocation of here) invocation.obtained.push(token.number);
      for (const check of checks) check.obtained?.(container, token, here, came.seconds);
    },
    saw(container: Container, versionId: string): void {
      for (const check of checks) check.saw?.(container, versionId);
    },
    putting(container: Container, versionId: string): void {
      for (const check of checks) check.putting?.(container, versionId);
    },
    finished(labels: readonly string[]): void {
      for (const check of checks) check.finished?.(labels);
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
