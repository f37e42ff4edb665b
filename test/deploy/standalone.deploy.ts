import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packagesIn, type Sbom, sbomOfBundle } from '../../infra/standalone/sbom.ts';
import { shellBlocks } from '../support/page.ts';
import { environment, root, type Template } from './support/package-service.ts';

// What `npm run package` leaves for those who do not run osls: the whole of it, as docs/infrastructure-as-code.md says.

const run = promisify(execFile);
const made = join(root, 'dist', 'd1-token-broker-example');
let folder: string;
let said: string;
let compiled: Template;
let template: Template;
let zipSha256: string;
let blocks: readonly string[];

const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-standalone-'));
  const packaged = join(folder, 'packaged');
  const args = ['run', '-s', 'package', '--', '--stage', 'example', '--package', packaged];
  ({ stdout: said } = await run('npm', args, { cwd: root, env: { ...environment(), TMPDIR: folder } }));
  compiled = await json(packaged, 'cloudformation-template-update-stack.json');
  template = await json(made, 'template.json');
  zipSha256 = createHash('sha256')
    .update(await readFile(join(made, 'd1-token-broker.zip')))
    .digest('hex');
  blocks = shellBlocks(await readFile(join(root, 'docs', 'infrastructure-as-code.md'), 'utf8'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the block of the page that has these words, with stand-ins for what is not on this machine. */
async function asThePageSays(words: string, standIns: string): Promise<string> {
  const block = blocks.find((one) => one.includes(words));
  const { stdout } = await run('bash', ['-c', `set -euo pipefail\n${standIns}\n${block}`], { cwd: folder });
  return stdout;
}

describe('the standalone template', () => {
  test('is that of osls, without its bucket', () => {
    const ofOsls = (part: object = {}) => Object.keys(part).filter((name) => name.startsWith('ServerlessDeployment'));
    const left = structuredClone(compiled) as unknown as Record<'Resources' | 'Outputs', Record<string, unknown>>;
    expect([...ofOsls(left.Resources), ...ofOsls(left.Outputs)]).toHaveLength(3);
    for (const part of [left.Resources, left.Outputs]) for (const name of ofOsls(part)) delete part[name];
    const Code = { S3Bucket: { Ref: 'CodeBucket' }, S3Key: { Ref: 'CodeKey' } };
    for (const name of ['Broker', 'Ticks']) {
      const { Properties } = left.Resources[`${name}LambdaFunction`] as { Properties: Record<string, unknown> };
      Properties['Code'] = Code;
    }
    const said = { Description: expect.any(String), Parameters: expect.anything() };
    expect(template).toEqual({ ...left, ...said });
  });

  test('asks for the place of the code, and for nothing else', () => {
    const { CodeBucket, CodeKey, ...others } = template.Parameters ?? {};
    expect(others).toEqual(compiled.Parameters);
    for (const parameter of Object.values(others)) expect(parameter).toHaveProperty('Default');
    for (const parameter of [CodeBucket, CodeKey]) expect(parameter).not.toHaveProperty('Default');
  });

  test('takes no secret, tells none and looks none up: parameters and outputs are kept by whatever tool deploys it', () => {
    expect(JSON.stringify(template)).not.toMatch(/NoEcho|\{\{resolve:/);
  });

  test('is deployed by the commands of the page', async () => {
    // The page's stage is another.
    const standIns = `BUCKET=bank-artifacts; aws() { printf '%s\\n' "$*"; }; cd() { builtin cd ${made}; }`;
    const [copy, deployment] = (await asThePageSays('aws cloudformation deploy', standIns)).split('\n');
    expect(copy).toBe(`s3 cp d1-token-broker.zip s3://bank-artifacts/d1-token-broker/${zipSha256}.zip`);
    expect(deployment).toContain(`CodeBucket=bank-artifacts CodeKey=d1-token-broker/${zipSha256}.zip`);
  });
});

describe('the proof', () => {
  test('npm run package prints the hashes: of the zip for a file, of the zip for Lambda, of the bundle for the log', async () => {
    expect(said).toMatch(new RegExp(`SHA-256 +${zipSha256}\n`));
    expect(said).toContain(`CodeSha256  ${Buffer.from(zipSha256, 'hex').toString('base64')} `);
    await copyFile(join(made, 'd1-token-broker.zip'), join(folder, 'd1-token-broker.zip'));
    const standIns = `unzip() { python3 -m zipfile -e "$2" .; }`;
    const computed = (await asThePageSays('find . -type f', standIns)).split(' ')[0];
    const record = await json(folder, 'bundle', 'src', 'build.json');
    expect(record.bundle_sha256).toBe(computed);
    expect(said).toContain(`bundle      ${computed} `);
  });

  test('the SBOM lists the packages in the bundle, each with version, licence and hash, and names the zip', async () => {
    const sbom: Sbom = await json(made, 'sbom.cdx.json');
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5' });
    expect(sbom.metadata.component).toMatchObject({
      name: 'd1-token-broker',
      hashes: [{ alg: 'SHA-256', content: zipSha256 }],
    });
    const listed = sbom.components.map(({ name, version }) => `${name}@${version}`).sort();
    expect(listed).toEqual(await packagesIn(root, await json(root, '.osls', 'metafile.json')));
    expect(listed.map((one) => one.replace(/@[^@]+$/, ''))).toEqual(
      expect.arrayContaining(['@aws-sdk/client-kms', '@aws-sdk/client-secrets-manager', 'asn1.js', 'valibot']),
    );
    for (const component of sbom.components) {
      expect(component, component.name).toMatchObject({ licenses: [expect.anything()], hashes: [expect.anything()] });
    }
  });

  test('packaging stops when the bundle has a package that npm does not know', async () => {
    const foreign = join(folder, 'node_modules', 'foreign');
    await mkdir(foreign, { recursive: true });
    await writeFile(join(foreign, 'package.json'), JSON.stringify({ name: 'foreign', version: '1.0.0' }));
    const inputs = { [relative(root, join(foreign, 'index.js'))]: { bytesInOutput: 1 } };
    const metafile = { inputs: {}, outputs: { 'handler.mjs': { bytes: 1, inputs, imports: [], exports: [] } } };
    await expect(sbomOfBundle({ root, metafile, zipSha256 })).rejects.toThrow('foreign@1.0.0');
  });

  test('nothing else is in the folder', async () => {
    expect((await readdir(made)).sort()).toEqual(['d1-token-broker.zip', 'sbom.cdx.json', 'template.json']);
  });
});
