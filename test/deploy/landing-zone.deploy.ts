import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verdictOf } from '../../src/cli/doctor/policy.ts';
import { shellBlocks } from '../support/page.ts';
import { ensureVenv, requirementsIn } from '../support/python-server.ts';
import { policyForMinistack } from './ministack-deviations.ts';
import { alone, differences, FIPS_REGION, filled, together } from './support/landing-zone.ts';
import { checkov, judged, lint } from './support/linters.ts';
import { packageService, root, type ServicePackage, type Template } from './support/package-service.ts';
import { resolvedResources, resolver } from './support/resolved.ts';
import { runPython } from './support/run-python.ts';
import { statementsOf } from './support/statements.ts';

// What docs/landing-zone.md promises of the packaged templates. landing-zone-deployed.deploy.ts deploys them.

const run = promisify(execFile);

const text = (path: string) => readFile(join(root, path), 'utf8');
const script = (name: string) => join(import.meta.dirname, 'support', name);
const nowhere = { url: 'http://127.0.0.1:1', credentials: { accessKeyId: 'none', secretAccessKey: 'none' } };

/** Of a stack that is not onboarded, with one signing key. */
const resourcesWithout = [
  'BrokerLambdaEvConf',
  'BrokerLambdaFunction',
  'BrokerLogGroup',
  'BrokerPolicy',
  'BrokerRole',
  'CertificateExpires',
  'CertificateExpiresSoon',
  'ClientCertificateSecret',
  'ClientCertificateSecretPolicy',
  'CurrentSigningKey',
  'CurrentSigningKeyAlias',
  'DeadLettersOverTlsOnly',
  'FailedInvocations',
  'FailedInvocationsArrive',
  'RefreshFailing',
  'RotationPermission',
  'SchedulerPolicy',
  'SchedulerRole',
  'SecretsKey',
  'ServerlessDeploymentBucket',
  'ServerlessDeploymentBucketPolicy',
  'Tick',
  'TickGroup',
  'TicksLambdaEvConf',
  'TicksLambdaFunction',
  'TicksMissing',
  'TokenExpiring',
  'TokenInvokerPolicy',
  'TokenReaderPolicy',
  'TokenSecret',
  'TokenSecretPolicy',
  'UndeliveredTicks',
];

let folder: string;
let python: string;
let example: ServicePackage;
let withAll: ServicePackage;
let withOne: Readonly<Record<string, ServicePackage>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-landing-zone-'));
  ({ python } = await ensureVenv(
    'deploy-tools',
    requirementsIn(new URL('support/tools.requirements.txt', import.meta.url)),
  ));
  example = await packageService(join(folder, 'example'));
  withAll = await packageService(join(folder, 'all'), { region: FIPS_REGION, parameters: together });
  const packages: [string, ServicePackage][] = [];
  for (const [name, parameters] of Object.entries(alone)) {
    const region = name === 'fips' ? { region: FIPS_REGION } : {};
    // Checkov takes 40 letters and slashes of a path for a secret key of AWS: hyphens keep them apart.
    packages.push([name, await packageService(join(folder, `with-${name}`), { ...region, parameters })]);
  }
  withOne = Object.fromEntries(packages);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const files = () => [withAll, ...Object.values(withOne)].map(({ templateFile }) => templateFile);

test('cfn-lint finds nothing in them', async () => {
  expect(judged('cfn-lint', await lint(python, files())).findings).toEqual([]);
});

test('cfn-lint finds nothing in all of them in another partition', async () => {
  const found = await lint(python, [withAll.templateFile], ['cn-north-1', 'us-gov-west-1']);
  expect(judged('cfn-lint', found).findings).toEqual([]);
});

test('checkov finds nothing in them', async () => {
  const found = await checkov(files());
  // By folder, which is named after the parameter.
  const findings = files().map((file) => [basename(dirname(file)), judged('checkov', found.get(file) ?? []).findings]);
  expect(findings).toEqual(findings.map(([name]) => [name, []]));
});

describe('without them', () => {
  test('the stack has these resources, and no other', () => {
    expect(Object.keys(resolvedResources(example.template)).sort()).toEqual(resourcesWithout);
  });

  test('nothing of them is in it', () => {
    const resources = JSON.stringify(resolvedResources(example.template));
    const traces = [
      'VpcConfig',
      'ec2:',
      'FIPS',
      'PROXY',
      'PermissionsBoundary',
      'RoleName',
      '"Path"',
      'PrincipalOrg',
      'Consumer',
    ];
    expect(traces.filter((trace) => resources.includes(trace))).toEqual([]);
    expect(example.notices).not.toContain('The policy of ');
  });
});

