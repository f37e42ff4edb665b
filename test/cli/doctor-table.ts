import { randomUUID } from 'node:crypto';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { makeCheckout } from './checkout.ts';
import type { OperatedBank } from './operated-bank.ts';

const STAGE = 'sandbox';

/** Each check, and what breaks it: the check that must name the cause first, its code, what is wrong in words, and how that comes about. */
export const breaks: readonly (readonly [string, string, string, (bank: OperatedBank) => unknown])[] = [
  [
    'stack.status',
    'STACK_FAILED',
    'a deployment that was rolled back',
    ({ sandbox }) => {
      sandbox.deployment.status = 'UPDATE_ROLLBACK_FAILED';
    },
  ],
  [
    'parameters.file',
    'PARAMETERS_DIFFER',
    'a checkout from before a rollover',
    async (bank) => {
      bank.folder = makeCheckout().folder;
      await bank.sandbox.deployment.update(new Map([['NextKeyId', 'bank-2027']]));
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
    'ticks',
    'TICKS_MISSING',
    'no tick, while somebody refreshes by hand',
    ({ sandbox: { deployment } }) => {
      deployment.log.length = 0;
      const line = { action: 'refresh', outcome: 'ok', function_name: 'of-the-callers' };
      deployment.write(JSON.stringify(line));
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
  [
    'function.state',
    'FUNCTION_INACTIVE',
    'a function that cannot be invoked',
    ({ sandbox }) => {
      sandbox.deployment.functionState = 'Failed';
    },
  ],
  [
    'consumers.policies',
    'STACK_TOO_OLD',
    'a stack without the policies of consumers',
    ({ sandbox }) => {
      sandbox.deployment.missingOutputs.add('TokenReaderPolicyArn');
    },
  ],
  [
    'key.spec',
    'KEY_WRONG',
    'a signing key of another spec',
    async ({ sandbox }) => {
      const made = await sandbox.kms.handle('CreateKey', { KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' });
      const { Arn } = made['KeyMetadata'] as { Arn: string };
      sandbox.deployment.useKey('current', Arn);
    },
  ],
  [
    'token.rotation',
    'NO_ROTATION',
    'a token secret without rotation',
    ({ sandbox }) => {
      sandbox.secretsManager.forgetRotation(TOKEN_SECRET);
    },
  ],
  ['clock', 'CLOCK_WRONG', 'a clock that is two minutes behind', ({ setClock }) => setClock(-120_000)],
];

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
