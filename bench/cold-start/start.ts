import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

export interface ColdStart {
  /** From the start of the process to the answer. */
  readonly totalMilliseconds: number;
  /** The part of it that the import took, with all that happens at the module's top level. */
  readonly importMilliseconds: number;
  /** The part of it that the first event took. */
  readonly eventMilliseconds: number;
  /** User and system time of the whole process, all its threads. */
  readonly cpuMilliseconds: number;
}

const now = () => performance.timeOrigin + performance.now();
const container = join(import.meta.dirname, 'container.mjs');

/**
 * Starts a process of its own, has it import a function and answer one event.
 *
 * @param file An ES module that exports `handler`.
 * @param environment All that the function sees, beside PATH.
 */
export async function coldStart(
  file: string,
  event: unknown,
  environment: Readonly<Record<string, string>>,
): Promise<ColdStart> {
  const startedAt = now();
  const child = spawn(process.execPath, [container, file, JSON.stringify(event)], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const [report, complaint] = await Promise.all([
    text(child.stdio[3] as Readable),
    text(child.stderr as Readable),
    once(child, 'exit'),
  ]);
  if (report === '') throw new Error(`${file} did not answer: ${complaint.slice(0, 2_000)}`);
  const { importingAt, loadedAt, answeredAt, cpuMilliseconds } = JSON.parse(report) as {
    [moment in 'importingAt' | 'loadedAt' | 'answeredAt' | 'cpuMilliseconds']: number;
  };
  return {
    totalMilliseconds: answeredAt - startedAt,
    importMilliseconds: loadedAt - importingAt,
    eventMilliseconds: answeredAt - loadedAt,
    cpuMilliseconds,
  };
}
