import { readFile } from 'node:fs/promises';
import { bundleHandler } from '../sandbox/bundle.ts';
import { startContainer } from '../sandbox/lambda/container.ts';
import { startSandbox } from '../sandbox/sandbox.ts';

// `node infra/measure.ts` (Linux): processor time and memory of the bundled function, from which docs/deploy.md chooses
// memory and timeout. Processor time, because in Lambda that is what memory buys: 1,769 MB are one processor.

const RUNS = 5;
/** AWS Lambda Developer Guide, "Configure Lambda function memory". */
const MEGABYTES_PER_PROCESSOR = 1_769;
const TICKS_PER_SECOND = 100;

const { file } = await bundleHandler();
const sandbox = await startSandbox();
const samples: { start: number; refresh: number; tick: number; megabytes: number }[] = [];
try {
  for (let run = 0; run < RUNS; run += 1) {
    const container = await startContainer(file, { ...sandbox.environment });
    const started = await processorMilliseconds(container.processId);
    await container.invoke({ force: true });
    const refreshed = await processorMilliseconds(container.processId);
    const ticks = 100;
    for (let tick = 0; tick < ticks; tick += 1) await container.invoke({ action: 'refresh' });
    const ticked = await processorMilliseconds(container.processId);
    samples.push({
      start: started,
      refresh: refreshed - started,
      tick: (ticked - refreshed) / ticks,
      megabytes: await peakMegabytes(container.processId),
    });
    await container.kill('SIGTERM');
    await forgetToken();
  }
} finally {
  await sandbox.close();
}

const median = (pick: (sample: (typeof samples)[number]) => number) =>
  samples.map(pick).sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? 0;

const rows = { 'start of the process': 'start', 'first refresh': 'refresh', 'idle tick': 'tick' } as const;
const at = (megabytes: number) => megabytes / MEGABYTES_PER_PROCESSOR;
process.stdout.write(
  '| Step | CPU ms here | at 256 MB | at 512 MB | at 1,024 MB |\n| --- | ---: | ---: | ---: | ---: |\n',
);
for (const [what, key] of Object.entries(rows)) {
  const cpu = median((sample) => sample[key]);
  const scaled = [256, 512, 1_024].map((megabytes) => (cpu / at(megabytes)).toFixed(0));
  process.stdout.write(`| ${what} | ${cpu.toFixed(1)} | ${scaled.join(' | ')} |\n`);
}
process.stdout.write(`Peak memory: ${median((sample) => sample.megabytes).toFixed(0)} MB. Median of ${RUNS} runs.\n`);

async function forgetToken(): Promise<void> {
  await sandbox.secretsManager.handle('PutSecretValue', {
    SecretId: sandbox.environment['D1_TOKEN_SECRET_ID'],
    ClientRequestToken: crypto.randomUUID(),
    SecretString: '{}',
  });
}

async function processorMilliseconds(processId: number): Promise<number> {
  const fields = (await readFile(`/proc/${processId}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  // proc(5): utime and stime, in clock ticks; they are fields 14 and 15, and the name ends field 2.
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}

async function peakMegabytes(processId: number): Promise<number> {
  const status = await readFile(`/proc/${processId}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}
