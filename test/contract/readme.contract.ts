import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureVenv, requirementsIn } from '../support/python-server.ts';

// `npm run sandbox`, and what the README says to do with it: with the AWS CLI, boto3 and curl.

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The code blocks in this language that hold `mark`. */
const blocks = (language: string, mark: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))]
    .map(([, block]) => block ?? '')
    .filter((block) => block.includes(mark));
const [lines = ''] = blocks('sh', 'aws sts');
const [onDemand = ''] = blocks('sh', 'aws lambda invoke');
const [fromSecret = ''] = blocks('python', 'boto3');

let sandbox: ChildProcess;
let closed: Promise<unknown>;
let output = '';
let environment: Record<string, string>;
let python: string;

beforeAll(async () => {
  ({ python } = await ensureVenv('readme-tools', requirementsIn(new URL('tools.requirements.txt', import.meta.url))));
  // A process group of its own, so that Ctrl-C can be pressed.
  sandbox = spawn('npm', ['run', '-s', 'sandbox'], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  closed = once(sandbox, 'close');
  const isUp = Promise.withResolvers<void>();
  sandbox.once('exit', (code) => isUp.reject(new Error(`npm run sandbox ended with ${code}:\n${output}`)));
  sandbox.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (/refreshed \(missing\)/.test(output)) isUp.resolve();
  });
  await isUp.promise;
  const exported = [...output.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]);
  environment = Object.fromEntries(exported);
});

afterAll(() => pressControlC());

async function pressControlC(): Promise<void> {
  if (!sandbox?.pid) return;
  if (sandbox.exitCode === null && sandbox.signalCode === null) process.kill(-sandbox.pid, 'SIGINT');
  await closed;
}

/** Runs a line as the other shell does, with `aws` and `python` from the virtual environment. */
async function shell(line: string): Promise<string> {
  const setUp = `set -euo pipefail; aws() { ${python} -m awscli "$@"; }`;
  // Through a pipe, because Node's is a socket, and nobody can open /dev/stdout then.
  const script = `${setUp}\n{\n${line}\n} | cat`;
  const { stdout } = await promisify(execFile)('bash', ['--norc', '-c', script], {
    env: {
      PATH: process.env['PATH'],
      // Nothing of the person who runs this.
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_PAGER: '',
      ...environment,
    },
  });
  return stdout;
}

/** The one line of a block that holds `mark`. */
const lineWith = (mark: string) => lines.split('\n').find((line) => line.includes(mark)) ?? expect.fail(`no ${mark}`);

const callD1 = async () => JSON.parse(await shell(/^curl .*$/m.exec(output)?.[0] ?? expect.fail('no curl line')));

const isLive = { issuerId: 'ISSUER0001', status: 'ACTIVE' };

it('The AWS CLI finds the account and its secrets', async () => {
  expect(JSON.parse(await shell(lineWith('aws sts')))).toMatchObject({ Account: '000000000000' });
  expect(JSON.parse(await shell(lineWith('list-secrets')))).toEqual(['d1/access-token', 'd1/client-certificate']);
});

it('A rotation has a version id at once, and a little later the version is current', async () => {
  const { VersionId } = JSON.parse(await shell(lineWith('rotate-secret')));
  const versions = async () => JSON.parse(await shell(lineWith('describe-secret')));
  let labels = await versions();
  // Each look takes the CLI half a second.
  for (let looks = 0; looks < 20 && !labels[VersionId]?.includes('AWSCURRENT'); looks += 1) labels = await versions();
  expect(labels[VersionId]).toEqual(['AWSCURRENT']);
});

it('The line on demand gets a token from the function', async () => {
  const [answer = '', ...rest] = (await shell(onDemand)).split(/(?<=\})/);
  const { access_token, ...token } = JSON.parse(answer);
  expect(access_token.length).toBeGreaterThan(100);
  expect(token).toMatchObject({ issuer_id: 'ISSUER0001' });
  expect(JSON.parse(rest.join(''))).toEqual({ StatusCode: 200, ExecutedVersion: '$LATEST' });
});

it('The lines for any language read a token from the secret', async () => {
  const program = `import boto3, json, os\n${fromSecret}\nprint(headers["Authorization"][:10], len(headers["Authorization"]))`;
  const { stdout } = await promisify(execFile)(python, ['-c', program], { env: environment });
  expect(stdout).toMatch(/^Bearer eyJ \d{3}/);
});

it('boto3 invokes the function, and hears its error as Lambda reports it', async () => {
  const program = `
import boto3, json
answer = boto3.client("lambda").invoke(FunctionName="d1-token-broker", Payload=json.dumps({"action": "nonsense"}))
print(json.dumps([answer["FunctionError"], json.load(answer["Payload"])["errorType"]]))
try:
    boto3.client("lambda").invoke(FunctionName="other")
except boto3.client("lambda").exceptions.ResourceNotFoundException as error:
    print(json.dumps(error.response["Error"]["Code"]))`;
  const { stdout } = await promisify(execFile)(python, ['-c', program], { env: environment });
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([['Unhandled', 'EVENT_INVALID'], 'ResourceNotFoundException']);
});

it('The curl line calls D1, and hears 401 once after the line that orders it', async () => {
  expect(await callD1()).toMatchObject(isLive);
  expect(await shell(lineWith('unauthorized'))).toBe('From now on: d1.banking/issuers unauthorized nth=1\n');
  expect(await callD1()).toMatchObject({ error: 'invalid_token' });
  expect(await callD1()).toMatchObject(isLive);
});

it('Ctrl-C ends it, and takes the certificate files with it', async () => {
  const folder = dirname(environment['D1_CLIENT_CERTIFICATE_FILE'] ?? '');
  expect(dirname(folder)).toBe(tmpdir());
  expect(existsSync(folder)).toBe(true);
  await pressControlC();
  expect(output).toContain('The sandbox is down.');
  expect(existsSync(folder)).toBe(false);
});
