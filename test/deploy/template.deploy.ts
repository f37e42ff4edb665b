import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { ensureVenv, requirementsIn } from '../support/python-server.ts';
import { packageService, root, type ServicePackage, type Template } from './support/package-service.ts';
import { type Statement, statementsOf } from './support/statements.ts';

const run = promisify(execFile);
const text = (path: string) => readFile(join(root, path), 'utf8');

/** Findings of cfn-lint that are not ours to mend. */
const excused = [
  // osls adds DependsOn for the role, which the reference to the role implies already.
  { Rule: 'W3005', Path: ['Resources', 'BrokerLambdaFunction', 'DependsOn', 2] },
];

/** Statements that may name `*`, each with the reason. Everything else must name what it is about. */
const wildcards: Record<string, string> = {
  'SigningKey/AdministratorsManage': 'In a key policy, * is this key.',
  'SigningKey/BrokerSigns': 'In a key policy, * is this key.',
  'SigningKey/PublicKeyCanBeRead': 'In a key policy, * is this key.',
  'SecretsKey/AdministratorsManage': 'In a key policy, * is this key.',
  'SecretsKey/UsedThroughSecretsManager': 'In a key policy, * is this key.',
  'LogKey/AdministratorsManage': 'In a key policy, * is this key.',
  'LogKey/CloudWatchLogsUses': 'In a key policy, * is this key.',
  'TokenSecretPolicy/NobodyOutsideTheAccount': 'Denies. In the policy of a secret, * is this secret.',
  'ClientCertificateSecretPolicy/NobodyOutsideTheAccount': 'Denies. In the policy of a secret, * is this secret.',
  'DeadLettersOverTlsOnly/OverTlsOnly': 'Denies. In the policy of a queue, * is this queue.',
  'ServerlessDeploymentBucketPolicy/': 'Denies what does not come over TLS. Made by osls.',
  'BrokerPolicy/SendTraces': 'X-Ray has no resources for these two actions. Only with tracing.',
};

const existing = {
  onboarded: 'true',
  tracing: 'Active',
  alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms',
  existingSigningKeyArn: 'arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555',
  existingSecretsKeyArn: 'arn:aws:kms:eu-west-1:111122223333:key/66666666-7777-8888-9999-000000000000',
  existingTokenSecretArn: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/token-AbCdEf',
  existingClientCertificateSecretArn: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:d1/certificate-AbCdEf',
};

let folder: string;
let python: string;
let example: ServicePackage;
let template: Template;
let statements: readonly Statement[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-template-'));
  const requirements = requirementsIn(new URL('support/tools.requirements.txt', import.meta.url));
  ({ python } = await ensureVenv('deploy-tools', requirements));
  example = await packageService(join(folder, 'example'));
  template = example.template;
  statements = statementsOf(template);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('cfn-lint has no findings', () => {
  test('when the stack makes everything', async () => {
    expect(await lint(example.templateFile)).toEqual([]);
  });

  test('when key and secrets exist already, and traces are on', async () => {
    const other = await packageService(join(folder, 'existing'), { parameters: existing });
    expect(await lint(other.templateFile)).toEqual([]);
  });
});

interface Finding {
  readonly Rule: { readonly Id: string };
  readonly Location: { readonly Path: readonly unknown[] };
  readonly Message: string;
}

async function lint(file: string): Promise<unknown[]> {
  const main = 'import sys; from cfnlint.runner import main; sys.exit(main())';
  const args = ['-c', main, '--format', 'json', '--regions', 'eu-west-1', '--template', file];
  // It ends with an error code when it has findings.
  const { stdout } = await run(python, args).catch((failed: { stdout: string }) => failed);
  const findings: Finding[] = stdout === '' ? [] : JSON.parse(stdout);
  return findings
    .map(({ Rule, Location, Message }) => ({ Rule: Rule.Id, Path: Location.Path, Message }))
    .filter(({ Rule, Path }) => !excused.some((one) => one.Rule === Rule && `${one.Path}` === `${Path}`));
}

describe('the zip', () => {
  test('holds the bundle that `npm start` runs, file by file, and nothing else', async () => {
    const unzipped = join(folder, 'unzipped');
    await run(python, ['-m', 'zipfile', '-e', example.zipFile, unzipped]);
    const { file } = await bundleHandler(join(import.meta.dirname, '..', '..', '.build', 'deploy'));
    const bundled = (await readdir(dirname(file))).filter((name) => name.endsWith('.mjs')).sort();
    expect(bundled).toContain('handler.mjs');
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
    const actions = statements.filter(({ resource }) => resource === 'BrokerPolicy').flatMap(({ actions }) => actions);
    expect(actions.sort()).toEqual([
      'kms:Decrypt',
      'kms:GenerateDataKey',
      'kms:Sign',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      'secretsmanager:DescribeSecret',
      'secretsmanager:GetSecretValue',
      'secretsmanager:GetSecretValue',
      'secretsmanager:PutSecretValue',
      'secretsmanager:UpdateSecretVersionStage',
      'sqs:SendMessage',
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
    ]);
  });

  test('let the broker alone sign, and only digests with ECDSA_SHA_256', () => {
    const signing = statements.filter(({ actions }) => actions.includes('kms:Sign'));
    expect(signing.map(named)).toEqual(['SigningKey/BrokerSigns', 'BrokerPolicy/Sign']);
    for (const { condition } of signing) {
      expect(condition).toEqual({
        StringEquals: { 'kms:SigningAlgorithm': 'ECDSA_SHA_256', 'kms:MessageType': 'DIGEST' },
      });
    }
    expect(signing[0]?.principal).toEqual({ AWS: { 'Fn::GetAtt': ['BrokerRole', 'Arn'] } });
  });

  test('have a line for each action in docs/iam.md', async () => {
    const page = await text('docs/iam.md');
    const actions = new Set(statements.flatMap(({ actions }) => actions).filter((action) => !action.includes('*')));
    expect([...actions].filter((action) => !page.includes(`\`${action}\``))).toEqual([]);
  });
});

describe('what must survive the stack', () => {
  test.each([
    'SigningKey',
    'SigningKeyAlias',
    'SecretsKey',
    'TokenSecret',
    'TokenSecretPolicy',
    'ClientCertificateSecret',
    'ClientCertificateSecretPolicy',
  ])('%s is retained', (id) => {
    expect(template.Resources[id]).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });
});

describe('packaging stops', () => {
  const failure = (options: Parameters<typeof packageService>[1]) =>
    packageService(join(folder, 'refused'), options).then(
      () => 'it did not',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    );

  test('when a parameter is missing, and names it', async () => {
    expect(await failure({ stage: 'staging' })).toContain('parameter issuerId is missing; it must be 1-64 of');
  });

  test('when a parameter is wrong, and names it, its value and the rule', async () => {
    expect(await failure({ parameters: { environment: 'prod' } })).toContain(
      'parameter environment is "prod"; it must be `production`, `staging`, `develop`, or',
    );
  });

  test('when the stage is not in the file, and names those that are', async () => {
    expect(await failure({ stage: 'prodution' })).toContain('it has example, staging, production');
  });
});
