import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import bundleOptions from '../../infra/bundle/esbuild.config.js';
import { bundleHandler } from '../../sandbox/bundle.ts';

export interface Variant {
  readonly name: string;
  readonly file: string;
  /** Added to the function's environment, asked for before every start. */
  readonly environment?: () => Promise<Record<string, string>>;
}

const here = import.meta.dirname;
const root = join(here, '..', '..');
const output = { outdir: join(root, '.build', 'bench'), sourcemap: false, logLevel: 'error' } as const;
const newFolder = () => mkdtemp(join(output.outdir, 'compile-cache-'));

/** Everything that is started cold, by the key that it has in bench/results.json. */
export async function buildVariants() {
  await rm(output.outdir, { recursive: true, force: true });
  await mkdir(output.outdir, { recursive: true });
  const { file: broker } = await bundleHandler();
  const [clients, clientsSplit, clientsAndExchange] = await Promise.all([
    bundleAsAnybodyWould('sdk-clients'),
    bundleAsAnybodyWould('sdk-clients', { splitting: true, outdir: join(output.outdir, 'split') }),
    bundleAsAnybodyWould('sdk-clients-and-exchange'),
  ]);
  const filled = await newFolder();
  const compileCache = async (folder: string) => ({ NODE_COMPILE_CACHE: folder });
  return {
    broker: { name: 'd1-token-broker', file: broker },
    sdk_floor: { name: 'the two SDK clients alone', file: clients },
    sdk_split: { name: 'the two SDK clients alone, split', file: clientsSplit },
    same_calls: { name: 'SDK clients and node:https, same calls', file: clientsAndExchange },
    usual: { name: 'hand-written, unbundled', file: join(here, 'usual-lambda.mjs') },
    nothing: { name: 'nothing: Node alone', file: join(here, 'nothing.mjs') },
    compile_cache_filled: {
      name: 'd1-token-broker, compile cache filled',
      file: broker,
      environment: () => compileCache(filled),
    },
    compile_cache_empty: {
      name: 'd1-token-broker, compile cache empty',
      file: broker,
      environment: async () => compileCache(await newFolder()),
    },
  } satisfies Record<string, Variant>;
}

/** The options of our own bundle but for the alias and the splitting, which most bundles lack. */
async function bundleAsAnybodyWould(
  name: string,
  more: { splitting: boolean; outdir: string } = { splitting: false, outdir: output.outdir },
): Promise<string> {
  const { alias: _, ...options } = bundleOptions();
  await build({ ...options, ...output, ...more, entryPoints: [join(here, `${name}.ts`)] });
  return join(more.outdir, `${name}.mjs`);
}
