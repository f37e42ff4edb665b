import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ISSUER_ID } from '../../sandbox/sandbox.ts';
import { type Bank, openBank } from '../support/bank.ts';
import { openPackedProject, type PackedProject, root } from './packed-project.ts';
import { jestTest, types } from './packed-sources.ts';

// The package as npm makes it, in a project outside the checkout. What needs the registry is in test/reader/matrix.ts.

let project: PackedProject;
beforeAll(async () => {
  project = await openPackedProject();
});
afterAll(() => project?.remove());

const fine = { code: 0, stderr: '' };

describe('the packed package', () => {
  it('holds the reader, its types and its manual, and nothing of the broker', async () => {
    const { stdout } = await project.run('tar', ['-tzf', project.tarball]);
    const files = stdout.trim().split('\n').sort();
    for (const name of ['README.md', 'LICENSE', 'dist/token-record.schema.json', 'dist/cjs/reader/middy.d.ts']) {
      expect(files).toContain(`package/${name}`);
    }
    const expected =
      /^package\/(dist\/(esm|cjs)\/((reader|shared)\/[\w-]+\.(js|d\.ts)|package\.json)|dist\/token-record\.schema\.json|LICENSE|README\.md|package\.json)$/;
    expect(files.filter((file) => !expected.test(file))).toEqual([]);
    expect(files.filter((file) => /handler|assertion|rotation|telemetry|kms/.test(file))).toEqual([]);
  });

  it('depends on nothing: the SDK is a peer, and so are Lambda client and Middy, who need not be there', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'src/reader/package.json'), 'utf8'));
    expect(manifest).not.toHaveProperty('dependencies');
    expect(Object.keys(manifest.peerDependencies)).toEqual([
      '@aws-sdk/client-lambda',
      '@aws-sdk/client-secrets-manager',
      '@middy/core',
    ]);
    expect(Object.keys(manifest.peerDependenciesMeta)).toEqual(['@aws-sdk/client-lambda', '@middy/core']);
    for (const format of ['esm', 'cjs']) {
      const text = readFileSync(
        join(project.folder, `node_modules/d1-token-reader/dist/${format}/reader/reader.js`),
        'utf8',
      );
      const names = [...text.matchAll(/(?:from |require\(|import\()["']([^"']+)["']/g)].map((match) => match[1] ?? '');
      expect(names.filter((name) => !name.startsWith('node:')).sort()).toEqual([
        '@aws-sdk/client-lambda',
        ...Array.from(
          { length: names.filter((name) => name.includes('secrets')).length },
          () => '@aws-sdk/client-secrets-manager',
        ),
      ]);
    }
  });

  it('is clean to publint and to attw', async () => {
    const [publint, attw] = await Promise.all([
      project.run('publint', ['--strict', project.tarball]),
      project.run('attw', ['--profile', 'node16', '--format', 'ascii', '--no-emoji', project.tarball]),
    ]);
    expect(publint).toMatchObject({ code: 0, stdout: expect.stringContaining('All good!') });
    expect(attw).toMatchObject({ code: 0 });
  });

  it('is loaded as ESM and as CommonJS, and each copy knows the errors of the other', async () => {
    const script = `
      import { createRequire } from 'node:module';
      import * as esm from 'd1-token-reader';
      import { d1Token } from 'd1-token-reader/middy';
      const require = createRequire(import.meta.url);
      const cjs = require('d1-token-reader');
      const thrown = (make) => { try { make(); } catch (error) { return error; } };
      const of = (copy) => thrown(() => copy.createTokenReader());
      console.log(JSON.stringify([
        esm.TokenReaderError === cjs.TokenReaderError,
        [esm, cjs].map((one) => [esm, cjs].map((other) => one.TokenReaderError.is(of(other)))),
        thrown(() => d1Token({})) instanceof esm.TokenReaderError,
        thrown(() => require('d1-token-reader/middy').d1Token({})) instanceof cjs.TokenReaderError,
        require('d1-token-reader/token-record.schema.json').title,
      ]));`;
    const ran = await project.run('node', ['--input-type=module', '-e', script]);
    expect(ran).toMatchObject(fine);
    expect(JSON.parse(ran.stdout)).toEqual([
      false,
      [
        [true, true],
        [true, true],
      ],
      true,
      true,
      'Token record',
    ]);
  });

  it.each([
    ['ESM', "import { createTokenReader } from 'd1-token-reader';"],
    ['CommonJS', "const { createTokenReader } = require('d1-token-reader');"],
  ])(
    'says what to install when the broker is wanted and the Lambda client is not there (%s)',
    async (format, first) => {
      const script = `${first}
      const secretsManager = { send: async () => ({}) };
      const reader = createTokenReader({ secretId: 'x', brokerFunctionName: 'broker', secretsManager });
      reader.token().catch((error) => console.log(error.code, error.message));`;
      const type = format === 'ESM' ? 'module' : 'commonjs';
      const { stdout } = await project.run('node', [`--input-type=${type}`, '-e', script]);
      expect(stdout).toMatch(/^BROKER_CLIENT_MISSING .*@aws-sdk\/client-lambda/);
    },
  );

  it('bundles with the Secrets Manager client, and no other', async () => {
    const { metafile, outputFiles } = await build({
      entryPoints: [join(project.folder, 'typescript-lambda/handler.ts')],
      absWorkingDir: project.folder,
      ...{ bundle: true, minify: true, write: false, metafile: true, logLevel: 'error' },
      ...{ platform: 'node', format: 'esm', target: 'node24' },
    });
    const names = Object.keys(metafile.inputs).map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
    const packages = new Set(names);
    expect([...packages].filter((name) => name?.startsWith('@aws-sdk/client-'))).toEqual([
      '@aws-sdk/client-secrets-manager',
    ]);
    for (const name of ['valibot', 'asn1.js', '@aws-lambda-powertools/logger', '@middy/core', 'undici']) {
      expect(packages).not.toContain(name);
    }
    const [output] = Object.values(metafile.outputs);
    const own = Object.entries(output?.inputs ?? {})
      .filter(([path]) => path.includes('node_modules/d1-token-reader/'))
      .reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
    const contents = outputFiles[0]?.contents ?? new Uint8Array();
    const sizes = { whole: contents.byteLength, gzip: gzipSync(contents).byteLength, 'd1-token-reader': own };
    process.stdout.write(`a Lambda with the reader, minified, in bytes: ${JSON.stringify(sizes)}\n`);
    expect(own).toBeLessThan(45_000);
  });
});

