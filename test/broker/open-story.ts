import { createHash, randomUUID } from 'node:crypto';
import { expect, onTestFinished, vi } from 'vitest';
import { AwsError, type Intercept as AwsIntercept } from '../../sandbox/aws/server.ts';
import type { Intercept as D1Intercept } from '../../sandbox/d1/server.ts';
import { CLIENT_CERTIFICATE_SECRET, ISSUER_ID, type SandboxOptions, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import type { TokenAnswer } from '../../src/events.ts';
import type { TokenRecord } from '../../src/shared/token-record.ts';
import { type Bank, type Container, type ContainerOptions, openBank, storedToken } from '../support/bank.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sampleRecord } from '../token-store/sample-record.ts';

/** What a test can break while its story goes on. */
export interface Faults {
  aws?: AwsIntercept | undefined;
  d1?: D1Intercept | undefined;
}

export interface Story extends Bank {
  /** As the bank's, but `token` answers sealed: a failing test must not print a token. `send` answers as the broker does. */
  container(overrides?: ContainerOptions): Container;
  readonly faults: Faults;
  /** Every call that the sandbox received since this was asked last, counted by name. */
  calls(): Record<string, number>;
  /** The error codes of what the broker has warned of since this was asked last. */
  warnings(): string[];
  /** Every log line of this story so far. */
  logLines(): Record<string, unknown>[];
  /** A clock that shows the bank's time and then stands still, for a container whose deadlines are the story. */
  ownClock(): FakeClock;
  /** Puts a record into the secret as another container would have, when it was obtained; gives its version id. */
  store(record: TokenRecord): Promise<string>;
  /** Puts a text, or a binary value, into the secret. */
  putAside(value: { SecretString: string } | { SecretBinary: string }): Promise<string>;
  /** A record that was obtained `age` seconds ago and was to live `life` seconds. */
  recordOf(age: number, life?: number): TokenRecord;
  /** The secret's current version: its id, its record without the token, and the token's fingerprint. */
  stored(): Promise<{ versionId: string; record: Record<string, unknown> }>;
  versionCount(): Promise<number>;
}

/** One refresh, whatever made it necessary. */
export const refreshCalls = {
  'GetSecretValue d1/access-token': 1,
  Sign: 1,
  'oauth2/token': 1,
  'PutSecretValue d1/access-token': 1,
};
/** What the first refresh of a container costs on top. */
export const certificateRead = { 'GetSecretValue d1/client-certificate': 1 };
/** What a secret without a value costs on top: whether it exists at all. */
export const existenceCheck = { 'DescribeSecret d1/access-token': 1 };
export const readOnly = { 'GetSecretValue d1/access-token': 1 };
/** A write that has failed before: of the first one the answer alone may have been lost, and a read tells. */
export const secondWrite = { 'GetSecretValue d1/access-token': 2, 'PutSecretValue d1/access-token': 1 };

/** A bank whose story is told in calls and warnings. It closes with the test, and then no token may have been printed. */
export async function openStory(
  options: Omit<SandboxOptions, 'clock' | 'awsIntercept' | 'd1Intercept'> = {},
): Promise<Story> {
  const faults: Faults = {};
  const printed = listen();
  const bank = await openBank({
    ...options,
    awsIntercept: (call, next, response) => (faults.aws ? faults.aws(call, next, response) : next()),
    d1Intercept: (request, next, response) => (faults.d1 ? faults.d1(request, next, response) : next()),
  });
  const { sandbox, clock } = bank;
  onTestFinished(async () => {
    await bank.close();
    printed.stop();
    expect(printed.everything()).not.toMatch(/eyJ[\w-]+\.[\w-]+/);
  });

  const nowSeconds = () => Math.floor(clock.now() / 1000);
  const operate = (operation: string, input: Record<string, unknown>) =>
    sandbox.secretsManager.handle(operation, { SecretId: TOKEN_SECRET, ...input });
  const putAside: Story['putAside'] = async (value) =>
    String((await operate('PutSecretValue', { ...value, ClientRequestToken: randomUUID() }))['VersionId']);
  let mark = sandbox.calls.mark();
  return {
    ...bank,
    container(overrides) {
      const container = bank.container(overrides);
      return { ...container, token: async (...call) => sealed(await container.token(...call)) };
    },
    faults,
    calls() {
      const counts: Record<string, number> = {};
      for (const { operation, input } of sandbox.calls.since(mark)) {
        const name = 'SecretId' in input ? `${operation} ${input['SecretId']}` : operation;
        counts[name] = (counts[name] ?? 0) + 1;
      }
      mark = sandbox.calls.mark();
      return counts;
    },
    warnings: printed.warnings,
    logLines: printed.logLines,
    ownClock: () => new FakeClock({ startsAt: clock.now() }),
    async store(record) {
      const age = clock.now() - record.obtained_at * 1000;
      clock.advance(-age);
      try {
        return await putAside({ SecretString: JSON.stringify(record) });
      } finally {
        clock.advance(age);
      }
    },
    putAside,
    recordOf: (age, life = 900) =>
      sampleRecord({
        access_token: `obtained-${age}-seconds-ago`,
        issuer_id: ISSUER_ID,
        expires_in: life,
        obtained_at: nowSeconds() - age,
        expires_at: nowSeconds() - age + life,
      }),
    async stored() {
      const { versionId, record } = await storedToken(sandbox);
      return { versionId, record: sealed(record) };
    },
    async versionCount() {
      const { Versions } = await operate('ListSecretVersionIds', { IncludeDeprecated: true });
      return (Versions as unknown[]).length;
    },
  };
}

/** A token in a form that a failing test may print. */
export const fingerprint = (token: unknown) => createHash('sha256').update(String(token)).digest('hex').slice(0, 16);

/** An answer, or a record, with its token's fingerprint in the token's place. */
export const sealed = <T extends TokenAnswer | Record<string, unknown>>(answer: T): T => ({
  ...answer,
  access_token: fingerprint(answer.access_token),
});

/** Refuses one operation on the token secret, or of KMS, in the name of AWS. */
export const refusing =
  (operation: string, type: string): AwsIntercept =>
  async (call, next) => {
    if (call.operation !== operation || call.input['SecretId'] === CLIENT_CERTIFICATE_SECRET) return next();
    throw new AwsError(type, 'refused by the test');
  };

/** D1 says no, for good: no retry. */
export const d1Refuses: D1Intercept = async () => ({
  status: 400,
  headers: { 'content-type': 'application/json' },
  body: '{"error":"invalid_grant","error_description":"refused by the test"}',
  outcome: 'invalid_grant',
});

/** D1 answers as it would, but for what `change` does to its JSON. */
export const d1Answers =
  (change: (body: Record<string, unknown>) => void): D1Intercept =>
  async (_request, next) => {
    const answer = await next();
    const body = JSON.parse(answer.body) as Record<string, unknown>;
    change(body);
    return { ...answer, body: JSON.stringify(body) };
  };

/** Takes what the process prints away from the terminal, and reads the log lines in it. */
function listen() {
  const chunks: string[] = [];
  const take = (chunk: unknown) => {
    chunks.push(String(chunk));
    return true;
  };
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation(take));
  let heard = 0;
  return {
    warnings(): string[] {
      const lines = chunks.join('').split('\n').slice(0, -1);
      const fresh = lines.slice(heard);
      heard = lines.length;
      return fresh
        .filter((line) => line.startsWith('{"level":"WARN"'))
        .map((line) => String(JSON.parse(line).error_code));
    },
    logLines: (): Record<string, unknown>[] =>
      chunks
        .join('')
        .split('\n')
        .filter((line) => line.startsWith('{"level"'))
        .map((line) => JSON.parse(line)),
    everything: () => chunks.join(''),
    stop: () => {
      for (const spy of spies) spy.mockRestore();
    },
  };
}
