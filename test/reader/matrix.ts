// `npm run test:reader-matrix`: the packed reader in projects as npm and pnpm install them, with each TypeScript and Node that
// it promises. Needs the registry; `npm test` has one cell of it, on what the checkout has.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';
import { startSandboxWithToken } from '../../sandbox/with-token.ts';
import { jestTest, types } from './packed-sources.ts';

const PNPM = 'pnpm@12.21.0';
const TYPESCRIPTS = ['5.4.5', '5.6.3', '5.9.3', '7.0.2'];
const NODES = ['20.20.2', '22.14.0', '24.21.0'];
/** The oldest SDK that the peer range allows, and the newest there is. */
const SDKS = ['3.709.0', 'latest'];

const root = join(import.meta.dirname, '../..');
const above = mkdtempSync(join(tmpdir(), 'd1-token-reader-matrix-'));

/** One call to the sandbox's D1: the secret, the certificate, TLS. */
const LAMBDA = `
  import { createTokenReader } from 'd1-token-reader';
  const { D1_TOKEN_SECRET_ID, D1_CLIENT_CERTIFICATE_SECRET_ID, D1_API_ORIGIN: origin } = process.env;
  const d1 = createTokenReader({
    secretId: D1_TOKEN_SECRET_ID,
    clientCertificateSecretId: D1_CLIENT_CERTIFICATE_SECRET_ID,
    allowedOrigins: [origin],
  });
  export const handler = async () => {
    const response = await d1.fetch(origin + '/banking/v1/issuers/${ISSUER_ID}');
    return response.status + ' ' + (await response.json()).status;
  };
`;
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** A run of its own: what npm told this script about itself is not for the projects. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
const run = async (folder: string, command: string, parameters: readonly string[], more = {}): Promise<string> => {
  const settings = { cwd: folder, env: { ...env, ...more }, timeout: 600_000 };
  const { stdout } = await promisify(execFile)(command, parameters, settings).catch((error) => {
    throw new Error(`${command} ${parameters.join(' ')} failed in ${folder}\n${error.stdout}\n${error.stderr}`);
  });
  return stdout;
};

async function openProject(manager: string, sdk: string, tarball: string): Promise<string> {
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
  const install = ['install', '--ignore-scripts', '--prefer-offline'];
  const parameters = manager === 'npm' ? install : ['exec', '--yes', `--package=${PNPM}`, '--', 'pnpm', ...install];
  await run(folder, 'npm', parameters);
  return folder;
}

async function checkTypes(folder: string): Promise<void> {
  for (const extension of ['mts', 'cts']) writeFileSync(join(folder, `types.${extension}`), types);
  for (const version of TYPESCRIPTS) {
    for (const moduleResolution of ['node16', 'nodenext', 'bundler']) {
      const compilerOptions = {
        ...{ moduleResolution, module: moduleResolution === 'bundler' ? 'es2022' : moduleResolution, types: ['node'] },
        ...{ target: 'es2022', lib: ['es2023'], strict: true, noEmit: true, skipLibCheck: true },
      };
      const files = moduleResolution === 'bundler' ? ['types.mts'] : ['types.mts', 'types.cts'];
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
      await run(folder, process.execPath, [`node_modules/typescript-${version}/bin/tsc`, '-p', '.']);
      process.stdout.write(`  types: TypeScript ${version}, ${moduleResolution}\n`);
    }
  }
}

async function runOn(folder: string, version: string, sandbox: Record<string, string>): Promise<void> {
  const node = join(folder, `node_modules/node-${version}/bin/node`);
  writeFileSync(join(folder, 'reader.test.js'), jestTest);
  await run(folder, node, ['node_modules/jest/bin/jest.js', '--ci', '--no-cache']);
  writeFileSync(join(folder, 'handler.mjs'), LAMBDA);
  const bundled = ['handler.mjs', '--bundle', '--platform=node', '--log-level=warning'];
  await run(folder, 'node_modules/.bin/esbuild', [
    ...bundled,
    '--format=esm',
    `--banner:js=${BANNER}`,
    '--outfile=esm.mjs',
  ]);
  await run(folder, 'node_modules/.bin/esbuild', [...bundled, '--format=cjs', '--outfile=cjs.cjs']);
  for (const file of ['handler.mjs', 'esm.mjs', 'cjs.cjs']) {
    const script = `import('./${file}').then(async ({ handler }) => console.log(await handler()));
      process.on('exit', () => console.log(process.uptime() < 25 ? 'ended by itself' : 'ended late'));`;
    const answer = await run(folder, node, ['-e', script], sandbox);
    if (answer !== '200 ACTIVE\nended by itself\n') throw new Error(`${file} on Node ${version}: ${answer}`);
  }
  process.stdout.write(`  jest, a script, esbuild in both formats: Node ${version}\n`);
}

const { sandbox, refresh } = await startSandboxWithToken();
try {
  await run(root, 'npm', ['pack', '--workspace', 'd1-token-reader', '--pack-destination', above]);
  const tarball = join(above, readdirSync(above).find((name) => name.endsWith('.tgz')) ?? 'no tarball');
  const environment = { ...sandbox.environment, D1_API_ORIGIN: sandbox.d1.origin };
  for (const manager of ['npm', 'pnpm']) {
    for (const sdk of SDKS) {
      process.stdout.write(`${manager}, AWS SDK ${sdk}\n`);
      const folder = await openProject(manager, sdk, tarball);
      await checkTypes(folder);
      for (const version of NODES) {
        await refresh();
        await runOn(folder, version, environment);
      }
    }
  }
} finally {
  await sandbox.close();
  rmSync(above, { recursive: true, force: true });
}
