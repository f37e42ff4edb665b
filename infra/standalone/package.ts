import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sbomOfBundle } from './sbom.ts';
import { stackName, standaloneTemplate } from './standalone-template.ts';

// `npm run package -- --stage staging`: what osls packages, and beside it what deploys without osls, with the proof of what
// it is. docs/infrastructure-as-code.md.

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Standalone {
  readonly folder: string;
  /** CloudFormation template with the parameters CodeBucket and CodeKey. */
  readonly templateFile: string;
  readonly zipFile: string;
  /** In hex, as `sha256sum` prints it. */
  readonly zipSha256: string;
}

/**
 * Makes the standalone package of what `osls package` has left behind.
 *
 * @param packaged The folder that osls packaged into.
 * @param into Where it goes: a folder of the stack's name is made there, anew.
 */
export async function makeStandalone(packaged: string, into: string): Promise<Standalone> {
  const compiled = JSON.parse(await readFile(join(packaged, 'cloudformation-template-update-stack.json'), 'utf8'));
  const folder = join(into, stackName(compiled));
  const templateFile = join(folder, 'template.json');
  const zipFile = join(folder, 'd1-token-broker.zip');
  const zip = await readFile(join(packaged, 'd1-token-broker.zip'));
  const zipSha256 = createHash('sha256').update(zip).digest('hex');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(templateFile, `${JSON.stringify(standaloneTemplate(compiled), undefined, 1)}\n`);
  await writeFile(zipFile, zip);
  return { folder, templateFile, zipFile, zipSha256 };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));

/** Every option is one of `osls package`. */
async function main(args: readonly string[]): Promise<void> {
  const osls = spawn('osls', ['package', ...args], { cwd: root, stdio: 'inherit' });
  const [code] = await once(osls, 'exit');
  if (code !== 0) {
    process.exitCode = 1;
    return;
  }
  const { values } = parseArgs({
    args: [...args],
    options: { package: { type: 'string', short: 'p' } },
    strict: false,
  });
  const packaged = resolve(root, typeof values.package === 'string' ? values.package : '.serverless');
  const { folder, templateFile, zipFile, zipSha256 } = await makeStandalone(packaged, join(root, 'dist'));
  const [metafile, record] = await Promise.all(
    ['metafile.json', join('bundle', 'src', 'build.json')].map(async (file) =>
      JSON.parse(await readFile(join(root, '.osls', file), 'utf8')),
    ),
  );
  const sbomFile = join(folder, 'sbom.cdx.json');
  const sbom = await sbomOfBundle({ root, metafile, zipSha256 });
  await writeFile(sbomFile, `${JSON.stringify(sbom, undefined, 2)}\n`);
  const codeSha256 = Buffer.from(zipSha256, 'hex').toString('base64');
  process.stdout.write(
    [
      '',
      `Without osls: ${relative(root, templateFile)}, with the parameters CodeBucket and CodeKey`,
      `Zip:          ${relative(root, zipFile)}`,
      `  SHA-256     ${zipSha256}`,
      `  CodeSha256  ${codeSha256} (as Lambda shows it)`,
      `  bundle      ${record.bundle_sha256} (as the function logs it at start, with version ${record.version})`,
      `SBOM:         ${relative(root, sbomFile)}`,
      '',
    ].join('\n'),
  );
}
