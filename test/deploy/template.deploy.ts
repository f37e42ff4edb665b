import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rules } from '../../infra/check-parameters.ts';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { ensureVenv, requirementsIn } from '../support/python-server.ts';
import { fleetTemplateFile } from './support/fleet-template.ts';
import { checkov, type Found, judged, lint } from './support/linters.ts';
import { packageService, root, type ServicePackage, type Template } from './support/package-service.ts';
import { type Statement, statementsOf } from './support/statements.ts';

const run = promisify(execFile);
const text = (path: string) => readFile(join(root, path), 'utf8');

/** Statements that may name `*`, each with the reason. Everything else must name what it is about. */
const wildcards: Record<string, string> = {
  'CurrentSigningKey/AdministratorsManage': 'In a key policy, * is this key.',
  'CurrentSigningKey/BrokerSigns': 'In a key policy, * is this key.',
  'CurrentSigningKey/PublicKeyCanBeRead': 'In a key policy, * is this key.',
  'NextSigningKey/AdministratorsManage': 'In a key policy, * is this key.',
  'NextSigningKey/BrokerSigns': 'In a key policy, * is this key.',
  'NextSigningKey/PublicKeyCanBeRead': 'In a key policy, * is this key.',
  'SecretsKey/AdministratorsManage': 'In a key policy, * is this key.',
  'SecretsKey/UsedThroughSecretsManager': 'In a key policy, * is this key.',
  'LogKey/AdministratorsManage': 'In a key policy, * is this key.',
  'LogKey/CloudWatchLogsUses': 'In a key policy, * is this key.',
  'TokenSecretPolicy/NobodyOutsideTheAccount': 'Denies. In the policy of a secret, * is this secret.',
  'ClientCertificateSecretPolicy/NobodyOutsideTheAccount': 'Denies. In the policy of a secret, * is this secret.',
  'ClientCertificateSecretPolicy/OnlyReadersRead': 'Denies. In the policy of a secret, * is this secret.',
  'DeadLettersOverTlsOnly/OverTlsOnly': 'Denies. In the policy of a queue, * is this queue.',
  'ServerlessDeploymentBucketPolicy/': 'Denies what does not come over TLS. Made by osls.',
  'BrokerPolicy/SendTraces': 'X-Ray has no resources for these two actions. Only with tracing.',
  'BrokerPolicy/DescribeNetworkInterfaces': 'EC2 has no resources for this action. Only with subnetIds.',
  'BrokerPolicy/NoNetworkInterfacesFromTheCode': 'Denies.',
  'SecretsKey/ConsumersDecryptToken': 'In a key policy, * is this key. Only with consumerPrincipals.',
  'SecretsKey/ConsumersDecryptClientCertificate': 'In a key policy, * is this key. Only with consumerPrincipals.',
  'TokenSecretPolicy/ConsumersReadToken': 'In the policy of a secret, * is this secret. Only with consumerPrincipals.',
  'ClientCertificateSecretPolicy/ConsumersReadClientCertificate':
    'In the policy of a secret, * is this secret. Only with consumerPrincipals.',
};

const topics = {
  criticalTopicArn: 'arn:aws:sns:eu-west-1:111122223333:critical',
  warningTopicArn: 'arn:aws:sns:eu-west-1:111122223333:warning',
};
const deployer = 'arn:aws:iam::111122223333:role/deployer';
const breakGlass = 'arn:aws:iam::111122223333:role/break-glass';
const payments = 'arn:aws:iam::111122223333:role/payments';

/** Everything that can be on, and secrets that exist already. */
const full = {
  ...topics,
  onboarded: 'true',
  tracing: 'Active',
  logKey: 'own',
  dashboard: 'true',
  compositeAlarm: 'true',
  nextKeyId: 'example-key-2',
  keyAdministrators: `${deployer},${breakGlass}`,
  certificateReaders: payments,
  codeSigningConfigArn: 'arn:aws:lambda:eu-west-1:111122223333:code-signing-config:csc-0123456789abcdefg',
  existingSecretsKeyArn: 'arn:aws:kms:eu-west-1:111122223333:key/66666666-7777-8888-9999-000000000000',
  replicaRegions: 'arn:aws:kms:eu-central-1:111122223333:key/77777777-8888-9999-0000-111111111111',
  existingTokenSecretArn: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/token-AbCdEf',
  existingClientCertificateSecretArn: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/certificate-AbCdEf',
};
/** The stack of a second Region. */
const standby = {
  role: 'standby',
  primaryTokenSecretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:d1/production/token-AbCdEf',
  primaryCurrentSigningKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef',
  primaryNextSigningKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/mrk-123456789abcdef0123456789abcdef0',
  nextKeyId: 'example-key-2',
  existingClientCertificateSecretArn: full.existingClientCertificateSecretArn,
  existingSecretsKeyArn: full.existingSecretsKeyArn,
};
/** Nothing that can be left out. */
const bare = { reservedConcurrency: 'none', keyId: 'none', nextKeyId: 'example-key-2', activeSigningKey: 'next' };

