import { describe, expect, test } from 'vitest';
import { check, checkedParameters, rules } from '../../infra/check-parameters.ts';

const key = 'arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555';
const secret = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/token-AbCdEf';

const good: Readonly<Record<string, unknown>> = {
  issuerId: 'ISSUER0001',
  keyId: 'key-1',
  environment: 'staging',
  audience: '',
  refreshWindowSeconds: 300,
  onboarded: false,
  alarmTopicArn: 'none',
  runbookUrl: 'docs/runbook.md',
  tickSchedule: 'rate(1 minute)',
  rotationSchedule: 'rate(30 days)',
  tokenSecretName: 'd1/token',
  clientCertificateSecretName: 'd1/certificate',
  signingKeyAlias: 'alias/d1',
  keyAdministratorArn: { 'Fn::Sub': 'a template knows' },
  existingSigningKeyArn: '',
  existingTokenSecretArn: '',
  existingClientCertificateSecretArn: '',
  existingSecretsKeyArn: '',
  memoryMegabytes: 512,
  timeoutSeconds: 90,
  reservedConcurrency: 5,
  tracing: 'PassThrough',
  logRetentionDays: 90,
};

function faultsOf(changes: Readonly<Record<string, unknown>>, given: readonly string[] = []): readonly string[] {
  const result = check('stage', new Map(Object.entries({ ...good, ...changes })), given);
  return 'faults' in result ? result.faults : [];
}

describe('parameters', () => {
  test('that keep the rules pass; switches become text for CloudFormation, numbers stay numbers', () => {
    expect(check('stage', new Map(Object.entries(good)))).toEqual({ parameters: { ...good, onboarded: 'false' } });
  });

  test.each(Object.keys(rules))('%s is missed, by its name', (name) => {
    expect(faultsOf({ [name]: undefined })).toEqual([
      expect.stringContaining(`parameter ${name} is missing; it must be `),
    ]);
  });

  test.each([
    ['issuerId', 'two words'],
    ['environment', 'prod'],
    ['environment', 'http://d1.example'],
    ['onboarded', 'yes'],
    ['alarmTopicArn', 'my-topic'],
    ['runbookUrl', 'page#section'],
    ['tickSchedule', '1 minute'],
    ['tokenSecretName', ''],
    ['signingKeyAlias', 'alias/aws/mine'],
    ['signingKeyAlias', 'd1'],
    ['keyAdministratorArn', 'admin'],
    ['existingSigningKeyArn', 'alias/d1'],
    ['existingSigningKeyArn', key.replace('key/', 'alias/')],
    ['memoryMegabytes', 64],
    ['timeoutSeconds', 9],
    ['timeoutSeconds', 121],
    ['timeoutSeconds', 90.5],
    ['reservedConcurrency', 0],
    ['reservedConcurrency', 1.5],
    ['refreshWindowSeconds', 900],
    ['tracing', true],
    ['logRetentionDays', 31],
  ])('%s must not be %s', (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([
      expect.stringContaining(`parameter ${name} is "${value}"; it must be `),
    ]);
  });

  test.each([10, 59, 60, 90, 120])('timeoutSeconds may be %i: ticks may overlap', (timeoutSeconds) => {
    expect(faultsOf({ timeoutSeconds })).toEqual([]);
  });

  test('are told of all at once', () => {
    expect(faultsOf({ issuerId: undefined, environment: 'prod' })).toHaveLength(2);
  });

  test('that nobody reads are misspelt', () => {
    expect(faultsOf({}, ['issuerId', 'isuerId'])).toEqual([expect.stringContaining('parameter isuerId is not known')]);
  });

  test('of an existing secret need its key', () => {
    expect(faultsOf({ existingTokenSecretArn: secret })).toEqual([
      expect.stringContaining('parameter existingSecretsKeyArn is empty; with existingTokenSecretArn'),
    ]);
    expect(faultsOf({ existingTokenSecretArn: secret, existingSecretsKeyArn: key })).toEqual([]);
  });
});

describe('checkedParameters', () => {
  const osls = (stage: string, values: Readonly<Record<string, unknown>>) => ({
    resolveVariable: async (variable: string) => {
      if (variable === 'sls:stage') return stage;
      return values[/^param:(\w+), null$/.exec(variable)?.[1] ?? ''] ?? null;
    },
    resolveConfigurationProperty: async () => ({ default: {}, staging: {} }),
  });

  test('gives what osls has', async () => {
    expect(await checkedParameters(osls('staging', good))).toEqual({ ...good, onboarded: 'false' });
  });

  test('refuses with one sentence, and no stack', async () => {
    const refused = checkedParameters(osls('staging', { ...good, issuerId: undefined }));
    await expect(refused).rejects.toMatchObject({
      message: expect.stringMatching(/^infra\/params\.yml, stage "staging": parameter issuerId is missing/),
      stack: expect.not.stringContaining('\n'),
    });
  });

  test('says which stages there are, when this one is none', async () => {
    const refused = checkedParameters(osls('stagin', { ...good, issuerId: undefined }));
    await expect(refused).rejects.toThrow('The file has no stage "stagin"; it has staging.');
  });
});
