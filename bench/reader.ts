import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getSecret, SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { startSandbox, TOKEN_SECRET } from '../sandbox/sandbox.ts';
import { createTokenReader } from '../src/reader/reader.ts';
import { recordText, simulateDay } from './reader-day.ts';
import { median } from './statistics.ts';

// `npm run bench:reader`: the reader beside `getSecret` of @aws-lambda-powertools/parameters, which most Lambdas have.

const ROUNDS = 21;
const HITS_PER_ROUND = 200_000;
const CONCURRENT_CALLS = 1_000;

export interface ReaderBench {
  /** Nanoseconds of one cache hit, `await` included: median of rounds that alternate between the two. */
  readonly hit_nanoseconds: number;
  readonly powertools_hit_nanoseconds: number;
  readonly ratio_to_powertools: number;
  readonly requests_by_1000_concurrent_cold_calls: number;
  readonly powertools_requests_by_1000_concurrent_cold_calls: number;
  readonly days: readonly DayOf[];
  /** What an installation of the reader brings beside the SDK client, which is the consumer's own. */
  readonly install: { readonly packages: number; readonly megabytes: number };
}

export type DayOf = { readonly who: string } & Awaited<ReturnType<typeof simulateDay>>;

/** Runs everything; about half a minute. */
export async function benchReader(): Promise<ReaderBench> {
  const sandbox = await startSandbox();
  try {
    Object.assign(process.env, sandbox.environment);
    await sandbox.secretsManager.handle('PutSecretValue', {
      SecretId: TOKEN_SECRET,
      ClientRequestToken: randomUUID(),
      SecretString: recordText(Date.now() / 1000),
    });
    const hits = await measureHits();
    const reads = () => sandbox.calls.count('secretsmanager', 'GetSecretValue');
    const requestsOf = async (call: () => Promise<unknown>) => {
      const before = reads();
      await Promise.all(Array.from({ length: CONCURRENT_CALLS }, call));
      return reads() - before;
    };
    const reader = createTokenReader({ secretId: TOKEN_SECRET });
    const provider = new SecretsProvider({ awsSdkV3Client: new SecretsManagerClient({ maxAttempts: 1 }) });
    const days: DayOf[] = [{ who: 'd1-token-reader', ...(await simulateDay('reader')) }];
    for (const maxAge of [5, 300, 900]) {
      days.push({ who: `powertools getSecret, maxAge ${maxAge}`, ...(await simulateDay({ maxAge })) });
    }
    return {
      hit_nanoseconds: hits.ours,
      powertools_hit_nanoseconds: hits.theirs,
      ratio_to_powertools: hits.ours / hits.theirs,
      requests_by_1000_concurrent_cold_calls: await requestsOf(() => reader.token()),
      powertools_requests_by_1000_concurrent_cold_calls: await requestsOf(() =>
        provider.get(TOKEN_SECRET, { maxAge: 900, transform: 'json' }),
      ),
      days,
      install: measureInstall(),
    };
  } finally {
    await sandbox.close();
  }
}

/** Packed by npm and installed in an empty folder; its peers are left out, because the consumer has them already. */
function measureInstall(): ReaderBench['install'] {
  const root = join(import.meta.dirname, '..');
  const folder = mkdtempSync(join(tmpdir(), 'd1-token-reader-install-'));
  try {
    const npm = (cwd: string, ...parameters: string[]) => execFileSync('npm', parameters, { cwd, stdio: 'ignore' });
    npm(root, 'pack', '--workspace', 'd1-token-reader', '--pack-destination', folder);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    npm(folder, 'install', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund', `./${tarball}`);
    const files = readdirSync(join(folder, 'node_modules'), { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && entry.name !== '.package-lock.json',
    );
    const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    const isPackage = /node_modules\/(@[^/]+\/)?[^/@.][^/]*$/;
    const manifests = files.filter(({ parentPath, name }) => name === 'package.json' && isPackage.test(parentPath));
    return { packages: manifests.length, megabytes: bytes / 1e6 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureHits() {
  const reader = createTokenReader({ secretId: TOKEN_SECRET });
  const ours = async () => {
    for (let hit = 0; hit < HITS_PER_ROUND; hit += 1) await reader.token();
  };
  // The way its documentation shows: a text that is JSON, kept for as long as the token could live.
  const theirs = async () => {
    for (let hit = 0; hit < HITS_PER_ROUND; hit += 1) await getSecret(TOKEN_SECRET, { maxAge: 900, transform: 'json' });
  };
  const rounds: { ours: number; theirs: number }[] = [];
  // Two more rounds than counted, for the compiler to warm up.
  for (let round = -2; round < ROUNDS; round += 1) {
    const measured = { ours: await nanosecondsPerHit(ours), theirs: await nanosecondsPerHit(theirs) };
    if (round >= 0) rounds.push(measured);
  }
  return { ours: median(rounds.map((r) => r.ours)), theirs: median(rounds.map((r) => r.theirs)) };
}

async function nanosecondsPerHit(run: () => Promise<void>): Promise<number> {
  const began = process.hrtime.bigint();
  await run();
  return Number(process.hrtime.bigint() - began) / HITS_PER_ROUND;
}

function print(bench: ReaderBench): void {
  console.table({
    'd1-token-reader': {
      'ns per hit': Math.round(bench.hit_nanoseconds),
      'ratio to powertools': Number(bench.ratio_to_powertools.toFixed(2)),
      'requests, 1,000 cold calls': bench.requests_by_1000_concurrent_cold_calls,
    },
    '@aws-lambda-powertools/parameters': {
      'ns per hit': Math.round(bench.powertools_hit_nanoseconds),
      'ratio to powertools': 1,
      'requests, 1,000 cold calls': bench.powertools_requests_by_1000_concurrent_cold_calls,
    },
  });
  const { packages, megabytes } = bench.install;
  console.log(`\nAn installation brings ${packages} package(s), ${megabytes.toFixed(2)} MB, beside the SDK client.`);
  console.log('\nA simulated day: 100,000 reads by one container; 10 % of the refreshes and 10 % of the reads fail.');
  console.table(
    Object.fromEntries(
      bench.days.map(({ who, ...day }) => [
        who,
        {
          'expired tokens': day.expired_tokens,
          'failed callers': day.failed_callers,
          'GetSecretValue calls': day.requests,
        },
      ]),
    ),
  );
}

if (import.meta.main) print(await benchReader());