describe('the types of the package', () => {
  // attw brings a TypeScript of its own, which is an older one.
  const older = join(root, 'node_modules/@arethetypeswrong/core/node_modules/typescript/bin/tsc');
  const pinned = join(root, 'node_modules/typescript/bin/tsc');

  it.each([
    ['node16', 'node16', pinned],
    ['nodenext', 'nodenext', pinned],
    ['bundler', 'es2022', pinned],
    ['node16', 'node16', older],
  ])(
    'are there under moduleResolution %s, in modules and CommonJS, without @types/aws-lambda',
    async (moduleResolution, module, tsc) => {
      project.write('types.mts', types);
      project.write('types.cts', types);
      const compilerOptions = {
        ...{ moduleResolution, module, target: 'es2022', lib: ['es2023'], types: ['node'] },
        ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: true },
      };
      const files = moduleResolution === 'bundler' ? ['types.mts'] : ['types.mts', 'types.cts'];
      project.write('tsconfig.types.json', { compilerOptions, files });
      expect(await project.run('node', [tsc, '-p', 'tsconfig.types.json'])).toEqual({ ...fine, stdout: '' });
    },
  );

  it('are without fault themselves, and the examples beside them', async () => {
    const compilerOptions = {
      ...{ moduleResolution: 'node16', module: 'node16', target: 'es2022', lib: ['es2023'], types: ['node'] },
      ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false },
    };
    const include = ['types.mts', 'typescript-lambda', 'powertools-lambda', 'container'];
    project.write('tsconfig.examples.json', { compilerOptions, include });
    const { stdout } = await project.run('node', [pinned, '-p', 'tsconfig.examples.json']);
    // Middy's own types name packages that are not there; ours must be without fault.
    const faults = stdout.split('\n').filter((line) => /error TS/.test(line));
    expect(faults.filter((line) => !/node_modules\/(@middy|@aws-lambda-powertools)\//.test(line))).toEqual([]);
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
      ...{ ...aws, D1_TOKEN_SECRET_ID, D1_CLIENT_CERTIFICATE_SECRET_ID },
      D1_API_ORIGIN: bank.sandbox.d1.origin,
    };
  });
  afterAll(() => bank?.close());

  /** The esbuild line in a file's comment or in the manual, run by a shell in the folder of a handler. */
  async function built(line: string, folder: string): Promise<string> {
    expect(await project.run('sh', ['-c', `cd ${folder} && ${line} --log-level=warning`])).toEqual({
      ...fine,
      stdout: '',
    });
    return `./${folder}/${/--outfile=(\S+)/.exec(line)?.[1]}`;
  }

  const lineAbove = (name: string) =>
    /^\/\/ +(esbuild .*)$/m.exec(readFileSync(join(root, 'examples', name, 'handler.ts'), 'utf8'))?.[1] ?? 'false';
  const manual = readFileSync(join(root, 'src/reader/README.md'), 'utf8').match(/^esbuild .*$/gm) ?? [];

  it.each<[string, string]>([
    ['typescript-lambda', lineAbove('typescript-lambda')],
    ['powertools-lambda', lineAbove('powertools-lambda')],
    ...manual.map((line): [string, string] => ['typescript-lambda', line]),
  ])('%s calls D1 as Lambda would load it, built by: %s', async (name, line) => {
    const file = await built(line, name);
    const script = `const { handler } = await import(${JSON.stringify(file)});
      const context = { getRemainingTimeInMillis: () => 10_000, awsRequestId: '1', functionName: 'example' };
      const invoke = () => handler({ issuerId: ${JSON.stringify(ISSUER_ID)} }, context);
      console.log(JSON.stringify([await invoke(), await invoke()]));`;
    const before = bank.sandbox.calls.mark();
    const { stdout, stderr } = await project.run('node', ['--input-type=module', '-e', script], environment);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject([
      { issuerId: ISSUER_ID, status: 'ACTIVE' },
      { issuerId: ISSUER_ID, status: 'ACTIVE' },
    ]);
    expect(stdout).not.toMatch(/eyJ|PRIVATE/);
    const calls = bank.sandbox.calls.since(before);
    // The token and the client certificate, once each, however many invocations.
    expect(calls.filter(({ service }) => service === 'secretsmanager')).toHaveLength(2);
    expect(calls.filter(({ operation }) => operation === 'banking/issuers')).toHaveLength(2);
  });

  it('there are two lines in the manual, one for each format', () => {
    expect(manual.map((line) => /--format=(\w+)/.exec(line)?.[1])).toEqual(['esm', 'cjs']);
  });

  it('container runs as a plain script, and ends by itself', async () => {
    const { code, stdout } = await project.run('node', ['container/main.ts', ISSUER_ID], environment);
    expect(stdout).toMatch(/^200 .*"status":"ACTIVE"/);
    expect(code).toBe(0);
  });

  it('a script that looks at the status alone ends by itself too', async () => {
    const script = `
      import { createTokenReader } from 'd1-token-reader';
      const { D1_TOKEN_SECRET_ID: secretId, D1_CLIENT_CERTIFICATE_SECRET_ID: clientCertificateSecretId } = process.env;
      const origin = process.env.D1_API_ORIGIN;
      const d1 = createTokenReader({ secretId, clientCertificateSecretId, allowedOrigins: [origin] });
      console.log((await d1.fetch(origin + '/banking/v1/issuers/${ISSUER_ID}')).status);
      process.on('exit', () => console.log(process.uptime() < 25 ? 'in time' : 'by a timeout'));`;
    const { stdout } = await project.run('node', ['--input-type=module', '-e', script], environment);
    expect(stdout).toBe('200\nin time\n');
  });

  it('container says what to check when it is set up wrongly', async () => {
    const wrong = { ...environment, D1_TOKEN_SECRET_ID: 'd1/no-such-secret' };
    expect(await project.run('node', ['container/main.ts', ISSUER_ID], wrong)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^TOKEN_SECRET_MISSING: .*no-such-secret/),
    });
  });

  it.each(['typescript-lambda', 'powertools-lambda', 'container'])(
    '%s has the command for a fresh clone above it',
    (name) => {
      const [file = ''] = readdirSync(join(root, 'examples', name)).filter((entry) => entry.endsWith('.ts'));
      const text = readFileSync(join(root, 'examples', name, file), 'utf8');
      expect(text).toContain(`\n//   npm ci && npm run example ${name}\n`);
    },
  );
});

describe('jest, as it is after npm init', () => {
  it('runs a CommonJS test of code with the reader, and aws-sdk-client-mock sees every call', async () => {
    project.link('@aws-sdk/client-lambda');
    project.write('jest/package.json', { name: 'jest-consumer', private: true });
    project.write('jest/reader.test.js', jestTest);
    const ran = await project.run('jest', ['--rootDir', 'jest', '--no-cache', '--ci']);
    expect(ran.stderr).toMatch(/Tests: +3 passed, 3 total/);
    expect(ran.code).toBe(0);
  });
});
