import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../../sandbox/faults/rule.ts';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { writeCertificateFiles } from '../../sandbox/stay-up/certificate-files.ts';
import { startFaultServer } from '../../sandbox/stay-up/fault-server.ts';
import { readOptions, UsageError } from '../../sandbox/stay-up/options.ts';

// What `npm run sandbox` is made of. test/contract/readme.contract.ts runs it.

const main = join(import.meta.dirname, '../../sandbox/stay-up.ts');

const run = (...args: string[]) =>
  new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(process.execPath, [main, ...args], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });

describe('The command line', () => {
  it('has an answer for everything that is left out', () => {
    expect(readOptions([])).toEqual({ faults: [], tokenLifetimeSeconds: 900, logs: false, port: undefined });
  });

  it('is read as --help says', () => {
    const rule = 'd1.banking/issuers unauthorized nth=1';
    const args = ['--token-lifetime', '60', '--logs', '--port=4566', '--fault', rule, '--fault', 'kms.Sign hang'];
    expect(readOptions(args)).toMatchObject({
      faults: [{ call: 'd1.banking/issuers', fault: { kind: 'unauthorized' } }, { call: 'kms.Sign' }],
      tokenLifetimeSeconds: 60,
      logs: true,
      port: 4566,
    });
    expect(readOptions(['--port', 'x', '--help'])).toBe('help');
  });

  it.each([
    [['--port', '0'], '--port must be a whole number from 1 to 65533.'],
    [['--port', '65534'], '--port must be a whole number from 1 to 65533.'],
    [['--token-lifetime', '1.5'], '--token-lifetime must be a whole number from 1 to 86400.'],
    [['--fault', 'kms.Sign explode'], 'The fault rule "kms.Sign explode" is wrong'],
    [['--nonsense'], "Unknown option '--nonsense'."],
    [['more'], "Unexpected argument 'more'."],
    [['--logs=3'], "Option '--logs' does not take an argument."],
    [['--port'], "Option '--port <value>' argument missing."],
  ])('%j is refused: %s', (args, sentence) => {
    expect(() => readOptions(args)).toThrow(UsageError);
    expect(() => readOptions(args)).toThrow(sentence);
  });

  it('that is wrong ends the process with a sentence and exit code 2', async () => {
    const { code, stdout, stderr } = await run('--port', 'x');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^.*--port must be a whole number.* npm run sandbox -- --help lists the options\.\n$/);
  });

  it('that asks for help gets it, with every option', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const option of ['--token-lifetime SECONDS', '--logs', '--port PORT', '--fault RULE', '--help']) {
      expect(stdout).toContain(option);
    }
  });

  it('that names a port which is taken ends the process with a sentence', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve(Number(Object(server.address()).port))),
    );
    const { code, stderr } = await run('--port', String(port));
    server.close();
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(`^.*Port ${port} cannot be had: give another one with --port.\n$`),
    ]);
  });
});

describe('The server for faults', () => {
  const added: (FaultRule | 'end')[] = [];
  let server: Awaited<ReturnType<typeof startFaultServer>>;
  beforeEach(async () => {
    added.length = 0;
    server = await startFaultServer({ add: (rule) => added.push(rule), end: () => added.push('end') });
  });
  afterEach(() => server.close());

  const send = async (method: string, body?: string) => {
    const response = await fetch(server.url, { method, ...(body !== undefined && { body }) });
    return [response.status, await response.text()];
  };

  it('adds a rule, and ends all of them', async () => {
    expect(await send('POST', ' kms.Sign hang \n')).toEqual([200, 'From now on: kms.Sign hang\n']);
    expect(await send('DELETE')).toEqual([200, 'No faults any more.\n']);
    expect(added).toEqual([{ call: 'kms.Sign', fault: { kind: 'hang' }, when: {} }, 'end']);
  });

  it('says what is wrong with what it does not understand', async () => {
    expect(await send('POST', 'kms.Sign explode')).toEqual([400, expect.stringMatching(/there is no fault "explode"/)]);
    expect(await send('GET')).toEqual([400, 'POST a fault rule, or DELETE all of them.\n']);
    expect(added).toEqual([]);
  });
});

it("The certificate files hold what the secret holds, and are the owner's alone", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stay-up-test-'));
  const sandbox = await startSandbox();
  try {
    const files = writeCertificateFiles(folder, await sandbox.clientCertificateSecret());
    const certificate = new X509Certificate(readFileSync(files.clientCertificate));
    expect(certificate.subject).toContain('ISSUER0001');
    expect(readFileSync(files.privateKey, 'utf8').startsWith('-----BEGIN PRIVATE KEY')).toBe(true);
    expect(new X509Certificate(readFileSync(files.authority)).subject).toBe('CN=Sandbox Server CA');
    expect(Object.values(files).map((file) => statSync(file).mode & 0o077)).toEqual([0, 0, 0]);
  } finally {
    await sandbox.close();
    rmSync(folder, { recursive: true });
  }
});
