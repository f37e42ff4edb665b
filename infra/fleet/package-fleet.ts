import { createHash } from 'node:crypto';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import bundleOptions from '../bundle/esbuild.config.js';
import { zip } from './zip.ts';

// `npm run package:fleet`: the code and the template of the stack for many issuers. docs/many-issuers.md.

const root = fileURLToPath(new URL('../..', import.meta.url));
/** One for each function of template.yml. */
const entries = ['dispatch-handler', 'work-handler', 'token-handler'];

export interface FleetPackage {
  readonly templateFile: string;
  readonly zipFile: string;
  readonly zip: Buffer;
  /** In hex, as `sha256sum` prints it. */
  readonly zipSha256: string;
}

/**
 * Bundles the functions as the one function is bundled, and zips them.
 *
 * @param folder Where zip, template and source maps go; it is made anew.
 */
export async function packageFleet(folder: string): Promise<FleetPackage> {
  const { outputFiles } = await build({
    ...bundleOptions(),
    absWorkingDir: root,
    entryPoints: entries.map((entry) => join('src', 'fleet', `${entry}.ts`)),
    outdir: folder,
    write: false,
    logLevel: 'error',
  });
  const files = outputFiles
    .map(({ path, contents }) => ({ name: basename(path), content: contents }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
  const isMap = ({ name }: { name: string }) => name.endsWith('.map');
  // For whoever reads a stack trace, not for Lambda.
  const maps = files.filter(isMap);
  const code = zip(files.filter((file) => !isMap(file)));
  const [templateFile, zipFile] = [join(folder, 'template.yml'), join(folder, 'd1-token-fleet.zip')];
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'source-maps'), { recursive: true });
  await Promise.all([
    copyFile(join(root, 'infra', 'fleet', 'template.yml'), templateFile),
    writeFile(zipFile, code),
    ...maps.map(({ name, content }) => writeFile(join(folder, 'source-maps', name), content)),
  ]);
  return { templateFile, zipFile, zip: code, zipSha256: createHash('sha256').update(code).digest('hex') };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { templateFile, zipFile, zipSha256 } = await packageFleet(join(root, 'dist', 'd1-token-fleet'));
  process.stdout.write(
    [
      `Template:     ${relative(root, templateFile)}, with the parameters CodeBucket, CodeKey and Stage`,
      `Zip:          ${relative(root, zipFile)}`,
      `  SHA-256     ${zipSha256}`,
      `  CodeSha256  ${Buffer.from(zipSha256, 'hex').toString('base64')} (as Lambda shows it)`,
      '',
    ].join('\n'),
  );
}