let folder: string;
let python: string;
let example: ServicePackage;
let template: Template;
let withAll: ServicePackage;
let withLittle: ServicePackage;
let asStandby: ServicePackage;
let statements: readonly Statement[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-template-'));
  const requirements = requirementsIn(new URL('support/tools.requirements.txt', import.meta.url));
  ({ python } = await ensureVenv('deploy-tools', requirements));
  example = await packageService(join(folder, 'example'));
  template = example.template;
  withAll = await packageService(join(folder, 'all'), { parameters: full });
  withLittle = await packageService(join(folder, 'little'), { parameters: bare });
  asStandby = await packageService(join(folder, 'standby'), { parameters: standby });
  statements = statementsOf(template);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The templates that there are, the one for many issuers too. */
const files = () => [...[example, withAll, withLittle, asStandby].map((one) => one.templateFile), fleetTemplateFile];

test('cfn-lint finds nothing that infra/suppressions.ts does not answer', async () => {
  expect(judged('cfn-lint', await lint(python, files()))).toEqual({ findings: [], idle: [] });
});

describe('checkov', () => {
  let found: ReadonlyMap<string, readonly Found[]>;
  const spoiltFile = () => join(folder, 'spoilt.json');

  beforeAll(async () => {
    await writeFile(spoiltFile(), JSON.stringify(spoilt(withAll.template)));
    found = await checkov([...files(), spoiltFile()]);
  });

  test('finds nothing that infra/suppressions.ts does not answer', () => {
    const all = files().flatMap((file) => found.get(file) ?? []);
    expect(judged('checkov', all)).toEqual({ findings: [], idle: [] });
  });

  test('has rules of our own, and each of them bites', () => {
    const bitten = new Set(
      found
        .get(spoiltFile())
        ?.map(({ rule }) => rule)
        .filter((rule) => rule.startsWith('CKV_D1_')),
    );
    expect([...bitten].sort()).toEqual(Array.from({ length: 7 }, (_, index) => `CKV_D1_${index + 1}`));
  });
});

/** What was once wrong with the template, all at once. checkov leaves out what a condition leaves out. */
function spoilt(template: Template): Template {
  const spoiltTemplate = structuredClone(template) as { Resources: Record<string, Spoilable> };
  const { Resources } = spoiltTemplate;
  const of = (id: string): Spoilable => {
    const resource = Resources[id];
    if (!resource) throw new Error(`There is no resource ${id}.`);
    return resource;
  };
  of('CurrentSigningKey').Properties.MultiRegion = false;
  of('CurrentSigningKey').Properties.KeyPolicy.Statement[0].Action.push('kms:CreateGrant');
  delete of('BrokerPolicy').Properties.PolicyDocument.Statement[0].Condition.ArnEquals;
  of('TokenExpiring').Properties.Dimensions.splice(1, 1);
  of('FailedInvocationsArrive').Properties.MetricName = 'ApproximateNumberOfMessagesVisible';
  of('SignedByAnother').Properties.State = 'ENABLED';
  of('Tick').Properties.Target.Arn = { 'Fn::GetAtt': ['BrokerLambdaFunction', 'Arn'] };
  return spoiltTemplate as unknown as Template;
}

interface Spoilable {
  // biome-ignore lint/suspicious/noExplicitAny: whatever a resource has; a test spoils it.
  readonly Properties: any;
}

describe('the zip', () => {
  test('holds the bundle that `npm start` runs, file by file, and nothing else', async () => {
    const unzipped = join(folder, 'unzipped');
    await run(python, ['-m', 'zipfile', '-e', example.zipFile, unzipped]);
    const { file } = await bundleHandler(join(import.meta.dirname, '..', '..', '.build', 'deploy'));
    const bundled = (await readdir(dirname(file))).filter((name) => !name.endsWith('.map')).sort();
    expect(bundled).toEqual(expect.arrayContaining(['handler.mjs', 'build.json']));
    expect((await readdir(unzipped, { recursive: true })).sort()).toEqual([
      'src',
      ...bundled.map((name) => `src/${name}`),
    ]);
    for (const name of bundled) {
      expect(await readFile(join(unzipped, 'src', name)), name).toEqual(await readFile(join(dirname(file), name)));
    }
    process.stdout.write(`The zip has ${example.zip.length} bytes, in ${bundled.length} files.\n`);
  });

  test('is small enough to start fast', () => {
    expect(example.zip.length).toBeLessThanOrEqual(250_000);
  });
});

describe('policies', () => {
  const named = ({ resource, sid }: Statement) => `${resource}/${sid}`;

  test('name what they allow and on what, but for a short list', () => {
    const wide = statements.filter(({ actions, resources }) =>
      [...actions, ...resources].some((name) => typeof name === 'string' && name.includes('*')),
    );
    expect(wide.map(named).sort()).toEqual(Object.keys(wildcards).sort());
  });

  test('let no action pass by a wildcard', () => {
    const allowed = statements.filter(({ effect }) => effect === 'Allow').flatMap(({ actions }) => actions);
    expect(allowed.filter((action) => action.includes('*'))).toEqual([]);
  });

  test('give the broker these actions, and no other', () => {
    const actions = statements
      .filter(({ resource, effect }) => resource === 'BrokerPolicy' && effect === 'Allow')
      .flatMap(({ actions }) => actions);
    expect(actions.sort()).toEqual([
      'ec2:AssignPrivateIpAddresses',
      'ec2:CreateNetworkInterface',
      'ec2:DeleteNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:UnassignPrivateIpAddresses',
      'kms:Decrypt',
      'kms:GenerateDataKey',
      'kms:GetPublicKey',
      'kms:Sign',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      'secretsmanager:DescribeSecret',
      'secretsmanager:GetSecretValue',
      'secretsmanager:GetSecretValue',
      'secretsmanager:ListSecretVersionIds',
      'secretsmanager:PutSecretValue',
      'secretsmanager:UpdateSecretVersionStage',
      'sqs:SendMessage',
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
    ]);
  });

  test('let the broker alone sign, and only digests with ECDSA_SHA_256', () => {
    const signing = statements.filter(({ actions, effect }) => actions.includes('kms:Sign') && effect === 'Allow');
    expect(signing.map(named)).toEqual([
      'CurrentSigningKey/BrokerSigns',
      'NextSigningKey/BrokerSigns',
      'BrokerPolicy/Sign',
    ]);
    for (const { condition } of signing) {
      expect(condition).toMatchObject({
        StringEquals: { 'kms:SigningAlgorithm': 'ECDSA_SHA_256', 'kms:MessageType': 'DIGEST' },
      });
    }
    expect(signing[0]?.principal).toEqual({ AWS: { 'Fn::GetAtt': ['BrokerRole', 'Arn'] } });
  });

  test('let the role use keys and secrets from its functions only', () => {
    const own = statements.filter(({ resource }) => resource === 'BrokerPolicy');
    const bound = own.filter(({ condition }) => JSON.stringify(condition ?? {}).includes('lambda:SourceFunctionArn'));
    expect(bound.map(({ sid }) => sid)).toEqual([
      'Sign',
      'SignFromTheFunctionsOnly',
      'ReadPublicKey',
      'KeepToken',
      'ReadClientCertificate',
      'NoNetworkInterfacesFromTheCode',
    ]);
    // The key policy alone lets the role sign, so that it is refused elsewhere must be said.
    expect(bound[1]).toMatchObject({ effect: 'Deny', actions: ['kms:Sign'], resources: bound[0]?.resources });
    expect(Object.keys(bound[1]?.condition ?? {})).toEqual(['ArnNotEquals']);
    for (const { condition } of bound) {
      const arns = JSON.stringify(condition);
      for (const name of ['example"', 'example-ticks"']) {
        expect(arns).toContain(`function:d1-token-broker-${name}`);
      }
      expect(arns).not.toContain('*');
    }
  });

  test('let the role use the inactive signing key only while there is one', () => {
    const sign = statements.find((statement) => named(statement) === 'BrokerPolicy/Sign');
    const one = (name: string) => ({
      'Fn::If': [`Has${name}SigningKey`, { 'Fn::GetAtt': [`${name}SigningKey`, 'Arn'] }, { Ref: 'AWS::NoValue' }],
    });
    expect(sign?.resources).toEqual([one('Current'), one('Next')]);
  });

  test('refuse the client certificate to all but the broker and certificateReaders, and nothing else', () => {
    const of = (name: ServicePackage) =>
      statementsOf(name.template).find(({ sid }) => sid === 'OnlyReadersRead') as Statement;
    const broker = { 'Fn::GetAtt': ['BrokerRole', 'Arn'] };
    expect(of(example)).toMatchObject({
      effect: 'Deny',
      principal: '*',
      actions: ['secretsmanager:GetSecretValue'],
      condition: { ArnNotEquals: { 'aws:PrincipalArn': [broker] } },
    });
    expect(of(withAll).condition).toEqual({ ArnNotEquals: { 'aws:PrincipalArn': [broker, payments] } });
    expect(example.template.Resources['ClientCertificateReaderPolicy']?.Condition).toBe('AllowsCertificateReaders');
  });

  test('name every administrator of the keys that the list has', () => {
    const administration = statementsOf(withAll.template).filter(({ sid }) => sid === 'AdministratorsManage');
    expect(administration.length).toBeGreaterThanOrEqual(3);
    for (const { principal } of administration) expect(principal).toEqual({ AWS: [deployer, breakGlass] });
  });

  test('have a line for each action in docs/iam.md, or where it is only for landing zones', async () => {
    const page = (await text('docs/iam.md')) + (await text('docs/landing-zone.md'));
    const actions = new Set(statements.flatMap(({ actions }) => actions).filter((action) => !action.includes('*')));
    expect([...actions].filter((action) => !page.includes(`\`${action}\``))).toEqual([]);
  });
});

describe('what must survive the stack, and not a deployment that failed', () => {
  test.each([
    'CurrentSigningKey',
    'NextSigningKey',
    'SecretsKey',
    'TokenSecret',
    'TokenSecretPolicy',
    'ClientCertificateSecret',
    'ClientCertificateSecretPolicy',
  ])('%s', (id) => {
    expect(template.Resources[id]).toMatchObject({
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    });
  });
});

describe('the functions', () => {
  const properties = (id: string, of = template) => of.Resources[`${id}LambdaFunction`]?.Properties ?? {};

  test('have the same code, role, log, time and memory; the ticks have a concurrency of their own', () => {
    const shared = ['Code', 'Role', 'Handler', 'Timeout', 'MemorySize', 'Runtime', 'LoggingConfig'];
    for (const name of shared) expect(properties('Ticks')[name], name).toEqual(properties('Broker')[name]);
    expect(properties('Broker')['ReservedConcurrentExecutions']).toBe(5);
    expect(properties('Ticks')['ReservedConcurrentExecutions']).toBe(2);
  });

  test('reserve nothing when told so, and the ticks still have their own', () => {
    const noValue = { Ref: 'AWS::NoValue' };
    expect(properties('Broker', withLittle.template)['ReservedConcurrentExecutions']).toEqual(noValue);
    expect(properties('Ticks', withLittle.template)['ReservedConcurrentExecutions']).toEqual(noValue);
  });

  test('share the work: the schedule and the rotation go to the ticks, callers to the broker', () => {
    const arnOf = (id: string) => ({ 'Fn::GetAtt': [`${id}LambdaFunction`, 'Arn'] });
    const { Resources } = template;
    expect(Resources['Tick']?.Properties['Target']).toMatchObject({ Arn: arnOf('Ticks') });
    expect(Resources['RotationSchedule']?.Properties).toMatchObject({ RotationLambdaARN: arnOf('Ticks') });
    const invoking = statements.filter(({ actions }) => actions.includes('lambda:InvokeFunction'));
    expect(invoking.map(({ resource, resources }) => [resource, resources[0]])).toEqual([
      ['SchedulerPolicy', arnOf('Ticks')],
      ['TokenInvokerPolicy', arnOf('Broker')],
    ]);
  });

  test('take signed code only, when a code signing configuration is given', () => {
    for (const id of ['Broker', 'Ticks']) {
      expect(properties(id, withAll.template)['CodeSigningConfigArn']).toBe(full.codeSigningConfigArn);
      expect(properties(id)['CodeSigningConfigArn']).toEqual({ Ref: 'AWS::NoValue' });
    }
  });
});

test('both signing keys can be replicated, each with an alias and a kid of its own', () => {
  for (const name of ['Current', 'Next']) {
    expect(template.Resources[`${name}SigningKey`]?.Properties).toMatchObject({ MultiRegion: true });
    expect(template.Resources[`${name}SigningKeyAlias`]?.Properties).toEqual({
      AliasName: `alias/d1-token-broker-example-signing-${name.toLowerCase()}`,
      TargetKeyId: { Ref: `${name}SigningKey` },
    });
    expect(withAll.template.Parameters?.[`${name}KeyId`]).toMatchObject({
      Default: name === 'Current' ? 'example-key-1' : 'example-key-2',
    });
  }
});

describe('a second Region', () => {
  test('gets replicas of both secrets, and may get one of the signing keys, when its key is named', () => {
    const replicas = [{ Region: 'eu-central-1', KmsKeyId: full.replicaRegions }];
    for (const id of ['TokenSecret', 'ClientCertificateSecret']) {
      expect(withAll.template.Resources[id]?.Properties['ReplicaRegions']).toEqual(replicas);
    }
    const replicating = statementsOf(withAll.template).filter(({ actions }) => actions.includes('kms:ReplicateKey'));
    expect(replicating.map(({ resource, condition }) => [resource, condition])).toEqual(
      ['CurrentSigningKey', 'NextSigningKey'].map((id) => [
        id,
        { StringEquals: { 'kms:ReplicaRegion': ['eu-central-1'] } },
      ]),
    );
  });

  test('signs with replicas of the keys, under the key policy that the keys have', () => {
    for (const [id, primary] of [
      ['CurrentSigningKey', standby.primaryCurrentSigningKeyArn],
      ['NextSigningKey', standby.primaryNextSigningKeyArn],
    ] as const) {
      const { Type, Properties } = asStandby.template.Resources[id] ?? {};
      expect(Type).toBe('AWS::KMS::ReplicaKey');
      expect(Properties).toMatchObject({
        PrimaryKeyArn: primary,
        KeyPolicy: template.Resources[id]?.Properties['KeyPolicy'],
      });
      expect(asStandby.template.Resources[`${id}Alias`]).toEqual(template.Resources[`${id}Alias`]);
    }
  });

  test('reads the replica of the token, and writes a secret of its own', () => {
    const replica = standby.primaryTokenSecretArn.replace('eu-central-1', 'eu-west-1');
    expect(asStandby.template.Resources['TicksLambdaFunction']?.Properties['Environment']).toMatchObject({
      Variables: { D1_PRIMARY_TOKEN_SECRET_ID: replica },
    });
    const about = statementsOf(asStandby.template).filter(({ resources }) => resources.includes(replica));
    expect(about.map(({ resource, actions }) => [resource, actions])).toEqual([
      ['StandbyPolicy', ['secretsmanager:DescribeSecret', 'secretsmanager:GetSecretValue']],
    ]);
  });

  test('is in no resource of a stack that has one Region', () => {
    expect(Object.keys(template.Resources)).not.toContain('StandbyPolicy');
    expect(statements.flatMap(({ actions }) => actions)).not.toContain('kms:ReplicateKey');
  });
});

describe('packaging stops, and says nothing but why', () => {
  const failure = (options: Parameters<typeof packageService>[1]) =>
    packageService(join(folder, 'refused'), options).then(
      () => 'it did not',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    );

  test('when a parameter is missing, and names it', async () => {
    const { issuerId, keyId } = rules;
    expect(await failure({ stage: 'staging' })).toBe(
      [
        'infra/params.yml, stage "staging":',
        `  parameter issuerId is missing; it must be ${issuerId?.rule}.`,
        `  parameter keyId is missing; it must be ${keyId?.rule}.`,
        '',
      ].join('\n'),
    );
  });

  test('when the command line misspells one, or the stage', async () => {
    expect(await failure({ stage: 'prodution', parameters: { isuerId: 'ISSUER0001' } })).toMatch(
      /parameter isuerId is not known; check its spelling in default, prodution and --param\.\n {2}the file has no stage "prodution"; it has example, staging, production\.\n$/,
    );
  });
});
