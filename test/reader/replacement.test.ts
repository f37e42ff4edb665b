import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTokenReader, type TokenReaderError, type TokenReaderOptions } from '../../src/reader/reader.ts';
import { type SecretsExtensionFake, startSecretsExtension } from '../support/secrets-extension.ts';

// The reader's side of a refused token, with stand-ins for everything that answers it.

const D1 = 'https://api.d1.thalescloud.io/';
const START = 1_800_000_000;

interface Token {
  readonly name: string;
  /** Seconds after START. */
  readonly obtainedAt: number;
  /** Seconds. */
  readonly life?: number;
}
type BrokerAnswer = Token | { readonly errorType: string; readonly errorMessage?: string };

let now: number;
/** What the secret holds, and what the broker answers to an event. */
let secret: Token;
let broker: (event: Record<string, unknown>) => BrokerAnswer;
let events: Record<string, unknown>[];
let sent: string[];
/** The tokens that D1 takes. */
let accepted: ReadonlySet<string>;
let warnings: TokenReaderError[];
beforeEach(() => {
  now = START + 100;
  events = [];
  sent = [];
  accepted = new Set();
  warnings = [];
});

const A: Token = { name: 'token-a', obtainedAt: 0 };
const B: Token = { name: 'token-b', obtainedAt: 20 };
const C: Token = { name: 'token-c', obtainedAt: 100 };
const digest = ({ name }: Token) => createHash('sha256').update(name).digest('hex').slice(0, 16);

function record({ name, obtainedAt, life = 900 }: Token, counted = false): string {
  const obtained = START + obtainedAt;
  return JSON.stringify({
    access_token: name,
    token_type: 'Bearer',
    expires_in: counted ? obtained + life - now : life,
    expires_at: obtained + life,
    obtained_at: obtained,
    issuer_id: 'ISSUER0001',
    key_id: 'key',
    correlation_id: 'c',
    schema_version: 1,
  });
}

const clock = { now: () => now * 1000, sleep: () => new Promise<void>(() => {}) };

function reader(options: Partial<TokenReaderOptions> = {}) {
  return createTokenReader({
    secretId: 'd1/access-token',
    secretsManager: { send: async () => ({ SecretString: record(secret) }) },
    brokerFunctionName: 'broker',
    lambda: {
      send: async (command) => {
        const { input } = command as { input: { Payload: string } };
        const event = JSON.parse(input.Payload);
        events.push(event);
        const answer = broker(event);
        if (!('errorType' in answer)) return { Payload: Buffer.from(record(answer, true)) };
        return { FunctionError: 'Unhandled', Payload: Buffer.from(JSON.stringify(answer)) };
      },
    },
    clock,
    random: { fraction: () => 0.5, uuid: () => 'c' },
    onWarning: (warning) => warnings.push(warning),
    fetch: async (_url: string, init: RequestInit) => {
      const token = new Headers(init.headers).get('authorization')?.replace('Bearer ', '') ?? '';
      sent.push(token);
      return new Response('', { status: accepted.has(token) ? 200 : 401 });
    },
    ...options,
  });
}

const notReady = (errorMessage: string): BrokerAnswer => ({ errorType: 'REPLACEMENT_NOT_READY', errorMessage });

/** Searches that reach the broker while a caller tries once a second. */
async function secondsUntilNextSearch(fetch: ReturnType<typeof reader>['fetch']): Promise<number> {
  const asked = events.length;
  for (let seconds = 1; seconds <= 120; seconds += 1) {
    now += 1;
    await fetch(D1);
    if (events.length > asked) return seconds;
  }
  throw new Error('never');
}

describe('a replacement of a refused token', () => {
  it('is asked for by its time and its digest', async () => {
    secret = A;
    accepted = new Set([C.name]);
    broker = () => C;
    expect((await reader().fetch(D1)).status).toBe(200);
    expect(events).toEqual([
      {
        action: 'token',
        min_remaining_seconds: 30,
        newer_than: START,
        refused: digest(A),
        correlation_id: 'c',
      },
    ]);
    expect(sent).toEqual([A.name, C.name]);
  });

  it('is asked for once more with force when the broker is older', async () => {
    secret = A;
    accepted = new Set([C.name]);
    broker = (event) =>
      'newer_than' in event || 'refused' in event
        ? { errorType: 'EVENT_INVALID', errorMessage: 'The event cannot be understood: field newer_than is not known.' }
        : C;
    expect((await reader().fetch(D1)).status).toBe(200);
    expect(events).toMatchObject([{ newer_than: START }, {}]);
    expect(events[1]).toEqual({ action: 'token', min_remaining_seconds: 30, force: true, correlation_id: 'c' });
    expect(warnings).toEqual([]);
  });

  it('is asked for twice at most: an older broker may refuse the second event too', async () => {
    secret = A;
    broker = () => ({ errorType: 'EVENT_INVALID' });
    expect((await reader().fetch(D1)).status).toBe(401);
    expect(events).toHaveLength(2);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('EVENT_INVALID')]);
  });

  it('is not asked for with force for any other reason', async () => {
    secret = A;
    broker = () => ({ errorType: 'SIGNING_FAILED' });
    expect((await reader().fetch(D1)).status).toBe(401);
    expect(events).toHaveLength(1);
  });

  it('is named to nobody: no warning holds the digest or the time', async () => {
    secret = A;
    broker = ({ newer_than, refused }) => ({ errorType: 'INTERNAL', errorMessage: `${newer_than} ${refused}` });
    await reader().fetch(D1);
    expect(warnings).toHaveLength(1);
    const shown = inspect(warnings, { depth: 10, showHidden: true });
    expect(shown).not.toContain(digest(A));
    expect(shown).not.toContain(String(START));
  });
});

