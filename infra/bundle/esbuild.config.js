import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildRecord } from './build-record.js';

// How the function is bundled: by `npm run package` (through serverless-esbuild), by `npm start`, and by the tests.
const options = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // What is imported with import() gets a file of its own, which is loaded when it is needed.
  splitting: true,
  outExtension: { '.js': '.mjs' },
  mainFields: ['module', 'main'],
  minify: true,
  // Stack traces keep the names that the runbook knows.
  keepNames: true,
  sourcemap: 'external',
  alias: {
    '@aws-sdk/credential-provider-node': fileURLToPath(
      new URL('../../src/aws/environment-credentials.ts', import.meta.url),
    ),
    '@smithy/core/event-streams': fileURLToPath(new URL('../../src/aws/never-loaded.ts', import.meta.url)),
    bowser: fileURLToPath(new URL('../../src/aws/never-loaded.ts', import.meta.url)),
  },
  // Some dependencies are CommonJS and call `require`, which an ES module does not have.
  banner: {
    js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
  },
};

/** What serverless-esbuild does with the bundle; esbuild itself would not know these. */
const packaging = {
  // The SDK too: bundled, it starts in half the time of the runtime's copy.
  exclude: [],
  outputFileExtension: '.mjs',
  outputWorkFolder: '.osls',
  outputBuildFolder: 'bundle',
  keepOutputDirectory: true,
  plugins: [
    sourceMapsAside(join('.osls', 'source-maps')),
    metafileAside(join('.osls', 'metafile.json')),
    buildRecord(),
  ],
};

/**
 * Everything beside the bundle gets into the zip. Source maps must not, they are for whoever reads a stack trace; nor
 * what an earlier bundle left, whose files had other names.
 */
function sourceMapsAside(folder) {
  return {
    name: 'source-maps-aside',
    setup(build) {
      build.initialOptions.metafile = true;
      build.onStart(() => rm(join('.osls', 'bundle', 'src'), { recursive: true, force: true }));
      build.onEnd(async ({ metafile }) => {
        await mkdir(folder, { recursive: true });
        const maps = Object.keys(metafile?.outputs ?? {}).filter((file) => file.endsWith('.map'));
        await Promise.all(maps.map((file) => rename(file, join(folder, basename(file)))));
      });
    },
  };
}

/** What is in the bundle, for infra/standalone/sbom.ts. */
function metafileAside(file) {
  return {
    name: 'metafile-aside',
    setup(build) {
      build.initialOptions.metafile = true;
      build.onEnd(({ metafile }) => writeFile(file, JSON.stringify(metafile)));
    },
  };
}

/** @param serverless Given by serverless-esbuild only. */
export default function esbuildOptions(serverless) {
  return serverless ? { ...options, ...packaging } : { ...options };
}

// serverless-esbuild requires this file, and calls what it gets.
export { esbuildOptions as 'module.exports' };
