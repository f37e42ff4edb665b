import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { createFaults, type Faults } from '../../sandbox/faults/faults.ts';
import { parseFaultRule } from '../../sandbox/faults/parse-rule.ts';
import { InvocationFailed } from '../../sandbox/lambda/container.ts';
import {
  BROKER_FUNCTION_ARN,
  type Sandbox,
  type SandboxOptions,
  startSandbox,
  TOKEN_SECRET,
} from '../../sandbox/sandbox.ts';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';
import { createApp } from '../../src/app.ts';
import { createKmsClient, createSecretsManagerClient } from '../../src/aws/clients.ts';
import type { Document } from '../../src/cli/frame/document.ts';
import { readConfig } from '../../src/config.ts';
import { createParts } from '../../src/parts.ts';
import type { CheckReport } from '../../src/shared/check-report.ts';
import { type Clock, systemClock } from '../../src/shared/clock.ts';
import { systemRandom } from '../../src/shared/random.ts';
import { createTelemetry } from '../../src/telemetry.ts';

const root = join(import.meta.dirname, '..', '..');
export const STAGE = 'sandbox';

/** What one run of the program came to. */
export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface OperatedBank {
  readonly sandbox: Sandbox;
  /** Where the program runs; else here. */
  folder: string | undefined;
  readonly faults: Faults;
  /** Adds a fault, as the sandbox's command line spells it. */
  fault(rule: string): void;
  /** Sends an event to the function that stands behind Invoke. */
  send(event: unknown): Promise<unknown>;
  tick(): Promise<unknown>;
  /** Another container: nothing in memory, and the function's configuration as it is now. */
  restart(): void;
  /** Has each invocation end without an answer, as Lambda names it: `Sandbox.Timedout`. */
  die(errorType: string): void;
  /** Has a check tell what this sandbox can't bring about. */
  tamper(change: (report: CheckReport) => CheckReport): void;
  /** Has the function's clock go wrong by so many milliseconds. */
  setClock(offset: number): void;
  /** Runs the real program as a child process, on this sandbox. */
  run(inputs: readonly string[], environment?: Record<string, string>): Promise<Run>;
  /** As `run`, with the stage and --json; fails when what is printed is not one document. */
  json(command: string, ...inputs: readonly string[]): Promise<Document>;
}

/** A deployed, onboarded bank for the operator's commands. It closes with the test. */
export async function openOperatedBank(
  options: Pick<SandboxOptions, 'stage' | 'isOnboarded'> & { readonly folder?: string } = {},
): Promise<OperatedBank> {
  const faults = createFaults([]);
  let app: ReturnType<typeof createApp> | undefined;
  const send = async (event: unknown) => app?.(event, { getRemainingTimeInMillis: () => 60_000 });
  const sandbox = await startSandbox({
    awsIntercept: faults.aws,
    d1Intercept: faults.d1,
    brokerFunction: send,
    ...options,
    secretsManager: { versionQuota: 'none' },
  });
  let clockOffset = 0;
  const clock: Clock = { now: () => systemClock.now() + clockOffset, sleep: systemClock.sleep };
  const restart = () => {
    try {
      app = startApp(sandbox, clock);
    } catch (error) {
      // As the handler: wrong configuration answers every event.
      app = () => Promise.reject(error);
    }
  };
  // AWS tries the function at this moment with a version that has no value; here there is no function yet.
  await sandbox.secretsManager.handle('RotateSecret', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: randomUUID(),
    RotationLambdaARN: BROKER_FUNCTION_ARN,
    RotateImmediately: false,
  });
  sandbox.deployment.onChange = restart;
  restart();
  // What the function writes is its log.
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      for (const line of String(chunk).split('\n')) if (line.startsWith('{')) sandbox.deployment.write(line);
      return true;
    }),
  );
  onTestFinished(async () => {
    for (const spy of spies) spy.mockRestore();
    await sandbox.close();
  });
  const bank: OperatedBank = {
    sandbox,
    folder: options.folder,
    faults,
    fault: (rule) => faults.add(parseFaultRule(rule)),
    send,
    tick: () => send(schedulerTick),
    restart,
    die: (errorType) => {
      app = async () => {
        throw new InvocationFailed({ errorType, errorMessage: 'It ended.', trace: [] });
      };
    },
    tamper: (change) => {
      const answer = app;
      app = async (event, context) => change((await answer?.(event, context)) as unknown as CheckReport) as never;
    },
    setClock: (offset) => {
      clockOffset = offset;
    },
    run: (inputs, environment = {}) => runProgram(inputs, { ...awsEnvironment(sandbox), ...environment }, bank.folder),
    async json(command, ...inputs) {
      const { stdout } = await bank.run([...command.split(' '), '--stage', STAGE, '--json', ...inputs]);
      return JSON.parse(stdout) as Document;
    },
  };
  return bank;
}

/** What an operator's shell has, and nothing of the function's. */
export const awsEnvironment = ({ environment }: Pick<Sandbox, 'environment'>): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith('AWS_')));

/** The program from its sources, with no environment but this. @param folder Where it runs; else here. */
export const runProgram = (
  inputs: readonly string[],
  environment: Record<string, string> = {},
  folder?: string,
): Promise<Run> => runFile(join(root, 'src', 'cli', 'main.ts'), inputs, environment, folder);

export function runFile(
  file: string,
  inputs: readonly string[],
  environment: Record<string, string> = {},
  folder?: string,
): Promise<Run> {
  const child = spawn(process.execPath, [file, ...inputs], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      chunks[name] += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...chunks }));
  });
}

/** A Lambda container, as the handler makes it, with the configuration that the stack gives it now. */
function startApp({ environment, deployment }: Sandbox, clock: Clock) {
  const variables = Object.entries(deployment.environment).filter(([name]) =>
    /^(D1_|HTTPS_PROXY$|NO_PROXY$)/.test(name),
  );
  const config = readConfig(Object.fromEntries(variables));
  const place = {
    region: 'eu-west-1',
    endpoint: environment['AWS_ENDPOINT_URL'] ?? '',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
  };
  const common = { config, clock, random: systemRandom };
  const parts = createParts({
    ...common,
    kms: createKmsClient(config.awsTimeoutMilliseconds, place),
    secretsManager: createSecretsManagerClient(config.awsTimeoutMilliseconds, place),
  });
  return createApp({ ...common, ...parts, telemetry: createTelemetry(config.issuerId, clock, config.stage) });
}
