import type { Fault, FaultRule, When } from './rule.ts';
import { seededRandom } from './seeded-random.ts';

/** A call on its way, as rules see it. */
export interface Passing {
  /** `service.operation`. */
  readonly call: string;
  readonly secretId?: string | undefined;
}

export type Trigger = (passing: Passing, elapsedMilliseconds: number) => Fault | undefined;

/** The first rule that wants the call decides; every rule that matches counts it all the same. */
export function createTrigger(rules: readonly FaultRule[]): Trigger {
  const watching = rules.map((rule) => ({
    rule,
    wants: createWatch(rule.when),
  }));
  return (passing, elapsed) => {
    let fault: Fault | undefined;
    for (const { rule, wants } of watching) {
      if (!matches(rule, passing)) continue;
      if (wants(elapsed)) fault ??= rule.fault;
    }
    return fault;
  };
}

function matches({ call, when }: FaultRule, passing: Passing): boolean {
  const named = call.endsWith('.*') ? passing.call.startsWith(call.slice(0, -1)) : passing.call === call;
  return named && (when.secretId === undefined || when.secretId === passing.secretId);
}

function createWatch({ nth, probability, seed = 1, fromMilliseconds = 0, untilMilliseconds }: When) {
  const random = seededRandom(seed);
  let calls = 0;
  return (elapsed: number): boolean => {
    calls += 1;
    // Drawn for every call, so that the seed alone decides which calls are hit, whatever the other conditions say.
    const drawn = random();
    if (nth && !nth.some(({ first, last }) => calls >= first && calls <= last)) return false;
    if (probability !== undefined && drawn >= probability) return false;
    return elapsed >= fromMilliseconds && elapsed < (untilMilliseconds ?? Number.POSITIVE_INFINITY);
  };
}