describe('a token that is refused', () => {
  it.each<[string, Token]>([
    ['the same', A],
    ['the same, with another time', { ...A, obtainedAt: 50 }],
    ['another of the same second', { ...C, obtainedAt: A.obtainedAt }],
    ['an older one that lives longer', { ...C, obtainedAt: -10, life: 1_200 }],
  ])('is no answer, and the next search is soon: %s', async (_name, answer) => {
    secret = A;
    broker = () => answer;
    const { fetch } = reader();
    expect((await fetch(D1)).status).toBe(401);
    expect(events).toHaveLength(1);
    expect(sent).toEqual([A.name]);
    expect(await secondsUntilNextSearch(fetch)).toBe(10);
  });

  it('after a real answer is not searched for again within a minute', async () => {
    secret = A;
    broker = () => C;
    const { fetch } = reader();
    await fetch(D1);
    expect(await secondsUntilNextSearch(fetch)).toBe(60);
    expect(events[1]).toMatchObject({ newer_than: START + C.obtainedAt, refused: digest(C) });
  });

  it('stays refused when an older one is refused later', async () => {
    secret = B;
    broker = () => notReady('retry_after_seconds=5');
    const answers: (() => void)[] = [];
    const { fetch } = reader({
      fetch: async (_url: string, init: RequestInit) => {
        const token = new Headers(init.headers).get('authorization')?.replace('Bearer ', '') ?? '';
        sent.push(token);
        if (answers.length === 0) await new Promise<void>((resolve) => answers.push(resolve));
        return new Response('', { status: 401 });
      },
    });
    secret = A;
    const slow = fetch(D1);
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    secret = B;
    await fetch(D1);
    await fetch(D1);
    answers[0]?.();
    await slow;
    sent = [];
    for (let request = 0; request < 30; request += 1) {
      now += 1;
      secret = request % 2 ? A : B;
      await fetch(D1);
    }
    // Nothing but the one in hand, once for each request: nothing else was taken for another token.
    expect(new Set(sent)).toEqual(new Set([B.name]));
    expect(sent).toHaveLength(30);
  });
});

describe('two refused tokens', () => {
  let extension: SecretsExtensionFake;
  beforeEach(async () => {
    extension = await startSecretsExtension(async () => ({ SecretString: record(A) }), clock);
    secret = B;
  });
  afterEach(() => extension.close());

  it('one in the cache of the extension and one in the secret, do not alternate', async () => {
    broker = () => notReady('retry_after_seconds=10');
    const { fetch } = reader({ useSecretsExtension: true, env: extension.environment });
    expect((await fetch(D1)).status).toBe(401);
    expect(sent).toEqual([A.name, B.name]);
    sent = [];
    for (let request = 0; request < 120; request += 1) {
      now += 1;
      expect((await fetch(D1)).status).toBe(401);
    }
    expect(new Set(sent)).toEqual(new Set([B.name]));
    expect(sent).toHaveLength(120);
    expect(events[0]).toMatchObject({ newer_than: START + B.obtainedAt, refused: digest(B) });
  });

  it('are replaced by what the broker has', async () => {
    broker = () => C;
    accepted = new Set([C.name]);
    const { fetch } = reader({ useSecretsExtension: true, env: extension.environment });
    const statuses: number[] = [];
    for (let request = 0; request < 30; request += 1, now += 1) statuses.push((await fetch(D1)).status);
    expect(statuses.at(-1)).toBe(200);
    expect(events).toHaveLength(1);
  });
});

