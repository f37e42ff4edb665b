import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FromContainer, FunctionError, ToContainer } from './messages.ts';

/** What the invoker of a failed function gets to see. */
export class InvocationFailed extends Error {
  readonly functionError: FunctionError;

  constructor(error: FunctionError) {
    super(error.errorMessage);
    this.name = error.errorType;
    this.functionError = error;
  }
}

export interface Container {
  /**
   * Invokes the function and waits for its answer.
   *
   * @throws InvocationFailed as Lambda reports it, or an Error when the process has died.
   */
  invoke(event: unknown, timeoutMilliseconds?: number): Promise<unknown>;
  /** Moves the container's clock on. */
  advance(milliseconds: number): void;
  /** What the function has written so far, line by line: its log and its metrics. */
  readonly output: readonly string[];
  readonly processId: number;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * A Lambda container: a process of its own with an environment of its own, holding the bundled handler.
 *
 * @param bundle The file that `bundleHandler` made.
 * @param environment All that the function sees, beside PATH.
 * @param onLine Hears every line that the function writes.
 */
export async function startContainer(
  bundle: string,
  environment: Readonly<Record<string, string>>,
  onLine: (line: string) => void = () => {},
): Promise<Container> {
  const child = fork(join(import.meta.dirname, 'container-process.ts'), [bundle], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const output: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    if (!input) continue;
    createInterface({ input }).on('line', (line) => {
      if (line === '') return;
      output.push(line);
      onLine(line);
    });
  }
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<void>();
  child.on('message', (message: FromContainer) => {
    if (message.type === 'ready') return ready.resolve();
    const waiter = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.type === 'answer') waiter?.resolve(message.answer);
    else waiter?.reject(new InvocationFailed(message.error));
  });
  child.on('exit', (code, signal) => {
    const gone = new Error(`The container ended (${signal ?? `exit code ${code}`}): ${output.slice(-3).join(' | ')}`);
    ready.reject(gone);
    for (const waiter of waiting.values()) waiter.reject(gone);
  });
  await ready.promise;

  let invocations = 0;
  const tell = (message: ToContainer) => child.send(message);
  return {
    invoke(event, timeoutMilliseconds = 20_000) {
      invocations += 1;
      const waiter = Promise.withResolvers<unknown>();
      waiting.set(invocations, waiter);
      tell({ type: 'invoke', id: invocations, event, timeoutMilliseconds });
      return waiter.promise;
    },
    advance: (milliseconds) => void tell({ type: 'advance', milliseconds }),
    output,
    processId: child.pid ?? 0,
    async kill(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}
