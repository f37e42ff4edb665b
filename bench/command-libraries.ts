import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import manifest from '../package.json' with { type: 'json' };
import { median } from './statistics.ts';
import { table } from './tables.ts';

// `npm run bench:libraries`: how long a program of one command takes to print its help, by the library that it is built on,
// beside a Node that does nothing; as it is installed, and in a bundle. Processor time tells on a busy machine, too. Installs commander into a folder of its own.

const RUNS = 41;
const packages = { '@stricli/core': manifest.devDependencies['@stricli/core'], commander: '15.1.0' };

const programs: Record<string, string> = {
  'bare Node': '',
  '@stricli/core': `
    import { buildApplication, buildCommand, buildRouteMap, run } from '@stricli/core';
    const flags = { stage: { kind: 'parsed', parse: String, brief: 'The stage' } };
    const doctor = buildCommand({ docs: { brief: 'Checks' }, parameters: { flags }, func() {} });
    const root = buildRouteMap({ routes: { doctor }, docs: { brief: 'A program' } });
    await run(buildApplication(root, { name: 'program' }), ['doctor', '--help'], { process });`,
  commander: `
    import { Command } from 'commander';
    const program = new Command('program').description('A program');
    program.command('doctor').description('Checks').requiredOption('--stage <stage>', 'The stage').action(() => {});
    program.parse(['doctor', '--help'], { from: 'user' });`,
};

/** Each program tells its own processor time as it ends. */
const told = `
  import { writeSync } from 'node:fs';
  process.on('exit', () => {
    const { user, system } = process.cpuUsage();
    writeSync(3, String((user + system) / 1000));
  });`;

const folder = mkdtempSync(join(tmpdir(), 'd1-bench-'));
try {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', dependencies: packages }));
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund'], { cwd: folder });
  const files: {
    readonly name: string;
    readonly bytes: number;
    readonly paths: readonly [string, string];
    readonly times: [number[], number[]];
    readonly processor: [number[], number[]];
  }[] = [];
  for (const [index, [name, text]] of Object.entries(programs).entries()) {
    const source = join(folder, `${index}.mjs`);
    const bundle = join(folder, `${index}.bundle.mjs`);
    writeFileSync(source, told + text);
    const { metafile } = await build({
      entryPoints: [source],
      outfile: bundle,
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'esm',
      metafile: true,
      // commander is CommonJS within.
      banner: { js: "import { createRequire as make } from 'node:module'; const require = make(import.meta.url);" },
    });
    files.push({
      name,
      bytes: Object.values(metafile.outputs)[0]?.bytes ?? 0,
      paths: [source, bundle],
      times: [[], []],
      processor: [[], []],
    });
  }
  // One after the other: whatever else the machine does, it does to all of them.
  for (let run = 0; run < RUNS; run += 1) {
    for (const { paths, times, processor } of files) {
      for (const way of [0, 1] as const) {
        const began = performance.now();
        const { output } = spawnSync(process.execPath, [paths[way]], {
          stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
        });
        times[way].push(performance.now() - began);
        processor[way].push(Number(output[3]));
      }
    }
  }
  const rows = files.map(({ name, bytes, times: [installed, bundled], processor }) => [
    name,
    median(installed).toFixed(1),
    median(bundled).toFixed(1),
    ...processor.map((values) => median(values).toFixed(1)),
    String(bytes),
  ]);
  console.log(
    table(
      ['program', 'as installed (ms)', 'in a bundle (ms)', 'processor (ms)', 'of the bundle (ms)', 'bytes of bundle'],
      rows,
    ),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
