import { spawn } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleCli } from '../infra/bundle/bundle-cli.ts';
import { bundleHandler } from '../sandbox/bundle.ts';
import { startContainer } from '../sandbox/lambda/container.ts';
import { startSandbox } from '../sandbox/sandbox.ts';
import { schedulerTick } from '../sandbox/scheduler-tick.ts';
import { median } from './statistics.ts';

const RUNS = 11;
/** A container makes a check every 10 s at most. */
const DOCTOR_RUNS = 3;
const CHECK_PACE_MILLISECONDS = 11_000;

export interface CommandsBench {
  readonly bundle_gzip_bytes: number;
  readonly bare_node_milliseconds: number;
  readonly help_milliseconds: number;
  readonly help_ratio: number;
  /** From the start of the process to its end, on the sandbox. */
  readonly doctor_milliseconds: number;
}

/** The operator's commands, bundled: how long `--help` and `doctor` take, whole processes, medians. */
export async function benchCommands(): Promise<CommandsBench> {
  const root = join(import.meta.dirname, '..');
  const folder = await mkdtemp(join(tmpdir(), 'd1-bench-'));
  try {
    const { file, gzipBytes } = await bundleCli(join(folder, 'cli'));
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    const bare: number[] = [];
    const help: number[] = [];
    for (let index = 0; index < RUNS; index += 1) {
      bare.push(await timed(['-e', '0'], {}));
      help.push(await timed([file, '--help'], {}));
    }
    const doctor = await benchDoctor(file, folder);
    return {
      bundle_gzip_bytes: gzipBytes,
      bare_node_milliseconds: median(bare),
      help_milliseconds: median(help),
      help_ratio: median(help) / median(bare),
      doctor_milliseconds: median(doctor),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function benchDoctor(file: string, folder: string): Promise<number[]> {
  const container = Promise.withResolvers<Awaited<ReturnType<typeof startContainer>>>();
  const sandbox = await startSandbox({ brokerFunction: async (event) => (await container.promise).invoke(event) });
  const bundle = await bundleHandler(join(folder, 'handler'));
  container.resolve(await startContainer(bundle.file, sandbox.environment, (line) => sandbox.deployment.write(line)));
  const { invoke, advance, kill } = await container.promise;
  try {
    const times: number[] = [];
    for (let index = 0; index < DOCTOR_RUNS; index += 1) {
      await invoke(schedulerTick);
      times.push(await timed([file, 'doctor', '--stage', 'sandbox', '--json'], sandbox.environment));
      advance(CHECK_PACE_MILLISECONDS);
    }
    return times;
  } finally {
    await kill();
    await sandbox.close();
  }
}

/** @returns Milliseconds. @throws Error when the process could not do what it was started for. */
function timed(inputs: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, inputs, {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: 'ignore',
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // 1 and 3 are findings of the doctor.
    child.on('close', (code) =>
      code === 0 || code === 1 || code === 3
        ? resolve(performance.now() - began)
        : reject(new Error(`${inputs.join(' ')} ended with ${code}`)),
    );
  });
}
