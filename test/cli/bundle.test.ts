import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it, onTestFinished } from 'vitest';
import { bundleCli } from '../../infra/bundle/bundle-cli.ts';
import bundleOptions from '../../infra/bundle/esbuild.config.js';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';
import { awsEnvironment, openOperatedBank, runFile, STAGE } from './operated-bank.ts';

const root = join(import.meta.dirname, '..', '..');
const LARGEST_GZIP_BYTES = 150_000;

it('The bundle of the commands is small without the SDK, and runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { file, gzipBytes, inputs } = await bundleCli(join(folder, 'cli'));
  expect(gzipBytes).toBeLessThan(LARGEST_GZIP_BYTES);
  expect(inputs.filter((input) => /src\/(broker|token-endpoint|assertion|trial|check|reader)\//.test(input))).toEqual(
    [],
  );
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const help = await runFile(file, ['doctor', '--help']);
  expect([help.code, help.stderr]).toEqual([0, '']);
  expect(help.stdout).toContain('d1-token doctor');
  const bank = await openOperatedBank();
  const certificate = (...inputs: string[]) =>
    runFile(file, ['certificate', ...inputs, '--stage', STAGE], awsEnvironment(bank.sandbox));
  const { stdout: request } = await certificate('request', '--common-name', `TLSMA-ECC/${ISSUER_ID}/PPR`);
  const pem = join(folder, 'certificate.pem');
  writeFileSync(pem, await bank.sandbox.clientAuthority.sign(request));
  const { code, stdout, stderr } = await certificate('install', pem);
  expect([code, stdout], stderr).toEqual([0, expect.stringContaining('The certificate is current.')]);
});

it("Nothing of the commands is in the function's bundle", async () => {
  const { metafile } = await build({
    ...bundleOptions(),
    absWorkingDir: root,
    entryPoints: [join('src', 'handler.ts')],
    outdir: 'never-written',
    write: false,
    metafile: true,
    logLevel: 'error',
  });
  const foreign = /(^|\/)src\/cli\/|@stricli|@peculiar|client-(cloudformation|scheduler|cloudwatch|sns|sqs|sts|lambda)/;
  expect(Object.keys(metafile.inputs).filter((input) => foreign.test(input))).toEqual([]);
});
