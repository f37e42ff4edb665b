import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ISSUER_ID, KEY_ID } from '../../sandbox/sandbox.ts';
import { exitCodes } from '../../src/cli/frame/exit-code.ts';
import { openOperatedBank, runProgram, STAGE } from './operated-bank.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const validate = new Ajv2020({ strict: false }).compile(JSON.parse(read('src/cli/d1-token.schema.json')));

describe('the program', () => {
  it.each([
    ['no such command', ['cure']],
    ['no stage', ['doctor']],
    ['a flag that there is not', ['doctor', '--stage', 'a', '--hurry']],
    ['a stage with a slash', ['doctor', '--stage', 'a/b']],
    ['a file too few', ['key', 'verify', '--stage', 'a']],
  ])('ends with 2 for %s, and says so in the document, too', async (_what, inputs) => {
    const plain = await runProgram(inputs);
    expect([plain.code, plain.stdout]).toEqual([2, '']);
    expect(plain.stderr).not.toBe('');
    const { code, stdout, stderr } = await runProgram([...inputs, '--json']);
    expect([code, stderr]).toEqual([2, '']);
    const document = JSON.parse(stdout);
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    expect(document).toMatchObject({ outcome: 'usage', exit_code: 2, error: { code: 'USAGE' } });
  });

  it('shows its commands, and their flags with examples, without a word to AWS', async () => {
    const all = await runProgram(['--help']);
    expect(all.code).toBe(0);
    for (const command of [
      'doctor',
      'key',
      'certificate',
      'init',
      'status',
      'token',
      'queues',
      'logs',
      'adopt',
      'issuer',
    ]) {
      expect(all.stdout).toContain(`d1-token ${command}`);
    }
    expect((await runProgram(['doctor', '--help'])).stdout).toContain('Examples:');
  });

  it('without credentials ends with 4', async () => {
    const bank = await openOperatedBank();
    const place = { AWS_ENDPOINT_URL: bank.sandbox.environment['AWS_ENDPOINT_URL'] ?? '', AWS_REGION: 'eu-west-1' };
    const { code, stdout } = await runProgram(['doctor', '--stage', STAGE, '--json'], place);
    expect([code, JSON.parse(stdout).checks[0].error_code]).toEqual([4, 'NO_CREDENTIALS']);
  });

  it('has one table of exit codes, which its page shows', () => {
    for (const { code, means } of Object.values(exitCodes)) {
      expect(read('docs/cli.md')).toContain(`| ${code} | ${means} |`);
    }
  });
});

describe('each command', () => {
  it.each([
    ['doctor', []],
    ['status', []],
    ['key export', []],
    ['key rollover status', []],
    ['key rollover start', ['--kid', 'another', '--dry-run']],
    ['key rollover check', []],
    ['key rollover switch', []],
    ['key rollover back', []],
    ['key rollover finish', []],
    ['certificate show', []],
    ['certificate request', ['--common-name', 'a/b', '--dry-run']],
    ['certificate install', ['/nonexistent']],
    ['certificate back', []],
    ['token refresh', []],
    ['token inspect', []],
    ['queues show', []],
    ['queues purge', ['--dry-run']],
    ['logs', []],
    ['adopt', ['--file', '/nonexistent']],
  ] as const)('prints one document as the schema says, and nothing secret: %s', async (command, inputs) => {
    const bank = await openOperatedBank();
    await bank.tick();
    const { stdout, stderr, code } = await bank.run([...command.split(' '), '--stage', STAGE, '--json', ...inputs]);
    const document = JSON.parse(stdout);
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    expect([document.command, document.exit_code, stderr]).toEqual([command, code, '']);
    expect(stdout).not.toMatch(/eyJ[\w-]+\.[\w-]+|PRIVATE KEY/);
  });
});

