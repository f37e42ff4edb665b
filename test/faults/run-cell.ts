import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { CANARY } from '../../sandbox/faults/cut-off.ts';
import { CLIENT_CERTIFICATE_SECRET, TOKEN_SECRET } from '../../sandbox/sandbox.ts';
import { BrokerError } from '../../src/errors.ts';
import { TokenReaderError } from '../../src/reader/reader.ts';
import { schedulerTick, storedToken } from '../support/bank.ts';
import { type BrokerEntry, type Cell, type Entry, repeatsToken, rulesFor, waits } from './cells.ts';
import { AGE_MILLISECONDS, type Arrival, type FaultBank, openFaultBank } from './fault-bank.ts';
import type { LogLine, OutputCapture } from './output-capture.ts';
import { storeToken } from './store-token.ts';

export interface Observation {
  /** As in expected.ts: what came of it, what is stored, what was called, time on the injected clock, warnings. */
  readonly summary: string;
  readonly error: BrokerError | TokenReaderError | undefined;
  /** Anything thrown that is no error of the product's own. */
  readonly stray: unknown;
  readonly answer: Record<string, unknown> | undefined;
  readonly lines: readonly LogLine[];
  readonly correlationId: string;
  /** Seconds since 1970 UTC, at the end. */
  readonly now: number;
  /** What the stored token has left when the fault is over and a new container has had a tick. */
  readonly healedSeconds: number | undefined;
  readonly before: Record<string, unknown>;
  readonly after: Record<string, unknown>;
  /** Names of the secrets that were found where they must not be. */
  readonly leaks: readonly string[];
}

/** One cell: a new bank with an ageing token, the fault, one event, and then everything that can be seen of it. */
export async function runCell(cell: Cell, capture: OutputCapture): Promise<Observation> {
  const rules = rulesFor(cell);
  const bank = await openFaultBank({ hangs: waits(cell), repeats: repeatsToken(cell) });
  const { sandbox, clock } = bank;
  try {
    // A token that D1 is to repeat has to come from D1.
    if (repeatsToken(cell)) await bank.send(schedulerTick, randomUUID());
    else await storeToken(sandbox, Math.floor(clock.now() / 1000));
    clock.advance(AGE_MILLISECONDS);
    const heard: TokenReaderError[] = [];
    const act = await prepare(cell.entry, bank, (warning) => heard.push(warning));
    const { record: before } = await storedToken(sandbox);
    const began = clock.now();
    if (cell.fault === 'impostor') await bank.impersonateD1();
    if (cell.fault === 'distrusted') sandbox.d1.distrustClientAuthority(sandbox.clientAuthority.certificatePem);
    bank.arm(rules);
    const correlationId = randomUUID();
    let answer: Record<string, unknown> | undefined;
    let thrown: unknown;
    try {
      answer = (await act(correlationId)) as Record<string, unknown> | undefined;
    } catch (error) {
      thrown = error;
    }
    const calls = tally(cell.entry, bank.arrived);
    bank.arm([]);
    const seconds = Math.round((clock.now() - began) / 100) / 10;
    const error = thrown instanceof BrokerError || thrown instanceof TokenReaderError ? thrown : undefined;
    const lines = capture.linesOf(correlationId);
    const { record: after } = await storedToken(sandbox);
    const warned = [
      ...lines.filter(({ level }) => level === 'WARN').map(({ error_code }) => error_code),
      ...heard.map(({ code }) => code),
    ];
    const isReader = cell.entry.includes('reader');
    const got = answer?.['access_token'] === before['access_token'] ? 'got old' : 'got new';
    const outcome = error?.code ?? (isReader ? got : String(answer?.['source'] ?? answer?.['reason'] ?? 'done'));
    const stored = await storedState(bank, before);
    const leaks = await findLeaks(bank, [thrown, heard, lines, cell.entry === 'tick' ? answer : undefined]);
    const now = clock.now() / 1000;
    const trustIsGone = cell.fault === 'impostor' || cell.fault === 'distrusted';
    // What heals a repeated token is its end.
    if (repeatsToken(cell)) clock.advance(Number(before['expires_at']) * 1000 - clock.now());
    const healedSeconds = isReader || trustIsGone ? undefined : await heal(bank);
    return {
      summary: [outcome, stored, calls, `${seconds}s`, ...warned.map((code) => `!${code}`)].join(' '),
      error,
      stray: error ? undefined : thrown,
      answer,
      lines,
      correlationId,
      now,
      healedSeconds,
      before,
      after,
      leaks,
    };
  } finally {
    await bank.close();
  }
}

async function heal(bank: FaultBank): Promise<number> {
  await bank.send(schedulerTick, randomUUID());
  const { record } = await storedToken(bank.sandbox);
  return Number(record['expires_at']) - bank.clock.now() / 1000;
}

