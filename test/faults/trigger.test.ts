import { describe, expect, it } from 'vitest';
import { createFaults } from '../../sandbox/faults/faults.ts';
import { parseFaultRule } from '../../sandbox/faults/parse-rule.ts';
import { createTrigger } from '../../sandbox/faults/trigger.ts';
import { FakeClock } from '../support/fake-clock.ts';

const triggerOf = (...rules: string[]) => createTrigger(rules.map(parseFaultRule));
/** Which of the first `calls` calls are hit, counted from 1. */
const hits = (rule: string, calls: number) => {
  const trigger = triggerOf(rule);
  return Array.from({ length: calls }, (_, index) => (trigger({ call: 'kms.Sign' }, 0) ? index + 1 : 0)).filter(
    Boolean,
  );
};

describe('when a fault comes', () => {
  it('is every time, or as counted', () => {
    expect(hits('kms.Sign hang', 3)).toEqual([1, 2, 3]);
    expect(hits('kms.Sign hang nth=2', 4)).toEqual([2]);
    expect(hits('kms.Sign hang nth=1,3-4,6-', 7)).toEqual([1, 3, 4, 6, 7]);
  });

  it('is by chance as often as told, and the same for the same seed', () => {
    const first = hits('kms.Sign hang probability=0.2 seed=7', 5_000);
    expect(hits('kms.Sign hang probability=0.2 seed=7', 5_000)).toEqual(first);
    expect(hits('kms.Sign hang probability=0.2 seed=8', 5_000)).not.toEqual(first);
    expect(first.length).toBeGreaterThan(900);
    expect(first.length).toBeLessThan(1_100);
    expect(hits('kms.Sign hang probability=0', 100)).toEqual([]);
  });

  it('is inside its window, whose end is outside', () => {
    const trigger = triggerOf('kms.Sign hang from=10 until=20');
    const at = (seconds: number) => trigger({ call: 'kms.Sign' }, seconds * 1000) !== undefined;
    expect([9.9, 10, 19.9, 20].map(at)).toEqual([false, true, true, false]);
  });

  it('is for the calls that the rule names', () => {
    const trigger = triggerOf('kms.* throttle', 'secretsmanager.GetSecretValue refuse secret=a');
    expect(trigger({ call: 'kms.Sign' }, 0)?.kind).toBe('throttle');
    expect(trigger({ call: 'secretsmanager.GetSecretValue', secretId: 'a' }, 0)?.kind).toBe('refuse');
    expect(trigger({ call: 'secretsmanager.GetSecretValue', secretId: 'b' }, 0)).toBeUndefined();
    expect(trigger({ call: 'd1.oauth2/token' }, 0)).toBeUndefined();
  });

  it('is decided by the first rule that wants the call, and counted by all', () => {
    const trigger = triggerOf('kms.Sign hang nth=1', 'kms.Sign refuse nth=2', 'kms.Sign reset nth=2-');
    const kinds = [1, 2, 3].map(() => trigger({ call: 'kms.Sign' }, 0)?.kind);
    expect(kinds).toEqual(['hang', 'refuse', 'reset']);
  });

  it('is told, with the moment on the injected clock', () => {
    const clock = new FakeClock({ startsAt: 1_000 });
    const faults = createFaults([parseFaultRule('d1.connect refuse from=5')], { clock });
    expect(faults.connection()).toBeUndefined();
    clock.advance(5_000);
    expect(faults.connection()).toEqual({ kind: 'refuse' });
    expect(faults.injected).toEqual([{ call: 'd1.connect', fault: { kind: 'refuse' }, at: 6_000 }]);
  });
});
