import { type ExecFileException, execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';
import { type Bank, openBank } from '../support/bank.ts';

// The package as npm makes it, installed where nothing else is. Needs the registry, or npm's cache.

const MINUTES = 60_000;
const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'd1-token-broker-packed-'));
const project = join(folder, 'project');
const run = promisify(execFile);

beforeAll(async () => {
  // Packed from a copy: whoever else packs or tests in the same tree is not disturbed.
  const copy = join(folder, 'copy');
  mkdirSync(copy);
  for (const name of ['src', 'docs', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'README.md']) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  await run('npm', ['pack', '--pack-destination', folder], { cwd: copy });

  cpSync(join(root, 'examples'), project, { recursive: true });
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  const { devDependencies, dependencies } = (await import('../../package.json', { with: { type: 'json' } })).default;
  const wanted = ['@types/node', '@types/aws-lambda', '@middy/core', '@aws-lambda-powertools/logger'];
  const versions: Record<string, string> = { ...devDependencies, ...dependencies };
  const packages = wanted.map((name) => `${name}@${versions[name]}`);
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  await run('npm', ['install', ...options, join(folder, tarball()), ...packages], { cwd: project });
}, 10 * MINUTES);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The three lines; and what would pass if a type were lost on the way, as `any`. */
const TYPES = `
  import { createTokenReader } from 'd1-token-broker/reader';
  const d1 = createTokenReader({ secretId: process.env.D1_TOKEN_SECRET_ID });
  export const response: Response = await d1.fetch('https://api.d1.thalescloud.io/banking/v1/issuers/1');
  export const token: string = (await d1.token({ minRemainingSeconds: 60 })).access_token;
  // @ts-expect-error
  export const wrong: number = (await d1.token()).access_token;
  // @ts-expect-error
  await d1.token({ minRemainingSeconds: '60' });
  // @ts-expect-error
  createTokenReader({ secretId: 'x', clock: { now: () => 'now' } });
`;

const tarball = () => readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'no tarball';

