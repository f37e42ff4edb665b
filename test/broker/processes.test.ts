import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AwsError, type Intercept } from '../../sandbox/aws/server.ts';
import { ISSUER_ID, type Sandbox, startSandbox, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { storedToken } from '../support/bank.ts';
import type { Said } from '../support/refresh-process.ts';
import { sampleRecord } from '../token-store/sample-record.ts';

describe('Twenty processes that refresh from the same version', () => {
  const PROCESSES = 20;

  it('leave at most thirteen new versions, the last of them current, and all get a token', async () => {
    // Nobody's write reaches Secrets Manager before everybody has read.
    const allHaveRead = Promise.withResolvers<void>();
    let reads = 0;
    const barrier: Intercept = async (call, next) => {
      if (call.operation === 'PutSecretValue') await allHaveRead.promise;
      const answer = await next();
      if (call.operation === 'GetSecretValue' && call.input['SecretId'] === TOKEN_SECRET) reads += 1;
      if (reads === PROCESSES) allHaveRead.resolve();
      return answer;
    };
    const sandbox = await startSandbox({ awsIntercept: barrier });
    onTestFinished(() => sandbox.close());
    const before = await storeDeadToken(sandbox);
    const processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(sandbox)));

    const answers = await Promise.all(processes.map((child, index) => ask(child, { force: index % 2 === 0 })));

    const { versionId, record } = await storedToken(sandbox);
    for (const said of answers) expect(said).toMatchObject({ kind: 'answer' });
    expect(answers.map((said) => said.kind === 'answer' && said.expiresAt)).toContain(record['expires_at']);

    const versions = await sandbox.secretsManager.handle('ListSecretVersionIds', {
      SecretId: TOKEN_SECRET,
      IncludeDeprecated: true,
    });
    const ids = (versions['Versions'] as { VersionId: string }[]).map(({ VersionId }) => VersionId);
    expect(ids[0]).toBe(before);
    expect(ids.at(-1)).toBe(versionId);
    // The first write is free; what follows is on the budget of forced writes.
    expect(ids.length).toBeLessThanOrEqual(2 + 12);
    // The race was one: every process had made a token of its own, and nineteen writes were refused.
    expect(sandbox.calls.count('d1', 'oauth2/token', ({ outcome }) => outcome === 'ok')).toBe(PROCESSES);
    const refused = ({ outcome }: { outcome: string }) => outcome === 'ResourceExistsException';
    expect(sandbox.calls.count('secretsmanager', 'PutSecretValue', refused)).toBeGreaterThanOrEqual(PROCESSES - 1);
  });

  it('would be told if they could not be', async () => {
    const sandbox = await startSandbox({
      awsIntercept: async (call, next) => {
        if (call.operation === 'Sign') throw new AwsError('DisabledException', 'refused by the test');
        return next();
      },
    });
    onTestFinished(() => sandbox.close());
    await storeDeadToken(sandbox);
    const child = await startProcess(sandbox);
    expect(await ask(child, {})).toMatchObject({ kind: 'failure', code: 'SIGNING_FAILED' });
  });
});

async function storeDeadToken({ secretsManager }: Sandbox): Promise<string> {
  const obtainedAt = Math.floor(Date.now() / 1000) - 1_000;
  const dead = sampleRecord({ issuer_id: ISSUER_ID, obtained_at: obtainedAt, expires_at: obtainedAt + 900 });
  const stored = await secretsManager.handle('PutSecretValue', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken: randomUUID(),
    SecretString: JSON.stringify(dead),
  });
  return String(stored['VersionId']);
}

/** A container in a process of its own, up and waiting for its event. */
async function startProcess(sandbox: Sandbox): Promise<ChildProcess> {
  const child = fork(new URL('../support/refresh-process.ts', import.meta.url), {
    // Twenty processes on a busy machine are slow: nothing may time out and be sent twice.
    env: {
      ...sandbox.environment,
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      D1_AWS_TIMEOUT_MILLISECONDS: '10000',
      D1_CONNECT_TIMEOUT_MILLISECONDS: '10000',
      D1_EXCHANGE_TIMEOUT_MILLISECONDS: '30000',
    },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill();
    await exited;
  });
  expect(await hear(child)).toEqual({ kind: 'ready' });
  return child;
}

async function ask(child: ChildProcess, event: object): Promise<Said> {
  const answer = hear(child);
  child.send(event);
  return await answer;
}

/** The next thing that a process says; its death is an answer too. */
async function hear(child: ChildProcess): Promise<Said> {
  const over = new AbortController();
  const { signal } = over;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([said]) => said as Said),
      once(child, 'exit', { signal }).then(([code]) => Promise.reject(new Error(`the process ended with ${code}`))),
    ]);
  } finally {
    over.abort();
  }
}
