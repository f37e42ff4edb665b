import { randomUUID } from 'node:crypto';
import { createCertificateAuthority } from '../../sandbox/certificates.ts';
import { CLIENT_CERTIFICATE_SECRET, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { systemClock } from '../../src/shared/clock.ts';
import type { OperatedBank } from './operated-bank.ts';

/** A parameter of infra/params.yml that is well-formed and wrong, or one that the function got by hand. */
export interface WrongParameter {
  /** Its names: of infra/params.yml, or of the function's variables. */
  readonly names: readonly string[];
  readonly what: string;
  readonly first: { readonly check: string; readonly code: string };
  readonly breakIt: (bank: OperatedBank) => unknown;
}

/** What `npm run package` refuses, each with what stands beside it where that matters. */
export const refused: readonly { readonly name: string; readonly values: Readonly<Record<string, unknown>> }[] = [
  { name: 'issuerId', values: { issuerId: 'two words' } },
  { name: 'keyId', values: { keyId: 'two words' } },
  { name: 'keyId', values: { keyId: 'none', activeSigningKey: 'current' } },
  { name: 'environment', values: { environment: 'prod' } },
  { name: 'audience', values: { audience: 'two words' } },
  { name: 'refreshWindowSeconds', values: { refreshWindowSeconds: 900 } },
  { name: 'onboarded', values: { onboarded: 'yes' } },
  { name: 'criticalTopicArn', values: { criticalTopicArn: 'my-topic' } },
  { name: 'criticalTopicArn', values: { criticalTopicArn: 'none', onboarded: true } },
  { name: 'warningTopicArn', values: { warningTopicArn: 'arn:aws:sns:us-east-1:111122223333:warning' } },
  { name: 'compositeAlarm', values: { compositeAlarm: 'yes' } },
  { name: 'runbookUrl', values: { runbookUrl: 'page#section' } },
  { name: 'dashboard', values: { dashboard: 'yes' } },
  { name: 'tickSchedule', values: { tickSchedule: 'rate(1 hour)' } },
  { name: 'rotationSchedule', values: { rotationSchedule: 'monthly' } },
  { name: 'tokenSecretName', values: { tokenSecretName: 'two words' } },
  { name: 'clientCertificateSecretName', values: { clientCertificateSecretName: '' } },
  { name: 'activeSigningKey', values: { activeSigningKey: 'old' } },
  { name: 'nextKeyId', values: { nextKeyId: 'key-1', keyId: 'key-1' } },
  { name: 'signingKeyAlias', values: { signingKeyAlias: 'alias/aws/mine' } },
  { name: 'keyAdministrators', values: { keyAdministrators: [] } },
  { name: 'certificateReaders', values: { certificateReaders: ['me'] } },
  { name: 'codeSigningConfigArn', values: { codeSigningConfigArn: 'mine' } },
  { name: 'existingTokenSecretArn', values: { existingTokenSecretArn: 'd1/access-token' } },
  { name: 'existingClientCertificateSecretArn', values: { existingClientCertificateSecretArn: 'd1/certificate' } },
  {
    name: 'existingSecretsKeyArn',
    values: {
      existingSecretsKeyArn: '',
      existingTokenSecretArn: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/token-AbCdEf',
    },
  },
  { name: 'memoryMegabytes', values: { memoryMegabytes: 64 } },
  { name: 'timeoutSeconds', values: { timeoutSeconds: 9 } },
  { name: 'reservedConcurrency', values: { reservedConcurrency: 0 } },
  { name: 'tracing', values: { tracing: 'on' } },
  { name: 'logRetentionDays', values: { logRetentionDays: 31 } },
  { name: 'logKey', values: { logKey: 'mine' } },
  { name: 'landingZone', values: { landingZone: '/etc/zone.json' } },
  { name: 'consumerPrincipals', values: { consumerPrincipals: ['me'] } },
  { name: 'organizationId', values: { organizationId: 'o-abcdefghij', consumerPrincipals: [] } },
  { name: 'subnetIds', values: { subnetIds: [], securityGroupIds: ['sg-0123abcd'] } },
  { name: 'securityGroupIds', values: { securityGroupIds: [], subnetIds: ['subnet-0123abcd'] } },
  { name: 'fips', values: { fips: true } },
  { name: 'egressProxy', values: { egressProxy: 'proxy.bank.example:3128' } },
  { name: 'role', values: { role: 'second' } },
  { name: 'replicaRegions', values: { replicaRegions: ['eu-central-1'] } },
  { name: 'primaryTokenSecretArn', values: { role: 'standby', primaryTokenSecretArn: 'mine' } },
  { name: 'primaryCurrentSigningKeyArn', values: { role: 'standby', primaryCurrentSigningKeyArn: 'alias/mine' } },
  { name: 'primaryNextSigningKeyArn', values: { role: 'standby', primaryNextSigningKeyArn: 'alias/mine' } },
  { name: 'noProxy', values: { noProxy: ['.amazonaws.com'], egressProxy: 'none' } },
];

/** Parameters of which every value that the packaging takes works. */
export const harmless: readonly string[] = [
  'compositeAlarm',
  'runbookUrl',
  'dashboard',
  'tickSchedule',
  'tracing',
  'logRetentionDays',
  'logKey',
];

const numbers = [
  'D1_REFRESH_WINDOW_SECONDS',
  'D1_ASSERTION_LIFETIME_SECONDS',
  'D1_DEFAULT_EXPIRES_IN_SECONDS',
  'D1_CLIENT_CERTIFICATE_TTL_SECONDS',
  'D1_CONNECT_TIMEOUT_MILLISECONDS',
  'D1_EXCHANGE_TIMEOUT_MILLISECONDS',
  'D1_AWS_TIMEOUT_MILLISECONDS',
  'D1_EXCHANGE_ATTEMPTS',
];

const changed = { check: 'function.environment', code: 'CONFIG_CHANGED' } as const;
const rejected = { check: 'check.exchange', code: 'TOKEN_ENDPOINT_REJECTED' } as const;
const unreachable = { check: 'check.connection', code: 'TOKEN_ENDPOINT_UNREACHABLE' } as const;

/** What the packaging can't see, and the check that names it first. */
export const wrongParameters: readonly WrongParameter[] = [
  {
    names: ['issuerId', 'D1_ISSUER_ID'],
    what: 'of another issuer than the certificate',
    first: { check: 'certificate.subject', code: 'CERTIFICATE_OF_ANOTHER' },
    breakIt: byHand({ D1_ISSUER_ID: 'ISSUER0002' }),
  },
  {
    names: ['keyId'],
    what: 'a kid that D1 does not know',
    first: rejected,
    breakIt: update({ CurrentKeyId: 'unheard-of' }),
  },
  {
    names: ['environment', 'D1_ENVIRONMENT'],
    what: 'a base URL where nobody listens',
    first: unreachable,
    breakIt: byHand({ D1_ENVIRONMENT: 'https://127.0.0.1:1/authz/v1' }),
  },
  {
    names: ['environment', 'D1_ENVIRONMENT'],
    what: 'a base URL with a wrong path',
    first: rejected,
    breakIt: (bank) =>
      byHand({ D1_ENVIRONMENT: String(bank.sandbox.environment['D1_ENVIRONMENT']).replace('/v1', '/v2') })(bank),
  },
  {
    names: ['environment', 'D1_ENVIRONMENT'],
    what: 'somebody who is not D1, or a ca_bundle that is out of date',
    first: unreachable,
    breakIt: async ({ sandbox, restart }) => {
      const { certificatePem } = await createCertificateAuthority({ commonName: 'Another CA', clock: systemClock });
      const secret = JSON.parse(await sandbox.clientCertificateSecret());
      await sandbox.secretsManager.handle('PutSecretValue', {
        SecretId: CLIENT_CERTIFICATE_SECRET,
        SecretString: JSON.stringify({ ...secret, ca_bundle: certificatePem }),
        ClientRequestToken: randomUUID(),
      });
      restart();
    },
  },
  {
    names: ['audience', 'D1_AUDIENCE'],
    what: 'another than D1 wants',
    first: rejected,
    breakIt: byHand({ D1_AUDIENCE: 'https://example.com' }),
  },
  {
    names: ['D1_SUBJECT'],
    what: 'another than the issuer',
    first: rejected,
    breakIt: byHand({ D1_SUBJECT: 'SOMEBODY' }),
  },
  {
    names: ['onboarded'],
    what: 'false after onboarding',
    first: { check: 'parameters.onboarded', code: 'NOT_ONBOARDED' },
    breakIt: update({ Onboarded: 'false' }),
  },
  {
    names: ['criticalTopicArn', 'warningTopicArn'],
    what: 'a topic that is not there',
    first: { check: 'topics.critical', code: 'TOPIC_MISSING' },
    breakIt: ({ sandbox }) => sandbox.deployment.topics.clear(),
  },
  {
    names: ['activeSigningKey'],
    what: 'the key whose kid is none',
    first: { check: 'parameters.keys', code: 'KEY_WITHOUT_KID' },
    breakIt: update({ ActiveSigningKey: 'next' }),
  },
  {
    names: ['activeSigningKey', 'nextKeyId'],
    what: 'a key that D1 does not know yet',
    first: rejected,
    breakIt: update({ ActiveSigningKey: 'next', NextKeyId: 'too-early' }),
  },
  {
    names: ['existingTokenSecretArn', 'D1_TOKEN_SECRET_ID'],
    what: 'a secret that is not there',
    first: { check: 'token.secret', code: 'TOKEN_SECRET_MISSING' },
    breakIt: ({ sandbox }) =>
      sandbox.secretsManager.handle('DeleteSecret', { SecretId: TOKEN_SECRET, ForceDeleteWithoutRecovery: true }),
  },
  {
    names: ['existingClientCertificateSecretArn', 'D1_CLIENT_CERTIFICATE_SECRET_ID'],
    what: 'a secret that is not there',
    first: { check: 'certificate.secret', code: 'CLIENT_CERTIFICATE_UNAVAILABLE' },
    breakIt: ({ sandbox }) =>
      sandbox.secretsManager.handle('DeleteSecret', {
        SecretId: CLIENT_CERTIFICATE_SECRET,
        ForceDeleteWithoutRecovery: true,
      }),
  },
  {
    names: ['existingSecretsKeyArn'],
    what: "not the key of those secrets, so the function's role may not decrypt them",
    first: { check: 'check.client_certificate', code: 'CLIENT_CERTIFICATE_UNAVAILABLE' },
    breakIt: (bank) => {
      bank.restart();
      bank.fault('secretsmanager.GetSecretValue refuse');
    },
  },
  {
    names: [
      'tokenSecretName',
      'clientCertificateSecretName',
      'signingKeyAlias',
      'keyAdministrators',
      'certificateReaders',
      'codeSigningConfigArn',
      'reservedConcurrency',
      'rotationSchedule',
      'landingZone',
      'consumerPrincipals',
      'subnetIds',
    ],
    what: 'what AWS refuses: a name that is taken, a principal, a boundary or a subnet that is not there, unsigned code, more than the account has. The deployment says which',
    first: { check: 'stack.status', code: 'STACK_FAILED' },
    breakIt: ({ sandbox }) => {
      sandbox.deployment.status = 'UPDATE_ROLLBACK_COMPLETE';
    },
  },
  {
    names: ['reservedConcurrency'],
    what: 'all in use, or throttled by hand',
    first: { check: 'check', code: 'FUNCTION_THROTTLED' },
    breakIt: (bank) => bank.fault('lambda.Invoke throttle'),
  },
  {
    names: ['memoryMegabytes'],
    what: 'too little',
    first: { check: 'check', code: 'FUNCTION_FAILED' },
    breakIt: (bank) => bank.die('Runtime.OutOfMemory'),
  },
  {
    names: ['timeoutSeconds'],
    what: 'too short for what is slow',
    first: { check: 'check', code: 'FUNCTION_FAILED' },
    breakIt: (bank) => bank.die('Sandbox.Timedout'),
  },
  ...[
    { D1_KEY_ID: 'another' },
    { D1_SIGNING_KEY_ID: 'alias/another' },
    { D1_NEXT_KEY_ID: 'another' },
    { D1_NEXT_SIGNING_KEY_ID: 'alias/another' },
    { D1_TOKEN_SECRET_ID: 'another' },
    { D1_CLIENT_CERTIFICATE_SECRET_ID: 'another' },
    { D1_STAGE: 'another' },
  ].map((variables) => ({
    names: Object.keys(variables),
    what: 'changed by hand',
    first: changed,
    breakIt: byHand(variables),
  })),
  ...['D1_ISSUER_ID', 'D1_ENVIRONMENT'].map((name) => ({
    names: [name],
    what: 'emptied by hand',
    first: { check: 'function.environment', code: 'CONFIG_INVALID' },
    breakIt: byHand({ [name]: '' }),
  })),
  ...numbers.map((name) => ({
    names: name === 'D1_REFRESH_WINDOW_SECONDS' ? ['refreshWindowSeconds', name] : [name],
    what: 'out of its range, by hand',
    first: { check: 'check', code: 'CONFIG_INVALID' },
    breakIt: byHand({ [name]: '999999' }),
  })),
  {
    names: ['D1_…'],
    what: 'a variable that there is not, by hand',
    first: { check: 'check', code: 'CONFIG_INVALID' },
    breakIt: byHand({ D1_ISUER_ID: 'ISSUER0001' }),
  },
];

/** Another container, with these variables on top of what the stack says. */
function byHand(variables: Readonly<Record<string, string>>) {
  return ({ sandbox, restart }: OperatedBank) => {
    Object.assign(sandbox.deployment.changedByHand, variables);
    restart();
  };
}

function update(parameters: Readonly<Record<string, string>>) {
  return ({ sandbox }: OperatedBank) => sandbox.deployment.update(new Map(Object.entries(parameters)));
}
