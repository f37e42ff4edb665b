import { describe, expect, it } from 'vitest';
import { checks } from '../../src/cli/doctor/checks.ts';
import { firstOf } from '../../src/cli/doctor/doctor.ts';
import type { CheckStep } from '../../src/shared/check-report.ts';
import { breakPiece, missingPieces } from './doctor-landing-zone.ts';
import { examine, named } from './examine.ts';
import {
  asPrimary,
  asStandby,
  behindProxy,
  deploy,
  inSubnets,
  openLandingZoneBank,
  share,
} from './landing-zone-bank.ts';

const own = checks.filter(({ wanted }) => wanted).map(({ id }) => id);

const ofTwoRegions = /^(role|replicas?\..+)$/;

const stoppedByProxy = (step: CheckStep): CheckStep =>
  step.step === 'signing_key'
    ? {
        step: step.step,
        milliseconds: step.milliseconds,
        outcome: 'failed',
        facts: {},
        error_code: 'PROXY_REFUSED',
        what: 'The egress proxy did not open a tunnel to the AWS service KMS.',
        remedy: 'Have the proxy allow it.',
        retryable: false,
      }
    : step;

describe('of a landing zone, the doctor', () => {
  it.each(missingPieces)('names what $names lacks: $what', async (piece) => {
    const bank = await openLandingZoneBank();
    await breakPiece(bank, piece);
    const first = firstOf(await examine(bank));
    expect(named(first)).toEqual(piece.first);
    expect(`${first?.what} ${first?.remedy}`).toMatch(piece.tells);
    expect(`${first?.what} ${first?.remedy}`).not.toContain('broker:secret');
  });

  it('finds nothing wrong where all is on, and D1 is reached through the proxy', async () => {
    const bank = await openLandingZoneBank();
    const proxy = await behindProxy(bank);
    inSubnets(bank);
    deploy(bank, { Fips: 'true' });
    await share(bank);
    const lines = await examine(bank);
    expect(lines.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect(lines.map(({ check }) => check)).toEqual(expect.arrayContaining(own.filter((id) => !ofTwoRegions.test(id))));
    expect(lines.find(({ check }) => check === 'proxy')?.facts).toEqual({ proxy: proxy.url.host });
    expect(proxy.asked.length).toBeGreaterThan(0);
  });

  it('takes one secret that hangs for no missing route', async () => {
    const bank = await openLandingZoneBank();
    inSubnets(bank);
    bank.fault('secretsmanager.GetSecretValue hang secret=d1/access-token');
    expect(named(firstOf(await examine(bank)))).toEqual({
      check: 'check.token_secret',
      code: 'TOKEN_STORE_UNAVAILABLE',
    });
  });

  it('says that a proxy stops calls to AWS, and how to lead them around it', async () => {
    const bank = await openLandingZoneBank();
    await behindProxy(bank, {}, '');
    // The sandbox's AWS speaks http, which goes through no proxy.
    bank.tamper((report) => ({ ...report, steps: report.steps.map(stoppedByProxy) }));
    const first = firstOf(await examine(bank));
    expect(named(first)).toEqual({ check: 'network.aws', code: 'PROXY_REFUSED' });
    expect(first?.remedy).toContain('noProxy has .amazonaws.com');
  });

  it('finds nothing wrong with a primary and its replicas', async () => {
    const bank = await openLandingZoneBank();
    asPrimary(bank);
    const lines = await examine(bank);
    expect(lines.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    const told = lines.filter(({ check }) => ofTwoRegions.test(check)).map(({ check, facts }) => [check, facts]);
    expect(told).toEqual([
      ['role', { role: 'primary', replica_regions: ['eu-central-1'] }],
      ['replicas.token', { in_sync: ['eu-central-1'] }],
      ['replicas.certificate', { in_sync: ['eu-central-1'] }],
    ]);
  });

  it('finds nothing wrong with a standby, and tells how old the replica is', async () => {
    const bank = await openLandingZoneBank();
    await asStandby(bank);
    const lines = await examine(bank);
    expect(lines.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    const told = lines.filter(({ check }) => ofTwoRegions.test(check)).map(({ check, facts }) => [check, facts]);
    expect(told).toEqual([
      ['role', { role: 'standby', replica_regions: [] }],
      ['replica.secret', { primary_region: 'eu-central-1' }],
      ['replica.key', { kid: 'sandbox-key-1', primary: 'eu-central-1' }],
      ['replica.token', { age_seconds: expect.any(Number), seconds_left: expect.any(Number) }],
    ]);
  });

  it('says nothing of what is off', async () => {
    const bank = await openLandingZoneBank();
    const lines = await examine(bank);
    expect(lines.filter(({ check }) => own.includes(check))).toEqual([]);
  });
});
