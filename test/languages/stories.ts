import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BROKER_FUNCTION } from '../../sandbox/sandbox.ts';
import { type Consumer, ISSUER_ID, openConsumer } from '../reader/open-consumer.ts';
import { storedToken } from '../support/bank.ts';
import { type Program, type SampleProcess, startSample } from './sample-process.ts';

interface Stage {
  readonly consumer: Consumer;
  readonly sample: SampleProcess;
  /** Requests at D1's banking API so far. */
  requests(): number;
  /** Every token that D1 got up to now is refused from here on. */
  revoke(): void;
}

export interface Story {
  readonly name: string;
  /** Whether the sample is told the broker's name. */
  readonly withBroker: boolean;
  tell(stage: Stage): Promise<void>;
}

interface TokenRecords {
  readonly record: Record<string, unknown>;
  readonly cases: readonly { name: string; field: string; value: unknown; valid: boolean }[];
}

export const tokenRecordsFile = join(import.meta.dirname, 'token-records.json');
export const tokenRecords: TokenRecords = JSON.parse(readFileSync(tokenRecordsFile, 'utf8'));

const CROWD = 20;
const all = (answer: string) => Array<string>(CROWD).fill(answer);

/** What docs/contract.md says, one rule after the other. The sandbox's clock stands still until a story moves it. */
export const stories: readonly Story[] = [
  {
    name: 'one read for many, and none while the token lives',
    withBroker: true,
    async tell({ consumer, sample }) {
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(consumer.reads(), 1);
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(consumer.reads(), 1);
      assert.equal(consumer.invocations.length, 0);
    },
  },
  {
    name: 'after a 401 one look at the secret, one question to the broker, one more try',
    withBroker: true,
    async tell({ consumer, sample, requests, revoke }) {
      await sample.ask(1);
      const refused = await consumer.stored();
      revoke();
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(consumer.reads(), 2);
      assert.equal(consumer.invocations.length, 1);
      const { action, newer_than, refused: digest } = consumer.invocations[0] ?? {};
      assert.equal(action, 'token');
      assert.equal(newer_than, refused['obtained_at']);
      assert.equal(digest, createHash('sha256').update(String(refused['access_token'])).digest('hex').slice(0, 16));
      // What is refused again within the minute was not refused for its age: nobody is asked, and nothing tried again.
      revoke();
      const before = requests();
      assert.deepEqual(await sample.ask(CROWD), all('D1 answered 401'));
      assert.equal(requests() - before, CROWD);
      assert.equal(consumer.reads(), 2);
      assert.equal(consumer.invocations.length, 1);
    },
  },
  {
    name: 'another consumer was refused first: its token is in the secret',
    withBroker: true,
    async tell({ consumer, sample, revoke }) {
      await sample.ask(1);
      revoke();
      const { obtained_at } = await consumer.stored();
      await consumer.bank.container().token({ newer_than: obtained_at });
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(consumer.invocations.length, 0);
    },
  },
  {
    name: 'the broker has no replacement yet: the 401 stands, and it is not asked again at once',
    withBroker: true,
    async tell({ consumer, sample, revoke }) {
      // Somebody else's refusal was this minute's reason to ask D1.
      const { obtained_at } = await consumer.stored();
      await consumer.lambda.send({ input: { Payload: JSON.stringify({ newer_than: obtained_at }) } } as never);
      assert.deepEqual(await sample.ask(1), ['ACTIVE']);
      revoke();
      assert.deepEqual(await sample.ask(CROWD), all('D1 answered 401'));
      assert.deepEqual(await sample.ask(CROWD), all('D1 answered 401'));
      assert.equal(consumer.invocations.length, 2);
    },
  },
  {
    name: 'a clock that is 780 s slow: the next token is read ahead of the end of the one before',
    withBroker: true,
    async tell({ consumer, sample }) {
      consumer.advance(780);
      assert.deepEqual(await sample.ask(1), ['ACTIVE']);
      await consumer.tick();
      assert.deepEqual(await sample.ask(1), ['ACTIVE']);
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(consumer.reads(), 2);
      assert.equal(consumer.invocations.length, 0);
    },
  },
  {
    name: 'a clock that is 20 minutes fast: the token is not taken for a dead one',
    withBroker: true,
    async tell({ consumer, sample }) {
      consumer.advance(-20 * 60);
      await consumer.store(JSON.stringify(await recordAsOfNow(consumer)));
      assert.deepEqual(await sample.ask(1), ['ACTIVE']);
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(consumer.reads(), 1);
      assert.equal(consumer.invocations.length, 0);
    },
  },
  {
    name: 'the token in the secret is dead: the broker is asked, D1 is not bothered with it',
    withBroker: true,
    async tell({ consumer, sample, requests }) {
      consumer.advance(901);
      assert.deepEqual(await sample.ask(CROWD), all('ACTIVE'));
      assert.equal(requests(), CROWD);
      assert.equal(consumer.invocations.length, 1);
    },
  },
  {
    name: 'no broker to ask: a 401 stands until the secret holds a newer token',
    withBroker: false,
    async tell({ consumer, sample, requests, revoke }) {
      assert.deepEqual(await sample.ask(1), ['ACTIVE']);
      revoke();
      // Whoever went by the text alone would send it, and take the two for each other's replacement for ever.
      const { obtained_at, expires_at, ...rest } = await consumer.stored();
      const older = { access_token: 'an.older.token', obtained_at: Number(obtained_at) - 1, expires_at };
      await consumer.store(JSON.stringify({ ...rest, ...older }));
      assert.deepEqual(await sample.ask(CROWD), all('D1 answered 401'));
      assert.equal(requests(), 1 + CROWD);
      assert.equal(consumer.reads(), 2);
      assert.equal(consumer.invocations.length, 0);
    },
  },
  {
    name: 'what is no token record is not sent, and not shown',
    withBroker: false,
    async tell({ consumer, sample, requests }) {
      const bad = tokenRecords.cases.filter(({ valid }) => !valid);
      const good = await recordAsOfNow(consumer);
      for (const text of [' ', '{"access_token": not.a.token}', ...bad.map((one) => changed(good, one))]) {
        await consumer.store(text);
        const [answer = ''] = await sample.ask(1);
        assert.match(answer, /^failed: /, text);
        assert.doesNotMatch(sample.output(), /not.?a.?.?token/);
      }
      assert.equal(requests(), 0);
      await consumer.store(JSON.stringify({ ...good, hints: { refresh_at: 7 } }));
      assert.deepEqual(await sample.ask(1), ['ACTIVE']);
    },
  },
];

