import { createClients } from '../frame/clients.ts';
import { runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { CheckLine } from '../frame/document.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import type { Style } from '../frame/style.ts';
import { checks, preliminary } from './checks.ts';
import type { Found } from './found.ts';
import { outcomeOf, runChecks } from './run-checks.ts';

const SAY_SO_MILLISECONDS = 5_000;
/** So many lines in a row that were not made for one cause are told as one. */
const LONG_ROW = 4;

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
    let made = 0;
    // A person sees each line when it is known, and what the next one waits for.
    const waiting = setInterval(() => progress(`Waiting for "${checks[made]?.title}".`), SAY_SO_MILLISECONDS);
    const page = createPage(style, (text) => {
      if (!flags.json) stdout.write(`${text}\n`);
    });
    const lines = await runChecks(checks, found, {
      onLine: (line) => {
        made += 1;
        if (line) page.add(line);
      },
      timeoutSeconds: flags.timeout,
    }).finally(() => clearInterval(waiting));
    page.end();
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

/** The lines as a person reads them; a row of those that were not made for one cause is one line. */
function createPage(style: Style, write: (text: string) => void) {
  let skipped: CheckLine[] = [];
  const end = () => {
    const [first] = skipped;
    if (skipped.length >= LONG_ROW) {
      const names = skipped.map(({ check }) => check).join(', ');
      write(`- ${style.dim(`${skipped.length} checks: not checked, see ${first?.because}: ${names}`)}`);
    } else {
      for (const { title, because } of skipped) write(`- ${style.dim(`${title}: not checked, see ${because}`)}`);
    }
    skipped = [];
  };
  const add = (line: CheckLine) => {
    if (line.because !== skipped[0]?.because) end();
    if (line.outcome === 'not_checked') skipped.push(line);
    else for (const text of told(line, style)) write(text);
  };
  return { add, end };
}

function told({ title, outcome, milliseconds, what, remedy, error_code }: CheckLine, style: Style): string[] {
  const mark = {
    ok: style.good('✓'),
    attention: style.warn('!'),
    failed: style.bad('✗'),
    no_access: style.warn('?'),
    unknown: style.warn('?'),
    not_checked: style.dim('-'),
  }[outcome];
  const line = `${mark} ${title} ${style.dim(`${milliseconds} ms`)}`;
  return outcome === 'ok' ? [line] : [line, `    ${error_code}: ${what}`, `    ${remedy}`];
}

function summary(lines: readonly CheckLine[], milliseconds: number): string {
  const count = (...outcomes: CheckLine['outcome'][]) =>
    lines.filter(({ outcome }) => outcomes.includes(outcome)).length;
  return `${lines.length} checks in ${milliseconds} ms: ${count('ok')} good, ${count('failed')} failed, ${count('attention')} to attend to, ${count('no_access', 'unknown')} without an answer, ${count('not_checked')} not checked.`;
}
