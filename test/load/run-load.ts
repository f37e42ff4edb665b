import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bundleHandler } from '../../sandbox/bundle.ts';
import { createFaults } from '../../sandbox/faults/faults.ts';
import { startFaultyRoute } from '../../sandbox/faults/faulty-route.ts';
import type { FaultRule } from '../../sandbox/faults/rule.ts';
import { type Container, startContainer } from '../../sandbox/lambda/container.ts';
import { type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { schedulerTick } from '../../sandbox/scheduler-tick.ts';
import { type Figures, Measurements } from './measurements.ts';

export interface Load {
  readonly containers: number;
  /** Direct calls a second that each container is sent. */
  readonly callsPerSecond: number;
  readonly seconds: number;
  /** Of D1's tokens: short, so that a run sees many of them live and die. */
  readonly tokenLifetimeSeconds: number;
  readonly tickEverySeconds: number;
  readonly forceEverySeconds: number;
  readonly rotateEverySeconds: number;
  readonly rules: readonly FaultRule[];
  /** Told now and then. */
  readonly onProgress?: (figures: Figures) => void;
}

/** A caller asks for a token that lives at least as long; it is also what a caller may find left of it. */
const MIN_REMAINING_SECONDS = 2;
const SAMPLE_SECONDS = 1;

/** The bundled handler in real processes, under load, while everything that changes the token goes on. */
export async function runLoad(load: Load): Promise<Figures> {
  const faults = createFaults(load.rules);
  const measured = new Measurements();
  const fleet: Container[] = [];
  const queues = new Map<Container, Promise<unknown>>();
  /** As Lambda does: a container has one event at a time. */
  const send = (container: Container, event: unknown): Promise<unknown> => {
    const turn = (queues.get(container) ?? Promise.resolve()).then(() => container.invoke(event));
    queues.set(
      container,
      turn.catch(() => {}),
    );
    return turn;
  };
  const sandbox = await startSandbox({
    tokenLifetimeSeconds: load.tokenLifetimeSeconds,
    awsIntercept: faults.aws,
    d1Intercept: faults.d1,
    secretsManager: {
      versionQuota: 'none',
      rotationFunction: (step) => send(pick(fleet, measured.calls), step),
    },
  });
  const route = await startFaultyRoute(sandbox.d1.baseUrl, faults.connection);
  const { file } = await bundleHandler(join(import.meta.dirname, '..', '..', '.build', 'load'));
  const environment = { ...sandbox.environment, D1_ENVIRONMENT: route.baseUrl };
  const stop = new AbortController();
  try {
    for (let started = 0; started < load.containers; started += 1) fleet.push(await startContainer(file, environment));
    await firstToken(sandbox, fleet);
    measured.begin();
    const every = (seconds: number, work: (turn: number) => Promise<void>) => repeat(seconds, work, stop.signal);
    const work = [
      ...fleet.map((container) =>
        every(1 / load.callsPerSecond, async () => {
          const event = { min_remaining_seconds: MIN_REMAINING_SECONDS };
          await measured.call(() => send(container, event));
        }),
      ),
      every(load.tickEverySeconds, (turn) => measured.tick(() => send(pick(fleet, turn), schedulerTick))),
      every(load.forceEverySeconds, (turn) => {
        const event = { force: true, min_remaining_seconds: MIN_REMAINING_SECONDS };
        return measured.forced(() => send(pick(fleet, turn), event));
      }),
      every(load.rotateEverySeconds, () => measured.rotation(() => rotate(sandbox))),
      every(SAMPLE_SECONDS, async () => {
        measured.read(fleet.flatMap((container) => takeOutput(container)));
        measured.count(sandbox.calls.all());
        sandbox.calls.clear();
        measured.memory(fleet.map(residentMegabytes));
        load.onProgress?.(measured.figures());
      }),
    ];
    await delay(load.seconds * 1000);
    stop.abort();
    await Promise.all(work);
    measured.count(sandbox.calls.all());
    return { ...measured.figures(), faults: faults.injected.length };
  } finally {
    stop.abort();
    await Promise.all(fleet.map((container) => container.kill('SIGKILL')));
    await route.close();
    await sandbox.close();
  }
}

const pick = (fleet: readonly Container[], turn: number): Container => {
  const container = fleet[turn % fleet.length];
  if (!container) throw new Error('There is no container.');
  return container;
};

/** Before the load: with faults, it may take several ticks. */
async function firstToken(sandbox: Sandbox, fleet: readonly Container[]): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    await pick(fleet, turn)
      .invoke(schedulerTick)
      .catch(() => {});
    const { VersionIdsToStages } = await sandbox.secretsManager.handle('DescribeSecret', { SecretId: TOKEN_SECRET });
    if (Object.keys(VersionIdsToStages ?? {}).length > 0) return;
  }
  throw new Error('No token could be had to begin with.');
}

/** Starts `work` at fixed times, or as soon as the last one has ended, and waits for the last. */
async function repeat(seconds: number, work: (turn: number) => Promise<void>, signal: AbortSignal): Promise<void> {
  let at = Date.now() + Math.random() * seconds * 1000;
  for (let turn = 0; !signal.aborted; turn += 1) {
    await delay(Math.max(0, at - Date.now()), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await work(turn);
    at = Math.max(at + seconds * 1000, Date.now() - 1000);
  }
}

/** As the service does it: a rotation that was begun is attempted again, until it is done or was given up. */
async function rotate(sandbox: Sandbox): Promise<string> {
  const { VersionIdsToStages } = await sandbox.secretsManager.handle('DescribeSecret', { SecretId: TOKEN_SECRET });
  const stages = Object.entries((VersionIdsToStages ?? {}) as Record<string, string[]>);
  const begun = stages.find(([, labels]) => labels.includes('AWSPENDING') && !labels.includes('AWSCURRENT'))?.[0];
  await sandbox.secretsManager.handle('RotateSecret', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: begun ?? randomUUID(),
    RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
  });
  return sandbox.secretsManager.rotationSettled();
}

/** Takes the lines away: an hour of them would fill this process's memory. */
function takeOutput(container: Container): string[] {
  return (container.output as string[]).splice(0);
}

function residentMegabytes({ processId }: Container): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${processId}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}
