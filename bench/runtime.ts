import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { bundleHandler } from '../sandbox/bundle.ts';
import { type BenchBank, openBenchBank } from './bank.ts';
import { startRuntimeApi } from './runtime-api.ts';
import { installedRuntimeClient, installRuntimeClient, VERSION } from './runtime-client.ts';
import { median } from './statistics.ts';
import { runtimeTable } from './tables.ts';

// `npm run bench:runtime`: the bundle under the runtime interface client that Lambda itself runs, which it installs first.

const CONTAINERS = 15;
const WARM_INVOCATIONS = 20;

export interface RuntimeBench {
  readonly version: string;
  /** From the start of the process to its first request for an event. */
  readonly init_milliseconds: number;
  /** A direct call that finds a live token in the secret. */
  readonly first_cached_milliseconds: number;
  /** A direct call that finds an expired one. */
  readonly first_refresh_milliseconds: number;
  /** A direct call that finds a live token in memory. */
  readonly warm_milliseconds: number;
}

/** @param client The file of the installed runtime interface client. */
export async function benchRuntime(client: string): Promise<RuntimeBench> {
  const { file } = await bundleHandler();
  const bank = await openBenchBank();
  try {
    const containers: Container[] = [];
    for (let count = 0; count < CONTAINERS; count += 1) {
      for (const token of ['live', 'expired'] as const) containers.push(await runContainer(client, file, bank, token));
    }
    const firsts = (token: string) => containers.filter((one) => one.token === token).map((one) => one.first);
    return {
      version: VERSION,
      init_milliseconds: median(containers.map(({ init }) => init)),
      first_cached_milliseconds: median(firsts('live')),
      first_refresh_milliseconds: median(firsts('expired')),
      warm_milliseconds: median(containers.flatMap(({ warm }) => warm)),
    };
  } finally {
    await bank.close();
  }
}

interface Container {
  readonly token: string;
  readonly init: number;
  readonly first: number;
  readonly warm: readonly number[];
}

async function runContainer(
  client: string,
  bundle: string,
  bank: BenchBank,
  token: 'live' | 'expired',
): Promise<Container> {
  await bank.store(token);
  const api = await startRuntimeApi();
  const timed = async (work: Promise<unknown>) => {
    const began = performance.now();
    await work;
    return performance.now() - began;
  };
  const child = spawn(process.execPath, [client], {
    env: {
      PATH: process.env['PATH'],
      ...bank.environment,
      AWS_LAMBDA_RUNTIME_API: api.address,
      AWS_LAMBDA_FUNCTION_NAME: 'd1-token-broker',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/d1-token-broker',
      AWS_LAMBDA_LOG_STREAM_NAME: 'bench',
      LAMBDA_TASK_ROOT: dirname(bundle),
      _HANDLER: 'handler.handler',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const complaint = text(child.stderr);
  const ended = once(child, 'exit').then(async () => {
    throw new Error(`the runtime interface client ended: ${(await complaint).slice(0, 1_000)}`);
  });
  try {
    const init = await timed(Promise.race([api.initialized, ended]));
    const first = await timed(Promise.race([api.invoke({}), ended]));
    const warm: number[] = [];
    for (let count = 0; count < WARM_INVOCATIONS; count += 1) warm.push(await timed(api.invoke({})));
    return { token, init, first, warm };
  } finally {
    ended.catch(() => {});
    child.kill('SIGKILL');
    await api.close();
  }
}

/** What `npm run bench` does: without the client there is nothing to measure. */
export async function benchRuntimeIfInstalled(): Promise<RuntimeBench | undefined> {
  const client = installedRuntimeClient();
  return client === undefined ? undefined : benchRuntime(client);
}

if (import.meta.main) {
  try {
    console.log(runtimeTable(await benchRuntime(installRuntimeClient())));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
