import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FaultRuleError, parseFaultRule } from '../../sandbox/faults/parse-rule.ts';

describe('a fault rule', () => {
  it.each([
    [
      'kms.Sign throttle nth=2',
      { call: 'kms.Sign', fault: { kind: 'throttle' }, when: { nth: [{ first: 2, last: 2 }] } },
    ],
    [
      'secretsmanager.GetSecretValue refuse nth=1,3-4,7- secret=d1/access-token',
      {
        call: 'secretsmanager.GetSecretValue',
        fault: { kind: 'refuse' },
        when: {
          nth: [
            { first: 1, last: 1 },
            { first: 3, last: 4 },
            { first: 7, last: Number.POSITIVE_INFINITY },
          ],
          secretId: 'd1/access-token',
        },
      },
    ],
    [
      'd1.oauth2/token throttle retry_after=5 probability=0.25 seed=7 from=30 until=90.5',
      {
        call: 'd1.oauth2/token',
        fault: { kind: 'throttle', retryAfterSeconds: 5 },
        when: { probability: 0.25, seed: 7, fromMilliseconds: 30_000, untilMilliseconds: 90_500 },
      },
    ],
    ['d1.banking/issuers unauthorized', { call: 'd1.banking/issuers', fault: { kind: 'unauthorized' }, when: {} }],
    ['lambda.Invoke throttle', { call: 'lambda.Invoke', fault: { kind: 'throttle' }, when: {} }],
    ['  kms.*   delay ', { call: 'kms.*', fault: { kind: 'delay', milliseconds: 1_000 }, when: {} }],
    ['d1.connect delay ms=250', { call: 'd1.connect', fault: { kind: 'delay', milliseconds: 250 }, when: {} }],
  ])('%s', (text, rule) => {
    expect(parseFaultRule(text)).toEqual(rule);
  });

  it.each([
    ['', 'there is no call ""'],
    ['kms.Singe hang', 'there is no call "kms.Singe"'],
    ['kms.Sign', 'there is no fault ""'],
    ['kms.Sign explode', 'there is no fault "explode"; there are delay, throttle'],
    ['d1.connect throttle', 'a connection can only have delay, refuse, reset, garbage, hang'],
    ['kms.Sign unauthorized', 'unauthorized belongs to D1'],
    ['d1.connect unauthorized', 'a connection can only have'],
    ['kms.Sign hang often', 'there is no setting "often"'],
    ['kms.Sign hang nth', 'nth has no value'],
    ['kms.Sign hang nth=1 nth=2', 'nth is given twice'],
    ['kms.Sign hang nth=0', 'nth must be calls like 2'],
    ['kms.Sign hang nth=3-2', 'ends before it begins'],
    ['kms.Sign hang probability=2', 'probability must be a number, 0-1'],
    ['kms.Sign hang probability=x', 'probability must be a number, 0-1'],
    ['kms.Sign hang seed=2', 'seed belongs to probability'],
    ['kms.Sign hang ms=2', 'ms belongs to delay'],
    ['kms.Sign delay ms=1.5', 'ms must be a whole number'],
    ['kms.Sign throttle retry_after=5', 'retry_after belongs to throttle at D1'],
    ['kms.Sign hang secret=x', 'secret belongs to secretsmanager'],
    ['kms.Sign hang from=9 until=9', 'until must be later than from'],
  ])('"%s" is refused: %s', (text, why) => {
    expect(() => parseFaultRule(text)).toThrow(FaultRuleError);
    expect(() => parseFaultRule(text)).toThrow(why);
  });

  it('is understood wherever docs/reliability.md shows one', () => {
    const page = readFileSync(new URL('../../docs/reliability.md', import.meta.url), 'utf8');
    const shown = [...page.matchAll(/--fault '([^']+)'/g)].map(([, rule]) => rule ?? '');
    expect(shown.length).toBeGreaterThan(2);
    for (const rule of shown) expect(() => parseFaultRule(rule)).not.toThrow();
  });
});
