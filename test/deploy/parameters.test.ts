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
  criticalTopicArn: 'none',
  warningTopicArn: 'none',
  compositeAlarm: false,
  dashboard: false,
  runbookUrl: 'docs/runbook.md',
  tickSchedule: 'rate(1 minute)',
  rotationSchedule: 'rate(30 days)',
  tokenSecretName: 'd1/token',
  clientCertificateSecretName: 'd1/certificate',
  signingKeyAlias: 'alias/d1',
  activeSigningKey: 'current',
  nextKeyId: 'none',
  keyAdministrators: [{ 'Fn::Sub': 'the root of the account' }],
  certificateReaders: [],
  codeSigningConfigArn: 'none',
  existingTokenSecretArn: '',
  existingClientCertificateSecretArn: '',
  existingSecretsKeyArn: '',
  memoryMegabytes: 512,
  timeoutSeconds: 90,
  reservedConcurrency: 5,
  tracing: 'PassThrough',
  logRetentionDays: 90,
  logKey: 'aws',
};

const place = { stage: 'production', region: 'eu-west-1', service: 'd1-token-broker' };
const topics = {
  criticalTopicArn: 'arn:aws:sns:eu-west-1:111122223333:critical',
  warningTopicArn: 'arn:aws:sns:eu-west-1:111122223333:warning',
};
/** What CloudFormation's parameters get for a switch. */
const switches = { onboarded: 'false', compositeAlarm: 'false', dashboard: 'false' };
const noValue = { Ref: 'AWS::NoValue' };
const brokerRole = { 'Fn::GetAtt': ['BrokerRole', 'Arn'] };

function faultsOf(
  changes: Readonly<Record<string, unknown>>,
  given: readonly string[] = [],
  where: Partial<typeof place> = {},
): readonly string[] {
  const result = check({ ...place, ...where }, new Map(Object.entries({ ...good, ...changes })), new Set(given));
  return 'faults' in result ? result.faults : [];
}

function accepted(changes: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const result = check(place, new Map(Object.entries({ ...good, ...changes })));
  if ('faults' in result) throw new Error(result.faults.join('. '));
  return result.parameters;
}

describe('parameters', () => {
  test('that keep the rules pass; switches become text for CloudFormation, numbers stay numbers', () => {
    expect(accepted()).toEqual({
      ...good,
      ...switches,
      codeSigningConfigArn: noValue,
      mayReadCertificate: [brokerRole],
      hasCertificateReaders: 'false',
      ticksReservedConcurrency: 2,
    });
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
    ['criticalTopicArn', 'my-topic'],
    ['runbookUrl', 'page#section'],
    ['tickSchedule', '1 minute'],
    ['tickSchedule', 'rate(1 hour)'],
    ['tickSchedule', 'cron(0 * * * ? *)'],
    ['tokenSecretName', ''],
    ['signingKeyAlias', 'alias/aws/mine'],
    ['signingKeyAlias', 'd1'],
    ['activeSigningKey', 'old'],
    ['existingSecretsKeyArn', key.replace('key/', 'alias/')],
    ['codeSigningConfigArn', 'mine'],
    ['memoryMegabytes', 64],
    ['timeoutSeconds', 9],
    ['timeoutSeconds', 121],
    ['timeoutSeconds', 90.5],
    ['reservedConcurrency', 0],
    ['reservedConcurrency', 1.5],
    ['refreshWindowSeconds', 900],
    ['logRetentionDays', 31],
    ['logKey', 'mine'],
  ])('%s must not be %s', (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([
      expect.stringContaining(`parameter ${name} is "${value}"; it must be `),
    ]);
  });

  test.each([
    ['issuerId', 12345, 'the number 12345'],
    ['keyId', 100000, 'the number 100000'],
    ['keyId', true, 'the boolean true'],
    ['tracing', true, 'the boolean true'],
  ])('%s without quotes is something else for YAML', (name, value, what) => {
    expect(faultsOf({ [name]: value })).toEqual([
      `parameter ${name} is ${what} for YAML, which may not be what was written; put it in quotes`,
    ]);
  });

  test('must not be an object: an intrinsic function would reach where CloudFormation does not look', () => {
    expect(faultsOf({ issuerId: { Ref: 'AWS::AccountId' } })).toEqual([
      'parameter issuerId is {"Ref":"AWS::AccountId"}; it must be text: 1-64 of A-Z a-z 0-9 _ -',
    ]);
  });

  test.each([10, 59, 60, 90, 120])('timeoutSeconds may be %i: ticks may overlap', (timeoutSeconds) => {
    expect(faultsOf({ timeoutSeconds })).toEqual([]);
  });

  test('are told of all at once', () => {
    expect(faultsOf({ issuerId: undefined, environment: 'prod' })).toHaveLength(2);
  });

  test('that nobody reads are misspelt', () => {
    expect(faultsOf({}, ['issuerId', 'isuerId'])).toEqual([
      'parameter isuerId is not known; check its spelling in default, production and --param',
    ]);
  });

  test.each(['alarmTopicArn', 'keyAdministratorArn', 'existingSigningKeyArn'])(
    'that are no more say what took their place: %s',
    (name) => {
      expect(faultsOf({}, [name])).toEqual([expect.stringMatching(`^parameter ${name} is no more: `)]);
    },
  );

  test('of an existing secret need its key', () => {
    expect(faultsOf({ existingTokenSecretArn: secret })).toEqual([
      expect.stringContaining('parameter existingSecretsKeyArn is empty; with existingTokenSecretArn'),
    ]);
    expect(faultsOf({ existingTokenSecretArn: secret, existingSecretsKeyArn: key })).toEqual([]);
  });

  test('of an onboarded stage name whom its alarms reach', () => {
    expect(faultsOf({ onboarded: true })).toEqual([
      'parameter criticalTopicArn is none; with onboarded: true its alarms must reach somebody',
      'parameter warningTopicArn is none; with onboarded: true its alarms must reach somebody',
    ]);
    expect(faultsOf({ onboarded: true, ...topics })).toEqual([]);
  });

  test('give the active signing key a kid, and each key its own', () => {
    expect(faultsOf({ activeSigningKey: 'next' })).toEqual([
      'parameter nextKeyId is none; it must be the kid of the signing key that is active',
    ]);
    expect(faultsOf({ keyId: 'none' })).toHaveLength(1);
    expect(faultsOf({ nextKeyId: 'key-1' })).toEqual([
      'parameter nextKeyId is "key-1", like keyId; each signing key must have a kid of its own',
    ]);
    expect(faultsOf({ keyId: 'none', nextKeyId: 'key-2', activeSigningKey: 'next' })).toEqual([]);
  });

  test('are of the Region and partition of the stack', () => {
    expect(faultsOf(topics, [], { region: 'us-east-1' })).toEqual([
      'parameter criticalTopicArn is of Region eu-west-1; the stack is in us-east-1',
      'parameter warningTopicArn is of Region eu-west-1; the stack is in us-east-1',
    ]);
    expect(
      faultsOf({ keyAdministrators: ['arn:aws:iam::111122223333:role/admin'] }, [], { region: 'cn-north-1' }),
    ).toEqual(['parameter keyAdministrators is of partition aws; cn-north-1 is in aws-cn']);
  });

  test('do not lead to names that AWS refuses', () => {
    const stage = 'the-issuer-of-the-bank-of-example';
    expect(faultsOf({}, [], { stage })).toEqual([
      `the name "d1-token-broker-${stage}-signed-by-another" has 67 characters, and AWS takes 64; shorten the stage by 3`,
    ]);
    expect(faultsOf({}, [], { stage: 'a_b' })).toEqual([
      'the stage "a_b" is in the names of AWS resources; it must be of A-Z a-z 0-9 -',
    ]);
  });

  test('reserve nothing, when told so: an account with a limit of 10 can spare nothing', () => {
    expect(accepted({ reservedConcurrency: 'none' })).toMatchObject({
      reservedConcurrency: noValue,
      ticksReservedConcurrency: noValue,
    });
  });
});

