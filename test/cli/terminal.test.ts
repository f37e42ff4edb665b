import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';
import { awsEnvironment, openOperatedBank, STAGE } from './operated-bank.ts';

const root = join(import.meta.dirname, '..', '..');

/** Runs the program on a real pseudo-terminal, made by script(1), and types an answer whenever a question ends in ": ". */
function onTerminal(inputs: readonly string[], answers: readonly string[], environment: Record<string, string>) {
  const command = [process.execPath, join(root, 'src', 'cli', 'main.ts'), ...inputs].map((one) => `'${one}'`).join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm', SHELL: '/bin/sh', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let text = '';
  let answered = 0;
  const waiting = [...answers];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const seen = visible(text);
    // A question comes in pieces, the last ones of which move the cursor only.
    if (!seen.endsWith(': ') || seen.length === answered || waiting.length === 0) return;
    answered = seen.length;
    child.stdin.write(`${waiting.shift()}\n`);
  });
  return new Promise<{ code: number | null; text: string }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, text }));
  });
}

/** Without what moves the cursor. */
const visible = (text: string) =>
  text
    .split('\u001b')
    .map((part, index) => (index === 0 ? part : part.replace(/^\[[0-9;]*[A-Za-z]/, '')))
    .join('');

it('On production a person is asked for the issuer id, and nothing happens without it', async () => {
  const bank = await openOperatedBank();
  bank.sandbox.deployment.changedByHand['D1_ENVIRONMENT'] = 'production';
  const inputs = ['key', 'rollover', 'start', '--stage', STAGE, '--kid', 'bank-2027'];
  const wrong = await onTerminal(inputs, ['ISSUER0002'], awsEnvironment(bank.sandbox));
  expect([wrong.code, wrong.text]).toEqual([2, expect.stringContaining('That is not the issuer id.')]);
  const right = await onTerminal(inputs, [ISSUER_ID], awsEnvironment(bank.sandbox));
  expect([right.code, right.text]).toEqual([0, expect.stringContaining('The candidate is next, kid bank-2027')]);
});

it('Colours are for a terminal, and NO_COLOR ends them', async () => {
  const bank = await openOperatedBank();
  await bank.tick();
  const status = ['status', '--stage', STAGE];
  expect((await onTerminal(status, [], awsEnvironment(bank.sandbox))).text).toContain('\u001b[32m');
  const plain = await onTerminal(status, [], { ...awsEnvironment(bank.sandbox), NO_COLOR: '1' });
  expect(plain.text).not.toContain('\u001b');
});

it('init asks for what no flag says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'params.yml');
  writeFileSync(file, 'default:\n  onboarded: false\n');
  const inputs = ['init', '--stage', 'staging', '--file', file, '--environment', 'staging'];
  const { code } = await onTerminal(inputs, [ISSUER_ID, 'bank-2026', '', '', ''], {});
  expect(code).toBe(0);
  expect(readFileSync(file, 'utf8')).toContain('keyId: "bank-2026"');
});
