import { describe, expect, it, onTestFinished } from 'vitest';
import { startFaultyRoute } from '../../sandbox/faults/faulty-route.ts';
import { callNames, connectFaultKinds, faultKinds } from '../../sandbox/faults/rule.ts';
import { checks } from '../../src/cli/doctor/checks.ts';
import { firstOf } from '../../src/cli/doctor/doctor.ts';
import { faultCases, faultRows } from './doctor-faults.ts';
import { examine, named } from './examine.ts';
import { type OperatedBank, openOperatedBank } from './operated-bank.ts';

/** What waits for something that hangs is not the point here: nobody has much patience. */
const HASTE = {
  D1_AWS_TIMEOUT_MILLISECONDS: '300',
  D1_CONNECT_TIMEOUT_MILLISECONDS: '600',
  D1_EXCHANGE_TIMEOUT_MILLISECONDS: '600',
};

/** A bank that is well; its function reaches D1 over a network that can have faults, too. */
async function openBank(isHasty: boolean): Promise<OperatedBank> {
  const bank = await openOperatedBank();
  const { environment, deployment } = bank.sandbox;
  const route = await startFaultyRoute(environment['D1_ENVIRONMENT'] ?? '', bank.faults.connection);
  onTestFinished(() => route.close());
  Object.assign(deployment.changedByHand, { D1_ENVIRONMENT: route.baseUrl, ...(isHasty && HASTE) });
  bank.restart();
  await bank.tick();
  // What a test of a fault asks is asked by another container, which has no connection yet.
  bank.restart();
  return bank;
}

describe('while the sandbox has a fault, the doctor', () => {
  it.each(faultCases.filter(({ isIdle }) => !isIdle))(
    'names first what $rule means',
    async ({ rule, kind, call, first }) => {
      const isFunctions = first === undefined || /^check\./.test(first.check);
      const bank = await openBank(kind === 'hang' && isFunctions);
      bank.fault(rule);
      const lines = await examine(bank, kind === 'hang' ? first?.check : undefined);
      expect(named(firstOf(lines))).toEqual(first);
      if (first && kind === 'hang' && !isFunctions) {
        expect(lines.find(({ check }) => check === first.check)?.what).toContain('has not answered for 0.5 s');
      }
      expect(JSON.stringify(lines), call).not.toMatch(/eyJ[\w-]+/);
    },
  );

  it('is well when all calls that nobody makes have every fault at once', async () => {
    const bank = await openBank(false);
    for (const { rule, isIdle } of faultCases) if (isIdle) bank.fault(rule);
    expect((await examine(bank)).filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect(bank.faults.injected).toEqual([]);
  });

  it('has a row for each fault that there is', () => {
    const offered = callNames
      .filter((call) => !call.endsWith('.*'))
      .flatMap((call) =>
        faultKinds
          .filter((kind) => kind !== 'unauthorized' || call.startsWith('d1.'))
          .filter((kind) => call !== 'd1.connect' || connectFaultKinds.has(kind))
          .map((kind) => `${call} ${kind}`),
      );
    const told = new Set(faultRows.flatMap(({ call, kinds }) => kinds.map((kind) => `${call} ${kind}`)));
    expect(offered.filter((one) => !told.has(one))).toEqual([]);
  });

  it('judges all that does not need the one that hangs', async () => {
    const bank = await openBank(false);
    bank.fault('lambda.Invoke hang');
    const lines = await examine(bank, 'check');
    const waits = new Set(['check']);
    for (const { id, needs } of checks) if (needs.some((need) => waits.has(need))) waits.add(id);
    const others = lines.filter(({ check }) => !waits.has(check));
    expect(others.length).toBeGreaterThan(25);
    expect(others.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
  });
});
