import { describe, expect, it } from 'vitest';
import { FLEET_STARTS_AT, type FleetFigures, simulateFleet } from '../../simulation/fleet/world.ts';

const MINUTE = 60_000;

const settings = { seed: 7, issuers: 120, hours: 1.2, outages: [], coldStarts: [], brokenShare: 0, failureShare: 0 };

/** When issuers that nothing is wrong with were without a token, in milliseconds from the start. */
const withoutToken = ({ issuers }: FleetFigures) =>
  issuers
    .filter(({ ailment }) => !ailment)
    .flatMap(({ without }) =>
      without.map(({ from, to }) => ({ from: from - FLEET_STARTS_AT, to: to - FLEET_STARTS_AT })),
    );

const latest = (moments: readonly number[]) => moments.reduce((last, one) => Math.max(last, one), 0);

describe('a simulated hour of many issuers', () => {
  it('costs nobody a token in an outage below four minutes, nor in a cold start of everything', async () => {
    const outages = [{ from: 20 * MINUTE, to: 20 * MINUTE + 239_000 }];
    const figures = await simulateFleet({ ...settings, outages, coldStarts: [50 * MINUTE] });
    expect(withoutToken(figures)).toEqual([]);
    expect(figures.issuers.every(({ diesAt }) => diesAt > FLEET_STARTS_AT + settings.hours * 60 * MINUTE)).toBe(true);
    expect(figures.throttled).toBe(0);
  });

  it('has everybody back within 60 s of an outage of ten minutes, and asks D1 little while it lasts', async () => {
    const outage = { from: 30 * MINUTE, to: 40 * MINUTE };
    const figures = await simulateFleet({ ...settings, outages: [outage] });
    const without = withoutToken(figures);
    expect(without.length).toBeGreaterThan(0);
    expect(latest(without.map(({ to }) => to)) - outage.to).toBeLessThan(60_000);
    expect(figures.mostTriesInAnOutageMinute).toBeLessThanOrEqual(40);
    expect(figures.mostWritesInASecond).toBeLessThanOrEqual(50);
  });

  it('lets nobody wait for a fifth that is broken', async () => {
    const figures = await simulateFleet({ ...settings, brokenShare: 0.2 });
    expect(withoutToken(figures)).toEqual([]);
    const sorted = figures.lateness.toSorted((one, other) => one - other);
    expect(sorted[Math.floor(sorted.length * 0.99)]).toBeLessThan(30_000);
    expect(figures.issuers.filter(({ ailment }) => ailment).every(({ diesAt }) => diesAt === 0)).toBe(true);
  });
});
