import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Program } from './sample-process.ts';

const root = join(import.meta.dirname, '../..');
const samples = join(root, 'examples');
const schemaChecks = import.meta.dirname;
const built = join(root, '.build/languages');
/** An older Go would fetch a newer one by itself. */
const environment = { ...process.env, GOTOOLCHAIN: 'local' };

export interface Language {
  readonly name: string;
  /** @returns Why this machine can't run the language; `undefined` when it can. */
  missing(): Promise<string | undefined>;
  /** The sample of examples/, after the lines of docs/contract.md have built it. */
  sample(): Promise<Program>;
  /**
   * Builds what takes two arguments, the schema and the records, and ends with 0 when the language's JSON Schema says of
   * each record what its case says.
   */
  schemaCheck(): Promise<Program>;
}

/** @returns What the tool said on standard output. @throws Error with all that it said. */
export async function run(command: string, args: readonly string[], cwd = root): Promise<string> {
  try {
    return (await promisify(execFile)(command, args, { cwd, env: environment })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  }
}

/** A tool that is there and of `least` or later; `pattern` finds the number in what the tool says of itself. */
async function lacking(tool: string, ask: readonly string[], pattern: RegExp, least: number) {
  const told = await run(tool, ask).catch(() => undefined);
  if (told === undefined) return `${tool} is not on this machine`;
  const found = Number(pattern.exec(told)?.[1]);
  return found >= least ? undefined : `${tool} says ${found} where ${least} or later is wanted (${pattern.source})`;
}

/** The lines under a heading of docs/contract.md, as somebody types them at the root of the project. */
export function typed(name: string): Program {
  const page = readFileSync(join(root, 'docs/contract.md'), 'utf8');
  const [, section = ''] = page.split(`\n### ${name}\n`);
  const lines = /```sh\n(.*?)```/s.exec(section)?.[1];
  if (!lines) throw new Error(`docs/contract.md has no lines for ${name}.`);
  return { command: 'sh', args: ['-ec', lines], environment };
}

const python: Language = {
  name: 'Python',
  missing: () => lacking('python3', ['--version'], /Python 3\.(\d+)/, 9),
  sample: async () => ({
    command: join(samples, 'python/.venv/bin/python'),
    args: [join(samples, 'python/main.py')],
  }),
  schemaCheck: async () => {
    const folder = join(root, '.venv/schema');
    const command = join(folder, 'bin/python');
    if (!existsSync(command)) await run('python3', ['-m', 'venv', folder]);
    await run(command, ['-m', 'pip', 'install', '-q', '-r', join(schemaChecks, 'python/requirements.txt')]);
    return { command, args: [join(schemaChecks, 'python/check_schema.py')] };
  },
};

/** Quick to start, as befits a program that lives for a second. */
const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

const javaProgram = (target: string, mainClass: string): Program => ({
  command: 'java',
  args: [...jvm, '-cp', `${target}/classes:${target}/lib/*`, mainClass],
});

const java: Language = {
  name: 'Java',
  missing: () => lacking('mvn', ['--version'], /Java version: (\d+)/, 17),
  sample: async () => javaProgram(join(samples, 'java/target'), 'example.Main'),
  schemaCheck: async () => {
    await run('mvn', ['-q', '-B', 'compile'], join(schemaChecks, 'java'));
    return javaProgram(join(schemaChecks, 'java/target'), 'CheckSchema');
  },
};

async function goBuild(folder: string, name: string): Promise<Program> {
  mkdirSync(built, { recursive: true });
  const command = join(built, name);
  await run('go', ['build', '-o', command, '.'], folder);
  return { command, args: [] };
}

const go: Language = {
  name: 'Go',
  missing: () => lacking('go', ['version'], /go1\.(\d+)/, 24),
  sample: () => goBuild(join(samples, 'go'), 'go-sample'),
  schemaCheck: () => goBuild(join(schemaChecks, 'go'), 'go-schema'),
};

export const languages: readonly Language[] = [python, java, go];
