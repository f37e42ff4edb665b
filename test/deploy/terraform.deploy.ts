import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageService, root, type ServicePackage } from './support/package-service.ts';

// examples/terraform against the package that it deploys. The provider for AWS is not asked: what it would do is what
// deployment.deploy.ts does, with the zip and the template in a bucket, under keys of their hashes.

const run = promisify(execFile);
const example = join(root, 'examples', 'terraform');
const hasTerraform = await run('terraform', ['version']).then(
  () => true,
  () => false,
);
let folder: string;
let service: ServicePackage;
let files: ReadonlyMap<string, string>;

beforeAll(async () => {
  if (!hasTerraform) process.stdout.write('Terraform: NOT RUN on this machine, because it has no terraform.\n');
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-terraform-'));
  service = await packageService(join(folder, 'package'));
  const names = await readdir(example);
  files = new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(example, name), 'utf8')] as const)),
  );
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const all = () => [...files.values()].join('\n');
const matches = (pattern: RegExp) => [...all().matchAll(pattern)].map(([, name = '']) => name);

describe('the Terraform example', () => {
  test('gives the stack the parameters that the template has no value for, and may make roles with names', () => {
    const block = /parameters = \{(.*?)\}/s.exec(all())?.[1] ?? '';
    const given = [...block.matchAll(/(\w+) +=/g)].map(([, name]) => name);
    const parameters = Object.entries(service.standalone.template.Parameters ?? {});
    expect(given).toEqual(parameters.filter(([, one]) => !('Default' in (one as object))).map(([name]) => name));
    expect(all()).toContain('capabilities = ["CAPABILITY_NAMED_IAM"]');
  });

  test('repeats no resource of the template: it has the stack, and what the stack is made of', () => {
    expect(matches(/^resource "(\w+)"/gm)).toEqual(['aws_s3_object', 'aws_s3_object', 'aws_cloudformation_stack']);
  });

  test('tells outputs that the template has', () => {
    const used = matches(/outputs\["(\w+)"\]/g);
    expect(used.length).toBeGreaterThan(2);
    expect(Object.keys(service.standalone.template.Outputs ?? {})).toEqual(expect.arrayContaining(used));
  });

  test('asks for a folder and a bucket, and for no secret', () => {
    expect(matches(/^variable "(\w+)"/gm)).toEqual(['packaged', 'bucket']);
  });

  test.skipIf(!hasTerraform)('is as terraform fmt has it', async () => {
    await run('terraform', ['fmt', '-check', '-diff', example]);
  });

  test.skipIf(!hasTerraform)('names stack and keys, as Terraform itself computes them', async () => {
    const { standalone, zipSha256 } = service;
    await copyFile(join(example, 'variables.tf'), join(folder, 'variables.tf'));
    const asked =
      'output "names" { value = [local.stack_name, local.stage, local.zip_key, fileexists(local.template)] }';
    await writeFile(join(folder, 'asked.tf'), asked);
    const given = ['-var', `packaged=${standalone.folder}`, '-var', 'bucket=bank-artifacts'];
    for (const args of [['init'], ['apply', '-auto-approve', ...given]]) {
      await run('terraform', [...args, '-input=false'], { cwd: folder });
    }
    const { stdout } = await run('terraform', ['output', '-json', 'names'], { cwd: folder });
    const expected = [basename(standalone.folder), 'example', `d1-token-broker/${zipSha256}.zip`, true];
    expect(JSON.parse(stdout)).toEqual(expected);
  });
});
