// `npm run test:reader-matrix`: the packed reader in projects as npm and pnpm install them, with each TypeScript and Node that
// it promises. Needs the registry; `npm test` has one cell of it, on what the checkout has.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jestTest, types } from './packed-sources.ts';

const PNPM = 'pnpm@12.21.0';
const TYPESCRIPTS = ['5.4.5', '5.6.3', '5.9.3', '7.0.2'];
const NODES = ['20.20.2', '22.14.0', '24.21.0'];
/** The oldest SDK that the peer range allows, and the newest there is. */
const SDKS = ['3.709.0', 'latest'];

const root = join(import.meta.dirname, '../..');
const above = mkdtempSync(join(tmpdir(), 'd1-token-reader-matrix-'));

const LAMBDA = `
  import { createTokenReader } from 'd1-token-reader';
  const d1 = createTokenReader({
    secretId: 'd1/access-token',
    secretsManager: { send: async () => ({ SecretString: '' }) },
  });
  export const handler = async () => d1.token().catch(({ code }) => code);
`;

/** A run of its own: what npm told this script about itself is not for the projects. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
const run = (folder: string, command: string, ...parameters: string[]): string => {
  try {
    return execFileSync(command, parameters, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${parameters.join(' ')} failed in ${folder}\n${stdout}\n${stderr}`);
  }
};

function openProject(manager: string, sdk: string, tarball: string): string {
  const folder = join(above, `${manager}-${sdk}`);
  const machine = `${process.platform}-${process.arch}`;
  mkdirSync(folder);
  const manifest = {
    name: 'consumer',
    private: true,
    dependencies: {
      'd1-token-reader': `file:${tarball}`,
      '@aws-sdk/client-secrets-manager': sdk,
      '@aws-sdk/client-lambda': sdk,
      '@middy/core': '^7',
      '@types/node': '^24',
      'aws-sdk-client-mock': '^4.1.0',
      esbuild: '^0.28.0',
      jest: '^30',
      ...Object.fromEntries(TYPESCRIPTS.map((version) => [`typescript-${version}`, `npm:typescript@${version}`])),
      // The binaries themselves: the package `node` would fetch them in an install script.
      ...Object.fromEntries(NODES.map((version) => [`node-${version}`, `npm:node-${machine}@${version}`])),
    },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  if (manager === 'npm') run(folder, 'npm', 'install', '--ignore-scripts', '--prefer-offline');
  else
    run(
      folder,
      'npm',
      'exec',
      '--yes',
      `--package=${PNPM}`,
      '--',
      'pnpm',
      'install',
      '--ignore-scripts',
      '--prefer-offline',
    );
  return folder;
}

function checkTypes(folder: string): void {
  for (const extension of ['mts', 'cts']) writeFileSync(join(folder, `types.${extension}`), types);
  for (const version of TYPESCRIPTS) {
    for (const moduleResolution of ['node16', 'nodenext', 'bundler']) {
      const compilerOptions = {
        ...{ moduleResolution, module: moduleResolution === 'bundler' ? 'es2022' : moduleResolution, types: ['node'] },
        ...{ target: 'es2022', lib: ['es2023'], strict: true, noEmit: true, skipLibCheck: true },
      };
      const files = moduleResolution === 'bundler' ? ['types.mts'] : ['types.mts', 'types.cts'];
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
      run(folder, process.execPath, `node_modules/typescript-${version}/bin/tsc`, '-p', '.');
      process.stdout.write(`  types: TypeScript ${version}, ${moduleResolution}\n`);
    }
  }
}

function runOn(folder: string, version: string): void {
  const node = join(folder, `node_modules/node-${version}/bin/node`);
  writeFileSync(join(folder, 'reader.test.js'), jestTest);
  run(folder, node, 'node_modules/jest/bin/jest.js', '--ci', '--no-cache');
  writeFileSync(join(folder, 'handler.mjs'), LAMBDA);
  for (const format of ['esm', 'cjs']) {
    const file = `out.${format === 'esm' ? 'mjs' : 'cjs'}`;
    const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
    const settings = ['--bundle', '--platform=node', `--format=${format}`, `--outfile=${file}`, '--log-level=warning'];
    run(
      folder,
      'node_modules/.bin/esbuild',
      'handler.mjs',
      ...settings,
      ...(format === 'esm' ? [`--banner:js=${banner}`] : []),
    );
    const script = `import('./${file}').then(async ({ handler }) => console.log(await handler()))`;
    const answer = run(folder, node, '-e', script).trim();
    if (answer !== 'TOKEN_SECRET_EMPTY') throw new Error(`the bundled Lambda (${format}) answered ${answer}`);
  }
  process.stdout.write(`  jest, esbuild in both formats: Node ${version}\n`);
}

try {
  run(root, 'npm', 'pack', '--workspace', 'd1-token-reader', '--pack-destination', above);
  const tarball = join(above, readdirSync(above).find((name) => name.endsWith('.tgz')) ?? 'no tarball');
  for (const manager of ['npm', 'pnpm']) {
    for (const sdk of SDKS) {
      process.stdout.write(`${manager}, AWS SDK ${sdk}\n`);
      const folder = openProject(manager, sdk, tarball);
      checkTypes(folder);
      for (const version of NODES) runOn(folder, version);
    }
  }
} finally {
  rmSync(above, { recursive: true, force: true });
}
