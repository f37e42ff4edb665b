import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { TickAnswer } from '../src/events.ts';
import { bundleHandler } from './bundle.ts';
import { createFaults } from './faults/faults.ts';
import { type FaultyRoute, startFaultyRoute } from './faults/faulty-route.ts';
import { parseFaultRule } from './faults/parse-rule.ts';
import type { FaultRule } from './faults/rule.ts';
import { startContainer } from './lambda/container.ts';
import { startSandbox } from './sandbox.ts';
import { schedulerTick } from './scheduler-tick.ts';
import { narrator } from './story/narrator.ts';

// `npm run sandbox`, and for instance `npm run sandbox -- --fault 'kms.Sign throttle nth=2'` (docs/reliability.md)
const TICK_MILLISECONDS = 5_000;

const { title, line, failed } = narrator;
const rules = readRules();
const faults = createFaults(rules, { onInjected: ({ call, fault }) => line(`fault: ${call} ${fault.kind}`) });
const sandbox = await startSandbox({
  awsIntercept: faults.aws,
  d1Intercept: faults.d1,
  // It may stay up for days, and the version quota is not what it shows.
  secretsManager: { versionQuota: 'none' },
});
const route = rules.some(({ call }) => call === 'd1.connect')
  ? await startFaultyRoute(sandbox.d1.baseUrl, faults.connection)
  : undefined;
const environment = environmentWith(route);
const container = await startContainer((await bundleHandler()).file, environment);

title('The sandbox is up. Paste this into another shell:');
for (const [variable, value] of Object.entries(environment)) console.log(`export ${variable}='${value}'`);
title(`A tick every ${TICK_MILLISECONDS / 1000} seconds, until Ctrl-C`);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
while (!stop.signal.aborted) {
  try {
    const { refreshed, reason, expires_at } = (await container.invoke(schedulerTick)) as TickAnswer;
    const secondsLeft = Math.floor(expires_at - Date.now() / 1000);
    line(
      `${new Date().toISOString()}  ${refreshed ? 'refreshed' : 'nothing to do'} (${reason}), ${secondsLeft} s left`,
    );
  } catch (error) {
    failed(error instanceof Error ? error.message : 'the tick failed');
  }
  await delay(TICK_MILLISECONDS, undefined, { signal: stop.signal }).catch(() => {});
}
await container.kill();
await route?.close();
await sandbox.close();
title('The sandbox is down.');

/** What cannot be understood ends the process with a sentence, not with a stack. */
function readRules(): FaultRule[] {
  try {
    const { values } = parseArgs({ options: { fault: { type: 'string', multiple: true, default: [] } } });
    return values.fault.map(parseFaultRule);
  } catch (error) {
    failed(error instanceof Error ? error.message : 'the arguments cannot be understood');
    process.exit(2);
  }
}

function environmentWith(route: FaultyRoute | undefined): Readonly<Record<string, string>> {
  return route ? { ...sandbox.environment, D1_ENVIRONMENT: route.baseUrl } : sandbox.environment;
}
