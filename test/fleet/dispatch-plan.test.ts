import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, planRound } from '../../src/fleet/dispatch-plan.ts';
import { backoffSeconds, dueAt, type IssuerState, untried } from '../../src/fleet/issuer-state.ts';

const NOW = 1_795_000_000_000;
const WINDOW = 300;

/** An issuer whose token has so many seconds left, refreshed at D1 when it was new. */
const issuer = (issuerId: string, left: number, told: Partial<IssuerState> = {}): Candidate => ({
  issuerId,
  owner: issuerId,
  host: 'production',
  fingerprint: 'as it is',
  state: {
    expiresAt: NOW / 1000 + left,
    triedAt: NOW - (900 - left) * 1000,
    failures: 0,
    host: 'answered',
    ...told,
  },
});

const crowd = (count: number, left: (index: number) => number, told: Partial<IssuerState> = {}) =>
  Array.from({ length: count }, (_, index) => issuer(`ISSUER${String(index).padStart(5, '0')}`, left(index), told));

const round = (candidates: readonly Candidate[], told: Partial<Parameters<typeof planRound>[0]> = {}) =>
  planRound({
    candidates,
    sent: new Map(),
    takenUntil: 0,
    refreshWindowSeconds: WINDOW,
    now: NOW,
    roundMilliseconds: 60_000,
    ...told,
  });

const idsOf = ({ errands }: { errands: readonly { issuerId: string }[] }) => errands.map(({ issuerId }) => issuerId);

describe('a round of the dispatcher', () => {
  it('sends nobody out for a token that is far from its window', () => {
    expect(round([issuer('A', 800)])).toEqual({ errands: [], silentHosts: [], left: 0 });
  });

  it('sends an issuer when its token comes into its window, and not sooner', () => {
    const { errands } = round([issuer('A', 320)]);
    expect(errands).toHaveLength(1);
    expect((errands[0]?.notBefore ?? 0) - NOW).toBeGreaterThanOrEqual(20_000);
    expect((errands[0]?.notBefore ?? 0) - NOW).toBeLessThanOrEqual(50_000);
  });

  it('tries an issuer at once of which nothing is known', () => {
    const unknown = { ...issuer('A', 0), state: untried };
    expect(round([unknown]).errands).toEqual([{ issuerId: 'A', owner: 'A', notBefore: NOW }]);
  });

  it('does not send what is on its way, until it counts as lost', () => {
    const candidates = [issuer('A', 100)];
    const sent = (before: number, fingerprint = 'as it is') => ({
      sent: new Map([['A', { notBefore: NOW - before, fingerprint }]]),
    });
    expect(round(candidates, sent(10_000)).errands).toEqual([]);
    expect(idsOf(round(candidates, sent(120_000)))).toEqual(['A']);
    expect(idsOf(round(candidates, sent(10_000, 'as it was before')))).toEqual(['A']);
  });

  it('lets those out first whose tokens die first', () => {
    const candidates = [issuer('later', 90), issuer('dead', -30), issuer('soon', 5)];
    expect(idsOf(round(candidates))).toEqual(['dead', 'soon', 'later']);
  });

  it('leaves to the next round what the rate does not allow: 44 a second when there is more than 30', () => {
    const { errands, left } = round(
      crowd(10_000, (index) => -index / 100),
      { roundMilliseconds: 15_000 },
    );
    expect(errands).toHaveLength(660);
    expect(left).toBe(9_340);
    const inSeconds = Map.groupBy(errands, ({ notBefore }) => Math.floor((notBefore - NOW) / 1000));
    expect(Math.max(...[...inSeconds.values()].map(({ length }) => length))).toBe(44);
  });

  it('begins where the round before has spread its errands to', () => {
    const takenUntil = NOW + 5_000;
    expect(round([issuer('A', 10)], { takenUntil }).errands[0]?.notBefore).toBe(takenUntil);
  });
});