const bothFunctions = (path: string) => [`BrokerLambdaFunction.${path}`, `TicksLambdaFunction.${path}`];
const bothRoles = (path: string) => [`BrokerRole.${path}`, `SchedulerRole.${path}`];
const policiesForConsumers = ['SecretsKey.KeyPolicy.Statement', 'TokenSecretPolicy.ResourcePolicy.Statement'];

/** What differs from a stack without any. */
const effects: Readonly<Record<keyof typeof alone, readonly string[]>> = {
  landingZone: [
    ...bothFunctions('Code.S3Bucket'),
    ...bothFunctions('Tags'),
    ...bothRoles('Path'),
    ...bothRoles('PermissionsBoundary'),
    ...bothRoles('RoleName'),
    'BrokerLogGroup.RetentionInDays',
    'ServerlessDeploymentBucket',
    'ServerlessDeploymentBucketPolicy',
  ],
  consumerPrincipals: [
    ...policiesForConsumers,
    'ClientCertificateReaderPolicy',
    'ClientCertificateSecretPolicy.ResourcePolicy.Statement',
    'Consumer222233334444a6f4e2e4',
    'Consumer33334444555509a7a251',
  ],
  organizationId: [...policiesForConsumers, 'Consumer222233334444a6f4e2e4'],
  vpc: [...bothFunctions('VpcConfig'), 'BrokerPolicy.PolicyDocument.Statement'],
  egressProxy: [
    ...bothFunctions('Environment.Variables.HTTPS_PROXY'),
    ...bothFunctions('Environment.Variables.NO_PROXY'),
  ],
  fips: bothFunctions('Environment.Variables.AWS_USE_FIPS_ENDPOINT'),
};

/** The folder of the zip carries the time. */
const changesOf = ({ template }: ServicePackage) =>
  differences(resolvedResources(example.template), resolvedResources(template))
    .filter((path) => !path.endsWith('Code.S3Key'))
    .sort();

test.each(Object.entries(effects))('%s changes this, and nothing else', (name, paths) => {
  expect(changesOf(withOne[name] as ServicePackage)).toEqual([...paths].sort());
});

test('together they change what each of them changes', () => {
  expect(changesOf(withAll)).toEqual([...new Set(Object.values(effects).flat())].sort());
});

