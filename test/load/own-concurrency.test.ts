import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TICKS_AT_ONCE } from '../../infra/check-parameters.ts';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { type Container, startContainer } from '../../sandbox/lambda/container.ts';
import { type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';

// Direct callers who hang on a slow D1 take up every place of the function that they call. The tick has places of its own.

const paramsFile = await readFile(new URL('../../infra/params.yml', import.meta.url), 'utf8');
const CALLERS_AT_ONCE = Number(/^ {2}reservedConcurrency: (\d+)$/m.exec(paramsFile)?.[1]);

let sandbox: Sandbox;
let bundle: string;
let functions: ReservedFunction[];
/** Whose token requests hang, and what lets them go. */
let hanging: Set<string>;
let release: () => void;

beforeEach(async () => {
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  hanging = new Set();
  functions = [];
  sandbox = await startSandbox({
    d1Intercept: async ({ headers }, next) => {
      const caller = String(headers['x-correlation-id']);
      if (!caller.startsWith('caller-')) return next();
      hanging.add(caller);
      await released;
      return next();
    },
  });
  ({ file: bundle } = await bundleHandler(join(import.meta.dirname, '..', '..', '.build', 'load')));
});

afterEach(async () => {
  release();
  await Promise.all(functions.map((one) => one.close()));
  await sandbox.close();
});

const TIMEOUT_MILLISECONDS = 60_000;
/** So that a caller still hangs when the last one has got there, on a busy machine too. */
const patience = { D1_EXCHANGE_TIMEOUT_MILLISECONDS: '30000', D1_EXCHANGE_ATTEMPTS: '1' };

/** A function as Lambda runs it: a container for each invocation at once, and none beyond its reserved concurrency. */
class ReservedFunction {
  readonly #atOnce: number;
  readonly #busy = new Set<Promise<unknown>>();
  readonly #containers: Container[] = [];

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
    functions.push(this);
  }

  /** @throws Error TooManyRequestsException, as Lambda throttles. */
  async invoke(event: unknown): Promise<unknown> {
    if (this.#busy.size >= this.#atOnce) throw new Error('TooManyRequestsException');
    const answer = startContainer(bundle, { ...sandbox.environment, ...patience }).then((container) => {
      this.#containers.push(container);
      return container.invoke(event, TIMEOUT_MILLISECONDS);
    });
    this.#busy.add(answer);
    return answer.finally(() => this.#busy.delete(answer));
  }

  close = () => Promise.all(this.#containers.map((container) => container.kill('SIGKILL')));
}

/** @returns The answers to come, when every caller has got as far as D1 and hangs there. */
async function callAndHang(broker: ReservedFunction): Promise<Promise<unknown>[]> {
  const calls = Array.from({ length: CALLERS_AT_ONCE }, (_, caller) =>
    broker.invoke({ action: 'token', correlation_id: `caller-${caller}` }),
  );
  for (const call of calls) call.catch(() => {});
  while (hanging.size < CALLERS_AT_ONCE) await delay(10);
  return calls;
}

it('five direct calls that hang on a slow D1 throttle whoever comes next, and not the tick: it has a function of its own', async () => {
  expect(CALLERS_AT_ONCE).toBe(5);
  const broker = new ReservedFunction(CALLERS_AT_ONCE);
  const ticks = new ReservedFunction(TICKS_AT_ONCE);
  const calls = await callAndHang(broker);
  // In the callers' function the tick would be throttled.
  await expect(broker.invoke(schedulerTick)).rejects.toThrow('TooManyRequestsException');

  expect(await ticks.invoke(schedulerTick)).toMatchObject({ refreshed: true, reason: 'missing' });
  const stored = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: TOKEN_SECRET });
  expect(stored).toHaveProperty('SecretString');
  release();
  const answers = await Promise.all(calls);
  expect(answers.map((answer) => (answer as { token_type: string }).token_type)).toEqual(Array(5).fill('Bearer'));
});
