import { describe, expect, it } from 'vitest';
import { SimulatedTime } from '../../simulation/simulated-time.ts';
import { BrokerError } from '../../src/errors.ts';
import type { Candidate, Errand } from '../../src/fleet/dispatch-plan.ts';
import { createDispatcher, type Dispatched } from '../../src/fleet/dispatcher.ts';
import { type IssuerFields, readIssuer } from '../../src/fleet/issuer.ts';
import type { Entry } from '../../src/fleet/issuer-index.ts';
import { type IssuerState, untried } from '../../src/fleet/issuer-state.ts';
import { lastUsed } from '../../src/fleet/last-used.ts';
import { aliasOf, createLookup, issuerOf } from '../../src/fleet/lookup.ts';
import { reportRound } from '../../src/fleet/round-report.ts';
import { readErrand } from '../../src/fleet/sqs-queue.ts';
import { createWorker, type IssuerApp } from '../../src/fleet/worker.ts';

const START = Date.UTC(2026, 10, 23);
const context = { getRemainingTimeInMillis: () => 60_000 };

const fieldsOf = (issuerId: string): IssuerFields => ({
  issuer_id: issuerId,
  key_id: 'kid',
  environment: 'production',
  signing_key_id: 'alias/one',
  token_secret_id: `d1/${issuerId}/access-token`,
  client_certificate_secret_id: `d1/${issuerId}/client-certificate`,
});

const unreachable = new BrokerError({
  code: 'TOKEN_ENDPOINT_UNREACHABLE',
  what: 'It did not answer.',
  remedy: 'Wait.',
  retryable: true,
});

function workOn(entry: Entry | undefined, run: IssuerApp['run']) {
  const kept: { fields: IssuerFields; state: IssuerState }[] = [];
  const slot = { notBefore: 0 };
  const time = new SimulatedTime(START);
  const work = createWorker({
    index: { find: async () => entry, keep: async ({ fields }, state) => void kept.push({ fields, state }) },
    read: (fields) => readIssuer(fields, {}),
    appOf: () => ({ run, slot }),
    clock: time,
  });
  return { kept, slot, time, work };
}

async function within(time: SimulatedTime, work: () => Promise<void>, milliseconds: number) {
  time.start(work);
  await time.runUntil(time.now() + milliseconds);
}

describe('a try', () => {
  const entry = { fields: fieldsOf('ISSUER0001'), state: { ...untried, failures: 3 } };
  const answer = { refreshed: true, reason: 'due', expires_at: START / 1000 + 900, version_id: 'v' };

  it('waits for its moment, writes a second after it, and forgives what failed before', async () => {
    const begun: number[] = [];
    const { kept, slot, time, work } = workOn(entry, async () => {
      begun.push(time.now());
      return answer;
    });
    await within(time, () => work({ issuerId: 'ISSUER0001', notBefore: START + 700 }, context), 1_000);
    expect(begun).toEqual([START + 700]);
    expect(slot.notBefore).toBe(START + 1_700);
    expect(kept.map(({ state }) => state)).toEqual([
      { expiresAt: START / 1000 + 900, triedAt: START + 700, failures: 0, host: 'answered' },
    ]);
  });

  it('that fails is a state with its code, and no message that goes round', async () => {
    const { kept, time, work } = workOn(entry, () => Promise.reject(unreachable));
    await within(time, () => work({ issuerId: 'ISSUER0001', notBefore: START }, context), 1);
    expect(kept[0]?.state).toMatchObject({ failures: 4, failedWith: 'TOKEN_ENDPOINT_UNREACHABLE', host: 'silent' });
  });

  it('of an issuer that was removed meanwhile is not made, and brings nothing back', async () => {
    const { kept, time, work } = workOn(undefined, () => Promise.reject(new Error('It was tried.')));
    await within(time, () => work({ issuerId: 'ISSUER0001', notBefore: START }, context), 1);
    expect(kept).toEqual([]);
  });

  it('of an issuer whose entry is wrong tells its fault as any other', async () => {
    const wrong = { fields: { ...fieldsOf('ISSUER0001'), environment: 'moon' }, state: untried };
    const { kept, time, work } = workOn(wrong, async () => answer);
    await within(time, () => work({ issuerId: 'ISSUER0001', notBefore: START }, context), 1);
    expect(kept[0]?.state).toMatchObject({ failures: 1, failedWith: 'CONFIG_INVALID', host: undefined });
  });
});

