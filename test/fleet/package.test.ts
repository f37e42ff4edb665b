import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import bundleOptions from '../../infra/bundle/esbuild.config.js';
import { type FleetPackage, packageFleet } from '../../infra/fleet/package-fleet.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;
let made: FleetPackage;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-fleet-package-'));
  made = await packageFleet(join(folder, 'first'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Names in the zip, from its central directory. */
function namesIn(zip: Buffer): string[] {
  const names: string[] = [];
  for (let at = zip.indexOf('PK\x01\x02', 'latin1'); at !== -1; at = zip.indexOf('PK\x01\x02', at + 4, 'latin1')) {
    names.push(zip.toString('utf8', at + 46, at + 46 + zip.readUInt16LE(at + 28)));
  }
  return names;
}

describe('npm run package:fleet', () => {
  it('makes one zip with the handlers that the template names, and code only', async () => {
    const template = await readFile(made.templateFile, 'utf8');
    const handlers = [...template.matchAll(/^ {6}Handler: ([\w-]+)\.handler$/gm)].map(([, name]) => `${name}.mjs`);
    expect(handlers).toHaveLength(3);
    const names = namesIn(made.zip);
    expect(names).toEqual(expect.arrayContaining(handlers));
    expect(names.filter((name) => !name.endsWith('.mjs'))).toEqual([]);
  });

  it('makes the same zip of the same code, byte by byte', async () => {
    expect((await packageFleet(join(folder, 'second'))).zipSha256).toBe(made.zipSha256);
  });

  it('is small enough to start fast', () => {
    expect(made.zip.length).toBeLessThanOrEqual(250_000);
  });
});

it('the code for one issuer has nothing of it', async () => {
  const { metafile } = await build({
    ...bundleOptions(),
    absWorkingDir: root,
    entryPoints: [join('src', 'handler.ts')],
    outdir: join(folder, 'one'),
    write: false,
    metafile: true,
    logLevel: 'error',
  });
  const foreign = /src\/fleet|client-dynamodb|client-sqs/;
  expect(Object.keys(metafile.inputs).filter((file) => foreign.test(file))).toEqual([]);
});
