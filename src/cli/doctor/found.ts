import type { CheckFacts, CheckReport, CheckStepName } from '../../shared/check-report.ts';
import type { Clients } from '../frame/clients.ts';
import type { FunctionConfiguration, Stack } from '../frame/stage.ts';
import type { Finding } from './run-checks.ts';

/** A tick as its log line tells it. */
export interface Tick {
  /** Milliseconds since 1970 UTC. */
  readonly at: number;
  readonly good: boolean;
  readonly errorCode: string | undefined;
}

export interface Alarm {
  readonly name: string;
  readonly armed: boolean;
  readonly state: string;
}

/** What the doctor's checks find out for each other; each is there for the checks that need the one that finds it. */
export interface Found {
  readonly clients: Clients;
  readonly stage: string;
  /** Whether the check in the function gets a token; `undefined`: unless it is production. */
  readonly exchange: boolean | undefined;
  readonly progress: (text: string) => void;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
  account?: string;
  region?: string;
  stack?: Stack;
  configuration?: FunctionConfiguration;
  report?: CheckReport;
  ticks?: readonly Tick[];
  alarms?: readonly Alarm[];
}

/** What a check found that others need. @throws TypeError when the check does not name the one that finds it. */
export function need<K extends 'stack' | 'configuration' | 'report' | 'ticks' | 'alarms'>(
  found: Found,
  name: K,
): NonNullable<Found[K]> {
  const value = found[name];
  if (value === undefined) throw new TypeError(`Nothing has found the ${name} yet.`);
  return value;
}

export const ok = (facts: NonNullable<(Finding & { outcome: 'ok' })['facts']> = {}): Finding => ({
  outcome: 'ok',
  facts,
});

export const failed = (code: string, what: string, remedy: string): Finding => ({
  outcome: 'failed',
  code,
  what,
  remedy,
});

export const attention = (code: string, what: string, remedy: string): Finding => ({
  outcome: 'attention',
  code,
  what,
  remedy,
});

/** What the function has found at one of its steps, as the doctor's own finding. */
export function stepFinding(found: Found, name: CheckStepName): Finding {
  const step = need(found, 'report').steps.find((one) => one.step === name);
  if (step?.outcome === 'ok') return { ...ok(step.facts), milliseconds: step.milliseconds };
  if (step?.outcome === 'failed') {
    const { error_code: code, what, remedy, facts, milliseconds } = step;
    return { outcome: 'failed', code, what, remedy, facts, milliseconds };
  }
  return ok({ not_wanted: true });
}

export function stepFacts(found: Found, name: CheckStepName): CheckFacts {
  const step = need(found, 'report').steps.find((one) => one.step === name);
  return step && 'facts' in step ? step.facts : {};
}
