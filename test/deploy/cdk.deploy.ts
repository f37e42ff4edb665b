import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageService, root, type ServicePackage, type Template } from './support/package-service.ts';
import { statementsOf } from './support/statements.ts';

// examples/cdk as somebody else's project: installed from its own lock file, type-checked and synthesised.

const run = promisify(execFile);
let folder: string;
let service: ServicePackage;
let project: string;
let assembly: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-cdk-'));
  project = join(folder, 'project');
  assembly = join(folder, 'cdk.out');
  service = await packageService(join(folder, 'package'));
  await cp(join(root, 'examples', 'cdk'), project, {
    recursive: true,
    filter: (path) => !/node_modules|cdk\.out/.test(path),
  });
  // The CDK's own command is for who deploys.
  await run('npm', ['ci', '--omit', 'dev', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: project });
  const packaged = service.standalone.folder;
  const CDK = { CDK_OUTDIR: assembly, CDK_CONTEXT_JSON: JSON.stringify({ packaged }) };
  await run(process.execPath, ['app.ts'], { cwd: project, env: { PATH: process.env['PATH'], ...CDK } });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));
const synthesised = (): Promise<Template> => json(assembly, 'D1TokenBroker.template.json');

test('the stack has the resources of the template, under their names, but for the place of the code', async () => {
  const { Resources, Conditions } = await synthesised();
  const S3Bucket = expect.objectContaining({ 'Fn::Sub': expect.stringContaining('-assets-') });
  const S3Key = expect.stringMatching(/^[0-9a-f]{64}\.zip$/);
  const expected = structuredClone(service.standalone.template.Resources) as Record<string, Changeable>;
  for (const { Type, Properties } of Object.values(expected)) {
    if (Type === 'AWS::Lambda::Function') Properties['Code'] = { S3Bucket, S3Key };
  }
  expect(normalised(Resources)).toEqual(normalised(expected));
  expect(Conditions).toEqual(service.standalone.template.Conditions);
});

test('and its policies, statement by statement', async () => {
  // The CDK sorts the resources that are in the template as they are.
  const sorted = (template: Template) =>
    statementsOf(template)
      .map((statement) => JSON.stringify(statement))
      .sort();
  const expected = sorted(service.standalone.template);
  expect(expected.length).toBeGreaterThan(20);
  expect(sorted(await synthesised())).toEqual(expected);
});

test('the operator finds the stack by its name, with the parameters and outputs that the commands use', async () => {
  const { artifacts } = await json(assembly, 'manifest.json');
  expect(artifacts.D1TokenBroker.properties).toMatchObject({
    stackName: 'd1-token-broker-example',
    tags: { service: 'd1-token-broker', stage: 'example' },
  });
  const { Parameters, Outputs } = await synthesised();
  const { CodeBucket, CodeKey, ...stage } = service.standalone.template.Parameters ?? {};
  expect(Parameters).toMatchObject(stage);
  expect(Outputs).toMatchObject(service.standalone.template.Outputs ?? {});
});

test('the asset is the zip', async () => {
  const { files } = await json(assembly, 'D1TokenBroker.assets.json');
  const zip = Object.values(files as Record<string, { source: { path: string } }>).find(({ source }) =>
    source.path.endsWith('.zip'),
  );
  expect(await readFile(join(assembly, zip?.source.path ?? ''))).toEqual(service.zip);
});

test("a consumer in another stack has the policy to read the token, and passes the compiler's eyes", async () => {
  const { Resources }: Template = await json(assembly, 'Consumer.template.json');
  const policies = Object.values(Resources).map(({ Properties }) => Properties['ManagedPolicyArns']);
  expect(policies).toEqual([[{ 'Fn::ImportValue': expect.stringContaining('TokenReaderPolicy') }]]);
  const typeRoots = [join(root, 'node_modules', '@types')];
  const config = { extends: join(root, 'tsconfig.json'), include: ['*.ts'], compilerOptions: { typeRoots } };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
  const { stdout } = await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', project]).catch((failed) => failed);
  expect(stdout).toBe('');
});

interface Changeable {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
}

/** It sorts what a resource depends on, too. */
const normalised = (resources: Readonly<Record<string, object>>) =>
  Object.fromEntries(
    Object.entries(resources).map(([id, resource]) => {
      const { DependsOn } = resource as { DependsOn?: string | readonly string[] };
      return [id, DependsOn === undefined ? resource : { ...resource, DependsOn: [DependsOn].flat().sort() }];
    }),
  );
