import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID } from '../../sandbox/sandbox.ts';
import { awsEnvironment, type OperatedBank, openOperatedBank, STAGE } from './operated-bank.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const strace = await run('strace', ['-V']).then(
  () => true,
  () => false,
);

/** Pieces of the key as it might lie on a disk: of its PEM, and of its bytes. */
async function piecesOf({ sandbox }: OperatedBank, label: string): Promise<string[]> {
  const value = await sandbox.secretsManager.handle('GetSecretValue', {
    SecretId: CLIENT_CERTIFICATE_SECRET,
    VersionStage: label,
  });
  const body = String(JSON.parse(String(value['SecretString'])).private_key)
    .split('\n')
    .slice(1, -2)
    .join('');
  return [body.slice(60, 84), Buffer.from(body, 'base64').toString('latin1').slice(40, 52)];
}

it.skipIf(!strace)('Between request and install no byte of the private key is written to a file', async () => {
  const bank = await openOperatedBank();
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const written: string[] = [];
  const traced = (...inputs: string[]) => tracedFile(join(root, 'src', 'cli', 'main.ts'), ...inputs);
  const tracedFile = async (...inputs: string[]) => {
    const trace = join(folder, 'trace');
    const { stdout } = await run(
      'strace',
      [
        ...[
          '-f',
          '-qq',
          '-xx',
          '-s',
          '100000',
          '-y',
          '-e',
          'trace=write,writev,pwrite64,pwritev,pwritev2',
          '-o',
          trace,
        ],
        ...[process.execPath, ...inputs],
      ],
      {
        cwd: folder,
        maxBuffer: 2 ** 26,
        env: { PATH: process.env['PATH'], ...awsEnvironment(bank.sandbox) },
      },
    );
    // Sockets and pipes are no files; -y shows what a descriptor is.
    const files = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => /\(\d+<(?!socket:|pipe:|TCP|UNIX|anon_inode:)/.test(line));
    written.push(...files.map(decoded));
    rmSync(trace);
    return stdout;
  };
  const place = ['--stage', STAGE];
  const csr = await traced('certificate', 'request', ...place, '--common-name', `TLSMA-ECC/${ISSUER_ID}/PPR`);
  const pieces = await piecesOf(bank, 'WAITING');
  const pem = join(folder, 'certificate.pem');
  writeFileSync(pem, await bank.sandbox.clientAuthority.sign(csr));
  await traced('certificate', 'install', ...place, pem);
  expect(await piecesOf(bank, 'AWSCURRENT')).toEqual(pieces);
  // The net has no hole: what a file does get is caught in it.
  const control = "fs.writeFileSync('control', 'this is written to a file')";
  await tracedFile('-e', control);
  expect(written.some((text) => text.includes('this is written to a file'))).toBe(true);
  for (const piece of pieces) expect(written.some((text) => text.includes(piece))).toBe(false);
});

/** strace -xx writes every byte as \xNN. */
const decoded = (line: string) =>
  line.replace(/\\x([0-9a-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
