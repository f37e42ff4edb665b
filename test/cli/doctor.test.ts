import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, REGION, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { checks, preliminary } from '../../src/cli/doctor/checks.ts';
import { type Finding, outcomeOf, runChecks } from '../../src/cli/doctor/run-checks.ts';
import type { CheckLine, Document } from '../../src/cli/frame/document.ts';
import { faultTable } from './doctor-table.ts';
import { type OperatedBank, openOperatedBank, STAGE } from './operated-bank.ts';

/** Every way in which a test breaks a check, by the check that must name the cause. */
const breaks: readonly (readonly [string, string, string, (bank: OperatedBank) => unknown])[] = [
  [
    'stack.status',
    'STACK_FAILED',
    'a deployment that was rolled back',
    ({ sandbox }) => {
      sandbox.deployment.status = 'UPDATE_ROLLBACK_FAILED';
    },
  ],
  [
    'stack.drift',
    'STACK_DRIFTED',
    'a change by hand',
    ({ sandbox }) => {
      sandbox.deployment.drift = 'DRIFTED';
    },
  ],
  [
    'stack',
    'STACK_MISSING',
    'no stack in this account and Region',
    ({ sandbox }) => {
      sandbox.deployment.exists = false;
    },
  ],
  ['parameters.onboarded', 'NOT_ONBOARDED', 'onboarded: false', parameter('Onboarded', 'false')],
  ['parameters.keys', 'KEY_WITHOUT_KID', 'keyId: none', parameter('CurrentKeyId', 'none')],
  [
    'parameters.keys',
    'KID_TWICE',
    'nextKeyId like keyId',
    ({ sandbox }) =>
      sandbox.deployment.update(new Map([['NextKeyId', String(sandbox.deployment.parameters.get('CurrentKeyId'))]])),
  ],
  ['parameters.topics', 'NO_TOPIC', 'criticalTopicArn: none', parameter('CriticalTopicArn', 'none')],
  [
    'topics.warning',
    'TOPIC_MISSING',
    'a warningTopicArn that is not there',
    parameter('WarningTopicArn', 'arn:aws:sns:eu-west-1:000000000000:gone'),
  ],
  [
    'function.environment',
    'CONFIG_CHANGED',
    'another D1_KEY_ID by hand',
    ({ sandbox }) => {
      sandbox.deployment.changedByHand['D1_KEY_ID'] = 'another';
    },
  ],
  [
    'function.environment',
    'CONFIG_CHANGED',
    'another D1_SIGNING_KEY_ID by hand',
    ({ sandbox }) => {
      sandbox.deployment.changedByHand['D1_SIGNING_KEY_ID'] = 'alias/another';
    },
  ],
  [
    'function.environment',
    'CONFIG_INVALID',
    'no D1_ENVIRONMENT',
    ({ sandbox }) => {
      sandbox.deployment.changedByHand['D1_ENVIRONMENT'] = '';
    },
  ],
  [
    'key.state',
    'SIGNING_FAILED',
    'a disabled signing key',
    ({ sandbox }) => sandbox.kms.handle('DisableKey', { KeyId: sandbox.signingKeyId }),
  ],
  [
    'key.state',
    'SIGNING_FAILED',
    'a signing key that is to be deleted',
    ({ sandbox }) => sandbox.kms.handle('ScheduleKeyDeletion', { KeyId: sandbox.signingKeyId, PendingWindowInDays: 7 }),
  ],
  [
    'key.alias',
    'ALIAS_MOVED',
    'an alias that was moved',
    async ({ sandbox }) => {
      const made = await sandbox.kms.handle('CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
      const { KeyId } = made['KeyMetadata'] as { KeyId: string };
      await sandbox.kms.handle('UpdateAlias', { AliasName: 'alias/d1-token-broker-signing', TargetKeyId: KeyId });
    },
  ],
  [
    'key.other',
    'ROLLOVER_UNDER_WAY',
    'a rollover that was begun',
    ({ sandbox }) => sandbox.deployment.update(new Map([['NextKeyId', 'the-next-one']])),
  ],
  [
    'certificate.secret',
    'CLIENT_CERTIFICATE_UNAVAILABLE',
    'a certificate secret that is to be deleted',
    ({ sandbox }) => sandbox.secretsManager.handle('DeleteSecret', { SecretId: CLIENT_CERTIFICATE_SECRET }),
  ],
  [
    'check.client_certificate',
    'CLIENT_CERTIFICATE_INVALID',
    'a bad paste in the certificate secret',
    certificate('{"certificate": "x"}'),
  ],
  [
    'check.client_certificate',
    'CLIENT_CERTIFICATE_INVALID',
    'an expired certificate',
    async (bank) =>
      certificate(await bank.sandbox.clientCertificateSecret({ notAfter: inDays(-1), notBefore: inDays(-9) }))(bank),
  ],
  [
    'certificate.days',
    'CERTIFICATE_EXPIRES',
    'a certificate with 5 days',
    async (bank) => certificate(await bank.sandbox.clientCertificateSecret({ notAfter: inDays(5.5) }))(bank),
  ],
  [
    'certificate.days',
    'CERTIFICATE_EXPIRES_SOON',
    'a certificate with 20 days',
    async (bank) => certificate(await bank.sandbox.clientCertificateSecret({ notAfter: inDays(20.5) }))(bank),
  ],
  [
    'certificate.subject',
    'CERTIFICATE_OF_ANOTHER',
    'the certificate of another issuer',
    async (bank) => certificate(await bank.sandbox.clientCertificateSecret({ issuerId: 'ISSUER0002' }))(bank),
  ],
  [
    'token.secret',
    'TOKEN_SECRET_MISSING',
    'a token secret that is to be deleted',
    ({ sandbox }) => sandbox.secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET }),
  ],
  [
    'token.fresh',
    'TOKEN_SECRET_FOREIGN',
    'a value that the broker did not write',
    ({ sandbox }) =>
      sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: TOKEN_SECRET,
        SecretString: 'by hand',
        ClientRequestToken: randomUUID(),
      }),
  ],
  [
    'token.writes',
    'TOKEN_STORE_QUOTA_EXCEEDED',
    'somebody who writes the secret all the time',
    async ({ sandbox }) => {
      const { SecretString } = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
      for (let written = 0; written <= 170; written += 1) {
        const value = { SecretId: TOKEN_SECRET, SecretString, ClientRequestToken: randomUUID() };
        await sandbox.secretsManager.handle('PutSecretValue', value);
      }
    },
  ],
  [
    'check.exchange',
    'TOKEN_ENDPOINT_REJECTED',
    'a public key that D1 does not know',
    ({ sandbox }) => sandbox.d1.removeIssuer(ISSUER_ID),
  ],
  [
    'schedule',
    'SCHEDULE_OFF',
    'a schedule that is off',
    ({ sandbox }) => {
      sandbox.deployment.schedule.state = 'DISABLED';
    },
  ],
  [
    'schedule',
    'SCHEDULE_MISSING',
    'no schedule',
    ({ sandbox }) => {
      sandbox.deployment.schedule.exists = false;
    },
  ],
  [
    'ticks',
    'TICKS_MISSING',
    'no tick',
    ({ sandbox }) => {
      sandbox.deployment.log.length = 0;
    },
  ],
  [
    'ticks.good',
    'TOKEN_STORE_DENIED',
    'a last tick that failed',
    ({ sandbox }) => {
      const line = { action: 'refresh', outcome: 'failed', error_code: 'TOKEN_STORE_DENIED' };
      sandbox.deployment.write(JSON.stringify(line));
    },
  ],
  [
    'alarms',
    'ALARM_MISSING',
    'an alarm that was deleted',
    ({ sandbox }) => {
      sandbox.deployment.alarms.shift();
    },
  ],
  [
    'alarms.armed',
    'ALARM_SILENT',
    'an alarm that was silenced',
    ({ sandbox }) => {
      for (const alarm of sandbox.deployment.alarms.slice(0, 1)) alarm.actionsEnabled = false;
    },
  ],
  [
    'alarms.quiet',
    'ALARM_ON',
    'an alarm that is on',
    ({ sandbox }) => {
      for (const alarm of sandbox.deployment.alarms.slice(0, 1)) alarm.state = 'ALARM';
    },
  ],
  [
    'topics.critical',
    'TOPIC_UNHEARD',
    'a topic that nobody has confirmed',
    ({ sandbox }) => {
      for (const topic of sandbox.deployment.topics.keys()) sandbox.deployment.topics.set(topic, 0);
    },
  ],
  ['queues.failed', 'QUEUE_NOT_EMPTY', 'an invocation that failed for good', queued('failed-invocations')],
  ['queues.undelivered', 'QUEUE_NOT_EMPTY', 'a tick that could not be delivered', queued('undelivered-ticks')],
];

