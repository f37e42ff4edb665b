import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cacheFolder = fileURLToPath(new URL('../../node_modules/.cache/python/', import.meta.url));
const oldestPython = [3, 11] as const;
const START_TIMEOUT_MILLISECONDS = 60_000;
const STOP_TIMEOUT_MILLISECONDS = 5_000;

export interface Venv {
  /** Path of the interpreter. Start everything as `python -m module`: the console scripts don't survive the move. */
  readonly python: string;
}

/** The requirements in a file, for `ensureVenv`: one a line, without comments. */
export const requirementsIn = (file: URL): readonly string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*/, '').trim())
    .filter(Boolean);

/** The version that `requirements` pin a package to. */
export function pinnedVersion(requirements: readonly string[], packageName: string): string {
  const pattern = new RegExp(`^${packageName}(\\[[^\\]]*\\])?==(\\S+)$`);
  const version = requirements.map((line) => pattern.exec(line)?.[2]).find(Boolean);
  if (version === undefined) throw new Error(`No requirement pins ${packageName} with ==.`);
  return version;
}

/**
 * A virtual environment with exactly these packages, made once and kept under node_modules/.cache. Other requirements, or
 * another Python, make another one. It is moved into place when it is complete, so two processes may ask at once.
 *
 * @param requirements In pip's format, pinned, the dependencies of dependencies included.
 * @throws Error when there is no Python 3.11 with venv and pip, or when pip fails.
 */
export async function ensureVenv(name: string, requirements: readonly string[]): Promise<Venv> {
  const version = await pythonVersion();
  const key = createHash('sha256')
    .update(JSON.stringify([version, requirements]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder, `${name}-${key}`);
  if (!existsSync(folder)) await build(folder, requirements);
  return { python: join(folder, 'bin', 'python') };
}

async function pythonVersion(): Promise<string> {
  const need = `Python ${oldestPython.join('.')} or later with venv and pip is needed as python3`;
  const { stdout } = await run('python3', [
    '-c',
    'import sys, venv, ensurepip; print(sys.version, sys.executable)',
  ]).catch(() => {
    throw new Error(`${need} (on Debian: apt-get install python3-venv).`);
  });
  const [major = 0, minor = 0] = stdout.split('.').map(Number);
  if (major < oldestPython[0] || (major === oldestPython[0] && minor < oldestPython[1])) {
    throw new Error(`${need}; this one is ${stdout.trim()}.`);
  }
  return stdout.trim();
}

async function build(folder: string, requirements: readonly string[]): Promise<void> {
  const draft = `${folder}.${randomUUID()}`;
  await mkdir(cacheFolder, { recursive: true });
  try {
    await run('python3', ['-m', 'venv', draft]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', ...requirements];
    await run(join(draft, 'bin', 'python'), pip, { maxBuffer: 16 * 1024 * 1024 });
    await rename(draft, folder).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

export interface PythonServer {
  /** As the server announced it, for instance `http://127.0.0.1:40123`. */
  readonly url: string;
  /** What the server has printed so far. */
  output(): string;
  /** Ends the server and whatever it started, and removes its temporary folder. */
  close(): Promise<void>;
}

export interface PythonServerOptions {
  readonly venv: Venv;
  /** After `python`, for instance `['-m', 'moto.server', '-p', '0']`. */
  readonly args: readonly string[];
  /** Added to this process's environment. `TMPDIR` is a folder of the server's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What the server prints once it listens; group 1 is its URL. */
  readonly announcement: RegExp;
}

/**
 * Starts a server written in Python and waits until it says that it listens.
 *
 * @throws Error with the end of its output, when it ends or stays silent instead.
 */
export async function startPythonServer(options: PythonServerOptions): Promise<PythonServer> {
  const temporaryFolder = await mkdtemp(join(tmpdir(), 'python-server-'));
  let output = '';
  let url: string | undefined;
  // A process group of its own, so that what the server starts ends with it.
  const child = spawn(options.venv.python, options.args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PYTHONUNBUFFERED: '1', TMPDIR: temporaryFolder, ...options.environment },
  });
  const watchdog = startWatchdog(child, temporaryFolder);
  const ended = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code}`));
  });

  const close = async () => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MILLISECONDS);
    child.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
    watchdog.stdin.end();
    await once(watchdog, 'exit');
  };

  const listening = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      url ??= options.announcement.exec(output)?.[1];
      if (url !== undefined) listening.resolve(url);
    });
  }
  const failed = (why: string) =>
    listening.reject(new Error(`python ${options.args.join(' ')} did not start: ${why}.\n${output.slice(-4_000)}`));
  ended.then(failed);
  const silent = setTimeout(() => failed('it did not say that it listens'), START_TIMEOUT_MILLISECONDS);
  try {
    return { url: await listening.promise, output: () => output, close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    clearTimeout(silent);
  }
}

/**
 * Ends what is left of the server's process group and removes its folder, as soon as its standard input is closed: by
 * `close`, or by the end of this process, however it comes.
 */
function startWatchdog({ pid }: ChildProcess, folder: string) {
  const script = 'read -r _; [ -z "$1" ] || kill -KILL -- "-$1"; rm -rf -- "$2"';
  const watchdog = spawn('sh', ['-c', script, 'sh', String(pid ?? ''), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  return watchdog;
}
