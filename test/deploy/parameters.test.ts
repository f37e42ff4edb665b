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
  landingZone: 'infra/landing-zone.yml',
  consumerPrincipals: [],
  organizationId: 'none',
  subnetIds: [],
  securityGroupIds: [],
  fips: false,
  egressProxy: 'none',
  noProxy: [],
  role: 'primary',
  replicaRegions: [],
  primaryTokenSecretArn: 'none',
  primaryCurrentSigningKeyArn: 'none',
  primaryNextSigningKeyArn: 'none',
};

const place = { stage: 'production', region: 'eu-west-1', service: 'd1-token-broker' };
const topics = {
  criticalTopicArn: 'arn:aws:sns:eu-west-1:111122223333:critical',
  warningTopicArn: 'arn:aws:sns:eu-west-1:111122223333:warning',
};
/** What CloudFormation's parameters get for a switch. */
const switches = { onboarded: 'false', compositeAlarm: 'false', dashboard: 'false', fips: 'false' };
const noValue = { Ref: 'AWS::NoValue' };
const ownAccount = { Ref: 'AWS::AccountId' };
/** What follows from having one Region. */
const oneRegion = {
  signingKeyFile: 'signing-key.yml',
  replicas: noValue,
  allowReplicas: noValue,
  replicaOfPrimary: noValue,
  watchedReplica: noValue,
  replicatedSecrets: [],
  replicaRegionNames: 'none',
};
const brokerRole = { 'Fn::GetAtt': ['BrokerRole', 'Arn'] };

function faultsOf(
  changes: Readonly<Record<string, unknown>>,
  given: readonly string[] = [],
  where: Partial<typeof place> = {},
  landingZone?: unknown,
): readonly string[] {
  const values = new Map(Object.entries({ ...good, ...changes }));
  const result = check({ ...place, ...where }, values, new Set(given), landingZone);
  return 'faults' in result ? result.faults : [];
}

function checked(changes: Readonly<Record<string, unknown>> = {}, landingZone?: unknown) {
  const result = check(place, new Map(Object.entries({ ...good, ...changes })), new Set(), landingZone);
  if ('faults' in result) throw new Error(result.faults.join('. '));
  return result;
}

const accepted = (...args: Parameters<typeof checked>): Readonly<Record<string, unknown>> =>
  checked(...args).parameters;

