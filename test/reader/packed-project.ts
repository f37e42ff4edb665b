import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export const root = join(import.meta.dirname, '../..');
const modules = join(root, 'node_modules');

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A project of a stranger's, outside the checkout, with the packed reader in it. */
export interface PackedProject {
  readonly folder: string;
  readonly tarball: string;
  /** One more package that the project has. */
  link(name: string): void;
  /** Writes a file below the project. */
  write(name: string, text: string | object): void;
  /** Runs a program there; it never rejects. `node` is the pinned one, and the tools of the checkout are on the path. */
  run(command: string, parameters?: readonly string[], env?: Record<string, string | undefined>): Promise<Ran>;
  remove(): void;
}

/** What the project's own package.json would name. Nothing is downloaded: they are the ones that the checkout has. */
const LINKED = [
  '@aws-lambda-powertools/logger',
  '@aws-sdk/client-secrets-manager',
  '@types/node',
  'aws-sdk-client-mock',
];
/** Copied, so that what they import is looked for in the project: it has no `@types/aws-lambda`. */
const COPIED = ['@middy/core', '@middy/util', '@aws-lambda-powertools/commons'];

/** Packs the reader by the command of its manual, and unpacks it where a package manager would. */
export async function openPackedProject(): Promise<PackedProject> {
  const above = mkdtempSync(join(tmpdir(), 'd1-token-reader-packed-'));
  // Packed from a copy: whoever else packs or tests in the same tree is not disturbed.
  const copy = join(above, 'copy');
  for (const name of ['src', 'package.json', 'package-lock.json', 'tsconfig.json', 'LICENSE']) {
    cpSync(join(root, name), join(copy, name), { recursive: true, filter: (path) => !path.endsWith('/dist') });
  }
  symlinkSync(modules, join(copy, 'node_modules'));
  const [pack = ''] = manualLines(/^npm pack .*$/gm);
  await execute('sh', ['-c', `${pack} --pack-destination ${above}`], copy, {});

  const folder = join(above, 'project');
  const packed = join(folder, 'node_modules/d1-token-reader');
  mkdirSync(packed, { recursive: true });
  const tarball = join(above, readdirSync(above).find((name) => name.endsWith('.tgz')) ?? 'no tarball');
  await execute('tar', ['-xzf', tarball, '-C', packed, '--strip-components=1'], above, {});
  const put = (name: string, place: (from: string, to: string) => void) => {
    const target = join(folder, 'node_modules', name);
    mkdirSync(dirname(target), { recursive: true });
    place(join(modules, name), target);
  };
  for (const name of LINKED) put(name, symlinkSync);
  for (const name of COPIED) put(name, copyAll);
  cpSync(join(root, 'examples'), folder, { recursive: true });
  const project: PackedProject = {
    folder,
    tarball,
    link: (name) => put(name, symlinkSync),
    write: (name, text) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), typeof text === 'string' ? text : JSON.stringify(text));
    },
    run: (command, parameters = [], env = {}) =>
      execute(command, parameters, folder, env).catch((failed: Ran) => failed),
    remove: () => rmSync(above, { recursive: true, force: true }),
  };
  project.write('package.json', { name: 'consumer', private: true, type: 'module' });
  return project;
}

const copyAll = (from: string, to: string) => cpSync(from, to, { recursive: true });

/** Lines of the manual that a shell runs, as they stand there. */
export const manualLines = (pattern: RegExp): string[] =>
  readFileSync(join(root, 'src/reader/README.md'), 'utf8').match(pattern) ?? [];

async function execute(
  command: string,
  parameters: readonly string[],
  cwd: string,
  env: Record<string, string | undefined>,
): Promise<Ran> {
  const path = [join(modules, 'node/bin'), join(modules, '.bin'), process.env['PATH']].join(':');
  const options = { cwd, env: { PATH: path, HOME: process.env['HOME'], ...env }, timeout: 60_000 };
  const { stdout, stderr } = await promisify(execFile)(command, parameters, options);
  return { code: 0, stdout, stderr };
}
