import { execFile } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleHandler } from '../sandbox/bundle.ts';
import { startContainer } from '../sandbox/lambda/container.ts';
import { shellBlocks } from './support/page.ts';

// What a container says when it starts, and what somebody finds who has the bundle and `sha256sum`.

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const folder = join(root, '.build', 'start-line');
let handler: string;

beforeAll(async () => {
  ({ file: handler } = await bundleHandler(folder));
  // As in the zip, which has no source maps.
  const maps = (await readdir(dirname(handler))).filter((name) => name.endsWith('.map'));
  await Promise.all(maps.map((name) => rm(join(dirname(handler), name))));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The lines of the log that tell of a start. */
async function startsOf(environment: Readonly<Record<string, string>>, events = 0): Promise<Record<string, unknown>[]> {
  const container = await startContainer(handler, environment);
  for (let event = 0; event < events; event += 1) await container.invoke({}).catch(() => undefined);
  await container.kill('SIGTERM');
  return container.output
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ message }) => message === 'start');
}

const configured = {
  AWS_REGION: 'eu-west-1',
  D1_ISSUER_ID: 'ISSUER0001',
  D1_KEY_ID: 'key-1',
  D1_ENVIRONMENT: 'develop',
  D1_SIGNING_KEY_ID: 'alias/signing',
  D1_TOKEN_SECRET_ID: 'd1/token',
  D1_CLIENT_CERTIFICATE_SECRET_ID: 'd1/certificate',
};

describe('the line at start', () => {
  it('has the hash that the command of the page computes from the bundle', async () => {
    const page = await readFile(join(root, 'docs', 'infrastructure-as-code.md'), 'utf8');
    const command = shellBlocks(page).find((block) => block.includes('find . -type f'));
    const compute = command?.split('\n').filter((line) => line.startsWith('find ')) ?? [];
    expect(compute).toHaveLength(1);
    const { stdout } = await run('bash', ['-c', `set -euo pipefail\n${compute}`], { cwd: dirname(dirname(handler)) });

    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    expect(await startsOf(configured)).toEqual([
      expect.objectContaining({
        level: 'INFO',
        service: 'd1-token-broker',
        issuer_id: 'ISSUER0001',
        version,
        bundle_sha256: stdout.split(' ')[0],
      }),
    ]);
  });

  it('comes once a container, also when the configuration is wrong', async () => {
    expect(await startsOf({ AWS_REGION: 'eu-west-1' }, 2)).toHaveLength(1);
  });
});
