import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const VERSION = '4.0.2';
/** Git-ignored. */
const folder = join(import.meta.dirname, '..', '.build', 'aws-lambda-ric');
const main = join(folder, 'node_modules', 'aws-lambda-ric', 'index.mjs');

/** What its install compiles with, and the Debian package that has it. */
const tools: Readonly<Record<string, string>> = {
  autoreconf: 'autoconf',
  automake: 'automake',
  libtoolize: 'libtool',
  cmake: 'cmake',
  'g++': 'g++',
  make: 'make',
  python3: 'python3',
  xz: 'xz-utils',
};

/** The runtime interface client, when `npm run bench:runtime` has installed it. */
export const installedRuntimeClient = (): string | undefined =>
  existsSync(join(dirname(main), 'rapid-client.node')) ? main : undefined;

/**
 * Lambda's own Node runtime interface client (npm aws-lambda-ric). It is no dev dependency, because its install compiles
 * curl and a C++ library for three minutes, and `npm ci` has to work on a bare machine.
 *
 * @returns The file to run.
 * @throws Error that names the Debian packages that are missing.
 */
export function installRuntimeClient(): string {
  const installed = installedRuntimeClient();
  if (installed) return installed;
  const missing = Object.entries(tools).filter(([tool]) => spawnSync('which', [tool]).status !== 0);
  if (missing.length > 0) {
    const names = missing.map(([, name]) => name).join(' ');
    throw new Error(
      `aws-lambda-ric is compiled when it is installed, and tools are missing. Run: apt-get install ${names}`,
    );
  }
  console.log(`Installing aws-lambda-ric ${VERSION} into ${folder}: it compiles for about three minutes.`);
  mkdirSync(folder, { recursive: true });
  const manifest = {
    private: true,
    dependencies: { 'aws-lambda-ric': VERSION },
    allowScripts: { 'aws-lambda-ric': true },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  execFileSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
  return main;
}
