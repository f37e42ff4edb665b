import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TickAnswer } from '../src/events.ts';
import { systemClock } from '../src/shared/clock.ts';
import { bundleHandler } from './bundle.ts';
import { createFaults } from './faults/faults.ts';
import { startFaultyRoute } from './faults/faulty-route.ts';
import { startContainer } from './lambda/container.ts';
import { createFleet, type Fleet } from './lambda/fleet.ts';
import { startSandbox } from './sandbox.ts';
import { schedulerTick } from './scheduler-tick.ts';
import { announce } from './stay-up/announcement.ts';
import { writeCertificateFiles } from './stay-up/certificate-files.ts';
import { startFaultServer } from './stay-up/fault-server.ts';
import { readOptions, type StayUpOptions, UsageError, usage } from './stay-up/options.ts';
import { narrator } from './story/narrator.ts';

// `npm run sandbox`
const TICK_MILLISECONDS = 5_000;
/** AWS repeats a rotation "multiple times", and does not say when. */
const ROTATION_RETRY_DELAYS_MILLISECONDS = [5_000, 10_000, 20_000, 40_000];

const { title, line, failed } = narrator;

// What cannot be understood, or cannot be had, ends the process with a sentence, not with a stack.
try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(usage);
  else await stayUp(options);
} catch (error) {
  const port = portRefused(error);
  if (port !== undefined) failed(`Port ${port} cannot be had: give another one with --port.`);
  else if (error instanceof UsageError) failed(`${error.message} npm run sandbox -- --help lists the options.`);
  else throw error;
  process.exit(port === undefined ? 2 : 1);
}

async function stayUp({ faults: rules, tokenLifetimeSeconds, logs, port }: StayUpOptions): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const faults = createFaults(rules, { onInjected: ({ call, fault }) => line(`fault: ${call} ${fault.kind}`) });
  const broker = Promise.withResolvers<void>();
  let fleet: Fleet | undefined;
  const invoke = async (event: unknown) => {
    await broker.promise;
    return fleet?.invoke(event);
  };
  const sandbox = await startSandbox({
    awsIntercept: faults.aws,
    d1Intercept: faults.d1,
    tokenLifetimeSeconds,
    brokerFunction: invoke,
    ...(port !== undefined && { awsPort: port }),
    secretsManager: {
      // It may stay up for days, and the version quota is not what it shows.
      versionQuota: 'none',
      rotationRetryDelays: ROTATION_RETRY_DELAYS_MILLISECONDS,
    },
  });
  const after = (offset: number) => (port === undefined ? undefined : port + offset);
  const route = await startFaultyRoute(sandbox.d1.baseUrl, faults.connection, systemClock, after(1));
  const faultServer = await startFaultServer(faults, after(2));
  const environment = { ...sandbox.environment, D1_ENVIRONMENT: route.baseUrl };
  const folder = temporaryFolder();
  const { file } = await bundleHandler(join(folder, 'handler'));
  const { deployment } = sandbox;
  const onLine = (text: string) => {
    deployment.write(text);
    if (logs) line(text);
  };
  const retired: Fleet[] = [];
  /** As Lambda does after a change of the configuration: events under way end where they began. */
  const startFleet = () => {
    if (fleet) retired.push(fleet);
    const variables = { ...deployment.environment, D1_ENVIRONMENT: route.baseUrl };
    fleet = createFleet(() => startContainer(file, variables, onLine));
  };
  deployment.onChange = startFleet;
  startFleet();
  broker.resolve();
  announce({
    environment,
    faultsUrl: faultServer.url,
    files: writeCertificateFiles(folder, await sandbox.clientCertificateSecret()),
    folder,
    tickSeconds: TICK_MILLISECONDS / 1000,
  });
  const stopped = new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
  while (!stop.signal.aborted) {
    await Promise.race([tick(invoke, stop.signal), stopped]);
    await delay(TICK_MILLISECONDS, undefined, { signal: stop.signal }).catch(() => {});
  }
  await faultServer.close();
  await route.close();
  await sandbox.close();
  await Promise.all([fleet, ...retired].map((one) => one?.kill()));
  title('The sandbox is down.');
}

/** Goes when this process ends, however it comes to that, but for SIGKILL. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'd1-sandbox-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function tick(invoke: (event: unknown) => Promise<unknown>, stop: AbortSignal): Promise<void> {
  try {
    const { refreshed, reason, expires_at } = (await invoke(schedulerTick)) as TickAnswer;
    const secondsLeft = Math.floor(expires_at - Date.now() / 1000);
    const what = refreshed ? 'refreshed' : 'nothing to do';
    line(`${new Date().toISOString()}  ${what} (${reason}), ${secondsLeft} s left`);
  } catch (error) {
    if (!stop.aborted) failed(error instanceof Error ? error.message : 'the tick failed');
  }
}

/** A port of --port that another process has, or that this one may not have. */
function portRefused(error: unknown): number | undefined {
  const { code, port } = error as { readonly code?: unknown; readonly port?: unknown };
  return (code === 'EADDRINUSE' || code === 'EACCES') && typeof port === 'number' ? port : undefined;
}
