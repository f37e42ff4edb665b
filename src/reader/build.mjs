// `npm run build`: dist/, as ESM and as CommonJS, with types for both. What the reader shares with the broker is bundled in.
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname;
const dist = join(here, 'dist');
const packageFolder = (name) => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));

/** The middleware uses the reader that is packed beside it: two copies would have two classes of errors. */
const besideReader = {
  name: 'beside-reader',
  setup: ({ onResolve }) => onResolve({ filter: /^\.\/reader\.ts$/ }, () => ({ path: './reader.js', external: true })),
};

/** Jest's CommonJS has no `import()`. In its `try` the `require` stays: a bundler that finds no client goes on without it. */
const requiresLambdaClient = {
  name: 'requires-lambda-client',
  setup: ({ onLoad }) =>
    onLoad({ filter: /broker-function\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = source.replace("await import('@aws-sdk/client-lambda')", "require('@aws-sdk/client-lambda')");
      if (contents === source) throw new Error('broker-function.ts loads the Lambda client in another way');
      return { contents, loader: 'ts' };
    }),
};

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(packageFolder('typescript'), 'bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: here,
  stdio: 'inherit',
});
// The same types twice: whether a file is a module or CommonJS is said by the package.json beside it.
cpSync(join(dist, 'esm'), join(dist, 'cjs'), { recursive: true });

for (const [folder, format, type] of [
  ['esm', 'esm', 'module'],
  ['cjs', 'cjs', 'commonjs'],
]) {
  writeFileSync(join(dist, folder, 'package.json'), `${JSON.stringify({ type, sideEffects: false })}\n`);
  for (const entry of ['reader', 'middy']) {
    await build({
      absWorkingDir: here,
      entryPoints: [`${entry}.ts`],
      outfile: join(dist, folder, 'reader', `${entry}.js`),
      bundle: true,
      platform: 'node',
      target: 'node20',
      format,
      external: ['@aws-sdk/*', '@middy/*'],
      plugins: [entry === 'middy' && besideReader, format === 'cjs' && requiresLambdaClient].filter(Boolean),
      logLevel: 'warning',
    });
  }
}
cpSync(join(here, '../shared/token-record.schema.json'), join(dist, 'token-record.schema.json'));
cpSync(join(here, '../../LICENSE'), join(here, 'LICENSE'));
