import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

import { buildRecord } from '../infra/bundle/build-record.js';
import bundleOptions from '../infra/bundle/esbuild.config.js';

const root = join(import.meta.dirname, '..');

/** Bundles the Lambda handler with the options that `npm run package` uses, and says where it is and how large. */
export async function bundleHandler(
  outdir = join(root, '.build', 'handler'),
): Promise<{ file: string; bytes: number }> {
  await rm(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    ...bundleOptions(),
    absWorkingDir: root,
    entryPoints: [join('src', 'handler.ts')],
    // As deep as where serverless-esbuild puts it: the names of the chunks depend on that.
    outdir: join(outdir, 'src'),
    metafile: true,
    plugins: [buildRecord()],
    logLevel: 'error',
  });
  const bytes = Object.entries(metafile.outputs)
    .filter(([name]) => name.endsWith('.mjs'))
    .reduce((sum, [, output]) => sum + output.bytes, 0);
  return { file: join(outdir, 'src', 'handler.mjs'), bytes };
}