describe('parameters', () => {
  test('that keep the rules pass; switches become text for CloudFormation, numbers stay numbers', () => {
    expect(accepted()).toEqual({
      ...good,
      ...switches,
      codeSigningConfigArn: noValue,
      mayReadCertificate: [brokerRole],
      hasCertificateReaders: 'false',
      ticksReservedConcurrency: 2,
      // Nothing of a landing zone.
      consumers: {
        principals: [],
        names: 'none',
        certificatePrincipals: [],
        tokenAccounts: ownAccount,
        certificateAccounts: ownAccount,
        organization: noValue,
        onlyInOrganization: noValue,
        permissions: { Resources: {} },
      },
      hasConsumers: 'false',
      hasConsumersOfCertificate: 'false',
      subnetIds: '',
      securityGroupIds: '',
      noProxy: '',
      tags: { service: 'd1-token-broker', stage: 'production' },
      permissionsBoundary: noValue,
      rolePath: noValue,
      brokerRoleName: noValue,
      schedulerRoleName: noValue,
      deploymentBucket: { blockPublicAccess: true, serverSideEncryption: 'AES256' },
      terminationProtection: null,
      ...oneRegion,
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
    ['landingZone', '/etc/zone.json'],
    ['organizationId', 'the-bank'],
    ['organizationId', 'o-short'],
    ['fips', 'yes'],
    ['egressProxy', 'proxy.bank.example:3128'],
    ['egressProxy', 'http://proxy.bank.example:3128/path'],
    ['egressProxy', 'socks5://proxy.bank.example'],
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

describe('consumers in other accounts', () => {
  const account = '222233334444';
  const role = 'arn:aws:iam::333344445555:role/payments';

  test.each([
    [222233334444, 'an account that YAML takes for a number, and would take the zeros off'],
    ['22223333444', 'eleven digits'],
    ['arn:aws:iam::222233334444:user/alice', 'a user: people are no consumers'],
    ['arn:aws:iam::2222:role/payments', 'no account'],
    ['*', 'everybody'],
  ] as const)('are not %s: %s', (principal, _why) => {
    expect(faultsOf({ consumerPrincipals: [principal] })).toEqual([
      `parameter consumerPrincipals has "${principal}" in it; it must be a list of accounts (12 digits, in quotes) or ARNs of roles`,
    ]);
  });

  test('are of this partition', () => {
    expect(faultsOf({ consumerPrincipals: [role] }, [], { region: 'us-gov-west-1' })).toEqual([
      'parameter consumerPrincipals is of partition aws; us-gov-west-1 is in aws-us-gov',
    ]);
  });

  test('are let in with their accounts; who reads the certificate is one of certificateReaders besides', () => {
    const certificateReaders = ['arn:aws:iam::111122223333:role/own', role];
    const { consumers, hasConsumers, hasConsumersOfCertificate, mayReadCertificate } = accepted({
      consumerPrincipals: [account, role],
      certificateReaders,
    });
    expect({ hasConsumers, hasConsumersOfCertificate }).toEqual({
      hasConsumers: 'true',
      hasConsumersOfCertificate: 'true',
    });
    expect(mayReadCertificate).toEqual([brokerRole, ...certificateReaders]);
    expect(consumers).toMatchObject({
      principals: [{ 'Fn::Sub': `arn:\${AWS::Partition}:iam::${account}:root` }, role],
      tokenAccounts: [ownAccount, account, '333344445555'],
      certificatePrincipals: [role],
      certificateAccounts: [ownAccount, '333344445555'],
    });
  });

  const permissions = (changes: Readonly<Record<string, unknown>>) =>
    (accepted(changes)['consumers'] as { permissions: { Resources: Record<string, { Properties: object }> } })
      .permissions.Resources;

  test('may invoke the broker by a permission each, whose name does not change with the order', () => {
    const one = permissions({ consumerPrincipals: [account, role] });
    expect(Object.values(one).map(({ Properties }) => Properties)).toEqual([
      expect.objectContaining({ Action: 'lambda:InvokeFunction', Principal: account }),
      expect.objectContaining({ Action: 'lambda:InvokeFunction', Principal: role }),
    ]);
    expect(permissions({ consumerPrincipals: [role, account] })).toEqual(one);
  });

  test('may be bound to the organisation', () => {
    const organizationId = 'o-exampleorgid';
    const changes = { consumerPrincipals: [account], organizationId };
    expect(Object.values(permissions(changes))[0]?.Properties).toMatchObject({ PrincipalOrgID: organizationId });
    expect(accepted(changes)['consumers']).toMatchObject({ organization: organizationId });
    expect(faultsOf({ organizationId })).toEqual([
      'parameter organizationId is given, and consumerPrincipals is empty; it binds only whom that list names',
    ]);
  });

  test('need a key that can be shared', () => {
    const managed = 'arn:aws:kms:eu-west-1:111122223333:alias/aws/secretsmanager';
    expect(faultsOf({ consumerPrincipals: [account], existingSecretsKeyArn: managed })).toEqual([
      expect.stringContaining('it must be the ARN of a KMS key, not of an alias'),
      'parameter existingSecretsKeyArn is a key that AWS manages, and no other account can use one; with consumerPrincipals it must be a key of your own',
    ]);
  });

  test('whose key or secret exists already get a sentence on what its owner must add', () => {
    const existing = { existingSecretsKeyArn: key, existingTokenSecretArn: secret };
    expect(checked({ consumerPrincipals: [account], ...existing }).notices).toEqual([
      'The policy of existingSecretsKeyArn is yours: add the statement ConsumersDecryptToken; the key must be your own, because no other account can use one that AWS manages (docs/landing-zone.md)',
      'The policy of existingTokenSecretArn is yours: add the statement ConsumersReadToken (docs/landing-zone.md)',
    ]);
    expect(checked(existing).notices).toEqual([]);
    expect(checked({ consumerPrincipals: [account] }).notices).toEqual([]);
  });
});

describe('the network', () => {
  const subnetIds = ['subnet-0123456789abcdef0', 'subnet-0fedcba9876543210'];
  const securityGroupIds = ['sg-0123456789abcdef0'];

  test('is subnets and security groups, never one without the other', () => {
    expect(accepted({ subnetIds, securityGroupIds })).toMatchObject({
      subnetIds: subnetIds.join(','),
      securityGroupIds: 'sg-0123456789abcdef0',
    });
    expect(faultsOf({ subnetIds })).toEqual([
      'parameter securityGroupIds is empty; with subnetIds it must have at least one',
    ]);
    expect(faultsOf({ securityGroupIds })).toEqual([
      'parameter subnetIds is empty; with securityGroupIds it must have at least one',
    ]);
  });

  test('has ids as AWS makes them, and no more than Lambda takes', () => {
    expect(faultsOf({ subnetIds: ['private-a'], securityGroupIds })).toEqual([
      'parameter subnetIds has "private-a" in it; it must be a list of ids of subnets: subnet-…',
    ]);
    const many = Array.from({ length: 6 }, (_, index) => `sg-0123456789abcdef${index}`);
    expect(faultsOf({ subnetIds, securityGroupIds: many })).toEqual([
      'parameter securityGroupIds has 6 members; AWS Lambda takes 5',
    ]);
  });

  test.each(['us-east-1', 'us-west-2', 'ca-central-1', 'us-gov-west-1'])('has FIPS endpoints in %s', (region) => {
    expect(faultsOf({ fips: true }, [], { region })).toEqual([]);
  });

  test.each(['eu-west-1', 'ap-southeast-1', 'cn-north-1'])('has none in %s', (region) => {
    expect(faultsOf({ fips: true }, [], { region })).toEqual([
      `parameter fips is true; in ${region} KMS and Secrets Manager do not both have a FIPS endpoint`,
    ]);
  });

  test.each(['http://proxy.bank.example:3128', 'https://10.0.0.1', 'http://proxy:8080/'])(
    'may lead through %s',
    (egressProxy) => {
      expect(accepted({ egressProxy, noProxy: '.amazonaws.com,localhost:8080' })).toMatchObject({
        egressProxy,
        noProxy: '.amazonaws.com,localhost:8080',
      });
    },
  );

  test("has no proxy's credentials in the configuration, and a refusal does not repeat them", () => {
    const [fault, ...others] = faultsOf({ egressProxy: 'http://broker:pass@word@proxy.bank.example:3128' });
    expect(others).toEqual([]);
    expect(fault).toBe(
      'parameter egressProxy is "http://…@proxy.bank.example:3128"; it must be a URL of scheme, host and port, without credentials or path, or `none`',
    );
  });

  test('has nothing to go around without a proxy', () => {
    expect(faultsOf({ noProxy: ['.amazonaws.com'] })).toEqual([
      'parameter noProxy has hosts in it, and egressProxy is none; there is nothing to go around',
    ]);
    expect(faultsOf({ egressProxy: 'http://proxy:1', noProxy: ['two words'] })).toEqual([
      expect.stringContaining('parameter noProxy has "two words" in it'),
    ]);
  });
});

describe("a landing zone's file", () => {
  const boundary = 'arn:aws:iam::111122223333:policy/boundary';
  const faults = (content: unknown, region = 'eu-west-1') => faultsOf({}, [], { region }, content);

  test.each([[undefined], [null]])('may be absent, or all comments: %s', (content) => {
    expect(accepted({}, content)).toEqual(accepted());
  });

  test('gives names, boundary, tags, bucket, retention and protection', () => {
    const content = {
      permissionsBoundary: boundary,
      rolePath: '/payments/',
      brokerRoleName: 'payments-d1',
      schedulerRoleName: 'payments-d1-scheduler',
      tags: { 'cost-center': '4711' },
      artifactBucket: 'bank-artifacts',
      logRetentionDays: 365,
      terminationProtection: true,
    };
    const { tags, artifactBucket, ...others } = content;
    expect(accepted({}, content)).toMatchObject({
      ...others,
      tags: { service: 'd1-token-broker', stage: 'production', ...tags },
      deploymentBucket: { name: artifactBucket },
    });
    expect(accepted({}, { terminationProtection: false })).toMatchObject({ terminationProtection: false });
  });

  test.each([
    [
      { permissionBoundary: boundary },
      /^infra\/landing-zone\.yml has the key permissionBoundary, which is not known; it may have permissionsBoundary, .+, tags$/,
    ],
    [
      { permissionsBoundary: 'boundary' },
      'infra/landing-zone.yml: permissionsBoundary is "boundary"; it must be the ARN of an IAM policy: arn:aws:iam::111122223333:policy/NAME',
    ],
    [
      { permissionsBoundary: boundary.replace(':aws:', ':aws-cn:') },
      'infra/landing-zone.yml: permissionsBoundary is of partition aws-cn; eu-west-1 is in aws',
    ],
    [{ permissionsBoundary: null }, /: permissionsBoundary is missing; it must be /],
    [{ rolePath: 'payments' }, /: rolePath is "payments"; it must be a path of IAM, which begins and ends with \/$/],
    [{ brokerRoleName: 'a role' }, /: brokerRoleName is "a role"; it must be a role name/],
    [{ brokerRoleName: 'one', schedulerRoleName: 'one' }, /: schedulerRoleName is "one", like brokerRoleName; /],
    [{ artifactBucket: 'Bank_Artifacts' }, /: artifactBucket is "Bank_Artifacts"; it must be the name of an S3 bucket/],
    [{ logRetentionDays: 100 }, /: logRetentionDays is "100"; it must be one of 1, 3, /],
    [{ terminationProtection: 'always' }, /: terminationProtection is "always"; it must be one of true, false$/],
    [{ tags: 'cost-center' }, 'infra/landing-zone.yml: tags is no list of names with values'],
    [{ tags: { stage: 'mine' } }, "infra/landing-zone.yml: the tag stage is the stack's own; choose another name"],
    [{ tags: { 'aws:mine': 'x' } }, /: the tag aws:mine has a name that AWS refuses; /],
    [{ tags: { 'cost-center': 4711 } }, /: the tag cost-center is 4711; it must be text in quotes/],
    [
      { tags: Object.fromEntries(Array.from({ length: 49 }, (_, index) => [`t${index}`, ''])) },
      /: tags has 49 tags; AWS takes 48 beside the stack's own$/,
    ],
    [['permissionsBoundary'], 'infra/landing-zone.yml is no list of keys with values'],
  ])('is refused with a sentence: %j', (content, sentence) => {
    expect(faults(content)).toEqual([sentence instanceof RegExp ? expect.stringMatching(sentence) : sentence]);
  });

  test('is told of all its faults at once, beside those of the parameters', () => {
    expect(faultsOf({ issuerId: undefined }, [], {}, { rolePath: 'x', artifactBucket: '' })).toHaveLength(3);
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
        'file(infra/landing-zone.yml), null': { logRetentionDays: 365 },
      };
      return known[variable] ?? values[/^param:(\w+), null$/.exec(variable)?.[1] ?? ''] ?? null;
    },
    resolveConfigurationProperty: async () => ({ default: {}, staging: {} }),
  });

  test('gives what osls has', async () => {
    const { parameters } = await checkedParameters(osls('staging', good));
    expect(parameters).toMatchObject({ issuerId: 'ISSUER0001', ...switches, logRetentionDays: 365 });
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

describe('a second Region', () => {
  const there = 'eu-central-1';
  const elsewhere = (arn: string) => arn.replace('eu-west-1', there);
  const mrk = elsewhere(key).replace(/key.*/, `key/mrk-${'0123456789abcdef'.repeat(2)}`);
  const replicated = { replicaRegions: [elsewhere(key)] };
  const standby = {
    role: 'standby',
    primaryTokenSecretArn: elsewhere(secret).replace('d1/token', 'd1/production/token'),
    primaryCurrentSigningKeyArn: mrk,
    existingClientCertificateSecretArn: secret,
    existingSecretsKeyArn: key,
  };

  test('of a primary is named by the key that encrypts the replicas', () => {
    expect(accepted(replicated)).toMatchObject({
      signingKeyFile: 'signing-key.yml',
      replicas: [{ Region: there, KmsKeyId: elsewhere(key) }],
      allowReplicas: {
        Action: 'kms:ReplicateKey',
        Principal: { AWS: good['keyAdministrators'] },
        Condition: { StringEquals: { 'kms:ReplicaRegion': [there] } },
      },
    });
  });

  test('of a standby reads the replica in its own Region', () => {
    expect(accepted(standby)).toMatchObject({
      signingKeyFile: 'standby.yml',
      replicas: noValue,
      allowReplicas: noValue,
      watchedReplica: standby.primaryTokenSecretArn.replace(there, 'eu-west-1'),
    });
  });

  test('that is promoted keeps its keys, and watches no primary', () => {
    expect(accepted({ ...standby, role: 'promoted' })).toMatchObject({
      signingKeyFile: 'standby.yml',
      watchedReplica: noValue,
    });
  });

  test.each<[what: string, changes: Record<string, unknown>, fault: string]>([
    ['the stack’s own', { replicaRegions: [key] }, 'parameter replicaRegions has a key of eu-west-1'],
    ['named twice', { replicaRegions: [elsewhere(key), mrk] }, 'parameter replicaRegions has two keys of one Region'],
    ['a standby’s standby', { ...standby, ...replicated }, 'parameter replicaRegions is given; with role: standby'],
    [
      'without a standby',
      { primaryTokenSecretArn: elsewhere(secret) },
      'parameter primaryTokenSecretArn is given; only',
    ],
    ['without a token', { ...standby, primaryTokenSecretArn: 'none' }, 'parameter primaryTokenSecretArn is missing'],
    [
      'without a certificate',
      { ...standby, existingClientCertificateSecretArn: '' },
      'parameter existingClientCertificateSecretArn is missing',
    ],
    [
      'without a key',
      { ...standby, primaryCurrentSigningKeyArn: 'none' },
      'parameters keyId and primaryCurrentSigningKeyArn must be given together',
    ],
    [
      'with half a rollover',
      { ...standby, nextKeyId: 'key-2' },
      'parameters nextKeyId and primaryNextSigningKeyArn must be given together',
    ],
    [
      'the primary’s',
      { ...standby, primaryTokenSecretArn: secret },
      'parameter primaryTokenSecretArn is of Region eu-west-1; the primary must be in another one',
    ],
    [
      'where the secret’s name is taken by the replica',
      { ...standby, tokenSecretName: 'd1/production/token' },
      'parameter tokenSecretName is "d1/production/token", like the primary\'s',
    ],
    [
      'that would write the replica',
      { ...standby, existingTokenSecretArn: standby.primaryTokenSecretArn.replace(there, 'eu-west-1') },
      'parameter existingTokenSecretArn is the replica, which can be read only',
    ],
    [
      'with a key of one Region',
      { ...standby, primaryCurrentSigningKeyArn: elsewhere(key) },
      `parameter primaryCurrentSigningKeyArn is "${elsewhere(key)}"; it must be`,
    ],
  ])('must not be %s', (_what, changes, fault) => {
    expect(faultsOf(changes)).toContainEqual(expect.stringContaining(fault));
  });
});
