import { setTimeout as delay } from 'node:timers/promises';
import type { TickAnswer } from '../src/app.ts';
import { bundleHandler } from './bundle.ts';
import { startContainer } from './lambda/container.ts';
import { startSandbox } from './sandbox.ts';
import { schedulerTick } from './scheduler-tick.ts';
import { narrator } from './story/narrator.ts';

// `npm run sandbox`
const TICK_MILLISECONDS = 5_000;

const { title, line, failed } = narrator;
// It may stay up for days, and the version quota is not what it shows.
const sandbox = await startSandbox({ secretsManager: { versionQuota: 'none' } });
const container = await startContainer((await bundleHandler()).file, sandbox.environment);

title('The sandbox is up. Paste this into another shell:');
for (const [variable, value] of Object.entries(sandbox.environment)) console.log(`export ${variable}='${value}'`);
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
await sandbox.close();
title('The sandbox is down.');