describe('status, token, queues and logs', () => {
  it('tell what an operator wants to know', async () => {
    const bank = await openOperatedBank();
    await bank.tick();
    const status = await bank.json('status');
    expect(status).toMatchObject({
      exit_code: 0,
      facts: { key_id: KEY_ID, writes_within_24_hours: 1, last_error_code: null },
    });
    const { stdout } = await bank.run(['status', '--stage', STAGE]);
    expect(stdout).toMatch(/█+·* \d+ s left/);
    const inspected = await bank.json('token inspect');
    expect(inspected.facts).toMatchObject({ issuer_id: ISSUER_ID, key_id: KEY_ID, header: { alg: 'ES256' } });
    expect((await bank.run(['token', 'inspect', '--stage', STAGE])).stdout).toMatch(/exp: in \d+ s/);
    expect(await bank.json('token refresh')).toMatchObject({ facts: { refreshed: false, reason: 'fresh' } });
    expect((await bank.run(['logs', '--stage', STAGE])).stdout).toMatch(/✓ refresh: missing/);
  });

  it('tell of the last error, with its code and what to do', async () => {
    const bank = await openOperatedBank();
    await bank.tick();
    await bank.send({ action: 'sing' }).catch(() => {});
    expect((await bank.json('status')).facts).toMatchObject({ last_error_code: 'EVENT_INVALID' });
    const { stdout } = await bank.run(['logs', '--stage', STAGE]);
    expect(stdout).toMatch(/✗ EVENT_INVALID: .*\n {4}The README lists the accepted events\./);
  });

  it('show the errors in the queues, and empty them', async () => {
    const bank = await openOperatedBank();
    const body = JSON.stringify({
      responsePayload: { errorType: 'SIGNING_FAILED', errorMessage: 'KMS did not sign.' },
    });
    bank.sandbox.deployment.queues
      .get(`d1-token-broker-${STAGE}-failed-invocations`)
      ?.push({ body, sentAt: Date.now() });
    const shown = await bank.run(['queues', 'show', '--stage', STAGE]);
    expect([shown.code, shown.stdout]).toEqual([3, expect.stringContaining('SIGNING_FAILED: KMS did not sign.')]);
    expect((await bank.run(['queues', 'purge', '--stage', STAGE])).code).toBe(0);
    expect((await bank.json('queues show')).exit_code).toBe(0);
  });

  it('end with 1 where the secret holds no token', async () => {
    const bank = await openOperatedBank();
    expect(await bank.json('token inspect')).toMatchObject({ exit_code: 1, error: { code: 'TOKEN_SECRET_MISSING' } });
    expect((await bank.json('status')).exit_code).toBe(1);
  });
});

describe('init', () => {
  const answers = ['--environment', 'staging', '--issuer-id', ISSUER_ID, '--key-id', '00012345'];

  function parametersFile(text: string) {
    const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'params.yml');
    writeFileSync(file, text);
    return file;
  }

  it('writes the stage into the file of the checkout, and leaves every other line', async () => {
    const before = read('infra/params.yml');
    const file = parametersFile(before);
    const inputs = ['init', '--file', file, ...answers, '--json'];
    const dry = await runProgram([...inputs, '--stage', 'staging', '--dry-run']);
    expect([dry.code, readFileSync(file, 'utf8')]).toEqual([0, before]);

    expect((await runProgram([...inputs, '--stage', 'staging'])).code).toBe(0);
    const after = readFileSync(file, 'utf8');
    expect(after).toContain('  issuerId: "ISSUER0001"\n');
    expect(after).toContain('  keyId: "00012345"\n');
    expect(after).toContain(before.slice(0, before.indexOf('\nstaging:')));
    expect(after).toContain(before.slice(before.indexOf('\nproduction:')));
    const again = JSON.parse((await runProgram([...inputs, '--stage', 'staging'])).stdout);
    expect(again).toMatchObject({ exit_code: 1, error: { code: 'STAGE_EXISTS' } });

    expect((await runProgram([...inputs, '--stage', 'bank-two'])).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toContain('\n\nbank-two:\n');
  });

  it.each([
    ['an answer is missing', ['--environment', 'staging', '--issuer-id', ISSUER_ID]],
    ['an answer is wrong', ['--environment', 'nowhere', '--issuer-id', ISSUER_ID, '--key-id', 'k']],
  ])('ends with 2 when %s and nobody can be asked', async (_what, inputs) => {
    const file = parametersFile('default:\n');
    const { code } = await runProgram(['init', '--stage', 'staging', '--file', file, ...inputs]);
    expect([code, readFileSync(file, 'utf8')]).toEqual([2, 'default:\n']);
  });
});
