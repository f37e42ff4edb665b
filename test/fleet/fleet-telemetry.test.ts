import type { Context } from 'aws-lambda';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createFleetTelemetry } from '../../src/fleet/fleet-telemetry.ts';
import { reportRound } from '../../src/fleet/round-report.ts';
import { captureOutput } from '../telemetry/captured-output.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('what a round tells', () => {
  it('of a stack without issuers alarms nobody', () => {
    const output = captureOutput();
    const telemetry = createFleetTelemetry('test');
    telemetry.begin({} as Context);
    telemetry.round(reportRound([], { silentHosts: [], left: 0 }, 300, Date.UTC(2026, 10, 25)), 0);
    const told = output.metrics().map(({ name, value }) => [name, value]);
    expect(told).toEqual([
      ['IssuersPressing', 0],
      ['DispatchLagSeconds', 0],
      ['SilentHosts', 0],
    ]);
  });
});