const firstOf = ({ checks: lines }: Document) =>
  lines.find(({ outcome }) => outcome === 'failed') ??
  lines.find(({ outcome }) => outcome === 'no_access' || outcome === 'unknown') ??
  lines.find(({ outcome }) => outcome === 'attention');

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
    const first = firstOf(await bank.json('doctor'));
    expect([first?.check, first?.error_code]).toEqual([check, code]);
    expect(first?.remedy).not.toBe('');
  });

  it.each(faultTable)('names $check ($code) first while $fault', async ({ fault, check, code }) => {
    const bank = await openHealthyBank();
    bank.fault(fault);
    const first = firstOf(await bank.json('doctor'));
    expect([first?.check, first?.error_code]).toEqual([check, code]);
  });

  it('has a test that breaks each check', () => {
    const broken = new Set([...breaks.map(([check]) => check), ...faultTable.map(({ check }) => check)]);
    // Made of what another check has found, or broken where AWS can't be asked.
    const elsewhere = ['function.state', 'key.spec', 'clock', 'token.rotation', 'consumers.policies'];
    expect(checks.map(({ id }) => id).filter((id) => !broken.has(id) && !elsewhere.includes(id))).toEqual([]);
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

function parameter(name: string, value: string) {
  return ({ sandbox }: OperatedBank) => void sandbox.deployment.parameters.set(name, value);
}

function certificate(SecretString: string) {
  return ({ sandbox }: OperatedBank) =>
    sandbox.secretsManager.handle('PutSecretValue', {
      SecretId: CLIENT_CERTIFICATE_SECRET,
      SecretString,
      ClientRequestToken: randomUUID(),
    });
}

function queued(name: string) {
  return ({ sandbox }: OperatedBank) =>
    void sandbox.deployment.queues.get(`d1-token-broker-${STAGE}-${name}`)?.push({ body: '{}', sentAt: 0 });
}

function inDays(days: number) {
  return new Date(Date.now() + days * 86_400_000);
}
