// `npm run test:examples`: the Python example against the sandbox, in a virtual environment with nothing but boto3.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ISSUER_ID, startSandbox } from '../../sandbox/sandbox.ts';

const root = join(import.meta.dirname, '../..');
const here = join(root, 'examples/python-lambda');
const environment = join(root, '.venv/examples');
const python = join(environment, 'bin/python');

// Two invocations of one container: the second has the token in memory, and D1 has revoked it in between.
const program = `
import json, sys
sys.path.insert(0, ${JSON.stringify(here)})
import handler
event = {"issuerId": ${JSON.stringify(ISSUER_ID)}}
print(json.dumps(handler.handler(event, None)), flush=True)
sys.stdin.readline()
print(json.dumps(handler.handler(event, None)), flush=True)
`;

if (!existsSync(python)) {
  execFileSync('python3', ['-m', 'venv', environment], { stdio: 'inherit' });
  const requirements = join(here, 'requirements.txt');
  execFileSync(python, ['-m', 'pip', 'install', '-q', '-r', requirements], { stdio: 'inherit' });
}

const sandbox = await startSandbox();
Object.assign(process.env, sandbox.environment);
// Reads its configuration when it is imported.
const { handler: broker } = await import('../../src/handler.ts');
const invoke = (event: unknown) => broker(event, { getRemainingTimeInMillis: () => 30_000 } as never);
try {
  await invoke({ action: 'refresh' });
  const { D1_TOKEN_SECRET_ID, D1_CLIENT_CERTIFICATE_SECRET_ID, AWS_ENDPOINT_URL } = sandbox.environment;
  const child = spawn(python, ['-c', program], {
    env: {
      PATH: process.env['PATH'],
      AWS_ENDPOINT_URL,
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'sandbox',
      AWS_SECRET_ACCESS_KEY: 'sandbox',
      D1_TOKEN_SECRET_ID,
      D1_CLIENT_CERTIFICATE_SECRET_ID,
      D1_API_ORIGIN: sandbox.d1.origin,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  let revoked: Promise<unknown> | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (revoked || !output.includes('\n')) return;
    sandbox.d1.revokeAccessTokens(ISSUER_ID);
    revoked = replaceRefused().then(() => child.stdin.end('\n'));
  });
  const [code] = await once(child, 'close');
  await revoked;
  const answers = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).status);
  if (code !== 0 || answers.join() !== 'ACTIVE,ACTIVE') throw new Error(`exit code ${code}, answers ${answers}`);
  process.stdout.write('examples/python-lambda: two calls to D1, the second after its token was revoked: fine\n');
} finally {
  await sandbox.close();
}

/** Somebody was refused, and says so: the broker stores another token. */
async function replaceRefused(): Promise<void> {
  const refused = await invoke({});
  if (!refused || !('obtained_at' in refused)) throw new Error('The broker gave no token.');
  await invoke({ newer_than: refused.obtained_at });
}
