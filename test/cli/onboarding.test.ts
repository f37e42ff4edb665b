import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { ISSUER_ID, KEY_ID } from '../../sandbox/sandbox.ts';
import { awsEnvironment, type OperatedBank, openOperatedBank } from './operated-bank.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const page = readFileSync(join(root, 'docs/onboarding.md'), 'utf8');
const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.trim().split('\n'));

/** What Thales does with what the bank sends: it provisions the key under its kid, and signs the request. */
async function thales({ sandbox }: OperatedBank, folder: string): Promise<void> {
  const sent = (name: string) => readFileSync(join(folder, name), 'utf8');
  const publicKey = createPublicKey(sent('d1-signing-key.pem')).export({ format: 'der', type: 'spki' });
  sandbox.d1.provisionIssuer({ issuerId: ISSUER_ID, keyId: KEY_ID, publicKey });
  writeFileSync(join(folder, 'd1-certificate.pem'), await sandbox.clientAuthority.sign(sent('d1.csr')));
}

it('The lines of docs/onboarding.md lead from an empty account to a stored token', async () => {
  const bank = await openOperatedBank({ stage: 'staging', isOnboarded: false });
  const { deployment } = bank.sandbox;
  Object.assign(deployment, { exists: false, schedule: { exists: true, state: 'DISABLED' } });
  deployment.parameters.set('Onboarded', 'false');
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'infra'));
  copyFileSync(join(root, 'infra', 'params.yml'), join(folder, 'infra', 'params.yml'));

  /** The pipeline's part: the first deployment makes the stack, the second one turns it on, and a tick comes. */
  async function deploy(): Promise<void> {
    if (!deployment.exists) {
      deployment.exists = true;
      return;
    }
    await deployment.update(new Map([['Onboarded', 'true']]));
    deployment.schedule.state = 'ENABLED';
    await bank.tick();
  }

  expect(lines.length).toBeGreaterThanOrEqual(9);
  for (const line of lines) {
    if (line.startsWith('npm run deploy ')) {
      await deploy();
      continue;
    }
    expect(line).toMatch(/^d1-token /);
    if (line.includes('certificate install')) await thales(bank, folder);
    const program = `d1-token() { '${process.execPath}' '${join(root, 'src', 'cli', 'main.ts')}' "$@"; }`;
    const { stdout } = await run('bash', ['-ec', `${program}\n${line}`], {
      cwd: folder,
      env: { PATH: process.env['PATH'], ...awsEnvironment(bank.sandbox) },
    }).catch((error: { stdout?: string; stderr?: string }) => {
      throw new Error(`${line}\n${error.stdout}${error.stderr}`);
    });
    expect(stdout).not.toMatch(/eyJ[\w-]+\.|PRIVATE KEY/);
  }
  expect(readFileSync(join(folder, 'infra', 'params.yml'), 'utf8')).toContain('issuerId: "ISSUER0001"');
  // Nothing but what Thales was sent and has sent lies about.
  expect(readdirSync(folder).sort()).toEqual(['d1-certificate.pem', 'd1-signing-key.pem', 'd1.csr', 'infra']);
});
