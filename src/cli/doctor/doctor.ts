import { runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { CheckLine } from '../frame/document.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import type { Style } from '../frame/style.ts';
import { checks, preliminary } from './checks.ts';
import type { Found } from './found.ts';
import { outcomeOf, runChecks } from './run-checks.ts';

export interface DoctorFlags extends PlaceFlags {
  readonly exchange?: boolean;
}

export async function doctor(this: Context, flags: DoctorFlags): Promise<void> {
  await runCommand(this, 'doctor', flags, async ({ clients, style, place, progress }) => {
    const found: Found = { clients, stage: flags.stage, exchange: flags.exchange, progress, now: Date.now };
    const began = performance.now();
    const lines = await runChecks(checks, found);
    if (found.account !== undefined) place.account = found.account;
    if (found.region !== undefined) place.region = found.region;
    const issuerId = found.configuration?.environment['D1_ISSUER_ID'];
    if (issuerId !== undefined) place.issuerId = issuerId;
    const outcome = outcomeOf(lines, preliminary);
    const first =
      lines.find(({ outcome: one }) => one === 'failed') ?? lines.find(({ outcome: one }) => one === 'attention');
    const milliseconds = Math.round(performance.now() - began);
    return {
      outcome,
      checks: lines,
      facts: { milliseconds, first: first?.check ?? null },
      text: [...lines.flatMap((line) => told(line, style)), summary(lines, milliseconds)],
    };
  });
}

function told({ title, outcome, milliseconds, what, remedy, error_code, because }: CheckLine, style: Style): string[] {
  const mark = {
    ok: style.good('✓'),
    attention: style.warn('!'),
    failed: style.bad('✗'),
    no_access: style.warn('?'),
    unknown: style.warn('?'),
    not_checked: style.dim('-'),
  }[outcome];
  if (outcome === 'not_checked') return [`${mark} ${style.dim(`${title}: not checked, see ${because}`)}`];
  const line = `${mark} ${title} ${style.dim(`${milliseconds} ms`)}`;
  return outcome === 'ok' ? [line] : [line, `    ${error_code}: ${what}`, `    ${remedy}`];
}

function summary(lines: readonly CheckLine[], milliseconds: number): string {
  const count = (...outcomes: CheckLine['outcome'][]) =>
    lines.filter(({ outcome }) => outcomes.includes(outcome)).length;
  return `${lines.length} checks in ${milliseconds} ms: ${count('ok')} good, ${count('failed')} failed, ${count('attention')} to attend to, ${count('no_access', 'unknown')} without an answer, ${count('not_checked')} not checked.`;
}
