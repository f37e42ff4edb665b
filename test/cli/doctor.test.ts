import { describe, expect, it } from 'vitest';
import { ISSUER_ID, REGION } from '../../sandbox/sandbox.ts';
import { checks, preliminary } from '../../src/cli/doctor/checks.ts';
import { firstOf } from '../../src/cli/doctor/doctor.ts';
import { type Finding, outcomeOf, runChecks } from '../../src/cli/doctor/run-checks.ts';
import type { CheckLine } from '../../src/cli/frame/document.ts';
import { faultCases } from './doctor-faults.ts';
import { missingPieces } from './doctor-landing-zone.ts';
import { breaks } from './doctor-table.ts';
import { named } from './examine.ts';
import { openOperatedBank, STAGE } from './operated-bank.ts';

async function openHealthyBank() {
  const bank = await openOperatedBank();
  await bank.tick();
  return bank;
}

describe('the doctor', () => {
  it('finds nothing wrong with a bank that is well', async () => {
    const bank = await openHealthyBank();
    const document = await bank.json('doctor');
    expect(document.checks.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect(document).toMatchObject({
      outcome: 'good',
      exit_code: 0,
      account: '000000000000',
      region: REGION,
      issuer_id: ISSUER_ID,
    });
    expect(document.checks.length).toBeGreaterThanOrEqual(25);
    expect(new Set(document.checks.map(({ check }) => check)).size).toBe(document.checks.length);
  });

  it.each(breaks)('names %s (%s) first for %s', async (check, code, _what, breakIt) => {
    const bank = await openHealthyBank();
    await breakIt(bank);
    const first = firstOf((await bank.json('doctor')).checks);
    expect([first?.check, first?.error_code]).toEqual([check, code]);
    expect(first?.remedy).not.toBe('');
  });

  // All of them: doctor-faults.test.ts.
  it.each(faultCases.filter(({ kind, call }) => kind === 'refuse' && call !== 'd1.connect'))(
    'says so, too, while $rule',
    async ({ rule, first }) => {
      const bank = await openHealthyBank();
      bank.fault(rule);
      const document = await bank.json('doctor');
      expect(document.facts['first']).toBe(first?.check ?? null);
      expect(named(firstOf(document.checks))).toEqual(first);
    },
  );

  it('has a test that breaks each check', () => {
    const broken = new Set([
      ...breaks.map(([check]) => check),
      ...[...faultCases, ...missingPieces].map(({ first }) => first?.check),
    ]);
    expect(checks.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([]);
  });

  it('without credentials judges nothing, and ends with 4', async () => {
    const bank = await openHealthyBank();
    bank.fault('sts.GetCallerIdentity refuse');
    const run = await bank.run(['doctor', '--stage', STAGE]);
    expect(run.code).toBe(4);
    expect(run.stdout).toContain('not checked, see credentials');
  });

  it('while AWS does not answer can tell nothing, and ends with 5', async () => {
    const bank = await openHealthyBank();
    bank.fault('sts.GetCallerIdentity unavailable');
    expect((await bank.json('doctor')).exit_code).toBe(5);
  });

  it('ends by itself where something hangs, says what, and judges the rest', async () => {
    const bank = await openHealthyBank();
    bank.fault('lambda.Invoke hang');
    const run = await bank.run(['doctor', '--stage', STAGE, '--timeout', '4']);
    expect(run.stdout).toContain('NO_ANSWER: lambda:InvokeFunction has not answered for 4 s.');
    expect(run.stdout).toContain('Begin with "The function answers to a check" (check): NO_ANSWER.');
    expect(run.stdout).toMatch(/✓ The alarms are there/);
    expect(run.stdout).toMatch(/- \d+ checks: not checked, see check: check\.signing_key, .*, token\.writes\n/);
    expect((await bank.run(['doctor', '--stage', STAGE, '--timeout', '0'])).code).toBe(2);
  });

  it('asks D1 for no token with --no-exchange', async () => {
    const bank = await openHealthyBank();
    const mark = bank.sandbox.calls.mark();
    const document = await bank.json('doctor', '--no-exchange');
    expect(document.exit_code).toBe(0);
    const asked = bank.sandbox.calls.since(mark).filter(({ service }) => service === 'd1');
    expect(asked.filter(({ outcome }) => outcome === 'ok')).toEqual([]);
  });

  it('prints no token and no key, and colours nothing that is piped', async () => {
    const bank = await openHealthyBank();
    const { stdout, stderr } = await bank.run(['doctor', '--stage', STAGE]);
    expect(stdout + stderr).not.toMatch(/eyJ[\w-]+\.|PRIVATE KEY/);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/\d+ checks in \d+ ms/);
  });
});

describe('checks', () => {
  const line = (check: string, outcome: CheckLine['outcome']): CheckLine => ({
    check,
    title: check,
    outcome,
    milliseconds: 0,
    facts: {},
    error_code: null,
    what: null,
    remedy: null,
    because: null,
  });

  it('wait for nothing that they do not need', async () => {
    const began: string[] = [];
    const gate = Promise.withResolvers<void>();
    const note = async (name: string, until?: Promise<void>): Promise<Finding> => {
      began.push(name);
      await until;
      return { outcome: 'ok' };
    };
    const made = runChecks(
      [
        {
          id: 'slow',
          title: '',
          needs: [],
          run: () => note('slow', gate.promise),
        },
        { id: 'after', title: '', needs: ['slow'], run: () => note('after') },
        { id: 'beside', title: '', needs: [], run: () => note('beside', Promise.resolve(gate.resolve())) },
      ],
      {},
    );
    expect((await made).map(({ check }) => check)).toEqual(['slow', 'after', 'beside']);
    expect(began).toEqual(['slow', 'beside', 'after']);
  });

  it('tell the time that was measured where they were made', async () => {
    const run = () => ({ outcome: 'ok', milliseconds: 7 }) as const;
    expect(await runChecks([{ id: 'far', title: '', needs: [], run }], {})).toMatchObject([{ milliseconds: 7 }]);
  });

  it.each([
    ['no_access', ['ok', 'no_access', 'not_checked']],
    ['unknown', ['ok', 'unknown', 'not_checked']],
    ['failed', ['ok', 'attention', 'failed', 'no_access']],
    ['attention', ['ok', 'ok', 'attention', 'unknown']],
    ['good', ['ok', 'ok', 'ok']],
  ] as const)('come to %s when they are %j', (outcome, lines) => {
    const all = lines.map((one, index) => line(index === 0 ? 'credentials' : `check ${index}`, one));
    expect(outcomeOf(all, preliminary)).toBe(outcome);
  });
});
