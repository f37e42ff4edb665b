import { setTimeout as delay } from 'node:timers/promises';
import { openStage, runCommand } from '../frame/command.ts';
import type { Context } from '../frame/context.ts';
import type { Facts } from '../frame/document.ts';
import type { PlaceFlags } from '../frame/flags.ts';
import { type LogLine, readLog, told } from './log-lines.ts';

const FOLLOW_MILLISECONDS = 3_000;
/** CloudWatch shows a line some seconds after it was written. */
const LATE_MILLISECONDS = 30_000;

export interface LogsFlags extends PlaceFlags {
  readonly follow: boolean;
  readonly minutes: number;
}

/** What a log line may tell in a document. */
const fieldNames = [
  'level',
  'message',
  'action',
  'outcome',
  'reason',
  'source',
  'error_code',
  'remedy',
  'correlation_id',
  'seconds_left',
  'duration_milliseconds',
] as const;

export async function logs(this: Context, flags: LogsFlags): Promise<void> {
  await runCommand(this, 'logs', flags, async (session) => {
    const { clients, style } = await openStage(session);
    let since = Date.now() - flags.minutes * 60_000;
    if (!flags.follow || flags.json) {
      const lines = await readLog(clients, flags.stage, since);
      return { facts: { lines: lines.map(factsOf) }, text: lines.map((line) => told(line, style)) };
    }
    const seen = new Set<string>();
    for (;;) {
      for (const line of await readLog(clients, flags.stage, since)) {
        if (seen.has(line.id)) continue;
        seen.add(line.id);
        this.process.stdout.write(`${told(line, style)}\n`);
      }
      await delay(FOLLOW_MILLISECONDS);
      since = Math.max(since, Date.now() - LATE_MILLISECONDS);
    }
  });
}

const factsOf = ({ at, fields }: LogLine): Facts => ({
  at: new Date(at).toISOString(),
  ...Object.fromEntries(
    fieldNames.map((name) => {
      const value = fields[name];
      return [name, typeof value === 'string' || typeof value === 'number' ? value : null];
    }),
  ),
});