describe('a replacement that is not ready', () => {
  it.each([
    ['Nothing newer yet. retry_after_seconds=23 Trying again can help.', 23],
    ['retry_after_seconds=0', 1],
    ['retry_after_seconds=3600', 60],
    ['retry_after_seconds=99999999999999999999', 60],
    ['no number here', 10],
    ['retry_after_seconds=soon', 10],
    ['retry_after_seconds=-5', 10],
  ])('is looked for again when the broker says: %s', async (message, seconds) => {
    secret = A;
    broker = () => notReady(message);
    const { fetch } = reader();
    expect((await fetch(D1)).status).toBe(401);
    expect(sent).toEqual([A.name]);
    expect(await secondsUntilNextSearch(fetch)).toBe(seconds);
    // Told by its code, never by its message.
    expect(warnings[0]).toMatchObject({ code: 'BROKER_FAILED', retryable: true });
    expect(warnings[0]?.message).toContain('REPLACEMENT_NOT_READY');
    expect(warnings[0]?.message).not.toContain('retry_after');
  });

  it('is found in the secret meanwhile', async () => {
    secret = A;
    accepted = new Set([C.name]);
    broker = () => notReady('retry_after_seconds=60');
    const { fetch } = reader();
    expect((await fetch(D1)).status).toBe(401);
    secret = C;
    let seconds = 0;
    for (; (await fetch(D1)).status !== 200; seconds += 1) now += 1;
    expect(seconds).toBeLessThan(15);
    expect(events).toHaveLength(1);
  });

  it('does not fail a caller that wants any token', async () => {
    secret = { ...A, life: 110 };
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const ready = { ...C, obtainedAt: 110 };
    const { fetch, token } = reader({
      lambda: {
        send: async (command) => {
          const event = JSON.parse((command as { input: { Payload: string } }).input.Payload);
          events.push(event);
          if (!('newer_than' in event)) return { Payload: Buffer.from(record(ready, true)) };
          asked.resolve();
          await answer.promise;
          const payload = JSON.stringify(notReady('retry_after_seconds=60'));
          return { FunctionError: 'Unhandled', Payload: Buffer.from(payload) };
        },
      },
      minRemainingSeconds: 5,
    });
    const refused = fetch(D1);
    await asked.promise;
    now += 11;
    const wanted = token();
    answer.resolve();
    expect((await wanted).access_token).toBe(ready.name);
    expect((await refused).status).toBe(401);
    expect(events).toHaveLength(2);
  });
});

describe('an answer of the broker', () => {
  const answering = (more: Record<string, unknown>) => ({
    lambda: {
      send: async () => ({ Payload: Buffer.from(JSON.stringify({ ...JSON.parse(record(C, true)), ...more })) }),
    },
  });

  it('says when its expires_in was counted, and so what time it is at the broker', async () => {
    secret = { ...A, obtainedAt: -900 };
    // Its clock is 600 s behind: without knowing that, this machine would take the token for dead in 300 s.
    const { token } = reader(answering({ answered_at: now - 600, expires_in: START + 1_000 - (now - 600) }));
    expect(await token()).toMatchObject({ access_token: C.name, answered_at: now - 600, expires_in: 1_500 });
    now += 1_400;
    expect((await token()).access_token).toBe(C.name);
  });

  it('of an earlier release does not, and its time follows from what it has left', async () => {
    secret = { ...A, obtainedAt: -900 };
    const { token } = reader(answering({ expires_in: 1_500 }));
    expect(await token()).not.toHaveProperty('answered_at');
    now += 1_400;
    expect((await token()).access_token).toBe(C.name);
  });

  it.each([{ answered_at: 'now' }, { expires_in: 0 }, { expires_in: -5 }, { obtained_at: 'then' }])(
    'with %j is none',
    async (more) => {
      secret = { ...A, obtainedAt: -900 };
      await expect(reader(answering(more)).token()).rejects.toMatchObject({ code: 'BROKER_FAILED' });
    },
  );
});

it('takes expires_in for the life of a token, never what lies between obtained_at and expires_at', async () => {
  // The clock of whoever obtained it went back meanwhile: obtained_at was kept in order, and lies behind the truth.
  const text = JSON.stringify({ ...JSON.parse(record(A)), obtained_at: START + 899 });
  let reads = 0;
  const send = async () => {
    reads += 1;
    return { SecretString: text };
  };
  now = START + 700;
  const { token } = reader({ secretsManager: { send }, brokerFunctionName: undefined });
  await token();
  now += 60;
  await token();
  // Less than 180 s are left, so it is looked for: half a second before its end would be too late.
  expect(reads).toBe(2);
});

describe('an answer with less life than wished for', () => {
  it('is kept when it lives longer than what is in hand', async () => {
    secret = A;
    broker = () => ({ ...C, life: 830 });
    const { token } = reader();
    expect((await token({ minRemainingSeconds: 840 })).access_token).toBe(C.name);
    expect((await token()).access_token).toBe(C.name);
    expect(events).toEqual([{ action: 'token', min_remaining_seconds: 840, correlation_id: 'c' }]);
    expect(warnings).toEqual([]);
  });

  it('is not kept when it does not', async () => {
    secret = A;
    broker = () => ({ ...C, life: 700 });
    expect((await reader().token({ minRemainingSeconds: 840 })).access_token).toBe(A.name);
  });
});
