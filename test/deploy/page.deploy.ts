import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shellBlocks } from '../support/page.ts';

// The commands of docs/deploy.md that need no AWS, as they stand there. They need bash and openssl.

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'd1-token-broker-page-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('the certificate request has the Common Name that Thales asks for, slashes and all', async () => {
  const page = await readFile(new URL('../../docs/deploy.md', import.meta.url), 'utf8');
  const request = shellBlocks(page).find((block) => block.includes('openssl req -new'));
  // Where the page says a file system in memory.
  const script = `set -euo pipefail\n${request?.replace('/dev/shm', folder)}`;
  const { stdout, stderr } = await run('bash', ['-c', script]);
  expect(stdout).toContain('subject=O = Example Bank, CN = TLSMA-ECC/ISSUER0001/PPR');
  expect(stdout + stderr).toContain('verify OK');
  const [csr, key] = await Promise.all(['d1.csr', 'd1-key.pem'].map((name) => readFile(join(folder, name), 'utf8')));
  expect(csr).toContain('-----BEGIN CERTIFICATE REQUEST-----');
  expect(key?.startsWith('-----BEGIN PRIVATE KEY-----')).toBe(true);
});
