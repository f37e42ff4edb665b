import { createClients } from '../frame/clients.ts';
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
  readonly timeout?: number;
}

export async function doctor(this: Context, flags: DoctorFlags): Promise<void> {
  await runCommand(this, 'doctor', flags, async ({ style, place, progress }) => {
    const { stdout } = this.process;
    const end = new AbortController();
    const clients = createClients(flags, end.signal);
    const found: Found = { clients, stage: flags.stage, exchange: flags.exchange, progress, now: Date.now };
    const began = performance.now();
    const lines = await runChecks(checks, found, {
      // A person sees each line when it is known: where something hangs, that is what the eye is on.
      onLine: (line) => {
        if (!flags.json) for (const text of told(line, style)) stdout.write(`${text}\n`);
      },
      timeoutSeconds: flags.timeout,
    });
    end.abort();
    if (found.account !== undefined) place.account = found.account;
    if (found.region !== undefined) place.region = found.region;
    const issuerId = found.configuration?.environment['D1_ISSUER_ID'];
    if (issuerId !== undefined) place.issuerId = issuerId;
    const outcome = outcomeOf(lines, preliminary);
    const first = firstOf(lines);
    const milliseconds = Math.round(performance.now() - began);
    return {
      outcome,
      checks: lines,
      facts: { milliseconds, first: first?.check ?? null },
      text: [
        summary(lines, milliseconds),
        ...(first ? [`Begin with "${first.title}" (${first.check}): ${first.error_code}.`] : []),
      ],
    };
  });
}

/** The line that names the cause: what is known to be broken, before what could not be seen, before what can wait. */
export const firstOf = (lines: readonly CheckLine[]): CheckLine | undefined =>
  lines.find(({ outcome }) => outcome === 'failed') ??
  lines.find(({ outcome }) => outcome === 'no_access' || outcome === 'unknown') ??
  lines.find(({ outcome }) => outcome === 'attention');

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
