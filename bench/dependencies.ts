import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import bundleOptions from '../infra/bundle/esbuild.config.js';
import { median } from './statistics.ts';
import { dependencyTable } from './tables.ts';

// `npm run bench:dependencies`: what each runtime dependency adds, in bytes of bundle and in milliseconds of cold start.
// What is imported is what src/ imports, so that tree shaking works as it does in the product.

const RUNS = 21;
const imports: Record<string, string> = {
  nothing: '',
  '@aws-sdk/client-secrets-manager':
    "import { GetSecretValueCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'; globalThis.used = [GetSecretValueCommand, PutSecretValueCommand, new SecretsManagerClient({ region: 'x' })];",
  '@aws-sdk/client-kms':
    "import { KMSClient, SignCommand } from '@aws-sdk/client-kms'; globalThis.used = [SignCommand, new KMSClient({ region: 'x' })];",
  'asn1.js': "import asn1 from 'asn1.js'; globalThis.used = asn1.define('X', function () { this.int(); });",
  valibot:
    "import * as v from 'valibot'; globalThis.used = v.pipe(v.looseObject({ a: v.optional(v.string()) }), v.check(() => true));",
  '@aws-lambda-powertools/logger':
    "import { Logger } from '@aws-lambda-powertools/logger'; globalThis.used = new Logger();",
  '@aws-lambda-powertools/metrics':
    "import { Metrics } from '@aws-lambda-powertools/metrics'; globalThis.used = new Metrics();",
};

export interface DependencyCost {
  readonly name: string;
  /** Added to the bundle, minified. */
  readonly bytes: number;
  /** Added to a process that does nothing, until it has ended. */
  readonly milliseconds: number;
}

/** Each dependency alone in a bundle, made with the options of our own. */
export async function benchDependencies(runs = RUNS): Promise<DependencyCost[]> {
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-broker-bench-'));
  const root = join(import.meta.dirname, '..');
  const { outExtension: _, ...options } = bundleOptions();
  const bundles = await Promise.all(
    Object.entries(imports).map(async ([name, contents], index) => {
      const outfile = join(folder, `${index}.mjs`);
      const stdin = { contents, resolveDir: root };
      const { metafile } = await build({
        ...options,
        splitting: false,
        sourcemap: false,
        stdin,
        outfile,
        metafile: true,
      });
      return { name, outfile, bytes: Object.values(metafile.outputs)[0]?.bytes ?? 0, times: [] as number[] };
    }),
  );
  // Interleaved: whatever else the machine does, it does to all of them.
  for (let run = 0; run < runs; run += 1) {
    for (const bundle of bundles) {
      const began = process.hrtime.bigint();
      execFileSync(process.execPath, [bundle.outfile], { stdio: 'ignore' });
      bundle.times.push(Number(process.hrtime.bigint() - began) / 1e6);
    }
  }
  rmSync(folder, { recursive: true });
  const [nothing, ...rest] = bundles.map(({ name, bytes, times }) => ({ name, bytes, milliseconds: median(times) }));
  return rest.map(({ name, bytes, milliseconds }) => ({
    name,
    bytes: bytes - (nothing?.bytes ?? 0),
    milliseconds: milliseconds - (nothing?.milliseconds ?? 0),
  }));
}

if (import.meta.main) console.log(dependencyTable(await benchDependencies()));
