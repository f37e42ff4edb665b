import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { packageFleet } from '../../infra/fleet/package-fleet.ts';
import { issuerFields } from '../../src/fleet/issuer.ts';
import { shellBlocks } from '../support/page.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = (file: string) => readFileSync(join(root, file), 'utf8');
const page = text('docs/many-issuers.md');
const template = text('infra/fleet/template.yml');

/** The first cells of the table with this head. */
function firstCells(head: string): string[] {
  const [, after = ''] = page.split(`| ${head} |`);
  const [table = ''] = after.split('\n\n');
  return [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, cell = '']) => cell);
}

describe('docs/many-issuers.md', () => {
  it('deploys what npm run package:fleet leaves, with parameters that the template has', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'd1-token-fleet-page-'));
    const { zipSha256 } = await packageFleet(folder);
    const standIns = `BUCKET=bank; npm() { :; }; cd() { builtin cd ${folder}; }; aws() { printf '%s\\n' "$*"; }`;
    const script = `set -euo pipefail\n${standIns}\n${shellBlocks(page)[0]}`;
    const { stdout } = await promisify(execFile)('bash', ['-c', script]).finally(() => rm(folder, { recursive: true }));
    const [copy = '', deployment = ''] = stdout.split('\n');
    expect(copy).toBe(`s3 cp d1-token-fleet.zip s3://bank/d1-token-fleet/${zipSha256}.zip`);
    expect(deployment).toContain(`CodeBucket=bank CodeKey=d1-token-fleet/${zipSha256}.zip Stage=staging`);
  });

  it('has the fields of an issuer, in their order', () => {
    expect(firstCells('Field')).toEqual(issuerFields);
  });

  it('has the parameters of the template, with their defaults', () => {
    const [, parameters = ''] = /^Parameters:\n([\s\S]*?)\n^Conditions:/m.exec(template) ?? [];
    const named = [...parameters.matchAll(/^ {2}(\w+):\n((?: {4}.*\n?)+)/gm)];
    expect(firstCells('Parameter')).toEqual(named.map(([, name]) => name));
    for (const [, name, body = ''] of named) {
      const [, value = ''] = /Default: "?([^"\n]*)/.exec(body) ?? [];
      expect(page).toContain(`| \`${name}\` |${value && ` \`${value}\``} |`);
    }
  });

  it('has the alarms of the template, each with its kind', () => {
    const alarms = [...template.matchAll(/AlarmName: !Sub d1-token-fleet-\$\{Stage\}-([\w-]+)\n.*\n *([A-Z]+):/g)];
    expect(firstCells('Alarm')).toEqual(alarms.map(([, name]) => name));
    for (const [, name, kind = ''] of alarms) expect(page).toContain(`| \`${name}\` | ${kind.toLowerCase()} |`);
  });

  it('names outputs that the template has', () => {
    const [, outputs = ''] = template.split('\nOutputs:\n');
    const named = [...page.matchAll(/`(\w+(?:Name|Url))`/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(3);
    for (const name of named) expect(outputs).toContain(`  ${name}:\n`);
  });

  it('names tests that there are', () => {
    const named = [...page.matchAll(/`(test\/[\w./-]+)`(?:[^`]{0,3}`([^`]+)`)?/g)];
    expect(named.length).toBeGreaterThan(8);
    for (const [, file = '', name] of named) {
      expect(existsSync(join(root, file)), file).toBe(true);
      if (name && !name.startsWith('test/')) expect(text(file), file).toContain(name);
    }
  });

  it('says what the functions reserve together', () => {
    const reserved = [...template.matchAll(/ReservedConcurrentExecutions: (\d+)/g)].map(([, number]) => Number(number));
    expect(page).toContain(`reserves ${reserved.reduce((sum, one) => sum + one, 0)} concurrent invocations`);
  });
});