describe('issuers that fail', () => {
  it('are tried after 15, 30 and 60 s, and then always within a third of the window', () => {
    expect([1, 2, 3, 4, 9].map((failures) => backoffSeconds(failures, WINDOW))).toEqual([15, 30, 60, 90, 90]);
    expect([1, 2, 3].map((failures) => backoffSeconds(failures, 60))).toEqual([15, 18, 18]);
  });

  it('get a twentieth of the rate and what is left of it: nobody who is well waits longer for them', () => {
    const well = crowd(500, () => 200);
    const failing = crowd(2_000, () => -3_000, { failures: 7, host: undefined }).map((one) => ({
      ...one,
      issuerId: `broken-${one.issuerId}`,
    }));
    const { errands } = round([...failing, ...well], { roundMilliseconds: 15_000 });
    const sent = idsOf({ errands });
    expect(sent.filter((id) => !id.startsWith('broken'))).toHaveLength(500);
    expect(sent.slice(33, 533).every((id) => !id.startsWith('broken'))).toBe(true);
    expect(sent.filter((id) => id.startsWith('broken'))).toHaveLength(160);
    expect(idsOf(round(failing, { roundMilliseconds: 15_000 }))).toHaveLength(450);
  });

  it('are tried in the order of their failures: who met an outage, and then bad luck, is not behind the broken', () => {
    const broken = crowd(2_000, () => -3_000, { failures: 7, host: undefined });
    const unlucky = { ...issuer('unlucky', 20, { failures: 2, triedAt: NOW - 60_000 }) };
    expect(idsOf(round([...broken, unlucky], { roundMilliseconds: 5_000 }))[0]).toBe('unlucky');
  });
});

describe('a host that answers nobody', () => {
  const silent = { host: 'silent', failures: 1, failedWith: 'TOKEN_ENDPOINT_UNREACHABLE' } as const;
  const since = (seconds: number) => ({ triedAt: NOW - seconds * 1000 });

  it('gets one probe a round, first of those that have failed least', () => {
    const failed = crowd(20, () => 100, { ...silent, ...since(30) });
    const untouched = Array.from({ length: 4 }, (_, index) => issuer(`well-${index}`, 60 + index));
    const { errands, silentHosts } = round([...failed, ...untouched]);
    expect(silentHosts).toEqual(['production']);
    expect(idsOf({ errands })).toEqual(['well-0']);
  });

  it('is told from one issuer that meets silence while others are served', () => {
    const alone = crowd(1, () => 100, { ...silent, ...since(30), failures: 8 });
    const served = crowd(50, () => 700, since(10)).map((one) => ({ ...one, issuerId: `served-${one.issuerId}` }));
    expect(round([...alone, ...served]).silentHosts).toEqual([]);
  });

  it('is told from one that refuses an issuer: whoever answers is there', () => {
    const failed = crowd(20, () => 100, { ...silent, ...since(30) });
    const refused = issuer('refused', 100, { ...since(5), failures: 4, failedWith: 'TOKEN_ENDPOINT_REJECTED' });
    expect(round([...failed, refused]).silentHosts).toEqual([]);
  });

  it('keeps nobody at another host waiting', () => {
    const failed = crowd(20, () => 100, { ...silent, ...since(30) });
    const elsewhere = { ...issuer('staging', 50), host: 'staging' };
    expect(idsOf(round([...failed, elsewhere]))).toContain('staging');
  });

  it('has everybody back in the round after one probe was served', () => {
    const failed = crowd(100, () => 50, { ...silent, ...since(60) });
    const probe = issuer('probe', 899, since(1));
    const { errands, silentHosts } = round([...failed, probe]);
    expect(silentHosts).toEqual([]);
    expect(errands).toHaveLength(100);
  });
});

describe('whatever the issuers are like', () => {
  const states = fc.record({
    left: fc.integer({ min: -4_000, max: 900 }),
    failures: fc.integer({ min: 0, max: 5 }),
    host: fc.constantFrom('answered' as const, 'silent' as const, undefined),
    agoSeconds: fc.integer({ min: 0, max: 4_000 }),
  });
  const crowds = fc
    .array(states, { maxLength: 400 })
    .map((drawn) =>
      drawn.map(({ left, failures, host, agoSeconds }, index) =>
        issuer(`ISSUER${index}`, left, { failures, host, triedAt: NOW - agoSeconds * 1000 }),
      ),
    );

  it('nobody is sent twice, or before it is due, or after the round', () => {
    fc.assert(
      fc.property(crowds, (candidates) => {
        const { errands } = round(candidates, { roundMilliseconds: 15_000 });
        expect(new Set(idsOf({ errands })).size).toBe(errands.length);
        for (const { issuerId, notBefore } of errands) {
          const state = candidates.find((one) => one.issuerId === issuerId)?.state ?? untried;
          expect(notBefore).toBeGreaterThanOrEqual(Math.min(NOW + 15_000, dueAt(issuerId, state, WINDOW)));
          expect(notBefore).toBeLessThan(NOW + 15_000);
        }
      }),
    );
  });

  it('no second holds more than 44 tries', () => {
    fc.assert(
      fc.property(crowds, (candidates) => {
        const { errands } = round(candidates, { roundMilliseconds: 15_000 });
        const inSeconds = Map.groupBy(errands, ({ notBefore }) => Math.floor((notBefore - NOW) / 1000));
        for (const { length } of inSeconds.values()) expect(length).toBeLessThanOrEqual(44);
      }),
    );
  });
});
