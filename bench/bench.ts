import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import { benchCodec } from './codec.ts';
import { benchColdStart } from './cold-start.ts';
import { benchCommands } from './commands.ts';
import { benchDependencies } from './dependencies.ts';
import { updateDependencies, updatePerformance, writePlots } from './documents.ts';
import { heapPerReader } from './heap-per-reader.ts';
import { plotColdStart, plotRefresh, plotSize } from './plots.ts';
import { benchReader } from './reader.ts';
import { benchRefreshLatency } from './refresh-latency.ts';
import { benchRuntimeIfInstalled } from './runtime.ts';
import { benchSize } from './size.ts';
import {
  codecTable,
  coldStartRatios,
  coldStartTable,
  commandsTable,
  dependencyTable,
  readerTable,
  refreshTable,
  runtimeTable,
  sizeTable,
  table,
} from './tables.ts';

// `npm run bench`: measures everything, prints it, and writes bench/results.json, the tables of docs/performance.md and
// docs/dependencies.md, and the plots, all from one run. Takes about two minutes on two idle cores.

const began = performance.now();
const load = loadavg();
const timed = async <T>(what: string, work: () => T | Promise<T>): Promise<T> => {
  const start = performance.now();
  const result = await work();
  console.error(`${what}: ${Math.round((performance.now() - start) / 1000)} s`);
  return result;
};

const size = await timed('size', benchSize);
const coldStart = await timed('cold start', () => benchColdStart());
const refresh = await timed('refresh latency', () => benchRefreshLatency());
const dependencies = await timed('dependencies', () => benchDependencies());
const runtime = await timed('Lambda runtime', benchRuntimeIfInstalled);
const codec = await timed('codec', benchCodec);
const commands = await timed('commands', benchCommands);
const reader = await timed('reader', async () => ({
  heap_bytes_per_reader: await heapPerReader(),
  ...(await benchReader()),
}));

const { dependencies: runtimeVersions, devDependencies } = manifest;
const machine = {
  processor: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memory_gigabytes: Math.round(totalmem() / 2 ** 30),
  system: `${type()} ${release()} ${process.arch}`,
  /** Above the number of cores, whole-process figures are noise. */
  load_before: load.map((value) => Number(value.toFixed(2))),
};
const versions = {
  node: process.versions.node,
  v8: process.versions.v8,
  openssl: process.versions.openssl,
  ...runtimeVersions,
  axios: devDependencies.axios,
  'ecdsa-sig-formatter': devDependencies['ecdsa-sig-formatter'],
  '@aws-lambda-powertools/parameters': devDependencies['@aws-lambda-powertools/parameters'],
  esbuild: devDependencies.esbuild,
  ...(runtime && { 'aws-lambda-ric': runtime.version }),
};

const blocks = {
  machine: table(
    ['machine', ''],
    [
      ['processor', `${machine.processor}, ${machine.cores} cores`],
      ['system', machine.system],
      ['load when it began', machine.load_before.join(', ')],
      ['Node', versions.node],
    ],
  ),
  'cold start ratios': coldStartRatios(coldStart),
  'cold start cached': coldStartTable(coldStart.cached),
  'cold start refresh': coldStartTable(coldStart.refresh),
  refresh: refreshTable(refresh),
  reader: readerTable(reader),
  codec: codecTable(codec),
  commands: commandsTable(commands),
  size: `The zip has ${size.zip_bytes.toLocaleString('en')} bytes, the bundle in it ${size.bytes.toLocaleString('en')}.\n\n${sizeTable(size)}`,
  dependencies: dependencyTable(dependencies),
  // The figures of an earlier run stay when the client is not installed.
  ...(runtime && { runtime: runtimeTable(runtime) }),
};
for (const [name, block] of Object.entries(blocks)) console.log(`\n${name}\n\n${block}`);
if (!runtime)
  console.log('\nnpm run bench:runtime measures the bundle under the Lambda runtime, which it installs first.');

const results = {
  machine,
  versions,
  cold_start: coldStart,
  refresh,
  reader,
  codec,
  commands,
  bundle: size,
  dependencies,
  runtime: runtime ?? null,
};
const root = join(import.meta.dirname, '..');
await writeFile(join(root, 'bench', 'results.json'), `${JSON.stringify(results, rounded, 2)}\n`);
await updatePerformance(blocks);
await updateDependencies(dependencies);
await writePlots({
  'cold-start': await plotColdStart(coldStart),
  refresh: await plotRefresh(refresh),
  size: await plotSize(size),
});
// What was generated is formatted like everything else.
execFileSync('npx', ['--no-install', 'biome', 'format', '--write', 'bench/results.json'], {
  cwd: root,
  stdio: 'ignore',
});
console.log(`\nbench/results.json is written, after ${Math.round((performance.now() - began) / 1000)} s.`);

/** Four digits after the point are more than any of it is worth. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toFixed(4)) : value;
}