describe('the packed package', () => {
  it('holds the reader, its types and its documents, and nothing of the broker', async () => {
    const { stdout } = await run('tar', ['-tzf', join(folder, tarball())]);
    const files = stdout.trim().split('\n').sort();
    expect(files).toContain('package/dist/reader/reader.js');
    expect(files).toContain('package/dist/reader/middy.d.ts');
    expect(files).toContain('package/docs/reader.md');
    const expected =
      /^package\/(dist\/((reader|shared)\/)?[\w-]+\.(js|d\.ts)|src\/shared\/token-record\.schema\.json|docs\/reader\.md|LICENSE|README\.md|package\.json)$/;
    expect(files.filter((file) => !expected.test(file))).toEqual([]);
    expect(files.filter((file) => /handler|broker\/|assertion|rotation|telemetry/.test(file))).toEqual([]);
  });

  it.each([
    ['node16', 'node16'],
    ['bundler', 'es2022'],
  ])(
    'has types under moduleResolution %s, for the examples too',
    async (moduleResolution, module) => {
      const compilerOptions = {
        ...{ moduleResolution, module, target: 'es2022', lib: ['es2023'], types: ['node'] },
        ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false },
      };
      writeFileSync(join(project, 'types.ts'), TYPES);
      const include = ['types.ts', 'typescript-lambda', 'powertools-lambda', 'container'];
      const file = join(project, `tsconfig.${moduleResolution}.json`);
      writeFileSync(file, JSON.stringify({ compilerOptions, include }));
      const checked = await run(join(root, 'node_modules/.bin/tsc'), ['-p', file], { cwd: project }).catch(
        (error: ExecFileException & { stdout: string }) => error,
      );
      // Middy's own types name an SDK that is not installed with it; ours must be without fault.
      const faults = checked.stdout.split('\n').filter((line) => /error TS/.test(line));
      expect(faults.filter((line) => !line.startsWith('node_modules/@middy/'))).toEqual([]);
    },
    2 * MINUTES,
  );

  it(
    'bundles with the Secrets Manager client, and no other',
    async () => {
      const { metafile, outputFiles } = await bundle('typescript-lambda/handler.ts');
      const packages = new Set(
        Object.keys(metafile.inputs).map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]),
      );
      expect([...packages].filter((name) => name?.startsWith('@aws-sdk/client-'))).toEqual([
        '@aws-sdk/client-secrets-manager',
      ]);
      for (const name of ['oauth4webapi', 'asn1.js', '@aws-lambda-powertools/logger', '@middy/core', 'undici']) {
        expect(packages).not.toContain(name);
      }
      const [output] = Object.values(metafile.outputs);
      const own = (part: RegExp) =>
        Object.entries(output?.inputs ?? {})
          .filter(([path]) => part.test(path))
          .reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
      const contents = outputFiles[0]?.contents ?? new Uint8Array();
      const sizes = {
        'whole bundle': contents.byteLength,
        'whole bundle, gzip': gzipSync(contents).byteLength,
        'd1-token-broker': own(/node_modules\/d1-token-broker\//),
        valibot: own(/node_modules\/valibot\//),
      };
      process.stdout.write(`a Lambda with the reader, minified, in bytes: ${JSON.stringify(sizes)}\n`);
      expect(sizes['d1-token-broker'] + sizes.valibot).toBeLessThan(40_000);
    },
    MINUTES,
  );

  it('says what to install when the broker is wanted and the Lambda client is not there', async () => {
    const script = `import { createTokenReader } from 'd1-token-broker/reader';
      const secretsManager = { send: async () => ({}) };
      const reader = createTokenReader({ secretId: 'x', brokerFunctionName: 'broker', secretsManager });
      await reader.token().catch((error) => console.log(error.code, error.message));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: project });
    expect(stdout).toMatch(/^BROKER_CLIENT_MISSING .*@aws-sdk\/client-lambda/);
  });
});

describe('the examples, on the packed package, against the sandbox', () => {
  let bank: Bank;
  let environment: Record<string, string | undefined>;
  beforeAll(async () => {
    bank = await openBank();
    await bank.container().tick();
    const { D1_TOKEN_SECRET_ID, D1_CLIENT_CERTIFICATE_SECRET_ID, ...rest } = bank.sandbox.environment;
    const aws = Object.fromEntries(Object.entries(rest).filter(([name]) => name.startsWith('AWS_')));
    environment = {
      ...{ PATH: process.env['PATH'], ...aws, D1_TOKEN_SECRET_ID, D1_CLIENT_CERTIFICATE_SECRET_ID },
      D1_API_ORIGIN: bank.sandbox.d1.origin,
    };
  });
  afterAll(() => bank.close());
  const node = (...parameters: string[]) => run(process.execPath, parameters, { cwd: project, env: environment });

  it.each(['typescript-lambda', 'powertools-lambda'])(
    '%s calls D1, bundled as it would be deployed',
    async (name) => {
      const { outputFiles } = await bundle(`${name}/handler.ts`);
      const file = join(project, `${name}.mjs`);
      writeFileSync(file, outputFiles[0]?.contents ?? '');
      const script = `import { handler } from ${JSON.stringify(file)};
        const context = { getRemainingTimeInMillis: () => 10_000, awsRequestId: '1', functionName: 'example' };
        const invoke = () => handler({ issuerId: ${JSON.stringify(ISSUER_ID)} }, context);
        console.log(JSON.stringify([await invoke(), await invoke()]));`;
      const before = bank.sandbox.calls.mark();
      const { stdout } = await node('--input-type=module', '-e', script);
      expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject([
        { issuerId: ISSUER_ID, status: 'ACTIVE' },
        { issuerId: ISSUER_ID, status: 'ACTIVE' },
      ]);
      expect(stdout).not.toMatch(/eyJ|PRIVATE/);
      const calls = bank.sandbox.calls.since(before);
      // The token and the client certificate, once each, however many invocations.
      expect(calls.filter(({ service }) => service === 'secretsmanager')).toHaveLength(2);
      expect(calls.filter(({ operation }) => operation === 'banking/issuers')).toHaveLength(2);
    },
    MINUTES,
  );

  it('container runs as a plain script', async () => {
    const { stdout } = await node('container/main.ts', ISSUER_ID);
    expect(stdout).toMatch(/^200 .*"status":"ACTIVE"/);
  });

  it('container says what to check when it is set up wrongly', async () => {
    const wrong = { ...environment, D1_TOKEN_SECRET_ID: 'd1/no-such-secret' };
    const failed = await run(process.execPath, ['container/main.ts', ISSUER_ID], { cwd: project, env: wrong }).catch(
      (error: ExecFileException & { stderr: string }) => error,
    );
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/^TOKEN_SECRET_MISSING: .*no-such-secret/) });
  });
});

function bundle(entry: string) {
  return build({
    entryPoints: [join(project, entry)],
    absWorkingDir: project,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
}
