import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import bundleOptions from '../infra/bundle/esbuild.config.js';

const root = join(import.meta.dirname, '..');
const packageFolder = join(root, '.osls', '.serverless');

export interface SizeBench {
  /** The zip that `npm run package` makes, which is what Lambda gets. */
  readonly zip_bytes: number;
  /** Of all the files in it. */
  readonly bytes: number;
  /** Minified bytes of each package, and of src/; the largest first. */
  readonly packages: Readonly<Record<string, number>>;
}

/** Packages the function, and takes its bundle apart; half a minute. */
export async function benchSize(): Promise<SizeBench> {
  await promisify(execFile)('npm', ['run', '-s', 'package'], { cwd: root });
  const zip = (await readdir(packageFolder)).find((name) => name.endsWith('.zip'));
  if (zip === undefined) throw new Error(`npm run package left no zip in ${packageFolder}`);
  const { size } = await stat(join(packageFolder, zip));

  const { metafile } = await build({
    ...bundleOptions(),
    entryPoints: [join(root, 'src', 'handler.ts')],
    outdir: join(root, '.build', 'bench'),
    sourcemap: false,
    write: false,
    metafile: true,
    absWorkingDir: root,
  });
  const outputs = Object.values(metafile.outputs);
  const packages = new Map<string, number>();
  for (const [file, { bytesInOutput }] of outputs.flatMap(({ inputs }) => Object.entries(inputs))) {
    const name = packageOf(file);
    packages.set(name, (packages.get(name) ?? 0) + bytesInOutput);
  }
  const sorted = [...packages].filter(([, bytes]) => bytes > 0).sort(([, a], [, b]) => b - a);
  return {
    zip_bytes: size,
    bytes: outputs.reduce((sum, output) => sum + output.bytes, 0),
    packages: Object.fromEntries(sorted),
  };
}

/** The innermost one: a package may bring its own copy of another. */
const packageOf = (file: string) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? 'src';