/** The lines that a page tells its reader to type. They build the sample, and ask D1 once. */
export const typedStory: Story = {
  name: 'the lines of docs/contract.md build it, and D1 answers',
  withBroker: true,
  async tell({ sample }) {
    await sample.end();
    assert.match(sample.output(), /ISSUER0001: ACTIVE$/m);
  },
};

const changed = (record: object, { field, value }: { field: string; value: unknown }) =>
  JSON.stringify({ ...record, [field]: value });

/** The secret's record as a broker would have written it just now: for a sandbox whose clock was set back. */
async function recordAsOfNow({ bank, stored }: Consumer): Promise<Record<string, unknown>> {
  const now = Math.floor(bank.clock.now() / 1000);
  return { ...(await stored()), obtained_at: now, expires_at: now + 900 };
}

/** Tells one story to a program of its own. @throws Error with what it wrote, when the story ends otherwise. */
export async function tellStory(story: Story, program: Program): Promise<void> {
  const consumer = await openConsumer();
  const { sandbox } = consumer.bank;
  const { D1_TOKEN_SECRET_ID = '', D1_CLIENT_CERTIFICATE_SECRET_ID = '', AWS_ENDPOINT_URL = '' } = sandbox.environment;
  const sample = startSample(program, {
    AWS_ENDPOINT_URL,
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'sandbox',
    AWS_SECRET_ACCESS_KEY: 'sandbox',
    D1_TOKEN_SECRET_ID,
    D1_CLIENT_CERTIFICATE_SECRET_ID,
    D1_API_ORIGIN: sandbox.d1.origin,
    ...(story.withBroker && { D1_BROKER_FUNCTION_NAME: BROKER_FUNCTION }),
  });
  const secrets = new Set<string>();
  const remember = async () => secrets.add(String((await storedToken(sandbox)).record['access_token']));
  try {
    await remember();
    await story.tell({
      consumer,
      sample,
      requests: () => sandbox.calls.count('d1', 'banking/issuers'),
      revoke: () => sandbox.d1.revokeAccessTokens(ISSUER_ID),
    });
    await remember();
    await sample.end();
    for (const secret of secrets) assert.ok(!sample.output().includes(secret), 'a token was shown');
    assert.doesNotMatch(sample.output(), /PRIVATE KEY/);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const output = [...secrets].reduce((text, secret) => text.replaceAll(secret, '(a token)'), sample.output());
    throw new Error(`${why}\nIt wrote:\n${output}`);
  } finally {
    await sample.end().catch(() => {});
    await consumer.close();
  }
}