describe('a tick of the dispatcher', () => {
  const candidate = (issuerId: string, state: Partial<IssuerState>): Candidate => ({
    issuerId,
    owner: issuerId,
    host: 'production',
    fingerprint: 'as it is',
    state: { expiresAt: START / 1000 + 100, triedAt: START - 600_000, failures: 0, host: 'answered', ...state },
  });

  function dispatch(candidates: readonly Candidate[], takes: (errand: Errand) => boolean = () => true) {
    const time = new SimulatedTime(START);
    const rounds: { at: number; round: Dispatched }[] = [];
    const tick = createDispatcher({
      index: { candidates: async () => candidates },
      send: async (errands) => new Set(errands.filter(takes).map(({ issuerId }) => issuerId)),
      refreshWindowSeconds: 300,
      clock: time,
      onRound: (round) => rounds.push({ at: (time.now() - START) / 1000, round }),
    });
    return { time, rounds, tick };
  }

  it('is one look at the index when all is well', async () => {
    const { time, rounds, tick } = dispatch([candidate('A', {})]);
    await within(time, tick, 120_000);
    expect(rounds.map(({ at, round }) => [at, round.errands.length])).toEqual([[0, 1]]);
  });

  it('is twelve rounds while a host is silent, each with one probe', async () => {
    const silent = { failures: 1, host: 'silent', triedAt: START - 20_000 } as const;
    const { time, rounds, tick } = dispatch(Array.from({ length: 30 }, (_, index) => candidate(`I${index}`, silent)));
    await within(time, tick, 120_000);
    expect(rounds.map(({ at }) => at)).toEqual(Array.from({ length: 12 }, (_, index) => index * 5));
    expect(rounds.map(({ round }) => round.errands.length)).toEqual(Array.from({ length: 12 }, () => 1));
  });

  it('sends what the queue refused again, and what it took not', async () => {
    const { time, rounds, tick } = dispatch(
      [candidate('A', {}), candidate('B', {})],
      ({ issuerId }) => issuerId === 'A',
    );
    await within(time, tick, 60_000);
    await within(time, tick, 60_000);
    expect(rounds.map(({ round }) => round.errands.map(({ issuerId }) => issuerId))).toEqual([['A', 'B'], ['B']]);
  });

  it('sends an issuer again in the next round whose fields were corrected, though its errand may be on its way', async () => {
    const untouched = candidate('A', untried);
    const index = [untouched];
    const { time, rounds, tick } = dispatch(index);
    for (const found of [untouched, untouched, { ...untouched, fingerprint: 'corrected' }]) {
      index[0] = found;
      await within(time, tick, 10_000);
    }
    expect(rounds.map(({ round }) => round.errands.length)).toEqual([1, 0, 1]);
  });

  it('tells how all fare in a number of figures that does not grow, and the worst by name', () => {
    const candidates = [
      ...Array.from({ length: 5_000 }, (_, index) => candidate(`WELL${index}`, { expiresAt: START / 1000 + 500 })),
      ...Array.from({ length: 40 }, (_, index) =>
        candidate(`BAD${index}`, {
          expiresAt: START / 1000 - index,
          failures: 4,
          failedWith: 'TOKEN_ENDPOINT_REJECTED',
        }),
      ),
    ];
    const report = reportRound(candidates, { silentHosts: [], left: 0 }, 300, START);
    expect(report).toMatchObject({ issuers: 5_040, pressing: 40, leastSecondsLeft: 0, lagSeconds: 0 });
    expect(report.failing).toEqual({ TOKEN_ENDPOINT_REJECTED: 40 });
    expect(report.worst).toHaveLength(10);
    expect(report.worst.every(({ issuer_id }) => issuer_id.startsWith('BAD'))).toBe(true);
  });
});

describe('an errand as SQS has it', () => {
  it('is read, and anything else is not', () => {
    expect(readErrand('{"issuer_id":"A","not_before":1}')).toEqual({ issuerId: 'A', notBefore: 1 });
    expect(['', 'x', '[]', 'null', '{"issuer_id":1}', '{"issuer_id":"A"}'].map(readErrand)).toEqual(
      Array.from({ length: 6 }),
    );
  });
});

describe('what is kept for the issuers used last', () => {
  it('is made once for each, again when its configuration changes, and never for more than fit', () => {
    const made: string[] = [];
    const of = lastUsed(2, ({ issuerId }) => made.push(issuerId));
    const issuer = (issuerId: string, keyId = 'kid') => readIssuer({ ...fieldsOf(issuerId), key_id: keyId }, {});
    for (const one of ['A', 'B', 'A', 'B']) of(issuer(one));
    expect(made).toEqual(['A', 'B']);
    of(issuer('A', 'other'));
    of(issuer('C'));
    of(issuer('A', 'other'));
    of(issuer('B'));
    expect(made).toEqual(['A', 'B', 'A', 'C', 'B']);
  });
});

describe('a caller', () => {
  const arn = (alias: string) => `arn:aws:lambda:eu-west-1:123456789012:function:d1-tokens${alias}`;

  it('names the issuer by the alias that IAM let it invoke', () => {
    expect(issuerOf(arn(`:${aliasOf('ISSUER0001')}`))).toBe('ISSUER0001');
    expect([arn(''), arn(':$LATEST'), arn(':live')].map(issuerOf)).toEqual([undefined, undefined, undefined]);
  });

  it('is told from an index that is asked once a minute for each, and each time for who is not there', async () => {
    const time = new SimulatedTime(START);
    const asked: string[] = [];
    const find = createLookup(
      {
        find: async (issuerId) => {
          asked.push(issuerId);
          return issuerId === 'A' ? { fields: fieldsOf('A'), state: untried } : undefined;
        },
      },
      time,
    );
    expect(await find('A')).toBeDefined();
    expect(await find('A')).toBeDefined();
    expect(await find('B')).toBeUndefined();
    expect(await find('B')).toBeUndefined();
    await time.runUntil(START + 60_000);
    await find('A');
    expect(asked).toEqual(['A', 'B', 'B', 'A']);
  });
});
