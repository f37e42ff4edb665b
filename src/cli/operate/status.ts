import { setTimeout as delay } from 'node:timers/promises';
import type { CheckFacts, CheckReport, CheckStepName } from '../../shared/check-report.ts';
import { CliFailure } from '../frame/cli-failure.ts';
import { openStage, type Result, runCommand, type Session, type StageSession } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { invokeCheck } from '../frame/invoke.ts';
import { readFleetStack, readIdentity } from '../frame/stage.ts';
import type { Style } from '../frame/style.ts';
import { lookAtFleet } from './fleet-status.ts';
import { readLog } from './log-lines.ts';

const WATCH_MILLISECONDS = 5_000;
const LOOK_BACK_MILLISECONDS = 60 * 60_000;
/** D1's tokens live so long, in seconds; the refresh window is the last part of it. */
const FULL_BAR_SECONDS = 900;
const BAR_WIDTH = 45;
/** Versions younger than a day that Secrets Manager lets a secret have are "around 100"; a day of ticks writes 144. */
const WRITES_A_DAY = 168;
const SOON_DAYS = 30;

export interface StatusFlags extends PlaceFlags {
  readonly watch: boolean;
}

export async function status(this: Context, flags: StatusFlags): Promise<void> {
  await runCommand(this, 'status', flags, async (session) => {
    const lookAgain = await open(session);
    while (flags.watch && session.style.isTerminal && !flags.json) {
      const { text } = await lookAgain();
      // Back to the upper left, and everything below away.
      this.process.stdout.write(`\u001b[H\u001b[J${text.join('\n')}\n`);
      await delay(WATCH_MILLISECONDS);
    }
    return lookAgain();
  });
}

/** One issuer's stack, or where there is none that for many. */
async function open(session: Session): Promise<() => Promise<Result>> {
  try {
    const stage = await openStage(session);
    return () => look(stage);
  } catch (error) {
    if (!(error instanceof CliFailure) || error.code !== 'STACK_MISSING') throw error;
    const { clients, flags, place } = session;
    const [identity, fleet] = await Promise.all([
      readIdentity(clients),
      // That for one is what most people miss.
      readFleetStack(clients, flags.stage).catch(() => Promise.reject(error)),
    ]);
    place.account = identity.account;
    place.region = identity.region;
    return () => lookAtFleet(session, fleet);
  }
}

async function look(stage: StageSession): Promise<Result> {
  const { clients, configuration, flags, style, progress } = stage;
  const [report, lines] = await Promise.all([
    invokeCheck(clients, configuration.name, { exchange: false }, progress),
    readLog(clients, flags.stage, Date.now() - LOOK_BACK_MILLISECONDS),
  ]);
  const token = factsOf(report, 'token_secret');
  const certificate = factsOf(report, 'client_certificate');
  const left = Number(token['seconds_left'] ?? 0);
  const window = Number(configuration.environment['D1_REFRESH_WINDOW_SECONDS'] ?? 300);
  const refreshed = lines.findLast(({ fields }) => fields['action'] === 'refresh' && fields['refreshed'] === true);
  const failed = lines.findLast(({ fields }) => fields['outcome'] === 'failed');
  const broken = report.steps.find(({ outcome }) => outcome === 'failed');
  const days = certificate['days_left'];
  const facts = {
    seconds_left: left,
    refresh_window_seconds: window,
    version_id: token['version_id'] ?? null,
    key_id: report.key_id,
    stored_key_id: token['stored_key_id'] ?? null,
    last_refresh_at: refreshed ? new Date(refreshed.at).toISOString() : null,
    last_error_at: failed ? new Date(failed.at).toISOString() : null,
    last_error_code: failed ? String(failed.fields['error_code'] ?? 'INTERNAL') : null,
    certificate_days_left: days ?? null,
    writes_within_24_hours: token['writes_within_24_hours'] ?? null,
  };
  const needsCare = left < window / 2 || (typeof days === 'number' && days < SOON_DAYS);
  return {
    outcome: broken || left <= 0 ? 'failed' : needsCare ? 'attention' : 'good',
    facts,
    text: [
      `${style.bold(`Issuer ${report.issuer_id}, stage ${flags.stage}`)}  ${new Date().toISOString()}`,
      `${bar(left, window, style)} ${left} s left`,
      `Version      ${facts.version_id ?? 'none'}`,
      `Key          ${report.key_id}`,
      `Last refresh ${facts.last_refresh_at ?? 'none within an hour'}`,
      `Last error   ${facts.last_error_at === null ? 'none within an hour' : `${facts.last_error_code} at ${facts.last_error_at}`}`,
      `Certificate  ${days === undefined ? 'not usable' : `${days} days left`}`,
      `Writes       ${facts.writes_within_24_hours ?? 'unknown'} within 24 hours, of ${WRITES_A_DAY} at most by this broker`,
      ...(broken?.outcome === 'failed' ? [style.bad(`${broken.error_code}: ${broken.what}`)] : []),
    ],
  };
}

function factsOf({ steps }: CheckReport, name: CheckStepName): CheckFacts {
  const step = steps.find((one) => one.step === name);
  return step && 'facts' in step ? step.facts : {};
}

/** What is left of a full life, with the refresh window drawn in as `:`. */
export function bar(left: number, window: number, style: Style): string {
  const cells = (seconds: number) =>
    Math.round((Math.max(0, Math.min(FULL_BAR_SECONDS, seconds)) / FULL_BAR_SECONDS) * BAR_WIDTH);
  const [full, edge] = [cells(left), cells(window)];
  const drawn = Array.from({ length: BAR_WIDTH }, (_, cell) => (cell < full ? '█' : cell < edge ? ':' : '·')).join('');
  return left > window ? style.good(drawn) : left > 0 ? style.warn(drawn) : style.bad(drawn);
}
