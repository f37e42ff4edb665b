import { randomUUID } from 'node:crypto';
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
    const days: DayOf[] = [{ who: 'd1-token-broker/reader', ...(await simulateDay('reader')) }];
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
    };
  } finally {
    await sandbox.close();
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
    'd1-token-broker/reader': {
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