test("a landing zone's file comes with every line a comment, and the tests' one has every key that it names", async () => {
  const keysOf = (file: string) => [...file.matchAll(/^(?:# )?(\w+):/gm)].map(([, key]) => key);
  const file = await text('infra/landing-zone.yml');
  expect(file.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  expect(keysOf(await text(alone.landingZone.landingZone))).toEqual(keysOf(file));
});

test('tags and termination protection go to the stack by osls', async () => {
  const { service } = JSON.parse(await readFile(join(dirname(withAll.templateFile), 'serverless-state.json'), 'utf8'));
  expect(service.provider).toMatchObject({
    deletionProtection: true,
    stackTags: { service: 'd1-token-broker', stage: 'example', 'cost-center': '4711' },
  });
});

describe('another partition', () => {
  const china = { 'AWS::Partition': 'aws-cn', 'AWS::Region': 'cn-north-1', 'AWS::URLSuffix': 'amazonaws.com.cn' };
  const govCloud = { 'AWS::Partition': 'aws-us-gov', 'AWS::Region': 'us-gov-west-1' };

  test('is in no ARN of the template, and in no name of a service but those that are the same everywhere', () => {
    const template = JSON.stringify(example.template);
    expect(template).not.toMatch(/arn:aws[\w-]*:/);
    const fixed = new Set(template.match(/[\w.-]+\.amazonaws\.com[\w.]*/g));
    expect([...fixed].sort()).toEqual([
      // What CloudTrail calls the sources of events.
      'iam.amazonaws.com',
      'kms.amazonaws.com',
      // Principals that are global.
      'lambda.amazonaws.com',
      'scheduler.amazonaws.com',
      'secretsmanager.amazonaws.com',
    ]);
    const principals = statementsOf(example.template).map(({ principal }) => JSON.stringify(principal ?? ''));
    expect(principals.filter((principal) => principal.includes('secretsmanager'))).toEqual([]);
  });

  test('has its own names where it matters', () => {
    const inChina = resolvedResources(withOne['consumerPrincipals']?.template as Template, china);
    expect(inChina['RotationPermission']?.Properties['Principal']).toBe('secretsmanager.amazonaws.com.cn');
    const inGovCloud = resolvedResources(withOne['consumerPrincipals']?.template as Template, govCloud);
    expect(inGovCloud['RotationPermission']?.Properties['Principal']).toBe('secretsmanager.amazonaws.com');
    for (const [resources, service] of [
      [inChina, 'secretsmanager.cn-north-1.amazonaws.com.cn'],
      [inGovCloud, 'secretsmanager.us-gov-west-1.amazonaws.com'],
    ] as const) {
      const found = JSON.stringify(resources).match(/(?<="kms:ViaService":")[^"]+/g);
      expect(new Set(found)).toEqual(new Set([service]));
    }
  });
});

/** References as a stack would have them. */
const made = {
  TokenSecret: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/example/access-token-AbCdEf',
  ClientCertificateSecret: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/example/client-certificate-AbCdEf',
  'SecretsKey.Arn': 'arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555',
  'BrokerLambdaFunction.Arn': 'arn:aws:lambda:eu-west-1:111122223333:function:d1-token-broker-example',
  'BrokerRole.Arn': 'arn:aws:iam::111122223333:role/d1-token-broker-example-BrokerRole-ABCDEF123456',
  FailedInvocations: 'the-queue',
};

interface Policy {
  readonly Statement: readonly { readonly Sid?: string }[];
}

const outputsOf = (template: Template): Record<string, unknown> => {
  const { resolve } = resolver(template, made);
  const outputs = Object.entries((template.Outputs ?? {}) as Record<string, { Value: unknown }>);
  return Object.fromEntries(outputs.map(([name, { Value }]) => [name, resolve(Value)]));
};
const ofConsumerAccount = async (name: string) =>
  JSON.parse(filled(await text(`infra/consumer-account/${name}.json`), outputsOf(example.template)));

describe('for the other account', () => {
  test.each([
    ['token-reader', 'TokenReaderPolicy'],
    ['token-invoker', 'TokenInvokerPolicy'],
    ['client-certificate-reader', 'ClientCertificateReaderPolicy'],
  ])("%s.json, filled with the stack's outputs, is the stack's own policy", async (name, id) => {
    const own = resolver(example.template, made).resolve(example.template.Resources[id]?.Properties['PolicyDocument']);
    expect(await ofConsumerAccount(name)).toEqual(own);
  });

  test('the commands of docs/landing-zone.md fill it', async () => {
    const block = shellBlocks(await text('docs/landing-zone.md')).find((one) => one.includes('consumer-account'));
    const lines = Object.entries(outputsOf(example.template)).map(([name, value]) => `${name}\t${String(value)}`);
    const outputs = join(folder, 'outputs.txt');
    await writeFile(outputs, `${lines.join('\n')}\n`);
    // In the place of AWS: what --output text prints. And nothing is written into the tree.
    const shell = `set -euo pipefail; infra=${join(root, 'infra')}; aws() { cat ${outputs}; }\n${block?.replaceAll(' infra/', ' $infra/')}`;
    await run('bash', ['-c', shell], { cwd: folder });
    const policy = await readFile(join(folder, 'token-reader.json'), 'utf8');
    expect(JSON.parse(policy)).toEqual(await ofConsumerAccount('token-reader'));
  });

  test('what the owner of a key or secret must add stands in docs/landing-zone.md as the template has it', async () => {
    const { template } = withOne['organizationId'] as ServicePackage;
    const resources = resolvedResources(template, made);
    const policies = [
      resources['SecretsKey']?.Properties['KeyPolicy'],
      resources['TokenSecretPolicy']?.Properties['ResourcePolicy'],
    ] as Policy[];
    const areForConsumers = ({ Sid }: { Sid?: string }) => Sid?.startsWith('Consumers');
    const statements = policies.flatMap(({ Statement }) => Statement).filter(areForConsumers);
    const page = await text('docs/landing-zone.md');
    const shown = jsonBlocks(page).filter(areForConsumers);
    expect(shown).toEqual(statements);
  });

  test("MiniStack's evaluator of IAM lets in whom the parameters name, for what they name, and nobody else", async () => {
    const { template } = withAll;
    const resources = resolvedResources(template, { ...made, 'AWS::Region': 'eu-west-1' });
    const policies = {
      token: resources['TokenSecretPolicy']?.Properties['ResourcePolicy'],
      certificate: resources['ClientCertificateSecretPolicy']?.Properties['ResourcePolicy'],
      key: resources['SecretsKey']?.Properties['KeyPolicy'],
    };
    const session = (account: string, role: string) => `arn:aws:sts::${account}:assumed-role/${role}/session`;
    const worker = session('222233334444', 'worker');
    const payments = session('333344445555', 'payments');
    const reader = await ofConsumerAccount('token-reader');
    const certificateReader = await ofConsumerAccount('client-certificate-reader');
    const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
    const nothing = { Version: '2012-10-17', Statement: [] };
    const organization = together.organizationId;
    const read = { action: 'secretsmanager:GetSecretValue', resource: made.TokenSecret, policy: policies.token };
    const readCertificate = { ...read, resource: made.ClientCertificateSecret, policy: policies.certificate };
    const decrypt = (secret: string, via = 'secretsmanager.eu-west-1.amazonaws.com') => ({
      action: 'kms:Decrypt',
      resource: made['SecretsKey.Arn'],
      policy: policies.key,
      context: { 'kms:ViaService': via, 'kms:EncryptionContext:SecretARN': secret },
    });
    const cases: [what: string, decision: string, asked: object][] = [
      ['any role of an account', 'Allow', { caller: worker, identity: reader, organization, ...read }],
      [
        'the same, decrypting',
        'Allow',
        { caller: worker, identity: reader, organization, ...decrypt(made.TokenSecret) },
      ],
      ['a role that is named', 'Allow', { caller: payments, identity: reader, organization, ...read }],
      [
        'without the policy on the other side',
        'ImplicitDeny',
        { caller: worker, identity: nothing, organization, ...read },
      ],
      ['of no organisation', 'ImplicitDeny', { caller: worker, identity: reader, ...read }],
      [
        'of another organisation',
        'ImplicitDeny',
        { caller: worker, identity: reader, organization: 'o-another00000', ...read },
      ],
      [
        'another role of that account',
        'ImplicitDeny',
        { caller: session('333344445555', 'other'), identity: everything, organization, ...read },
      ],
      [
        'another account',
        'Deny',
        { caller: session('444455556666', 'payments'), identity: everything, organization, ...read },
      ],
      [
        'writing',
        'ImplicitDeny',
        { caller: worker, identity: everything, organization, ...read, action: 'secretsmanager:PutSecretValue' },
      ],
      [
        'decrypting past Secrets Manager',
        'ImplicitDeny',
        {
          caller: worker,
          identity: everything,
          organization,
          ...decrypt(made.TokenSecret, 'ssm.eu-west-1.amazonaws.com'),
        },
      ],
      [
        'decrypting another secret',
        'ImplicitDeny',
        { caller: worker, identity: everything, organization, ...decrypt(made.ClientCertificateSecret) },
      ],
      [
        'the certificate, not being in certificateReaders',
        'Deny',
        { caller: worker, identity: everything, organization, ...readCertificate },
      ],
    ];
    const decisions = await ministackEvaluator(cases.map(([, , asked]) => asked));
    expect(cases.map(([what], at) => [what, decisions[at]])).toEqual(cases.map(([what, decision]) => [what, decision]));
    // MiniStack takes the session's ARN for aws:PrincipalArn (principalIsSession), so the refusal by it is not asked.
    const lenient = JSON.parse(policyForMinistack(JSON.stringify(policies.certificate)));
    const asked = { caller: payments, identity: certificateReader, organization, ...readCertificate, policy: lenient };
    expect(await ministackEvaluator([asked, { ...asked, ...decrypt(made.ClientCertificateSecret) }])).toEqual([
      'Allow',
      'Allow',
    ]);
  });

  test('the doctor reads in the same policies that those are let in whom the outputs name, and nobody else', () => {
    const resources = resolvedResources(withAll.template, { ...made, 'AWS::Region': 'eu-west-1' });
    const outputs = outputsOf(withAll.template);
    const named = String(outputs['ConsumerPrincipals']).split(',');
    expect(named).toEqual(['arn:aws:iam::222233334444:root', 'arn:aws:iam::333344445555:role/payments']);
    const organization = String(outputs['ConsumerOrganizationId']);
    const secretPolicy = JSON.stringify(resources['TokenSecretPolicy']?.Properties['ResourcePolicy']);
    const keyPolicy = JSON.stringify(resources['SecretsKey']?.Properties['KeyPolicy']);
    const context = new Map([
      ['kms:viaservice', String(outputs['SecretsKeyViaService'])],
      ['kms:encryptioncontext:secretarn', made.TokenSecret],
    ]);
    const verdicts = (principal: string, bound = organization) => {
      const call = { principal, organization: bound, context };
      return [
        verdictOf(secretPolicy, { ...call, action: 'secretsmanager:GetSecretValue' }),
        verdictOf(keyPolicy, { ...call, action: 'kms:Decrypt' }),
      ];
    };
    for (const principal of named) expect(verdicts(principal)).toEqual(['allowed', 'allowed']);
    expect(verdicts('arn:aws:iam::333344445555:role/other')).toEqual(['not_allowed', 'not_allowed']);
    expect(verdicts('arn:aws:iam::444455556666:root')).toEqual(['refused', 'not_allowed']);
    expect(verdicts(named[0] as string, 'o-another00000')).toEqual(['not_allowed', 'not_allowed']);
  });
});

async function ministackEvaluator(cases: readonly object[]): Promise<string[]> {
  const requirements = requirementsIn(new URL('../support/ministack.requirements.txt', import.meta.url));
  const venv = await ensureVenv('ministack', requirements);
  return (await runPython(venv.python, script('iam_decisions.py'), cases, nowhere)) as string[];
}

describe('who deploys', () => {
  const values = { Partition: 'aws', Region: 'eu-west-1', AccountId: '111122223333', Stage: 'example' };
  const policyText = () => text('infra/deployer-policy.json');
  let policy: { Statement: { Sid: string; Action: string | string[]; Resource: string | string[] }[] };
  let allowed: { action: string; resource: string }[];

  beforeAll(async () => {
    policy = JSON.parse(filled(await policyText(), values));
    allowed = policy.Statement.flatMap(({ Action, Resource }) =>
      [Action].flat().flatMap((action) => [Resource].flat().map((resource) => ({ action, resource }))),
    );
  });

  /** What CloudFormation's schemas ask for, for properties that this template does not have. */
  const notNeeded: readonly [RegExp, why: string][] = [
    [/^(s3tables|s3files|elasticfilesystem|firehose):/, 'no such thing is in the template'],
    [
      /^s3:(?!CreateBucket|DeleteBucket$|DeleteBucketPolicy|GetBucketPolicy|PutBucketPolicy|(Get|Put)(BucketPublicAccessBlock|BucketTagging|EncryptionConfiguration)|ListBucket$|GetObject$|DeleteObject$)/,
      'the bucket has encryption, a block of public access, tags and a policy',
    ],
    [/^s3:CreateBucketMetadata/, 'likewise'],
    [/^kms:(CreateGrant|Decrypt|Encrypt|GenerateDataKey)$/, 'AWS encrypts the functions with a key of its own'],
    [/^kms:DisableKeyRotation$/, 'no parameter turns rotation off'],
    [
      /^lambda:(GetLayerVersion|PutRuntimeManagementConfig|PutFunctionRecursionConfig|PutFunctionScalingConfig|PassCapacityProvider|AssociateRuntimeAlias|PublishVersion)$/,
      'no function has these',
    ],
    [/^iam:(Attach|Detach)(Role|User|Group)Policy$/, 'consumers attach the policies, not the stack'],
    [/^iam:(Get|Put|Delete)(User|Group)Policy$/, 'the stack has roles only'],
    [
      /^secretsmanager:(GetSecretValue|GetRandomPassword|ReplicateSecretToRegions|RemoveRegionsFromReplication)$/,
      'no secret gets a value or a replica from the stack',
    ],
    [
      /^logs:.*(DataProtectionPolicy|LogDelivery|ResourcePolic|IndexPolic|BearerToken|DeletionProtection)/,
      'the log group has none of these',
    ],
  ];

  /** Beyond that: what osls calls itself, and what AWS asks for besides. */
  const besides =
    /^(cloudformation:|s3:(PutObject|GetBucketLocation)$|iam:CreateServiceLinkedRole$|kms:TagResource$|logs:(DeleteLogGroup)$)/;

  async function askedFor(): Promise<Map<string, Set<string>>> {
    const types = [...new Set(Object.values(example.template.Resources).map(({ Type }) => Type))];
    const answer = await runPython(python, script('handler_permissions.py'), types, nowhere);
    const asked = new Map<string, Set<string>>();
    for (const [type, actions] of Object.entries(answer as Record<string, string[]>)) {
      for (const action of actions) asked.set(action, (asked.get(action) ?? new Set()).add(type));
    }
    return asked;
  }

  test('may do what CloudFormation asks for, resource by resource, and nothing else', async () => {
    const asked = [...(await askedFor()).keys()].filter(
      (action) => !notNeeded.some(([pattern]) => pattern.test(action)),
    );
    const actions = new Set(allowed.map(({ action }) => action));
    expect(asked.filter((action) => !actions.has(action)).sort()).toEqual([]);
    expect([...actions].filter((action) => !asked.includes(action) && !besides.test(action)).sort()).toEqual([]);
  });

  test('may do it to what the stack makes, by name', () => {
    const resources = resolvedResources(withAll.template, { 'AWS::Region': 'eu-west-1' });
    const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:111122223333:${rest}`;
    const names: Record<string, [action: string, (properties: Record<string, string>) => string]> = {
      'AWS::SQS::Queue': ['sqs:CreateQueue', ({ QueueName }) => arn('sqs', `${QueueName}`)],
      'AWS::Lambda::Function': [
        'lambda:CreateFunction',
        ({ FunctionName }) => arn('lambda', `function:${FunctionName}`),
      ],
      'AWS::CloudWatch::Alarm': [
        'cloudwatch:PutMetricAlarm',
        ({ AlarmName }) => arn('cloudwatch', `alarm:${AlarmName}`),
      ],
      'AWS::Events::Rule': ['events:PutRule', ({ Name }) => arn('events', `rule/${Name}`)],
      'AWS::Logs::LogGroup': ['logs:CreateLogGroup', ({ LogGroupName }) => arn('logs', `log-group:${LogGroupName}`)],
      'AWS::SecretsManager::Secret': [
        'secretsmanager:CreateSecret',
        ({ Name }) => arn('secretsmanager', `secret:${Name}-AbCdEf`),
      ],
      'AWS::KMS::Alias': ['kms:CreateAlias', ({ AliasName }) => arn('kms', `${AliasName}`)],
      'AWS::Scheduler::ScheduleGroup': [
        'scheduler:CreateScheduleGroup',
        ({ Name }) => arn('scheduler', `schedule-group/${Name}`),
      ],
      'AWS::Scheduler::Schedule': [
        'scheduler:CreateSchedule',
        ({ Name }) => arn('scheduler', `schedule/d1-token-broker-example/${Name}`),
      ],
      'AWS::IAM::ManagedPolicy': [
        'iam:CreatePolicy',
        ({ ManagedPolicyName }) => `arn:aws:iam::111122223333:policy/${ManagedPolicyName}`,
      ],
    };
    const may = (action: string, resource: string) =>
      allowed.some(
        (one) => one.action === action && new RegExp(`^${one.resource.replaceAll('*', '.*')}$`).test(resource),
      );
    const refused = Object.entries(resources).flatMap(([id, { Type, Properties }]) => {
      const [action, arnOf] = names[Type] ?? [];
      return action && arnOf && !may(action, arnOf(Properties as Record<string, string>)) ? [id] : [];
    });
    expect(refused).toEqual([]);
    // What CloudFormation names, it names after the stack.
    const role = 'role/payments/d1-token-broker-example-BrokerRole-ABCDEF123456';
    expect(may('iam:CreateRole', `arn:aws:iam::111122223333:${role}`)).toBe(true);
    expect(may('iam:CreateRole', 'arn:aws:iam::111122223333:role/admin')).toBe(false);
    expect(may('kms:Sign', made['SecretsKey.Arn'])).toBe(false);
  });

  test('has a policy that fits into a role, and names no action by a wildcard', async () => {
    const compact = JSON.stringify(JSON.parse(filled(await policyText(), { ...values, Stage: 'production' })));
    expect(compact.length).toBeLessThanOrEqual(10_240);
    expect(allowed.filter(({ action }) => action.includes('*'))).toEqual([]);
    const onAll = policy.Statement.filter(({ Resource }) => Resource === '*').map(({ Sid }) => Sid);
    expect(onAll).toEqual(['MakeKeys', 'KnowsNoResources']);
  });
});

const jsonBlocks = (page: string): { Sid?: string }[] =>
  [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, block = '']) => JSON.parse(block));
