import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** What else it finds in its environment: a build tool wants to know where packages come from. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** A sample at work: it asks D1 for the issuer on each line that it reads, and answers a line for each. */
export interface SampleProcess {
  /** Asks `count` times at once. @returns The answers, without the issuer. */
  ask(count: number): Promise<string[]>;
  /** All that it has written to either stream. */
  output(): string;
  /** @throws Error when it does not end well by the end of its input. */
  end(): Promise<void>;
}

/** Longer than any sample waits by itself: who hangs is told apart from who is slow. */
const PATIENCE_MILLISECONDS = 120_000;

export function startSample(
  { command, args, environment: own }: Program,
  environment: Record<string, string>,
): SampleProcess {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...own, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PATIENCE_MILLISECONDS,
  });
  let output = '';
  let answers: string[] = [];
  let rest = '';
  let heard = () => {};
  const closed = once(child, 'close').then(([code, signal]) => {
    heard();
    return code ?? signal;
  });
  child.stdin.on('error', () => {});
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    const prefix = `${ISSUER_ID}: `;
    answers.push(...lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length)));
    heard();
  });

  return {
    output: () => output,
    ask: async (count) => {
      child.stdin.write(`${ISSUER_ID}\n`.repeat(count));
      while (answers.length < count && !hasEnded(child)) {
        const { promise, resolve } = Promise.withResolvers<void>();
        heard = resolve;
        await promise;
      }
      const given = answers;
      answers = [];
      if (given.length !== count) throw new Error(`${given.length} answers to ${count} questions`);
      return given;
    },
    end: async () => {
      child.stdin.end();
      const code = await closed;
      if (code !== 0) throw new Error(`it ended with ${code}`);
    },
  };
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;