describe('a list', () => {
  const admin = 'arn:aws:iam::111122223333:role/admin';
  const deployer = 'arn:aws:iam::111122223333:role/deployer';

  test('may come from a command line, with commas', () => {
    expect(accepted({ keyAdministrators: `${admin},${deployer}` })).toMatchObject({
      keyAdministrators: [admin, deployer],
    });
  });

  test('says which member is wrong', () => {
    expect(faultsOf({ keyAdministrators: [admin, 'me'] })).toEqual([
      expect.stringContaining(
        'parameter keyAdministrators has "me" in it; it must be a list of ARNs of roles or users',
      ),
    ]);
  });

  test('of key administrators is not empty', () => {
    expect(faultsOf({ keyAdministrators: [] })).toEqual([expect.stringContaining('a key that nobody administers')]);
  });

  test('of certificate readers leaves the broker in', () => {
    expect(accepted({ certificateReaders: [admin] })).toMatchObject({
      mayReadCertificate: [brokerRole, admin],
      hasCertificateReaders: 'true',
    });
  });
});

describe('checkedParameters', () => {
  const osls = (
    stage: string,
    values: Readonly<Record<string, unknown>>,
    commandLine?: string | readonly string[],
  ) => ({
    resolveVariable: async (variable: string) => {
      const known: Record<string, unknown> = {
        'sls:stage': stage,
        'opt:region, self:provider.region': 'eu-west-1',
        'self:service': 'd1-token-broker',
        'opt:param, null': commandLine ?? null,
      };
      return known[variable] ?? values[/^param:(\w+), null$/.exec(variable)?.[1] ?? ''] ?? null;
    },
    resolveConfigurationProperty: async () => ({ default: {}, staging: {} }),
  });

  test('gives what osls has', async () => {
    expect(await checkedParameters(osls('staging', good))).toMatchObject({ issuerId: 'ISSUER0001', ...switches });
  });

  test('refuses with one line for each fault', async () => {
    const refused = checkedParameters(osls('staging', { ...good, issuerId: undefined, keyId: undefined }));
    await expect(refused).rejects.toThrow(
      /^infra\/params\.yml, stage "staging":\n {2}parameter issuerId is missing; [^\n]+\.\n {2}parameter keyId is missing; [^\n]+\.$/,
    );
  });

  test('says which stages there are, when this one is none', async () => {
    const refused = checkedParameters(osls('stagin', { ...good, issuerId: undefined }));
    await expect(refused).rejects.toThrow('the file has no stage "stagin"; it has staging');
  });

  test.each([[['isuerId=ISSUER0001', 'keyId=key-2']], ['isuerId=ISSUER0001']])(
    'sees what is misspelt on the command line',
    async (commandLine) => {
      await expect(checkedParameters(osls('staging', good, commandLine))).rejects.toThrow(
        'parameter isuerId is not known; check its spelling in default, staging and --param.',
      );
    },
  );
});
