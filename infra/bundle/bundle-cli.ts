import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles the operator's commands: all but the AWS SDK, which a package manager installs beside them.
 *
 * @returns The file that is the package's bin, and how large all files are together, in gzip.
 */
export async function bundleCli(outdir: string): Promise<{ file: string; gzipBytes: number; inputs: string[] }> {
  await rm(outdir, { recursive: true, force: true });
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { 'd1-token': join('src', 'cli', 'main.ts') },
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    splitting: true,
    minify: true,
    // The libraries' ES modules: of their CommonJS nothing that is unused can be left out.
    mainFields: ['module', 'main'],
    outExtension: { '.js': '.mjs' },
    external: ['@aws-sdk/*'],
    metafile: true,
    write: false,
    logLevel: 'error',
  });
  await mkdir(outdir, { recursive: true });
  await Promise.all(outputFiles.map(({ path, contents }) => writeFile(path, contents)));
  const file = join(outdir, 'd1-token.mjs');
  await chmod(file, 0o755);
  const gzipBytes = outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents).byteLength, 0);
  return { file, gzipBytes, inputs: Object.keys(metafile.inputs) };
}

// `npm run build:cli`
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { file, gzipBytes } = await bundleCli(join(root, 'dist', 'cli'));
  process.stdout.write(`${file}: ${(gzipBytes / 1024).toFixed(1)} KiB in gzip, without the SDK\n`);
}