/** All that comes before the fault. */
async function prepare(
  entry: Entry,
  bank: FaultBank,
  hears: (warning: TokenReaderError) => void,
): Promise<(correlationId: string) => Promise<unknown>> {
  switch (entry) {
    case 'cold reader':
    case 'reader and broker': {
      const reader = await bank.reader(hears, entry === 'reader and broker');
      return () => reader.token({ minRemainingSeconds: entry === 'cold reader' ? 0 : 300 });
    }
    case 'warm reader': {
      const reader = await bank.reader(hears, false);
      await reader.token({ minRemainingSeconds: 0 });
      return () => reader.token({ minRemainingSeconds: 300 });
    }
    default: {
      const event = await eventFor(entry, bank);
      return (correlationId) => bank.send(event, correlationId);
    }
  }
}

async function eventFor(entry: BrokerEntry, bank: FaultBank): Promise<unknown> {
  if (entry === 'tick') return schedulerTick;
  if (entry === 'direct') return { min_remaining_seconds: 300 };
  if (entry === 'forced') return { force: true };
  const ClientRequestToken = randomUUID();
  await bank.sandbox.secretsManager.handle('RotateSecret', {
    SecretId: TOKEN_SECRET,
    ClientRequestToken,
    RotationLambdaARN: 'arn:aws:lambda:eu-west-1:000000000000:function:d1-token-broker',
  });
  const step = (Step: string) => ({ Step, SecretId: TOKEN_SECRET, ClientRequestToken });
  if (entry !== 'createSecret') {
    const now = Math.floor(bank.clock.now() / 1000);
    await storeToken(bank.sandbox, now, { versionId: ClientRequestToken, stages: ['AWSPENDING'] });
  }
  return step(entry);
}

/** `old` or `new`: the token that a consumer reads; and what is labelled AWSPENDING, if anything is. */
async function storedState({ sandbox }: FaultBank, before: Record<string, unknown>): Promise<string> {
  const { versionId, record } = await storedToken(sandbox);
  const state = record['access_token'] === before['access_token'] ? 'old' : 'new';
  const { VersionIdsToStages } = await sandbox.secretsManager.handle('DescribeSecret', { SecretId: TOKEN_SECRET });
  const stages = VersionIdsToStages as Record<string, string[]>;
  const pending = Object.keys(stages).find((id) => stages[id]?.includes('AWSPENDING'));
  if (pending === undefined) return state;
  if (pending === versionId) return `${state}+label`;
  const value = await sandbox.secretsManager
    .handle('GetSecretValue', { SecretId: TOKEN_SECRET, VersionId: pending })
    .catch(() => undefined);
  return value ? `${state}+pending` : `${state}+empty`;
}

/** Calls that arrived, in the order of the steps: reads, certificate reads, signatures, token requests, writes. */
function tally(entry: Entry, calls: readonly Arrival[]): string {
  const count = (operation: string, secretId?: string) =>
    calls.filter((call) => call.operation === operation && (!secretId || call.secretId === secretId)).length;
  const obtained = [
    count('GetSecretValue', CLIENT_CERTIFICATE_SECRET),
    count('Sign'),
    count('oauth2/token'),
    count('PutSecretValue'),
  ];
  const reads = count('GetSecretValue', TOKEN_SECRET);
  if (entry === 'cold reader' || entry === 'warm reader') return String(reads);
  if (entry === 'testSecret') return [count('DescribeSecret'), reads].join('·');
  if (entry === 'finishSecret') return [count('DescribeSecret'), reads, count('UpdateSecretVersionStage')].join('·');
  return (entry === 'createSecret' ? [count('DescribeSecret'), reads, ...obtained] : [reads, ...obtained]).join('·');
}

/** Looks for everything secret that this bank has: every token stored, the client key, the canary of made-up answers. */
async function findLeaks({ sandbox }: FaultBank, shown: readonly unknown[]): Promise<string[]> {
  const text = shown.map((value) => `${inspect(value, { depth: 9 })} ${JSON.stringify(value)}`).join('\n');
  const secrets = new Map<string, string>([['canary', CANARY]]);
  const certificate = await sandbox.secretsManager.handle('GetSecretValue', { SecretId: CLIENT_CERTIFICATE_SECRET });
  const key = String(JSON.parse(String(certificate['SecretString'])).private_key).split('\n');
  secrets.set('client key', key[1] ?? '');
  const { Versions } = (await sandbox.secretsManager.handle('ListSecretVersionIds', {
    SecretId: TOKEN_SECRET,
    IncludeDeprecated: true,
  })) as { Versions: { VersionId: string }[] };
  for (const { VersionId } of Versions) {
    const value = await sandbox.secretsManager
      .handle('GetSecretValue', { SecretId: TOKEN_SECRET, VersionId })
      .catch(() => undefined);
    if (!value) continue;
    const accessToken = String(JSON.parse(String(value['SecretString'])).access_token);
    secrets.set(`token ${VersionId}`, accessToken.split('.')[2] ?? accessToken);
  }
  // Any JWT: an assertion, or a token that was never stored.
  const found = [...secrets].filter(([, secret]) => text.includes(secret)).map(([name]) => name);
  if (/eyJ[\w-]{16}/.test(text)) found.push('a JWT');
  return found;
}
